//! What leaves: coalesced broadcasts, volatile packets, and everything else once a slow reader reads.

use super::client::{Client, Frame, Polling, WebSocket, texts};
use super::server::{Server, event, secs};
use siox::net::command::Command;
use siox::net::keys::SocketKey;
use siox::net::worth::Worth;
use siox::proto::socket::Parser;
use siox::proto::socket::encoded::Encoded;
use siox::proto::socket::packet::PacketKind;
use std::convert::Infallible;

fn broadcast(server: &mut Server, sockets: &[SocketKey], json: &str, worth: Worth) {
    let sockets = sockets.to_vec();
    server.order(Command::Broadcast { sockets, packet: event(json), worth });
}

#[test]
fn the_broadcasts_of_a_turn_leave_in_one_write_a_socket() {
    let mut server = Server::new();
    let mut clients: Vec<WebSocket> = (0..50).map(|_| WebSocket::join(&mut server)).collect();
    let sockets = server.sockets();
    let before = server.stat("writes");
    for number in 0..20 {
        broadcast(&mut server, &sockets, &format!("[\"news\",{number}]"), Worth::EVENT);
    }
    server.flush();
    assert_eq!(server.stat("writes") - before, 50);
    for client in &mut clients {
        for number in 0..20 {
            assert_eq!(client.text(&mut server), format!("42[\"news\",{number}]"));
        }
    }
}

#[test]
fn an_outbox_that_grows_large_within_a_turn_is_written_at_once() {
    let mut server = Server::new();
    let mut client = WebSocket::join(&mut server);
    let socket = server.last_socket();
    server.send(socket, &format!("[\"{}\"]", "x".repeat(60_000)));
    assert_eq!(server.pending(socket), 60_000 + "42[\"\"]".len() + 4);
    server.send(socket, &format!("[\"{}\"]", "x".repeat(60_000)));
    assert_eq!(server.pending(socket), 0);
    assert_eq!(client.text(&mut server).len(), client.text(&mut server).len());
}

#[test]
fn a_reader_that_stops_loses_what_is_volatile_and_nothing_else() {
    let mut server = Server::new();
    let client = Client::small(server.address);
    let mut client = WebSocket::join_over(&mut server, client);
    let socket = server.last_socket();
    let filled = server.block(socket);
    let held = server.pending(socket);
    let volatile = format!("[\"volatile\",\"{}\"]", "x".repeat(10_000));
    for number in 0..1000 {
        server.send_volatile(socket, &volatile);
        if number % 10 == 0 {
            server.send(socket, &format!("[{number}]"));
        }
        server.flush();
    }
    // The kernel may find room for a little more after it has refused.
    assert!(server.stat("volatile_dropped") > 900, "{}", server.stat("volatile_dropped"));
    assert!(server.pending(socket) < held + 100 * 16, "volatile packets are not kept");
    let (mut fills, mut plain) = (0, Vec::new());
    while plain.len() < 100 {
        let text = client.text(&mut server);
        match text.get(2..6) {
            Some("[\"fi") => fills += 1,
            Some("[\"vo") => {}
            _ => plain.push(text),
        }
    }
    let all: Vec<String> = (0..100).map(|number| format!("42[{}]", number * 10)).collect();
    assert_eq!((fills, plain), (filled, all));
    assert_eq!((server.pending(socket), server.is_blocked(socket)), (0, false));
    server.send_volatile(socket, "[\"again\"]");
    assert_eq!(client.frames(&mut server).last(), Some(&Frame::Text("42[\"again\"]".into())));
}

#[test]
fn a_volatile_packet_leaves_by_polling_only_with_a_waiting_poll() {
    let mut server = Server::new();
    let mut polling = Polling::join(&mut server);
    let socket = server.last_socket();
    server.send_volatile(socket, "[\"nobody asks\"]");
    server.settle();
    polling.gets.send_get(&polling.target);
    server.settle();
    assert_eq!(server.stat("volatile_dropped"), 1);
    server.send_volatile(socket, "[1]");
    server.send_volatile(socket, "[2]");
    assert_eq!(polling.gets.answer(&mut server).body, "42[1]\u{1e}42[2]");
    server.send_volatile(socket, "[3]");
    assert_eq!(server.stat("volatile_dropped"), 2);
}

#[test]
fn a_volatile_packet_is_dropped_while_its_session_upgrades() {
    let mut server = Server::new();
    let mut polling = Polling::join(&mut server);
    polling.gets.send_get(&polling.target);
    let mut websocket = server.connect().upgrade(&mut server, &polling.websocket_target());
    let socket = server.last_socket();
    server.send_volatile(socket, "[\"dropped\"]");
    websocket.send("2probe");
    assert_eq!(websocket.text(&mut server), "3probe");
    server.send_volatile(socket, "[\"dropped\"]");
    websocket.send("5");
    server.settle();
    server.send_volatile(socket, "[\"sent\"]");
    assert_eq!(websocket.text(&mut server), "42[\"sent\"]");
    assert_eq!((server.stat("volatile_dropped"), polling.gets.answer(&mut server).body.as_str()), (2, "6"));
}

#[test]
fn a_binary_event_goes_whole_or_not_at_all() {
    let mut server = Server::new();
    let client = Client::small(server.address);
    let mut client = WebSocket::join_over(&mut server, client);
    let socket = server.last_socket();
    let filled = server.block(socket);
    let binary = |worth| {
        let packet =
            Encoded::build::<Infallible>(Parser::Json, PacketKind::Event, "/", None, |out, attachments| {
                out.extend_from_slice(b"[\"b\",{\"_placeholder\":true,\"num\":0}]");
                attachments.push(vec![7; 10_000].into());
                Ok(())
            });
        let Ok(packet) = packet;
        Command::Send { socket, packet, worth }
    };
    server.order(binary(Worth::VOLATILE));
    server.order(binary(Worth::EVENT));
    server.order(binary(Worth::VOLATILE));
    for _ in 0..filled {
        client.text(&mut server);
    }
    assert!(client.text(&mut server).starts_with("451-[\"b\""));
    assert_eq!(client.frame(&mut server), Frame::Binary(vec![7; 10_000]));
    assert_eq!(client.frame_now(&mut server), None);
    server.order(binary(Worth::VOLATILE));
    assert!(client.text(&mut server).starts_with("451-"));
}

#[test]
fn nothing_leaves_before_the_reply_that_admits_a_socket() {
    let mut server = Server::new();
    server.admits = false;
    let mut client = WebSocket::open(&mut server);
    client.send("40");
    let socket = server.until("the question", |server| server.sockets().first().copied());
    server.send(socket, "[\"early\"]");
    server.send_volatile(socket, "[\"dropped\"]");
    assert_eq!(client.frame_now(&mut server), None);
    server.admit(socket);
    assert!(client.text(&mut server).starts_with("40{\"sid\""));
    assert_eq!(client.text(&mut server), "42[\"early\"]");
    assert_eq!(client.frame_now(&mut server), None);
}

#[test]
fn a_refused_socket_is_told_why_and_may_ask_again() {
    let mut server = Server::new();
    server.admits = false;
    let mut client = WebSocket::open(&mut server);
    client.send("40/chat,{\"token\":1}");
    let socket = server.until("the question", |server| server.sockets().first().copied());
    let packet = Encoded::from_text(PacketKind::ConnectError, "/chat", None, "{\"message\":\"not you\"}");
    server.order(Command::Refuse { socket, packet });
    assert_eq!(client.text(&mut server), "44/chat,{\"message\":\"not you\"}");
    server.admits = true;
    client.send("40/chat,");
    assert!(client.text(&mut server).starts_with("40/chat,{\"sid\""));
    assert_eq!((server.stat("sockets"), server.reasons().len()), (1, 0));
}

#[test]
fn a_room_of_both_transports_gets_each_broadcast_once_and_in_order() {
    let mut server = Server::new();
    let mut polling: Vec<Polling> = (0..5).map(|_| Polling::join(&mut server)).collect();
    let mut websockets: Vec<WebSocket> = (0..5).map(|_| WebSocket::join(&mut server)).collect();
    let sockets = server.sockets();
    for number in 0..10 {
        broadcast(&mut server, &sockets, &format!("[{number}]"), Worth::EVENT);
        if number % 3 == 0 {
            server.turn();
        }
    }
    let all: Vec<String> = (0..10).map(|number| format!("42[{number}]")).collect();
    for client in &mut polling {
        assert_eq!(client.poll(&mut server).body, all.join("\u{1e}"));
    }
    for client in &mut websockets {
        let texts: Vec<String> = (0..10).map(|_| client.text(&mut server)).collect();
        assert_eq!(texts, all);
    }
}

#[test]
fn a_socket_that_leaves_its_namespace_keeps_the_others_of_its_session() {
    let mut server = Server::new();
    let mut client = WebSocket::join(&mut server);
    client.send("40/chat,");
    assert!(client.text(&mut server).starts_with("40/chat,"));
    let [root, chat] = server.sockets()[..] else { panic!("two sockets") };
    client.send("41/chat,");
    server.until("the end", |server| (server.reasons() == ["client namespace disconnect"]).then_some(()));
    server.send(chat, "[\"late\"]");
    server.send(root, "[\"here\"]");
    assert_eq!(client.text(&mut server), "42[\"here\"]");
    assert_eq!(server.stat("late_dropped"), 1);
    server.order(Command::Disconnect { socket: root, close: false });
    assert_eq!(client.text(&mut server), "41");
    client.client.send(texts(["42[\"on its way\"]"]));
    server.settle();
    assert_eq!((server.stat("sessions"), server.packets().len()), (1, 0));
    server.run(secs(30));
    assert_eq!(server.reasons().len(), 2);
}
