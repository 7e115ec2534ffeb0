//! The application that the vectors of `socket_packets.json` assume (see their README), on a server's
//! [`Connection`]: no transport, no clock. Handlers run when [`App::settle`] is called.

use crate::tree::{self, Tree};
use bytes::Bytes;
use serde_json::{Value, json};
use siox::proto::sid::{RANDOM_BYTES, Sid};
use siox::proto::socket::namespace::{connected, refusal};
use siox::proto::socket::{
    AckTable, Connection, ConnectionLimits, Data, Encoded, Incoming, Outcome, PacketKind, Parser,
    ProtocolError,
};
use siox::proto::{Side, limits};
use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

pub(crate) type Socket = u64;

/// Why the application would close the connection.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Protocol(ProtocolError),
    Data(String),
}

enum Task {
    Connect(String),
    Event { socket: Socket, id: Option<u64>, name: Value, args: Vec<Value> },
}

pub(crate) struct App {
    pub(crate) connection: Connection<Socket>,
    pub(crate) acks: AckTable<Socket>,
    /// What the handlers and the acknowledgements' callbacks saw, as the vectors write it.
    pub(crate) events: Vec<Value>,
    pub(crate) acknowledged: Vec<Value>,
    pub(crate) out: VecDeque<Encoded>,
    limits: ConnectionLimits,
    tasks: VecDeque<Task>,
    last_socket: Socket,
}

impl App {
    pub(crate) fn new(now: Instant, parser: Parser) -> Self {
        let connection = Connection::new(Side::Server, now, Some(limits::CONNECT_TIMEOUT));
        Self {
            connection: connection.with_parser(parser),
            acks: AckTable::new(),
            events: Vec::new(),
            acknowledged: Vec::new(),
            out: VecDeque::new(),
            limits: ConnectionLimits::default(),
            tasks: VecDeque::new(),
            last_socket: 0,
        }
    }

    pub(crate) fn handle_text(&mut self, text: &str, now: Instant) -> Result<(), Fault> {
        let incoming = self.connection.handle_text(text, &self.limits, now).map_err(Fault::Protocol)?;
        self.handle(incoming)
    }

    pub(crate) fn handle_binary(&mut self, data: Cow<'_, [u8]>) -> Result<(), Fault> {
        let incoming = self.connection.handle_binary(data, &self.limits).map_err(Fault::Protocol)?;
        self.handle(incoming)
    }

    fn handle(&mut self, incoming: Incoming<'_, Socket>) -> Result<(), Fault> {
        match incoming {
            Incoming::Nothing => {}
            Incoming::Connect { namespace, .. } => {
                self.last_socket += 1;
                self.connection.joining(Arc::from(&*namespace), self.last_socket);
                self.tasks.push_back(Task::Connect(namespace.into_owned()));
            }
            Incoming::Disconnect { socket } => drop(self.acks.remove_socket(socket)),
            Incoming::Event { socket, id, data, attachments } => {
                let read = data.read_event(attachments.len(), &mut Tree(&attachments));
                let (name, args) = read.map_err(|error| Fault::Data(error.to_string()))?;
                self.tasks.push_back(Task::Event { socket, id, name, args });
            }
            Incoming::Ack { socket, id, data, attachments } => {
                let read = data.read_ack(attachments.len(), &mut Tree(&attachments));
                let args = read.map_err(|error| Fault::Data(error.to_string()))?;
                if self.acks.handle_ack(socket, id) == Outcome::Single {
                    self.acknowledged.push(json!({ "id": id, "args": args }));
                }
            }
            other => panic!("a server's connection gave {other:?}"),
        }
        Ok(())
    }

    /// Runs the handlers that are due.
    pub(crate) fn settle(&mut self) {
        while let Some(task) = self.tasks.pop_front() {
            match task {
                Task::Connect(namespace) => self.connect(&namespace),
                Task::Event { socket, id, name, args } if self.connection.is_joined(socket) => {
                    self.event(socket, id, &name, args);
                }
                Task::Event { .. } => {}
            }
        }
    }

    fn connect(&mut self, namespace: &str) {
        let Some(socket) = self.connection.socket_in(namespace) else { return };
        let parser = self.connection.parser();
        let (kind, data) = match namespace {
            "/" | "/admin" | "/greeting" => {
                self.connection.joined(socket);
                (PacketKind::Connect, connected(parser, &sid(socket)))
            }
            "/pending" => return,
            "/refused" => {
                let why = data(parser, &json!({ "why": 1 }));
                (PacketKind::ConnectError, refusal(parser, "refused", Some(&why)))
            }
            _ => (PacketKind::ConnectError, refusal(parser, "Invalid namespace", None)),
        };
        if kind == PacketKind::ConnectError {
            self.connection.left(socket);
        }
        self.out.push_back(Encoded::from_data(kind, namespace, None, &data));
        if namespace == "/greeting" {
            self.send(PacketKind::Event, socket, None, &json!(["hello"]));
        }
    }

    fn event(&mut self, socket: Socket, id: Option<u64>, name: &Value, mut args: Vec<Value>) {
        let namespace = self.connection.namespace_of(socket).unwrap().to_string();
        self.events.push(json!({ "namespace": namespace, "name": name, "args": args }));
        if let Some(id) = id {
            self.send(PacketKind::Ack, socket, Some(id), &args.clone().into());
        }
        match name.as_str() {
            Some("ask") => {
                let id = self.acks.insert(socket, None).unwrap();
                args.insert(0, "question".into());
                self.send(PacketKind::Event, socket, Some(id), &args.into());
            }
            Some("leave") => {
                self.connection.left(socket);
                self.acks.remove_socket(socket);
                let parser = self.connection.parser();
                self.out.push_back(Encoded::empty(parser, PacketKind::Disconnect, &namespace));
            }
            _ => {}
        }
    }

    pub(crate) fn send(&mut self, kind: PacketKind, socket: Socket, id: Option<u64>, data: &Value) {
        let namespace = Arc::clone(self.connection.namespace_of(socket).unwrap());
        self.out.push_back(encode(self.connection.parser(), kind, &namespace, id, data));
    }
}

/// The id that the application gives to a socket.
pub(crate) fn sid(socket: Socket) -> Sid {
    let mut random = [0; RANDOM_BYTES];
    random[..8].copy_from_slice(&socket.to_be_bytes());
    Sid::from_random(random)
}

pub(crate) fn encode(
    parser: Parser,
    kind: PacketKind,
    namespace: &str,
    id: Option<u64>,
    data: &Value,
) -> Encoded {
    let built: Result<Encoded, ()> =
        Encoded::build(parser, kind, namespace, id, |out, attachments: &mut Vec<Bytes>| {
            tree::write(parser, data, out, attachments);
            Ok(())
        });
    built.unwrap()
}

/// One value as the parser has it, without bytes.
pub(crate) fn data(parser: Parser, value: &Value) -> Data<'static> {
    let mut out = Vec::new();
    tree::write(parser, value, &mut out, &mut Vec::new());
    Data::from_vec(parser, out)
}

pub(crate) const PARSERS: [Parser; 2] = [Parser::Json, Parser::Msgpack];
