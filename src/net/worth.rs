//! What a packet is worth when its recipient does not read: whether it may be dropped, and for what.

use std::sync::Arc;

/// Names something of which only the newest counts, with the namespace that it is of. Cloning shares it.
pub type Subject = Arc<str>;

/// What may become of a packet that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// It stays: an answer, an event that asks for one, a word of the protocol.
    Kept,
    /// An event.
    Event,
    /// An event that is dropped rather than wait.
    Volatile,
}

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Worth {
    /// What may become of it.
    pub class: Class,
    /// Whose newest it is: one that waits already makes room for it.
    pub subject: Option<Subject>,
}

impl Worth {
    /// Of what stays.
    pub const KEPT: Self = Self { class: Class::Kept, subject: None };
    /// Of an event.
    pub const EVENT: Self = Self { class: Class::Event, subject: None };
    /// Of a volatile event.
    pub const VOLATILE: Self = Self { class: Class::Volatile, subject: None };

    /// Of an event of which only the newest counts.
    ///
    /// Subjects of two namespaces are two: no name of a namespace has a comma (Socket.IO protocol 5, "Packet
    /// encoding").
    pub fn latest(namespace: &str, key: &str) -> Self {
        Self { class: Class::Event, subject: Some(format!("{namespace},{key}").into()) }
    }

    /// The same of a volatile event, if it is one.
    #[must_use]
    pub fn volatile_if(mut self, volatile: bool) -> Self {
        if volatile {
            self.class = Class::Volatile;
        }
        self
    }
}

/// What happens to who is over its outbox's limit and does not catch up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Policy {
    /// Its session is closed.
    #[default]
    Disconnect,
    /// Events that wait are dropped, the oldest first. What is kept closes the session when it is too much.
    DropOldest,
    /// The same of volatile events alone.
    DropVolatile,
}

impl Policy {
    /// The option's words.
    pub const ALL: [Self; 3] = [Self::Disconnect, Self::DropOldest, Self::DropVolatile];

    /// The option's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Disconnect => "disconnect",
            Self::DropOldest => "drop_oldest",
            Self::DropVolatile => "drop_volatile",
        }
    }

    /// The policy of that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|policy| policy.as_str() == word)
    }

    /// Whether a packet of this class is dropped.
    pub fn drops(self, class: Class) -> bool {
        match self {
            Self::Disconnect => false,
            Self::DropOldest => class != Class::Kept,
            Self::DropVolatile => class == Class::Volatile,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_policy_has_its_word() {
        assert!(Policy::ALL.iter().all(|&policy| Policy::parse(policy.as_str()) == Some(policy)));
        assert_eq!(Policy::parse("drop_newest"), None);
    }

    #[test]
    fn what_is_kept_is_dropped_by_no_policy() {
        assert!(!Policy::ALL.iter().any(|policy| policy.drops(Class::Kept)));
    }

    #[test]
    fn subjects_of_two_namespaces_are_two() {
        assert_ne!(Worth::latest("/", "a,b"), Worth::latest("/,a", "b,"));
        assert_ne!(Worth::latest("/a", "b"), Worth::latest("/", "a,b"));
        assert_eq!(Worth::latest("/a", "b"), Worth::latest("/a", "b"));
        assert_eq!(Worth::EVENT.volatile_if(true), Worth::VOLATILE);
    }
}
