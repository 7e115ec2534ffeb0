//! Strings out of bytes: nearly all are ASCII, and looking for that is all the checking that those need.
//!
//! `unsafe` is here because to check them as UTF-8 first, and look for ASCII then, is a sixth of all the instructions
//! that reading a message of 1 KB takes.
#![allow(unsafe_code)]

use crate::proto::json::Text;

/// The text of bytes that are UTF-8.
#[inline]
pub(super) fn text(bytes: &[u8]) -> Option<Text<'_>> {
    if bytes.is_ascii() {
        // SAFETY: what is ASCII is UTF-8.
        return Some(Text::ascii(unsafe { std::str::from_utf8_unchecked(bytes) }));
    }
    std::str::from_utf8(bytes).ok().map(Text::utf8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_utf8_and_knows_whether_it_is_ascii() {
        for length in 0..70 {
            let plain = "x".repeat(length);
            let read = text(plain.as_bytes()).unwrap();
            assert_eq!((read.as_str(), read.as_ascii()), (Some(&*plain), Some(&*plain)));
            for at in 0..=length {
                let mut wide = plain.clone();
                wide.insert(at, 'é');
                let read = text(wide.as_bytes()).unwrap();
                assert_eq!((read.as_str(), read.as_ascii()), (Some(&*wide), None));
                let mut broken = plain.clone().into_bytes();
                broken.insert(at, 0xff);
                assert_eq!(text(&broken), None);
            }
        }
    }
}
