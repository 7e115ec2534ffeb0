//! The JSON with which Engine.IO's servers refuse a request.

use crate::proto::json::{ReadOptions, Reader, Sink, Text};
use std::convert::Infallible;

/// What Engine.IO says when it refuses: `{"code":1,"message":"Session ID unknown"}`, of python-engineio a
/// string.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct EngineError {
    pub(super) code: Option<u16>,
    pub(super) message: Option<String>,
}

pub(super) fn engine_error(body: &[u8]) -> Option<EngineError> {
    let text = std::str::from_utf8(body).ok()?;
    let mut reader = Reader::new(text, ReadOptions::default());
    let value = reader.value(&mut ErrorSink).ok()?;
    reader.finish().ok()?;
    match value {
        Value::Object(error) if error.message.is_some() => Some(error),
        Value::Text(message) => Some(EngineError { code: None, message: Some(message) }),
        _ => None,
    }
}

/// Builds an [`EngineError`] from its JSON.
struct ErrorSink;

enum Value {
    Text(String),
    Number(i64),
    Object(EngineError),
    Other,
}

enum Member {
    Code,
    Message,
    Other,
}

impl Sink for ErrorSink {
    type Value = Value;
    type Error = Infallible;
    type Array = ();
    type Object = EngineError;
    type Key = Member;

    fn null(&mut self) -> Result<Value, Infallible> {
        Ok(Value::Other)
    }
    fn boolean(&mut self, _value: bool) -> Result<Value, Infallible> {
        Ok(Value::Other)
    }
    fn integer(&mut self, value: i64) -> Result<Value, Infallible> {
        Ok(Value::Number(value))
    }
    fn unsigned(&mut self, _value: u64) -> Result<Value, Infallible> {
        Ok(Value::Other)
    }
    fn float(&mut self, _value: f64) -> Result<Value, Infallible> {
        Ok(Value::Other)
    }
    fn string(&mut self, text: Text<'_>) -> Result<Value, Infallible> {
        Ok(text.as_str().map_or(Value::Other, |text| Value::Text(text.to_owned())))
    }
    fn attachment(&mut self, _index: usize) -> Result<Value, Infallible> {
        Ok(Value::Other)
    }
    fn binary(&mut self, _data: &[u8]) -> Result<Value, Infallible> {
        Ok(Value::Other)
    }
    fn begin_array(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
    fn push(&mut self, _array: &mut (), _value: Value) -> Result<(), Infallible> {
        Ok(())
    }
    fn end_array(&mut self, _array: ()) -> Result<Value, Infallible> {
        Ok(Value::Other)
    }
    fn begin_object(&mut self) -> Result<EngineError, Infallible> {
        Ok(EngineError::default())
    }
    fn key(&mut self, _object: &mut EngineError, text: Text<'_>) -> Result<Member, Infallible> {
        Ok(match text.as_bytes() {
            b"code" => Member::Code,
            b"message" => Member::Message,
            _ => Member::Other,
        })
    }
    fn insert(&mut self, object: &mut EngineError, key: Member, value: Value) -> Result<(), Infallible> {
        match (key, value) {
            (Member::Code, Value::Number(code)) => object.code = u16::try_from(code).ok(),
            (Member::Message, Value::Text(message)) => object.message = Some(message),
            _ => {}
        }
        Ok(())
    }
    fn end_object(&mut self, object: EngineError) -> Result<Value, Infallible> {
        Ok(Value::Object(object))
    }
    fn discard_object(&mut self, _object: EngineError) {}
}
