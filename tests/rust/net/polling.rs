//! The polling transport: GETs, POSTs, their overlaps and their ends.

use super::client::{End, POLLING, Polling, request, sid_in};
use super::server::{Seen, Server, secs};
use siox::net::command::Command;
use std::io::Read as _;

#[test]
fn a_session_opens_talks_both_ways_and_is_closed_by_its_client() {
    let mut server = Server::new();
    server.echoes = true;
    let mut polling = Polling::join(&mut server);
    polling.gets.send_get(&polling.target);
    assert_eq!(polling.post(&mut server, "42[\"a\"]\u{1e}42[\"b\",1]").body, "ok");
    assert_eq!(polling.gets.answer(&mut server).body, "42[\"a\"]\u{1e}42[\"b\",1]");
    assert_eq!(server.packets(), ["[\"a\"]", "[\"b\",1]"]);
    polling.gets.send_get(&polling.target);
    assert_eq!(polling.post(&mut server, "1").body, "ok");
    assert_eq!(polling.gets.answer(&mut server).body, "6");
    assert_eq!(server.reasons(), ["transport close"]);
    assert_eq!(polling.poll(&mut server).body, "{\"code\":1,\"message\":\"Session ID unknown\"}");
}

#[test]
fn the_answer_to_a_poll_may_not_be_stored() {
    let mut server = Server::new();
    let answer = server.connect().get(&mut server, POLLING);
    assert_eq!(answer.headers("content-type"), ["text/plain; charset=UTF-8"]);
    assert_eq!(answer.headers("cache-control"), ["no-store"]);
    assert_eq!(sid_in(&answer.body).len(), 20);
}

#[test]
fn a_second_get_ends_the_session_and_both_are_answered() {
    let mut server = Server::new();
    let mut polling = Polling::join(&mut server);
    polling.gets.send_get(&polling.target);
    server.settle();
    let second = polling.posts.get(&mut server, &polling.target);
    assert_eq!((second.status, second.body.as_str()), (400, ""));
    let first = polling.gets.answer(&mut server);
    assert_eq!((first.status, first.body.as_str()), (200, "1"));
    assert_eq!((server.reasons(), server.stat("sessions")), (vec!["transport error"], 0));
}

#[test]
fn a_second_post_ends_the_session() {
    let mut server = Server::new();
    let mut polling = Polling::join(&mut server);
    let slow = request("POST", &polling.target, "", "42[\"slow\"]");
    polling.posts.send(&slow.as_bytes()[..slow.len() - 1]);
    server.settle();
    assert_eq!(polling.gets.post(&mut server, &polling.target.clone(), "42[\"quick\"]").status, 400);
    assert_eq!((server.reasons(), server.packets().len()), (vec!["transport error"], 0));
    polling.posts.send("]");
    assert_eq!(polling.posts.answer(&mut server).status, 400);
}

#[test]
fn a_get_that_is_given_up_ends_the_session() {
    let mut server = Server::new();
    let mut polling = Polling::join(&mut server);
    polling.gets.send_get(&polling.target);
    server.settle();
    drop(polling.gets);
    server.until("the end", |server| (server.stat("sessions") == 0).then_some(()));
    assert_eq!(server.reasons(), ["transport error"]);
}

#[test]
fn a_post_that_is_given_up_ends_the_session() {
    let mut server = Server::new();
    let mut polling = Polling::join(&mut server);
    let post = request("POST", &polling.target, "", "42[\"never\"]");
    polling.posts.send(&post[..post.len() - 1]);
    server.settle();
    polling.posts.reset();
    server.until("the end", |server| (server.stat("sessions") == 0).then_some(()));
    assert_eq!((server.reasons(), server.packets().len()), (vec!["transport error"], 0));
}

#[test]
fn an_answer_that_has_left_is_not_lost_when_its_connection_ends() {
    let mut server = Server::new();
    let mut polling = Polling::join(&mut server);
    let socket = server.last_socket();
    server.send(socket, "[\"a\"]");
    assert_eq!(polling.poll(&mut server).body, "42[\"a\"]");
    polling.gets = server.connect();
    server.send(socket, "[\"b\"]");
    assert_eq!(polling.poll(&mut server).body, "42[\"b\"]");
    assert!(server.reasons().is_empty());
}

#[test]
fn a_binary_post_ends_the_session() {
    let mut server = Server::new();
    let mut polling = Polling::join(&mut server);
    let binary = request("POST", &polling.target, "Content-Type: application/octet-stream\r\n", "4");
    polling.posts.send(binary);
    assert_eq!(polling.posts.answer(&mut server).status, 400);
    assert_eq!(polling.posts.wait_end(&mut server), End::Closed);
    assert_eq!(server.reasons(), ["transport error"]);
}

#[test]
fn a_body_that_is_too_large_is_refused_and_the_session_lives() {
    let mut server = Server::with(|options| {
        options.max_http_buffer_size = 1000;
        options.http.max_body = 1000;
    });
    let mut polling = Polling::join(&mut server);
    let large = "x".repeat(2000);
    let answer = polling.post(&mut server, &large);
    assert_eq!((answer.status, answer.body.as_str()), (413, ""));
    assert!(server.has_logged("raise the option max_http_buffer_size"));
    polling.posts = server.connect();
    let chunked = format!("Transfer-Encoding: chunked\r\n\r\n7d0\r\n{large}\r\n0\r\n");
    polling.posts.send(request("POST", &polling.target, &chunked, "").replace("Content-Length: 0\r\n", ""));
    assert_eq!(polling.posts.answer(&mut server).status, 413);
    polling.posts = server.connect();
    assert_eq!(polling.post(&mut server, "42[\"alive\"]").body, "ok");
    assert_eq!(server.packets(), ["[\"alive\"]"]);
}

#[test]
fn a_body_that_is_asked_for_is_let_come() {
    let mut server = Server::new();
    let mut polling = Polling::join(&mut server);
    let post = request("POST", &polling.target, "Expect: 100-continue\r\n", "42[\"a\"]");
    let (head, body) = post.split_at(post.len() - 7);
    polling.posts.send(head);
    assert_eq!(polling.posts.answer(&mut server).status, 100);
    polling.posts.send(body);
    assert_eq!(polling.posts.answer(&mut server).body, "ok");
    assert_eq!(server.packets(), ["[\"a\"]"]);
}

#[test]
fn other_methods_and_other_transports_are_refused_and_the_session_lives() {
    let mut server = Server::new();
    let mut polling = Polling::join(&mut server);
    polling.posts.send(request("PUT", &polling.target, "", ""));
    let answer = polling.posts.answer(&mut server);
    assert_eq!((answer.status, answer.body.as_str()), (500, ""));
    let target = polling.websocket_target();
    assert_eq!(polling.posts.get(&mut server, &target).body, "{\"code\":3,\"message\":\"Bad request\"}");
    assert_eq!(polling.posts.post(&mut server, &target, "40").status, 400);
    let foreign = request("POST", &polling.target, "Origin: http://evil.example\r\n", "42[\"evil\"]");
    polling.posts.send(foreign);
    assert_eq!(polling.posts.answer(&mut server).status, 400);
    assert_eq!(polling.post(&mut server, "42[\"alive\"]").body, "ok");
    assert_eq!((server.packets(), server.stat("sessions")), (vec!["[\"alive\"]"], 1));
}

#[test]
fn a_payload_of_a_paused_session_waits_and_its_client_with_it() {
    let mut server = Server::new();
    let mut polling = Polling::join(&mut server);
    let socket = server.last_socket();
    server.order(Command::Pause { socket, paused: true });
    polling.posts.send_post(&polling.target, "42[\"later\"]");
    assert_eq!(polling.posts.answer_now(&mut server), None);
    server.run(secs(600));
    assert_eq!(server.packets().len(), 0);
    server.order(Command::Pause { socket, paused: false });
    assert_eq!(polling.posts.answer(&mut server).body, "ok");
    assert_eq!(server.packets(), ["[\"later\"]"]);
}

#[test]
fn a_payload_that_waits_is_answered_when_its_session_ends() {
    let mut server = Server::new();
    let mut polling = Polling::join(&mut server);
    polling.gets.send_get(&polling.target);
    server.settle();
    let socket = server.last_socket();
    server.order(Command::Pause { socket, paused: true });
    polling.posts.send_post(&polling.target, "42[\"never\"]");
    server.settle();
    server.order(Command::Disconnect { socket, close: true });
    assert!(polling.gets.answer(&mut server).body.starts_with("41"));
    assert_eq!(polling.posts.answer(&mut server).body, "ok");
    assert_eq!((server.stat("sessions"), server.packets().len()), (0, 0));
    drop(polling);
    server.until("the end", |server| server.core.is_idle(server.now).then_some(()));
}

#[test]
fn the_application_has_a_word_on_each_handshake() {
    let mut server = Server::with(|options| options.allow_request = true);
    let mut client = server.connect();
    let allowed = |server: &mut Server| {
        server.until("the question", |server| match server.seen.pop() {
            Some(Seen::Allow(request)) => Some(request),
            _ => None,
        })
    };
    for (refusal, status, part) in [
        (None, 200, "0{\"sid\""),
        (Some(String::new()), 403, "{\"code\":4,\"message\":\"Forbidden\"}"),
        (Some("not \"you\"".to_owned()), 403, "{\"code\":4,\"message\":\"not \\\"you\\\"\"}"),
    ] {
        client.send_get(POLLING);
        let request = allowed(&mut server);
        assert_eq!(client.answer_now(&mut server), None);
        server.order(Command::Allow { request, refusal });
        let answer = client.answer(&mut server);
        assert!(answer.status == status && answer.body.starts_with(part), "{answer:?}");
    }
    client.send_get(POLLING);
    let request = allowed(&mut server);
    drop(client);
    server.until("the end", |server| (server.stat("connections") == 0).then_some(()));
    server.order(Command::Allow { request, refusal: None });
    server.settle();
    assert_eq!(server.stat("sessions_opened"), 1);
}

#[test]
fn a_silent_client_is_pinged_and_then_lost() {
    let mut server = Server::new();
    let mut polling = Polling::join(&mut server);
    polling.gets.send_get(&polling.target);
    server.settle();
    server.pass(secs(25));
    assert_eq!(polling.gets.answer(&mut server).body, "2");
    assert_eq!(polling.post(&mut server, "3").body, "ok");
    server.run(secs(44));
    assert_eq!(server.stat("sessions"), 1);
    server.run(secs(1));
    assert_eq!((server.reasons(), server.stat("sessions")), (vec!["ping timeout"], 0));
}

#[test]
fn an_answer_that_is_lost_with_its_connection_ends_the_session() {
    let mut server = Server::new();
    let mut polling = Polling::join(&mut server);
    polling.gets = super::client::Client::small(server.address);
    polling.gets.send_get(&polling.target);
    server.settle();
    let socket = server.last_socket();
    server.send(socket, &format!("[\"big\",\"{}\"]", "x".repeat(16 * 1024 * 1024)));
    server.settle();
    assert_eq!(server.stat("sessions"), 1);
    drop(polling.gets);
    server.until("the end", |server| (server.stat("sessions") == 0).then_some(()));
    assert_eq!(server.reasons(), ["transport error"]);
}

#[test]
fn an_empty_post_and_a_bad_packet_are_answered_and_end_the_session() {
    for (body, content_type) in [("", "text/plain"), ("9", "text/plain"), ("bä", "text/plain")] {
        let mut server = Server::new();
        let mut polling = Polling::join(&mut server);
        let post = request("POST", &polling.target, &format!("Content-Type: {content_type}\r\n"), body);
        polling.posts.send(post);
        assert_eq!(polling.posts.answer(&mut server).body, "ok", "{body:?}");
        assert_eq!(server.reasons(), ["parse error"], "{body:?}");
    }
    let mut server = Server::new();
    let mut polling = Polling::join(&mut server);
    let binary = request("POST", &polling.target, "Content-Type: application/octet-stream\r\n", "");
    polling.posts.send(binary);
    assert_eq!(polling.posts.answer(&mut server).status, 400);
    assert_eq!(server.reasons(), ["transport error"]);
}

#[test]
fn who_joins_no_namespace_is_closed_and_told_at_its_next_poll() {
    let mut server = Server::new();
    let mut polling = Polling::open(&mut server);
    server.run(secs(30));
    assert_eq!(polling.poll(&mut server).body, "2");
    polling.posts = server.connect();
    polling.post(&mut server, "3");
    server.run(secs(15));
    assert!(server.has_logged("no namespace was joined in time"));
    assert_eq!(polling.poll(&mut server).body, "1");
    assert_eq!(server.stat("sessions"), 0);
}

#[test]
fn a_large_answer_to_a_poll_is_compressed_where_the_request_accepts_it() {
    let mut server = Server::with(|options| options.compress_from = Some(100));
    let mut polling = Polling::join(&mut server);
    let socket = server.last_socket();
    let large = format!("[\"{}\"]", "x".repeat(1000));
    let accepting = request("GET", &polling.target, "Accept-Encoding: br, gzip\r\n", "");

    server.send(socket, "[1]");
    polling.gets.send(&accepting);
    assert_eq!(polling.gets.answer(&mut server).body, "42[1]");

    server.send(socket, &large);
    assert_eq!(polling.poll(&mut server).body, format!("42{large}"));

    server.send(socket, &large);
    polling.gets.send(&accepting);
    let end = b"\r\n\r\n";
    let (head, body) = server.until("an answer", |_| {
        polling.gets.fill();
        let input = &polling.gets.input;
        let body = input.windows(4).position(|four| four == end)? + end.len();
        let head = String::from_utf8(input[..body].to_vec()).unwrap();
        let length: usize = head.split("Content-Length: ").nth(1)?.split('\r').next()?.parse().unwrap();
        (input.len() == body + length).then(|| (head.clone(), input[body..].to_vec()))
    });
    assert!(head.contains("Content-Encoding: gzip\r\n"), "{head}");
    let mut read = String::new();
    flate2::read::GzDecoder::new(&*body).read_to_string(&mut read).unwrap();
    assert_eq!(read, format!("42{large}"));
}
