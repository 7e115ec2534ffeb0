//! The strs of the member names and event names that were read last: the same few come again and again.

use super::ffi::AsciiStr;
use pyo3::prelude::*;
use pyo3::types::PyString;

/// Pairs of places in the cache; a power of two.
const PLACES: usize = 512;
/// Longer names are not kept, bytes.
const MAX_LEN: usize = 64;

/// The cache: each name has two places side by side; the older of two names goes when a third comes.
pub(super) struct Keys(Box<[[Option<AsciiStr>; 2]]>);

impl Keys {
    /// An empty cache.
    pub(super) fn new() -> Self {
        Self(std::iter::repeat_with(|| [None, None]).take(PLACES).collect())
    }

    /// The str of an ASCII name.
    #[inline]
    pub(super) fn get<'py>(&mut self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyString>> {
        let bytes = name.as_bytes();
        if let (true, Some([first, second])) = (bytes.len() <= MAX_LEN, self.0.get_mut(hash(bytes) % PLACES))
        {
            for place in [&mut *first, &mut *second] {
                if let Some(kept) = place
                    && same(kept.as_bytes(), bytes)
                {
                    return Ok(kept.bind(py).clone());
                }
            }
            *second = first.take();
            return Ok(first.insert(AsciiStr::new(py, name)?).bind(py).clone());
        }
        Ok(AsciiStr::new(py, name)?.into_bound(py))
    }
}

/// Whether two names are the same: names are short, so a call for it would cost more than the comparing.
#[inline]
fn same(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    if let (Some(one_end), Some(other_end)) = (one.last_chunk::<8>(), other.last_chunk::<8>()) {
        let pairs = one.as_chunks::<8>().0.iter().zip(other.as_chunks::<8>().0);
        return one_end == other_end && pairs.into_iter().all(|(one, other)| one == other);
    }
    if let (Some(one_end), Some(other_end)) = (one.last_chunk::<4>(), other.last_chunk::<4>()) {
        return one_end == other_end && one.first_chunk::<4>() == other.first_chunk::<4>();
    }
    one.iter().zip(other).all(|(one, other)| one == other)
}

/// Any hash will do: a collision costs one new str. Of long names the ends and every eighth byte between them count.
#[inline]
fn hash(bytes: &[u8]) -> usize {
    let len = bytes.len() as u64;
    let (first, last) = match (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        (Some(first), Some(last)) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
        _ => match (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
            (Some(first), Some(last)) => {
                (u64::from(u32::from_le_bytes(*first)), u64::from(u32::from_le_bytes(*last)))
            }
            _ => bytes.iter().fold((0, 0), |(word, _), byte| (word << 8 | u64::from(*byte), 0)),
        },
    };
    let middle = bytes.get(8..).unwrap_or_default().chunks_exact(8);
    let first = middle
        .fold(first, |word, chunk| word.rotate_left(7) ^ chunk.first().map_or(0, |byte| u64::from(*byte)));
    let product = u128::from(first ^ 0x9e37_79b9_7f4a_7c15) * u128::from(last ^ len ^ 0xd6e8_feb8_6659_fd93);
    // Both halves of the product depend on all of it; the caller wants a few bits.
    let [low, high] = [product, product >> 64].map(|half| half & u128::from(u64::MAX));
    usize::try_from((low ^ high) & 0xffff_ffff).unwrap_or_default()
}
