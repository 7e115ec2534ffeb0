//! Servers that are none, or mean harm: each is told in a sentence, ends the session, and holds no memory.

use super::world::{OPEN, World, accept, frames, ok, text_frame};
use proptest::prelude::*;
use proptest::sample::Index;
use siox::proto::engine::TransportKind;
use siox::proto::limits::{ERROR_BODY_TIMEOUT, MAX_RESPONSE_HEAD};

/// What a client says to this answer to its first GET, and its status.
fn polled(answer: impl AsRef<[u8]>, ends: bool) -> (String, Option<u16>) {
    let answer = answer.as_ref();
    let says = |step: usize| {
        let mut world = World::on(TransportKind::Polling);
        let get = world.open();
        for piece in answer.chunks(step) {
            world.receive(get, piece);
        }
        if ends {
            world.finish(get);
        }
        world.pass(ERROR_BODY_TIMEOUT);
        assert!(world.carrier.is_finished() && world.live().is_empty(), "{:?}", world.seen);
        (world.failure().message.clone(), world.failure().status)
    };
    let whole = says(usize::MAX);
    for step in [1, 7] {
        assert_eq!(says(step), whole, "in pieces of {step}");
    }
    whole
}

#[test]
fn every_answer_to_the_first_request_has_its_sentence() {
    let cases: [(&str, bool, &str); 17] = [
        ("", true, "the server closed the connection without an answer"),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n0{",
            true,
            "the server closed the connection in the middle of its answer",
        ),
        (
            "SSH-2.0-OpenSSH_9.2\r\n",
            false,
            "this is not a Socket.IO server: the answer is no HTTP: it begins with \"SSH-2.0-OpenSSH_9.2\"",
        ),
        (
            "-ERR wrong number of arguments for 'get' command\r\n",
            false,
            "this is not a Socket.IO server: the answer is no HTTP: it begins with \"-ERR wrong number of arguments for 'get'\"",
        ),
        ("\u{15}\u{3}\u{1}", false, "localhost:3000 speaks TLS: use https:// or wss://"),
        (
            "HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\nnot found",
            false,
            "this is not a Socket.IO server, or its path is not /socket.io/: 404 Not Found: not found",
        ),
        (
            "HTTP/1.1 404 Not Found\r\nContent-Length: 900\r\n\r\nnot found",
            false,
            "this is not a Socket.IO server, or its path is not /socket.io/: 404 Not Found: not found",
        ),
        (
            "HTTP/1.1 301 Moved\r\nLocation: https://b/socket.io/?x\r\nContent-Length: 0\r\n\r\n",
            false,
            "the server answered 301 to https://b/socket.io/?x: give that address",
        ),
        (
            "HTTP/1.1 400 Bad Request\r\nContent-Length: 51\r\n\r\n{\"code\":5,\"message\":\"Unsupported protocol version\"}",
            false,
            "the server refused: Unsupported protocol version: it speaks another version of Engine.IO (status 400)",
        ),
        (
            "HTTP/1.1 403 Forbidden\r\nContent-Length: 38\r\n\r\n{\"code\":4,\"message\":\"not on Tuesdays\"} ",
            false,
            "the server refused: not on Tuesdays (status 403)",
        ),
        (
            "HTTP/1.1 401 Unauthorized\r\nConnection: close\r\n\r\nlog in",
            true,
            "the server answered 401 Unauthorized: log in",
        ),
        (
            "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
            false,
            "a proxy does not reach the server: 503 Service Unavailable",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 15\r\n\r\n<!DOCTYPE html>",
            false,
            "this is not a Socket.IO server: unknown packet type '<' in its answer (text/html): <!DOCTYPE html>",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            false,
            "this is not a Socket.IO server: empty packet in its answer: ",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n9:0{\"sid\":1}2:40x",
            false,
            "the server speaks Engine.IO 3, as Socket.IO 2 does: it has to be of version 3 or later",
        ),
        ("HTTP/1.1 204 No Content\r\n\r\n", false, "the server answered 204 No Content"),
        (
            "HTTP/1.1 200 OK\r\nContent-Encoding: br\r\n\r\n",
            false,
            "the server's answer cannot be read: the answer has a content coding that was not asked for: br",
        ),
    ];
    for (answer, ends, expected) in cases {
        assert_eq!(polled(answer, ends).0, expected, "{answer}");
    }
}

#[test]
fn an_answer_that_breaks_the_rules_is_refused() {
    let cases = [
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n0",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffffff\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
        "HTTP/1.1 200 OK\nContent-Length: 1\n\n",
        "HTTP/1.9 200 OK\r\nX y\r\n\r\n",
        "HTTP/1.1 xyz OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA\0: b\r\n\r\n",
    ];
    for answer in cases {
        let (message, status) = polled(answer, false);
        assert!(message.starts_with("the server's answer cannot be read: "), "{answer}: {message}");
        assert_eq!(status, None);
    }
    let endless = format!("HTTP/1.1 200 OK\r\nX: {}", "y".repeat(MAX_RESPONSE_HEAD));
    assert!(polled(endless, false).0.ends_with("head above 16384 bytes"));
    let interim = "HTTP/1.1 100 Continue\r\n\r\n".repeat(9);
    assert!(polled(interim, false).0.ends_with("more than 8 interim answers"));
    let fields = format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: b\r\n".repeat(101));
    assert!(polled(fields, false).0.ends_with("more than 100 header fields"));
}

#[test]
fn a_handshake_of_another_kind_is_no_session() {
    for body in
        ["0", "0{}", "0[]", "0{\"sid\":\"\"}", "2", "40", "6", "bAAAA", "0{\"sid\":\"a\",\"pingInterval\":1}"]
    {
        let (message, status) = polled(ok(body), false);
        assert!(message.starts_with("this is not a Socket.IO server: "), "{body}: {message}");
        assert_eq!(status, Some(200));
    }
    // JavaScript closes, too.
    let (message, _) = polled(ok("1"), false);
    assert_eq!(message, "the server closed the session");
}

/// What a client says to these bytes in place of the answer to its handshake.
fn upgraded(answer: impl Fn(&str) -> Vec<u8>, ends: bool) -> String {
    let says = |step: usize| {
        let mut world = World::on(TransportKind::WebSocket);
        let id = world.open();
        let request = world.text(id);
        for piece in answer(&request).chunks(step) {
            world.receive(id, piece);
        }
        if ends {
            world.finish(id);
        }
        world.pass(ERROR_BODY_TIMEOUT);
        assert!(world.carrier.is_finished() && world.live().is_empty(), "{:?}", world.seen);
        world.failure().message.clone()
    };
    let whole = says(usize::MAX);
    assert_eq!(says(1), whole, "byte by byte");
    whole
}

#[test]
fn every_answer_to_the_handshake_has_its_sentence() {
    let replaced = |from: &'static str, to: &'static str| {
        upgraded(move |request| accept(request).replace(from, to).into_bytes(), false)
    };
    let wrong = "the server's answer opens no WebSocket: header";
    assert_eq!(
        replaced("Upgrade: websocket", "Upgrade: h2c"),
        format!("{wrong} Upgrade of the response is missing or wrong")
    );
    assert_eq!(
        replaced("Connection: Upgrade", "X: y"),
        format!("{wrong} Connection of the response is missing or wrong")
    );
    assert_eq!(
        replaced("Accept: ", "Accept: x"),
        format!("{wrong} Sec-WebSocket-Accept of the response is missing or wrong")
    );
    assert_eq!(
        replaced(
            "Connection: Upgrade\r\n",
            "Connection: Upgrade\r\nSec-WebSocket-Extensions: permessage-deflate\r\n"
        ),
        "the server's answer opens no WebSocket: server chose what was not offered: Sec-WebSocket-Extensions"
    );
    let plain = |answer: &'static str, ends| upgraded(move |_| answer.as_bytes().to_vec(), ends);
    assert_eq!(
        plain("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", false),
        "the server answered 200 OK instead of opening a WebSocket: a proxy may not let WebSockets through: hi"
    );
    assert_eq!(
        plain("HTTP/1.1 400 Bad Request\r\n\r\nSession ID unknown", true),
        "the server answered 400 Bad Request: Session ID unknown"
    );
    let endless = "HTTP/1.1 403 Forbidden\r\nContent-Length: 99999\r\n\r\nno";
    assert_eq!(plain(endless, false), "the server answered 403 Forbidden: no", "the rest is not waited for");
    assert_eq!(plain("\u{15}\u{3}", false), "localhost:3000 speaks TLS: use https:// or wss://");
    assert_eq!(plain("", true), "the server closed the connection without an answer");
}

#[test]
fn frames_that_break_the_rules_are_answered_with_their_code() {
    let cases: [(&[u8], &str, &str); 8] = [
        (b"\x81\x81\0\0\0\0x", "frame of a server is masked", "close Some(1002)"),
        (b"\xc1\x01x", "reserved bits 0x40 in a frame's first byte", "close Some(1002)"),
        (b"\x83\x00", "reserved opcode 0x3", "close Some(1002)"),
        (b"\x80\x00", "continuation frame without a message begun", "close Some(1002)"),
        (b"\x81\x02\xc3(", "text message is not UTF-8 at byte 0", "close Some(1007)"),
        (b"\x88\x01x", "close frame with a payload of one byte", "close Some(1002)"),
        (
            b"\x82\x7f\xff\0\0\0\0\0\0\0",
            "frame length 0xff00000000000000 has its top bit set",
            "close Some(1002)",
        ),
        (b"\x89\x7e\x00\x80", "control frame Ping above 125 bytes", "close Some(1002)"),
    ];
    for (bytes, message, answer) in cases {
        let (mut world, id) = World::websocket();
        world.receive(id, bytes);
        let (reason, details) = world.closed();
        let details = details.unwrap();
        assert_eq!((reason, details.description), ("transport error", "websocket error"));
        assert_eq!(details.message, format!("the server broke the rules of WebSocket: {message}"));
        assert_eq!(frames(world.written(id)), [answer]);
        // Whatever else it says is not listened to.
        world.receive(id, text_frame("42[\"late\"]"));
        world.pass(std::time::Duration::from_secs(2));
        assert!(world.carrier.is_finished());
    }
    let mut world = World::new(|config| {
        config.transports = vec![TransportKind::WebSocket];
        config.max_message = 200;
    });
    let id = world.open();
    world.accept(id);
    world.receive(id, text_frame(OPEN));
    world.written(id);
    world.receive(id, b"\x82\x7f\0\0\0\x10\0\0\0\0");
    let message = "the server sent a message of 68719476736 bytes or more; the limit is 200";
    assert_eq!((world.closed().0, world.closed().1.unwrap().message.as_str()), ("transport error", message));
    assert_eq!(frames(world.written(id)), ["close Some(1009)"]);
}

#[test]
fn bytes_after_the_end_and_of_unknown_streams_are_ignored() {
    let (mut world, id) = World::websocket();
    world.finish(id);
    let seen = world.seen.len();
    let unknown = siox::proto::client::StreamId(99);
    for id in [id, unknown] {
        world.receive(id, text_frame("2"));
        world.carrier.handle_opened(id, world.now);
        world.carrier.handle_blocked(id);
        world.carrier.handle_writable(id, world.now);
        world.finish(id);
        world.fail(id, "x");
    }
    assert_eq!(world.seen.len(), seen);
}

#[test]
fn a_flood_of_pings_is_answered_once_to_a_server_that_does_not_read() {
    let (mut world, id) = World::websocket();
    world.carrier.handle_blocked(id);
    let pings = [text_frame("2"), b"\x89\x7d".to_vec(), vec![0; 125]].concat().repeat(1000);
    for _ in 0..10 {
        world.receive(id, &pings);
    }
    assert_eq!((world.carrier.queued(), world.carrier.queued_bytes()), (0, 0));
    world.carrier.handle_writable(id, world.now);
    world.collect();
    assert_eq!(frames(world.written(id)), ["3"]);
}

#[test]
fn a_server_that_answers_what_it_does_not_read_makes_no_heap_of_requests() {
    let (mut world, get) = World::polling();
    world.carrier.handle_blocked(get);
    for _ in 0..100 {
        let get = *world.live().last().unwrap();
        world.answer(get, "2");
        let waiting: Vec<_> = world.live().into_iter().filter(|id| !world.links[id].is_open).collect();
        for id in waiting {
            world.links.get_mut(&id).unwrap().is_open = true;
            world.carrier.handle_opened(id, world.now);
            world.carrier.handle_blocked(id);
        }
        world.collect();
        assert!(world.carrier.queued_bytes() < 2000 && world.live().len() <= 2);
    }
}

#[test]
fn attachments_are_counted_and_timed() {
    let (mut world, id) = World::websocket();
    world.carrier.connect("/".into(), 1, None, world.now);
    world.receive(id, text_frame("40{\"sid\":\"a\"}"));
    world.receive(id, text_frame("4511-[]"));
    assert_eq!(world.closed().0, "parse error");

    let (mut world, id) = World::websocket();
    world.receive(id, b"\x82\x01x");
    let (reason, details) = world.closed();
    let message = "the server sent what is no packet: a binary message came while no attachment was due";
    assert_eq!((reason, details.unwrap().message.as_str()), ("parse error", message));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_server_can_make_it_panic_or_hang(
        websocket in any::<bool>(),
        pieces in prop::collection::vec((0..8usize, any::<Index>(), prop::collection::vec(any::<u8>(), 0..20)), 0..40),
    ) {
        let mut world = World::new(|config| {
            config.try_all_transports = true;
            config.max_message = 1000;
            if websocket {
                config.transports.reverse();
            }
        });
        world.carrier.connect("/".into(), 1, None, world.now);
        for (choice, which, bytes) in pieces {
            let live = world.live();
            if live.is_empty() {
                break;
            }
            let id = live[which.index(live.len())];
            if !world.links[&id].is_open {
                world.links.get_mut(&id).unwrap().is_open = true;
                world.carrier.handle_opened(id, world.now);
                world.collect();
                continue;
            }
            let body = super::world::UPGRADABLE;
            let reply = match choice {
                0 => ok(body).into_bytes(),
                1 => ok("40{\"sid\":\"a\"}\u{1e}2\u{1e}42[\"a\"]").into_bytes(),
                2 => {
                    let request = String::from_utf8_lossy(&world.links[&id].written).into_owned();
                    if request.contains("Sec-WebSocket-Key") { accept(&request).into_bytes() } else { ok("ok").into_bytes() }
                }
                3 => text_frame("3probe"),
                4 => text_frame(body),
                5 => [ok("6").into_bytes(), bytes].concat(),
                6 => bytes,
                _ => {
                    world.pass(std::time::Duration::from_millis(bytes.len() as u64 * 50));
                    if bytes.len() % 5 == 1 { world.finish(id) } else if bytes.len() % 5 == 2 { world.fail(id, "x") }
                    continue;
                }
            };
            world.receive(id, reply);
            prop_assert!(world.live().len() <= 4);
        }
        // Left alone, it comes to an end by itself.
        world.pass(std::time::Duration::from_secs(60));
        prop_assert!(world.carrier.is_finished() && world.live().is_empty(), "{:?}", world.seen);
    }
}
