//! Raw clients: bytes over a stream that never blocks, HTTP answers, WebSocket frames.

use super::server::Server;
use siox::proto::Side;
use siox::proto::ws::frame::encode_frame;
use siox::proto::ws::{Item, MessageReader, OpCode};
use socket2::{Domain, Socket, Type};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

const MASK: [u8; 4] = [7, 11, 13, 17];
/// A key of a WebSocket handshake (RFC 6455, 1.3).
pub(super) const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
/// The handshake's own headers.
pub(super) const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\n\
     Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
pub(super) const POLLING: &str = "/socket.io/?EIO=4&transport=polling";
pub(super) const WEBSOCKET: &str = "/socket.io/?EIO=4&transport=websocket";

trait Stream: Read + Write {}
impl<S: Read + Write> Stream for S {}

/// How a stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Closed,
    Reset,
}

/// See the module.
pub(super) struct Client {
    stream: Box<dyn Stream>,
    tcp: Option<TcpStream>,
    pub(super) input: Vec<u8>,
    pub(super) end: Option<End>,
    /// Bytes that have come in all.
    received: usize,
}

/// The answer to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: String,
}

impl Answer {
    /// All values of a header.
    pub(super) fn headers(&self, name: &str) -> Vec<&str> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
    }
}

/// What a WebSocket's peer sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Frame {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>),
}

impl Client {
    pub(super) fn tcp(address: SocketAddr) -> Self {
        Self::of_tcp(TcpStream::connect(address).unwrap())
    }

    /// A client whose kernel takes little before it is read.
    pub(super) fn small(address: SocketAddr) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        socket.connect(&address.into()).unwrap();
        Self::of_tcp(socket.into())
    }

    fn of_tcp(stream: TcpStream) -> Self {
        stream.set_nonblocking(true).unwrap();
        stream.set_nodelay(true).unwrap();
        let tcp = Some(stream.try_clone().unwrap());
        Self { stream: Box::new(stream), tcp, input: Vec::new(), end: None, received: 0 }
    }

    pub(super) fn unix(path: &Path) -> Self {
        let stream = UnixStream::connect(path).unwrap();
        stream.set_nonblocking(true).unwrap();
        Self { stream: Box::new(stream), tcp: None, input: Vec::new(), end: None, received: 0 }
    }

    pub(super) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    /// Sends what the kernel takes now; gives how much.
    pub(super) fn send_some(&mut self, bytes: &[u8]) -> usize {
        match self.stream.write(bytes) {
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Err(error) => panic!("{error}"),
        }
    }

    /// Sends all, with turns of the server where the kernel is full.
    pub(super) fn send_all(&mut self, server: &mut Server, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let sent = self.send_some(bytes);
            bytes = &bytes[sent..];
            if !bytes.is_empty() {
                server.turn();
            }
        }
    }

    /// Says that nothing more will be sent.
    pub(super) fn half_close(&self) {
        self.tcp.as_ref().unwrap().shutdown(std::net::Shutdown::Write).unwrap();
    }

    /// Goes as a crashed peer does.
    pub(super) fn reset(self) {
        let socket = Socket::from(self.tcp.unwrap());
        socket.set_linger(Some(Duration::ZERO)).unwrap();
        drop(self.stream);
    }

    /// Reads what there is.
    pub(super) fn fill(&mut self) {
        let mut room = [0; 16 * 1024];
        while self.end.is_none() {
            match self.stream.read(&mut room) {
                Ok(0) => self.end = Some(End::Closed),
                Ok(count) => {
                    self.received += count;
                    self.input.extend_from_slice(&room[..count]);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => self.end = Some(End::Reset),
            }
        }
    }

    /// Reads at most `count` bytes; gives how many.
    pub(super) fn sip(&mut self, count: usize) -> usize {
        let mut room = vec![0; count];
        match self.stream.read(&mut room) {
            Ok(count) => {
                self.input.extend_from_slice(&room[..count]);
                count
            }
            Err(_) => 0,
        }
    }

    pub(super) fn wait_end(&mut self, server: &mut Server) -> End {
        server.until("the end of the stream", |_| {
            self.fill();
            self.end
        })
    }

    fn take_answer(&mut self, is_head: bool) -> Option<Answer> {
        self.fill();
        let end = self.input.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
        let head = String::from_utf8(self.input[..end].to_vec()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut answer = Answer { status, head, body: String::new() };
        let length = answer.headers("content-length").first().map_or(0, |length| length.parse().unwrap());
        let length = if is_head { 0 } else { length };
        if self.input.len() < end + length {
            return None;
        }
        answer.body = String::from_utf8(self.input[end..end + length].to_vec()).unwrap();
        self.input.drain(..end + length);
        Some(answer)
    }

    pub(super) fn answer(&mut self, server: &mut Server) -> Answer {
        server.until("an answer", |_| self.take_answer(false))
    }

    pub(super) fn answer_to_head(&mut self, server: &mut Server) -> Answer {
        server.until("an answer", |_| self.take_answer(true))
    }

    /// The answer that is there, if one is.
    pub(super) fn answer_now(&mut self, server: &mut Server) -> Option<Answer> {
        server.settle();
        self.take_answer(false)
    }

    pub(super) fn send_get(&mut self, target: &str) {
        self.send(request("GET", target, "", ""));
    }

    pub(super) fn get(&mut self, server: &mut Server, target: &str) -> Answer {
        self.send_get(target);
        self.answer(server)
    }

    pub(super) fn send_post(&mut self, target: &str, body: &str) {
        self.send(request("POST", target, "Content-Type: text/plain;charset=UTF-8\r\n", body));
    }

    pub(super) fn post(&mut self, server: &mut Server, target: &str, body: &str) -> Answer {
        self.send_post(target, body);
        self.answer(server)
    }

    /// Makes a WebSocket of it.
    pub(super) fn upgrade(self, server: &mut Server, target: &str) -> WebSocket {
        self.upgraded_by(server, request("GET", target, UPGRADE, "").as_bytes())
    }

    /// The same by a request, and what follows it in one piece.
    pub(super) fn upgraded_by(mut self, server: &mut Server, bytes: &[u8]) -> WebSocket {
        self.send(bytes);
        let answer = self.answer(server);
        assert_eq!(answer.status, 101, "{answer:?}");
        assert_eq!(answer.headers("sec-websocket-accept"), ["s3pPLMBiTxaQ9kYGzzhZRbK+xOo="]);
        WebSocket { client: self, reader: MessageReader::new(Side::Client, 1 << 30), frames: Vec::new() }
    }
}

/// A whole request, as clients of today write it.
pub(super) fn request(method: &str, target: &str, headers: &str, body: &str) -> String {
    let length = if method == "POST" { format!("Content-Length: {}\r\n", body.len()) } else { String::new() };
    format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n{headers}{length}\r\n{body}")
}

/// The member `sid` of a JSON object.
pub(super) fn sid_in(text: &str) -> String {
    let json: serde_json::Value = serde_json::from_str(text.trim_start_matches('0')).unwrap();
    json["sid"].as_str().unwrap().to_owned()
}

/// A session on polling, over one connection for its GETs and one for its POSTs.
pub(super) struct Polling {
    pub(super) gets: Client,
    pub(super) posts: Client,
    pub(super) target: String,
}

impl Polling {
    /// Opens a session.
    pub(super) fn open(server: &mut Server) -> Self {
        let mut gets = server.connect();
        let answer = gets.get(server, POLLING);
        assert_eq!(answer.status, 200, "{answer:?}");
        let target = format!("{POLLING}&sid={}", sid_in(&answer.body));
        Self { gets, posts: server.connect(), target }
    }

    /// Opens a session and joins `/`.
    pub(super) fn join(server: &mut Server) -> Self {
        let mut polling = Self::open(server);
        assert_eq!(polling.post(server, "40").body, "ok");
        assert!(polling.poll(server).body.starts_with("40{\"sid\":\""));
        polling
    }

    pub(super) fn poll(&mut self, server: &mut Server) -> Answer {
        self.gets.get(server, &self.target)
    }

    pub(super) fn post(&mut self, server: &mut Server, body: &str) -> Answer {
        self.posts.post(server, &self.target, body)
    }

    /// The target of a WebSocket of this session.
    pub(super) fn websocket_target(&self) -> String {
        self.target.replace("transport=polling", "transport=websocket")
    }
}

/// A client's end of a WebSocket.
pub(super) struct WebSocket {
    pub(super) client: Client,
    reader: MessageReader,
    frames: Vec<Frame>,
}

impl WebSocket {
    /// A session of its own, that has joined `/`.
    pub(super) fn join(server: &mut Server) -> Self {
        let client = server.connect();
        Self::join_over(server, client)
    }

    pub(super) fn join_over(server: &mut Server, client: Client) -> Self {
        let mut websocket = Self::open_over(server, client);
        websocket.send("40");
        assert!(websocket.text(server).starts_with("40{\"sid\":\""));
        websocket
    }

    /// A session of its own, whose handshake is read.
    pub(super) fn open(server: &mut Server) -> Self {
        let client = server.connect();
        Self::open_over(server, client)
    }

    fn open_over(server: &mut Server, client: Client) -> Self {
        let mut websocket = client.upgrade(server, WEBSOCKET);
        assert!(websocket.text(server).starts_with("0{\"sid\":\""));
        websocket
    }

    pub(super) fn send(&mut self, text: &str) {
        self.send_frame(OpCode::Text, text.as_bytes());
    }

    pub(super) fn send_frame(&mut self, opcode: OpCode, payload: &[u8]) {
        self.client.send(frame(opcode, payload));
    }

    fn take_frame(&mut self) -> Option<Frame> {
        self.client.fill();
        let mut input = std::mem::take(&mut self.client.input);
        let mut rest = input.as_mut_slice();
        while let (used, Some(item)) = self.reader.read(rest).unwrap() {
            self.frames.push(match item {
                Item::Text(text) => Frame::Text(text.to_owned()),
                Item::Binary(data) => Frame::Binary(data.to_vec()),
                Item::Ping(data) => Frame::Ping(data.to_vec()),
                Item::Pong(data) => Frame::Pong(data.to_vec()),
                Item::Close(frame) => Frame::Close(frame.map(|frame| frame.code)),
            });
            rest = &mut rest[used..];
        }
        if self.frames.is_empty() { None } else { Some(self.frames.remove(0)) }
    }

    pub(super) fn frame(&mut self, server: &mut Server) -> Frame {
        server.until("a frame", |_| self.take_frame())
    }

    /// The frame that is there though the server had no turn.
    pub(super) fn frame_without_turn(&mut self) -> Option<Frame> {
        self.take_frame()
    }

    /// The frame that is there, if one is.
    pub(super) fn frame_now(&mut self, server: &mut Server) -> Option<Frame> {
        server.settle();
        self.take_frame()
    }

    pub(super) fn text(&mut self, server: &mut Server) -> String {
        match self.frame(server) {
            Frame::Text(text) => text,
            other => panic!("{other:?} instead of a text"),
        }
    }

    /// The events that are there and those that wait at the server, however slowly a kernel takes them.
    pub(super) fn events(&mut self, server: &mut Server) -> Vec<String> {
        let (mut events, mut idle) = (Vec::new(), 0);
        while idle < 5 {
            let before = self.client.received;
            match self.frame_now(server) {
                Some(Frame::Text(text)) if text.starts_with("42") => events.push(text),
                None if self.client.received == before => idle += 1,
                _ => idle = 0,
            }
        }
        events
    }

    /// All frames that are there, with turns until nothing more comes.
    pub(super) fn frames(&mut self, server: &mut Server) -> Vec<Frame> {
        let mut frames = Vec::new();
        while let Some(frame) = self.frame_now(server) {
            frames.push(frame);
        }
        frames
    }
}

/// A frame of a client.
pub(super) fn frame(opcode: OpCode, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_frame(&mut bytes, opcode, payload, Some(MASK));
    bytes
}

/// Text frames of a client, one after the other.
pub(super) fn texts<'a>(texts: impl IntoIterator<Item = &'a str>) -> Vec<u8> {
    texts.into_iter().flat_map(|text| frame(OpCode::Text, text.as_bytes())).collect()
}
