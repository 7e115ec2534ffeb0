//! The GETs and POSTs of a polling session: one of each at a time.
//!
//! On the server they are the client's, so an overlap ends the session; on the client they are the
//! driver's own, and beginning one too many is only refused.

use super::{Flags, RequestRefused, Session, State};
use crate::proto::engine::close::{CloseReason, TransportFault};
use crate::proto::engine::transport::TransportKind;
use std::time::Instant;

impl Session {
    /// A GET came, or is about to be sent. Then the polls; the driver answers it when there is data, or
    /// when a control packet for polling is handed out.
    pub fn begin_get(&mut self, now: Instant) -> Result<(), RequestRefused> {
        self.begin(Flags::GET, TransportFault::GetOverlap)?;
        if !self.is_server() {
            return Ok(());
        }
        if matches!(self.state, State::Closing { .. }) {
            self.finish(CloseReason::ForcedClose);
        }
        self.release_poll(now);
        Ok(())
    }

    /// The GET is answered (client: and its packets are handled). Then the polls.
    pub fn end_get(&mut self) {
        self.flags.clear(Flags::GET);
        if self.is_server() {
            // These answer a GET, and there is none.
            self.flags.clear(Flags::NOOP);
            self.flags.clear(Flags::CLOSE_POLLING);
        }
        self.switch_when_quiet();
    }

    /// A POST's head came, or is about to be sent. Then the polls.
    pub fn begin_post(&mut self, content_type: Option<&str>) -> Result<(), RequestRefused> {
        self.begin(Flags::POST, TransportFault::PostOverlap)?;
        if self.is_server() && content_type.is_some_and(is_binary) {
            self.flags.clear(Flags::POST);
            self.finish(CloseReason::TransportError(TransportFault::BinaryPost));
            return Err(RequestRefused::BinaryContent);
        }
        Ok(())
    }

    /// The POST's packets are handled, or it was refused as too large (client: it is answered). Then the
    /// polls.
    pub fn end_post(&mut self) {
        self.flags.clear(Flags::POST);
        self.switch_when_quiet();
    }

    /// Server: the client gave its waiting GET up. Then the polls.
    pub fn handle_get_aborted(&mut self) {
        if self.flags.take(Flags::GET) {
            self.finish_polling(CloseReason::TransportError(TransportFault::GetAborted));
        }
    }

    /// Server: the client gave a POST up before its body's end. Then the polls.
    pub fn handle_post_aborted(&mut self) {
        if self.flags.take(Flags::POST) {
            self.finish_polling(CloseReason::TransportError(TransportFault::PostAborted));
        }
    }

    /// Whether a GET waits (server) or is under way (client).
    pub fn has_get(&self) -> bool {
        self.flags.has(Flags::GET)
    }

    /// Whether a POST is read (server) or under way (client).
    pub fn has_post(&self) -> bool {
        self.flags.has(Flags::POST)
    }

    /// Client: whether a GET is to be sent now; ask after every input.
    pub fn wants_get(&self) -> bool {
        matches!(self.state, State::Opening | State::Open) && self.may_request(Flags::GET)
    }

    /// Client: whether a POST may be sent now; ask after every input.
    pub fn may_post(&self) -> bool {
        self.is_open() && self.may_request(Flags::POST)
    }

    fn may_request(&self, kind: Flags) -> bool {
        self.transport == TransportKind::Polling && !self.is_paused() && !self.flags.has(kind)
    }

    fn begin(&mut self, kind: Flags, fault: TransportFault) -> Result<(), RequestRefused> {
        if self.is_closed() || self.is_paused() || self.transport != TransportKind::Polling {
            return Err(RequestRefused::NotPolling);
        }
        if self.flags.has(kind) {
            if self.is_server() {
                self.finish(CloseReason::TransportError(fault));
            }
            return Err(RequestRefused::Overlap);
        }
        self.flags.set(kind);
        Ok(())
    }

    /// A request's end on a transport that was left already means nothing.
    fn finish_polling(&mut self, reason: CloseReason) {
        if self.transport == TransportKind::Polling {
            self.finish(reason);
        }
    }

    /// Server: lets a waiting poll go while a probed client waits for its end.
    pub(super) fn release_poll(&mut self, now: Instant) {
        if self.is_server() && self.flags.has(Flags::GET) && self.upgrade.take_noop(now) {
            self.flags.set(Flags::NOOP);
        }
    }
}

fn is_binary(content_type: &str) -> bool {
    let media = content_type.split(';').next().unwrap_or_default();
    media.trim().eq_ignore_ascii_case("application/octet-stream")
}
