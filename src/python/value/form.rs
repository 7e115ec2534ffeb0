//! The form that objects are written in: JSON with attachments, or msgpack. The walk over the objects is one, and is
//! compiled for each.

use super::ffi;
use super::names::Names;
use crate::proto::json::{self, Key};
use crate::proto::msgpack;
use bytes::Bytes;
use pyo3::prelude::*;
use std::borrow::Cow;
use std::cell::Cell;

/// See the module. What one encoding has to keep is in the form itself.
pub(super) trait Form: Default {
    /// The most bytes that the form can speak of.
    const LARGEST: usize;
    /// A place for one value.
    type Slot<'b>: Slot;

    /// A place for a value of its own.
    fn slot(out: &mut Vec<u8>) -> Self::Slot<'_>;
    /// A place for an array's element. `lead` is the bracket or comma that JSON has before it.
    fn element(out: &mut Vec<u8>, lead: u8) -> Self::Slot<'_>;
    /// A place for a member's value, its key written, if that is plain: a str of ASCII. Runs no Python code.
    fn member<'b>(
        &mut self,
        out: &'b mut Vec<u8>,
        lead: u8,
        key: Borrowed<'_, '_, PyAny>,
    ) -> Option<Self::Slot<'b>>;

    /// A bracket, comma or colon, where the form has them.
    fn mark(out: &mut Vec<u8>, mark: u8);
    /// Says how many elements follow, where the form does.
    fn array(out: &mut Vec<u8>, len: usize);
    /// Says how many members follow, where the form does.
    fn object(out: &mut Vec<u8>, len: usize);

    /// A string in WTF-8: it has lone surrogates.
    fn wtf8(out: &mut Vec<u8>, text: &[u8]);
    /// An int that 64 signed bits do not hold, by its digits; false if it is beyond what the form can say.
    fn digits(out: &mut Vec<u8>, digits: &str) -> bool;
    /// Bytes.
    fn binary(out: &mut Vec<u8>, attachments: &mut Vec<Bytes>, data: Cow<'_, [u8]>);
}

/// A place for one value, what is before it already written.
pub(super) trait Slot {
    /// Writes a string.
    fn text(self, text: &str);
    /// Writes an integer.
    fn integer(self, value: i64);
    /// Writes a float, null in place of what JSON cannot say.
    fn float(self, value: f64);
    /// Writes a boolean.
    fn boolean(self, value: bool);
    /// Writes null.
    fn null(self);
    /// Leaves the place to a value that is written some other way.
    fn leave(self);
}

thread_local! {
    static NAMES: Cell<Option<Names>> = const { Cell::new(None) };
}

/// JSON, with the names whose written form is known: the thread's, from the first dict on. They are taken, not
/// borrowed, since Python code that runs meanwhile may encode in its turn.
#[derive(Default)]
pub(super) struct Json {
    names: Option<Names>,
}

impl Drop for Json {
    fn drop(&mut self) {
        if let Some(names) = self.names.take() {
            NAMES.set(Some(names));
        }
    }
}

// Each of these is a call of what it is for.
#[allow(clippy::inline_always, reason = "the slot stays in registers")]
impl Form for Json {
    const LARGEST: usize = usize::MAX;
    type Slot<'b> = json::Slot<'b>;

    #[inline(always)]
    fn slot(out: &mut Vec<u8>) -> json::Slot<'_> {
        json::Slot::new(out)
    }
    #[inline(always)]
    fn element(out: &mut Vec<u8>, lead: u8) -> json::Slot<'_> {
        json::Slot::element(out, lead)
    }
    #[inline]
    fn member<'b>(
        &mut self,
        out: &'b mut Vec<u8>,
        lead: u8,
        key: Borrowed<'_, '_, PyAny>,
    ) -> Option<json::Slot<'b>> {
        let names = self.names.get_or_insert_with(|| NAMES.take().unwrap_or_default());
        if let Some(name) = names.get(key.as_ptr().addr()) {
            return Some(json::Slot::member(out, lead, Key::Name(name)));
        }
        let (key, text) = ffi::ascii_str(&key)?;
        names.learn(key);
        Some(json::Slot::member(out, lead, Key::Text(text)))
    }
    #[inline(always)]
    fn mark(out: &mut Vec<u8>, mark: u8) {
        out.push(mark);
    }
    #[inline(always)]
    fn array(_out: &mut Vec<u8>, _len: usize) {}
    #[inline(always)]
    fn object(_out: &mut Vec<u8>, _len: usize) {}
    fn wtf8(out: &mut Vec<u8>, text: &[u8]) {
        json::write_wtf8(out, text);
    }
    fn digits(out: &mut Vec<u8>, digits: &str) -> bool {
        out.extend_from_slice(digits.as_bytes());
        true
    }
    fn binary(out: &mut Vec<u8>, attachments: &mut Vec<Bytes>, data: Cow<'_, [u8]>) {
        json::write_placeholder(out, attachments.len());
        attachments.push(Bytes::from(data.into_owned()));
    }
}

#[allow(clippy::inline_always, reason = "as above")]
impl Slot for json::Slot<'_> {
    #[inline(always)]
    fn text(self, text: &str) {
        self.text(text);
    }
    #[inline(always)]
    fn integer(self, value: i64) {
        self.integer(value);
    }
    #[inline(always)]
    fn float(self, value: f64) {
        self.float(value);
    }
    #[inline(always)]
    fn boolean(self, value: bool) {
        self.boolean(value);
    }
    #[inline(always)]
    fn null(self) {
        self.null();
    }
    #[inline(always)]
    fn leave(self) {
        self.leave();
    }
}

/// msgpack. A name is not looked through when it is written, so it is not worth remembering.
#[derive(Default)]
pub(super) struct Msgpack;

/// A place in msgpack: nothing stands between values.
pub(super) struct End<'b>(&'b mut Vec<u8>);

impl Form for Msgpack {
    /// It speaks of parts of this size at most, and no part is larger than the whole.
    const LARGEST: usize = msgpack::MAX_LEN;
    type Slot<'b> = End<'b>;

    #[inline]
    fn slot(out: &mut Vec<u8>) -> End<'_> {
        End(out)
    }
    #[inline]
    fn element(out: &mut Vec<u8>, _lead: u8) -> End<'_> {
        End(out)
    }
    #[inline]
    fn member<'b>(
        &mut self,
        out: &'b mut Vec<u8>,
        _lead: u8,
        key: Borrowed<'_, '_, PyAny>,
    ) -> Option<End<'b>> {
        let (_, text) = ffi::ascii_str(&key)?;
        msgpack::write_string(out, text);
        Some(End(out))
    }
    #[inline]
    fn mark(_out: &mut Vec<u8>, _mark: u8) {}
    #[inline]
    fn array(out: &mut Vec<u8>, len: usize) {
        msgpack::write_array(out, len);
    }
    #[inline]
    fn object(out: &mut Vec<u8>, len: usize) {
        msgpack::write_map(out, len);
    }
    fn wtf8(out: &mut Vec<u8>, text: &[u8]) {
        msgpack::write_wtf8(out, text);
    }
    /// Beyond 64 unsigned bits it is the float that whoever reads JSON makes of it.
    fn digits(out: &mut Vec<u8>, digits: &str) -> bool {
        if let Ok(value) = digits.parse() {
            msgpack::write_unsigned(out, value);
            return true;
        }
        let value = digits.parse().unwrap_or(f64::INFINITY);
        if value.is_finite() {
            msgpack::write_float(out, value);
        }
        value.is_finite()
    }
    fn binary(out: &mut Vec<u8>, _attachments: &mut Vec<Bytes>, data: Cow<'_, [u8]>) {
        msgpack::write_binary(out, &data);
    }
}

impl Slot for End<'_> {
    #[inline]
    fn text(self, text: &str) {
        msgpack::write_string(self.0, text);
    }
    #[inline]
    fn integer(self, value: i64) {
        msgpack::write_integer(self.0, value);
    }
    #[inline]
    fn float(self, value: f64) {
        msgpack::write_float(self.0, value);
    }
    #[inline]
    fn boolean(self, value: bool) {
        msgpack::write_boolean(self.0, value);
    }
    #[inline]
    fn null(self) {
        msgpack::write_nil(self.0);
    }
    #[inline]
    fn leave(self) {}
}
