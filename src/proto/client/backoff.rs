//! How long to wait before the next attempt to connect.
//!
//! Source: socket.io-client 4, `contrib/backo2.ts`, with one difference: there the cap comes after the
//! jitter, so that at the cap half of all clients wait exactly as long, and come back together. Here the
//! jitter stays inside the cap.

use std::time::Duration;

/// A delay beyond this is for ever, and sums with it overflow nothing.
const LONGEST: Duration = Duration::from_secs(u32::MAX as u64);

/// The delays of a series of attempts, each about twice as long as the one before.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Backoff {
    delay: Duration,
    max: Duration,
    factor: f64,
    attempts: u32,
}

impl Backoff {
    /// Begins at `delay` and grows to `max`, each give or take `factor` (0 to 1) of itself.
    pub(super) fn new(delay: Duration, max: Duration, factor: f64) -> Self {
        let factor = if factor.is_finite() { factor.clamp(0.0, 1.0) } else { 0.0 };
        let (delay, max) = (delay.min(LONGEST), max.min(LONGEST));
        Self { delay, max, factor, attempts: 0 }
    }

    /// How many delays were given since the beginning.
    pub(super) fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Begins anew.
    pub(super) fn reset(&mut self) {
        self.attempts = 0;
    }

    /// The next delay. `random` decides where between its bounds it lies.
    pub(super) fn next_delay(&mut self, random: u64) -> Duration {
        let doubled = 1u32.checked_shl(self.attempts).and_then(|times| self.delay.checked_mul(times));
        let base = doubled.unwrap_or(self.max).min(self.max);
        self.attempts = self.attempts.saturating_add(1);
        let low = base.mul_f64(1.0 - self.factor);
        let high = base.saturating_add(base.mul_f64(self.factor)).min(self.max);
        low + high.saturating_sub(low).mul_f64(fraction(random))
    }
}

/// A number from 0 to below 1.
#[allow(clippy::cast_precision_loss, reason = "53 bits are exact in a double")]
fn fraction(random: u64) -> f64 {
    (random >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELAY: Duration = Duration::from_secs(1);
    const MAX: Duration = Duration::from_secs(5);

    fn delays(random: u64, count: usize) -> Vec<f64> {
        let mut backoff = Backoff::new(DELAY, MAX, 0.5);
        (0..count).map(|_| backoff.next_delay(random).as_secs_f64()).collect()
    }

    #[test]
    fn delays_double_up_to_the_cap() {
        let mut backoff = Backoff::new(DELAY, MAX, 0.0);
        let delays: Vec<_> = (0..5).map(|_| backoff.next_delay(u64::MAX).as_secs()).collect();
        assert_eq!((delays, backoff.attempts()), (vec![1, 2, 4, 5, 5], 5));
        backoff.reset();
        assert_eq!((backoff.attempts(), backoff.next_delay(0)), (0, DELAY));
    }

    #[test]
    fn the_jitter_stays_inside_the_cap() {
        assert_eq!(delays(0, 5), [0.5, 1.0, 2.0, 2.5, 2.5]);
        let highest = delays(u64::MAX, 5);
        for (delay, bound) in highest.into_iter().zip([1.5, 3.0, 5.0, 5.0, 5.0]) {
            assert!(delay <= bound && bound - delay < 1e-6, "{delay} {bound}");
        }
    }

    #[test]
    fn at_the_cap_clients_do_not_come_back_together() {
        let mut seen: Vec<_> = (0..1000u64)
            .map(|client| {
                let mut backoff = Backoff::new(DELAY, MAX, 0.5);
                (0..10).map(|_| backoff.next_delay(client << 54)).next_back().unwrap()
            })
            .collect();
        seen.dedup();
        assert_eq!(seen.len(), 1000);
    }

    #[test]
    fn no_number_of_attempts_and_no_factor_breaks_it() {
        let mut backoff = Backoff::new(DELAY, MAX, f64::NAN);
        assert!((0..1000).all(|_| backoff.next_delay(7) <= MAX));
        let mut backoff = Backoff::new(MAX, DELAY, 9.0);
        assert!((0..100).all(|_| backoff.next_delay(u64::MAX) <= DELAY));
        let mut backoff = Backoff::new(Duration::MAX, Duration::MAX, 1.0);
        assert!(backoff.next_delay(u64::MAX) <= Duration::MAX);
        let mut none = Backoff::new(Duration::ZERO, Duration::ZERO, 0.5);
        assert_eq!(none.next_delay(u64::MAX), Duration::ZERO);
    }
}
