//! Random bytes, which the machines are given as they are told the time: masks, keys of handshakes.

use std::fmt;
use std::sync::Arc;

/// Where random bytes come from. A clone draws from the same source.
#[derive(Clone)]
pub struct Random(Arc<Fill>);

type Fill = dyn Fn(&mut [u8]) + Send + Sync;

impl Random {
    /// A source that fills a buffer; for masks and keys it has to be unpredictable (RFC 6455, 10.3).
    pub fn new(fill: impl Fn(&mut [u8]) + Send + Sync + 'static) -> Self {
        Self(Arc::new(fill))
    }

    /// Fills `bytes`.
    pub fn fill(&self, bytes: &mut [u8]) {
        (self.0)(bytes);
    }
}

impl fmt::Debug for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Random")
    }
}

/// How many masks are drawn at a time: the source is often a call into the kernel.
const MASKS: usize = 64;

/// The masks of a client's frames, a fresh one each.
pub(super) struct Masks {
    random: Random,
    drawn: [[u8; 4]; MASKS],
    left: usize,
}

impl Masks {
    pub(super) fn new(random: Random) -> Self {
        Self { random, drawn: [[0; 4]; MASKS], left: 0 }
    }

    /// The next one.
    #[inline]
    pub(super) fn draw(&mut self) -> [u8; 4] {
        if self.left == 0 {
            self.random.fill(self.drawn.as_flattened_mut());
            self.left = MASKS;
        }
        self.left -= 1;
        self.drawn.get(self.left).copied().unwrap_or_default()
    }

    /// Random bytes for something else than a mask.
    pub(super) fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.random.fill(&mut bytes);
        bytes
    }
}

impl fmt::Debug for Masks {
    /// Without those that are still to come.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Masks").field("left", &self.left).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU8, Ordering};

    #[test]
    fn no_mask_is_given_out_twice() {
        let next = AtomicU8::new(0);
        let fill = move |bytes: &mut [u8]| bytes.fill_with(|| next.fetch_add(1, Ordering::Relaxed));
        let mut masks = Masks::new(Random::new(fill));
        let mut drawn: Vec<_> = (0..MASKS).map(|_| masks.draw()).collect();
        drawn.sort_unstable();
        drawn.dedup();
        assert_eq!(drawn.len(), MASKS);
        assert_ne!(masks.bytes::<16>(), masks.bytes::<16>());
        assert_eq!(format!("{masks:?}"), "Masks { left: 0, .. }");
    }
}
