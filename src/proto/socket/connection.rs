//! Many namespaces over one Engine.IO session, either side.
//!
//! Source: Socket.IO protocol 5, "Connection to a namespace" to "Disconnection"; the state rules are the
//! reference server's (`client.ts`) and the reference client's (`manager.ts`, `socket.ts`).
//! Neither sends anything nor parses an event's JSON: it says whose packet came and what it was.

use super::attachment::{Attachments, Progress};
use super::packet::{self, Head, PacketError, PacketKind};
use crate::proto::json::JsonError;
use crate::proto::{Side, limits};
use bytes::Bytes;
use smallvec::SmallVec;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a connection allows its peer; shared by all connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Attachments of one packet.
    pub max_attachments: usize,
    /// All attachments of one packet together, bytes.
    pub max_attachments_size: usize,
    /// Time for all attachments of a packet.
    pub attachments_timeout: Duration,
    /// Namespaces joined at a time.
    pub max_namespaces: usize,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            max_attachments: limits::MAX_ATTACHMENTS,
            max_attachments_size: limits::MAX_ATTACHMENTS_SIZE_FACTOR * limits::MAX_HTTP_BUFFER_SIZE,
            attachments_timeout: limits::ATTACHMENTS_TIMEOUT,
            max_namespaces: limits::MAX_NAMESPACES,
        }
    }
}

/// What one message of the session meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming<'a, T> {
    /// Nothing to do: attachments are due, or the packet was for a socket that has left.
    Nothing,
    /// Server: a client wants to join. Answer by [`Connection::joining`] now and
    /// [`Connection::joined`] or [`Connection::left`] later, or by a CONNECT_ERROR alone.
    Connect {
        /// The namespace asked for.
        namespace: &'a str,
        /// The JSON object that came along.
        auth: Option<&'a str>,
    },
    /// Client: the server let the socket in.
    Connected {
        /// Which socket.
        socket: T,
        /// The JSON object with its id; empty from a server of protocol 4.
        data: &'a str,
    },
    /// Client: the server refused the socket, which is gone.
    ConnectError {
        /// Which socket.
        socket: T,
        /// A JSON object, or a JSON string from other implementations.
        data: &'a str,
    },
    /// The peer took the socket out of its namespace; it is gone.
    Disconnect {
        /// Which socket.
        socket: T,
    },
    /// An event, complete with its attachments. On the client it may come before
    /// [`Incoming::Connected`]; then it waits for it.
    Event {
        /// Which socket.
        socket: T,
        /// Set when the peer asks for an acknowledgement.
        id: Option<u64>,
        /// A JSON array, not yet parsed: see [`packet::read_event`].
        data: Cow<'a, str>,
        /// In the order of their placeholders' numbers; empty for a plain packet.
        attachments: Vec<Bytes>,
    },
    /// An acknowledgement, complete with its attachments.
    Ack {
        /// Which socket.
        socket: T,
        /// The id that the event was sent with.
        id: u64,
        /// A JSON array, not yet parsed: see [`packet::read_ack`].
        data: Cow<'a, str>,
        /// As in [`Incoming::Event`].
        attachments: Vec<Bytes>,
    },
}

/// Why the whole connection has to close. The peer's fault, always.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// A text that is no packet.
    #[error(transparent)]
    Packet(#[from] PacketError),
    /// CONNECT, its reply or CONNECT_ERROR with data that is not JSON.
    #[error(transparent)]
    BadData(JsonError),
    /// A packet for a namespace that is not joined, or not yet.
    #[error("a packet of type {0:?} for a namespace that is not joined")]
    NotJoined(PacketKind),
    /// A second CONNECT to a namespace.
    #[error("CONNECT to a namespace that is joined or about to be")]
    AlreadyJoined,
    /// A client sent what only servers send.
    #[error("CONNECT_ERROR from a client")]
    ConnectErrorFromClient,
    /// CONNECT to one namespace more than allowed.
    #[error("more than {limit} namespaces")]
    TooManyNamespaces {
        /// The most allowed.
        limit: usize,
    },
    /// A text came where an attachment was due.
    #[error("a text came while attachments were due")]
    TextAmidAttachments,
    /// A binary message came where none was due.
    #[error("a binary message came while no attachment was due")]
    UnexpectedAttachment,
    /// The attachments of a packet are too large together.
    #[error("the attachments of a packet have more than {limit} bytes")]
    AttachmentsTooLarge {
        /// The most allowed, bytes.
        limit: usize,
    },
    /// The attachments of a packet did not come in time.
    #[error("the attachments of a packet did not come in time")]
    AttachmentsTimeout,
    /// No namespace was joined in time.
    #[error("no namespace was joined in time")]
    ConnectTimeout,
}

impl ProtocolError {
    /// The reason that the connection's sockets are told, in the reference implementation's words.
    pub fn reason(&self, side: Side) -> &'static str {
        match side {
            Side::Server => "forced close",
            Side::Client => "parse error",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State<T> {
    Joining(T),
    Joined(T),
    /// The server took the socket out. The client may have packets on their way that it sent
    /// before it knew: they are dropped, which the reference server does not (it closes).
    Left,
}

impl<T: Copy> State<T> {
    /// From joining to joined; gives the socket, unless it was not joining.
    fn admit(&mut self) -> Option<T> {
        let Self::Joining(socket) = *self else { return None };
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
            State::Joining(token) | State::Joined(token) => Some(token),
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

/// Many namespaces over one session. `T` is the caller's key of a socket.
#[derive(Debug)]
pub struct Connection<T: Copy + Eq> {
    members: SmallVec<[Member<T>; 1]>,
    pending: Option<Box<Pending<T>>>,
    connect_deadline: Option<Instant>,
    side: Side,
}

impl<T: Copy + Eq> Connection<T> {
    /// A connection with no namespace. A server's peer has `connect_timeout` to join one.
    pub fn new(side: Side, now: Instant, connect_timeout: Option<Duration>) -> Self {
        let connect_deadline = connect_timeout.map(|timeout| now + timeout);
        Self { members: SmallVec::new(), pending: None, connect_deadline, side }
    }

    /// Takes a text message of the session (without the Engine.IO type digit).
    pub fn handle_text<'a>(
        &mut self,
        text: &'a str,
        limits: &ConnectionLimits,
        now: Instant,
    ) -> Result<Incoming<'a, T>, ProtocolError> {
        if self.pending.is_some() {
            return Err(ProtocolError::TextAmidAttachments);
        }
        let head = packet::decode(text, limits.max_attachments)?;
        match head.kind {
            PacketKind::Connect => self.handle_connect(head, limits),
            PacketKind::ConnectError => self.handle_connect_error(head),
            PacketKind::Disconnect => {
                let Some(socket) = self.recipient(&head)? else { return Ok(Incoming::Nothing) };
                self.remove(socket);
                Ok(Incoming::Disconnect { socket })
            }
            PacketKind::Event | PacketKind::Ack => self.handle_data(head, limits, now),
        }
    }

    /// Takes a binary message of the session.
    pub fn handle_binary(
        &mut self,
        data: Cow<'_, [u8]>,
        limits: &ConnectionLimits,
    ) -> Result<Incoming<'static, T>, ProtocolError> {
        let pending = self.pending.as_mut().ok_or(ProtocolError::UnexpectedAttachment)?;
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
        Ok(incoming(socket, kind, id, Cow::Owned(data), attachments.into_received()))
    }

    fn handle_connect<'a>(
        &mut self,
        head: Head<'a>,
        limits: &ConnectionLimits,
    ) -> Result<Incoming<'a, T>, ProtocolError> {
        super::namespace::check_connect(head.data)?;
        let side = self.side;
        let member = self.find(head.namespace);
        match (side, member.map(|member| &mut member.state)) {
            (_, Some(State::Joined(_))) | (Side::Server, Some(State::Joining(_))) => {
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
                Ok(Incoming::Connect { namespace: head.namespace, auth })
            }
        }
    }

    fn check_room_for_one(&mut self, limit: usize) -> Result<(), ProtocolError> {
        if self.members.len() >= limit {
            self.members.retain(|member| member.token().is_some());
        }
        if self.members.len() >= limit { Err(ProtocolError::TooManyNamespaces { limit }) } else { Ok(()) }
    }

    fn handle_connect_error<'a>(&mut self, head: Head<'a>) -> Result<Incoming<'a, T>, ProtocolError> {
        if self.side == Side::Server {
            return Err(ProtocolError::ConnectErrorFromClient);
        }
        super::namespace::check(head.data).map_err(ProtocolError::BadData)?;
        let Some(socket) = self.recipient(&head)? else { return Ok(Incoming::Nothing) };
        self.remove(socket);
        Ok(Incoming::ConnectError { socket, data: head.data })
    }

    fn handle_data<'a>(
        &mut self,
        head: Head<'a>,
        limits: &ConnectionLimits,
        now: Instant,
    ) -> Result<Incoming<'a, T>, ProtocolError> {
        let socket = self.recipient(&head)?;
        if head.attachments > 0 {
            let deadline = now + limits.attachments_timeout;
            self.pending = Some(Box::new(Pending {
                socket,
                kind: head.kind,
                id: head.id,
                data: socket.map_or_else(String::new, |_| head.data.to_owned()),
                attachments: Attachments::new(head.attachments, socket.is_some(), deadline),
            }));
            return Ok(Incoming::Nothing);
        }
        Ok(socket.map_or(Incoming::Nothing, |socket| {
            incoming(socket, head.kind, head.id, Cow::Borrowed(head.data), Vec::new())
        }))
    }

    /// Whose packet it is; None for one that is to be dropped.
    fn recipient(&mut self, head: &Head<'_>) -> Result<Option<T>, ProtocolError> {
        let side = self.side;
        match (side, self.find(head.namespace).map(|member| member.state)) {
            (_, Some(State::Joined(socket))) | (Side::Client, Some(State::Joining(socket))) => {
                Ok(Some(socket))
            }
            (_, Some(State::Left)) | (Side::Client, None) => Ok(None),
            (Side::Server, Some(State::Joining(_)) | None) => Err(ProtocolError::NotJoined(head.kind)),
        }
    }

    fn find(&mut self, namespace: &str) -> Option<&mut Member<T>> {
        self.members.iter_mut().find(|member| &*member.namespace == namespace)
    }

    /// A socket is about to join: its CONNECT came (server) or is being sent (client). False when the
    /// namespace has a socket already; then nothing changes.
    pub fn joining(&mut self, namespace: Arc<str>, socket: T) -> bool {
        match self.find(&namespace) {
            Some(member) if member.token().is_some() => return false,
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
        match (self.side, in_flight) {
            (Side::Server, Some(member)) => {
                member.state = State::Left;
                true
            }
            _ => self.remove(socket),
        }
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
    data: Cow<'_, str>,
    attachments: Vec<Bytes>,
) -> Incoming<'_, T> {
    match (kind, id) {
        (PacketKind::Ack, Some(id)) => Incoming::Ack { socket, id, data, attachments },
        (_, id) => Incoming::Event { socket, id, data, attachments },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: ConnectionLimits = ConnectionLimits {
        max_attachments: 3,
        max_attachments_size: 10,
        attachments_timeout: Duration::from_secs(60),
        max_namespaces: 3,
    };

    fn joined(side: Side) -> (Connection<u64>, Instant) {
        let now = Instant::now();
        let mut connection = Connection::new(side, now, Some(Duration::from_secs(45)));
        assert!(connection.joining("/".into(), 1));
        assert!(connection.joined(1));
        (connection, now)
    }

    fn event<'a>(socket: u64, data: &'a str, attachments: &[&'static [u8]]) -> Incoming<'a, u64> {
        let attachments = attachments.iter().map(|part| Bytes::from_static(part)).collect();
        Incoming::Event { socket, id: None, data: data.into(), attachments }
    }

    #[test]
    fn a_connection_is_small() {
        assert!(size_of::<Connection<u64>>() <= 96, "{}", size_of::<Connection<u64>>());
        let (connection, _) = joined(Side::Server);
        assert!(!connection.members.spilled());
    }

    #[test]
    fn a_plain_event_is_handed_on_without_a_copy() {
        let (mut connection, now) = joined(Side::Server);
        let text = r#"2["a"]"#;
        let Ok(Incoming::Event { data: Cow::Borrowed(data), .. }) =
            connection.handle_text(text, &LIMITS, now)
        else {
            panic!("not borrowed")
        };
        assert_eq!(data.as_ptr(), text[1..].as_ptr());
    }

    #[test]
    fn attachments_are_gathered_before_the_event() {
        let (mut connection, now) = joined(Side::Server);
        assert_eq!(connection.handle_text("52-[]", &LIMITS, now), Ok(Incoming::Nothing));
        assert_eq!(connection.handle_binary(b"one"[..].into(), &LIMITS), Ok(Incoming::Nothing));
        let last = connection.handle_binary(Vec::from(*b"two").into(), &LIMITS);
        assert_eq!(last, Ok(event(1, "[]", &[b"one", b"two"])));
        let unexpected = connection.handle_binary(b"three"[..].into(), &LIMITS);
        assert_eq!(unexpected, Err(ProtocolError::UnexpectedAttachment));
    }

    #[test]
    fn a_text_between_head_and_attachments_is_an_error() {
        let (mut connection, now) = joined(Side::Server);
        connection.handle_text("51-[]", &LIMITS, now).unwrap();
        assert_eq!(connection.handle_text("2[]", &LIMITS, now), Err(ProtocolError::TextAmidAttachments));
    }

    #[test]
    fn attachments_are_bounded_together() {
        let (mut connection, now) = joined(Side::Server);
        connection.handle_text("53-[]", &LIMITS, now).unwrap();
        connection.handle_binary([0; 6][..].into(), &LIMITS).unwrap();
        connection.handle_binary([0; 4][..].into(), &LIMITS).unwrap();
        let too_large = connection.handle_binary([0; 1][..].into(), &LIMITS);
        assert_eq!(too_large, Err(ProtocolError::AttachmentsTooLarge { limit: 10 }));
    }

    #[test]
    fn what_was_on_its_way_when_the_server_ended_a_socket_is_dropped() {
        let (mut connection, now) = joined(Side::Server);
        connection.handle_text("51-[]", &LIMITS, now).unwrap();
        assert!(connection.left(1) && !connection.left(1));
        assert_eq!(connection.handle_binary([0; 1][..].into(), &LIMITS), Ok(Incoming::Nothing));
        for text in ["2[\"a\"]", "31[]", "51-[]"] {
            assert_eq!(connection.handle_text(text, &LIMITS, now), Ok(Incoming::Nothing), "{text}");
        }
        assert_eq!(connection.handle_binary([0; 1][..].into(), &LIMITS), Ok(Incoming::Nothing));
        assert_eq!(connection.handle_text("1", &LIMITS, now), Ok(Incoming::Nothing));
        let again = connection.handle_text("0", &LIMITS, now);
        assert_eq!(again, Ok(Incoming::Connect { namespace: "/", auth: None }));
        assert!(connection.joining("/".into(), 2) && connection.joined(2));
        assert_eq!(connection.tokens().collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn attachments_of_a_former_socket_do_not_reach_its_successor() {
        let (mut connection, now) = joined(Side::Server);
        connection.handle_text("51-[]", &LIMITS, now).unwrap();
        connection.left(1);
        connection.joining("/".into(), 2);
        assert_eq!(connection.handle_binary([0; 1][..].into(), &LIMITS), Ok(Incoming::Nothing));
    }

    #[test]
    fn a_server_knows_no_packets_for_namespaces_that_are_not_joined() {
        let now = Instant::now();
        let mut connection: Connection<u64> = Connection::new(Side::Server, now, None);
        let refused = |kind| Err(ProtocolError::NotJoined(kind));
        assert_eq!(connection.handle_text("2[\"a\"]", &LIMITS, now), refused(PacketKind::Event));
        assert_eq!(connection.handle_text("51-[]", &LIMITS, now), refused(PacketKind::Event));
        assert!(connection.joining("/".into(), 1));
        assert_eq!(connection.handle_text("2[\"a\"]", &LIMITS, now), refused(PacketKind::Event));
        assert_eq!(connection.handle_text("31[]", &LIMITS, now), refused(PacketKind::Ack));
        assert_eq!(connection.handle_text("1", &LIMITS, now), refused(PacketKind::Disconnect));
        assert_eq!(connection.handle_text("0", &LIMITS, now), Err(ProtocolError::AlreadyJoined));
        assert_eq!(connection.handle_text("4{}", &LIMITS, now), Err(ProtocolError::ConnectErrorFromClient));
        assert!(!connection.is_joined(1) && connection.socket_in("/") == Some(1));
        assert!(connection.left(1) && !connection.joined(1));
        assert_eq!(connection.handle_text("2[\"a\"]", &LIMITS, now), refused(PacketKind::Event));
    }

    #[test]
    fn namespaces_are_limited_and_those_left_make_room() {
        let (mut connection, now) = joined(Side::Server);
        for (namespace, socket) in [("/a", 2), ("/b", 3)] {
            assert!(connection.joining(namespace.into(), socket) && connection.joined(socket));
        }
        assert!(!connection.joining("/a".into(), 9));
        let limited = Err(ProtocolError::TooManyNamespaces { limit: 3 });
        assert_eq!(connection.handle_text("0/c", &LIMITS, now), limited);
        connection.left(2);
        let connect = Incoming::Connect { namespace: "/c", auth: None };
        assert_eq!(connection.handle_text("0/c", &LIMITS, now), Ok(connect));
        assert_eq!(connection.namespace_of(3).map(AsRef::as_ref), Some("/b"));
    }

    #[test]
    fn connect_carries_a_json_object_or_nothing() {
        let now = Instant::now();
        let mut connection: Connection<u64> = Connection::new(Side::Server, now, None);
        let auth = connection.handle_text("0/a,{\"b\":1}", &LIMITS, now);
        assert_eq!(auth, Ok(Incoming::Connect { namespace: "/a", auth: Some("{\"b\":1}") }));
        for text in ["0{", "0{}}", "0{\"a\":NaN}", "0{}1"] {
            let answer = connection.handle_text(text, &LIMITS, now);
            assert!(matches!(answer, Err(ProtocolError::BadData(_))), "{text}");
        }
    }

    #[test]
    fn a_client_ignores_namespaces_that_it_left_and_hears_early_events() {
        let now = Instant::now();
        let mut connection: Connection<u64> = Connection::new(Side::Client, now, None);
        assert!(connection.joining("/".into(), 1));
        assert_eq!(connection.handle_text("2[\"early\"]", &LIMITS, now), Ok(event(1, "[\"early\"]", &[])));
        let connected = connection.handle_text("0{\"sid\":\"x\"}", &LIMITS, now);
        assert_eq!(connected, Ok(Incoming::Connected { socket: 1, data: "{\"sid\":\"x\"}" }));
        assert_eq!(connection.handle_text("0", &LIMITS, now), Err(ProtocolError::AlreadyJoined));
        assert!(connection.left(1));
        for text in ["2[\"late\"]", "0", "1", "4{}", "0/other,{}", "51-[]"] {
            assert_eq!(connection.handle_text(text, &LIMITS, now), Ok(Incoming::Nothing), "{text}");
        }
        assert_eq!(connection.handle_binary([0; 1][..].into(), &LIMITS), Ok(Incoming::Nothing));
    }

    #[test]
    fn a_client_hears_that_it_is_refused_or_put_out() {
        let now = Instant::now();
        let mut connection: Connection<u64> = Connection::new(Side::Client, now, None);
        for (socket, text) in [(1, "4\"no\""), (2, "4{\"message\":\"no\"}")] {
            assert!(connection.joining("/".into(), socket));
            let refused = connection.handle_text(text, &LIMITS, now);
            assert_eq!(refused, Ok(Incoming::ConnectError { socket, data: &text[1..] }));
        }
        assert!(connection.joining("/".into(), 3) && connection.joined(3));
        assert_eq!(connection.handle_text("1", &LIMITS, now), Ok(Incoming::Disconnect { socket: 3 }));
        assert_eq!(connection.tokens().count(), 0);
    }

    #[test]
    fn a_connection_has_to_join_in_time() {
        let start = Instant::now();
        let timeout = Duration::from_secs(45);
        let mut connection: Connection<u64> = Connection::new(Side::Server, start, Some(timeout));
        assert_eq!(connection.poll_timeout(), Some(start + timeout));
        assert_eq!(connection.handle_timeout(start + timeout / 2), Ok(()));
        connection.joining("/".into(), 1);
        assert_eq!(connection.handle_timeout(start + timeout), Err(ProtocolError::ConnectTimeout));
        connection.joined(1);
        connection.left(1);
        assert_eq!((connection.poll_timeout(), connection.handle_timeout(start + timeout)), (None, Ok(())));
    }

    #[test]
    fn attachments_have_to_come_in_time() {
        let (mut connection, start) = joined(Side::Server);
        connection.handle_text("51-[]", &LIMITS, start).unwrap();
        let deadline = start + LIMITS.attachments_timeout;
        assert_eq!(connection.poll_timeout(), Some(deadline));
        assert_eq!(connection.handle_timeout(deadline), Err(ProtocolError::AttachmentsTimeout));
        connection.handle_binary([0; 1][..].into(), &LIMITS).unwrap();
        assert_eq!((connection.poll_timeout(), connection.handle_timeout(deadline)), (None, Ok(())));
    }

    #[test]
    fn each_side_calls_a_protocol_error_by_its_own_name() {
        assert_eq!(ProtocolError::AlreadyJoined.reason(Side::Server), "forced close");
        assert_eq!(ProtocolError::AlreadyJoined.reason(Side::Client), "parse error");
    }
}
