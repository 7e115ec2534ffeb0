//! The bytes driver: requests and WebSockets that somebody else carries, as messages.

use super::client::sid_in;
use super::server::{Seen, Server, event, millis, secs};
use bytes::Bytes;
use siox::net::command::Command;
use siox::net::keys::LinkKey;
use siox::net::link::{LinkKind, Opening, Outgoing};
use siox::net::worth::Worth;
use siox::proto::http::{Head, Origins, Response};
use siox::proto::socket::encoded::Part;

const POLLING: &str = "/socket.io/?EIO=4&transport=polling";
const WEBSOCKET: &str = "/socket.io/?EIO=4&transport=websocket";

fn open_with(
    server: &mut Server,
    kind: LinkKind,
    (method, target): (&str, &str),
    headers: &[(&str, &str)],
    body: &str,
) -> LinkKey {
    open_as(server, kind, (method, target), headers, body, false)
}

fn open_as(
    server: &mut Server,
    kind: LinkKind,
    (method, target): (&str, &str),
    headers: &[(&str, &str)],
    body: &str,
    gathered: bool,
) -> LinkKey {
    let host = [("host", "localhost")];
    let headers = host.iter().chain(headers).map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    let head = Head::build(method, target, headers).unwrap();
    let (body, address) = (Bytes::copy_from_slice(body.as_bytes()), "10.0.0.1".to_owned());
    let opening = Opening { kind, head, body, secure: false, address, context: None, gathered };
    let link = server.core.reactor(server.now).open_link(opening, server.now);
    server.settle();
    link
}

fn get(server: &mut Server, target: &str) -> LinkKey {
    open_with(server, LinkKind::Request, ("GET", target), &[], "")
}

fn post(server: &mut Server, target: &str, body: &str) -> Response {
    let link = open_with(server, LinkKind::Request, ("POST", target), &[], body);
    response(server, link)
}

fn take(server: &mut Server, link: LinkKey) -> Vec<Outgoing> {
    let taken = server.core.reactor(server.now).take_link(link, server.now);
    server.settle();
    taken
}

/// The answer to a request, which was announced.
fn response(server: &mut Server, link: LinkKey) -> Response {
    let told = server.seen.iter().filter(|seen| **seen == Seen::Ready(link)).count();
    assert_eq!(told, 1, "its carrier is told once");
    match &take(server, link)[..] {
        [Outgoing::Response(response)] => response.clone(),
        other => panic!("{other:?}"),
    }
}

fn body(response: &Response) -> &str {
    std::str::from_utf8(&response.body).unwrap()
}

/// A polling session that has joined `/`: its target.
fn join_polling(server: &mut Server) -> String {
    let link = get(server, POLLING);
    let target = format!("{POLLING}&sid={}", sid_in(body(&response(server, link))));
    assert_eq!(body(&post(server, &target, "40")), "ok");
    let link = get(server, &target);
    assert!(body(&response(server, link)).starts_with("40{"));
    target
}

fn websocket(server: &mut Server, target: &str) -> LinkKey {
    open_with(server, LinkKind::WebSocket, ("GET", target), &[], "")
}

fn join_websocket(server: &mut Server) -> LinkKey {
    let link = websocket(server, WEBSOCKET);
    assert!(matches!(&take(server, link)[..], [Outgoing::Accept, Outgoing::Message(Part::Text(_))]));
    feed(server, link, "40");
    assert!(texts(server, link)[0].starts_with("40{"));
    assert!(take(server, link).is_empty());
    link
}

fn feed(server: &mut Server, link: LinkKey, text: &str) {
    let part = Part::Text(Bytes::copy_from_slice(text.as_bytes()));
    server.core.reactor(server.now).feed_link(link, &part, server.now);
    server.settle();
}

/// What a link's carrier has to send, which is texts.
fn texts(server: &mut Server, link: LinkKey) -> Vec<String> {
    let taken = take(server, link).into_iter().map(|outgoing| match outgoing {
        Outgoing::Message(Part::Text(text)) => String::from_utf8(text.to_vec()).unwrap(),
        other => format!("{other:?}"),
    });
    taken.collect()
}

fn hang_up(server: &mut Server, link: LinkKey) {
    server.core.reactor(server.now).close_link(link, server.now);
    server.settle();
}

fn assert_idle(server: &Server) {
    assert!(server.core.is_idle(server.now));
}

#[test]
fn a_polling_session_talks_both_ways_and_is_closed() {
    let mut server = Server::new();
    server.echoes = true;
    let target = join_polling(&mut server);
    let link = get(&mut server, &target);
    assert!(take(&mut server, link).is_empty());
    assert_eq!(body(&post(&mut server, &target, "42[\"a\"]\u{1e}42[\"b\"]")), "ok");
    let answer = response(&mut server, link);
    assert_eq!((answer.status, body(&answer)), (200, "42[\"a\"]\u{1e}42[\"b\"]"));
    let link = get(&mut server, &target);
    assert_eq!(body(&post(&mut server, &target, "1")), "ok");
    assert_eq!(body(&response(&mut server, link)), "6");
    assert_eq!(server.reasons(), ["transport close"]);
    assert_idle(&server);
}

#[test]
fn a_second_get_ends_the_session_and_both_are_answered() {
    let mut server = Server::new();
    let target = join_polling(&mut server);
    let (first, second) = (get(&mut server, &target), get(&mut server, &target));
    assert_eq!(response(&mut server, second).status, 400);
    assert_eq!(body(&response(&mut server, first)), "1");
    assert_eq!(server.reasons(), ["transport error"]);
    assert_idle(&server);
}

#[test]
fn a_get_that_is_given_up_ends_the_session() {
    let mut server = Server::new();
    let target = join_polling(&mut server);
    let link = get(&mut server, &target);
    hang_up(&mut server, link);
    assert_eq!(server.reasons(), ["transport error"]);
    assert_idle(&server);
}

#[test]
fn a_late_word_of_a_request_that_was_answered_does_nothing() {
    let mut server = Server::new();
    let target = join_polling(&mut server);
    let link = get(&mut server, &target);
    let socket = server.last_socket();
    server.send(socket, "[1]");
    server.settle();
    assert_eq!(body(&response(&mut server, link)), "42[1]");
    let next = get(&mut server, &target);
    hang_up(&mut server, link);
    let done = open_with(&mut server, LinkKind::Request, ("POST", &target), &[], "42[\"a\"]");
    hang_up(&mut server, done);
    server.send(socket, "[2]");
    server.settle();
    assert_eq!((body(&response(&mut server, next)), server.reasons().len()), ("42[2]", 0));
}

#[test]
fn bodies_that_are_binary_or_too_large_are_refused() {
    let mut server = Server::with(|options| {
        options.max_http_buffer_size = 1000;
        options.cors.origins = Origins::Any;
    });
    let target = join_polling(&mut server);
    let origin = [("origin", "http://a.example")];
    let request = ("POST", target.as_str());
    let link = open_with(&mut server, LinkKind::Request, request, &origin, &"x".repeat(1001));
    let answer = response(&mut server, link);
    assert_eq!(answer.status, 413);
    assert!(answer.headers.iter().any(|(name, _)| name == "Access-Control-Allow-Origin"), "{answer:?}");
    assert_eq!(body(&post(&mut server, &target, "42[\"alive\"]")), "ok");
    let binary = [("content-type", "application/octet-stream")];
    let link = open_with(&mut server, LinkKind::Request, request, &binary, "4");
    assert_eq!(response(&mut server, link).status, 400);
    assert_eq!(server.reasons(), ["transport error"]);
    assert_idle(&server);
}

#[test]
fn a_websocket_talks_both_ways_and_is_closed_by_its_peer() {
    let mut server = Server::new();
    server.echoes = true;
    let link = join_websocket(&mut server);
    feed(&mut server, link, "42[\"a\"]");
    assert_eq!(texts(&mut server, link), ["42[\"a\"]"]);
    server.run(secs(25));
    assert!(take(&mut server, link).len() == 1, "a ping");
    feed(&mut server, link, "3");
    hang_up(&mut server, link);
    assert_eq!(server.reasons(), ["transport close"]);
    assert_idle(&server);
}

#[test]
fn a_carrier_is_told_once_that_there_is_something_and_not_while_it_writes() {
    let mut server = Server::new();
    let link = join_websocket(&mut server);
    let socket = server.last_socket();
    let ready = |server: &Server| server.seen.iter().filter(|seen| **seen == Seen::Ready(link)).count();
    let before = ready(&server);
    for number in 0..3 {
        server.send(socket, &format!("[{number}]"));
        server.settle();
    }
    assert_eq!(ready(&server), before + 1);
    assert_eq!(texts(&mut server, link), ["42[0]", "42[1]", "42[2]"]);
    server.send(socket, "[3]");
    server.settle();
    assert_eq!(ready(&server), before + 1);
    assert_eq!(texts(&mut server, link), ["42[3]"]);
    assert!(take(&mut server, link).is_empty());
    server.send(socket, "[4]");
    server.settle();
    assert_eq!(ready(&server), before + 2);
}

#[test]
fn a_carrier_of_many_is_told_of_all_that_a_broadcast_goes_to_at_once() {
    let mut server = Server::new();
    let mut open = || {
        let link = open_as(&mut server, LinkKind::WebSocket, ("GET", WEBSOCKET), &[], "", true);
        take(&mut server, link);
        feed(&mut server, link, "40");
        assert!(texts(&mut server, link)[0].starts_with("40{"));
        assert!(take(&mut server, link).is_empty());
        (link, server.last_socket())
    };
    let (links, sockets): (Vec<_>, Vec<_>) = (0..100).map(|_| open()).unzip();
    assert!(!server.seen.iter().any(|seen| matches!(seen, Seen::Ready(_))));
    server.seen.clear();
    for number in 0..2 {
        let (sockets, packet) = (sockets.clone(), event(&format!("[{number}]")));
        server.order(Command::Broadcast { sockets, packet, worth: Worth::EVENT });
        server.settle();
    }
    assert_eq!(server.seen, [Seen::ReadyTogether(links.clone())], "in one slice, and once until it is taken");
    for link in links {
        assert_eq!(texts(&mut server, link), ["42[0]", "42[1]"]);
    }
}

#[test]
fn a_websocket_is_refused_with_an_answer_or_closed_with_a_code() {
    let mut server = Server::with(|options| options.max_http_buffer_size = 1000);
    let link = websocket(&mut server, "/socket.io/?EIO=3&transport=websocket");
    let Some(Outgoing::Deny(answer)) = take(&mut server, link).pop() else { panic!("not refused") };
    assert_eq!((answer.status, body(&answer)), (400, "Unsupported protocol version"));
    assert_idle(&server);
    let link = join_websocket(&mut server);
    feed(&mut server, link, &"x".repeat(1001));
    assert!(matches!(take(&mut server, link)[..], [Outgoing::Close { code: 1009 }]));
    assert_eq!(server.reasons(), ["transport error"]);
    let link = join_websocket(&mut server);
    feed(&mut server, link, "no packet");
    assert!(matches!(take(&mut server, link)[..], [Outgoing::Close { code: 1000 }]));
    assert_eq!(server.reasons(), ["transport error", "parse error"]);
    assert_idle(&server);
}

#[test]
fn an_upgrade_keeps_the_order_of_what_is_in_flight() {
    let mut server = Server::new();
    let target = join_polling(&mut server);
    let socket = server.last_socket();
    let poll = get(&mut server, &target);
    let link = websocket(&mut server, &target.replace("=polling", "=websocket"));
    assert!(matches!(take(&mut server, link)[..], [Outgoing::Accept]));
    feed(&mut server, link, "2probe");
    assert_eq!(texts(&mut server, link), ["3probe"]);
    assert_eq!(body(&response(&mut server, poll)), "6");
    server.send(socket, "[0]");
    server.send_volatile(socket, "[\"dropped\"]");
    server.settle();
    let poll = get(&mut server, &target);
    assert_eq!(body(&response(&mut server, poll)), "42[0]");
    server.send(socket, "[1]");
    feed(&mut server, link, "5");
    server.send(socket, "[2]");
    server.settle();
    assert_eq!(texts(&mut server, link), ["42[1]", "42[2]"]);
    let second = websocket(&mut server, &target.replace("=polling", "=websocket"));
    assert!(matches!(take(&mut server, second)[..], [Outgoing::Accept, Outgoing::Close { code: 1000 }]));
    assert_eq!((server.stat("upgrades"), server.stat("volatile_dropped")), (1, 1));
    let poll = get(&mut server, &target);
    assert_eq!(response(&mut server, poll).status, 400);
    hang_up(&mut server, link);
    assert_idle(&server);
}

#[test]
fn a_try_whose_carrier_goes_leaves_the_session_on_polling() {
    let mut server = Server::new();
    let target = join_polling(&mut server);
    let link = websocket(&mut server, &target.replace("=polling", "=websocket"));
    take(&mut server, link);
    feed(&mut server, link, "2probe");
    hang_up(&mut server, link);
    let socket = server.last_socket();
    server.send(socket, "[\"still here\"]");
    let poll = get(&mut server, &target);
    server.run(millis(1));
    assert_eq!(body(&response(&mut server, poll)), "42[\"still here\"]");
}

#[test]
fn a_carrier_whose_session_is_behind_is_asked_to_wait_and_woken() {
    let mut server = Server::new();
    let link = join_websocket(&mut server);
    let socket = server.last_socket();
    server.order(Command::Pause { socket, paused: true });
    assert!(server.core.peek().is_link_paused(link));
    server.run(secs(300));
    assert_eq!(server.stat("sessions"), 1);
    server.seen.clear();
    server.order(Command::Pause { socket, paused: false });
    server.settle();
    assert!(!server.core.peek().is_link_paused(link) && server.seen.contains(&Seen::Ready(link)));
}

#[test]
fn a_shutdown_ends_links_as_it_ends_streams() {
    let mut server = Server::new();
    let target = join_polling(&mut server);
    let poll = get(&mut server, &target);
    let link = join_websocket(&mut server);
    let socket = server.last_socket();
    server.send(socket, "[\"last\"]");
    server.order(Command::Shutdown);
    server.settle();
    assert_eq!(body(&response(&mut server, poll)), "1");
    assert_eq!(texts(&mut server, link), ["42[\"last\"]"]);
    assert!(matches!(take(&mut server, link)[..], [Outgoing::Close { code: 1000 }]));
    assert_eq!(server.reasons(), ["server shutting down"; 2]);
    assert_idle(&server);
}

#[test]
fn a_carrier_that_writes_slowly_loses_what_is_volatile_and_is_held_to_the_marks() {
    let mut server = Server::with(|options| options.marks.limit = 1024 * 1024);
    let link = join_websocket(&mut server);
    let socket = server.last_socket();
    server.send(socket, "[\"written slowly\"]");
    assert_eq!(texts(&mut server, link).len(), 1);
    server.send(socket, "[\"waits\"]");
    server.settle();
    server.send_volatile(socket, "[\"dropped\"]");
    assert_eq!(server.stat("volatile_dropped"), 1);
    assert!(!server.core.send(socket, event("[\"x\"]"), Worth::EVENT, server.now));
    for _ in 0..5 {
        server.send(socket, &format!("[\"{}\"]", "x".repeat(100_000)));
    }
    assert!(server.core.send(socket, event("[\"x\"]"), Worth::EVENT, server.now), "the high-water mark");
    server.order(Command::WatchDrain { socket });
    server.run(secs(2));
    assert!(!server.seen.contains(&Seen::Drained(socket)));
    let lots: Vec<usize> = (0..7).map(|_| texts(&mut server, link).len()).collect();
    assert_eq!(
        lots,
        [2, 1, 1, 1, 1, 1, 1],
        "what is taken can be neither dropped nor replaced: no more than it writes"
    );
    assert!(server.seen.contains(&Seen::Drained(socket)));
    for _ in 0..20 {
        server.send(socket, &format!("[\"{}\"]", "x".repeat(100_000)));
    }
    server.settle();
    assert_eq!(server.stat("sessions"), 1);
    server.run(secs(1));
    assert_eq!((server.reasons(), server.stat("outbox_overflows")), (vec!["transport error"], 1));
}

#[test]
fn an_answer_that_nobody_took_ends_the_session() {
    let mut server = Server::new();
    let target = join_polling(&mut server);
    let link = get(&mut server, &target);
    let socket = server.last_socket();
    server.send(socket, "[\"lost\"]");
    server.settle();
    hang_up(&mut server, link);
    assert_eq!(server.reasons(), ["transport error"]);
    assert_idle(&server);
}

#[test]
fn errors_and_foreign_paths_are_answered_with_the_origin() {
    let mut server = Server::with(|options| options.cors.origins = Origins::Any);
    let origin = [("origin", "http://a.example")];
    let preflight = [("origin", "http://a.example"), ("access-control-request-method", "POST")];
    for (method, target, headers, status) in [
        ("GET", "/nowhere", &origin[..], 404),
        ("GET", "/socket.io/?transport=polling&sid=x", &origin, 400),
        ("GET", "/socket.io/socket.io.js", &origin, 404),
        ("OPTIONS", POLLING, &preflight, 204),
    ] {
        let link = open_with(&mut server, LinkKind::Request, (method, target), headers, "");
        let answer = response(&mut server, link);
        let named = answer.headers.iter().filter(|(name, _)| name == "Access-Control-Allow-Origin");
        assert_eq!((answer.status, named.count()), (status, 1), "{method} {target}");
    }
    assert_idle(&server);
}

#[test]
fn what_was_queued_goes_before_the_close() {
    let mut server = Server::new();
    server.echoes = true;
    let link = join_websocket(&mut server);
    let socket = server.last_socket();
    server.send(socket, "[\"last\"]");
    server.order(Command::Disconnect { socket, close: true });
    server.settle();
    assert_eq!(texts(&mut server, link), ["42[\"last\"]", "41"]);
    assert!(matches!(take(&mut server, link)[..], [Outgoing::Close { code: 1000 }]));
    let link = join_websocket(&mut server);
    let socket = server.last_socket();
    server.send(socket, "[\"before\"]");
    server.order(Command::Violation { socket, message: "a fault".into() });
    server.settle();
    assert_eq!(texts(&mut server, link), ["42[\"before\"]", "Close { code: 1000 }"]);
    assert_idle(&server);
}
