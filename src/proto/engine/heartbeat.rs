//! Ping and pong deadlines. The server sends pings and waits for pongs; the client waits for pings.
//!
//! Deadlines that no clock can hold (a peer may announce any interval) are none.

use crate::proto::limits;
use std::time::{Duration, Instant};

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waiting {
    /// Server: until the next ping is due.
    ForPing,
    /// Server: for the pong to our ping. Client: for the server's next ping.
    ForPeer,
}

/// The heartbeat of one session.
#[derive(Debug)]
pub(super) struct Heartbeat {
    deadline: Option<Instant>,
    waiting: Waiting,
    paused: Option<Paused>,
}

/// What happens while the driver does not read, so that the peer's word cannot arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Paused {
    /// Server: pings go out all the same, or the peer would give us up.
    Pinging,
    /// Client: nobody is lost.
    Waiting,
}

/// What a deadline that has passed asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Beat {
    /// Send a ping.
    Ping,
    /// The peer is lost.
    Lost,
}

impl Heartbeat {
    /// A heartbeat that is not started.
    pub(super) fn stopped() -> Self {
        Self { deadline: None, waiting: Waiting::ForPeer, paused: None }
    }

    /// Server: the next ping is due after `interval`.
    pub(super) fn schedule_ping(&mut self, interval: Duration, now: Instant) {
        (self.waiting, self.deadline) = (Waiting::ForPing, now.checked_add(interval));
    }

    /// The peer has `time` to give a sign.
    pub(super) fn wait_for_peer(&mut self, time: Duration, now: Instant) {
        (self.waiting, self.deadline) = (Waiting::ForPeer, now.checked_add(time));
    }

    /// Server: whether a ping is out and its pong is not yet there.
    pub(super) fn owes_pong(&self) -> bool {
        self.waiting == Waiting::ForPeer
    }

    /// Nothing is due any more.
    pub(super) fn stop(&mut self) {
        *self = Self::stopped();
    }

    /// While paused nothing is due, save a ping.
    pub(super) fn set_paused(&mut self, paused: Option<Paused>) {
        self.paused = paused;
    }

    pub(super) fn is_paused(&self) -> bool {
        self.paused.is_some()
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.deadline.filter(|_| self.paused != Some(Paused::Waiting))
    }

    /// What is due at `now`; the caller arms the next deadline.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> Option<Beat> {
        self.poll_timeout().filter(|deadline| *deadline <= now)?;
        Some(if self.owes_pong() && !self.is_paused() { Beat::Lost } else { Beat::Ping })
    }
}

/// A time in whole milliseconds, as a session keeps what the server announced.
pub(super) fn millis(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}

/// The silence after which a client gives its server up.
pub(super) fn client_budget(interval: Duration, timeout: Duration) -> u32 {
    let announced = interval.saturating_add(timeout);
    // A server that announces nothing sensible is still lost some time.
    let fallback = limits::PING_INTERVAL + limits::PING_TIMEOUT;
    millis(if announced.is_zero() { fallback } else { announced })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_ping_is_due_after_the_interval_and_the_peer_lost_after_the_timeout() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::stopped();
        assert_eq!((heartbeat.poll_timeout(), heartbeat.handle_timeout(start)), (None, None));
        heartbeat.schedule_ping(25 * SECOND, start);
        assert_eq!(heartbeat.handle_timeout(start + 24 * SECOND), None);
        assert_eq!(heartbeat.handle_timeout(start + 25 * SECOND), Some(Beat::Ping));
        heartbeat.wait_for_peer(20 * SECOND, start + 25 * SECOND);
        assert_eq!(heartbeat.handle_timeout(start + 44 * SECOND), None);
        assert_eq!(heartbeat.handle_timeout(start + 45 * SECOND), Some(Beat::Lost));
    }

    #[test]
    fn while_reading_is_paused_pings_go_on_and_nobody_is_lost() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::stopped();
        heartbeat.set_paused(Some(Paused::Pinging));
        heartbeat.schedule_ping(SECOND, start);
        for beat in 1..5 {
            assert_eq!(heartbeat.handle_timeout(start + beat * SECOND), Some(Beat::Ping));
            heartbeat.wait_for_peer(SECOND, start + beat * SECOND);
        }
        heartbeat.set_paused(None);
        assert_eq!(heartbeat.handle_timeout(start + 99 * SECOND), Some(Beat::Lost));
    }

    #[test]
    fn a_client_that_does_not_read_waits() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::stopped();
        heartbeat.set_paused(Some(Paused::Waiting));
        heartbeat.wait_for_peer(SECOND, start);
        assert_eq!((heartbeat.poll_timeout(), heartbeat.handle_timeout(start + 99 * SECOND)), (None, None));
        heartbeat.set_paused(None);
        assert_eq!(heartbeat.handle_timeout(start + 99 * SECOND), Some(Beat::Lost));
    }

    #[test]
    fn a_deadline_beyond_the_clock_is_none() {
        let mut heartbeat = Heartbeat::stopped();
        heartbeat.schedule_ping(Duration::MAX, Instant::now());
        assert_eq!(heartbeat.poll_timeout(), None);
        assert_eq!(client_budget(Duration::MAX, Duration::MAX), u32::MAX);
        assert_eq!(client_budget(Duration::ZERO, Duration::ZERO), 45_000);
    }
}
