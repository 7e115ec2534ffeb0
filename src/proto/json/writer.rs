//! The writer's functions: JSON as JavaScript's `JSON.stringify` writes it, appended to a buffer.
//!
//! Floats differ in one point: `1.0` keeps its fraction, so that a Python peer gets a float back.

use super::room::{Slot, push_plain};

/// Appends the placeholder of attachment `index`.
pub fn write_placeholder(out: &mut Vec<u8>, index: usize) {
    out.extend_from_slice(b"{\"_placeholder\":true,\"num\":");
    out.extend_from_slice(itoa::Buffer::new().format(index).as_bytes());
    out.push(b'}');
}

/// Appends a string with its quotes; what is not ASCII stays as it is.
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    Slot::new(out).text(text);
}

/// Appends a string in WTF-8, its lone surrogates as `\udXXX`.
pub fn write_wtf8(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    let mut rest = text;
    while let Some(at) = memchr::memchr(0xed, rest) {
        let (before, from) = rest.split_at(at);
        write_escaped(out, before);
        let (character, after) = from.split_at_checked(3).unwrap_or((from, &[]));
        match character {
            [0xed, second @ 0xa0..=0xbf, third] => write_surrogate(out, *second, *third),
            _ => out.extend_from_slice(character),
        }
        rest = after;
    }
    write_escaped(out, rest);
    out.push(b'"');
}

fn write_surrogate(out: &mut Vec<u8>, second: u8, third: u8) {
    let low = (second & 0x03) << 6 | (third & 0x3f);
    out.extend_from_slice(b"\\ud");
    out.extend_from_slice(&[hex(second >> 2 & 0x0f), hex(low >> 4), hex(low & 0x0f)]);
}

#[inline]
fn write_escaped(out: &mut Vec<u8>, text: &[u8]) {
    let plain = push_plain(out, text);
    if plain < text.len() {
        write_special(out, text, plain);
    }
}

/// What follows the plain stretch at the start of a string.
#[cold]
pub(super) fn write_special(out: &mut Vec<u8>, text: &[u8], mut plain: usize) {
    let mut rest = text;
    while let Some((byte, after)) = rest.get(plain..).and_then(<[u8]>::split_first) {
        write_escape(out, *byte);
        plain = push_plain(out, after);
        rest = after;
    }
}

fn write_escape(out: &mut Vec<u8>, byte: u8) {
    let letter = match byte {
        b'"' | b'\\' => byte,
        0x08 => b'b',
        0x09 => b't',
        0x0a => b'n',
        0x0c => b'f',
        0x0d => b'r',
        _ => {
            out.extend_from_slice(b"\\u00");
            out.extend_from_slice(&[hex(byte >> 4), hex(byte & 0x0f)]);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', letter]);
}

fn hex(digit: u8) -> u8 {
    if digit < 10 { b'0' + digit } else { b'a' + digit - 10 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn strings_are_escaped_as_json_stringify_does() {
        let text = "a\"b\\c/\u{8}\t\n\u{c}\r\u{0}\u{1f}\u{7f}é\u{2028}😀";
        let expected = "\"a\\\"b\\\\c/\\b\\t\\n\\f\\r\\u0000\\u001f\u{7f}é\u{2028}😀\"";
        assert_eq!(written(|out| write_string(out, text)), expected);
        assert_eq!(written(|out| write_string(out, "")), "\"\"");
    }

    #[test]
    fn lone_surrogates_are_escaped_and_their_neighbours_kept() {
        // U+D800, U+DFFF, and U+D7FF, which shares their first byte but is a character.
        let text = b"a\xed\xa0\x80\n\xed\xbf\xbf\xed\x9f\xbf\"";
        assert_eq!(written(|out| write_wtf8(out, text)), "\"a\\ud800\\n\\udfff\u{d7ff}\\\"\"");
    }

    #[test]
    fn numbers_have_their_shortest_form() {
        assert_eq!(written(|out| Slot::new(out).integer(i64::MIN)), "-9223372036854775808");
        for (value, text) in
            [(1.0, "1.0"), (-0.0, "-0.0"), (0.1, "0.1"), (5e-324, "5e-324"), (1.5e300, "1.5e300")]
        {
            let written = written(|out| Slot::new(out).float(value));
            assert_eq!(written.parse::<f64>().unwrap().to_bits(), value.to_bits(), "{written}");
            assert_eq!(written.replace("e+", "e"), text);
        }
    }

    #[test]
    fn a_placeholder_names_its_attachment() {
        assert_eq!(written(|out| write_placeholder(out, 12)), "{\"_placeholder\":true,\"num\":12}");
    }
}
