//! A string as it came out of a JSON text.

use std::borrow::Cow;

/// The characters of a JSON string, escapes resolved.
///
/// JavaScript's strings may hold half a surrogate pair, which it sends as `\udXXX`; such a string has no UTF-8
/// form and comes as WTF-8, where a lone surrogate is three bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Text<'t>(Form<'t>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form<'t> {
    Ascii(&'t str),
    Utf8(&'t str),
    Wtf8(&'t [u8]),
}

impl<'t> Text<'t> {
    /// Any text; looks whether it is ASCII.
    pub fn new(text: &'t str) -> Self {
        if text.is_ascii() { Self::ascii(text) } else { Self::utf8(text) }
    }

    /// A text known to be ASCII, which the binding's unsafe code relies on.
    pub(in crate::proto) fn ascii(text: &'t str) -> Self {
        debug_assert!(text.is_ascii());
        Self(Form::Ascii(text))
    }

    pub(in crate::proto) fn utf8(text: &'t str) -> Self {
        Self(Form::Utf8(text))
    }

    pub(super) fn wtf8(bytes: &'t [u8]) -> Self {
        Self(Form::Wtf8(bytes))
    }

    /// The text, unless it holds a lone surrogate.
    pub fn as_str(&self) -> Option<&'t str> {
        match self.0 {
            Form::Ascii(text) | Form::Utf8(text) => Some(text),
            Form::Wtf8(_) => None,
        }
    }

    /// The text, if all of it is ASCII.
    pub fn as_ascii(&self) -> Option<&'t str> {
        match self.0 {
            Form::Ascii(text) => Some(text),
            Form::Utf8(_) | Form::Wtf8(_) => None,
        }
    }

    /// The bytes: UTF-8, or WTF-8 when [`as_str`](Self::as_str) gives nothing.
    pub fn as_bytes(&self) -> &'t [u8] {
        match self.0 {
            Form::Ascii(text) | Form::Utf8(text) => text.as_bytes(),
            Form::Wtf8(bytes) => bytes,
        }
    }

    /// The text with U+FFFD in the place of what has no UTF-8 form.
    pub fn to_string_lossy(&self) -> Cow<'t, str> {
        match self.0 {
            Form::Ascii(text) | Form::Utf8(text) => Cow::Borrowed(text),
            Form::Wtf8(bytes) => String::from_utf8_lossy(bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_knows_whether_it_is_ascii() {
        assert_eq!(Text::new("plain").as_ascii(), Some("plain"));
        assert_eq!(Text::new("größer").as_ascii(), None);
        assert_eq!(Text::new("größer").as_str(), Some("größer"));
    }

    #[test]
    fn a_lone_surrogate_has_no_utf8_form() {
        let text = Text::wtf8(b"a\xed\xa0\x80");
        assert_eq!(text.as_str(), None);
        assert_eq!(text.as_bytes(), b"a\xed\xa0\x80");
        assert!(text.to_string_lossy().starts_with("a\u{fffd}"));
    }
}
