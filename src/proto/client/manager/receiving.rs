//! What a connection says.
//!
//! Source: `onpacket`, `onevent` and `onack` of `socket.ts`.

use super::{Manager, ManagerEvent, ManagerState};
use crate::proto::client::socket::{AckToken, Link, Parked, Token};
use crate::proto::client::{CarrierEvent, Details};
use crate::proto::engine::TransportKind;
use crate::proto::socket::Outcome;
use std::sync::Arc;
use std::time::Instant;

impl Manager {
    /// Does what an event of the connection means; what is told at once comes back, the rest is queued.
    pub(super) fn handle_event(&mut self, event: CarrierEvent<Token>, now: Instant) -> Option<ManagerEvent> {
        match event {
            CarrierEvent::Event { socket, id, data, attachments } => {
                self.handle_data(socket, Parked { id, data, attachments }, now)
            }
            CarrierEvent::Ack { socket, id, data, attachments } => {
                let known = self.handle_ack(socket, id, now);
                known.then(|| ManagerEvent::Ack { socket: socket.key, id, data, attachments })
            }
            CarrierEvent::Ping => Some(ManagerEvent::Ping),
            CarrierEvent::Connected { socket, data } => self.handle_connected(socket, &data, now),
            CarrierEvent::ConnectError { socket, data } => self.handle_refused(socket, data, now),
            CarrierEvent::Disconnect { socket } => self.handle_disconnected(socket, now),
            CarrierEvent::Opened { .. } => {
                self.handle_opening();
                None
            }
            CarrierEvent::Upgraded => Some(ManagerEvent::Upgrade(TransportKind::WebSocket)),
            CarrierEvent::UpgradeFailed(details) => Some(ManagerEvent::UpgradeError(Arc::new(details))),
            CarrierEvent::Failed(details) => {
                self.handle_failure(details);
                None
            }
            CarrierEvent::Closed { why, details } => {
                if self.state == ManagerState::Opening {
                    let described =
                        || Details::new(why.as_str(), "the connection was closed before it stood");
                    self.handle_failure(details.unwrap_or_else(described));
                } else {
                    self.handle_loss(&why, details, now);
                }
                None
            }
        }
    }

    fn handle_data(&mut self, token: Token, event: Parked, now: Instant) -> Option<ManagerEvent> {
        let index = self.index(token.key)?;
        let socket = self.sockets.get_mut(index).filter(|socket| socket.attempt == token.attempt)?;
        match socket.link {
            Link::Joined => self.event(index, event, now),
            Link::Joining => {
                self.park(index, event, now);
                None
            }
            Link::Out | Link::Asked | Link::Leaving => None,
        }
    }

    /// An event as the application gets it.
    pub(super) fn event(&mut self, index: usize, event: Parked, now: Instant) -> Option<ManagerEvent> {
        let Parked { id, mut data, attachments } = event;
        let (made, wall) = self.made;
        let socket = self.sockets.get_mut(index)?;
        if id.is_none() && socket.recovery.is_on() {
            let wall = wall + now.saturating_duration_since(made);
            let wall = u64::try_from(wall.as_millis()).unwrap_or(u64::MAX);
            socket.recovery.take_offset(&mut data, wall);
        }
        self.stats.events_in += 1;
        let ack = id.map(|id| AckToken::new(id, socket.attempt));
        Some(ManagerEvent::Event { socket: socket.key, ack, data, attachments })
    }

    /// An event came before the CONNECT reply: a server sends so what was missed.
    fn park(&mut self, index: usize, event: Parked, now: Instant) {
        let room = self.room();
        let Some(socket) = self.sockets.get_mut(index) else { return };
        let size = event.data.len() + event.attachments.iter().map(bytes::Bytes::len).sum::<usize>();
        if room.is_full(socket.parked.len(), socket.parked_bytes, size) {
            // It would be the same again.
            socket.recovery.forget();
            let message = format!("more than {} events before the CONNECT reply", socket.parked.len());
            return self.handle_violation(&message, now);
        }
        socket.parked_bytes += size;
        socket.parked.push(event);
    }

    /// Whether somebody waits for this acknowledgement.
    fn handle_ack(&mut self, token: Token, id: u64, now: Instant) -> bool {
        let Some(index) = self.index(token.key) else { return false };
        let Some(socket) = self.sockets.get_mut(index) else { return false };
        if socket.attempt != token.attempt || socket.link != Link::Joined {
            return false;
        }
        let Some(event) = socket.queue.acknowledge(id) else {
            return self.acks.handle_ack(token.key, id) == Outcome::Single;
        };
        self.drain_queue(index, now);
        event.asked
    }
}
