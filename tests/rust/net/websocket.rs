//! WebSockets of our own: frames in and out, close codes, limits, half a message.

use super::client::{Client, End, Frame, UPGRADE, WEBSOCKET, WebSocket, frame, request, texts};
use super::server::{Seen, Server, secs};
use siox::proto::ws::OpCode;
use siox::proto::ws::frame::{encode_frame, write_header};

const MASK: [u8; 4] = [1, 2, 3, 4];

/// A frame of a message in pieces.
fn piece(opcode: OpCode, fin: bool, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_header(&mut bytes, opcode, fin, payload.len(), Some(MASK));
    bytes.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

/// The end of a WebSocket whose client broke a rule: the code that it is told.
fn closed_with(server: &mut Server, websocket: &mut WebSocket) -> Option<u16> {
    let code = match websocket.frame(server) {
        Frame::Close(code) => code,
        other => panic!("{other:?}"),
    };
    assert_eq!(websocket.client.wait_end(server), End::Closed);
    code
}

#[test]
fn a_session_opens_and_talks_both_ways() {
    let mut server = Server::new();
    server.echoes = true;
    let mut websocket = WebSocket::join(&mut server);
    websocket.client.send(texts(["42[\"a\"]", "42[\"b\"]"]));
    assert_eq!(websocket.text(&mut server), "42[\"a\"]");
    assert_eq!(websocket.text(&mut server), "42[\"b\"]");
    websocket.send("451-[\"c\",{\"_placeholder\":true,\"num\":0}]");
    websocket.send_frame(OpCode::Binary, b"attached");
    let data = server.until("the event", |server| server.packets().get(2).map(ToString::to_string));
    assert_eq!(data, "[\"c\",{\"_placeholder\":true,\"num\":0}]");
    assert_eq!(server.stat("sessions"), 1);
}

#[test]
fn frames_cut_at_any_byte_are_read() {
    let mut server = Server::new();
    let mut websocket = WebSocket::join(&mut server);
    for byte in texts(["42[\"ä\"]", "42[\"b\"]"]) {
        websocket.client.send([byte]);
        server.turn();
    }
    server.settle();
    assert_eq!(server.packets(), ["[\"ä\"]", "[\"b\"]"]);
}

#[test]
fn a_ping_is_answered_in_its_place_and_a_pong_is_nothing() {
    let mut server = Server::new();
    server.echoes = true;
    let mut websocket = WebSocket::join(&mut server);
    websocket.client.send(texts(["42[\"a\"]"]));
    websocket.send_frame(OpCode::Ping, b"payload");
    websocket.send_frame(OpCode::Pong, b"unasked");
    websocket.client.send(texts(["42[\"b\"]"]));
    let mut frames: Vec<Frame> = (0..3).map(|_| websocket.frame(&mut server)).collect();
    frames.sort_by_key(|frame| matches!(frame, Frame::Pong(_)));
    let text = |text: &str| Frame::Text(text.to_owned());
    assert_eq!(frames, [text("42[\"a\"]"), text("42[\"b\"]"), Frame::Pong(b"payload".to_vec())]);
}

#[test]
fn fragments_with_a_ping_in_between_are_one_message() {
    let mut server = Server::new();
    let mut websocket = WebSocket::join(&mut server);
    websocket.client.send(piece(OpCode::Text, false, b"42[\"in "));
    websocket.send_frame(OpCode::Ping, b"between");
    websocket.client.send(piece(OpCode::Continuation, false, "pi\u{e9}".as_bytes().split_at(3).0));
    websocket.client.send(piece(OpCode::Continuation, true, b"\xa9ces\"]"));
    assert_eq!(websocket.frame(&mut server), Frame::Pong(b"between".to_vec()));
    server.settle();
    assert_eq!(server.packets(), ["[\"in pi\u{e9}ces\"]"]);
}

#[test]
fn a_close_frame_is_answered_with_its_code_and_ends_the_session() {
    for (payload, code) in [(&b""[..], None), (&[0x03, 0xe8][..], Some(1000)), (b"\x0b\xb8bye", Some(3000))] {
        let mut server = Server::new();
        let mut websocket = WebSocket::join(&mut server);
        websocket.send_frame(OpCode::Close, payload);
        assert_eq!(closed_with(&mut server, &mut websocket), code);
        assert_eq!((server.reasons(), server.stat("connections")), (vec!["transport close"], 0));
    }
}

#[test]
fn each_broken_rule_has_its_close_code() {
    let mut unmasked = Vec::new();
    encode_frame(&mut unmasked, OpCode::Text, b"42[]", None);
    let mut reserved = frame(OpCode::Text, b"42[]");
    reserved[0] |= 0x40;
    let cases: [(&str, Vec<u8>, u16); 8] = [
        ("not masked", unmasked, 1002),
        ("a reserved bit", reserved, 1002),
        ("a continuation of nothing", piece(OpCode::Continuation, true, b"x"), 1002),
        ("a ping in fragments", piece(OpCode::Ping, false, b"x"), 1002),
        ("a ping too long", frame(OpCode::Ping, &[0; 126]), 1002),
        ("no UTF-8", frame(OpCode::Text, b"42[\"\xff\"]"), 1007),
        ("a close code of nobody", frame(OpCode::Close, &[0x03, 0xed]), 1002),
        ("too large", frame(OpCode::Binary, &[0; 2000]), 1009),
    ];
    for (what, bytes, code) in cases {
        let mut server = Server::with(|options| options.max_http_buffer_size = 1000);
        let mut bystander = WebSocket::join(&mut server);
        server.echoes = true;
        let mut websocket = WebSocket::join(&mut server);
        websocket.client.send(bytes);
        assert_eq!(closed_with(&mut server, &mut websocket), Some(code), "{what}");
        assert_eq!(server.reasons(), ["transport error"], "{what}");
        assert!(server.has_logged("session"), "{what}");
        bystander.send("42[\"here\"]");
        assert_eq!(bystander.text(&mut server), "42[\"here\"]", "{what}");
    }
}

#[test]
fn a_message_that_is_too_large_is_refused_by_its_head() {
    let mut server = Server::new();
    let mut websocket = WebSocket::join(&mut server);
    let mut head = Vec::new();
    write_header(&mut head, OpCode::Binary, true, 1 << 40, Some(MASK));
    websocket.client.send(head);
    assert_eq!(closed_with(&mut server, &mut websocket), Some(1009));
    assert!(server.has_logged("raise the option max_http_buffer_size"), "{:?}", server.logs());
    let mut websocket = WebSocket::join(&mut server);
    websocket.client.send(piece(OpCode::Text, false, &vec![b'x'; 400_000]));
    server.settle();
    websocket.client.send(piece(OpCode::Continuation, true, &vec![b'x'; 600_001]));
    assert_eq!(closed_with(&mut server, &mut websocket), Some(1009));
}

#[test]
fn a_packet_that_is_none_closes_the_session() {
    for text in ["", "9", "4", "40/unknown,{", "2"] {
        let mut server = Server::new();
        let mut websocket = WebSocket::join(&mut server);
        websocket.send(text);
        server.until("the end", |server| (server.stat("sessions") == 0).then_some(()));
        assert!(matches!(websocket.frame(&mut server), Frame::Close(None)), "{text:?}");
        assert_eq!(server.reasons().len(), 1, "{text:?}");
    }
}

#[test]
fn half_a_frame_is_timed_out_and_its_memory_given_back() {
    let mut server = Server::new();
    let mut websocket = WebSocket::join(&mut server);
    let whole = frame(OpCode::Binary, &vec![0; 500_000]);
    websocket.client.send_all(&mut server, &whole[..400_000]);
    server.settle();
    assert!(server.buffered() >= 390_000);
    server.pass(secs(25));
    websocket.client.send(&whole[400_000..400_001]);
    server.pass(secs(19));
    assert_eq!(server.stat("sessions"), 1);
    assert_eq!(websocket.frame(&mut server), Frame::Text("2".into()));
    server.pass(secs(1));
    assert_eq!((server.reasons(), server.buffered()), (vec!["ping timeout"], 0));

    let mut server = Server::with(|options| options.session.ping_timeout = secs(120));
    let mut websocket = WebSocket::join(&mut server);
    websocket.client.send(&whole[..100]);
    server.settle();
    server.pass(secs(59));
    assert_eq!(server.stat("sessions"), 1);
    server.pass(secs(1));
    assert_eq!((server.reasons(), server.buffered()), (vec!["transport error"], 0));
    assert_eq!(server.stat("connections"), 0);
}

#[test]
fn a_message_after_another_has_its_own_time() {
    let mut server = Server::with(|options| options.session.ping_interval = secs(300));
    let mut websocket = WebSocket::join(&mut server);
    let message = frame(OpCode::Text, b"42[\"piece\"]");
    let (first, second) = message.split_at(9);
    websocket.client.send(first);
    for _ in 0..4 {
        server.settle();
        server.pass(secs(40));
        websocket.client.send([second, first].concat());
    }
    server.settle();
    assert_eq!((server.packets().len(), server.reasons().len()), (4, 0));
    server.pass(secs(60));
    assert_eq!(server.reasons(), ["transport error"]);
}

#[test]
fn a_peer_that_resets_midway_is_a_transport_error_and_nobody_else_s() {
    let mut server = Server::new();
    server.echoes = true;
    let mut bystander = WebSocket::join(&mut server);
    let mut websocket = WebSocket::join(&mut server);
    websocket.client.send(&frame(OpCode::Text, b"42[\"never\"]")[..5]);
    server.settle();
    websocket.client.reset();
    server.until("the end", |server| (server.stat("sessions") == 1).then_some(()));
    assert_eq!(server.reasons(), ["transport error"]);
    bystander.send("42[\"here\"]");
    assert_eq!(bystander.text(&mut server), "42[\"here\"]");
}

#[test]
fn a_peer_that_hangs_up_without_a_word_is_a_transport_close() {
    let mut server = Server::new();
    drop(WebSocket::join(&mut server));
    server.until("the end", |server| (server.stat("sessions") == 0).then_some(()));
    assert_eq!(server.reasons(), ["transport close"]);
}

#[test]
fn a_peer_that_does_not_answer_our_goodbye_is_left() {
    let mut server = Server::new();
    let mut websocket = WebSocket::join(&mut server);
    server.run(secs(25));
    assert_eq!(websocket.text(&mut server), "2");
    server.run(secs(20));
    assert_eq!(server.reasons(), ["ping timeout"]);
    assert_eq!(websocket.frame(&mut server), Frame::Close(None));
    websocket.client.send(texts(["42[\"late\"]"]));
    server.run(secs(29));
    assert_eq!(server.stat("connections"), 1);
    server.run(secs(1));
    assert_eq!((server.stat("connections"), server.packets().len()), (0, 0));
}

#[test]
fn frames_that_came_with_the_handshake_are_not_lost() {
    for count in [1, 100, 3000] {
        let mut server = Server::with(|options| options.raw_messages = true);
        let mut client = server.connect();
        server.settle();
        let mut bytes = request("GET", WEBSOCKET, UPGRADE, "").into_bytes();
        let early: Vec<String> =
            (0..count).map(|number| format!("4{number:05} {}", "x".repeat(40))).collect();
        bytes.extend(texts(early.iter().map(String::as_str)));
        client.send(&bytes);
        client.half_close();
        server.until("the end", |server| (server.stat("sessions_closed") == 1).then_some(()));
        let raw = server.seen.iter().filter_map(|seen| match seen {
            Seen::Raw { data, .. } => Some(format!("4{}", String::from_utf8_lossy(data))),
            _ => None,
        });
        assert_eq!(raw.collect::<Vec<_>>(), early);
    }
}

#[test]
fn pings_of_a_peer_that_reads_nothing_are_bounded() {
    let mut server = Server::with(|options| options.marks.limit = 1024 * 1024);
    let client = Client::small(server.address);
    let mut websocket = WebSocket::join_over(&mut server, client);
    let pings = frame(OpCode::Ping, &[0; 125]).repeat(4000);
    for _ in 0..200 {
        if websocket.client.end.is_some() || server.stat("sessions") == 0 {
            break;
        }
        let mut sent = 0;
        while sent < pings.len() && server.stat("sessions") == 1 {
            let count = websocket.client.send_some(&pings[sent..]);
            sent += count;
            server.turn();
            if count == 0 {
                server.now += secs(1);
            }
        }
        let socket = server.last_socket();
        if server.stat("sessions") == 1 {
            assert!(server.pending(socket) < 4 * 1024 * 1024, "{}", server.pending(socket));
        }
    }
    assert_eq!(server.reasons(), ["transport error"]);
}
