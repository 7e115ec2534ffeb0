//! Lines for the log: each kind once or a few times a second at most, or once a minute, however often its cause comes.

use super::event::{Event, Level};
use super::reactor::Reactor;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

const PAUSE: Duration = Duration::from_secs(1);
/// Of what somebody has to set up in another way, and which comes again and again until then.
const LONG_PAUSE: Duration = Duration::from_secs(60);

/// What a line is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LogKind {
    /// An origin was refused.
    Origin,
    /// A client of another protocol revision.
    Version,
    /// Socket.IO asked for at another path.
    WrongPath,
    /// A session that this process has never had.
    UnknownSession,
    /// A session that it has no more.
    EndedSession,
    /// A websocket request without its Upgrade header.
    NoUpgrade,
    /// A namespace that the server does not have.
    Namespace,
    /// An upgrade that came to nothing.
    Probe,
    /// Any other refusal.
    Refused,
    /// A request that is no HTTP, or too large.
    BadRequest,
    /// No descriptor was left for a connection.
    Accept,
    /// A session was closed for what its peer did.
    Breach,
}

impl LogKind {
    /// Lines in a row.
    fn most(self) -> u64 {
        // These name a session each, which whoever looks for one wants to find.
        if self == Self::Breach { 10 } else { 1 }
    }

    /// A client that comes back late is nothing that anybody must act on.
    fn level(self) -> Level {
        if self == Self::EndedSession { Level::Debug } else { Level::Warning }
    }

    /// Time until the next.
    fn pause(self) -> Duration {
        if self == Self::UnknownSession { LONG_PAUSE } else { PAUSE }
    }
}

#[derive(Debug, Default)]
struct Said {
    since: Option<Instant>,
    lines: u64,
    kept_back: u64,
}

/// Remembers what was said lately.
#[derive(Debug, Default)]
pub struct Seldom(HashMap<LogKind, Said>);

impl Seldom {
    /// The line, with how many like it were kept back; None while enough of its kind was said a moment ago.
    pub fn admit(&mut self, kind: LogKind, mut line: String, now: Instant) -> Option<String> {
        let said = self.0.entry(kind).or_default();
        if said.since.is_none_or(|since| now >= since + kind.pause()) {
            if said.kept_back > 0 {
                // Writing to a String cannot fail.
                let _ = write!(line, " ({} more like it)", said.kept_back);
            }
            *said = Said { since: Some(now), lines: 0, kept_back: 0 };
        }
        if said.lines == kind.most() {
            said.kept_back += 1;
            return None;
        }
        said.lines += 1;
        Some(line)
    }
}

impl Reactor {
    /// Says a line.
    pub(super) fn log(&mut self, level: Level, message: String) {
        self.batch.events.push(Event::Log { level, message });
    }

    /// Says a line unless enough of its kind was said within the second.
    pub(super) fn log_seldom(&mut self, kind: LogKind, line: String, now: Instant) {
        if let Some(line) = self.seldom.admit(kind, line, now) {
            self.log(kind.level(), line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_said_once_a_second_and_counts_what_it_kept_back() {
        let start = Instant::now();
        let mut seldom = Seldom::default();
        let mut say = |kind, after| seldom.admit(kind, "line".into(), start + Duration::from_millis(after));
        assert_eq!(say(LogKind::Origin, 0).as_deref(), Some("line"));
        assert_eq!(say(LogKind::Origin, 10), None);
        assert_eq!(say(LogKind::Origin, 999), None);
        assert_eq!(say(LogKind::Version, 999).as_deref(), Some("line"));
        assert_eq!(say(LogKind::Origin, 1000).as_deref(), Some("line (2 more like it)"));
        let breaches = (0..30).filter_map(|after| say(LogKind::Breach, after)).count();
        assert_eq!(breaches, 10);
        assert_eq!(say(LogKind::Breach, 1000).as_deref(), Some("line (20 more like it)"));
    }
}
