//! The end of a server: everybody is told, what is queued leaves, nothing stays.

use super::client::{Client, End, Frame, POLLING, Polling, WebSocket, request, texts};
use super::server::{Seen, Server, secs};
use siox::net::command::Command;

fn shut_down(server: &mut Server) {
    server.core.close_listeners();
    server.order(Command::Shutdown);
}

fn wait_idle(server: &mut Server) {
    server.until("an idle server", |server| server.core.is_idle(server.now).then_some(()));
}

#[test]
fn outboxes_are_drained_before_the_close_frame() {
    let mut server = Server::new();
    let client = Client::small(server.address);
    let mut client = WebSocket::join_over(&mut server, client);
    let socket = server.last_socket();
    let filled = server.block(socket);
    server.send(socket, "[\"last\"]");
    shut_down(&mut server);
    assert_eq!(server.stat("sockets"), 0);
    server.run(secs(10));
    assert_eq!(server.reasons(), ["server shutting down"]);
    for _ in 0..filled {
        client.text(&mut server);
    }
    assert_eq!(client.text(&mut server), "42[\"last\"]");
    assert_eq!(client.frame(&mut server), Frame::Close(None));
    assert_eq!(client.client.wait_end(&mut server), End::Closed);
    drop(client);
    wait_idle(&mut server);
}

#[test]
fn a_peer_that_does_not_hang_up_is_left_soon() {
    let mut server = Server::new();
    let mut rude = server.connect();
    rude.send("nonsense\r\n\r\n");
    assert_eq!(rude.answer(&mut server).status, 400);
    let _client = WebSocket::join(&mut server);
    shut_down(&mut server);
    server.settle();
    assert_eq!(server.stat("connections"), 2);
    server.run(secs(1));
    wait_idle(&mut server);
}

#[test]
fn a_slow_reader_cannot_hold_the_end_up_for_ever() {
    let mut server = Server::new();
    let client = Client::small(server.address);
    let _client = WebSocket::join_over(&mut server, client);
    let socket = server.last_socket();
    server.block(socket);
    shut_down(&mut server);
    server.run(secs(100));
    assert!(server.core.is_idle(server.now));
}

#[test]
fn polls_that_wait_are_answered_and_those_to_come_get_the_rest() {
    let mut server = Server::new();
    let mut waiting = Polling::join(&mut server);
    let mut away = Polling::join(&mut server);
    let mut never = Polling::join(&mut server);
    let mut idle = Polling::join(&mut server);
    waiting.gets.send_get(&waiting.target);
    server.settle();
    for socket in server.sockets().into_iter().take(3) {
        server.send(socket, "[\"last\"]");
    }
    shut_down(&mut server);
    let answer = waiting.gets.answer(&mut server);
    assert_eq!((answer.body.as_str(), answer.headers("connection")), ("42[\"last\"]\u{1e}1", vec!["close"]));
    assert_eq!(server.stat("sessions"), 2, "who has nothing to fetch is not waited for");
    assert_eq!(idle.gets.wait_end(&mut server), End::Closed);
    assert_eq!(
        (away.gets.wait_end(&mut server), never.gets.wait_end(&mut server)),
        (End::Closed, End::Closed)
    );
    drop((waiting, idle, away));
    server.run(secs(30));
    wait_idle(&mut server);
}

#[test]
fn a_request_that_comes_meanwhile_is_the_last_of_its_connection() {
    let mut server = Server::new();
    let mut polling = Polling::join(&mut server);
    let post = request("POST", &polling.target, "", "42[\"late\"]");
    polling.posts.send(&post.as_bytes()[..post.len() - 1]);
    server.settle();
    shut_down(&mut server);
    polling.posts.send("]");
    let answer = polling.posts.answer(&mut server);
    assert_eq!((answer.status, answer.headers("connection")), (400, vec!["close"]));
    assert_eq!(server.packets().len(), 0);
}

#[test]
fn an_abort_ends_everything_at_once() {
    let mut server = Server::new();
    let mut polling = Polling::join(&mut server);
    polling.gets.send_get(&polling.target);
    let client = Client::small(server.address);
    let mut blocked = WebSocket::join_over(&mut server, client);
    let socket = server.last_socket();
    server.block(socket);
    let mut websocket = WebSocket::join(&mut server);
    let mut idle = server.connect();
    server.settle();
    server.core.close_listeners();
    server.order(Command::Abort);
    server.flush();
    assert!(server.core.is_idle(server.now));
    assert_eq!(server.reasons(), ["forced close"; 3]);
    assert_eq!(websocket.frame(&mut server), Frame::Close(None));
    assert_eq!(polling.gets.answer(&mut server).body, "1");
    blocked.client.wait_end(&mut server);
    idle.wait_end(&mut server);
    server.run(secs(100));
    assert_eq!(server.core.poll_timeout(), None);
}

#[test]
fn an_answer_under_way_is_finished() {
    let page = "x".repeat(8 * 1024 * 1024);
    let mut server = Server::with(|options| {
        let file = siox::net::options::File {
            content_type: "text/plain".into(),
            body: page.clone().into(),
            etag: "\"1\"".into(),
        };
        options.static_files.insert("/page".into(), file);
    });
    let mut client = Client::small(server.address);
    client.send_get("/page");
    server.settle();
    shut_down(&mut server);
    assert_eq!(client.answer(&mut server).body.len(), page.len());
    drop(client);
    server.run(secs(60));
    wait_idle(&mut server);
}

#[test]
fn idle_connections_are_closed_at_once_and_nobody_new_is_let_in() {
    let mut server = Server::with(|options| options.allow_request = true);
    let mut idle = server.connect();
    idle.get(&mut server, "/");
    let mut half = server.connect();
    half.send("GET /");
    let mut asking = server.connect();
    asking.send_get(POLLING);
    let allow = server.until("the question", |server| match server.seen.pop() {
        Some(Seen::Allow(request)) => Some(request),
        _ => None,
    });
    shut_down(&mut server);
    assert_eq!((idle.wait_end(&mut server), half.wait_end(&mut server)), (End::Closed, End::Closed));
    server.order(Command::Allow { request: allow, refusal: None });
    assert_eq!(asking.answer(&mut server).status, 503);
    drop(asking);
    wait_idle(&mut server);
    assert!(std::net::TcpStream::connect(server.address).is_err());
}

#[test]
fn who_is_there_goes_on_while_nobody_new_is_let_in() {
    let mut server = Server::new();
    let mut polling = Polling::join(&mut server);
    let mut idle = server.connect();
    idle.get(&mut server, "/");
    server.core.drain();
    assert!(std::net::TcpStream::connect(server.address).is_err());
    idle.send_get(POLLING);
    let answer = idle.answer(&mut server);
    assert_eq!((answer.status, answer.headers("connection")), (503, vec!["close"]));
    assert_eq!(idle.wait_end(&mut server), End::Closed);
    let post = request("POST", &polling.target, "", "42[\"late\"]");
    polling.posts.send(&post);
    assert_eq!(polling.posts.answer(&mut server).status, 200);
    polling.gets.send_get(&polling.target);
    let socket = server.last_socket();
    server.send(socket, "[\"last\"]");
    let answer = polling.gets.answer(&mut server);
    assert_eq!((answer.body.as_str(), answer.headers("connection")), ("42[\"last\"]", vec!["keep-alive"]));
    shut_down(&mut server);
    server.settle();
    assert_eq!(server.reasons(), ["server shutting down"]);
}

#[test]
fn what_is_disowned_is_closed_here() {
    let mut server = Server::new();
    let mut client = WebSocket::join(&mut server);
    server.core.hold();
    server.core.disown();
    server.core.release();
    assert_eq!(client.client.wait_end(&mut server), End::Closed);
    assert!(std::net::TcpStream::connect(server.address).is_err());
}

#[test]
fn the_goodbye_reaches_a_client_that_is_sending() {
    let mut server = Server::new();
    let mut client = WebSocket::join(&mut server);
    let socket = server.last_socket();
    server.send(socket, "[\"last\"]");
    server.flush();
    client.client.send(texts(["42[\"a\"]", "42[\"b\"]"]));
    shut_down(&mut server);
    client.client.send(texts(["42[\"c\"]"]));
    assert_eq!(client.text(&mut server), "42[\"last\"]");
    assert_eq!(client.frame(&mut server), Frame::Close(None));
    assert_eq!(client.client.wait_end(&mut server), End::Closed);
    assert_eq!(server.packets().len(), 0);
    drop(client);
    wait_idle(&mut server);
}
