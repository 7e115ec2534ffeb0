//! The two transports of a session, by the names the wire gives them.

use std::fmt;

/// How a session's packets travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TransportKind {
    /// HTTP long-polling: GETs fetch, POSTs send.
    Polling,
    /// One WebSocket.
    WebSocket,
}

impl TransportKind {
    /// The name in the query, in `upgrades` and in the public API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Polling => "polling",
            Self::WebSocket => "websocket",
        }
    }

    /// Reads the name; WebTransport never comes in a query and is not offered.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "polling" => Some(Self::Polling),
            "websocket" => Some(Self::WebSocket),
            _ => None,
        }
    }
}

impl fmt::Display for TransportKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A set of transports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Transports {
    /// Whether polling is in the set.
    pub polling: bool,
    /// Whether WebSocket is in the set.
    pub websocket: bool,
}

impl Transports {
    /// Both of them.
    pub const ALL: Self = Self { polling: true, websocket: true };

    /// Whether `kind` is in the set.
    pub fn contains(self, kind: TransportKind) -> bool {
        match kind {
            TransportKind::Polling => self.polling,
            TransportKind::WebSocket => self.websocket,
        }
    }

    /// Puts `kind` into the set.
    pub fn insert(&mut self, kind: TransportKind) {
        match kind {
            TransportKind::Polling => self.polling = true,
            TransportKind::WebSocket => self.websocket = true,
        }
    }

    /// The transports of the set, polling first.
    pub fn iter(self) -> impl Iterator<Item = TransportKind> {
        [TransportKind::Polling, TransportKind::WebSocket]
            .into_iter()
            .filter(move |kind| self.contains(*kind))
    }
}

impl FromIterator<TransportKind> for Transports {
    fn from_iter<I: IntoIterator<Item = TransportKind>>(kinds: I) -> Self {
        let mut set = Self::default();
        set.extend(kinds);
        set
    }
}

impl Extend<TransportKind> for Transports {
    fn extend<I: IntoIterator<Item = TransportKind>>(&mut self, kinds: I) {
        for kind in kinds {
            self.insert(kind);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back_and_webtransport_is_unknown() {
        for kind in Transports::ALL.iter() {
            assert_eq!(TransportKind::parse(&kind.to_string()), Some(kind));
        }
        for name in ["", "webtransport", "Polling", "websocket "] {
            assert_eq!(TransportKind::parse(name), None, "{name}");
        }
    }

    #[test]
    fn a_set_holds_what_was_put_in() {
        let set: Transports = [TransportKind::WebSocket].into_iter().collect();
        assert!(set.contains(TransportKind::WebSocket) && !set.contains(TransportKind::Polling));
        assert_eq!(set.iter().count(), 1);
    }
}
