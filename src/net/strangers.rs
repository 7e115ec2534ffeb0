//! Requests that name a session which this process does not have: why that may be, and what to do about it.
//!
//! The client gets the protocol's answer in any case (Engine.IO protocol 4: 400, code 1). A session dies within
//! a ping interval and a ping timeout of its process's end, so an id from before that was given out by another.

use super::log::LogKind;
use super::reactor::Reactor;
use crate::proto::engine::Query;
use crate::proto::http::Head;
use crate::proto::limits;
use crate::proto::sid::Sid;
use std::collections::VecDeque;
use std::time::Instant;

/// Ids of sessions that have ended lately.
#[derive(Debug, Default)]
pub struct Ended(VecDeque<Sid>);

impl Ended {
    /// One more.
    pub fn add(&mut self, sid: Sid) {
        if self.0.len() == limits::ENDED_SESSIONS {
            self.0.pop_front();
        }
        self.0.push_back(sid);
    }

    /// Whether it is one of them.
    pub fn has(&self, sid: &Sid) -> bool {
        self.0.contains(sid)
    }
}

const WAYS_OUT: &str = "let the proxy send each client to one process (sticky sessions: a cookie, or by its address), offer \
only the websocket transport (transports=[\"websocket\"] here and in the clients), or serve from one process (io_threads \
uses more cores)";

impl Reactor {
    /// Says why a request may name a session that is not here.
    pub(super) fn log_unknown_session(&mut self, head: &Head, now: Instant) {
        let session = &self.options.session;
        let longest = session.ping_interval + session.ping_timeout;
        let sid = Query::parse(head.query()).sid.as_deref().and_then(Sid::parse);
        let (kind, line) = match sid {
            None => (
                LogKind::Refused,
                "a request named a session that this process does not know: no server gives out ids of that form"
                    .to_owned(),
            ),
            Some(sid) if self.shards.has_ended(&sid) => (
                LogKind::EndedSession,
                "a request named a session that has ended: its client finds that out by this, and comes back"
                    .to_owned(),
            ),
            Some(_) if now < self.born + longest => (
                LogKind::UnknownSession,
                format!(
                    "a request named a session that this process does not know: it is older than the process, and its \
                     client comes back, or several processes serve without sticky sessions; then {WAYS_OUT}"
                ),
            ),
            Some(_) => (
                LogKind::UnknownSession,
                format!(
                    "a request named a session that this process has never had: another process gave it out. Unless that \
                     one has just ended, several processes serve without sticky sessions, and polling clients cannot \
                     connect: {WAYS_OUT}"
                ),
            ),
        };
        self.log_seldom(kind, line, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::sid::RANDOM_BYTES;

    #[test]
    fn the_last_so_many_are_remembered() {
        let sid = |number: usize| {
            let mut random = [0; RANDOM_BYTES];
            random[..8].copy_from_slice(&number.to_be_bytes());
            Sid::from_random(random)
        };
        let mut ended = Ended::default();
        for number in 0..=limits::ENDED_SESSIONS {
            assert!(!ended.has(&sid(number)));
            ended.add(sid(number));
            assert!(ended.has(&sid(number)));
        }
        assert!(!ended.has(&sid(0)) && ended.has(&sid(1)));
    }
}
