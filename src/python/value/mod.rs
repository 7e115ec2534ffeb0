//! Python objects out of JSON or msgpack and into it, in one pass each way.
//!
//! What each kind of object becomes: `design.md`, section 1, "Values out" and "Values in".

mod attachment;
mod class;
mod convert;
mod encode;
mod fault;
mod ffi;
mod form;
mod key;
mod keys;
mod names;
mod read;
mod record;
mod sink;
mod write;

pub(crate) use encode::EncodeOptions;
pub(crate) use read::{PayloadError, read_args, read_event, read_value};
pub(crate) use write::as_answer;
