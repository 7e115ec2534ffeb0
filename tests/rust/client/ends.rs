//! How a carrier's session ends: goodbyes both ways, timeouts, JavaScript's reasons and their details.

use super::world::{OPEN, World, event, frames, text_frame};
use siox::proto::client::{CarrierConfig, CarrierEvent};
use siox::proto::engine::TransportKind;
use siox::proto::limits::{CLIENT_CLOSE_TIMEOUT, CLIENT_OPEN_TIMEOUT};
use std::time::Duration;

#[test]
fn a_client_that_polls_says_goodbye_behind_its_data_and_waits_for_the_answer() {
    let (mut world, get) = World::polling();
    for size in [600, 600, 10] {
        world.carrier.send(&event(&format!("[\"{}\"]", "x".repeat(size))), world.now);
    }
    world.carrier.close(world.now);
    world.collect();
    assert_eq!(world.closed(), ("forced close", None));
    let post = world.open();
    assert!(world.text(post).len() > 600 && !world.carrier.is_finished());
    world.answer(post, "ok");
    assert!(world.text(post).ends_with("x\"]\u{1e}42[\"xxxxxxxxxx\"]\u{1e}1"), "maxPayload is kept to");
    world.answer(get, "6");
    assert_eq!(world.live(), [post], "no GET any more");
    world.answer(post, "ok");
    assert!(world.carrier.is_finished() && world.live().is_empty());
    assert_eq!(world.carrier.poll_timeout(), None);
}

#[test]
fn a_goodbye_does_not_depend_on_the_get() {
    let (mut world, get) = World::polling();
    world.carrier.send(&event("[1]"), world.now);
    world.collect();
    let post = world.open();
    world.written(post);
    world.carrier.close(world.now);
    world.receive(get, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(world.closed(), ("forced close", None));
    world.answer(post, "ok");
    assert!(world.text(post).ends_with("\r\n\r\n1"));
    world.answer(post, "ok");
    assert!(world.carrier.is_finished());
}

#[test]
fn a_websocket_is_closed_in_order() {
    let (mut world, id) = World::websocket();
    world.carrier.send(&event("[1]"), world.now);
    world.carrier.close(world.now);
    world.collect();
    assert_eq!(frames(world.written(id)), ["42[1]", "close None"]);
    assert_eq!(world.closed(), ("forced close", None));
    world.receive(id, text_frame("42[\"late\"]"));
    assert!(!world.carrier.is_finished());
    world.receive(id, b"\x88\x00");
    assert!(world.carrier.is_finished() && world.links[&id].is_closed);
}

#[test]
fn a_goodbye_that_nobody_answers_is_not_waited_for_long() {
    let (mut world, id) = World::websocket();
    world.carrier.handle_blocked(id);
    world.carrier.send(&event("[1]"), world.now);
    world.carrier.close(world.now);
    world.collect();
    world.pass(Duration::from_millis(1));
    assert!(!world.carrier.is_finished());
    world.pass(CLIENT_CLOSE_TIMEOUT);
    assert!(world.carrier.is_finished() && world.live().is_empty());

    let (mut world, _) = World::polling();
    world.carrier.close(world.now);
    world.collect();
    world.pass(CLIENT_CLOSE_TIMEOUT);
    assert!(world.carrier.is_finished() && world.live().is_empty());
}

#[test]
fn a_server_that_breaks_the_rules_is_told_and_not_waited_for() {
    let (mut world, id) = World::websocket();
    world.receive(id, text_frame("9"));
    assert_eq!(world.closed().0, "parse error");
    assert_eq!(frames(world.written(id)), ["close None"]);
    world.pass(Duration::ZERO);
    assert!(world.carrier.is_finished() && world.links[&id].is_closed);
}

#[test]
fn before_the_session_is_open_there_is_nobody_to_say_goodbye_to() {
    for transport in [TransportKind::Polling, TransportKind::WebSocket] {
        for opened in [false, true] {
            let mut world = World::on(transport);
            world.carrier.connect("/".into(), 1, None, world.now);
            if opened {
                world.open();
            }
            world.carrier.close(world.now);
            world.collect();
            assert_eq!(world.closed(), ("forced close", None));
            assert!(world.carrier.is_finished() && world.live().is_empty());
            assert!(!world.carrier.connect("/".into(), 2, None, world.now));
        }
    }
    // A WebSocket without a session is closed in order.
    let mut world = World::on(TransportKind::WebSocket);
    world.carrier.connect("/".into(), 1, None, world.now);
    let id = world.open();
    world.accept(id);
    world.carrier.close(world.now);
    world.collect();
    assert_eq!(frames(world.written(id)), ["close None"]);
}

#[test]
fn the_servers_goodbye_has_details() {
    let (mut world, get) = World::polling();
    world.answer(get, "1");
    let (reason, details) = world.closed();
    assert_eq!((reason, details.unwrap().description), ("transport close", "transport closed by the server"));
    assert!(world.carrier.is_finished());

    let (mut world, id) = World::websocket();
    world.receive(id, b"\x88\x05\x03\xf4bye");
    let (reason, details) = world.closed();
    let details = details.unwrap();
    assert_eq!(
        (reason, details.description, details.code),
        ("transport close", "websocket connection closed", Some(1012))
    );
    assert_eq!(details.message, "the server closed the WebSocket with code 1012: bye");
    assert_eq!(frames(world.written(id)), ["close Some(1012)"]);
    assert!(!world.carrier.is_finished(), "the server closes the stream");
    world.finish(id);
    assert!(world.carrier.is_finished());

    let (mut world, id) = World::websocket();
    world.receive(id, text_frame("1"));
    assert_eq!(world.closed().1.unwrap().description, "transport closed by the server");
    assert_eq!(frames(world.written(id)), ["close None"]);
}

#[test]
fn a_lost_stream_ends_the_session() {
    let (mut world, id) = World::websocket();
    world.finish(id);
    let (reason, details) = world.closed();
    assert_eq!((reason, details.unwrap().code), ("transport close", Some(1006)));
    assert!(world.carrier.is_finished());

    let (mut world, id) = World::websocket();
    world.fail(id, "connection reset by peer");
    let (reason, details) = world.closed();
    let details = details.unwrap();
    assert_eq!(
        (reason, details.description, details.message.as_str()),
        ("transport error", "websocket error", "connection reset by peer")
    );

    let (mut world, _) = World::polling();
    world.carrier.handle_lost("the loop was closed", world.now);
    world.collect();
    assert_eq!(world.closed().0, "transport error");
    assert!(world.carrier.is_finished());
}

#[test]
fn a_session_that_does_not_open_times_out() {
    let cases = [
        (false, "http://localhost:3000 could not be reached within 20 s"),
        (true, "http://localhost:3000 did not answer within 20 s"),
    ];
    for transport in [TransportKind::Polling, TransportKind::WebSocket] {
        for (opens, message) in cases {
            let mut world = World::on(transport);
            if opens {
                world.open();
            }
            world.pass(CLIENT_OPEN_TIMEOUT / 2);
            assert!(world.seen.is_empty());
            world.pass(CLIENT_OPEN_TIMEOUT / 2);
            assert_eq!((world.failure().description, world.failure().message.as_str()), ("timeout", message));
            assert!(world.carrier.is_finished());
        }
    }
    let mut world = World::new(|config| config.open_timeout = None);
    world.pass(Duration::from_secs(3600));
    assert!(world.seen.is_empty() && world.carrier.poll_timeout().is_none());
}

#[test]
fn a_stream_that_does_not_open_later_on_ends_the_session() {
    let (mut world, get) = World::polling();
    world.carrier.send(&event("[1]"), world.now);
    world.collect();
    for _ in 0..100 {
        world.pass(Duration::from_millis(200));
        if world.carrier.session().is_closed() {
            break;
        }
        world.answer(get, "2");
    }
    let (reason, details) = world.closed();
    let details = details.unwrap();
    assert_eq!((reason, details.description), ("transport error", "xhr post error"));
    assert_eq!(details.message, "http://localhost:3000 could not be reached within 20 s");
}

#[test]
fn a_silent_server_is_lost_after_its_own_announcement() {
    for transport in [TransportKind::Polling, TransportKind::WebSocket] {
        let (mut world, id) = World::open_on(transport);
        world.pass(Duration::from_millis(400));
        world.say(id, "2");
        assert_eq!(world.seen, [CarrierEvent::Ping]);
        world.pass(Duration::from_millis(499));
        assert!(!world.carrier.ping_expired(world.now) && world.seen.len() == 1);
        world.now += Duration::from_millis(1);
        assert!(world.carrier.ping_expired(world.now));
        world.pass(Duration::ZERO);
        assert_eq!(world.closed(), ("ping timeout", None));
    }
}

#[test]
fn nobody_is_lost_while_nothing_is_read() {
    let (mut world, id) = World::websocket();
    world.carrier.set_reading_paused(true, world.now);
    world.pass(Duration::from_secs(60));
    assert!(world.seen.is_empty() && !world.carrier.ping_expired(world.now));
    world.carrier.set_reading_paused(false, world.now);
    world.receive(id, text_frame("2"));
    world.pass(Duration::from_millis(499));
    assert_eq!(world.seen, [CarrierEvent::Ping]);
}

#[test]
fn an_abort_is_silent_and_at_once() {
    let (mut world, _) = World::polling();
    world.carrier.send(&event("[1]"), world.now);
    world.carrier.abort();
    world.collect();
    assert!(world.seen.is_empty() && world.live().is_empty() && world.carrier.is_finished());
    world.carrier.close(world.now);
    world.collect();
    assert!(world.seen.is_empty() && world.carrier.poll_timeout().is_none());
}

#[test]
fn what_is_no_packet_ends_the_session_with_its_reason() {
    for (text, message) in [
        ("9", "the server sent what is no packet: unknown packet type '9'"),
        ("4nonsense", "the server sent what is no packet: unknown packet type 0x6e"),
    ] {
        for transport in [TransportKind::Polling, TransportKind::WebSocket] {
            let (mut world, id) = World::open_on(transport);
            world.say(id, text);
            let (reason, details) = world.closed();
            assert_eq!((reason, details.unwrap().message.as_str()), ("parse error", message));
        }
    }
}

#[test]
fn a_refused_request_of_an_open_session_is_told_in_the_servers_words() {
    let (mut world, get) = World::polling();
    let body = r#"{"code":1,"message":"Session ID unknown"}"#;
    world.receive(get, format!("HTTP/1.1 400 Bad Request\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
    let (reason, details) = world.closed();
    let details = details.unwrap();
    assert_eq!((reason, details.status, details.code), ("transport error", Some(400), Some(1)));
    assert!(details.message.starts_with("the server refused: Session ID unknown"), "{details}");
}

#[test]
fn a_configuration_that_was_not_checked_is_still_harmless() {
    let mut config = CarrierConfig::new("");
    config.path = "no slash\r\nX: y".into();
    config.transports.clear();
    let now = std::time::Instant::now();
    let mut carrier = siox::proto::client::Carrier::<u8>::new(
        &config.into(),
        siox::proto::client::Memory::default(),
        super::world::random(),
        now,
    );
    let Some(siox::proto::client::CarrierAction::Open(id)) = carrier.poll_action() else { panic!() };
    carrier.handle_opened(id, now);
    let (_, bytes) = carrier.poll_output().unwrap();
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    assert!(text.starts_with("GET no%20slash%0D%0AX:%20y?EIO=4&transport=polling&t="), "{text}");
    carrier.handle_received(id, super::world::ok(OPEN).as_bytes(), now);
    assert!(carrier.session().is_open());
}
