//! The writer's functions: each value in its shortest form, appended to a buffer.

/// Longest string and binary, bytes, and most elements and members: lengths have 32 bits. Who writes sees to it.
pub const MAX_LEN: usize = u32::MAX as usize;

/// Appends nil.
pub fn write_nil(out: &mut Vec<u8>) {
    out.push(0xc0);
}

/// Appends `true` or `false`.
pub fn write_boolean(out: &mut Vec<u8>, value: bool) {
    out.push(if value { 0xc3 } else { 0xc2 });
}

/// Appends an integer.
#[inline]
pub fn write_integer(out: &mut Vec<u8>, value: i64) {
    if let Ok(value) = u64::try_from(value) {
        write_unsigned(out, value);
    } else if value >= -0x20 {
        // A negative integer of one byte is its own leading byte.
        let [.., lead] = value.to_be_bytes();
        out.push(lead);
    } else if let Ok(value) = i8::try_from(value) {
        write_number(out, 0xd0, value.to_be_bytes());
    } else if let Ok(value) = i16::try_from(value) {
        write_number(out, 0xd1, value.to_be_bytes());
    } else if let Ok(value) = i32::try_from(value) {
        write_number(out, 0xd2, value.to_be_bytes());
    } else {
        write_number(out, 0xd3, value.to_be_bytes());
    }
}

/// Appends an integer that is not negative.
#[inline]
pub fn write_unsigned(out: &mut Vec<u8>, value: u64) {
    if let Ok(value) = u8::try_from(value) {
        if value < 0x80 {
            out.push(value);
        } else {
            write_number(out, 0xcc, [value]);
        }
    } else if let Ok(value) = u16::try_from(value) {
        write_number(out, 0xcd, value.to_be_bytes());
    } else if let Ok(value) = u32::try_from(value) {
        write_number(out, 0xce, value.to_be_bytes());
    } else {
        write_number(out, 0xcf, value.to_be_bytes());
    }
}

/// Appends a float; nil for NaN and the infinities, as JSON has them. A whole one stays a float.
#[inline]
pub fn write_float(out: &mut Vec<u8>, value: f64) {
    if value.is_finite() {
        write_number(out, 0xcb, value.to_be_bytes());
    } else {
        write_nil(out);
    }
}

/// A leading byte and the bytes of a number behind it.
#[inline]
fn write_number<const N: usize>(out: &mut Vec<u8>, lead: u8, number: [u8; N]) {
    out.reserve(1 + N);
    out.push(lead);
    out.extend_from_slice(&number);
}

/// A length, by its own leading byte if it is short enough for that, else behind one of three.
#[inline]
fn write_len(out: &mut Vec<u8>, len: usize, short: Option<u8>, [one, two, four]: [Option<u8>; 3]) {
    if let Some(lead) = short {
        out.push(lead);
    } else if let (Some(lead), Ok(len)) = (one, u8::try_from(len)) {
        write_number(out, lead, [len]);
    } else if let (Some(lead), Ok(len)) = (two, u16::try_from(len)) {
        write_number(out, lead, len.to_be_bytes());
    } else if let Some(lead) = four {
        let len = u32::try_from(len).unwrap_or(u32::MAX);
        write_number(out, lead, len.to_be_bytes());
    }
}

/// Appends a string.
#[inline]
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    let short = u8::try_from(text.len()).ok().filter(|len| *len < 0x20).map(|len| 0xa0 | len);
    write_len(out, text.len(), short, [Some(0xd9), Some(0xda), Some(0xdb)]);
    out.extend_from_slice(text.as_bytes());
}

/// Appends a string in WTF-8 with U+FFFD for each of its lone surrogates, which msgpack cannot say: what
/// JavaScript's own encoders of UTF-8 do.
pub fn write_wtf8(out: &mut Vec<u8>, text: &[u8]) {
    let mut well_formed = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(chunk) = rest.utf8_chunks().next() {
        well_formed.push_str(chunk.valid());
        rest = rest.get(chunk.valid().len()..).unwrap_or_default();
        if !chunk.invalid().is_empty() {
            well_formed.push(char::REPLACEMENT_CHARACTER);
            // A surrogate has three bytes, each of which would be a fault of its own.
            rest = rest.get(3..).unwrap_or_default();
        }
    }
    write_string(out, &well_formed);
}

/// Appends binary data.
#[inline]
pub fn write_binary(out: &mut Vec<u8>, data: &[u8]) {
    write_len(out, data.len(), None, [Some(0xc4), Some(0xc5), Some(0xc6)]);
    out.extend_from_slice(data);
}

/// Begins an array, whose elements follow.
#[inline]
pub fn write_array(out: &mut Vec<u8>, len: usize) {
    write_head(out, len, 0x90, [0xdc, 0xdd]);
}

/// Begins a map, whose members follow: a key and its value, the next key.
#[inline]
pub fn write_map(out: &mut Vec<u8>, len: usize) {
    write_head(out, len, 0x80, [0xde, 0xdf]);
}

#[inline]
fn write_head(out: &mut Vec<u8>, len: usize, short: u8, [two, four]: [u8; 2]) {
    let short = u8::try_from(len).ok().filter(|len| *len < 0x10).map(|len| short | len);
    write_len(out, len, short, [None, Some(two), Some(four)]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut out = Vec::new();
        write(&mut out);
        out
    }

    #[test]
    fn integers_have_their_shortest_form() {
        for (value, bytes) in [
            (0, &b"\x00"[..]),
            (127, b"\x7f"),
            (128, b"\xcc\x80"),
            (255, b"\xcc\xff"),
            (256, b"\xcd\x01\x00"),
            (65_535, b"\xcd\xff\xff"),
            (65_536, b"\xce\x00\x01\x00\x00"),
            (u32::MAX.into(), b"\xce\xff\xff\xff\xff"),
            (1 << 32, b"\xcf\x00\x00\x00\x01\x00\x00\x00\x00"),
            (i64::MAX, b"\xcf\x7f\xff\xff\xff\xff\xff\xff\xff"),
            (-1, b"\xff"),
            (-32, b"\xe0"),
            (-33, b"\xd0\xdf"),
            (-128, b"\xd0\x80"),
            (-129, b"\xd1\xff\x7f"),
            (-32_768, b"\xd1\x80\x00"),
            (-32_769, b"\xd2\xff\xff\x7f\xff"),
            (i32::MIN.into(), b"\xd2\x80\x00\x00\x00"),
            (i64::from(i32::MIN) - 1, b"\xd3\xff\xff\xff\xff\x7f\xff\xff\xff"),
            (i64::MIN, b"\xd3\x80\x00\x00\x00\x00\x00\x00\x00"),
        ] {
            assert_eq!(written(|out| write_integer(out, value)), bytes, "{value}");
        }
        assert_eq!(written(|out| write_unsigned(out, u64::MAX)), b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff");
    }

    #[test]
    fn floats_stay_floats_and_what_json_cannot_say_is_nil() {
        assert_eq!(written(|out| write_float(out, 1.0)), b"\xcb\x3f\xf0\x00\x00\x00\x00\x00\x00");
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(written(|out| write_float(out, value)), b"\xc0");
        }
    }

    #[test]
    fn lengths_have_their_shortest_form() {
        for (len, string, binary, array, map) in [
            (0, &b"\xa0"[..], &b"\xc4\0"[..], &b"\x90"[..], &b"\x80"[..]),
            (15, b"\xaf", b"\xc4\x0f", b"\x9f", b"\x8f"),
            (16, b"\xb0", b"\xc4\x10", b"\xdc\0\x10", b"\xde\0\x10"),
            (31, b"\xbf", b"\xc4\x1f", b"\xdc\0\x1f", b"\xde\0\x1f"),
            (32, b"\xd9\x20", b"\xc4\x20", b"\xdc\0\x20", b"\xde\0\x20"),
            (255, b"\xd9\xff", b"\xc4\xff", b"\xdc\0\xff", b"\xde\0\xff"),
            (256, b"\xda\x01\0", b"\xc5\x01\0", b"\xdc\x01\0", b"\xde\x01\0"),
            (65_535, b"\xda\xff\xff", b"\xc5\xff\xff", b"\xdc\xff\xff", b"\xde\xff\xff"),
            (65_536, b"\xdb\0\x01\0\0", b"\xc6\0\x01\0\0", b"\xdd\0\x01\0\0", b"\xdf\0\x01\0\0"),
        ] {
            let text = "x".repeat(len);
            assert_eq!(written(|out| write_string(out, &text)), [string, text.as_bytes()].concat(), "{len}");
            let data = vec![7; len];
            assert_eq!(written(|out| write_binary(out, &data)), [binary, &data].concat(), "{len}");
            assert_eq!(written(|out| write_array(out, len)), array, "{len}");
            assert_eq!(written(|out| write_map(out, len)), map, "{len}");
        }
    }

    #[test]
    fn a_lone_surrogate_is_replaced_and_its_neighbours_are_kept() {
        // U+D800, U+DFFF twice, and U+D7FF, which shares their first byte but is a character.
        let text = b"a\xed\xa0\x80\xc3\xa9\xed\xbf\xbf\xed\xbf\xbf\xed\x9f\xbf";
        let mut expected = Vec::new();
        write_string(&mut expected, "a\u{fffd}é\u{fffd}\u{fffd}\u{d7ff}");
        assert_eq!(written(|out| write_wtf8(out, text)), expected);
    }
}
