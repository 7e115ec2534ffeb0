//! For tests: a sink that builds `serde_json` values, attachments as `{"attachment": n}`, bytes as `{"binary": […]}`.

use super::{Sink, Text};
use serde_json::{Map, Value, json};
use std::convert::Infallible;

/// Builds a tree.
#[derive(Debug, Default)]
pub(crate) struct Tree;

impl Sink for Tree {
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
        Ok(json!({ "attachment": index }))
    }
    fn binary(&mut self, data: &[u8]) -> Result<Value, Infallible> {
        Ok(json!({ "binary": data }))
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
