//! From polling to WebSocket: the dance, what goes wrong in it, and nothing lost or doubled meanwhile.

use super::client::{End, Frame, Polling, WebSocket, texts};
use super::server::{Server, millis, secs};
use siox::net::command::Command;
use siox::proto::ws::OpCode;

fn probe(server: &mut Server, polling: &Polling) -> WebSocket {
    let mut websocket = server.connect().upgrade(server, &polling.websocket_target());
    websocket.send("2probe");
    assert_eq!(websocket.text(server), "3probe");
    websocket
}

/// The whole dance.
fn upgraded(server: &mut Server, polling: &Polling) -> WebSocket {
    let mut websocket = probe(server, polling);
    websocket.send("5");
    server.settle();
    websocket
}

fn numbers(texts: &[String]) -> Vec<u32> {
    texts.iter().map(|text| text.trim_matches(|c: char| !c.is_ascii_digit()).parse().unwrap()).collect()
}

/// The events of a payload.
fn events(body: &str) -> impl Iterator<Item = String> + '_ {
    body.split('\u{1e}').filter_map(|packet| packet.strip_prefix("42")).map(str::to_owned)
}

#[test]
fn messages_in_flight_both_ways_keep_their_order_across_the_upgrade() {
    let mut server = Server::new();
    let mut polling = Polling::join(&mut server);
    let socket = server.last_socket();
    let (mut received, mut sent) = (Vec::new(), 0);
    let mut emit = |server: &mut Server, count: u32| {
        for _ in 0..count {
            server.send(socket, &format!("[{sent}]"));
            sent += 1;
        }
    };
    emit(&mut server, 3);
    received.extend(events(&polling.poll(&mut server).body));
    polling.gets.send_get(&polling.target);
    let mut websocket = server.connect().upgrade(&mut server, &polling.websocket_target());
    emit(&mut server, 2);
    received.extend(events(&polling.gets.answer(&mut server).body));
    polling.post(&mut server, "42[0]\u{1e}42[1]");
    polling.gets.send_get(&polling.target);
    server.settle();
    websocket.send("2probe");
    assert_eq!(websocket.text(&mut server), "3probe");
    // The waiting poll is let go; what is emitted from here on goes by the next one, if there is one.
    assert_eq!(polling.gets.answer(&mut server).body, "6");
    emit(&mut server, 2);
    received.extend(events(&polling.poll(&mut server).body));
    polling.post(&mut server, "42[2]");
    emit(&mut server, 5);
    server.settle();
    websocket.client.send(texts(["5", "42[3]", "42[4]"]));
    emit(&mut server, 5);
    for _ in 0..10 {
        let text = websocket.text(&mut server);
        received.extend(events(&text));
    }
    emit(&mut server, 1);
    let text = websocket.text(&mut server);
    received.extend(events(&text));
    assert_eq!(numbers(&received), (0..18).collect::<Vec<_>>());
    let packets: Vec<String> = server.packets().iter().map(ToString::to_string).collect();
    assert_eq!(numbers(&packets), [0, 1, 2, 3, 4]);
    assert_eq!((server.stat("upgrades"), server.stat("sessions"), server.reasons().len()), (1, 1, 0));
    polling.gets.send_get(&polling.target);
    assert_eq!(polling.gets.answer(&mut server).body, "{\"code\":3,\"message\":\"Bad request\"}");
    assert_eq!(polling.post(&mut server, "42[9]").status, 400);
}

#[test]
fn polls_are_let_go_every_tenth_of_a_second_while_the_client_dances() {
    let mut server = Server::new();
    let mut polling = Polling::join(&mut server);
    polling.gets.send_get(&polling.target);
    let mut websocket = probe(&mut server, &polling);
    assert_eq!(polling.gets.answer(&mut server).body, "6");
    polling.gets.send_get(&polling.target);
    assert_eq!(polling.gets.answer_now(&mut server), None);
    server.run(millis(100));
    assert_eq!(polling.gets.answer(&mut server).body, "6");
    polling.gets.send_get(&polling.target);
    server.settle();
    websocket.send("5");
    assert_eq!(polling.gets.answer(&mut server).body, "6");
    let socket = server.last_socket();
    server.send(socket, "[\"there\"]");
    assert_eq!(websocket.text(&mut server), "42[\"there\"]");
}

#[test]
fn another_websocket_is_closed_while_one_is_tried_and_afterwards() {
    let mut server = Server::new();
    let polling = Polling::join(&mut server);
    let mut first = probe(&mut server, &polling);
    let mut second = server.connect().upgrade(&mut server, &polling.websocket_target());
    assert_eq!(second.frame(&mut server), Frame::Close(None));
    assert_eq!(second.client.wait_end(&mut server), End::Closed);
    first.send("5");
    let mut third = server.connect().upgrade(&mut server, &polling.websocket_target());
    assert_eq!(third.frame(&mut server), Frame::Close(None));
    let socket = server.last_socket();
    server.send(socket, "[\"first\"]");
    assert_eq!(first.text(&mut server), "42[\"first\"]");
    drop((second, third));
    server.settle();
    assert!(server.reasons().is_empty());
}

#[test]
fn a_try_that_goes_wrong_leaves_the_session_on_polling() {
    let mut server = Server::new();
    let mut polling = Polling::join(&mut server);
    for wrong in ["2", "40", "3probe", "no packet"] {
        let mut websocket = server.connect().upgrade(&mut server, &polling.websocket_target());
        websocket.send(wrong);
        assert_eq!(websocket.frame(&mut server), Frame::Close(None), "{wrong}");
    }
    let mut websocket = server.connect().upgrade(&mut server, &polling.websocket_target());
    websocket.send_frame(OpCode::Binary, b"x");
    assert_eq!(websocket.frame(&mut server), Frame::Close(None));
    let mut broken = probe(&mut server, &polling);
    broken.send_frame(OpCode::Text, b"\xff");
    assert_eq!(broken.frame(&mut server), Frame::Close(Some(1007)));
    probe(&mut server, &polling).client.reset();
    drop(probe(&mut server, &polling));
    server.settle();
    let socket = server.last_socket();
    server.send(socket, "[\"still here\"]");
    assert_eq!(polling.poll(&mut server).body, "42[\"still here\"]");
    assert_eq!((server.stat("sessions"), server.stat("upgrades"), server.reasons().len()), (1, 0, 0));
    assert!(upgraded(&mut server, &polling).frame_now(&mut server).is_none());
    assert_eq!(server.stat("upgrades"), 1);
}

#[test]
fn a_try_that_takes_too_long_is_given_up() {
    let mut server = Server::new();
    let mut polling = Polling::join(&mut server);
    let mut websocket = probe(&mut server, &polling);
    server.run(millis(9_999));
    assert_eq!(websocket.frame_now(&mut server), None);
    server.run(millis(1));
    assert_eq!(websocket.frame(&mut server), Frame::Close(None));
    websocket.send("5");
    server.settle();
    let socket = server.last_socket();
    server.send(socket, "[\"still here\"]");
    assert_eq!(polling.poll(&mut server).body, "42[\"still here\"]");
}

#[test]
fn a_session_that_ends_takes_its_try_with_it() {
    let mut server = Server::new();
    let mut polling = Polling::join(&mut server);
    let mut websocket = probe(&mut server, &polling);
    polling.post(&mut server, "1");
    assert_eq!(server.reasons(), ["transport close"]);
    assert_eq!(websocket.frame(&mut server), Frame::Close(None));
    assert_eq!(websocket.client.wait_end(&mut server), End::Closed);
    assert_eq!(server.stat("sessions"), 0);
}

#[test]
fn a_closing_session_upgrades_gets_the_rest_and_ends() {
    let mut server = Server::new();
    let polling = Polling::join(&mut server);
    let mut websocket = probe(&mut server, &polling);
    let socket = server.last_socket();
    server.send(socket, "[\"last words\"]");
    server.order(Command::Disconnect { socket, close: true });
    server.settle();
    websocket.send("5");
    assert_eq!(websocket.text(&mut server), "42[\"last words\"]");
    assert_eq!(websocket.text(&mut server), "41");
    assert_eq!(websocket.frame(&mut server), Frame::Close(None));
}

#[test]
fn reading_that_is_paused_stays_paused_across_the_upgrade() {
    let mut server = Server::new();
    let polling = Polling::join(&mut server);
    let socket = server.last_socket();
    let mut websocket = probe(&mut server, &polling);
    server.order(Command::Pause { socket, paused: true });
    websocket.send("5");
    server.settle();
    websocket.send("42[\"later\"]");
    server.run(secs(120));
    assert_eq!((server.packets().len(), server.stat("sessions")), (0, 1));
    server.order(Command::Pause { socket, paused: false });
    server.settle();
    assert_eq!(server.packets(), ["[\"later\"]"]);
}

#[test]
fn a_client_that_only_pings_while_it_is_tried_and_reads_nothing_is_bounded() {
    let mut server = Server::new();
    let polling = Polling::join(&mut server);
    let client = super::client::Client::small(server.address);
    let mut websocket = client.upgrade(&mut server, &polling.websocket_target());
    let pings = super::client::frame(OpCode::Ping, &[0; 125]).repeat(5000);
    let mut sent = 0;
    for _ in 0..2000 {
        sent += websocket.client.send_some(&pings[sent % pings.len()..]);
        server.turn();
    }
    assert!(server.buffered() < 1024 * 1024, "{} after {sent}", server.buffered());
    server.run(secs(10));
    drop(websocket);
    server.settle();
    assert_eq!((server.stat("sessions"), server.buffered()), (1, 0));
}

#[test]
fn a_ping_that_waits_for_a_poll_goes_by_the_websocket() {
    let mut server = Server::new();
    let polling = Polling::join(&mut server);
    server.run(secs(25));
    let mut websocket = upgraded(&mut server, &polling);
    assert_eq!(websocket.text(&mut server), "2");
    websocket.send("3");
    server.settle();
    server.run(secs(24));
    assert_eq!(server.stat("sessions"), 1);
}

#[test]
fn timers_of_a_session_do_not_pile_up_with_its_tries() {
    let mut server = Server::new();
    let mut polling = Polling::join(&mut server);
    for _ in 0..50 {
        drop(probe(&mut server, &polling));
        server.run(secs(30));
        (polling.gets, polling.posts) = (server.connect(), server.connect());
        assert_eq!(polling.poll(&mut server).body, "2");
        polling.post(&mut server, "3");
    }
    assert!(server.timers() <= 20, "{} timers for one session", server.timers());
}
