//! Python objects out of JSON and into it, in one pass each way.
//!
//! What each kind of object becomes: `design.md`, section 1, "Values out" and "Values in".

mod attachment;
mod class;
mod convert;
mod fault;
mod ffi;
mod key;
mod keys;
mod names;
mod read;
mod record;
mod sink;
mod write;

pub(crate) use read::{PayloadError, read_args, read_event, read_value};
pub(crate) use write::{EncodeOptions, as_answer, write_args, write_value, write_values};
