//! Sockets in and out of their namespaces.
//!
//! Source: `connect`, `disconnect`, `destroy`, `onconnect` and `onclose` of `socket.ts`.

use super::opening::Attempt;
use super::opening::random;
use super::{AckFailure, Manager, ManagerEvent, ManagerState, Step};
use crate::proto::client::Details;
use crate::proto::client::backoff::Backoff;
use crate::proto::client::socket::{Link, Socket, SocketKey, Token};
use crate::proto::socket::Data;
use crate::proto::socket::namespace::Connected;
use std::sync::Arc;
use std::time::Instant;

/// What a server that knows no CONNECT reply of today is told about.
const OLD_SERVER: &str = "the server speaks an older version of the protocol (Socket.IO 2.x)";

impl Manager {
    /// Connects a socket, now or when the connection stands; nothing when it is, or is about to be.
    pub fn connect(&mut self, key: SocketKey, now: Instant) {
        let Some(index) = self.index(key) else { return };
        let Some(socket) = self.sockets.get_mut(index) else { return };
        if socket.link == Link::Joined {
            return;
        }
        socket.active = true;
        if !self.reconnecting {
            self.begin(Attempt::Asked, now);
        }
        let asked = self.ask(index);
        self.steps.extend(asked.map(Step::Tell));
    }

    /// Disconnects a socket; it stays so until `connect`. With the last active one the connection ends.
    pub fn disconnect(&mut self, key: SocketKey, now: Instant) {
        let Some(index) = self.index(key) else { return };
        let joined = self.find(key).is_some_and(|socket| socket.link == Link::Joined);
        if joined {
            // What was emitted before goes before.
            self.send_kept(index, now);
        }
        let Some(socket) = self.sockets.get_mut(index) else { return };
        if let (true, Some(line)) = (joined, &mut self.line) {
            line.carrier.disconnect(socket.token(), now);
        }
        socket.recovery.forget();
        self.deactivate(index, now);
        if joined {
            self.end_socket(index, "io client disconnect", None);
        }
    }

    /// A socket is not to be connected any more. With the last active one the connection ends.
    fn deactivate(&mut self, index: usize, now: Instant) {
        if let Some(socket) = self.sockets.get_mut(index) {
            socket.active = false;
            socket.retry = None;
            match socket.link {
                Link::Joining => socket.link = Link::Leaving,
                Link::Asked => socket.link = Link::Out,
                Link::Out | Link::Joined | Link::Leaving => {}
            }
        }
        if !self.sockets.iter().any(|socket| socket.active) {
            self.close(now);
        }
    }

    /// Asks for the `auth` of a socket that wants to join.
    pub(super) fn ask(&mut self, index: usize) -> Option<ManagerEvent> {
        let open = self.state == ManagerState::Open;
        let socket = self.sockets.get_mut(index)?;
        if !open || !socket.active || socket.link != Link::Out {
            return None;
        }
        socket.link = Link::Asked;
        socket.attempt = socket.attempt.wrapping_add(1);
        Some(ManagerEvent::AuthWanted { socket: socket.key, attempt: socket.attempt })
    }

    /// A socket whose `auth` is asked for in this attempt; no other may answer.
    fn asked(&mut self, key: SocketKey, attempt: u32) -> Option<&mut Socket> {
        self.find_mut(key).filter(|socket| socket.link == Link::Asked && socket.attempt == attempt)
    }

    /// Answers [`ManagerEvent::AuthWanted`]: sends CONNECT. `auth` is an object.
    pub fn join(&mut self, key: SocketKey, attempt: u32, auth: Option<&Data<'_>>, now: Instant) {
        let Some(index) = self.index(key) else { return };
        if self.asked(key, attempt).is_none() {
            return;
        }
        let (Some(socket), Some(line)) = (self.sockets.get_mut(index), &mut self.line) else { return };
        let data = socket.recovery.connect_data(self.config.carrier.parser, auth);
        let namespace = Arc::clone(&socket.namespace);
        let sent = line.carrier.connect(namespace, socket.token(), data.as_ref(), now);
        // Not sent: a CONNECT to this namespace is not answered yet.
        socket.link = if sent { Link::Joining } else { Link::Leaving };
    }

    /// Answers [`ManagerEvent::AuthWanted`]: there is no `auth` to be had now. It is asked for again when
    /// the delay of an attempt to connect has passed.
    pub fn fail_join(&mut self, key: SocketKey, attempt: u32, message: &str, now: Instant) {
        let again = self.config.reconnection.then(|| (Self::backoff(&self.config), random(&self.random)));
        let Some(socket) = self.asked(key, attempt) else { return };
        socket.link = Link::Out;
        let active = again.is_some();
        if let Some((backoff, random)) = again {
            let retry = socket.retry.get_or_insert_with(|| Box::new((backoff, None)));
            let delay = Backoff::next_delay(&mut retry.0, random);
            retry.1 = Some(now + delay);
        } else if let Some(index) = self.index(key) {
            self.deactivate(index, now);
        }
        let details = Arc::new(Details::new("auth error", message));
        self.tell(ManagerEvent::ConnectError { socket: key, details, active });
    }

    /// The socket that joined by this CONNECT and is still there.
    pub(super) fn joined(&mut self, token: Token) -> Option<&mut Socket> {
        self.find_mut(token.key)
            .filter(|socket| socket.attempt == token.attempt && socket.link == Link::Joined)
    }

    /// The socket that waits for the answer to this CONNECT.
    fn joining(&mut self, token: Token) -> Option<usize> {
        let index = self.index(token.key)?;
        let socket = self.sockets.get(index)?;
        (socket.attempt == token.attempt && socket.link == Link::Joining).then_some(index)
    }

    /// The server answered a CONNECT.
    pub(super) fn handle_connected(
        &mut self,
        token: Token,
        data: &Data<'_>,
        now: Instant,
    ) -> Option<ManagerEvent> {
        let Some(index) = self.joining(token) else { return self.handle_unwanted(token, now) };
        let Connected { sid, pid } = Connected::decode(data);
        let Some(sid) = sid else {
            let details = Arc::new(Details::new("server error", OLD_SERVER));
            self.deactivate(index, now);
            self.tell(ManagerEvent::ConnectError { socket: token.key, details, active: false });
            return None;
        };
        let socket = self.sockets.get_mut(index)?;
        socket.link = Link::Joined;
        socket.retry = None;
        socket.recovered = socket.recovery.connected(pid);
        socket.parked_bytes = 0;
        let recovered = socket.recovered;
        for parked in std::mem::take(&mut socket.parked) {
            let event = self.event(index, parked, now);
            self.steps.extend(event.map(|event| Step::TellJoined(token, event)));
        }
        // What was kept goes before what any handler emits from now on.
        self.pump_socket(index, now);
        self.drain_queue(index, now);
        self.steps
            .push_back(Step::TellJoined(token, ManagerEvent::Connect { socket: token.key, sid, recovered }));
        None
    }

    /// A CONNECT was answered that nobody wants any more: its socket leaves, and its namespace is free.
    fn handle_unwanted(&mut self, token: Token, now: Instant) -> Option<ManagerEvent> {
        let line = self.line.as_mut()?;
        line.carrier.disconnect(token, now);
        self.handle_freed()
    }

    /// Nothing is under way in a namespace any more: a socket that waited for that may join.
    fn handle_freed(&mut self) -> Option<ManagerEvent> {
        let connection = self.line.as_ref()?.carrier.connection();
        let free = |socket: &Socket| {
            socket.link == Link::Leaving && connection.socket_in(&socket.namespace).is_none()
        };
        let index = self.sockets.iter().position(free)?;
        self.sockets.get_mut(index)?.link = Link::Out;
        self.ask(index)
    }

    /// The server refused a socket.
    pub(super) fn handle_refused(
        &mut self,
        token: Token,
        data: Data<'static>,
        now: Instant,
    ) -> Option<ManagerEvent> {
        let Some(index) = self.joining(token) else { return self.handle_freed() };
        if let Some(socket) = self.sockets.get_mut(index) {
            socket.recovery.forget();
            socket.cut();
        }
        self.deactivate(index, now);
        self.tell(ManagerEvent::Refused { socket: token.key, data });
        None
    }

    /// The server took a socket out of its namespace.
    pub(super) fn handle_disconnected(&mut self, token: Token, now: Instant) -> Option<ManagerEvent> {
        let there = |socket: &Socket| {
            socket.attempt == token.attempt && matches!(socket.link, Link::Joined | Link::Joining)
        };
        let Some(index) = self.index(token.key).filter(|&index| self.sockets.get(index).is_some_and(there))
        else {
            return self.handle_freed();
        };
        if let Some(socket) = self.sockets.get_mut(index) {
            socket.recovery.forget();
            socket.link = Link::Out;
        }
        self.deactivate(index, now);
        self.end_socket(index, "io server disconnect", None);
        None
    }

    /// A socket is not in its namespace any more.
    pub(super) fn end_socket(&mut self, index: usize, reason: &'static str, details: Option<Arc<str>>) {
        let Some(socket) = self.sockets.get_mut(index) else { return };
        let (key, active) = (socket.key, socket.active);
        socket.cut();
        let answers = socket.buffer.remove_answers();
        let kept = socket.buffer.ids();
        self.stats.answers_dropped += answers as u64;
        self.tell(ManagerEvent::Disconnect { socket: key, reason, details, active });
        let failed = self.acks.remove_socket_but(key, |id| kept.binary_search(&id).is_ok());
        for (id, _) in failed {
            self.tell(ManagerEvent::AckFailed { socket: key, id, why: AckFailure::Disconnected });
        }
        self.fail_try(index, AckFailure::Disconnected);
    }
}
