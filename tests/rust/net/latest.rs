//! The newest of a subject: what waits makes room for it, for each recipient apart, and the order stays.

use super::client::{Client, Polling, WebSocket};
use super::server::{Server, event, secs};
use proptest::prelude::*;
use siox::net::command::Command;
use siox::net::keys::SocketKey;
use siox::net::outbox::Marks;
use siox::net::worth::{Class, Policy, Worth};
use std::collections::HashMap;

fn send(server: &mut Server, socket: SocketKey, number: usize, worth: Worth) {
    server.order(Command::Send { socket, packet: event(&format!("[{number}]")), worth });
}

fn broadcast(server: &mut Server, sockets: &[SocketKey], number: usize, worth: Worth) {
    let packet = event(&format!("[{number}]"));
    server.order(Command::Broadcast { sockets: sockets.to_vec(), packet, worth });
}

fn latest(key: &str) -> Worth {
    Worth::latest("/", key)
}

/// The numbers of the events among texts.
fn numbers<'a>(texts: impl IntoIterator<Item = &'a str>) -> Vec<usize> {
    let digits = |text: &'a str| text.strip_prefix("42[")?.split([',', ']']).next()?.parse().ok();
    texts.into_iter().filter_map(digits).collect()
}

fn heard(server: &mut Server, client: &mut WebSocket) -> Vec<usize> {
    numbers(client.events(server).iter().map(String::as_str))
}

fn small(server: &mut Server) -> (WebSocket, SocketKey) {
    let client = Client::small(server.address);
    let client = WebSocket::join_over(server, client);
    (client, server.last_socket())
}

#[test]
fn only_the_newest_that_has_not_left_is_kept_and_the_order_stays() {
    let mut server = Server::new();
    let (mut client, socket) = small(&mut server);
    server.block(socket);
    send(&mut server, socket, 1, latest("a"));
    send(&mut server, socket, 2, Worth::EVENT);
    send(&mut server, socket, 3, latest("b"));
    send(&mut server, socket, 4, latest("a"));
    send(&mut server, socket, 5, Worth::KEPT);
    send(&mut server, socket, 6, Worth::latest("/chat", "a"));
    broadcast(&mut server, &[socket], 7, latest("b"));
    broadcast(&mut server, &[socket], 8, Worth::EVENT);
    server.flush();
    assert_eq!(heard(&mut server, &mut client), [2, 4, 5, 6, 7, 8]);
    assert_eq!((server.stat("conflated"), server.stat("outbox_packets")), (2, 0));
}

#[test]
fn who_reads_gets_each_that_has_left_in_between() {
    let mut server = Server::new();
    let mut client = WebSocket::join(&mut server);
    let sockets = server.sockets();
    for number in 0..20 {
        broadcast(&mut server, &sockets, number, latest("a"));
        server.flush();
    }
    assert_eq!(heard(&mut server, &mut client), (0..20).collect::<Vec<_>>());
    // Of one turn only the newest leaves, for nobody has it yet.
    for number in 0..20 {
        broadcast(&mut server, &sockets, number, latest("a"));
    }
    server.flush();
    assert_eq!(heard(&mut server, &mut client), [19]);
    assert_eq!((server.stat("conflated"), server.stat("packets_out")), (19, 1 + 40));
}

#[test]
fn a_broadcast_costs_who_reads_one_write_and_no_place() {
    let mut server = Server::new();
    let mut clients: Vec<WebSocket> = (0..20).map(|_| WebSocket::join(&mut server)).collect();
    let sockets = server.sockets();
    let before = server.stat("writes");
    for number in 0..50 {
        broadcast(&mut server, &sockets, number, latest(&format!("{}", number % 10)));
        broadcast(&mut server, &sockets, 1000 + number, Worth::EVENT);
    }
    server.flush();
    assert_eq!(server.stat("writes") - before, 20);
    let mut expected: Vec<usize> = (0..50).flat_map(|number| [number, 1000 + number]).collect();
    expected.retain(|&number| number >= 40);
    for client in &mut clients {
        assert_eq!(heard(&mut server, client), expected);
    }
    assert_eq!(server.stat("conflated"), 20 * 40);
}

#[test]
fn each_recipient_has_its_own_newest() {
    let mut server = Server::new();
    let (mut slow, slow_socket) = small(&mut server);
    let mut quick = WebSocket::join(&mut server);
    let mut polling = Polling::join(&mut server);
    let sockets = server.sockets();
    server.block(slow_socket);
    for number in 0..10 {
        broadcast(&mut server, &sockets, number, latest("a"));
        server.settle();
    }
    send(&mut server, slow_socket, 10, latest("a"));
    server.settle();
    assert_eq!(heard(&mut server, &mut quick), (0..10).collect::<Vec<_>>());
    assert_eq!(heard(&mut server, &mut slow), [10]);
    assert_eq!(numbers(polling.poll(&mut server).body.split('\u{1e}')), [9]);
    assert_eq!(server.stat("conflated"), 10 + 9);
}

#[test]
fn what_the_kernel_has_begun_to_take_is_not_replaced() {
    let mut server = Server::new();
    let (mut client, socket) = small(&mut server);
    let large = |digit: char| format!("[\"{}\"]", digit.to_string().repeat(20_000_000));
    for digit in ['1', '2', '3'] {
        server.order(Command::Send { socket, packet: event(&large(digit)), worth: latest("a") });
        server.flush();
    }
    assert!(server.is_blocked(socket));
    assert_eq!(
        [client.text(&mut server), client.text(&mut server)],
        ['1', '3'].map(|digit| format!("42{}", large(digit)))
    );
    assert_eq!((client.frame_now(&mut server), server.stat("conflated")), (None, 1));
}

#[test]
fn volatile_and_newest_is_dropped_for_who_is_not_ready() {
    let mut server = Server::new();
    let (mut client, socket) = small(&mut server);
    send(&mut server, socket, 1, latest("a").volatile_if(true));
    server.flush();
    assert_eq!(heard(&mut server, &mut client), [1]);
    server.block(socket);
    send(&mut server, socket, 2, latest("a").volatile_if(true));
    broadcast(&mut server, &[socket], 3, latest("a").volatile_if(true));
    broadcast(&mut server, &[socket], 4, latest("a").volatile_if(true));
    server.flush();
    assert!(heard(&mut server, &mut client).is_empty());
    assert_eq!((server.stat("volatile_dropped"), server.stat("conflated")), (3, 0));
}

#[test]
fn a_thousand_subjects_a_thousand_times_take_a_thousand_places() {
    let mut server = Server::new();
    let (mut client, socket) = small(&mut server);
    server.block(socket);
    let held = server.count(socket);
    for number in 0..200_000 {
        send(&mut server, socket, number, latest(&format!("{}", number % 1000)));
    }
    assert_eq!(server.count(socket) - held, 1000);
    assert_eq!(heard(&mut server, &mut client), (199_000..200_000).collect::<Vec<_>>());
}

#[derive(Debug, Clone)]
enum Act {
    Send(usize, Kind),
    Broadcast(Vec<usize>, Kind),
    Filler(usize),
    Flush,
    Turn,
    Wait,
    Read(usize),
    Shed(usize, usize),
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Plain(Class),
    Latest(usize, bool),
}

impl Kind {
    fn worth(self) -> Worth {
        match self {
            Self::Plain(class) => Worth { class, subject: None },
            Self::Latest(key, volatile) => latest(&key.to_string()).volatile_if(volatile),
        }
    }
}

fn act() -> impl Strategy<Value = Act> {
    let kind = prop_oneof![
        3 => Just(Kind::Plain(Class::Event)),
        1 => Just(Kind::Plain(Class::Kept)),
        1 => Just(Kind::Plain(Class::Volatile)),
        4 => (0..5_usize, proptest::bool::weighted(0.1)).prop_map(|(key, volatile)| Kind::Latest(key, volatile)),
    ];
    let some = proptest::sample::subsequence((0..3).collect::<Vec<usize>>(), 1..=3);
    prop_oneof![
        4 => (0..3_usize, kind.clone()).prop_map(|(to, kind)| Act::Send(to, kind)),
        8 => (some, kind).prop_map(|(to, kind)| Act::Broadcast(to, kind)),
        2 => (0..3_usize).prop_map(Act::Filler),
        2 => Just(Act::Flush),
        2 => Just(Act::Turn),
        1 => Just(Act::Wait),
        2 => (0..3_usize).prop_map(Act::Read),
        1 => (0..3_usize, 20_000..2_000_000_usize).prop_map(|(to, limit)| Act::Shed(to, limit)),
    ]
}

/// A small websocket, a large one, a polling client: what each got.
struct Hall {
    server: Server,
    small: WebSocket,
    large: WebSocket,
    polling: Polling,
    sockets: Vec<SocketKey>,
    heard: [Vec<usize>; 3],
}

impl Hall {
    fn new() -> Self {
        let mut server = Server::new();
        let (small, _) = small(&mut server);
        let large = WebSocket::join(&mut server);
        let polling = Polling::join(&mut server);
        let sockets = server.sockets();
        Self { server, small, large, polling, sockets, heard: Default::default() }
    }

    fn read(&mut self, index: usize) {
        let more = match index {
            0 => heard(&mut self.server, &mut self.small),
            1 => heard(&mut self.server, &mut self.large),
            _ if self.server.count(self.sockets[2]) == 0 => Vec::new(),
            _ => numbers(self.polling.poll(&mut self.server).body.split('\u{1e}')),
        };
        self.heard[index].extend(more);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_arrives_is_in_order_and_what_does_not_is_counted(acts in proptest::collection::vec(act(), 0..120)) {
        let mut hall = Hall::new();
        let before = hall.server.stat("packets_out");
        let mut sent: [Vec<(usize, Kind)>; 3] = Default::default();
        let mut sheds = [false; 3];
        for (number, act) in acts.into_iter().enumerate() {
            match act {
                Act::Send(to, kind) => {
                    send(&mut hall.server, hall.sockets[to], number, kind.worth());
                    sent[to].push((number, kind));
                }
                Act::Broadcast(to, kind) => {
                    let chosen: Vec<SocketKey> = to.iter().map(|&index| hall.sockets[index]).collect();
                    broadcast(&mut hall.server, &chosen, number, kind.worth());
                    for index in to {
                        sent[index].push((number, kind));
                    }
                }
                // Enough of them stop the small one.
                Act::Filler(to) => {
                    let packet = event(&format!("[{number},\"{}\"]", "x".repeat(300_000)));
                    let (socket, worth) = (hall.sockets[to], Worth::EVENT);
                    hall.server.order(Command::Send { socket, packet, worth });
                    sent[to].push((number, Kind::Plain(Class::Event)));
                }
                Act::Flush => hall.server.flush(),
                Act::Turn => hall.server.turn(),
                Act::Wait => hall.server.now += std::time::Duration::from_millis(400),
                Act::Read(index) => hall.read(index),
                Act::Shed(to, limit) => {
                    let policy = Policy::DropOldest;
                    let marks = Marks { low_water: 500, high_water: 1000, limit, policy };
                    hall.server.order(Command::SetMarks { socket: hall.sockets[to], marks });
                    sheds[to] = true;
                }
            }
        }
        hall.server.run(secs(3));
        for index in 0..3 {
            hall.read(index);
        }
        hall.server.settle();
        let mut lost = 0;
        for ((heard, sent), sheds) in hall.heard.iter().zip(&sent).zip(sheds) {
            prop_assert!(heard.is_sorted(), "{:?}", heard);
            let newest: HashMap<usize, usize> = sent.iter().filter_map(|&(number, kind)| match kind {
                Kind::Latest(key, _) => Some((key, number)),
                Kind::Plain(_) => None,
            }).collect();
            for &(number, kind) in sent {
                let must = match kind {
                    Kind::Plain(Class::Kept) => true,
                    _ if sheds => false,
                    Kind::Plain(class) => class != Class::Volatile,
                    Kind::Latest(key, volatile) => !volatile && newest[&key] == number,
                };
                prop_assert!(!must || heard.contains(&number), "{} {:?} of {:?}", number, kind, heard);
            }
            lost += sent.len() - heard.len();
        }
        let stat = |name| usize::try_from(hall.server.stat(name)).unwrap();
        prop_assert_eq!(stat("outbox_packets") + stat("outbox_bytes"), 0);
        prop_assert_eq!(stat("conflated") + stat("policy_dropped") + stat("volatile_dropped"), lost);
        let all: usize = sent.iter().map(Vec::len).sum();
        prop_assert_eq!(stat("packets_out") - usize::try_from(before).unwrap() + stat("volatile_dropped"), all);
    }
}
