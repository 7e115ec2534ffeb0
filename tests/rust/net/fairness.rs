//! Who gets the loop's time: budgets, the ready list, and nobody dead for our own delay.

use super::client::{Client, Frame, POLLING, Polling, WebSocket, frame, request, texts};
use super::server::{Server, secs};
use siox::net::command::Command;
use siox::proto::ws::OpCode;
use std::process::Command as Process;

const RETRY: &str = "SIOX_TEST_FEW_DESCRIPTORS";

#[test]
fn a_client_that_floods_does_not_keep_the_loop_from_another() {
    let mut server = Server::new();
    let mut flood = WebSocket::join(&mut server);
    let mut other = WebSocket::join(&mut server);
    server.settle();
    let bytes = frame(OpCode::Text, format!("42[\"{}\"]", "x".repeat(1000)).as_bytes()).repeat(1000);
    let mut sent = 0;
    while sent < bytes.len() {
        let count = flood.client.send_some(&bytes[sent..]);
        sent += count;
        if count == 0 {
            break;
        }
    }
    assert!(sent > 200_000, "the kernel took {sent}");
    other.send("42[\"me too\"]");
    server.turn();
    let packets = server.packets();
    assert!(packets.len() <= 200, "{} in one turn", packets.len());
    assert!(packets.contains(&"[\"me too\"]"));
    assert_eq!(server.core.poll_timeout(), Some(server.now), "more is to be read at once");
    flood.client.send_all(&mut server, &bytes[sent..]);
    server.until("all of it", |server| (server.packets().len() == 1001).then_some(()));
}

#[test]
fn new_connections_do_not_keep_the_loop_from_those_there_are() {
    let mut server = Server::new();
    let mut client = WebSocket::join(&mut server);
    let waiting: Vec<Client> = (0..200).map(|_| server.connect()).collect();
    client.send("42[\"here\"]");
    server.turn();
    assert_eq!(server.stat("connections_accepted"), 1 + 64);
    assert_eq!((server.packets(), server.core.poll_timeout()), (vec!["[\"here\"]"], Some(server.now)));
    server.settle();
    assert_eq!(server.stat("connections_accepted"), 201);
    drop(waiting);
    server.until("their end", |server| (server.stat("connections") == 1).then_some(()));
}

#[test]
fn an_idle_server_waits_for_its_next_deadline_and_not_before() {
    let mut server = Server::new();
    assert_eq!(server.core.poll_timeout(), None);
    let mut client = WebSocket::join(&mut server);
    server.settle();
    let mut turns = 0;
    let end = server.now + secs(100);
    while let Some(next) = server.core.poll_timeout().filter(|&at| at <= end) {
        assert!(next > server.now || turns == 0, "a deadline that does not move on");
        server.now = next.max(server.now);
        server.turn();
        if client.frame_now(&mut server) == Some(Frame::Text("2".into())) {
            client.send("3");
            server.settle();
        }
        turns += 1;
    }
    assert!((4..60).contains(&turns), "{turns} turns in 100 s");
}

#[test]
fn a_websocket_that_is_paused_is_not_read_nor_timed_out_and_goes_on_where_it_stood() {
    let mut server = Server::new();
    let mut client = WebSocket::join(&mut server);
    let socket = server.last_socket();
    server.order(Command::Pause { socket, paused: true });
    client.client.send(texts(["42[1]", "42[2]"]));
    server.run(secs(300));
    assert_eq!((server.packets().len(), server.stat("sessions")), (0, 1));
    server.order(Command::Pause { socket, paused: false });
    server.settle();
    assert_eq!(server.packets(), ["[1]", "[2]"]);
    server.run(secs(19));
    assert_eq!(server.stat("sessions"), 1);
    server.run(secs(1));
    assert_eq!(server.reasons(), ["ping timeout"]);
}

#[test]
fn a_paused_peer_that_hangs_up_is_noticed_when_it_is_read_again() {
    let mut server = Server::new();
    let mut client = WebSocket::join(&mut server);
    let socket = server.last_socket();
    server.order(Command::Pause { socket, paused: true });
    client.send("42[\"last\"]");
    drop(client);
    server.settle();
    assert_eq!(server.stat("sessions"), 1);
    server.order(Command::Pause { socket, paused: false });
    server.settle();
    assert_eq!((server.packets(), server.reasons()), (vec!["[\"last\"]"], vec!["transport close"]));
}

#[test]
fn a_connection_for_which_no_descriptor_was_left_is_accepted_later() {
    if std::env::var_os(RETRY).is_some() {
        accept_with_few_descriptors();
        return;
    }
    let name = "net::fairness::a_connection_for_which_no_descriptor_was_left_is_accepted_later";
    let script = format!("ulimit -n 48; exec \"$0\" --exact {name} --nocapture");
    let program = std::env::current_exe().unwrap();
    let status = Process::new("sh").arg("-c").arg(script).arg(program).env(RETRY, "1").status().unwrap();
    assert!(status.success());
}

fn accept_with_few_descriptors() {
    let mut server = Server::new();
    let mut client = server.connect();
    client.send_get(POLLING);
    let mut files = Vec::new();
    while let Ok(file) = std::fs::File::open("/dev/null") {
        files.push(file);
    }
    server.turn();
    assert_eq!(server.stat("connections_accepted"), 0);
    assert!(server.has_logged("a connection could not be accepted, trying again"), "{:?}", server.logs());
    assert!(server.core.poll_timeout().unwrap() > server.now, "it does not spin");
    server.run(secs(1));
    assert_eq!((server.stat("connections_accepted"), server.logs().len()), (0, 2));
    drop(files);
    server.run(secs(1));
    assert_eq!(client.answer(&mut server).status, 200);
}

#[test]
fn a_body_that_waits_in_the_kernel_counts_after_a_stall() {
    let mut server = Server::with(|options| {
        options.session.ping_interval = secs(300);
        options.connect_timeout = secs(300);
    });
    let mut polling = Polling::join(&mut server);
    let post = request("POST", &polling.target, "", &format!("42[\"{}\"]", "x".repeat(300_000)));
    polling.posts.send(&post.as_bytes()[..1000]);
    server.settle();
    assert_eq!(polling.posts.send_some(&post.as_bytes()[1000..]), post.len() - 1000);
    server.now += secs(60);
    assert_eq!(polling.posts.answer(&mut server).body, "ok");
    assert_eq!((server.packets().len(), server.reasons().len()), (1, 0));
}

#[test]
fn a_pause_within_a_message_in_pieces_times_nothing_out() {
    let mut server = Server::new();
    let mut client = WebSocket::join(&mut server);
    let socket = server.last_socket();
    client.send("451-[\"b\",{\"_placeholder\":true,\"num\":0}]");
    let attachment = frame(OpCode::Binary, &[7; 1000]);
    client.client.send(&attachment[..500]);
    server.settle();
    server.order(Command::Pause { socket, paused: true });
    client.client.send(&attachment[500..]);
    server.run(secs(300));
    assert_eq!((server.stat("sessions"), server.packets().len()), (1, 0));
    server.order(Command::Pause { socket, paused: false });
    server.settle();
    assert_eq!((server.packets().len(), server.reasons().len()), (1, 0));
}

#[test]
fn a_pong_behind_much_else_counts_after_a_stall() {
    let mut server = Server::with(|options| options.session.ping_interval = secs(1));
    let mut websocket = WebSocket::join(&mut server);
    let mut polling = Polling::join(&mut server);
    polling.gets.send_get(&polling.target);
    server.settle();
    server.pass(secs(1));
    assert_eq!(websocket.text(&mut server), "2");
    assert_eq!(polling.gets.answer(&mut server).body, "2");
    let event = format!("42[\"{}\"]", "x".repeat(300_000));
    let bytes = texts([&event[..], "3"]);
    assert_eq!(websocket.client.send_some(&bytes), bytes.len());
    let post = request("POST", &polling.target, "", &format!("{event}\u{1e}3"));
    assert_eq!(polling.posts.send_some(post.as_bytes()), post.len());
    server.now += secs(60);
    server.run(secs(0));
    server.settle();
    assert_eq!((server.reasons().len(), server.stat("sessions")), (0, 2));
    assert_eq!(server.packets().len(), 2);
}

#[test]
fn a_pong_by_a_connection_not_yet_accepted_counts_after_a_stall() {
    let mut server = Server::with(|options| options.session.ping_interval = secs(1));
    let mut polling = Polling::join(&mut server);
    polling.gets.send_get(&polling.target);
    server.settle();
    server.pass(secs(1));
    assert_eq!(polling.gets.answer(&mut server).body, "2");
    let waiting: Vec<Client> = (0..100).map(|_| server.connect()).collect();
    polling.posts = server.connect();
    polling.posts.send_post(&polling.target, "3");
    server.now += secs(60);
    server.settle();
    assert_eq!((server.reasons().len(), server.stat("sessions")), (0, 1));
    drop(waiting);
}

#[test]
fn a_pong_that_waits_in_the_kernel_counts_after_a_stall() {
    let mut server = Server::new();
    let mut websocket = WebSocket::join(&mut server);
    let mut polling = Polling::join(&mut server);
    polling.gets.send_get(&polling.target);
    server.settle();
    server.pass(secs(25));
    assert_eq!(websocket.text(&mut server), "2");
    assert_eq!(polling.gets.answer(&mut server).body, "2");
    websocket.send("3");
    polling.posts.send_post(&polling.target, "3");
    server.now += secs(60);
    server.settle();
    assert_eq!((server.stat("sessions"), server.reasons().len()), (2, 0));
}
