//! From Socket.IO that is spoken here to messages as they are: the layer above goes on with what is there.
//!
//! What came before the change is told as it was read; what was read in part becomes messages again. Sockets
//! stay, so that what is on its way to them, from any thread, still leaves.

use super::core::Core;
use super::keys::{SessionKey, SocketKey};
use super::reactor::Reactor;
use crate::proto::sid::Sid;
use std::sync::Arc;
use std::time::Instant;

/// A socket that the layer above speaks for from here on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handed {
    /// Which.
    pub socket: SocketKey,
    /// The session that its packets go over.
    pub session: SessionKey,
    /// Where it is.
    pub namespace: Arc<str>,
    /// Its public id.
    pub sid: Sid,
    /// Whether it was admitted. If not, its CONNECT is still to be answered.
    pub accepted: bool,
}

impl Reactor {
    /// Gives messages as they are from here on, and all sockets that are there.
    pub(super) fn go_raw(&mut self, now: Instant) -> Vec<Handed> {
        self.options.raw_messages = true;
        for key in self.sessions.keys() {
            let half = self.with_session(key, |entry| entry.sockets.hand_over()).flatten();
            if let Some(half) = half {
                self.raw_message(key, half.text.as_bytes(), false);
                for attachment in half.attachments {
                    self.raw_message(key, &attachment, true);
                }
            }
        }
        let sockets = self.sockets.keys();
        // Their handlers' backlog is the layer above's now; how much it reads, it says by session.
        for &socket in &sockets {
            self.pause_socket(socket, false, now);
        }
        sockets.into_iter().filter_map(|socket| self.handed(socket)).collect()
    }

    fn handed(&self, socket: SocketKey) -> Option<Handed> {
        let entry = self.sockets.get(socket)?;
        Some(Handed {
            socket,
            session: entry.session,
            namespace: Arc::clone(&entry.namespace),
            sid: entry.sid,
            accepted: entry.is_admitted(),
        })
    }
}

impl Core {
    /// Gives messages as they are from here on: what was ordered before is carried out. All sockets that are there.
    pub fn go_raw(&self, now: Instant) -> Vec<Handed> {
        let hand = |number| self.visit(number, now, true, |reactor| reactor.go_raw(now));
        (0..).zip(&self.seats).filter_map(|(number, _)| hand(number)).flatten().collect()
    }
}
