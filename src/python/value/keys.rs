//! The strs of the member names and event names that were read last: the same few come again and again.

use super::ffi::AsciiStr;
use pyo3::prelude::*;
use pyo3::types::PyString;

/// Pairs of places in the cache; a power of two.
const PLACES: usize = 512;
/// Longer names are not kept, bytes.
const MAX_LEN: usize = 64;

/// The cache: each name has two places side by side; the older of two names goes when a third comes.
pub(super) struct Keys(Box<[[Option<Known>; 2]]>);

struct Known {
    ends: Ends,
    key: AsciiStr,
}

impl Keys {
    /// An empty cache.
    pub(super) fn new() -> Self {
        Self(std::iter::repeat_with(|| [None, None]).take(PLACES).collect())
    }

    /// The str of an ASCII name.
    #[inline]
    pub(super) fn get<'py>(&mut self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyString>> {
        let bytes = name.as_bytes();
        let ends = Ends::of(bytes);
        if let (true, Some(places)) = (bytes.len() <= MAX_LEN, self.0.get_mut(ends.hash() % PLACES)) {
            for known in places.iter().flatten() {
                if known.ends == ends && (bytes.len() <= Ends::ALL || known.key.as_bytes() == bytes) {
                    return Ok(known.key.bind(py).clone());
                }
            }
            let [first, second] = places;
            *second = first.take();
            let key = AsciiStr::new(py, name)?;
            return Ok(first.insert(Known { ends, key }).key.bind(py).clone());
        }
        Ok(AsciiStr::new(py, name)?.into_bound(py))
    }
}

/// The first and the last eight bytes of a name, or fewer: of a short name all there is to know.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Ends {
    first: u64,
    last: u64,
    len: usize,
}

impl Ends {
    /// Names of so many bytes are the same if their ends are.
    const ALL: usize = 16;

    #[inline]
    fn of(bytes: &[u8]) -> Self {
        let len = bytes.len();
        let (first, last) =
            if let (Some(first), Some(last)) = (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
                (u64::from_le_bytes(*first), u64::from_le_bytes(*last))
            } else if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
                (u64::from(u32::from_le_bytes(*first)), u64::from(u32::from_le_bytes(*last)))
            } else {
                // Up to three: the middle one is the first or the last again if there are fewer.
                let at = |index| bytes.get(index).map_or(0, |byte| u64::from(*byte));
                (at(0) | at(len / 2) << 8, at(len.saturating_sub(1)))
            };
        Self { first, last, len }
    }

    /// Any hash will do: a collision costs one new str.
    #[inline]
    fn hash(self) -> usize {
        let word =
            (self.first ^ self.last.rotate_left(23) ^ self.len as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        usize::try_from(word >> 40).unwrap_or_default()
    }
}
