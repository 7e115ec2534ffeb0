//! Many namespaces over one Engine.IO session, either side.
//!
//! Source: Socket.IO protocol 5, "Connection to a namespace" to "Disconnection"; the state rules are the
//! reference server's (`client.ts`) and the reference client's (`manager.ts`, `socket.ts`).
//! Neither sends anything nor reads an event's data: it says whose packet came and what it was.

use super::attachment::{Attachments, Progress};
use super::data::{Data, Parser};
use super::encoded;
use super::msgpack;
use super::packet::{self, Head, PacketKind};
use crate::proto::Side;
use bytes::Bytes;
use smallvec::SmallVec;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use super::incoming::{ConnectionLimits, Incoming, ProtocolError};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State<T> {
    Joining(T),
    /// Client: the socket before it left, and the server may have taken that one out meanwhile: a DISCONNECT is
    /// not for this one.
    Rejoining(T),
    Joined(T),
    /// This side took the socket out. The peer may have packets on their way that it sent before it knew: they
    /// are dropped, which the reference server does not (it closes).
    Left,
}

impl<T: Copy> State<T> {
    /// From joining to joined; gives the socket, unless it was not joining.
    fn admit(&mut self) -> Option<T> {
        let (Self::Joining(socket) | Self::Rejoining(socket)) = *self else { return None };
        *self = Self::Joined(socket);
        Some(socket)
    }
}

#[derive(Debug)]
struct Member<T> {
    namespace: Arc<str>,
    state: State<T>,
}

impl<T: Copy> Member<T> {
    fn token(&self) -> Option<T> {
        match self.state {
            State::Joining(token) | State::Rejoining(token) | State::Joined(token) => Some(token),
            State::Left => None,
        }
    }
}

/// A binary packet whose attachments are due.
#[derive(Debug)]
struct Pending<T> {
    socket: Option<T>,
    kind: PacketKind,
    id: Option<u64>,
    data: String,
    attachments: Attachments,
}

/// A packet of which not all attachments have come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HalfPacket {
    /// The text message, without the type digit of Engine.IO.
    pub text: String,
    /// The attachments that came.
    pub attachments: Vec<Bytes>,
}

/// Many namespaces over one session. `T` is the caller's key of a socket.
#[derive(Debug)]
pub struct Connection<T: Copy + Eq> {
    members: SmallVec<[Member<T>; 1]>,
    pending: Option<Box<Pending<T>>>,
    connect_deadline: Option<Instant>,
    side: Side,
    parser: Parser,
}

impl<T: Copy + Eq> Connection<T> {
    /// A connection with no namespace and the default parser. A server's peer has `connect_timeout` to join one.
    pub fn new(side: Side, now: Instant, connect_timeout: Option<Duration>) -> Self {
        let connect_deadline = connect_timeout.map(|timeout| now + timeout);
        Self { members: SmallVec::new(), pending: None, connect_deadline, side, parser: Parser::Json }
    }

    /// The same with another parser.
    #[must_use]
    pub fn with_parser(mut self, parser: Parser) -> Self {
        self.parser = parser;
        self
    }

    /// How the peer's packets are read, and how ours are to be written.
    pub fn parser(&self) -> Parser {
        self.parser
    }

    /// Takes a text message of the session (without the Engine.IO type digit).
    pub fn handle_text<'a>(
        &mut self,
        text: &'a str,
        limits: &ConnectionLimits,
        now: Instant,
    ) -> Result<Incoming<'a, T>, ProtocolError> {
        if self.parser == Parser::Msgpack {
            return Err(ProtocolError::TextWithMsgpack);
        }
        if self.pending.is_some() {
            return Err(ProtocolError::TextAmidAttachments);
        }
        let head = packet::decode_with(text, limits.max_attachments, limits.any_auth)?;
        if head.attachments > 0 {
            return self.expect_attachments(&head, limits, now);
        }
        self.handle_packet(head.map(Data::from), limits)
    }

    /// Takes a binary message of the session: an attachment, or with msgpack a packet.
    pub fn handle_binary<'a>(
        &mut self,
        data: Cow<'a, [u8]>,
        limits: &ConnectionLimits,
    ) -> Result<Incoming<'a, T>, ProtocolError> {
        match (self.parser, data) {
            (Parser::Json, data) => self.handle_attachment(data, limits),
            (Parser::Msgpack, Cow::Borrowed(data)) => {
                self.handle_packet(msgpack::decode_with(data, limits.any_auth)?.map(Data::from), limits)
            }
            (Parser::Msgpack, Cow::Owned(data)) => {
                let head = msgpack::decode_with(&data, limits.any_auth)?;
                self.handle_packet(head.map(Data::from), limits).map(Incoming::into_owned)
            }
        }
    }

    fn handle_packet<'a>(
        &mut self,
        head: Head<'a, Data<'a>>,
        limits: &ConnectionLimits,
    ) -> Result<Incoming<'a, T>, ProtocolError> {
        match head.kind {
            PacketKind::Connect => self.handle_connect(head, limits),
            PacketKind::ConnectError => self.handle_connect_error(head),
            PacketKind::Disconnect => {
                let Some(socket) = self.recipient(&head)? else { return Ok(Incoming::Nothing) };
                if let Some(state) = self.find(head.namespace).map(|member| &mut member.state)
                    && matches!(state, State::Rejoining(_))
                {
                    *state = State::Joining(socket);
                    return Ok(Incoming::Nothing);
                }
                self.remove(socket);
                Ok(Incoming::Disconnect { socket })
            }
            PacketKind::Event | PacketKind::Ack => {
                let Some(socket) = self.recipient(&head)? else { return Ok(Incoming::Nothing) };
                Ok(incoming(socket, head.kind, head.id, head.data, Vec::new()))
            }
        }
    }

    fn handle_attachment<'a>(
        &mut self,
        data: Cow<'_, [u8]>,
        limits: &ConnectionLimits,
    ) -> Result<Incoming<'a, T>, ProtocolError> {
        let Some(pending) = &mut self.pending else {
            let begins_like_msgpack = matches!(data.first(), Some(0x82..=0x86));
            return Err(ProtocolError::UnexpectedAttachment { begins_like_msgpack });
        };
        match pending.attachments.push(data, limits.max_attachments_size) {
            Progress::Due => return Ok(Incoming::Nothing),
            Progress::TooLarge => {
                return Err(ProtocolError::AttachmentsTooLarge { limit: limits.max_attachments_size });
            }
            Progress::Complete => {}
        }
        let Some(pending) = self.pending.take() else { return Ok(Incoming::Nothing) };
        let Pending { socket, kind, id, data, attachments } = *pending;
        // The socket may have been taken out while the attachments came.
        let Some(socket) = socket.filter(|&socket| self.namespace_of(socket).is_some()) else {
            return Ok(Incoming::Nothing);
        };
        Ok(incoming(socket, kind, id, data.into(), attachments.into_received()))
    }

    fn handle_connect<'a>(
        &mut self,
        head: Head<'a, Data<'a>>,
        limits: &ConnectionLimits,
    ) -> Result<Incoming<'a, T>, ProtocolError> {
        super::namespace::check_connect(&head.data)?;
        let side = self.side;
        let member = self.find(head.namespace);
        match (side, member.map(|member| &mut member.state)) {
            (_, Some(State::Joined(_))) | (Side::Server, Some(State::Joining(_) | State::Rejoining(_))) => {
                Err(ProtocolError::AlreadyJoined)
            }
            (Side::Client, Some(state)) => Ok(state
                .admit()
                .map_or(Incoming::Nothing, |socket| Incoming::Connected { socket, data: head.data })),
            (Side::Client, None) => Ok(Incoming::Nothing),
            (Side::Server, known) => {
                if known.is_none() {
                    self.check_room_for_one(limits.max_namespaces)?;
                }
                let auth = Some(head.data).filter(|data| !data.is_empty());
                Ok(Incoming::Connect { namespace: Cow::Borrowed(head.namespace), auth })
            }
        }
    }

    fn check_room_for_one(&mut self, limit: usize) -> Result<(), ProtocolError> {
        if self.members.len() >= limit {
            self.members.retain(|member| member.token().is_some());
        }
        if self.members.len() >= limit { Err(ProtocolError::TooManyNamespaces { limit }) } else { Ok(()) }
    }

    fn handle_connect_error<'a>(
        &mut self,
        head: Head<'a, Data<'a>>,
    ) -> Result<Incoming<'a, T>, ProtocolError> {
        if self.side == Side::Server {
            return Err(ProtocolError::ConnectErrorFromClient);
        }
        super::namespace::check(&head.data)?;
        let Some(socket) = self.recipient(&head)? else { return Ok(Incoming::Nothing) };
        self.remove(socket);
        Ok(Incoming::ConnectError { socket, data: head.data })
    }

    /// The head of an event or an acknowledgement whose attachments follow.
    fn expect_attachments<'a>(
        &mut self,
        head: &Head<'a>,
        limits: &ConnectionLimits,
        now: Instant,
    ) -> Result<Incoming<'a, T>, ProtocolError> {
        let socket = self.recipient(head)?;
        let deadline = now + limits.attachments_timeout;
        self.pending = Some(Box::new(Pending {
            socket,
            kind: head.kind,
            id: head.id,
            data: socket.map_or_else(String::new, |_| head.data.to_owned()),
            attachments: Attachments::new(head.attachments, socket.is_some(), deadline),
        }));
        Ok(Incoming::Nothing)
    }

    /// Whose packet it is; None for one that is to be dropped.
    fn recipient<D>(&mut self, head: &Head<'_, D>) -> Result<Option<T>, ProtocolError> {
        let side = self.side;
        match (side, self.find(head.namespace).map(|member| member.state)) {
            (_, Some(State::Joined(socket)))
            | (Side::Client, Some(State::Joining(socket) | State::Rejoining(socket))) => Ok(Some(socket)),
            (_, Some(State::Left)) | (Side::Client, None) => Ok(None),
            (Side::Server, Some(State::Joining(_) | State::Rejoining(_)) | None) => {
                Err(ProtocolError::NotJoined(head.kind))
            }
        }
    }

    fn find(&mut self, namespace: &str) -> Option<&mut Member<T>> {
        self.members.iter_mut().find(|member| &*member.namespace == namespace)
    }

    /// A socket is about to join: its CONNECT came (server) or is being sent (client). False when the
    /// namespace has a socket already; then nothing changes.
    pub fn joining(&mut self, namespace: Arc<str>, socket: T) -> bool {
        let side = self.side;
        match self.find(&namespace) {
            Some(member) if member.token().is_some() => return false,
            Some(member) if side == Side::Client => member.state = State::Rejoining(socket),
            Some(member) => member.state = State::Joining(socket),
            None => self.members.push(Member { namespace, state: State::Joining(socket) }),
        }
        true
    }

    /// The server lets the socket in, and sends the CONNECT reply. False when it is not joining any
    /// more: it left meanwhile.
    pub fn joined(&mut self, socket: T) -> bool {
        let joining = State::Joining(socket);
        let Some(member) = self.members.iter_mut().find(|member| member.state == joining) else {
            return false;
        };
        member.state = State::Joined(socket);
        self.connect_deadline = None;
        true
    }

    /// The socket is taken out from this side (DISCONNECT or CONNECT_ERROR is sent). False when it was
    /// not there.
    pub fn left(&mut self, socket: T) -> bool {
        let joined = State::Joined(socket);
        let in_flight = self.members.iter_mut().find(|member| member.state == joined);
        let Some(member) = in_flight else { return self.remove(socket) };
        member.state = State::Left;
        true
    }

    fn remove(&mut self, socket: T) -> bool {
        let position = self.members.iter().position(|member| member.token() == Some(socket));
        position.map(|position| self.members.swap_remove(position)).is_some()
    }

    /// Where a socket is or is about to be.
    pub fn namespace_of(&self, socket: T) -> Option<&Arc<str>> {
        let member = self.members.iter().find(|member| member.token() == Some(socket));
        member.map(|member| &member.namespace)
    }

    /// The socket in a namespace, joined or about to be.
    pub fn socket_in(&self, namespace: &str) -> Option<T> {
        let member = self.members.iter().find(|member| &*member.namespace == namespace);
        member.and_then(Member::token)
    }

    /// Whether a socket has joined.
    pub fn is_joined(&self, socket: T) -> bool {
        self.members.iter().any(|member| member.state == State::Joined(socket))
    }

    /// Every socket, joined or about to be.
    pub fn tokens(&self) -> impl Iterator<Item = T> + '_ {
        self.members.iter().filter_map(Member::token)
    }

    /// Somebody else reads the peer's messages from here on: nothing is waited for any more. Gives the packet that
    /// came in part, as it came. Of one that nobody reads the rest is still to be dropped here, see
    /// [`Self::drops_binary`].
    pub fn hand_over(&mut self) -> Option<HalfPacket> {
        self.connect_deadline = None;
        let pending = self.pending.take()?;
        let namespace = pending.socket.and_then(|socket| self.namespace_of(socket)).cloned();
        let Some(namespace) = namespace else {
            self.pending = Some(pending);
            return None;
        };
        let Pending { kind, id, data, attachments, .. } = *pending;
        let (missing, attachments) = (attachments.missing(), attachments.into_received());
        let text = encoded::text(kind, missing + attachments.len(), &namespace, id, &data);
        Some(HalfPacket { text, attachments })
    }

    /// After [`Self::hand_over`]: whether a binary message that came belongs to a packet that nobody reads.
    pub fn drops_binary(&mut self, limits: &ConnectionLimits) -> bool {
        let is_dropped = self.pending.is_some();
        if is_dropped {
            let _ = self.handle_attachment(Cow::Borrowed(&[]), limits);
        }
        is_dropped
    }

    /// When [`Self::handle_timeout`] is due. Ask again after every other call.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let attachments = self.pending.as_ref().map(|pending| pending.attachments.deadline());
        [self.connect_deadline, attachments].into_iter().flatten().min()
    }

    /// The deadline may have passed; nothing happens when called early.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), ProtocolError> {
        let late = |deadline: Instant| deadline <= now;
        if self.connect_deadline.is_some_and(late) {
            return Err(ProtocolError::ConnectTimeout);
        }
        if self.pending.as_ref().is_some_and(|pending| late(pending.attachments.deadline())) {
            return Err(ProtocolError::AttachmentsTimeout);
        }
        Ok(())
    }
}

fn incoming<T>(
    socket: T,
    kind: PacketKind,
    id: Option<u64>,
    data: Data<'_>,
    attachments: Vec<Bytes>,
) -> Incoming<'_, T> {
    match (kind, id) {
        (PacketKind::Ack, Some(id)) => Incoming::Ack { socket, id, data, attachments },
        (_, id) => Incoming::Event { socket, id, data, attachments },
    }
}

#[cfg(test)]
mod tests;
