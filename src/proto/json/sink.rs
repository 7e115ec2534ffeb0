//! Where a reader puts what it reads, of JSON or of msgpack.

use super::Text;
use std::convert::Infallible;

/// Builds values of its own kind from what a [`Reader`](super::Reader) finds, in the order of the text. msgpack's
/// [`Reader`](crate::proto::msgpack::Reader) feeds it too.
///
/// An array or object is begun, filled and ended; its builder may be an index into the sink's own stack, since
/// builders are ended in the reverse order of their beginning. When reading fails midway, the builders that are
/// open are dropped and the sink is to be thrown away.
pub trait Sink {
    /// A finished value.
    type Value;
    /// Why a value could not be built.
    type Error;
    /// An array that is being filled.
    type Array;
    /// An object that is being filled.
    type Object;
    /// A member's name.
    type Key;

    /// `null`.
    fn null(&mut self) -> Result<Self::Value, Self::Error>;
    /// `true` or `false`.
    fn boolean(&mut self, value: bool) -> Result<Self::Value, Self::Error>;
    /// A number without fraction or exponent that 64 signed bits hold.
    fn integer(&mut self, value: i64) -> Result<Self::Value, Self::Error>;
    /// A number without fraction or exponent that only 64 unsigned bits hold.
    fn unsigned(&mut self, value: u64) -> Result<Self::Value, Self::Error>;
    /// Any other number; always finite.
    fn float(&mut self, value: f64) -> Result<Self::Value, Self::Error>;
    /// A string.
    fn string(&mut self, text: Text<'_>) -> Result<Self::Value, Self::Error>;
    /// An event's name: one of few, so a sink may keep those it has built.
    fn name(&mut self, text: Text<'_>) -> Result<Self::Value, Self::Error> {
        self.string(text)
    }
    /// Attachment `index` of the packet; below the count the reader was told.
    fn attachment(&mut self, index: usize) -> Result<Self::Value, Self::Error>;
    /// Bytes that stand where they belong: msgpack has them, JSON's are attachments.
    fn binary(&mut self, data: &[u8]) -> Result<Self::Value, Self::Error>;

    /// Begins an array.
    fn begin_array(&mut self) -> Result<Self::Array, Self::Error>;
    /// Appends an element.
    fn push(&mut self, array: &mut Self::Array, value: Self::Value) -> Result<(), Self::Error>;
    /// Ends an array.
    fn end_array(&mut self, array: Self::Array) -> Result<Self::Value, Self::Error>;

    /// Begins an object.
    fn begin_object(&mut self) -> Result<Self::Object, Self::Error>;
    /// A member's name; its value follows.
    fn key(&mut self, object: &mut Self::Object, text: Text<'_>) -> Result<Self::Key, Self::Error>;
    /// A member's value. A name may come again: the last one counts.
    fn insert(
        &mut self,
        object: &mut Self::Object,
        key: Self::Key,
        value: Self::Value,
    ) -> Result<(), Self::Error>;
    /// Ends an object.
    fn end_object(&mut self, object: Self::Object) -> Result<Self::Value, Self::Error>;
    /// Throws a filled object away: it was the placeholder of an attachment.
    fn discard_object(&mut self, object: Self::Object);
}

/// A sink that keeps nothing: reading into it checks a text.
#[derive(Debug, Clone, Copy, Default)]
pub struct Skip;

impl Sink for Skip {
    type Value = ();
    type Error = Infallible;
    type Array = ();
    type Object = ();
    type Key = ();

    fn null(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
    fn boolean(&mut self, _value: bool) -> Result<(), Infallible> {
        Ok(())
    }
    fn integer(&mut self, _value: i64) -> Result<(), Infallible> {
        Ok(())
    }
    fn unsigned(&mut self, _value: u64) -> Result<(), Infallible> {
        Ok(())
    }
    fn float(&mut self, _value: f64) -> Result<(), Infallible> {
        Ok(())
    }
    fn string(&mut self, _text: Text<'_>) -> Result<(), Infallible> {
        Ok(())
    }
    fn attachment(&mut self, _index: usize) -> Result<(), Infallible> {
        Ok(())
    }
    fn binary(&mut self, _data: &[u8]) -> Result<(), Infallible> {
        Ok(())
    }
    fn begin_array(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
    fn push(&mut self, _array: &mut (), _value: ()) -> Result<(), Infallible> {
        Ok(())
    }
    fn end_array(&mut self, _array: ()) -> Result<(), Infallible> {
        Ok(())
    }
    fn begin_object(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
    fn key(&mut self, _object: &mut (), _text: Text<'_>) -> Result<(), Infallible> {
        Ok(())
    }
    fn insert(&mut self, _object: &mut (), _key: (), _value: ()) -> Result<(), Infallible> {
        Ok(())
    }
    fn end_object(&mut self, _object: ()) -> Result<(), Infallible> {
        Ok(())
    }
    fn discard_object(&mut self, _object: ()) {}
}
