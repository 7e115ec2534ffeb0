//! Several reactors: connections spread over them, requests that find their session, orders that keep
//! their order; first driven by the test's thread, turn by turn, then by threads.

use super::client::{Client, Frame, POLLING, Polling, UPGRADE, WebSocket, request};
use super::server::{Seen, Server, event};
use siox::net::command::Command;
use siox::net::keys::SocketKey;
use siox::net::reactor::Reactor;
use siox::net::worth::Worth;
use siox::proto::limits;
use std::time::Duration;

fn sharded(more: u8) -> Server {
    Server::sharded(more, |_| {})
}

/// A server whose reactors have threads.
fn threaded(threads: u8) -> Server {
    let server = sharded(threads);
    server.core.start_threads().unwrap();
    server
}

/// How many sockets each reactor has, the first one's apart.
fn spread(server: &Server, reactors: u8) -> Vec<usize> {
    let live = |number| server.core.look(number, server.now, Reactor::stats).unwrap();
    let count = |number| live(number).iter().find(|(name, _)| *name == "sockets").unwrap().1;
    assert_eq!(count(0), 0);
    (1..=reactors).map(|number| usize::try_from(count(number)).unwrap()).collect()
}

/// Connections enough that two in a row are never of one reactor; those in between idle.
fn elsewhere(server: &mut Server) -> Client {
    let client = server.connect();
    server.settle();
    client
}

#[test]
fn a_new_connection_goes_to_the_reactor_with_the_fewest() {
    let mut server = sharded(3);
    let mut clients: Vec<WebSocket> = (0..6).map(|_| WebSocket::join(&mut server)).collect();
    assert_eq!(spread(&server, 3), [2, 2, 2]);
    let tag = server.sockets()[0].tag();
    // The first and the fourth are of one reactor.
    for index in [3, 0] {
        drop(clients.remove(index));
    }
    server.until("two to go", |server| (server.stat("sockets") == 4).then_some(()));
    let _more = [WebSocket::join(&mut server), WebSocket::join(&mut server)];
    assert_eq!(spread(&server, 3), [2, 2, 2]);
    assert_eq!(server.last_socket().tag(), tag);
}

#[test]
fn requests_find_their_session_whichever_reactor_they_reach() {
    let mut server = sharded(3);
    let mut sessions: Vec<Polling> = (0..3).map(|_| Polling::join(&mut server)).collect();
    let sockets = server.sockets();
    for (number, polling) in sessions.iter_mut().enumerate() {
        for round in 0..4 {
            polling.gets = elsewhere(&mut server);
            polling.posts = elsewhere(&mut server);
            assert_eq!(polling.post(&mut server, &format!("42[{number},{round}]")).body, "ok");
            server.send(sockets[number], &format!("[{round}]"));
            assert_eq!(polling.poll(&mut server).body, format!("42[{round}]"));
        }
    }
    assert_eq!(server.packets().len(), 12);
    assert_eq!(server.stat("requests_refused"), 0);
    let stranger = format!("{POLLING}&sid=AAAAAAAAAAAAAAAAAAAA");
    assert_eq!(server.connect().get(&mut server, &stranger).status, 400);
}

#[test]
fn a_connection_that_several_sessions_share_answers_in_order() {
    let mut server = sharded(3);
    let sessions: Vec<Polling> = (0..3).map(|_| Polling::join(&mut server)).collect();
    let mut proxy = server.connect();
    // All in one piece: each has to wait for the answer to the one before, wherever that is given.
    let mut pipelined = String::new();
    for round in 0..5 {
        for polling in &sessions {
            pipelined += &request("POST", &polling.target, "", &format!("42[{round}]"));
            pipelined += &request("GET", "/elsewhere", "", "");
        }
    }
    proxy.send(pipelined);
    for _ in 0..15 {
        assert_eq!(proxy.answer(&mut server).body, "ok");
        assert_eq!(proxy.answer(&mut server).status, 404);
    }
    for socket in server.sockets() {
        let of_one: Vec<&str> = server
            .seen
            .iter()
            .filter_map(|seen| match seen {
                Seen::Packet { socket: from, data, .. } if *from == socket => Some(data.as_str()),
                _ => None,
            })
            .collect();
        assert_eq!(of_one, ["[0]", "[1]", "[2]", "[3]", "[4]"]);
    }
}

#[test]
fn a_body_that_comes_late_is_read_where_its_session_is() {
    let mut server = sharded(2);
    let polling = Polling::join(&mut server);
    for _ in 0..2 {
        let mut client = elsewhere(&mut server);
        let body = format!("42[\"{}\"]", "x".repeat(100_000));
        let headers = "Expect: 100-continue\r\n";
        let whole = request("POST", &polling.target, headers, &body);
        let (head, body) = whole.split_at(whole.len() - body.len());
        client.send(head);
        server.until("the word to go on", |_| {
            client.fill();
            client.input.starts_with(b"HTTP/1.1 100 Continue\r\n\r\n").then_some(())
        });
        client.input.clear();
        let (first, rest) = body.split_at(50_000);
        client.send_all(&mut server, first.as_bytes());
        server.settle();
        client.send_all(&mut server, rest.as_bytes());
        assert_eq!(client.answer(&mut server).body, "ok");
    }
    assert_eq!(server.packets().len(), 2);
}

#[test]
fn a_session_is_upgraded_by_a_websocket_that_another_reactor_accepted() {
    let mut server = sharded(2);
    for _ in 0..2 {
        let mut polling = Polling::join(&mut server);
        let socket = server.last_socket();
        let _idle = elsewhere(&mut server);
        // The probe behind the head in one piece: it must not get lost on the way.
        let mut probe = request("GET", &polling.websocket_target(), UPGRADE, "").into_bytes();
        probe.extend(super::client::texts(["2probe"]));
        let client = server.connect();
        let mut websocket = client.upgraded_by(&mut server, &probe);
        assert_eq!(websocket.text(&mut server), "3probe");
        polling.gets.send_get(&polling.target);
        websocket.send("5");
        server.settle();
        assert_eq!(polling.gets.answer(&mut server).body, "6");
        server.send(socket, "[\"over\"]");
        assert_eq!(websocket.text(&mut server), "42[\"over\"]");
        websocket.send("42[\"back\"]");
        server.settle();
        assert_eq!(server.packets().last(), Some(&"[\"back\"]"));
    }
    assert_eq!(server.stat("upgrades"), 2);
}

#[test]
fn the_word_on_a_handshake_reaches_the_reactor_that_waits_for_it() {
    let mut server = Server::sharded(3, |options| options.allow_request = true);
    for refusal in [None, Some("no".to_owned()), None] {
        let mut client = server.connect();
        client.send_get(POLLING);
        let request = server.until("the question", |server| match server.seen.last() {
            Some(Seen::Allow(request)) => Some(*request),
            _ => None,
        });
        server.seen.clear();
        let status = if refusal.is_some() { 403 } else { 200 };
        server.order(Command::Allow { request, refusal });
        assert_eq!(client.answer(&mut server).status, status);
    }
}

/// Frames of broadcasts and of packets to one, in the order in which they were ordered.
#[test]
fn broadcasts_and_packets_to_one_keep_their_order_on_every_reactor() {
    const ROUNDS: usize = 300;
    let mut server = threaded(3);
    let mut clients: Vec<WebSocket> = (0..9).map(|_| WebSocket::join(&mut server)).collect();
    assert_eq!(spread(&server, 3), [3, 3, 3]);
    let sockets = server.sockets();
    for round in 0..ROUNDS {
        let packet = event(&format!("[\"all\",{round}]"));
        server.core.broadcast(sockets.clone(), packet, Worth::EVENT, server.now);
        for &socket in &sockets {
            server.core.send(socket, event(&format!("[\"one\",{round}]")), Worth::EVENT, server.now);
        }
        if round % 50 == 0 {
            server.flush();
        }
    }
    server.flush();
    for client in &mut clients {
        for round in 0..ROUNDS {
            assert_eq!(client.text(&mut server), format!("42[\"all\",{round}]"));
            assert_eq!(client.text(&mut server), format!("42[\"one\",{round}]"));
        }
    }
    server.core.stop_threads();
}

#[test]
fn orders_of_many_threads_reach_sockets_of_many_reactors_in_their_order() {
    const EACH: usize = 400;
    let mut server = threaded(2);
    let mut clients: Vec<WebSocket> = (0..4).map(|_| WebSocket::join(&mut server)).collect();
    let sockets = server.sockets();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (core, sockets, now) = (&server.core, &sockets, server.now);
            scope.spawn(move || {
                for number in 0..EACH {
                    let packet = event(&format!("[{thread},{number}]"));
                    core.submit(
                        Command::Broadcast { sockets: sockets.clone(), packet, worth: Worth::EVENT },
                        now,
                    );
                }
            });
        }
    });
    for client in &mut clients {
        let mut next = [0; 4];
        for _ in 0..4 * EACH {
            let text = client.text(&mut server);
            let (thread, number) =
                text.trim_start_matches("42[").trim_end_matches(']').split_once(',').unwrap();
            let thread: usize = thread.parse().unwrap();
            assert_eq!(number.parse::<usize>().unwrap(), next[thread]);
            next[thread] += 1;
        }
    }
    server.core.stop_threads();
}

/// Waits without taking what the reactors have to say.
fn wait_until(what: &str, mut ready: impl FnMut() -> bool) {
    for _ in 0..10_000 {
        if ready() {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("{what} did not come");
}

#[test]
fn reactors_stop_reading_while_nobody_takes_what_they_have_read_but_still_send() {
    let mut server = threaded(2);
    let mut clients: Vec<WebSocket> = (0..4).map(|_| WebSocket::join(&mut server)).collect();
    let sockets = server.sockets();
    let text = format!("42[\"{}\"]", "x".repeat(400));
    let many = super::client::texts(std::iter::repeat_n(text.as_str(), 1000));
    let mut sent = vec![0; clients.len()];
    let mut quiet = 0;
    // Until the kernel takes no more: nobody reads there.
    while quiet < 50 {
        quiet += 1;
        for (client, sent) in clients.iter_mut().zip(&mut sent) {
            let rest = *sent % many.len();
            let count = client.client.send_some(&many[rest..]);
            *sent += count;
            if count > 0 {
                quiet = 0;
            }
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let read = server.stat("packets_in");
    let most = u64::try_from(limits::FRONT_EVENTS).unwrap();
    assert!(read > most && read < 4 * most, "{read} events were read");
    // Orders are carried out and written all the same.
    for &socket in &sockets {
        server
            .core
            .submit(Command::Send { socket, packet: event("[\"x\"]"), worth: Worth::EVENT }, server.now);
    }
    assert!(server.core.flush(server.now).events.is_empty());
    for client in &mut clients {
        wait_until("a packet", || client.frame_without_turn() == Some(Frame::Text("42[\"x\"]".into())));
    }
    // Somebody takes it: all that was sent whole arrives.
    let frame = many.len() / 1000;
    let whole: usize = sent.iter().map(|bytes| bytes / frame).sum();
    let whole = u64::try_from(whole).unwrap();
    server.until("the rest", |server| (server.stat("packets_in") == whole).then_some(()));
    server.settle();
    assert_eq!(server.packets().len() as u64, whole);
    server.core.stop_threads();
}

#[test]
fn who_waits_for_the_broadcasts_under_way_is_woken_when_there_is_room() {
    let mut server = threaded(2);
    let mut clients: Vec<WebSocket> = (0..4).map(|_| WebSocket::join(&mut server)).collect();
    let sockets = server.sockets();
    let mut rounds = 0;
    for _ in 0..20 {
        while !server.core.broadcast(sockets.clone(), event("[\"x\"]"), Worth::EVENT, server.now) {
            rounds += 1;
            assert!(rounds < 100_000, "nothing ever was full");
        }
        rounds += 1;
        // What the driving thread does: it flushes, and rests until it is woken.
        let _ = server.core.flush(server.now);
        if server.core.is_sweep_full() {
            wait_until("news", || server.core.next_batch().is_some());
        }
        wait_until("room", || !server.core.is_sweep_full());
        while server.core.next_batch().is_some() {}
        let _ = server.core.rest();
    }
    for client in &mut clients {
        for _ in 0..rounds {
            assert_eq!(client.text(&mut server), "42[\"x\"]");
        }
    }
    server.core.stop_threads();
}

#[test]
fn a_shutdown_ends_what_is_connected_to_every_reactor_and_what_is_on_its_way() {
    let mut server = threaded(3);
    let mut clients: Vec<WebSocket> = (0..6).map(|_| WebSocket::join(&mut server)).collect();
    let _polling = Polling::join(&mut server);
    let idle: Vec<Client> = (0..6).map(|_| server.connect()).collect();
    server.core.close_listeners();
    server.order(Command::Shutdown);
    server.flush();
    for client in &mut clients {
        assert_eq!(client.frame(&mut server), Frame::Close(None));
    }
    drop((clients, idle));
    server.until("the end", |server| server.core.is_idle(server.now).then_some(()));
    assert_eq!(server.reasons(), ["server shutting down"; 7]);
    server.core.stop_threads();
    assert_eq!((server.stat("connections"), server.stat("sessions")), (0, 0));
}

#[test]
fn an_order_that_was_carried_out_for_a_look_is_written_and_told_all_the_same() {
    let mut server = threaded(1);
    let mut client = WebSocket::join(&mut server);
    let socket = server.last_socket();
    for round in 0..20 {
        server.send(socket, &format!("[{round}]"));
        assert!(server.core.look(1, server.now, |reactor| reactor.socket(socket).is_some()).unwrap());
        assert_eq!(client.text(&mut server), format!("42[{round}]"));
    }
    server.order(Command::Disconnect { socket, close: false });
    assert!(server.core.look(1, server.now, |reactor| reactor.socket(socket).is_none()).unwrap());
    server.until("the end", |server| (server.reasons() == ["server namespace disconnect"]).then_some(()));
    server.core.stop_threads();
}

#[test]
fn an_abort_ends_everything_before_the_threads_end() {
    let mut server = threaded(2);
    let mut clients: Vec<WebSocket> = (0..4).map(|_| WebSocket::join(&mut server)).collect();
    server.core.close_listeners();
    server.order(Command::Abort);
    server.core.stop_threads();
    server.settle();
    assert_eq!(server.reasons(), ["forced close"; 4]);
    for client in &mut clients {
        client.client.wait_end(&mut server);
    }
    assert!(server.core.is_idle(server.now));
}

#[test]
fn when_the_threads_end_the_driving_thread_has_their_reactors_until_they_begin_again() {
    let mut server = threaded(2);
    let mut clients: Vec<WebSocket> = (0..4).map(|_| WebSocket::join(&mut server)).collect();
    server.echoes = true;
    for round in 0..4 {
        for client in &mut clients {
            client.send(&format!("42[{round}]"));
            assert_eq!(client.text(&mut server), format!("42[{round}]"));
        }
        if round % 2 == 0 {
            server.core.stop_threads();
        } else {
            server.core.start_threads().unwrap();
        }
    }
    server.core.stop_threads();
}

#[test]
fn a_key_says_whose_it_is() {
    let mut server = sharded(2);
    let _clients: Vec<WebSocket> = (0..4).map(|_| WebSocket::join(&mut server)).collect();
    let tags: Vec<u8> = server.sockets().into_iter().map(SocketKey::tag).collect();
    assert_eq!(tags, [1, 2, 1, 2]);
}
