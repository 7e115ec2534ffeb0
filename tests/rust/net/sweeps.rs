//! Broadcasts to many: gathered, joined, written in slices with reads and answers between.

use super::client::WebSocket;
use super::server::{Server, event};
use proptest::prelude::*;
use siox::net::command::Command;
use siox::net::event::Event;
use siox::net::keys::SocketKey;
use siox::net::worth::Worth;
use siox::proto::limits;

const MANY: usize = limits::SLICE_SESSIONS * 2 + 20;

fn crowd(server: &mut Server, count: usize) -> (Vec<WebSocket>, Vec<SocketKey>) {
    let clients = (0..count).map(|_| WebSocket::join(server)).collect();
    (clients, server.sockets())
}

fn broadcast(server: &mut Server, sockets: &[SocketKey], json: &str) {
    server.order(Command::Broadcast { sockets: sockets.to_vec(), packet: event(json), worth: Worth::EVENT });
}

#[test]
fn a_broadcast_to_many_leaves_in_slices_and_answers_go_between() {
    let mut server = Server::new();
    let (mut clients, sockets) = crowd(&mut server, MANY);
    let before = server.stat("writes");
    broadcast(&mut server, &sockets, "[\"news\"]");
    server.flush();
    let slice = limits::SLICE_SESSIONS as u64;
    assert_eq!(server.stat("writes") - before, slice);
    assert_eq!(server.core.poll_timeout(), Some(server.now), "the next slice is due at once");
    let last = sockets[MANY - 1];
    server.send(last, "[\"answer\"]");
    server.flush();
    assert_eq!(server.stat("writes") - before, 2 * slice + 1, "one socket did not wait for its turn");
    assert_eq!(server.pending(last), 0);
    server.settle();
    assert_eq!(server.stat("writes") - before, MANY as u64, "each socket is written once");
    assert_eq!(clients[0].text(&mut server), "42[\"news\"]");
    let last = &mut clients[MANY - 1];
    assert_eq!([last.text(&mut server), last.text(&mut server)], ["42[\"news\"]", "42[\"answer\"]"]);
}

#[test]
fn a_slice_ends_when_somebody_is_to_be_answered() {
    let mut server = Server::new();
    let (mut clients, sockets) = crowd(&mut server, MANY);
    let before = server.stat("writes");
    broadcast(&mut server, &sockets, "[\"news\"]");
    clients[0].send("42[\"question\"]");
    let batch = server.core.flush(server.now);
    assert!(matches!(batch.events[..], [Event::Packet { .. }]), "{:?}", batch.events);
    assert_eq!(server.stat("writes") - before, limits::SLICE_GLANCE as u64);
    server.settle();
    assert_eq!(server.stat("writes") - before, MANY as u64);
}

#[test]
fn what_is_emitted_while_a_round_is_under_way_leaves_together_when_it_comes_round() {
    let mut server = Server::new();
    let (mut clients, sockets) = crowd(&mut server, MANY);
    let before = server.stat("writes");
    broadcast(&mut server, &sockets, "[0]");
    for number in 1..=2 {
        server.flush();
        broadcast(&mut server, &sockets, &format!("[{number}]"));
    }
    server.run(std::time::Duration::ZERO);
    assert_eq!(server.stat("writes") - before, 2 * MANY as u64);
    for client in &mut clients {
        for number in 0..=2 {
            assert_eq!(client.text(&mut server), format!("42[{number}]"));
        }
    }
}

#[test]
fn a_producer_is_told_to_wait_while_enough_is_queued_behind_the_round() {
    let mut server = Server::new();
    let (_clients, sockets) = crowd(&mut server, MANY);
    let emit = |server: &mut Server| {
        server.core.reactor(server.now).broadcast(sockets.clone(), event("[]"), Worth::EVENT)
    };
    for _ in 0..limits::SWEEP_PACKETS {
        assert!(!emit(&mut server));
    }
    assert!(emit(&mut server));
    server.flush();
    assert!(!emit(&mut server), "these are on their way: the next may be queued");
    server.settle();
    assert!(!server.core.peek().is_sweep_full());
}

#[test]
fn who_leaves_or_joins_meanwhile_gets_what_was_emitted_before_and_nothing_after() {
    let mut server = Server::new();
    let (mut clients, sockets) = crowd(&mut server, 3);
    broadcast(&mut server, &sockets, "[1]");
    server.order(Command::Disconnect { socket: sockets[0], close: false });
    broadcast(&mut server, &sockets, "[2]");
    server.settle();
    assert_eq!([clients[0].text(&mut server), clients[0].text(&mut server)], ["42[1]", "41"]);
    assert_eq!([clients[1].text(&mut server), clients[1].text(&mut server)], ["42[1]", "42[2]"]);
    assert_eq!(clients[0].frame_now(&mut server), None);
    assert_eq!(server.stat("late_dropped"), 1);
}

/// One thing that a server does.
#[derive(Debug, Clone)]
enum Act {
    Broadcast(Vec<usize>, usize),
    Send(usize, usize),
    Flush,
    Turn,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let size = prop_oneof![4 => 0..100_usize, 2 => 900..9000_usize, 1 => 60_000..70_000_usize];
    let some = proptest::sample::subsequence((0..4).collect::<Vec<usize>>(), 0..=4);
    let act = prop_oneof![
        4 => (some, size.clone()).prop_map(|(to, size)| Act::Broadcast(to, size)),
        2 => (0..4_usize, size).prop_map(|(to, size)| Act::Send(to, size)),
        1 => Just(Act::Flush),
        1 => Just(Act::Turn),
    ];
    proptest::collection::vec(act, 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_socket_gets_what_it_was_sent_in_order(acts in acts()) {
        let mut server = Server::new();
        let (mut clients, sockets) = crowd(&mut server, 4);
        let mut expected = vec![Vec::new(); 4];
        for (number, act) in acts.into_iter().enumerate() {
            let json = |size| format!("[{number},\"{}\"]", "x".repeat(size));
            match act {
                Act::Broadcast(to, size) => {
                    let chosen: Vec<SocketKey> = to.iter().map(|&index| sockets[index]).collect();
                    broadcast(&mut server, &chosen, &json(size));
                    for index in to {
                        expected[index].push(format!("42{}", json(size)));
                    }
                }
                Act::Send(to, size) => {
                    server.send(sockets[to], &json(size));
                    expected[to].push(format!("42{}", json(size)));
                }
                Act::Flush => server.flush(),
                Act::Turn => server.turn(),
            }
        }
        server.settle();
        for (client, expected) in clients.iter_mut().zip(expected) {
            for text in expected {
                prop_assert_eq!(client.text(&mut server), text);
            }
            prop_assert_eq!(client.frame_now(&mut server), None);
        }
    }
}
