//! The last argument of an event's data, found and cut off without reading the rest: with connection state
//! recovery it may be the event's offset, and not the application's.

use super::data::Data;
use crate::proto::msgpack::{Cursor, Token};

impl Data<'_> {
    /// The last argument of an event if it is a string, in JSON one without escapes; and where in the data it
    /// begins, with what stands between it and the one before.
    pub fn last_string(&self) -> Option<(usize, &str)> {
        match self {
            Self::Json(text) => in_json(text),
            Self::Msgpack(bytes) => in_msgpack(bytes),
        }
    }

    /// Cuts off the argument that [`Self::last_string`] found.
    pub fn cut_last(&mut self, start: usize) {
        match self {
            Self::Json(text) => {
                let text = text.to_mut();
                text.truncate(start);
                text.push(']');
            }
            Self::Msgpack(bytes) => {
                let bytes = bytes.to_mut();
                bytes.truncate(start);
                count_down(bytes);
            }
        }
    }
}

fn in_json(data: &str) -> Option<(usize, &str)> {
    let rest = data.strip_suffix("\"]")?;
    // A quote inside a string has a backslash before it, never a comma.
    let quote = rest.rfind('"')?;
    let start = quote.checked_sub(1)?;
    let text = rest.get(quote + 1..)?;
    (rest.as_bytes().get(start) == Some(&b',')).then_some((start, text))
}

fn in_msgpack(data: &[u8]) -> Option<(usize, &str)> {
    let mut cursor = Cursor::new(data);
    let Ok(Token::Array(count)) = cursor.token() else { return None };
    // The name is no argument.
    if count < 2 {
        return None;
    }
    let mut due = count - 1;
    while let Some(left) = due.checked_sub(1) {
        // More than the data has bytes cannot be due: no sum overflows.
        due = left
            + match cursor.token().ok()? {
                Token::Array(elements) => elements,
                Token::Map(members) => 2 * members,
                _ => 0,
            };
    }
    let start = cursor.offset();
    match cursor.token() {
        Ok(Token::String(text)) if cursor.rest().is_empty() => Some((start, std::str::from_utf8(text).ok()?)),
        _ => None,
    }
}

/// One element less in the array that begins here.
fn count_down(array: &mut [u8]) {
    let count = match array {
        [0xdc, high, low, ..] => &mut [high, low][..],
        [0xdd, a, b, c, d, ..] => &mut [a, b, c, d][..],
        [lead, ..] => &mut [lead][..],
        [] => return,
    };
    // Big-endian: a byte that is 0 borrows from the one before.
    for byte in count.iter_mut().rev() {
        let (less, borrows) = byte.overflowing_sub(1);
        **byte = less;
        if !borrows {
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::json::tree::Tree;
    use crate::proto::msgpack::{write_array, write_string};
    use serde_json::{Value, json};

    fn cut(data: &Data<'_>) -> Option<(String, Value)> {
        let mut data = data.borrowed().into_owned();
        let (start, text) = data.last_string()?;
        let text = text.to_owned();
        data.cut_last(start);
        Some((text, data.read_ack(0, &mut Tree).unwrap().into()))
    }

    #[test]
    fn the_last_string_is_found_and_cut_off() {
        for (before, left) in [
            ("[\"a\",", json!(["a"])),
            ("[\"a\",\"b\",", json!(["a", "b"])),
            ("[1,{\"x\":[1,2]},", json!([1, {"x": [1, 2]}])),
            ("[\"a\",\"\\\"\",", json!(["a", "\""])),
        ] {
            let data = format!("{before}\"last\"]");
            assert_eq!(cut(&Data::from(&*data)), Some(("last".into(), left)), "{data}");
        }
        for (before, left) in [
            (&b"\x92\xa1a"[..], json!(["a"])),
            (b"\x93\x01\x82\xa1x\x92\x01\x02\xa1y\x80", json!([1, {"x": [1, 2], "y": {}}])),
            (b"\xdc\0\x02\xa1a", json!(["a"])),
            (b"\xdd\0\0\0\x02\xa1a", json!(["a"])),
        ] {
            let data = [before, b"\xa4last"].concat();
            assert_eq!(cut(&Data::from(&data[..])), Some(("last".into(), left)), "{data:02x?}");
        }
    }

    #[test]
    fn every_count_is_one_less_afterwards() {
        for count in [2, 15, 16, 17, 255, 256, 257, 65_535, 65_536, 65_537] {
            let mut data = Vec::new();
            write_array(&mut data, count);
            (0..count).for_each(|_| write_string(&mut data, "a"));
            let (_, left) = cut(&Data::from(&data[..])).unwrap();
            assert_eq!(left.as_array().map(Vec::len), Some(count - 1));
        }
    }

    #[test]
    fn what_is_no_last_string_is_left_alone() {
        for data in ["[]", "[\"a\"]", "[\"a\",1]", "[\"a\",[\"b\"]]", "[\"a\",\"\\\"b\"]", "\"]", "]", ""] {
            assert_eq!(cut(&Data::from(data)), None, "{data}");
        }
        for data in [
            &b""[..],
            b"\x90",
            b"\x91\xa1a",
            b"\x92\xa1a\x01",
            b"\x92\xa1a\x91\xa1b",
            b"\x92\xa1a\xa1",
            b"\x92\xa1a\xa1b\xa1c",
            b"\x92\xa1a\xa1\xff",
            b"\x92\xdd\xff\xff\xff\xff\xa1a",
            b"\xa1a",
        ] {
            assert_eq!(cut(&Data::from(data)), None, "{data:02x?}");
        }
    }
}
