//! The rules of namespaces on either side; two connections on each other are in `tests/rust/socket.rs`.

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
    let mut server: Connection<u64> = Connection::new(Side::Server, now, None).with_parser(Parser::Msgpack);
    let mut given = |kind, data: &[u8]| server.handle_binary(binary(kind, data).into(), &LIMITS);
    assert_eq!(given(2, b"\x91\xa1a"), Err(ProtocolError::NotJoined(PacketKind::Event)));
    assert_eq!(given(4, b"\x80"), Err(ProtocolError::ConnectErrorFromClient));
    let connect = Incoming::Connect { namespace: "/".into(), auth: Some(b"\x81\xa1a\x01"[..].into()) };
    assert_eq!(given(0, b"\x81\xa1a\x01"), Ok(connect));
    assert!(matches!(given(0, b"\x81\xa1\xff\x01"), Err(ProtocolError::BadMsgpack(_))));
    assert!(matches!(given(0, b"\x90"), Err(ProtocolError::Packet(_))));
    assert_eq!(server.handle_text("0", &LIMITS, now), Err(ProtocolError::TextWithMsgpack));
    let mut client: Connection<u64> = Connection::new(Side::Client, now, None).with_parser(Parser::Msgpack);
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
