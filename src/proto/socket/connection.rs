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
mod tests {
    use super::*;

    const LIMITS: ConnectionLimits = ConnectionLimits {
        max_attachments: 3,
        max_attachments_size: 10,
        attachments_timeout: Duration::from_secs(60),
        max_namespaces: 3,
        any_auth: false,
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
        let Ok(Incoming::Event { data: Data::Json(Cow::Borrowed(data)), .. }) =
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
        for (data, begins_like_msgpack) in [(b"three", false), (b"\x83\xa4typ", true)] {
            let unexpected = connection.handle_binary(data[..].into(), &LIMITS);
            assert_eq!(unexpected, Err(ProtocolError::UnexpectedAttachment { begins_like_msgpack }));
        }
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
        assert_eq!(again, Ok(Incoming::Connect { namespace: "/".into(), auth: None }));
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
        let connect = Incoming::Connect { namespace: "/c".into(), auth: None };
        assert_eq!(connection.handle_text("0/c", &LIMITS, now), Ok(connect));
        assert_eq!(connection.namespace_of(3).map(AsRef::as_ref), Some("/b"));
    }

    #[test]
    fn connect_carries_a_json_object_or_nothing() {
        let now = Instant::now();
        let mut connection: Connection<u64> = Connection::new(Side::Server, now, None);
        let auth = connection.handle_text("0/a,{\"b\":1}", &LIMITS, now);
        assert_eq!(auth, Ok(Incoming::Connect { namespace: "/a".into(), auth: Some("{\"b\":1}".into()) }));
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
        assert_eq!(connected, Ok(Incoming::Connected { socket: 1, data: "{\"sid\":\"x\"}".into() }));
        assert_eq!(connection.handle_text("0", &LIMITS, now), Err(ProtocolError::AlreadyJoined));
        assert!(connection.left(1));
        for text in ["2[\"late\"]", "0", "1", "4{}", "0/other,{}", "51-[]"] {
            assert_eq!(connection.handle_text(text, &LIMITS, now), Ok(Incoming::Nothing), "{text}");
        }
        assert_eq!(connection.handle_binary([0; 1][..].into(), &LIMITS), Ok(Incoming::Nothing));
    }

    #[test]
    fn a_disconnect_that_crossed_a_clients_own_is_not_for_who_joins_again() {
        let (mut connection, now) = joined(Side::Client);
        let namespace = Arc::clone(connection.namespace_of(1).unwrap());
        for _ in 0..2 {
            let socket = connection.tokens().next().unwrap();
            assert!(connection.left(socket) && connection.joining(Arc::clone(&namespace), socket + 1));
            assert_eq!(connection.handle_text("1", &LIMITS, now), Ok(Incoming::Nothing));
            let connected = connection.handle_text("0{}", &LIMITS, now);
            assert_eq!(connected, Ok(Incoming::Connected { socket: socket + 1, data: "{}".into() }));
        }
        // There is one at most; a second is for this one.
        assert!(connection.left(3) && connection.joining(namespace, 4));
        assert_eq!(connection.handle_text("1", &LIMITS, now), Ok(Incoming::Nothing));
        assert_eq!(connection.handle_text("1", &LIMITS, now), Ok(Incoming::Disconnect { socket: 4 }));
    }

    #[test]
    fn a_client_hears_that_it_is_refused_or_put_out() {
        let now = Instant::now();
        let mut connection: Connection<u64> = Connection::new(Side::Client, now, None);
        for (socket, text) in [(1, "4\"no\""), (2, "4{\"message\":\"no\"}")] {
            assert!(connection.joining("/".into(), socket));
            let refused = connection.handle_text(text, &LIMITS, now);
            assert_eq!(refused, Ok(Incoming::ConnectError { socket, data: text[1..].into() }));
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

    /// A packet of msgpack: its type, and its data where it has some.
    fn binary(kind: u8, data: &[u8]) -> Vec<u8> {
        let (members, data_member) =
            if data.is_empty() { (3, vec![]) } else { (4, [b"\xa4data", data].concat()) };
        [&[0x80 | members], &b"\xa4type"[..], &[kind], b"\xa3nsp\xa1/\xa2id\x07", &data_member].concat()
    }

    #[test]
    fn packets_of_msgpack_are_handed_on_without_a_copy_where_the_message_is_borrowed() {
        let (connection, _) = joined(Side::Server);
        let mut connection = connection.with_parser(Parser::Msgpack);
        let message = binary(2, b"\x91\xa1a");
        let data = Data::Msgpack(b"\x91\xa1a"[..].into());
        let expected = Incoming::Event { socket: 1, id: Some(7), data, attachments: vec![] };
        let borrowed = connection.handle_binary(message[..].into(), &LIMITS).unwrap();
        assert_eq!(borrowed, expected);
        let Incoming::Event { data: Data::Msgpack(Cow::Borrowed(data)), .. } = borrowed else {
            panic!("not borrowed")
        };
        assert!(message.as_ptr_range().contains(&data.as_ptr()));
        assert_eq!(connection.handle_binary(message.into(), &LIMITS), Ok(expected));
        let ack = Incoming::Ack { socket: 1, id: 7, data: b"\x90"[..].into(), attachments: vec![] };
        assert_eq!(connection.handle_binary(binary(3, b"\x90").into(), &LIMITS), Ok(ack));
        let left = connection.handle_binary(binary(1, b"").into(), &LIMITS);
        assert_eq!(left, Ok(Incoming::Disconnect { socket: 1 }));
    }

    #[test]
    fn msgpack_has_the_rules_of_json() {
        let now = Instant::now();
        let mut server: Connection<u64> =
            Connection::new(Side::Server, now, None).with_parser(Parser::Msgpack);
        let mut given = |kind, data: &[u8]| server.handle_binary(binary(kind, data).into(), &LIMITS);
        assert_eq!(given(2, b"\x91\xa1a"), Err(ProtocolError::NotJoined(PacketKind::Event)));
        assert_eq!(given(4, b"\x80"), Err(ProtocolError::ConnectErrorFromClient));
        let connect = Incoming::Connect { namespace: "/".into(), auth: Some(b"\x81\xa1a\x01"[..].into()) };
        assert_eq!(given(0, b"\x81\xa1a\x01"), Ok(connect));
        assert!(matches!(given(0, b"\x81\xa1\xff\x01"), Err(ProtocolError::BadMsgpack(_))));
        assert!(matches!(given(0, b"\x90"), Err(ProtocolError::Packet(_))));
        assert_eq!(server.handle_text("0", &LIMITS, now), Err(ProtocolError::TextWithMsgpack));
        let mut client: Connection<u64> =
            Connection::new(Side::Client, now, None).with_parser(Parser::Msgpack);
        assert!(client.joining("/".into(), 1));
        let connected = client.handle_binary(binary(0, b"\x80").into(), &LIMITS);
        assert_eq!(connected, Ok(Incoming::Connected { socket: 1, data: b"\x80"[..].into() }));
        let refused = client.handle_binary(binary(4, b"\xa2no").into(), &LIMITS);
        assert_eq!(refused, Ok(Incoming::ConnectError { socket: 1, data: b"\xa2no"[..].into() }));
    }

    #[test]
    fn each_side_calls_a_protocol_error_by_its_own_name() {
        assert_eq!(ProtocolError::AlreadyJoined.reason(Side::Server), "forced close");
        assert_eq!(ProtocolError::AlreadyJoined.reason(Side::Client), "parse error");
    }

    #[test]
    fn a_connect_may_have_any_data_where_that_is_allowed() {
        for (text, data) in
            [("0\"token\"", "\"token\""), ("0/a,[1]", "[1]"), ("0/a,{}", "{}"), ("0/a,true", "true")]
        {
            let (mut strict, now) = fresh();
            let refused = strict.handle_text(text, &LIMITS, now).is_err();
            assert_eq!(refused, data != "{}", "{text}");
            let (mut lenient, now) = fresh();
            let limits = ConnectionLimits { any_auth: true, ..LIMITS };
            let Ok(Incoming::Connect { auth, .. }) = lenient.handle_text(text, &limits, now) else {
                panic!("{text}")
            };
            assert_eq!(auth, Some(data.into()));
            assert!(lenient.handle_text("0/b,[1", &limits, now).is_err());
            assert!(lenient.handle_text("1/b,[1]", &limits, now).is_err());
        }
        let (lenient, _) = fresh();
        let mut lenient = lenient.with_parser(Parser::Msgpack);
        let limits = ConnectionLimits { any_auth: true, ..LIMITS };
        let packet = b"\x83\xa4type\x00\xa3nsp\xa1/\xa4data\xa5token";
        let connected = lenient.handle_binary(packet[..].into(), &limits);
        assert!(matches!(connected, Ok(Incoming::Connect { auth: Some(_), .. })), "{connected:?}");
    }

    fn fresh() -> (Connection<u64>, Instant) {
        let now = Instant::now();
        (Connection::new(Side::Server, now, None), now)
    }

    #[test]
    fn what_came_in_part_is_handed_over_as_it_came() {
        let (mut connection, now) = joined(Side::Server);
        assert_eq!(connection.hand_over(), None);
        connection.handle_text("53-7[0]", &LIMITS, now).unwrap();
        connection.handle_binary(b"one"[..].into(), &LIMITS).unwrap();
        let half = HalfPacket { text: "53-7[0]".into(), attachments: vec![Bytes::from_static(b"one")] };
        assert_eq!(connection.hand_over(), Some(half));
        assert!(!connection.drops_binary(&LIMITS));
        assert_eq!(connection.poll_timeout(), None);

        connection.handle_text("52-[0]", &LIMITS, now).unwrap();
        connection.left(1);
        assert_eq!(connection.hand_over(), None);
        let drops = [0; 3].map(|_| connection.drops_binary(&LIMITS));
        assert_eq!(drops, [true, true, false]);
    }
}
