//! The written forms of the dict keys that were written last: the same few come again and again.
//!
//! A key is known by its address, so only strs that are interned are kept (the names in a program's text are), and
//! each is held, so that its address stays its own.

use super::ffi;
use crate::proto::json::Name;
use pyo3::prelude::*;
use pyo3::types::PyString;

/// Pairs of places in the cache; a power of two.
const PLACES: usize = 256;

/// The cache: each key has two places side by side; the older of two goes when a third comes.
pub(super) struct Names(Box<[[Option<Known>; 2]]>);

struct Known {
    key: Py<PyString>,
    name: Name,
}

impl Default for Names {
    fn default() -> Self {
        Self(std::iter::repeat_with(|| [None, None]).take(PLACES).collect())
    }
}

impl Names {
    /// The written form of the key at an address, if there is a str that is known.
    #[inline]
    pub(super) fn get(&self, address: usize) -> Option<&Name> {
        let places = self.0.get(place(address))?;
        places.iter().flatten().find(|known| known.key.as_ptr().addr() == address).map(|known| &known.name)
    }

    /// Keeps a key, if it is one that will come again.
    #[cold]
    pub(super) fn learn(&mut self, key: &Bound<'_, PyString>) {
        if let (true, Some([first, second])) =
            (ffi::is_interned(key), self.0.get_mut(place(key.as_ptr().addr())))
            && let Some(name) = ffi::utf8(key).and_then(Name::new)
        {
            *second = first.take();
            *first = Some(Known { key: key.clone().unbind(), name });
        }
    }
}

/// Objects lie at multiples of sixteen, and strs of one length at multiples of more.
#[inline]
fn place(address: usize) -> usize {
    ((address >> 4) ^ (address >> 11)) % PLACES
}
