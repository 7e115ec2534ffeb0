//! Connections that another server accepted, and whose handshake it has read.

use super::client::{Client, End, Frame, POLLING, Polling, UPGRADE, WEBSOCKET, WebSocket, request, texts};
use super::server::{Seen, Server, secs};
use siox::net::adopting::{AdoptedName, Adoption, Given};
use siox::net::command::Command;
use siox::net::core::Core;
use siox::net::keys::Wire;
use siox::net::link::{Context, LinkKind, Opening, Outgoing};
use siox::net::stream::Stream;
use siox::proto::http::Head;
use siox::proto::ws::OpCode;
use std::io::Read as _;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Instant;

/// Stands for uvicorn: accepts, reads one request, gives the connection away.
struct Other {
    listener: TcpListener,
    given: u32,
    secure: bool,
    context: Option<Context>,
}

impl Other {
    fn new() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").unwrap(), given: 0, secure: false, context: None }
    }

    fn client(&self) -> Client {
        Client::tcp(self.listener.local_addr().unwrap())
    }

    /// Reads what a client has sent: a request head, and perhaps more behind it.
    fn accept(&mut self) -> Adoption {
        let (mut stream, peer) = self.listener.accept().unwrap();
        let mut room = vec![0; 64 * 1024];
        let count = stream.read(&mut room).unwrap();
        let (head, rest) = split(&room[..count]);
        self.given += 1;
        Adoption {
            name: AdoptedName::new(self.given).unwrap(),
            stream: Stream::adopt(OwnedFd::from(stream)).unwrap(),
            head,
            rest,
            address: peer.ip().to_string(),
            given: Given { secure: self.secure, context: self.context.clone() },
        }
    }

    fn give(&mut self, server: &mut Server) {
        let adoption = self.accept();
        assert!(server.core.take_over(adoption, server.now));
    }

    /// A client of the server that came by us.
    fn upgrade(&mut self, server: &mut Server, target: &str) -> WebSocket {
        self.upgraded_by(server, request("GET", target, UPGRADE, "").as_bytes())
    }

    fn upgraded_by(&mut self, server: &mut Server, bytes: &[u8]) -> WebSocket {
        let mut client = self.client();
        client.send(bytes);
        self.give(server);
        client.upgraded_by(server, &[])
    }

    fn join(&mut self, server: &mut Server) -> WebSocket {
        let mut websocket = self.upgrade(server, WEBSOCKET);
        assert!(websocket.text(server).starts_with("0{\"sid\":\""));
        websocket.send("40");
        assert!(websocket.text(server).starts_with("40{\"sid\":\""));
        websocket
    }
}

/// A head and what is behind it, as a server says that hands a request on.
fn split(bytes: &[u8]) -> (Head, Vec<u8>) {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    let text = std::str::from_utf8(&bytes[..end]).unwrap();
    let mut lines = text.trim_end().lines();
    let mut first = lines.next().unwrap().split(' ');
    let (method, target) = (first.next().unwrap(), first.next().unwrap());
    let headers = lines.map(|line| line.split_once(": ").unwrap());
    let head = Head::build(method, target, headers.map(|(name, value)| (name.as_bytes(), value.as_bytes())));
    (head.unwrap(), bytes[end..].to_vec())
}

fn ended(server: &Server) -> Vec<u32> {
    let names = server.seen.iter().filter_map(|seen| match seen {
        Seen::Ended(name) => Some(*name),
        _ => None,
    });
    names.collect()
}

fn wait_ended(server: &mut Server, count: usize) -> Vec<u32> {
    server.until("the word that connections are over", |server| {
        Some(ended(server)).filter(|names| names.len() >= count)
    })
}

#[test]
fn a_websocket_that_was_given_is_a_stream_of_ours_until_its_end_which_is_told() {
    let (mut server, mut other) = (Server::new(), Other::new());
    server.echoes = true;
    let mut websocket = other.join(&mut server);
    websocket.send("42[\"hello\",1]");
    assert_eq!(websocket.text(&mut server), "42[\"hello\",1]");
    websocket.send_frame(OpCode::Ping, b"there?");
    assert_eq!(websocket.frame(&mut server), Frame::Pong(b"there?".to_vec()));
    assert_eq!(server.stat("connections_adopted"), 1);
    assert_eq!((server.stat("connections_accepted"), server.stat("connections")), (0, 1));
    assert!(ended(&server).is_empty());
    drop(websocket);
    assert_eq!(wait_ended(&mut server, 1), [1]);
    assert_eq!(server.reasons(), ["transport close"]);
    assert!(server.core.is_idle(server.now));
}

#[test]
fn what_the_other_server_knows_of_the_request_stays_with_the_session() {
    let (mut server, mut other) = (Server::new(), Other::new());
    other.secure = true;
    other.context = Some(Arc::new("scope"));
    // A page of the same host by TLS, which a proxy in front took off.
    let origin = format!("{UPGRADE}Origin: https://localhost\r\n");
    let mut websocket = other.upgraded_by(&mut server, request("GET", WEBSOCKET, &origin, "").as_bytes());
    websocket.text(&mut server);
    websocket.send("40");
    websocket.text(&mut server);
    let socket = server.last_socket();
    let session = server.session_of(socket);
    let info = server
        .core
        .look(session.tag(), server.now, |reactor| Arc::clone(&reactor.session(session).unwrap().info))
        .unwrap();
    assert_eq!((&*info.address, info.secure), ("127.0.0.1", true));
    assert_eq!(info.context.as_ref().unwrap().downcast_ref::<&str>(), Some(&"scope"));
    assert_eq!(info.head.header("origin"), Some("https://localhost"));
}

#[test]
fn what_was_read_behind_the_handshake_is_not_lost() {
    let (mut server, mut other) = (Server::new(), Other::new());
    server.echoes = true;
    let mut bytes = request("GET", WEBSOCKET, UPGRADE, "").into_bytes();
    let frames = texts(["40", "42[\"hello\"]"]);
    // The second frame is half here when the connection is given.
    let (there, later) = frames.split_at(frames.len() - 5);
    bytes.extend_from_slice(there);
    let mut websocket = other.upgraded_by(&mut server, &bytes);
    assert!(websocket.text(&mut server).starts_with("0{\"sid\":\""));
    assert!(websocket.text(&mut server).starts_with("40{\"sid\":\""));
    websocket.client.send(later);
    assert_eq!(websocket.text(&mut server), "42[\"hello\"]");
}

#[test]
fn it_may_take_over_a_session_that_polls_by_us_or_by_another_server() {
    let (mut server, mut other) = (Server::new(), Other::new());
    server.echoes = true;
    let polling = Polling::join(&mut server);
    let link = by_link(&mut server);
    let mut websockets = Vec::new();
    for target in [polling.websocket_target(), link] {
        let mut websocket = other.upgrade(&mut server, &target);
        websocket.send("2probe");
        assert_eq!(websocket.text(&mut server), "3probe");
        websocket.client.send(texts(["5", "42[\"over\"]"]));
        assert_eq!(websocket.text(&mut server), "42[\"over\"]");
        websockets.push(websocket);
    }
    assert_eq!((server.stat("upgrades"), server.stat("connections_adopted")), (2, 2));
    assert_eq!(server.reasons().len(), 0);
}

/// A session that polls by links and has joined `/`; gives the target of its websocket.
fn by_link(server: &mut Server) -> String {
    let mut ask = |method: &str, target: &str, body: &'static str| {
        let head = Head::build(method, target, std::iter::once((&b"host"[..], &b"localhost"[..]))).unwrap();
        let (kind, address) = (LinkKind::Request, String::new());
        let opening =
            Opening { kind, head, body: body.into(), secure: false, address, context: None, gathered: false };
        let link = server.core.reactor(server.now).open_link(opening, server.now);
        server.settle();
        let taken = server.core.reactor(server.now).take_link(link, server.now);
        server.settle();
        match taken.into_iter().next() {
            Some(Outgoing::Response(response)) => String::from_utf8(response.body.to_vec()).unwrap(),
            answer => panic!("{answer:?}"),
        }
    };
    let opened = ask("GET", POLLING, "");
    let target = format!("{POLLING}&sid={}", super::client::sid_in(&opened));
    assert_eq!(ask("POST", &target, "40"), "ok");
    assert!(ask("GET", &target, "").starts_with("40{"));
    target.replace("transport=polling", "transport=websocket")
}

#[test]
fn a_handshake_that_is_refused_ends_the_connection_and_nothing_behind_it_is_answered() {
    let (mut server, mut other) = (Server::new(), Other::new());
    let wrong = format!("{UPGRADE}Origin: http://evil.example\r\n");
    let cases = [
        request("GET", WEBSOCKET, &wrong, ""),
        request("GET", "/socket.io/?EIO=3&transport=websocket", UPGRADE, ""),
        request("GET", "/socket.io/?EIO=4&transport=websocket&sid=AAAAAAAAAAAAAAAAAAAA", UPGRADE, ""),
        request("GET", "/elsewhere", UPGRADE, ""),
        request("GET", "/socket.io/?EIO=4&transport=polling", &UPGRADE.replace("websocket", "h2c"), ""),
    ];
    for (index, handshake) in cases.iter().enumerate() {
        let mut client = other.client();
        // The second request has not been seen by whoever decides who may come in.
        client.send(format!("{handshake}{}", request("GET", POLLING, "", "")));
        other.give(&mut server);
        let answer = client.answer(&mut server);
        assert_eq!(answer.headers("connection"), ["close"], "{answer:?}");
        assert_eq!(client.wait_end(&mut server), End::Closed);
        assert_eq!(client.input, b"", "{handshake}");
        drop(client);
        assert_eq!(wait_ended(&mut server, index + 1).last(), Some(&(u32::try_from(index + 1).unwrap())));
    }
    // The last one opened a session, by polling.
    assert_eq!(server.stat("sessions_opened"), 1);
}

#[test]
fn the_application_s_word_is_waited_for_with_all_that_is_known() {
    let mut other = Other::new();
    let mut server = Server::with(|options| options.allow_request = true);
    other.secure = true;
    other.context = Some(Arc::new(7_u8));
    let mut answers = Vec::new();
    for refusal in [None, Some("not today".to_owned())] {
        let mut client = other.client();
        client.send(request("GET", WEBSOCKET, UPGRADE, ""));
        other.give(&mut server);
        let asked = server.until("the question", |server| match server.seen.pop() {
            Some(Seen::Allow(request)) => Some(request),
            _ => None,
        });
        let wire = server.core.look(asked.tag(), server.now, |reactor| reactor.request(asked).unwrap().wire);
        let known = server.core.look(asked.tag(), server.now, |reactor| {
            let wire = wire.unwrap();
            assert!(matches!(wire, Wire::Stream(_)));
            (reactor.peer_of(wire), reactor.context_of(wire).is_some())
        });
        assert_eq!(known.unwrap(), (("127.0.0.1".into(), true), true));
        server.order(Command::Allow { request: asked, refusal });
        answers.push(client.answer(&mut server));
    }
    assert_eq!((answers[0].status, answers[1].status), (101, 400));
    assert!(answers[1].body.contains("not today"));
}

#[test]
fn a_peer_that_leaves_before_the_word_is_told_as_any_end_is() {
    let mut other = Other::new();
    let mut server = Server::with(|options| options.allow_request = true);
    let mut client = other.client();
    client.send(request("GET", WEBSOCKET, UPGRADE, ""));
    other.give(&mut server);
    server.settle();
    drop(client);
    assert_eq!(wait_ended(&mut server, 1), [1]);
    assert!(server.core.is_idle(server.now));
}

#[test]
fn the_end_of_the_server_is_told_of_each() {
    let (mut server, mut other) = (Server::new(), Other::new());
    let mut websockets: Vec<WebSocket> = (0..3).map(|_| other.join(&mut server)).collect();
    server.order(Command::Shutdown);
    for websocket in &mut websockets {
        assert_eq!(websocket.frame(&mut server), Frame::Close(None));
    }
    let mut late = other.client();
    late.send(request("GET", WEBSOCKET, UPGRADE, ""));
    other.give(&mut server);
    assert_eq!(late.answer(&mut server).status, 503);
    drop((late, websockets));
    let mut names = wait_ended(&mut server, 4);
    names.sort_unstable();
    assert_eq!(names, [1, 2, 3, 4]);
    assert_eq!(server.reasons(), ["server shutting down"; 3]);
    server.order(Command::Abort);
    let mut later = other.client();
    later.send(request("GET", WEBSOCKET, UPGRADE, ""));
    other.give(&mut server);
    assert_eq!(wait_ended(&mut server, 5).last(), Some(&5));
    assert_eq!(later.wait_end(&mut server), End::Closed);
    assert!(server.core.is_idle(server.now));
}

#[test]
fn nobody_is_timed_out_for_a_head_that_somebody_else_has_read() {
    let (mut server, mut other) = (Server::new(), Other::new());
    let mut websocket = other.join(&mut server);
    server.run(secs(20));
    assert_eq!(websocket.frames(&mut server), []);
    server.run(secs(5));
    assert_eq!(websocket.text(&mut server), "2");
}

#[test]
fn it_goes_to_the_reactor_of_its_session_or_to_the_one_with_the_fewest() {
    let mut server = Server::sharded(3, |_| {});
    let mut other = Other::new();
    let _websockets: Vec<WebSocket> = (0..3).map(|_| other.join(&mut server)).collect();
    let mut tags: Vec<u8> = server.sockets().iter().map(|socket| socket.tag()).collect();
    tags.sort_unstable();
    assert_eq!(tags, [1, 2, 3]);
    let target = by_link(&mut server);
    assert_eq!(server.last_socket().tag(), 0);
    let mut websocket = other.upgrade(&mut server, &target);
    websocket.client.send(texts(["2probe", "5"]));
    assert_eq!(websocket.text(&mut server), "3probe");
    server.until("the upgrade", |server| (server.stat("upgrades") == 1).then_some(()));
    drop(websocket);
    assert_eq!(wait_ended(&mut server, 1), [4]);
}

#[test]
fn any_thread_may_give_one() {
    let (mut server, mut other) = (Server::new(), Other::new());
    let mut client = other.client();
    client.send(request("GET", WEBSOCKET, UPGRADE, ""));
    let adoption = other.accept();
    let (core, now): (&Core, Instant) = (&server.core, server.now);
    std::thread::scope(|scope| {
        scope.spawn(|| assert!(!core.take_over(adoption, now)));
    });
    let mut websocket = client.upgraded_by(&mut server, &[]);
    assert!(websocket.text(&mut server).starts_with("0{"));
}

#[test]
fn what_is_no_connection_is_not_taken() {
    let datagrams = UdpSocket::bind("127.0.0.1:0").unwrap();
    assert!(Stream::adopt(OwnedFd::from(datagrams)).is_err());
    let file = std::fs::File::open("/dev/null").unwrap();
    assert!(Stream::adopt(OwnedFd::from(file)).is_err());
    let (one, _two) = UnixStream::pair().unwrap();
    assert!(matches!(Stream::adopt(OwnedFd::from(one)), Ok(Stream::Unix(_))));
    let listener = TcpListener::bind("[::1]:0");
    if let Ok(listener) = listener {
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert!(matches!(Stream::adopt(OwnedFd::from(stream)), Ok(Stream::Tcp(_))));
    }
}
