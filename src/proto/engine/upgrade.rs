//! Where the move from polling to WebSocket stands, and why one fails (engine.io-protocol 4, "Upgrade").
//!
//! Server: WebSocket opened, `2probe` answered by `3probe`, waiting polls let go, `5` switches.
//! Client: `2probe` sent, on `3probe` polling is paused, when nothing is under way `5` switches.

use crate::proto::limits;
use std::time::Instant;
use thiserror::Error;

/// The state of the upgrade; its transitions are the session's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Upgrade {
    /// No WebSocket is tried.
    Idle,
    /// The WebSocket is open; the probe is not answered yet.
    Opened {
        /// When the attempt is given up.
        deadline: Option<Instant>,
    },
    /// The probe is answered.
    Probed {
        /// When the attempt is given up.
        deadline: Option<Instant>,
        /// Server: from when on a waiting poll is let go.
        next_noop: Option<Instant>,
    },
    /// The session is on the WebSocket.
    Done,
}

impl Upgrade {
    pub(super) fn is_trying(self) -> bool {
        matches!(self, Self::Opened { .. } | Self::Probed { .. })
    }

    pub(super) fn is_probed(self) -> bool {
        matches!(self, Self::Probed { .. })
    }

    pub(super) fn deadline(self) -> Option<Instant> {
        match self {
            Self::Opened { deadline } | Self::Probed { deadline, .. } => deadline,
            Self::Idle | Self::Done => None,
        }
    }

    pub(super) fn next_noop(self) -> Option<Instant> {
        match self {
            Self::Probed { next_noop, .. } => next_noop,
            _ => None,
        }
    }

    /// The probe was answered. Server: a waiting poll may be let go from `now` on.
    pub(super) fn probed(self, now: Instant) -> Self {
        Self::Probed { deadline: self.deadline(), next_noop: Some(now) }
    }

    /// Whether a waiting poll is let go now; if so, the next one waits its interval.
    pub(super) fn take_noop(&mut self, now: Instant) -> bool {
        match self {
            Self::Probed { next_noop, .. } if next_noop.is_some_and(|due| due <= now) => {
                *next_noop = now.checked_add(limits::UPGRADE_NOOP_INTERVAL);
                true
            }
            _ => false,
        }
    }
}

/// Why a WebSocket may not become a session's transport; the driver closes it without a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ProbeRefused {
    /// The session is closed, or was never opened.
    #[error("upgrade attempt for a closed session")]
    Closed,
    /// Another WebSocket is being tried.
    #[error("the session is already trying to upgrade")]
    Upgrading,
    /// The session is on a WebSocket.
    #[error("the session has already been upgraded")]
    Upgraded,
    /// Upgrades are switched off.
    #[error("upgrades are not allowed")]
    NotAllowed,
}

/// Why an upgrade failed; the session stays on polling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ProbeFailure {
    /// Not completed in time.
    #[error("not completed in time")]
    Timeout,
    /// The WebSocket closed or failed.
    #[error("WebSocket closed")]
    Closed,
    /// Something other than the dance's next step.
    #[error("unexpected packet")]
    UnexpectedPacket,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_poll_is_let_go_at_once_and_then_once_an_interval() {
        let start = Instant::now();
        let mut upgrade = Upgrade::Opened { deadline: Some(start) };
        assert!(!upgrade.take_noop(start));
        upgrade = upgrade.probed(start);
        assert_eq!(upgrade.deadline(), Some(start));
        assert!(upgrade.take_noop(start) && !upgrade.take_noop(start));
        assert_eq!(upgrade.next_noop(), Some(start + limits::UPGRADE_NOOP_INTERVAL));
        assert!(upgrade.take_noop(start + limits::UPGRADE_NOOP_INTERVAL));
    }
}
