//! A sink that builds `serde_json` values, binary ones as `{"base64": "…"}`: how the vectors write them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Map, Value, json};
use siox::proto::json::{Sink, Text};
use siox::proto::msgpack;
use siox::proto::socket::Parser;
use std::convert::Infallible;

/// Builds trees in which the attachments stand.
pub(crate) struct Tree<'a>(pub(crate) &'a [Bytes]);

pub(crate) fn binary(data: &[u8]) -> Value {
    json!({ "base64": STANDARD.encode(data) })
}

/// The bytes of what [`binary`] wrote.
pub(crate) fn as_binary(value: &Value) -> Option<Vec<u8>> {
    let object = value.as_object().filter(|object| object.len() == 1)?;
    Some(STANDARD.decode(object.get("base64")?.as_str()?).unwrap())
}

/// Writes a tree as the parser has it: the reverse of [`Tree`].
pub(crate) fn write(parser: Parser, value: &Value, out: &mut Vec<u8>, attachments: &mut Vec<Bytes>) {
    match parser {
        Parser::Json => write_json(value, out, attachments),
        Parser::Msgpack => write_msgpack(value, out),
    }
}

fn write_msgpack(value: &Value, out: &mut Vec<u8>) {
    if let Some(data) = as_binary(value) {
        return msgpack::write_binary(out, &data);
    }
    match value {
        Value::Null => msgpack::write_nil(out),
        Value::Bool(value) => msgpack::write_boolean(out, *value),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(value), _) => msgpack::write_integer(out, value),
            (_, Some(value)) => msgpack::write_unsigned(out, value),
            _ => msgpack::write_float(out, number.as_f64().unwrap()),
        },
        Value::String(text) => msgpack::write_string(out, text),
        Value::Array(items) => {
            msgpack::write_array(out, items.len());
            for item in items {
                write_msgpack(item, out);
            }
        }
        Value::Object(members) => {
            msgpack::write_map(out, members.len());
            for (key, item) in members {
                msgpack::write_string(out, key);
                write_msgpack(item, out);
            }
        }
    }
}

fn write_json(value: &Value, out: &mut Vec<u8>, attachments: &mut Vec<Bytes>) {
    fn replace(value: &Value, attachments: &mut Vec<Bytes>) -> Value {
        if let Some(data) = as_binary(value) {
            attachments.push(data.into());
            return json!({ "_placeholder": true, "num": attachments.len() - 1 });
        }
        match value {
            Value::Array(items) => items.iter().map(|item| replace(item, attachments)).collect(),
            Value::Object(members) => {
                members.iter().map(|(key, item)| (key.clone(), replace(item, attachments))).collect()
            }
            other => other.clone(),
        }
    }
    serde_json::to_writer(out, &replace(value, attachments)).unwrap();
}

impl Sink for Tree<'_> {
    type Value = Value;
    type Error = Infallible;
    type Array = Vec<Value>;
    type Object = Map<String, Value>;
    type Key = String;

    fn null(&mut self) -> Result<Value, Infallible> {
        Ok(Value::Null)
    }
    fn boolean(&mut self, value: bool) -> Result<Value, Infallible> {
        Ok(value.into())
    }
    fn integer(&mut self, value: i64) -> Result<Value, Infallible> {
        Ok(value.into())
    }
    fn unsigned(&mut self, value: u64) -> Result<Value, Infallible> {
        Ok(value.into())
    }
    fn float(&mut self, value: f64) -> Result<Value, Infallible> {
        Ok(value.into())
    }
    fn string(&mut self, text: Text<'_>) -> Result<Value, Infallible> {
        Ok(text.to_string_lossy().into())
    }
    fn attachment(&mut self, index: usize) -> Result<Value, Infallible> {
        Ok(binary(&self.0[index]))
    }
    fn binary(&mut self, data: &[u8]) -> Result<Value, Infallible> {
        Ok(binary(data))
    }
    fn begin_array(&mut self) -> Result<Vec<Value>, Infallible> {
        Ok(Vec::new())
    }
    fn push(&mut self, array: &mut Vec<Value>, value: Value) -> Result<(), Infallible> {
        array.push(value);
        Ok(())
    }
    fn end_array(&mut self, array: Vec<Value>) -> Result<Value, Infallible> {
        Ok(array.into())
    }
    fn begin_object(&mut self) -> Result<Map<String, Value>, Infallible> {
        Ok(Map::new())
    }
    fn key(&mut self, _object: &mut Map<String, Value>, text: Text<'_>) -> Result<String, Infallible> {
        Ok(text.to_string_lossy().into_owned())
    }
    fn insert(
        &mut self,
        object: &mut Map<String, Value>,
        key: String,
        value: Value,
    ) -> Result<(), Infallible> {
        object.insert(key, value);
        Ok(())
    }
    fn end_object(&mut self, object: Map<String, Value>) -> Result<Value, Infallible> {
        Ok(object.into())
    }
    fn discard_object(&mut self, _object: Map<String, Value>) {}
}
