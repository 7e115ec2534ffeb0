//! What a carrier writes: requests, on which streams, with which headers and cookies.

use super::world::{OPEN, UPGRADABLE, World, event, frames};
use siox::proto::client::{CarrierEvent, Memory};
use siox::proto::engine::TransportKind;
use siox::proto::socket::{Encoded, PacketKind, Parser};
use std::time::Duration;

/// A request without what differs from one to the next.
fn plain(request: &str) -> String {
    let (first, rest) = request.split_once("\r\n").unwrap();
    let (before, after) = first.split_once("&t=").unwrap();
    let after = after.trim_start_matches(|c: char| c.is_ascii_hexdigit());
    format!("{before}{after}\r\n{rest}")
}

#[test]
fn the_first_request_asks_for_a_session() {
    let mut world = World::new(|config| {
        config.query = vec![("token".into(), "a b".into())];
        config.headers = vec![("X-Own".into(), "1".into()), ("cookie".into(), "own=2".into())];
    });
    let get = world.open();
    let version = env!("CARGO_PKG_VERSION");
    let expected = format!(
        "GET /socket.io/?EIO=4&transport=polling&token=a%20b HTTP/1.1\r\nHost: localhost:3000\r\nAccept: */*\r\n\
         User-Agent: siox/{version}\r\nX-Own: 1\r\nCookie: own=2\r\n\r\n"
    );
    assert_eq!(plain(&world.text(get)), expected);
    assert_eq!(world.links.len(), 1);
}

#[test]
fn headers_of_the_application_take_the_place_of_ours_and_never_break_a_request() {
    let mut config = siox::proto::client::CarrierConfig::new("localhost");
    config.headers =
        [("User-Agent", "mine"), ("Host", "other"), ("accept", "x"), ("Upgrade", "h2c"), ("A", "b\r\nC: d")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec();
    let (now, config) = (std::time::Instant::now(), std::sync::Arc::new(config));
    let mut carrier =
        siox::proto::client::Carrier::<u8>::new(&config, Memory::default(), super::world::random(), now);
    let Some(siox::proto::client::CarrierAction::Open(id)) = carrier.poll_action() else { panic!() };
    assert_eq!(carrier.poll_output(), None, "not open yet");
    carrier.handle_opened(id, now);
    let request = String::from_utf8(carrier.poll_output().unwrap().1.to_vec()).unwrap();
    let expected = "HTTP/1.1\r\nHost: other\r\nUser-Agent: mine\r\naccept: x\r\nA: b  C: d\r\n\r\n";
    assert_eq!(request.split_once(" HTTP/1.1").unwrap().1, &expected[8..]);
}

#[test]
fn a_get_and_a_post_share_two_connections_that_stay_open() {
    let (mut world, get) = World::polling();
    assert!(world.carrier.connect("/".into(), 1, None, world.now));
    world.collect();
    let post = world.open();
    let request = plain(&world.text(post));
    assert!(
        request.starts_with("POST /socket.io/?EIO=4&transport=polling&sid=secret HTTP/1.1\r\n"),
        "{request}"
    );
    assert!(
        request.ends_with("Content-Type: text/plain;charset=UTF-8\r\nContent-Length: 2\r\n\r\n40"),
        "{request}"
    );
    world.answer(post, "ok");
    world.answer(get, r#"40{"sid":"a"}"#);
    assert_eq!(world.seen, [CarrierEvent::Connected { socket: 1, data: r#"{"sid":"a"}"#.into() }]);
    for round in 0..5 {
        world.carrier.send(&event("[\"a\"]"), world.now);
        world.collect();
        // Either stream may carry either request.
        let [one, two] = world.live()[..] else { panic!("{:?}", world.links) };
        let requests = [world.text(one), world.text(two)];
        let posting = usize::from(requests[1].starts_with("POST"));
        assert!(requests[posting].ends_with("42[\"a\"]"), "{requests:?}");
        world.answer([one, two][posting], "ok");
        world.answer([one, two][1 - posting], "2");
        assert_eq!(world.seen.len(), 2 + round);
        let [one, two] = [one, two].map(|id| world.text(id));
        assert!(one.contains("\r\n\r\n3") || two.contains("\r\n\r\n3"), "the pong");
        let posting = usize::from(!one.contains("\r\n\r\n3"));
        let post = world.live()[posting];
        world.answer(post, "ok");
    }
    assert_eq!(world.links.len(), 2);
}

#[test]
fn what_is_said_in_one_turn_shares_a_post() {
    for output_first in [false, true] {
        let (mut world, _) = World::polling();
        world.carrier.connect("/".into(), 1, None, world.now);
        world.carrier.connect("/admin".into(), 2, None, world.now);
        assert!(world.carrier.is_writable());
        if output_first {
            assert_eq!(world.carrier.poll_output(), None);
        }
        world.collect();
        assert!(!world.carrier.is_writable());
        let post = world.open();
        assert!(world.text(post).ends_with("\r\n\r\n40\u{1e}40/admin,"));
        for number in 0..3 {
            world.carrier.send(&event(&format!("[{number}]")), world.now);
        }
        world.carrier.disconnect(2, world.now);
        world.answer(post, "ok");
        assert!(world.text(post).ends_with("\r\n\r\n42[0]\u{1e}42[1]\u{1e}42[2]\u{1e}41/admin,"));
    }
}

#[test]
fn a_connection_that_the_server_does_not_keep_is_not_used_again() {
    let (mut world, get) = World::polling();
    for close in ["HTTP/1.1 200 OK\r\nConnection: close", "HTTP/1.0 200 OK", "HTTP/1.1 200 OK\r\nX: y"] {
        let get = *world.live().last().unwrap();
        // The last one has more behind its body than was asked for.
        world.receive(
            get,
            format!("{close}\r\nContent-Length: 1\r\n\r\n6{}", if close.contains('X') { "x" } else { "" }),
        );
        assert!(world.links[&get].is_closed, "{close}");
        let next = world.open();
        assert!(world.text(next).starts_with("GET"));
    }
    assert!(world.links[&get].is_closed && world.carrier.session().is_open());
}

#[test]
fn a_kept_connection_that_was_closed_between_two_requests_is_replaced_once() {
    let (mut world, get) = World::polling();
    world.answer(get, "6");
    let request = plain(&world.text(get));
    world.pass(Duration::from_millis(100));
    world.finish(get);
    assert!(world.links[&get].is_closed && world.seen.is_empty());
    let again = world.open();
    assert_eq!(plain(&world.text(again)), request);
    world.finish(again);
    let (reason, details) = world.closed();
    assert_eq!((reason, details.unwrap().description), ("transport error", "xhr poll error"));
    assert_eq!(details.unwrap().message, "the server closed the connection without an answer");
}

#[test]
fn a_request_is_not_made_again_when_the_server_may_have_seen_it() {
    // Later than anything that crossed it on its way.
    let (mut world, get) = World::polling();
    world.answer(get, "2");
    world.pass(Duration::from_millis(400));
    world.now += Duration::from_secs(3);
    world.fail(get, "connection reset by peer");
    let (reason, details) = world.closed();
    assert_eq!((reason, details.unwrap().message.as_str()), ("transport error", "connection reset by peer"));
    // After a part of the answer.
    let (mut world, get) = World::polling();
    world.answer(get, "6");
    world.receive(get, "HTTP/1.1 200");
    world.finish(get);
    assert_eq!(
        world.closed().1.unwrap().message,
        "the server closed the connection in the middle of its answer"
    );
}

#[test]
fn an_idle_connection_that_ends_or_speaks_is_let_go_of() {
    for speaks in [false, true] {
        let (mut world, _) = World::polling();
        world.carrier.send(&event("[1]"), world.now);
        world.collect();
        let post = world.open();
        world.answer(post, "ok");
        if speaks {
            world.receive(post, "HTTP/1.1 408 Request Timeout\r\n\r\n");
        } else {
            world.finish(post);
        }
        assert!(world.links[&post].is_closed && world.seen.is_empty());
        world.carrier.send(&event("[2]"), world.now);
        world.collect();
        let post = world.open();
        assert!(world.text(post).ends_with("42[2]"));
    }
}

#[test]
fn cookies_go_with_every_request_and_with_the_next_connection() {
    let mut world = World::new(|_| {});
    let get = world.open();
    world.text(get);
    let set = "Set-Cookie: route=b1; Path=/; HttpOnly\r\nSet-Cookie: short=1; Max-Age=10\r\nSet-Cookie: tls=1; Secure\r\n";
    let body = UPGRADABLE;
    world.receive(get, format!("HTTP/1.1 200 OK\r\n{set}Content-Length: {}\r\n\r\n{body}", body.len()));
    let cookie = "\r\nCookie: short=1; route=b1\r\n";
    assert!(world.text(get).contains(cookie));
    let websocket = world.open();
    let handshake = world.text(websocket);
    assert!(handshake.contains(cookie) && handshake.contains("\r\nUpgrade: websocket\r\n"), "{handshake}");
    world.now += Duration::from_secs(11);
    let memory = world.carrier.memory();
    assert!(!memory.websocket_worked);
    let now = world.now;
    let mut next = World::remembering(memory.clone(), |_| {});
    next.now = now;
    next.carrier.handle_timeout(now);
    let get = next.open();
    // The clock of a test is its own: what was written had been written before.
    assert!(next.text(get).contains("route=b1"));
    let mut none = World::remembering(memory, |config| config.cookies = false);
    let get = none.open();
    none.receive(get, "HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nContent-Length: 1\r\n\r\n1");
    assert!(!format!("{:?}", none.carrier.memory()).contains("\"a\""));
}

#[test]
fn a_goodbye_has_the_cookies_though_the_next_connection_knows_them_already() {
    let (mut world, get) = World::polling();
    let more = "HTTP/1.1 200 OK\r\nSet-Cookie: route=b1\r\nContent-Length: 1\r\n\r\n2";
    world.receive(get, more);
    let post = world.open();
    world.text(post);
    world.answer(post, "ok");
    world.carrier.memory();
    world.carrier.close(world.now);
    world.collect();
    let goodbye = world.text(post);
    assert!(goodbye.starts_with("POST ") && goodbye.contains("\r\nCookie: route=b1\r\n"), "{goodbye}");
}

#[test]
fn a_python_server_gets_no_more_packets_in_a_post_than_it_takes() {
    let (mut world, _) = World::polling();
    world.carrier.connect("/".into(), 1, None, world.now);
    world.collect();
    let post = world.open();
    world.answer(post, "OK");
    world.written(post);
    for number in 0..40 {
        world.carrier.send(&event(&format!("[{number}]")), world.now);
    }
    let mut counts = Vec::new();
    loop {
        world.collect();
        let request = world.text(post);
        let Some((_, body)) = request.split_once("\r\n\r\n") else { break };
        counts.push(body.split('\u{1e}').count());
        world.answer(post, "OK");
    }
    assert_eq!(counts, [16, 16, 8]);
}

#[test]
fn binary_goes_as_base64_in_a_post_and_as_frames_on_a_websocket() {
    let written: Result<_, ()> =
        Encoded::build(Parser::Json, PacketKind::Event, "/", Some(3), |json, attachments| {
            json.extend_from_slice(br#"["a",{"_placeholder":true,"num":0}]"#);
            attachments.push(bytes::Bytes::from_static(&[1, 2, 3, 4]));
            Ok(())
        });
    let packet = written.unwrap();
    let (mut world, get) = World::polling();
    world.carrier.connect("/".into(), 1, None, world.now);
    world.collect();
    let post = world.open();
    world.answer(post, "ok");
    world.written(post);
    world.carrier.send(&packet, world.now);
    world.collect();
    let expected = "451-3[\"a\",{\"_placeholder\":true,\"num\":0}]\u{1e}bAQIDBA==";
    assert!(world.text(post).ends_with(expected));
    world.answer(
        get,
        &format!(
            "40{{\"sid\":\"a\"}}\u{1e}{}",
            expected.replacen("4513", "4514", 1).replacen("451-3", "451-4", 1)
        ),
    );
    assert!(
        matches!(&world.seen[1], CarrierEvent::Event { id: Some(4), attachments, .. } if attachments == &[&[1, 2, 3, 4][..]])
    );

    let (mut world, id) = World::websocket();
    world.carrier.send(&packet, world.now);
    world.collect();
    let messages = frames(world.written(id));
    assert_eq!(messages, ["451-3[\"a\",{\"_placeholder\":true,\"num\":0}]", "binary [1, 2, 3, 4]"]);
}

#[test]
fn a_good_answer_may_come_chunked_or_to_the_end_of_the_stream() {
    for (framing, ends) in [("Transfer-Encoding: chunked\r\n\r\n", false), ("\r\n", true)] {
        let mut world = World::on(TransportKind::Polling);
        let get = world.open();
        let body = if ends { OPEN.to_owned() } else { format!("{:x}\r\n{OPEN}\r\n0\r\n\r\n", OPEN.len()) };
        world.receive(get, format!("HTTP/1.1 200 OK\r\n{framing}{body}"));
        if ends {
            world.finish(get);
        }
        assert_eq!(world.seen, [CarrierEvent::Opened { sid: "secret".into() }]);
    }
}
