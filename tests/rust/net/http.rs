//! Plain HTTP on our own listener: connections, pipelining, pages, CORS, time limits.

use super::client::{Client, End, KEY, POLLING, Polling, UPGRADE, WEBSOCKET, request};
use super::server::{Server, millis, secs};
use bytes::Bytes;
use siox::net::listener::Listener;
use siox::net::options::{File, Options};
use siox::proto::http::Origins;

fn file(body: &str) -> File {
    let body = Bytes::copy_from_slice(body.as_bytes());
    File { content_type: "text/javascript".into(), body, etag: "\"1\"".into() }
}

fn allow(origin: &str) -> impl FnOnce(&mut Options) {
    move |options| options.cors.origins = Origins::List(vec![origin.to_owned()])
}

#[test]
fn a_connection_serves_one_request_after_the_other() {
    let mut server = Server::new();
    let mut client = server.connect();
    for _ in 0..3 {
        let answer = client.get(&mut server, "/");
        assert_eq!((answer.status, answer.body.as_str()), (404, "Not Found"));
        assert_eq!(answer.headers("connection"), ["keep-alive"]);
    }
    assert_eq!((server.stat("connections_accepted"), server.stat("connections")), (1, 1));
    client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_eq!(client.answer(&mut server).headers("connection"), ["close"]);
    assert_eq!(client.wait_end(&mut server), End::Closed);
    drop(client);
    server.settle();
    assert_eq!(server.stat("connections"), 0);
}

#[test]
fn requests_in_one_piece_and_in_many_are_answered_in_order() {
    let mut server = Server::with(|options| {
        options.static_files.insert("/a".into(), file("first"));
        options.static_files.insert("/b".into(), file("second"));
    });
    let mut client = server.connect();
    let both = request("GET", "/a", "", "") + &request("GET", "/b", "", "");
    client.send(&both);
    assert_eq!(client.answer(&mut server).body, "first");
    assert_eq!(client.answer(&mut server).body, "second");
    for byte in both.bytes() {
        client.send([byte]);
        server.turn();
    }
    assert_eq!(client.answer(&mut server).body, "first");
    assert_eq!(client.answer(&mut server).body, "second");
}

#[test]
fn what_is_pipelined_behind_a_pending_poll_waits_for_it() {
    let mut server = Server::new();
    let mut polling = Polling::join(&mut server);
    let target = polling.target.clone();
    polling.gets.send(request("GET", &target, "", "") + &request("GET", "/nowhere", "", ""));
    assert_eq!(polling.gets.answer_now(&mut server), None);
    let socket = server.last_socket();
    server.send(socket, "[\"now\"]");
    assert_eq!(polling.gets.answer(&mut server).body, "42[\"now\"]");
    assert_eq!(polling.gets.answer(&mut server).status, 404);
}

#[test]
fn a_unix_socket_is_served_like_a_port() {
    let mut server = Server::new();
    let path = std::env::temp_dir().join(format!("siox-{}.sock", std::process::id()));
    let _ = std::fs::remove_file(&path);
    server.core.add_listener(Listener::unix(&path).unwrap()).unwrap();
    let mut client = Client::unix(&path);
    assert_eq!(client.get(&mut server, POLLING).status, 200);
    let answer = client.upgrade(&mut server, WEBSOCKET).text(&mut server);
    assert!(answer.starts_with("0{\"sid\":"));
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn another_path_is_not_found_and_a_socket_io_client_there_is_told_of_the_option() {
    let mut server = Server::new();
    let mut client = server.connect();
    assert_eq!(client.get(&mut server, "/favicon.ico").status, 404);
    assert!(server.logs().is_empty());
    assert_eq!(client.get(&mut server, "/ws/?EIO=4&transport=polling").status, 404);
    assert!(server.has_logged("option `path`"), "{:?}", server.logs());
    for path in ["/socket.io", "/socket.io/anything"] {
        assert_eq!(client.get(&mut server, &format!("{path}?EIO=4&transport=polling")).status, 200, "{path}");
    }
    assert_eq!(client.get(&mut server, "/socket.iox?EIO=4&transport=polling").status, 404);
}

#[test]
fn the_errors_of_a_handshake_have_their_codes() {
    let mut server = Server::new();
    let mut client = server.connect();
    let cases = [
        ("/socket.io/?EIO=4", "{\"code\":0,\"message\":\"Transport unknown\"}"),
        ("/socket.io/?EIO=4&transport=polling&sid=x", "{\"code\":1,\"message\":\"Session ID unknown\"}"),
        ("/socket.io/?EIO=4&transport=websocket", "{\"code\":3,\"message\":\"Bad request\"}"),
        ("/socket.io/?EIO=3&transport=polling", "{\"code\":5,\"message\":\"Unsupported protocol version\"}"),
    ];
    for (target, body) in cases {
        let answer = client.get(&mut server, target);
        assert_eq!((answer.status, answer.body.as_str()), (400, body), "{target}");
    }
    let answer = client.post(&mut server, POLLING, "40");
    assert_eq!(answer.body, "{\"code\":2,\"message\":\"Bad handshake method\"}");
    assert_eq!(server.stat("requests_refused"), 5);
    assert_eq!(server.stat("sessions"), 0);
}

#[test]
fn a_page_is_given_by_get_and_by_head_and_not_again_to_who_has_it() {
    let mut server = Server::with(|options| {
        options.static_files.insert("/".into(), file("page"));
    });
    let mut client = server.connect();
    assert_eq!(client.get(&mut server, "/").body, "page");
    client.send(request("HEAD", "/", "", ""));
    let answer = client.answer_to_head(&mut server);
    assert_eq!((answer.status, answer.headers("content-length")), (200, vec!["4"]));
    client.send(request("GET", "/", "If-None-Match: \"1\"\r\n", ""));
    assert_eq!(client.answer(&mut server).status, 304);
    assert_eq!(client.post(&mut server, "/", "x").status, 404);
    client.send(request("HEAD", POLLING, "", ""));
    let answer = client.answer_to_head(&mut server);
    assert_eq!((answer.status, client.input.len()), (400, 0));
}

#[test]
fn the_client_s_file_is_told_of_where_it_is_not_served() {
    let mut server = Server::new();
    let mut client = server.connect();
    let answer = client.get(&mut server, "/socket.io/socket.io.js");
    assert!(answer.status == 404 && answer.body.contains("serve_client"), "{answer:?}");
}

#[test]
fn only_pages_of_the_same_origin_may_connect_by_any_transport() {
    let mut server = Server::new();
    let mut client = server.connect();
    for (origin, status) in [("http://localhost", 200), ("http://evil.example", 400)] {
        client.send(request("GET", POLLING, &format!("Origin: {origin}\r\n"), ""));
        let answer = client.answer(&mut server);
        assert_eq!((answer.status, answer.headers("access-control-allow-origin")), (status, vec![]));
    }
    assert!(server.has_logged("name it in the option `cors`"));
    client.send(request("GET", WEBSOCKET, &format!("{UPGRADE}Origin: http://evil.example\r\n"), ""));
    let answer = client.answer(&mut server);
    assert_eq!((answer.status, answer.body.as_str()), (400, "Bad request"));
    assert_eq!(client.wait_end(&mut server), End::Closed);
    assert_eq!(server.stat("sessions_opened"), 1);
}

#[test]
fn a_connection_that_says_nothing_is_closed() {
    let mut server = Server::new();
    let mut client = server.connect();
    server.settle();
    server.pass(millis(9_990));
    assert_eq!(server.stat("connections"), 1);
    server.pass(millis(10));
    assert_eq!(client.wait_end(&mut server), End::Closed);
    assert_eq!(server.stat("connections"), 0);
}

#[test]
fn half_a_head_is_timed_out_however_slowly_it_trickles() {
    let mut server = Server::new();
    let mut client = server.connect();
    client.send("GET /");
    server.settle();
    for _ in 0..9 {
        server.pass(secs(1));
        client.send("x");
    }
    assert_eq!(client.answer_now(&mut server), None);
    server.pass(secs(1));
    let answer = client.answer(&mut server);
    assert_eq!((answer.status, answer.headers("connection")), (408, vec!["close"]));
    assert_eq!(client.wait_end(&mut server), End::Closed);
    assert_eq!(server.stat("connections"), 0);
}

#[test]
fn half_a_body_is_timed_out_and_ends_the_session_it_was_for() {
    let mut server = Server::new();
    let mut polling = Polling::join(&mut server);
    let whole = request("POST", &polling.target, "", "42[\"never\"]");
    polling.posts.send(&whole.as_bytes()[..whole.len() - 1]);
    server.settle();
    server.pass(millis(24_999));
    server.now += millis(5_000);
    assert_eq!(polling.posts.answer_now(&mut server), None);
    server.pass(millis(1));
    assert_eq!(polling.posts.answer(&mut server).status, 408);
    assert_eq!(server.reasons(), ["transport error"]);
    assert_eq!((server.stat("sessions"), server.packets().len()), (0, 0));
}

#[test]
fn timers_of_a_busy_connection_do_not_pile_up() {
    let mut server = Server::new();
    let mut client = server.connect();
    let request = request("GET", "/", "", "");
    for _ in 0..100 {
        let (first, second) = request.split_at(10);
        client.send(first);
        server.settle();
        client.send(second);
        assert_eq!(client.answer(&mut server).status, 404);
        server.run(secs(40));
    }
    assert!(server.timers() <= 2, "{} timers for one connection", server.timers());
}

#[test]
fn a_head_that_is_too_large_or_no_http_is_answered_and_the_rest_ignored() {
    let mut server = Server::new();
    let mut client = server.connect();
    client.send_all(&mut server, format!("GET /{} HTTP/1.1\r\n", "x".repeat(100_000)).as_bytes());
    assert_eq!(client.answer(&mut server).status, 431);
    assert_eq!(client.wait_end(&mut server), End::Closed);
    drop(client);
    server.now += secs(1);
    let mut client = server.connect();
    client.send(b"\x16\x03\x01\x02\x00");
    assert_eq!(client.answer(&mut server).status, 400);
    assert!(server.has_logged("a client speaks TLS"), "{:?}", server.logs());
    drop(client);
    server.settle();
    assert_eq!(server.stat("connections"), 0);
}

#[test]
fn a_peer_that_hangs_on_after_its_error_is_left() {
    let mut server = Server::new();
    let mut client = server.connect();
    client.send("nonsense\r\n\r\n");
    assert_eq!(client.answer(&mut server).status, 400);
    client.send("and more of it");
    server.pass(secs(29));
    assert_eq!(server.stat("connections"), 1);
    server.pass(secs(1));
    assert_eq!(server.stat("connections"), 0);
}

#[test]
fn a_body_that_is_refused_or_late_is_answered_with_the_origin_too() {
    let mut server = Server::with(allow("http://a.example"));
    let origin = "Origin: http://a.example\r\n";
    let mut client = server.connect();
    client.send(
        request("POST", POLLING, &format!("{origin}X: "), "")
            .replace("Content-Length: 0", "y\r\nContent-Length: 2000000"),
    );
    let answer = client.answer(&mut server);
    assert_eq!(
        (answer.status, answer.headers("access-control-allow-origin")),
        (413, vec!["http://a.example"])
    );
    let mut client = server.connect();
    client.send(request("POST", POLLING, origin, "").replace("Length: 0", "Length: 10"));
    server.settle();
    server.pass(secs(30));
    let answer = client.answer(&mut server);
    assert_eq!(
        (answer.status, answer.headers("access-control-allow-origin")),
        (408, vec!["http://a.example"])
    );
}

#[test]
fn a_connection_between_two_requests_is_kept_for_a_minute() {
    let mut server = Server::new();
    let mut client = server.connect();
    client.get(&mut server, "/");
    server.pass(secs(59));
    client.get(&mut server, "/");
    server.pass(secs(59));
    client.send("\r\n");
    server.pass(secs(1));
    assert_eq!(client.wait_end(&mut server), End::Closed);
}

#[test]
fn a_peer_that_pipelines_and_reads_nothing_makes_no_answers_pile_up() {
    let page = "x".repeat(256 * 1024);
    let mut server = Server::with(|options| {
        options.static_files.insert("/page".into(), file(&page));
    });
    let mut client = Client::small(server.address);
    let requests = request("GET", "/page", "", "").repeat(100);
    let mut sent = client.send_some(requests.as_bytes());
    server.settle();
    assert!(server.buffered() < 1024 * 1024, "{}", server.buffered());
    for _ in 0..100 {
        sent += client.send_some(&requests.as_bytes()[sent..]);
        assert_eq!(client.answer(&mut server).body.len(), page.len());
    }
    assert_eq!(server.buffered(), 0);
}

#[test]
fn a_websocket_of_another_version_is_told_the_one_we_speak() {
    let mut server = Server::new();
    let mut client = server.connect();
    let headers = UPGRADE.replace("Version: 13", "Version: 8");
    client.send(request("GET", WEBSOCKET, &headers, ""));
    let answer = client.answer(&mut server);
    assert_eq!((answer.status, answer.headers("sec-websocket-version")), (426, vec!["13"]));
    assert_eq!(client.wait_end(&mut server), End::Closed);
    let mut client = server.connect();
    client.send(request("GET", WEBSOCKET, &UPGRADE.replace(KEY, "short"), ""));
    assert_eq!(client.answer(&mut server).status, 400);
    assert_eq!((server.stat("sessions"), server.stat("sessions_opened")), (0, 0));
}

#[test]
fn an_allowed_origin_is_named_once_in_every_response_errors_included() {
    let mut server = Server::with(allow("http://a.example"));
    let mut client = server.connect();
    let origin = "Origin: http://a.example\r\n";
    let preflight = format!("{origin}Access-Control-Request-Method: POST\r\n");
    let requests = [
        (request("GET", POLLING, origin, ""), 200),
        (request("GET", "/socket.io/?transport=polling&sid=x", origin, ""), 400),
        (request("GET", "/nowhere", origin, ""), 404),
        (request("GET", "/socket.io/socket.io.js", origin, ""), 404),
        (request("OPTIONS", POLLING, &preflight, ""), 204),
        (
            request("POST", POLLING, &format!("{origin}Transfer-Encoding: x\r\n"), "")
                .replace("Content-Length: 0\r\n", ""),
            501,
        ),
    ];
    for (request, status) in requests {
        client.send(&request);
        let answer = client.answer(&mut server);
        assert_eq!(answer.status, status, "{request}");
        let named = answer.headers("access-control-allow-origin");
        if status == 501 {
            continue; // a head that was not read has no origin
        }
        assert_eq!(named, ["http://a.example"], "{request}");
        assert_eq!(answer.headers("vary").len(), 1, "{request}");
    }
}

#[test]
fn an_answer_that_is_read_slowly_arrives_and_one_that_is_not_read_is_given_up() {
    let page = "x".repeat(16 * 1024 * 1024);
    let mut server = Server::with(|options| {
        options.static_files.insert("/page".into(), file(&page));
    });
    let mut slow = Client::small(server.address);
    let mut idle = Client::small(server.address);
    slow.send_get("/page");
    idle.send_get("/page");
    server.settle();
    for _ in 0..4 {
        for _ in 0..384 {
            slow.sip(8 * 1024);
            server.turn();
        }
        server.pass(secs(50));
    }
    assert_eq!(server.stat("connections"), 1);
    assert_eq!(slow.answer(&mut server).body.len(), page.len());
}
