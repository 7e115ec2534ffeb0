//! The strs of the member names and event names that were read last: the same few come again and again.

use super::ffi::AsciiStr;
use pyo3::prelude::*;
use pyo3::types::PyString;
use std::cell::Cell;

/// Places in the cache; a power of two.
const PLACES: usize = 1024;
/// Longer names are not kept, bytes.
const MAX_LEN: usize = 64;

thread_local! {
    static KEPT: Cell<Option<Keys>> = const { Cell::new(None) };
}

/// The cache: each name has one place, which the name that came last holds.
pub(super) struct Keys(Box<[Option<AsciiStr>]>);

impl Keys {
    /// This thread's cache, to be given back with [`keep`](Self::keep). Whoever asks meanwhile gets a new one.
    pub(super) fn take() -> Self {
        KEPT.take().unwrap_or_else(|| Self(std::iter::repeat_with(|| None).take(PLACES).collect()))
    }

    /// Gives the cache back.
    pub(super) fn keep(self) {
        KEPT.set(Some(self));
    }

    /// The str of an ASCII name.
    #[inline]
    pub(super) fn get<'py>(&mut self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyString>> {
        let bytes = name.as_bytes();
        if bytes.len() > MAX_LEN {
            return Ok(AsciiStr::new(py, name)?.into_bound(py));
        }
        let Some(place) = self.0.get_mut(hash(bytes) % PLACES) else {
            return Ok(AsciiStr::new(py, name)?.into_bound(py));
        };
        match place {
            Some(kept) if kept.as_bytes() == bytes => Ok(kept.bind(py).clone()),
            _ => Ok(place.insert(AsciiStr::new(py, name)?).bind(py).clone()),
        }
    }
}

/// Any hash will do: a collision costs one new str.
fn hash(bytes: &[u8]) -> usize {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let (words, tail) = bytes.as_chunks::<8>();
    let mut hash = bytes.len() as u64;
    for word in words {
        hash = (hash.rotate_left(5) ^ u64::from_le_bytes(*word)).wrapping_mul(FACTOR);
    }
    for byte in tail {
        hash = (hash.rotate_left(5) ^ u64::from(*byte)).wrapping_mul(FACTOR);
    }
    // The best bits of a product are the high ones; ten are wanted.
    (hash >> 40) as usize
}
