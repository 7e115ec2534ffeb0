//! How a carrier's session comes to its end, or to another try; and its events.

use super::{Carrier, CarrierEvent, Details, State};
use crate::proto::client::details::Doing;
use crate::proto::engine::{CloseReason, TransportKind};
use crate::proto::peer::{PeerClosed, PeerEvent};
use std::time::Instant;

impl<T: Copy + Eq> Carrier<T> {
    /// Notes what is about to end the session; after its end nothing is to blame any more.
    pub(super) fn blame(&mut self, details: Details) {
        if !self.session().is_closed() {
            self.trouble.get_or_insert(details);
        }
    }

    /// The session is not open in time.
    pub(super) fn give_up_opening(&mut self, now: Instant) {
        let connected = self.streams.iter().any(|stream| stream.is_open);
        let limit = self.config.open_timeout.unwrap_or_default();
        self.blame(Details::timeout(&self.config, limit, connected));
        self.untried.clear();
        self.peer.close(now);
    }

    /// A stream is not done in time with what it does.
    pub(super) fn stream_is_late(&mut self, at: usize, now: Instant) {
        self.now = now;
        if self.cut_handshake(at, now) {
            return;
        }
        let Some(stream) = self.streams.get(at) else { return };
        let limit = if self.session().transport() == TransportKind::Polling && stream.is_websocket() {
            self.config.upgrade_timeout
        } else {
            self.config.open_timeout.unwrap_or_default()
        };
        let late = |doing: Doing| Details::late(doing, &self.config, limit, stream.is_open);
        match &stream.state {
            State::Exchange(_) if stream.is_open => self.cut_exchange(at, now),
            State::Exchange(exchange) => {
                let details = late(exchange.request.kind.into());
                self.exchange_failed(at, details, now);
            }
            State::Handshake(_) => {
                let details = late(Doing::WebSocket);
                self.websocket_failed(at, details);
            }
            State::WebSocket(_) | State::Closing(_) | State::Idle => self.let_go(at),
        }
    }

    /// Tries the next transport, if the session could not be opened on this one.
    pub(super) fn begin_again(&mut self) {
        let session = self.session();
        let failed = session.is_closed() && !self.peer.was_opened();
        if !failed
            || !self.config.try_all_transports
            || session.close_reason() == Some(CloseReason::ForcedClose)
        {
            return;
        }
        let Some(next) = self.untried.pop_front() else { return };
        let transports = self.untried.iter().copied().chain([next]).collect();
        self.peer_config.session.transports = transports;
        self.let_go_of_all();
        (self.trouble, self.close_deadline) = (None, None);
        self.peer.restart(next);
    }

    /// Whether the next connection may begin with a WebSocket; as JavaScript has it, not after a fault.
    pub(super) fn websocket_worked(&self) -> bool {
        let session = self.session();
        let faulty = matches!(session.close_reason(), Some(CloseReason::TransportError(_)));
        self.peer.was_opened() && session.transport() == TransportKind::WebSocket && !faulty
    }

    pub(super) fn event(&mut self, event: PeerEvent<T>) -> CarrierEvent<T> {
        match event {
            PeerEvent::Opened { sid } => CarrierEvent::Opened { sid },
            PeerEvent::Upgraded => CarrierEvent::Upgraded,
            PeerEvent::UpgradeFailed(why) => {
                let trouble = self.probe_trouble.take();
                CarrierEvent::UpgradeFailed(Details::probe(&why, TransportKind::WebSocket, trouble))
            }
            PeerEvent::Ping => CarrierEvent::Ping,
            PeerEvent::Connected { socket, data } => CarrierEvent::Connected { socket, data },
            PeerEvent::ConnectError { socket, data } => CarrierEvent::ConnectError { socket, data },
            PeerEvent::Disconnect { socket } => CarrierEvent::Disconnect { socket },
            PeerEvent::Event { socket, id, data, attachments } => {
                CarrierEvent::Event { socket, id, data, attachments }
            }
            PeerEvent::Ack { socket, id, data, attachments } => {
                CarrierEvent::Ack { socket, id, data, attachments }
            }
            PeerEvent::Closed(why) => self.closed(why),
        }
    }

    fn closed(&mut self, why: PeerClosed) -> CarrierEvent<T> {
        let details = self.trouble.take().or_else(|| match &why {
            PeerClosed::Protocol(error) => Some(Details::parse_error(error)),
            PeerClosed::Session(CloseReason::ParseError(error)) => Some(Details::parse_error(error)),
            PeerClosed::Session(CloseReason::TransportClose) => Some(Details::goodbye()),
            PeerClosed::Session(CloseReason::TransportError(fault)) => Some(Details::fault(*fault)),
            PeerClosed::Session(_) => None,
        });
        match details {
            Some(details) if !self.peer.was_opened() => CarrierEvent::Failed(details),
            details => CarrierEvent::Closed { why, details },
        }
    }
}
