//! From Socket.IO spoken here to messages as they are, in the middle of everything.

use super::client::{Frame, Polling, WebSocket};
use super::server::{Seen, Server, event, secs};
use siox::net::command::Command;
use siox::net::handing::Handed;
use siox::net::worth::Worth;
use siox::proto::ws::OpCode;

fn hand_over(server: &mut Server) -> Vec<Handed> {
    server.core.go_raw(server.now)
}

/// What came as messages.
fn raw(server: &Server) -> Vec<String> {
    let raw = server.seen.iter().filter_map(|seen| match seen {
        Seen::Raw { data, binary, .. } => {
            Some(format!("{}{}", if *binary { "b" } else { "" }, String::from_utf8_lossy(data)))
        }
        _ => None,
    });
    raw.collect()
}

#[test]
fn what_came_before_is_told_as_it_was_and_what_comes_after_as_it_is() {
    let mut server = Server::with(|options| options.tell_sessions = true);
    let mut websocket = WebSocket::join(&mut server);
    let socket = server.last_socket();
    websocket.send("42[\"before\"]");
    server.settle();
    let handed = hand_over(&mut server);
    let session = server.session_of(socket);
    assert_eq!(handed.len(), 1);
    let it = &handed[0];
    assert_eq!((it.socket, it.session, &*it.namespace, it.accepted), (socket, session, "/", true));
    for message in ["42[\"after\"]", "40/new,", "4anything"] {
        websocket.send(message);
    }
    server.settle();
    assert_eq!(
        (server.packets(), raw(&server)),
        (vec!["[\"before\"]"], vec!["2[\"after\"]".to_owned(), "0/new,".to_owned(), "anything".to_owned()])
    );
    drop(websocket);
    server.until("the end", |server| (server.stat("sessions") == 0).then_some(()));
    server.settle();
    assert!(matches!(server.seen.last(), Some(Seen::Closed(closed, _)) if *closed == session));
    assert_eq!(server.reasons(), ["transport close"]);
}

#[test]
fn a_packet_that_came_in_part_becomes_messages_again() {
    let mut server = Server::new();
    let mut websocket = WebSocket::join(&mut server);
    websocket.send("40/a,");
    websocket.text(&mut server);
    websocket.send("453-/a,7[\"e\",{\"_placeholder\":true,\"num\":0}]");
    websocket.send_frame(OpCode::Binary, b"one");
    server.settle();
    hand_over(&mut server);
    websocket.send_frame(OpCode::Binary, b"two");
    websocket.send_frame(OpCode::Binary, b"three");
    server.settle();
    let expected = ["53-/a,7[\"e\",{\"_placeholder\":true,\"num\":0}]", "bone", "btwo", "bthree"];
    assert_eq!(raw(&server), expected);
    server.run(secs(120));
    assert_eq!(server.stat("protocol_errors"), 0);
}

#[test]
fn what_is_left_of_a_packet_for_nobody_is_dropped() {
    let mut server = Server::new();
    let mut websocket = WebSocket::join(&mut server);
    let socket = server.last_socket();
    server.order(Command::Disconnect { socket, close: false });
    websocket.send("452-[\"e\"]");
    websocket.send_frame(OpCode::Binary, b"one");
    server.settle();
    assert_eq!(hand_over(&mut server), []);
    websocket.send_frame(OpCode::Binary, b"two");
    websocket.send("40");
    server.settle();
    assert_eq!(raw(&server), ["0"]);
}

#[test]
fn what_is_on_its_way_to_a_socket_still_leaves() {
    let mut server = Server::new();
    server.admits = false;
    let mut websocket = WebSocket::open(&mut server);
    websocket.send("40");
    server.settle();
    let socket = server.last_socket();
    server.send(socket, "[\"parked\"]");
    let handed = hand_over(&mut server);
    assert_eq!((handed.len(), handed[0].accepted), (1, false));
    let packet = event("[\"late\"]");
    server.order(Command::Broadcast { sockets: vec![socket], packet, worth: Worth::EVENT });
    server.admit(socket);
    server.send(socket, "[\"last\"]");
    let frames = websocket.frames(&mut server);
    let texts = ["[\"parked\"]", "[\"late\"]", "[\"last\"]"].map(|json| Frame::Text(format!("42{json}")));
    assert_eq!(frames[1..], texts);
}

#[test]
fn who_has_joined_nothing_has_all_the_time() {
    let mut server = Server::with(|options| options.tell_sessions = true);
    let websocket = WebSocket::open(&mut server);
    let [Seen::Opened(session)] = server.seen[..] else { panic!("{:?}", server.seen) };
    hand_over(&mut server);
    server.run(secs(44));
    // Nor does its client answer pings here.
    server.order(Command::PauseSession { session, paused: true });
    server.run(secs(60));
    assert_eq!(server.stat("sessions"), 1);
    drop(websocket);
}

#[test]
fn who_was_not_read_is_read_again() {
    let mut server = Server::new();
    let mut polling = Polling::join(&mut server);
    let socket = server.last_socket();
    server.order(Command::Pause { socket, paused: true });
    polling.posts.send_post(&polling.target, "42[1]");
    assert_eq!(polling.posts.answer_now(&mut server), None);
    hand_over(&mut server);
    assert_eq!(polling.posts.answer(&mut server).body, "ok");
    assert_eq!(raw(&server), ["2[1]"]);
}
