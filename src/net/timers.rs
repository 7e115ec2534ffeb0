//! A timer wheel: many deadlines, few of which ever come; setting one is a push, no allocation each.
//!
//! Four levels of 64 slots, one millisecond a tick at the lowest. A deadline beyond the highest level
//! waits in its last slot and is filed again when that comes round. Entries are never taken out: the
//! owner of a key compares the fired deadline with the one it wants now and sets again what moved.

use std::time::{Duration, Instant};

const LEVELS: u32 = 4;
const SLOTS: u64 = 64;
const SLOT_BITS: u32 = 6;

/// Deadlines of keys.
pub struct Timers<K> {
    start: Instant,
    /// All ticks below this one have fired.
    tick: u64,
    levels: Vec<Vec<Vec<(u64, K)>>>,
    occupied: [u64; LEVELS as usize],
}

impl<K: Copy> Timers<K> {
    /// An empty wheel whose first tick is `start`.
    pub fn new(start: Instant) -> Self {
        let level = || (0..SLOTS).map(|_| Vec::new()).collect();
        Self {
            start,
            tick: 0,
            levels: (0..LEVELS).map(|_| level()).collect(),
            occupied: [0; LEVELS as usize],
        }
    }

    /// How many deadlines are set, those included that their owner has forgotten.
    pub fn len(&self) -> usize {
        self.levels.iter().flatten().map(Vec::len).sum()
    }

    /// Whether none is set.
    pub fn is_empty(&self) -> bool {
        self.occupied == [0; LEVELS as usize]
    }

    /// Fires `key` at the first tick that is not before `deadline`.
    pub fn set(&mut self, deadline: Instant, key: K) {
        let after = deadline.saturating_duration_since(self.start);
        let tick = u64::try_from(after.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
        self.file(tick.max(self.tick), key);
    }

    fn file(&mut self, tick: u64, key: K) {
        let distance = tick ^ self.tick;
        let level = ((distance | 1).ilog2() / SLOT_BITS).min(LEVELS - 1);
        let reach = self.tick.saturating_add((SLOTS - 1) << (SLOT_BITS * (LEVELS - 1)));
        let slot = (tick.min(reach) >> (SLOT_BITS * level)) % SLOTS;
        if let Some(entries) =
            self.levels.get_mut(level as usize).and_then(|slots| slots.get_mut(slot as usize))
        {
            entries.push((tick, key));
        }
        if let Some(occupied) = self.occupied.get_mut(level as usize) {
            *occupied |= 1 << slot;
        }
    }

    /// The first tick at which a slot comes round, and that slot's level.
    fn next_slot(&self) -> Option<(u64, usize)> {
        let mut first: Option<(u64, usize)> = None;
        for (level, &occupied) in self.occupied.iter().enumerate() {
            if occupied == 0 {
                continue;
            }
            let shift = SLOT_BITS * u32::try_from(level).unwrap_or(0);
            let now = self.tick >> shift;
            let ahead = u64::from(occupied.rotate_right((now % SLOTS) as u32).trailing_zeros());
            let tick = ((now + ahead) << shift).max(self.tick);
            // At equal ticks the higher level goes first: its entries are filed into the lower ones.
            if first.is_none_or(|(best, _)| tick <= best) {
                first = Some((tick, level));
            }
        }
        first
    }

    /// When to call [`Timers::expire`] next: never late, at most one slot early.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let (tick, _) = self.next_slot()?;
        Some(self.start + Duration::from_millis(tick))
    }

    /// Moves the wheel to `now` and gives what has fired.
    pub fn expire(&mut self, now: Instant, fired: &mut Vec<K>) {
        let after = now.saturating_duration_since(self.start);
        let until = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
        while let Some((tick, level)) = self.next_slot().filter(|&(tick, _)| tick <= until) {
            self.tick = tick;
            let shift = SLOT_BITS * u32::try_from(level).unwrap_or(0);
            let slot = (tick >> shift) % SLOTS;
            if let Some(occupied) = self.occupied.get_mut(level) {
                *occupied &= !(1 << slot);
            }
            let slots = self.levels.get_mut(level);
            let entries = slots.and_then(|slots| slots.get_mut(slot as usize)).map(std::mem::take);
            for (deadline, key) in entries.unwrap_or_default() {
                if deadline <= tick {
                    fired.push(key);
                } else {
                    self.file(deadline, key);
                }
            }
        }
        self.tick = self.tick.max(until);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn what_is_due_fires_and_nothing_else() {
        let start = Instant::now();
        let mut timers = Timers::new(start);
        timers.set(start + ms(25_000), 'a');
        timers.set(start + ms(5), 'b');
        assert!(timers.poll_timeout().unwrap() <= start + ms(5));
        let mut fired = Vec::new();
        timers.expire(start + ms(4), &mut fired);
        assert!(fired.is_empty());
        timers.expire(start + ms(5), &mut fired);
        assert_eq!(fired, ['b']);
        timers.expire(start + ms(24_999), &mut fired);
        assert_eq!(fired, ['b']);
        timers.expire(start + ms(25_000), &mut fired);
        assert_eq!(fired, ['b', 'a']);
        assert_eq!(timers.poll_timeout(), None);
    }

    #[test]
    fn a_deadline_in_the_past_fires_at_the_next_expiry() {
        let start = Instant::now();
        let mut timers = Timers::new(start);
        let mut fired = Vec::new();
        timers.expire(start + ms(1000), &mut fired);
        timers.set(start + ms(10), 'a');
        assert!(timers.poll_timeout().unwrap() <= start + ms(1000));
        timers.expire(start + ms(1000), &mut fired);
        assert_eq!(fired, ['a']);
    }

    proptest! {
        #[test]
        fn each_deadline_fires_once_at_the_first_expiry_not_before_it(
            deadlines in prop::collection::vec(0u64..40_000_000, 1..40),
            steps in prop::collection::vec(1u64..400_000, 1..200),
        ) {
            let start = Instant::now();
            let mut timers = Timers::new(start);
            let mut waiting: Vec<u64> = deadlines.clone();
            for &deadline in &deadlines {
                timers.set(start + ms(deadline), deadline);
            }
            let mut now = 0;
            for step in steps {
                now += step;
                let next = waiting.iter().min().map(|&tick| start + ms(tick));
                prop_assert!(next.is_none_or(|next| timers.poll_timeout().is_some_and(|at| at <= next)));
                let mut fired = Vec::new();
                timers.expire(start + ms(now), &mut fired);
                let mut due: Vec<u64> = waiting.iter().copied().filter(|&tick| tick <= now).collect();
                waiting.retain(|&tick| tick > now);
                fired.sort_unstable();
                due.sort_unstable();
                prop_assert_eq!(fired, due);
            }
        }
    }
}
