//! Properties of the JSON reader and writer; serde_json is the oracle.

use proptest::collection::{hash_map, vec};
use proptest::prelude::*;
use serde_json::Value;
use siox::proto::json::{self, JsonErrorKind, Key, Name, ReadError, ReadOptions, Reader, Skip, Slot};
use siox::proto::limits::MAX_JSON_DEPTH;
use std::convert::Infallible;
use std::time::{Duration, Instant};

/// The tree that the unit tests use, seen from outside of the crate.
#[path = "../../src/proto/json"]
mod outside {
    pub(super) use siox::proto::json::{Sink, Text};
    pub(super) mod tree;
}
use outside::tree::Tree;

fn read(text: &str, attachments: Option<usize>) -> Result<Value, ReadError<Infallible>> {
    let mut reader = Reader::new(text, ReadOptions { attachments, ..ReadOptions::default() });
    let value = reader.value(&mut Tree)?;
    reader.finish()?;
    Ok(value)
}

fn write(out: &mut Vec<u8>, value: &Value) {
    let slot = Slot::new(out);
    match value {
        Value::Null => slot.null(),
        Value::Bool(value) => slot.boolean(*value),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(value), _) => slot.integer(value),
            _ if number.is_u64() => out.extend_from_slice(number.to_string().as_bytes()),
            (_, value) => slot.float(value.unwrap()),
        },
        Value::String(text) => slot.text(text),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                Slot::element(out, if index > 0 { b',' } else { b'[' }).leave();
                write(out, item);
            }
            out.extend_from_slice(if items.is_empty() { b"[]" } else { b"]" });
        }
        Value::Object(members) => {
            for (index, (key, value)) in members.iter().enumerate() {
                let name = Name::new(key);
                let key = name.as_ref().map_or(Key::Text(key), Key::Name);
                Slot::member(out, if index > 0 { b',' } else { b'{' }, key).leave();
                write(out, value);
            }
            out.extend_from_slice(if members.is_empty() { b"{}" } else { b"}" });
        }
    }
}

/// Any string, with quotes, backslashes, control characters and wide ones more often than by chance.
fn any_string() -> impl Strategy<Value = String> {
    let character = prop_oneof![
        4 => proptest::char::range('a', 'z'),
        1 => Just('"'), 1 => Just('\\'),
        1 => proptest::char::range('\0', '\u{1f}'),
        2 => any::<char>(),
    ];
    vec(character, 0..40).prop_map(|characters| characters.into_iter().collect())
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>()
            .prop_filter("JSON has no such number", |number| number.is_finite())
            .prop_map(Value::from),
        any_string().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 8, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..8).prop_map(Value::from),
            hash_map(any_string(), inner, 0..8)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// A text made of JSON's own pieces, seldom valid, often nearly.
fn nearly_json() -> impl Strategy<Value = String> {
    let piece = prop_oneof![proptest::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\\",
        "\\u",
        "\\ud83d",
        "\\ude00",
        "true",
        "false",
        "null",
        " ",
        "\n",
        "-",
        "0",
        "1",
        "9",
        ".",
        "e",
        "E",
        "+",
        "a",
        "é",
        "😀",
        "\"a\"",
        "{\"a\":",
        "\"_placeholder\"",
        "\"num\"",
        "{\"_placeholder\":true,\"num\":0}",
        "\u{1}",
        "1e400",
        "123456789012345678901234567890",
    ]),];
    vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

/// `-0` is the integer 0 for us, as for Python, and a float for serde_json.
fn without_negative_zero(value: Value) -> Value {
    match value {
        Value::Number(number) if number.as_f64() == Some(0.0) => 0.into(),
        Value::Array(items) => items.into_iter().map(without_negative_zero).collect(),
        Value::Object(members) => {
            members.into_iter().map(|(key, value)| (key, without_negative_zero(value))).collect()
        }
        other => other,
    }
}

proptest! {
    #[test]
    fn what_serde_json_writes_is_read_as_it_was(value in any_value()) {
        prop_assert_eq!(read(&value.to_string(), None).unwrap(), value.clone());
        prop_assert_eq!(read(&serde_json::to_string_pretty(&value).unwrap(), None).unwrap(), value);
    }

    #[test]
    fn what_is_written_serde_json_reads_as_it_was(value in any_value()) {
        let mut out = Vec::new();
        write(&mut out, &value);
        let read: Value = serde_json::from_slice(&out).unwrap();
        prop_assert_eq!(read, value);
    }

    #[test]
    fn strings_are_written_as_serde_json_writes_them(text in any_string()) {
        let mut out = Vec::new();
        json::write_string(&mut out, &text);
        prop_assert_eq!(String::from_utf8(out).unwrap(), serde_json::to_string(&text).unwrap());
    }

    #[test]
    fn valid_is_what_serde_json_takes(text in nearly_json()) {
        let expected: Result<Value, _> = serde_json::from_str(&text);
        match (read(&text, None), expected) {
            (Ok(value), Ok(expected)) => prop_assert_eq!(without_negative_zero(value), without_negative_zero(expected)),
            (Err(_), Err(_)) => {}
            // Lone surrogates: JavaScript sends them, serde_json cannot hold them.
            (Ok(_), Err(error)) => prop_assert!(text.contains("\\u"), "{text}: {error}"),
            (Err(error), Ok(_)) => prop_assert!(false, "{text}: {error}"),
        }
    }

    #[test]
    fn no_text_panics_and_errors_point_into_it(text in any::<String>(), count in 0_usize..3) {
        for attachments in [None, Some(count)] {
            if let Err(ReadError::Json(error)) = read(&text, attachments) {
                prop_assert!(error.offset <= text.len());
            }
        }
    }

    #[test]
    fn placeholders_are_attachments_or_an_error(text in nearly_json(), count in 0_usize..3) {
        let plain = read(&text, None);
        let replaced = read(&text, Some(count));
        match (&plain, &replaced) {
            (Ok(_), Err(ReadError::Json(error))) => {
                let kind = JsonErrorKind::InvalidPlaceholder { count };
                prop_assert_eq!(error.kind, kind);
            }
            (Ok(plain), Ok(replaced)) => {
                prop_assert!(plain == replaced || text.contains("_placeholder"), "{text}");
            }
            (Err(_), replaced) => prop_assert!(replaced.is_err(), "{text}"),
            (_, Err(ReadError::Sink(never))) => match *never {},
        }
    }

    #[test]
    fn skipping_finds_the_same_faults_as_building(text in nearly_json(), count in 0_usize..3) {
        let options = ReadOptions { attachments: Some(count), ..ReadOptions::default() };
        let mut reader = Reader::new(&text, options);
        let skipped = reader.value(&mut Skip).and_then(|()| Ok(reader.finish()?));
        match (skipped, read(&text, Some(count))) {
            (Ok(()), Ok(_)) => {}
            (Err(ReadError::Json(skipped)), Err(ReadError::Json(built))) => prop_assert_eq!(skipped, built),
            (skipped, built) => prop_assert!(false, "{text}: {skipped:?}, {built:?}"),
        }
    }

    #[test]
    fn element_by_element_is_the_same_as_at_once(items in vec(any_value(), 0..6)) {
        let text = Value::from(items.clone()).to_string();
        let mut reader = Reader::new(&text, ReadOptions::default());
        reader.open_array().unwrap();
        let mut read = Vec::new();
        while let Some(item) = reader.next_element(&mut Tree).unwrap() {
            read.push(item);
        }
        reader.finish().unwrap();
        prop_assert_eq!(read, items);
    }

    #[test]
    fn wtf8_comes_back_through_its_escapes(text in vec(0_u32..0x11_0000, 0..20)) {
        // Halves that stand side by side are a pair, so they are kept apart.
        let mut wtf8 = Vec::new();
        for code in &text {
            match char::from_u32(*code) {
                Some(character) => wtf8.extend_from_slice(character.to_string().as_bytes()),
                None => wtf8.extend([0xed, 0x80 | (code >> 6 & 0x3f) as u8, 0x80 | (code & 0x3f) as u8, b'-']),
            }
        }
        let mut out = vec![b'['];
        json::write_wtf8(&mut out, &wtf8);
        out.push(b']');
        let out = String::from_utf8(out).unwrap();
        let mut reader = Reader::new(&out, ReadOptions::default());
        reader.open_array().unwrap();
        let string = reader.next_string().unwrap();
        prop_assert_eq!(string.as_bytes(), &wtf8[..]);
    }
}

fn time_to_read(text: &str) -> Duration {
    let start = Instant::now();
    let mut reader = Reader::new(text, ReadOptions { attachments: Some(1), ..ReadOptions::default() });
    let _ = reader.value(&mut Skip);
    start.elapsed()
}

#[test]
fn hostile_nests_of_placeholders_cost_what_their_length_costs() {
    // Full depth, again and again, with `num` and the mark after what they hold: a reader that looked ahead for
    // them would read each byte once per level.
    let open = "{\"x\":".repeat(MAX_JSON_DEPTH - 1);
    let close = ",\"num\":0,\"_placeholder\":true}".repeat(MAX_JSON_DEPTH - 1);
    let nest = format!("{open}0{close}");
    let hostile = format!("[{}0]", format!("{nest},").repeat(100));
    assert!(read(&hostile, Some(1)).is_ok());
    let flat =
        format!("[{}0]", "{\"x\":0,\"num\":0,\"_placeholder\":true},".repeat(100 * (MAX_JSON_DEPTH - 1)));
    assert!(flat.len() >= hostile.len());
    // Generous: the machine may be busy, a quadratic reader would need a hundred times as long.
    let flat = (0..5).map(|_| time_to_read(&flat)).min().unwrap();
    let hostile = (0..5).map(|_| time_to_read(&hostile)).min().unwrap();
    assert!(hostile < flat * 10, "{hostile:?} for the nests, {flat:?} for as many bytes side by side");
}

#[test]
fn a_long_string_of_escapes_is_read_in_time() {
    for escape in ["\\n", "\\ud800", "\\ud83d\\ude00", "é\\n"] {
        let text = format!("\"{}\"", escape.repeat(200_000));
        assert!(read(&text, None).is_ok());
    }
}
