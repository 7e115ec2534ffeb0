//! Who does not read: what each policy does about it, on every way that packets leave, and who is told.

use super::client::{Client, Polling, WebSocket};
use super::server::{Seen, Server, event, millis, secs};
use siox::net::command::Command;
use siox::net::event::Mark;
use siox::net::keys::SocketKey;
use siox::net::outbox::Marks;
use siox::net::worth::{Policy, Worth};
use siox::proto::limits;

const LIMIT: usize = 1024 * 1024;
const SIZE: usize = 10_000;

fn server(policy: Policy) -> Server {
    Server::with(|options| (options.marks.limit, options.marks.policy) = (LIMIT, policy))
}

/// A client that reads nothing, whose kernel is full. Gives how many events are on their way.
fn stuck(server: &mut Server) -> (WebSocket, SocketKey, usize) {
    let client = Client::small(server.address);
    let client = WebSocket::join_over(server, client);
    let socket = server.last_socket();
    let filled = server.block(socket);
    (client, socket, filled)
}

fn json(number: usize, size: usize) -> String {
    format!("[{number},\"{}\"]", "x".repeat(size))
}

fn send(server: &mut Server, socket: SocketKey, json: &str, worth: Worth) {
    server.order(Command::Send { socket, packet: event(json), worth });
}

/// Lets the time pass that an outbox may be over its limit; a kernel may find room for a little more meanwhile.
fn wait(server: &mut Server) {
    server.settle();
    server.run(secs(3));
}

/// The number that an event begins with; None of one that fills.
fn number(text: &str) -> Option<usize> {
    let digits: String = text.get(3..)?.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

/// The numbers of all events that a client still gets.
fn numbers(server: &mut Server, client: &mut WebSocket) -> Vec<usize> {
    client.events(server).iter().filter_map(|text| number(text)).collect()
}

fn marks(server: &Server) -> Vec<Mark> {
    let marks = server.seen.iter().filter_map(|seen| match seen {
        Seen::Marked(_, mark) => Some(*mark),
        _ => None,
    });
    marks.collect()
}

fn losses(server: &Server) -> Vec<u64> {
    let lost = marks(server).into_iter().filter_map(|mark| match mark {
        Mark::Lost(count) => Some(count),
        _ => None,
    });
    lost.collect()
}

#[test]
fn drop_oldest_keeps_the_newest_and_the_client() {
    let mut server = server(Policy::DropOldest);
    let (mut client, socket, _) = stuck(&mut server);
    let count = 4 * LIMIT / SIZE;
    for number in 0..count {
        server.send(socket, &json(number, SIZE));
    }
    server.settle();
    assert_eq!(server.stat("policy_dropped"), 0, "a burst before its reader had a turn");
    wait(&mut server);
    assert!(server.pending(socket) <= LIMIT && server.pending(socket) > LIMIT - 2 * SIZE);
    let arrived = numbers(&mut server, &mut client);
    assert_eq!(arrived, (count - arrived.len()..count).collect::<Vec<_>>(), "the newest, in order");
    let lost = count - arrived.len();
    assert!(lost > count / 2);
    assert_eq!((server.stat("policy_dropped"), losses(&server)), (lost as u64, vec![lost as u64]));
    assert_eq!((server.stat("outbox_overflows"), server.stat("sessions")), (0, 1));
}

#[test]
fn who_was_slow_is_held_to_the_limit_at_once_until_it_has_caught_up() {
    let mut server = server(Policy::DropOldest);
    let (mut client, socket, _) = stuck(&mut server);
    for number in 0..2 * LIMIT / SIZE {
        server.send(socket, &json(number, SIZE));
    }
    wait(&mut server);
    for number in 0..1000 {
        server.send(socket, &json(number, SIZE));
        assert!(server.pending(socket) <= LIMIT);
    }
    let arrived = numbers(&mut server, &mut client);
    assert_eq!(arrived.last(), Some(&999));
    assert_eq!(server.pending(socket), 0);
    let dropped = server.stat("policy_dropped");
    for number in 0..4 * LIMIT / SIZE {
        server.send(socket, &json(number, SIZE));
    }
    assert_eq!(numbers(&mut server, &mut client).len(), 4 * LIMIT / SIZE, "a burst to who reads again");
    assert_eq!(server.stat("policy_dropped"), dropped);
}

#[test]
fn a_burst_costs_nobody_who_reads_anything() {
    let mut server = server(Policy::DropOldest);
    let mut client = WebSocket::join(&mut server);
    let socket = server.last_socket();
    for number in 0..3000 {
        server.send(socket, &json(number, SIZE));
    }
    // A loop that has much to do comes round often before a reader of another process does.
    for _ in 0..100 {
        server.turn();
        server.now += millis(5);
    }
    for number in 0..3000 {
        assert_eq!(client.text(&mut server), format!("42{}", json(number, SIZE)));
        server.now += millis(2);
    }
    assert_eq!(server.stat("policy_dropped"), 0);
}

#[test]
fn a_broadcast_flood_leaves_each_slow_client_the_newest_of_it() {
    let mut server = server(Policy::DropOldest);
    let (mut client, _, _) = stuck(&mut server);
    let mut quick = WebSocket::join(&mut server);
    let sockets = server.sockets();
    let mut seen = 0;
    for number in 0..2000 {
        let packet = event(&json(number, 2000));
        server.order(Command::Broadcast { sockets: sockets.clone(), packet, worth: Worth::EVENT });
        if number % 7 == 0 {
            server.turn();
            server.now += millis(1);
            seen += numbers(&mut server, &mut quick).len();
        }
    }
    seen += numbers(&mut server, &mut quick).len();
    assert_eq!(seen, 2000, "the quick one misses nothing");
    assert!(server.pending(sockets[0]) <= 2 * LIMIT);
    wait(&mut server);
    assert!(server.pending(sockets[0]) <= LIMIT);
    let arrived = numbers(&mut server, &mut client);
    assert_eq!(arrived, (2000 - arrived.len()..2000).collect::<Vec<_>>());
    assert_eq!(arrived.len() + usize::try_from(server.stat("policy_dropped")).unwrap(), 2000);
}

#[test]
fn small_packets_count_for_the_place_that_they_take() {
    let mut server = server(Policy::DropOldest);
    let (_client, socket, _) = stuck(&mut server);
    for number in 0..100_000 {
        server.send(socket, &format!("[{number}]"));
    }
    wait(&mut server);
    let left = server.count(socket);
    assert!(left <= LIMIT / limits::OUTBOX_PLACE && left + 10 > LIMIT / limits::OUTBOX_PLACE, "{left}");
}

#[test]
fn answers_and_questions_stay_and_close_the_session_when_they_are_too_many() {
    let mut server = server(Policy::DropOldest);
    let (mut client, socket, _) = stuck(&mut server);
    for number in 0..200 {
        let worth = if number % 4 == 0 { Worth::KEPT } else { Worth::EVENT };
        send(&mut server, socket, &json(number, SIZE), worth);
    }
    wait(&mut server);
    let arrived = numbers(&mut server, &mut client);
    let kept = arrived.iter().filter(|&number| number % 4 == 0).count();
    assert_eq!((kept, arrived.is_sorted(), arrived.last()), (50, true, Some(&199)));
    assert!(arrived.len() < 200);
    server.block(socket);
    for number in 0..2 * LIMIT / SIZE {
        send(&mut server, socket, &json(number, SIZE), Worth::KEPT);
    }
    wait(&mut server);
    assert_eq!((server.reasons(), server.stat("outbox_overflows")), (vec!["transport error"], 1));
}

#[test]
fn one_message_of_any_size_and_the_newest_behind_it_are_no_reason_to_end() {
    let mut server = server(Policy::DropOldest);
    let (mut client, socket, _) = stuck(&mut server);
    server.send(socket, &json(0, 20 * LIMIT));
    for number in 1..1000 {
        server.send(socket, &json(number, 1000));
        server.now += millis(20);
        server.turn();
    }
    wait(&mut server);
    assert_eq!((server.stat("sessions"), server.stat("outbox_overflows")), (1, 0));
    assert_eq!(numbers(&mut server, &mut client).last(), Some(&999));
}

#[test]
fn drop_volatile_drops_what_is_volatile_and_then_the_client() {
    let mut server = server(Policy::DropVolatile);
    let client = Client::small(server.address);
    let mut client = WebSocket::join_over(&mut server, client);
    let socket = server.last_socket();
    let sockets = vec![socket];
    let flood = |server: &mut Server, worth: &Worth, numbers: std::ops::Range<usize>| {
        for number in numbers {
            let (packet, worth) = (event(&json(number, SIZE)), worth.clone());
            server.order(Command::Broadcast { sockets: sockets.clone(), packet, worth });
        }
    };
    // One burst: nobody knows yet that it does not read.
    flood(&mut server, &Worth::EVENT, 0..80);
    flood(&mut server, &Worth::VOLATILE, 80..2000);
    wait(&mut server);
    let volatile = server.stat("policy_dropped");
    assert!(volatile > 1000, "{volatile}");
    assert_eq!(server.stat("volatile_dropped"), 0, "it was ready");
    assert!(server.pending(socket) <= LIMIT);
    let arrived = numbers(&mut server, &mut client);
    assert_eq!(arrived[..80], (0..80).collect::<Vec<_>>());
    assert!(arrived.is_sorted());
    assert_eq!(arrived.len() as u64 + volatile, 2000);
    server.block(socket);
    flood(&mut server, &Worth::EVENT, 0..2 * LIMIT / SIZE);
    wait(&mut server);
    assert_eq!((server.reasons(), server.stat("policy_dropped")), (vec!["transport error"], volatile));
}

#[test]
fn a_polling_client_that_does_not_fetch_finds_the_newest() {
    let mut server = server(Policy::DropOldest);
    let mut polling = Polling::join(&mut server);
    let socket = server.last_socket();
    let sockets = server.sockets();
    for number in 0..1000 {
        let packet = event(&json(number, SIZE));
        server.order(Command::Broadcast { sockets: sockets.clone(), packet, worth: Worth::EVENT });
        server.turn();
    }
    wait(&mut server);
    assert!(server.pending(socket) <= LIMIT);
    let body = polling.poll(&mut server).body;
    let arrived: Vec<usize> = body.split('\u{1e}').filter_map(number).collect();
    assert_eq!(arrived, (1000 - arrived.len()..1000).collect::<Vec<_>>());
    assert_eq!(arrived.len() as u64 + server.stat("policy_dropped"), 1000);
    assert_eq!((server.stat("sessions"), server.stat("outbox_packets")), (1, 0));
}

#[test]
fn one_socket_may_have_marks_of_its_own() {
    let mut server = server(Policy::Disconnect);
    let (_client, own, _) = stuck(&mut server);
    let (_other, other, _) = stuck(&mut server);
    let marks = Marks { low_water: 1000, high_water: 2000, limit: 200_000, policy: Policy::DropOldest };
    server.order(Command::SetMarks { socket: own, marks });
    for number in 0..2 * LIMIT / SIZE {
        for socket in [own, other] {
            server.send(socket, &json(number, SIZE));
        }
        server.turn();
    }
    wait(&mut server);
    assert!(server.pending(own) <= 200_000);
    let gone =
        server.seen.iter().filter(|seen| matches!(seen, Seen::Disconnect { socket, .. } if *socket == other));
    assert_eq!((gone.count(), server.stat("sessions")), (1, 1));
    // A mark that is moved acts on what is there already.
    server.order(Command::SetMarks { socket: own, marks: Marks { limit: 50_000, ..marks } });
    wait(&mut server);
    assert!(server.pending(own) <= 50_000);
    server.order(Command::SetMarks {
        socket: own,
        marks: Marks { limit: 20_000, policy: Policy::Disconnect, ..marks },
    });
    wait(&mut server);
    assert_eq!(server.stat("sessions"), 0);
}

#[test]
fn who_comes_to_the_high_water_mark_and_back_is_told_of_once_each() {
    let mut server = server(Policy::Disconnect);
    let (mut client, socket, _) = stuck(&mut server);
    while server.pending(socket) < limits::OUTBOX_HIGH_WATER {
        assert_eq!(marks(&server), []);
        server.send(socket, &json(0, SIZE));
        server.flush();
    }
    for number in 0..10 {
        server.send(socket, &json(number, SIZE));
        server.flush();
    }
    let [Mark::High(bytes)] = marks(&server)[..] else { panic!("{:?}", marks(&server)) };
    assert!((limits::OUTBOX_HIGH_WATER..limits::OUTBOX_HIGH_WATER + 2 * SIZE).contains(&bytes), "{bytes}");
    assert_eq!((server.stat("high_water_reached"), server.stat("slow_sessions")), (1, 1));
    client.frames(&mut server);
    assert_eq!(marks(&server)[1..], [Mark::Low]);
    assert_eq!((server.stat("high_water_reached"), server.stat("slow_sessions")), (1, 0));
}

#[test]
fn losses_are_told_once_a_second_at_most_and_before_the_end() {
    let mut server = server(Policy::DropOldest);
    let (client, socket, _) = stuck(&mut server);
    for number in 0..3 * LIMIT / SIZE {
        server.send(socket, &json(number, SIZE));
    }
    wait(&mut server);
    assert_eq!(losses(&server).len(), 1, "the first at once");
    for number in 0..1000 {
        server.send(socket, &json(number, SIZE));
        server.now += millis(10);
        server.turn();
    }
    let told = losses(&server).len();
    assert!((9..=12).contains(&told), "{told} in ten seconds");
    server.send(socket, &json(0, SIZE));
    drop(client);
    server.until("the end", |server| (server.stat("sessions") == 0).then_some(()));
    assert_eq!(losses(&server).iter().sum::<u64>(), server.stat("policy_dropped"));
    let end = server.seen.iter().position(|seen| matches!(seen, Seen::Disconnect { .. })).unwrap();
    assert!(server.seen[end..].iter().all(|seen| !matches!(seen, Seen::Marked(..))));
    assert!(server.stat("unsent") > 90);
    server.run(secs(60)); // the timers of what is gone
    assert_eq!(server.core.poll_timeout(), None);
}
