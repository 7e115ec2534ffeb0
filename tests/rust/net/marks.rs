//! The marks of an outbox, and what happens to who never reads.

use super::client::{Client, Frame, Polling, WebSocket};
use super::server::{Seen, Server, event, millis, secs};
use siox::net::command::Command;
use siox::net::keys::SocketKey;
use siox::net::worth::Worth;

const MIB: usize = 1024 * 1024;

fn drained(server: &Server) -> usize {
    server.seen.iter().filter(|seen| matches!(seen, Seen::Drained(_))).count()
}

fn slow(server: &mut Server) -> (WebSocket, SocketKey) {
    let client = Client::small(server.address);
    let client = WebSocket::join_over(server, client);
    let socket = server.last_socket();
    (client, socket)
}

/// Emits until so many bytes wait.
fn pile_up(server: &mut Server, socket: SocketKey, bytes: usize) {
    server.block(socket);
    while server.pending(socket) < bytes {
        server.send(socket, &format!("[\"{}\"]", "x".repeat(100_000)));
    }
    server.flush();
}

#[test]
fn an_emit_says_when_its_outbox_is_at_the_high_water_mark() {
    let mut server = Server::new();
    let (mut client, socket) = slow(&mut server);
    let full = |server: &mut Server| server.core.send(socket, event("[\"x\"]"), Worth::EVENT, server.now);
    assert!(!full(&mut server));
    server.block(socket);
    pile_up(&mut server, socket, 256 * 1024);
    assert!(full(&mut server));
    server.until("all of it", |server| {
        client.client.fill();
        (server.pending(socket) == 0).then_some(())
    });
    assert!(!full(&mut server));
}

#[test]
fn a_burst_that_the_kernel_has_not_refused_yet_is_not_counted() {
    let mut server = Server::new();
    let _client = WebSocket::join(&mut server);
    let socket = server.last_socket();
    let packet = event(&format!("[\"{}\"]", "x".repeat(60_000)));
    assert!(!server.core.send(socket, packet.clone(), Worth::EVENT, server.now));
    server.order(Command::WatchDrain { socket });
    assert_eq!(drained(&server), 0);
    server.turn();
    assert_eq!(drained(&server), 1);
}

#[test]
fn who_waits_for_the_outbox_is_told_once_below_the_low_water_mark() {
    let mut server = Server::new();
    let (mut client, socket) = slow(&mut server);
    pile_up(&mut server, socket, 2 * MIB);
    server.order(Command::WatchDrain { socket });
    server.settle();
    assert_eq!(drained(&server), 0);
    server.until("the mark", |server| {
        assert!(drained(server) == 0 || server.pending(socket) < 64 * 1024);
        client.client.sip(100_000);
        (drained(server) == 1).then_some(())
    });
    client.frames(&mut server);
    assert_eq!((drained(&server), server.pending(socket)), (1, 0));
}

#[test]
fn who_waits_for_the_outbox_is_told_when_its_session_ends() {
    let mut server = Server::new();
    let (client, socket) = slow(&mut server);
    pile_up(&mut server, socket, MIB);
    server.order(Command::WatchDrain { socket });
    drop(client);
    server.until("the end", |server| (server.stat("sessions") == 0).then_some(()));
    assert_eq!(drained(&server), 1);
}

#[test]
fn who_waits_for_a_session_is_told_with_who_waits_for_its_socket() {
    let mut server = Server::with(|options| options.tell_sessions = true);
    let (mut client, socket) = slow(&mut server);
    let session = server.session_of(socket);
    let told =
        |server: &Server| server.seen.iter().filter(|&seen| *seen == Seen::SessionDrained(session)).count();
    server.order(Command::WatchSession { session });
    server.settle();
    assert_eq!(told(&server), 1);
    pile_up(&mut server, socket, 2 * MIB);
    server.order(Command::WatchSession { session });
    server.settle();
    assert_eq!(told(&server), 1);
    client.frames(&mut server);
    assert_eq!((told(&server), server.pending(socket)), (2, 0));
    pile_up(&mut server, socket, MIB);
    server.order(Command::WatchSession { session });
    drop(client);
    server.until("the end", |server| (server.stat("sessions") == 0).then_some(()));
    server.order(Command::WatchSession { session });
    server.settle();
    assert_eq!(told(&server), 4);
}

#[test]
fn a_reader_slower_than_its_producer_is_disconnected_in_the_end() {
    let mut server = Server::with(|options| options.marks.limit = MIB);
    let (mut client, socket) = slow(&mut server);
    pile_up(&mut server, socket, 2 * MIB);
    let mut turns = 0;
    while server.stat("sessions") == 1 {
        server.send(socket, &format!("[\"{}\"]", "x".repeat(100_000)));
        client.client.sip(10_000);
        server.now += millis(50);
        server.turn();
        turns += 1;
        assert!(turns < 100);
    }
    assert_eq!(server.stat("outbox_overflows"), 1);
}

#[test]
fn an_empty_outbox_takes_one_message_of_any_size() {
    let mut server = Server::with(|options| options.marks.limit = MIB);
    let (mut client, socket) = slow(&mut server);
    let large = format!("[\"{}\"]", "x".repeat(20 * MIB));
    server.send(socket, &large);
    server.run(secs(20));
    assert_eq!(server.stat("sessions"), 1);
    assert_eq!(client.text(&mut server).len(), large.len() + 2);
}

#[test]
fn the_limit_acts_on_one_and_leaves_the_others() {
    let mut server = Server::with(|options| options.marks.limit = MIB);
    let (_slow, slow_socket) = slow(&mut server);
    let mut healthy = WebSocket::join(&mut server);
    let sockets = server.sockets();
    server.block(slow_socket);
    let mut received = 0;
    for _ in 0..40 {
        let packet = event(&format!("[\"{}\"]", "x".repeat(100_000)));
        server.order(Command::Broadcast { sockets: sockets.clone(), packet, worth: Worth::EVENT });
        received += healthy.frames(&mut server).len();
        server.now += millis(50);
    }
    assert_eq!(received, 40);
    assert_eq!((server.reasons(), server.stat("sessions")), (vec!["transport error"], 1));
    healthy.send_frame(siox::proto::ws::OpCode::Ping, b"");
    assert_eq!(healthy.frame(&mut server), Frame::Pong(Vec::new()));
}

#[test]
fn a_burst_disconnects_nobody_who_reads() {
    let mut server = Server::with(|options| options.marks.limit = MIB);
    let mut client = WebSocket::join(&mut server);
    let socket = server.last_socket();
    let text = format!("[\"{}\"]", "x".repeat(100_000));
    for _ in 0..400 {
        server.send(socket, &text);
    }
    assert!(server.pending(socket) > 20 * MIB);
    // A loop that has much to do comes round often before a reader of another process does.
    for _ in 0..100 {
        server.turn();
        server.now += millis(5);
    }
    for _ in 0..400 {
        assert_eq!(client.text(&mut server).len(), text.len() + 2);
        server.now += millis(10);
    }
    assert_eq!((server.reasons().len(), server.stat("outbox_overflows")), (0, 0));
}

#[test]
fn a_polling_client_that_never_fetches_is_disconnected_above_the_limit() {
    let mut server = Server::with(|options| options.marks.limit = MIB);
    let mut polling = Polling::join(&mut server);
    let socket = server.last_socket();
    for _ in 0..30 {
        server.send(socket, &format!("[\"{}\"]", "x".repeat(100_000)));
    }
    server.settle();
    assert_eq!(server.stat("sessions"), 1);
    let answer = polling.poll(&mut server);
    assert_eq!(answer.body.len(), 30 * 100_006 + 29);
    for _ in 0..30 {
        server.send(socket, &format!("[\"{}\"]", "x".repeat(100_000)));
    }
    server.settle();
    server.run(secs(1));
    assert_eq!((server.stat("sessions"), server.stat("outbox_overflows")), (0, 1));
}

#[test]
fn who_reads_nothing_is_disconnected_above_the_limit_and_not_within_its_turn() {
    let mut server = Server::with(|options| options.marks.limit = MIB);
    let (mut client, socket) = slow(&mut server);
    pile_up(&mut server, socket, MIB - 200_000);
    server.pass(secs(10));
    assert_eq!(server.stat("sessions"), 1);
    pile_up(&mut server, socket, 2 * MIB);
    server.settle();
    assert_eq!((server.stat("sessions"), server.stat("outbox_overflows")), (1, 0));
    server.run(secs(1));
    assert_eq!((server.reasons(), server.stat("outbox_overflows")), (vec!["transport error"], 1));
    assert!(server.logs().iter().any(|line| line.contains("1048576")), "{:?}", server.logs());
    client.client.wait_end(&mut server);
    server.run(secs(60)); // the timers of what is gone
    assert_eq!(server.core.poll_timeout(), None);
}
