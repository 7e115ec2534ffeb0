//! Orders: from any thread, in order; and late ones, which do nothing.

use super::client::WebSocket;
use super::server::{Seen, Server, event, secs};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use siox::net::command::Command;
use siox::net::core::Core;
use siox::net::keys::SocketKey;
use siox::net::worth::Worth;
use siox::proto::socket::Parser;
use siox::proto::socket::encoded::Encoded;
use siox::proto::socket::packet::PacketKind;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn send(core: &Core, socket: SocketKey, json: &str) {
    core.submit(Command::Send { socket, packet: event(json), worth: Worth::EVENT }, Instant::now());
}

#[test]
fn orders_of_eight_threads_wake_the_loop_and_keep_their_order() {
    const THREADS: usize = 8;
    const EACH: usize = 500;
    let mut server = Server::new();
    let mut client = WebSocket::join(&mut server);
    let socket = server.last_socket();
    server.settle();
    let descriptor = server.core.peek().descriptor().as_raw_fd();
    let mut outer = Poll::new().unwrap();
    outer.registry().register(&mut SourceFd(&descriptor), Token(0), Interest::READABLE).unwrap();
    let threads: Vec<_> = (0..THREADS)
        .map(|thread| {
            let core = Arc::clone(&server.core);
            std::thread::spawn(move || {
                for number in 0..EACH {
                    send(&core, socket, &format!("[{thread},{number}]"));
                }
            })
        })
        .collect();
    let mut next = [0; THREADS];
    let mut events = Events::with_capacity(8);
    let end = Instant::now() + Duration::from_secs(10);
    while next.iter().sum::<usize>() < THREADS * EACH {
        outer.poll(&mut events, Some(Duration::from_secs(5))).unwrap();
        assert!(!events.is_empty() && Instant::now() < end, "an order that nobody was woken for: {next:?}");
        server.turn();
        for frame in client.frames(&mut server) {
            let super::client::Frame::Text(text) = frame else { panic!("{frame:?}") };
            let numbers: Vec<usize> = serde_json::from_str(&text[2..]).unwrap();
            assert_eq!(numbers[1], next[numbers[0]], "thread {}", numbers[0]);
            next[numbers[0]] += 1;
        }
    }
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn what_another_thread_ordered_goes_before_what_the_loop_does_next() {
    let mut server = Server::new();
    let mut client = WebSocket::join(&mut server);
    let socket = server.last_socket();
    let core = Arc::clone(&server.core);
    std::thread::spawn(move || send(&core, socket, "[\"first\"]")).join().unwrap();
    server.send(socket, "[\"second\"]");
    assert_eq!(client.text(&mut server), "42[\"first\"]");
    assert_eq!(client.text(&mut server), "42[\"second\"]");
}

#[test]
fn late_orders_for_a_socket_that_is_gone_do_nothing_to_who_has_its_place() {
    let mut server = Server::new();
    drop(WebSocket::join(&mut server));
    let gone = server.last_socket();
    server.until("the end", |server| (server.stat("sessions") == 0).then_some(()));
    let mut client = WebSocket::join(&mut server);
    let socket = server.last_socket();
    assert_eq!((gone.index(), gone == socket), (socket.index(), false));
    let seen = server.seen.len();
    let empty = |kind| Encoded::empty(Parser::Json, kind, "/");
    for command in [
        Command::Send { socket: gone, packet: event("[\"late\"]"), worth: Worth::EVENT },
        Command::Broadcast { sockets: vec![gone], packet: event("[\"late\"]"), worth: Worth::EVENT },
        Command::Accept { socket: gone, packet: empty(PacketKind::Connect) },
        Command::Refuse { socket: gone, packet: empty(PacketKind::ConnectError) },
        Command::Disconnect { socket: gone, close: true },
        Command::Violation { socket: gone, message: "late".into() },
        Command::Pause { socket: gone, paused: true },
    ] {
        server.order(command);
    }
    assert_eq!(client.frame_now(&mut server), None);
    assert_eq!((server.seen.len(), server.stat("late_dropped")), (seen, 2));
    server.order(Command::WatchDrain { socket: gone });
    server.settle();
    assert_eq!(server.seen.last(), Some(&Seen::Drained(gone)), "nobody waits for it for ever");
    server.send(socket, "[\"here\"]");
    assert_eq!(client.text(&mut server), "42[\"here\"]");
}

#[test]
fn a_violation_that_the_layer_above_found_ends_the_connection_after_what_was_sent() {
    let mut server = Server::new();
    let mut client = WebSocket::join(&mut server);
    let socket = server.last_socket();
    server.send(socket, "[\"before\"]");
    server.order(Command::Violation { socket, message: "no array".into() });
    server.send(socket, "[\"after\"]");
    assert_eq!(client.text(&mut server), "42[\"before\"]");
    assert_eq!(client.frame(&mut server), super::client::Frame::Close(None));
    assert!(server.has_logged("no array") && server.reasons() == ["forced close"], "{:?}", server.seen);
    assert_eq!((server.stat("sessions"), server.stat("late_dropped")), (0, 1));
}

#[test]
fn a_disconnect_with_its_connection_sends_what_is_queued_first() {
    let mut server = Server::new();
    let client = super::client::Client::small(server.address);
    let mut client = WebSocket::join_over(&mut server, client);
    let socket = server.last_socket();
    let filled = server.block(socket);
    server.send(socket, "[\"last\"]");
    server.order(Command::Disconnect { socket, close: true });
    server.settle();
    assert_eq!(server.reasons(), ["server namespace disconnect"]);
    for _ in 0..filled {
        client.text(&mut server);
    }
    assert_eq!(client.text(&mut server), "42[\"last\"]");
    assert_eq!(client.text(&mut server), "41");
    assert_eq!(client.frame(&mut server), super::client::Frame::Close(None));
    assert_eq!(server.stat("sessions"), 0);
}

#[test]
fn the_names_of_namespaces_that_nobody_is_in_are_forgotten() {
    let mut server = Server::new();
    let mut client = WebSocket::join(&mut server);
    for number in 0..2000 {
        client.send(&format!("40/room-{number},"));
        assert!(client.text(&mut server).starts_with("40/room-"));
        client.send(&format!("41/room-{number},"));
    }
    server.settle();
    assert_eq!(server.stat("sockets"), 1);
    assert!(server.core.peek().name_count() < 200, "{}", server.core.peek().name_count());
    server.run(secs(0));
}
