//! The time as a half of siox takes it: the real one, or a virtual one that is moved by hand.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// See the module.
pub(super) struct Clock {
    start: Instant,
    is_virtual: bool,
    /// How far the virtual clock has moved, nanoseconds.
    moved: AtomicU64,
}

impl Clock {
    #[allow(clippy::disallowed_methods)] // a driver: the one place where the clock is read
    pub(super) fn new(is_virtual: bool) -> Self {
        Self { start: Instant::now(), is_virtual, moved: AtomicU64::new(0) }
    }

    #[allow(clippy::disallowed_methods)] // see above
    pub(super) fn now(&self) -> Instant {
        if self.is_virtual {
            self.start + Duration::from_nanos(self.moved.load(Ordering::Acquire))
        } else {
            Instant::now()
        }
    }

    /// When it began.
    pub(super) fn start(&self) -> Instant {
        self.start
    }

    pub(super) fn is_virtual(&self) -> bool {
        self.is_virtual
    }

    /// Moves the virtual clock, never back.
    pub(super) fn move_to(&self, time: Instant) {
        let nanos = u64::try_from(self.since_start(time).as_nanos()).unwrap_or(u64::MAX);
        self.moved.fetch_max(nanos, Ordering::AcqRel);
    }

    pub(super) fn since_start(&self, time: Instant) -> Duration {
        time.saturating_duration_since(self.start)
    }
}
