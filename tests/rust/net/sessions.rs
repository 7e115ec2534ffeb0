//! Sessions under the sockets, for those who are told of them, speak over them and end them.

use super::client::{Frame, POLLING, Polling, WebSocket, sid_in};
use super::server::{Seen, Server, event, secs};
use siox::net::command::Command;
use siox::net::options::Cookie;
use siox::net::reactor::Reactor;
use siox::net::worth::Worth;
use siox::proto::socket::encoded::Encoded;

fn server() -> Server {
    Server::with(|options| options.tell_sessions = true)
}

/// What was told, without what nobody asked for here.
fn told(server: &mut Server) -> Vec<Seen> {
    let seen = std::mem::take(&mut server.seen).into_iter();
    seen.filter(|seen| !matches!(seen, Seen::Drained(_) | Seen::Log(_))).collect()
}

#[test]
fn a_session_is_told_of_before_its_sockets_and_after_them() {
    let mut server = server();
    let mut websocket = WebSocket::open(&mut server);
    let Some(Seen::Opened(session)) = told(&mut server).pop() else { panic!("nobody was told") };
    websocket.send("40");
    websocket.text(&mut server);
    let socket = server.last_socket();
    assert_eq!(server.session_of(socket), session);
    let entry = |reactor: &Reactor| reactor.session(session).map(|entry| entry.info.session);
    assert_eq!(server.core.look(session.tag(), server.now, entry), Some(Some(session)));
    drop(websocket);
    server.until("the end", |server| (server.stat("sessions") == 0).then_some(()));
    server.settle();
    let told = told(&mut server);
    assert!(
        matches!(told[..], [Seen::Connect { .. }, Seen::Disconnect { .. }, Seen::Closed(closed, "transport close")] if closed == session),
        "{told:?}"
    );
}

#[test]
fn a_message_goes_between_packets_and_the_end_after_all_that_waits() {
    let mut server = server();
    let mut websocket = WebSocket::join(&mut server);
    let socket = server.last_socket();
    let session = server.session_of(socket);
    server.order(Command::Broadcast { sockets: vec![socket], packet: event("[1]"), worth: Worth::EVENT });
    server.order(Command::RawSend { session, packet: Encoded::raw_text("raw") });
    server.send(socket, "[2]");
    server.seen.clear();
    server.order(Command::CloseSession { session });
    server.order(Command::CloseSession { session });
    server.order(Command::RawSend { session, packet: Encoded::raw_text("late") });
    let frames = websocket.frames(&mut server);
    let texts = ["42[1]", "4raw", "42[2]", "1"].map(|text| Frame::Text(text.to_owned()));
    assert_eq!(frames[..4], texts);
    assert_eq!(frames.iter().filter(|frame| **frame == texts[3]).count(), 1, "{frames:?}");
    assert!(matches!(frames.last(), Some(Frame::Close(_))), "{frames:?}");
    let told = told(&mut server);
    assert!(
        matches!(told[..], [Seen::Disconnect { reason: "forced server close", .. }, Seen::Closed(..)]),
        "{told:?}"
    );
}

#[test]
fn the_sockets_of_a_polling_session_that_is_closed_are_gone_before_its_next_poll() {
    let mut server = server();
    let mut polling = Polling::join(&mut server);
    let session = server.session_of(server.last_socket());
    server.seen.clear();
    server.order(Command::CloseSession { session });
    server.order(Command::CloseSession { session });
    server.settle();
    assert_eq!(server.reasons(), ["forced server close"]);
    assert_eq!(polling.poll(&mut server).body, "1");
    assert!(server.seen.contains(&Seen::Closed(session, "forced close")));
}

#[test]
fn a_session_that_is_held_is_not_read_and_not_timed_out() {
    let mut server = server();
    let mut websocket = WebSocket::join(&mut server);
    let socket = server.last_socket();
    let session = server.session_of(socket);
    server.order(Command::PauseSession { session, paused: true });
    websocket.send("42[1]");
    server.run(secs(60));
    assert_eq!((server.packets().len(), server.stat("sessions")), (0, 1));
    // A socket that catches up is not the session's business.
    server.order(Command::Pause { socket, paused: true });
    server.order(Command::Pause { socket, paused: false });
    server.settle();
    assert_eq!(server.packets().len(), 0);
    server.order(Command::PauseSession { session, paused: false });
    server.settle();
    assert_eq!(server.packets(), ["[1]"]);
}

#[test]
fn a_post_of_a_session_that_is_held_waits() {
    let mut server = server();
    let mut polling = Polling::join(&mut server);
    let session = server.session_of(server.last_socket());
    server.order(Command::PauseSession { session, paused: true });
    polling.posts.send_post(&polling.target, "42[1]");
    assert_eq!(polling.posts.answer_now(&mut server), None);
    server.order(Command::PauseSession { session, paused: false });
    assert_eq!(polling.posts.answer(&mut server).body, "ok");
    assert_eq!(server.packets(), ["[1]"]);
}

#[test]
fn the_handshake_says_another_interval_than_pings_come_in() {
    let mut server = Server::with(|options| options.session.announced_ping_interval = Some(secs(33)));
    let mut client = server.connect();
    let answer = client.get(&mut server, POLLING);
    assert!(answer.body.contains("\"pingInterval\":33000,"), "{answer:?}");
    let target = format!("{POLLING}&sid={}", sid_in(&answer.body));
    client.send_get(&target);
    server.run(secs(25));
    assert_eq!(client.answer(&mut server).body, "2");
}

#[test]
fn the_first_answer_of_a_polling_session_sets_the_cookie_and_no_other() {
    let mut server = Server::with(|options| {
        let (name, attributes) = ("io".to_owned(), "; Path=/; HttpOnly".to_owned());
        options.cookie = Some(Cookie { name, attributes });
    });
    let mut client = server.connect();
    let answer = client.get(&mut server, POLLING);
    let sid = sid_in(&answer.body);
    assert_eq!(answer.headers("set-cookie"), [format!("io={sid}; Path=/; HttpOnly")]);
    let target = format!("{POLLING}&sid={sid}");
    let answers = [server.connect().post(&mut server, &target, "40"), client.get(&mut server, &target)];
    assert!(answers.iter().all(|answer| answer.headers("set-cookie").is_empty()), "{answers:?}");
}

#[test]
fn what_waits_for_an_admission_is_bounded() {
    let mut server = Server::with(|options| options.marks.limit = 64 * 1024);
    server.admits = false;
    let mut websocket = WebSocket::open(&mut server);
    websocket.send("40");
    server.settle();
    let socket = server.last_socket();
    let large = format!("[\"{}\"]", "x".repeat(20_000));
    for round in 0..4 {
        assert_eq!(server.stat("sessions"), 1, "{round}");
        let (sockets, packet) = (vec![socket], event(&large));
        server.order(Command::Broadcast { sockets, packet, worth: Worth::EVENT });
        server.settle();
    }
    assert_eq!((server.stat("sessions"), server.stat("outbox_overflows")), (0, 1));
    assert_eq!(server.reasons(), ["transport error"]);
}

#[test]
fn one_packet_of_any_size_may_wait_for_an_admission() {
    let mut server = Server::with(|options| options.marks.limit = 64 * 1024);
    server.admits = false;
    let mut websocket = WebSocket::open(&mut server);
    websocket.send("40");
    server.settle();
    let socket = server.last_socket();
    server.send(socket, &format!("[\"{}\"]", "x".repeat(100_000)));
    server.settle();
    server.admit(socket);
    assert!(websocket.text(&mut server).starts_with("40{"));
    assert_eq!(websocket.text(&mut server).len(), 100_006);
}
