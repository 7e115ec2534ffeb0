//! A small server: the application of the vectors under a session, with an outbox.

use crate::app::App;
use siox::proto::engine::{
    CloseCause, CloseReason, Control, Incoming, PayloadWriter, Session, SessionConfig, SessionEvent,
    TransportKind, packet, payload,
};
use siox::proto::limits::MAX_PAYLOAD_PACKETS;
use siox::proto::peer::{Request, RequestKind, WebSocketAction};
use siox::proto::sid::{RANDOM_BYTES, Sid};
use siox::proto::socket::Parser;
use siox::proto::socket::encoded::Part;
use std::collections::VecDeque;
use std::time::Instant;

/// The server: the application of the vectors under a session.
pub(crate) struct Server {
    pub(crate) session: Session,
    pub(crate) app: App,
    pub(crate) config: SessionConfig,
    pub(crate) outbox: VecDeque<Part>,
    /// Control packets for the next answer to a GET, and whether it is due without data.
    polling: Vec<String>,
    release: bool,
    pub(crate) websocket: VecDeque<WebSocketAction>,
    pub(crate) answers: VecDeque<Answer>,
    pub(crate) closed: Option<CloseReason>,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) kind: RequestKind,
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Server {
    pub(crate) fn new(transport: TransportKind, config: SessionConfig, parser: Parser, now: Instant) -> Self {
        let sid = Sid::from_random([1; RANDOM_BYTES]);
        Self {
            session: Session::server(sid, transport, &config, now),
            app: App::new(now, parser),
            config,
            outbox: VecDeque::new(),
            polling: Vec::new(),
            release: false,
            websocket: VecDeque::new(),
            answers: VecDeque::new(),
            closed: None,
        }
    }

    pub(crate) fn handle_request(&mut self, request: &Request, now: Instant) {
        let refused = match request.kind {
            RequestKind::Get => self.session.begin_get(now),
            RequestKind::Post => self.session.begin_post(Some("text/plain; charset=UTF-8")),
        };
        if let Err(refused) = refused {
            self.answer(request.kind, refused.status(), Vec::new());
        } else if request.kind == RequestKind::Post {
            for packet in payload::decode_bytes(&request.body, MAX_PAYLOAD_PACKETS).unwrap() {
                self.handle_packet(TransportKind::Polling, packet, now);
            }
            self.session.end_post();
            self.answer(RequestKind::Post, 200, b"ok".to_vec());
        }
        self.settle();
    }

    pub(crate) fn handle_websocket(&mut self, action: &WebSocketAction, now: Instant) {
        match action {
            WebSocketAction::Open { .. } if self.session.transport() == TransportKind::Polling => {
                self.session.handle_probe_opened(&self.config, now).unwrap();
            }
            WebSocketAction::Open { .. } => {}
            WebSocketAction::Text(text) => {
                let packet = packet::decode_text(std::str::from_utf8(text).unwrap());
                self.handle_packet(TransportKind::WebSocket, packet, now);
            }
            WebSocketAction::Binary(data) => {
                self.handle_packet(TransportKind::WebSocket, Ok(packet::decode_binary(data)), now);
            }
            WebSocketAction::Close => {
                self.session.handle_transport_closed(TransportKind::WebSocket, CloseCause::Closed);
            }
        }
        self.settle();
    }

    fn handle_packet(
        &mut self,
        from: TransportKind,
        packet: Result<packet::Packet<'_>, packet::PacketError>,
        now: Instant,
    ) {
        let packet = match packet {
            Ok(packet) => packet,
            Err(error) => return self.session.handle_packet_error(from, error),
        };
        let result = match self.session.handle_packet(from, packet, &self.config, now) {
            Incoming::Text(text) => self.app.handle_text(text, now),
            Incoming::Binary(data) => self.app.handle_binary(data),
            _ => Ok(()),
        };
        if result.is_err() {
            self.session.close(now);
        }
    }

    fn answer(&mut self, kind: RequestKind, status: u16, body: Vec<u8>) {
        self.answers.push_back(Answer { kind, status, body });
    }

    pub(crate) fn settle(&mut self) {
        self.app.settle();
        self.outbox.extend(self.app.out.drain(..).flat_map(|packet| packet.parts().collect::<Vec<_>>()));
        let mut goodbye = false;
        while let Some(transmit) = self.session.poll_transmit() {
            let text = match transmit.packet {
                Control::Open => {
                    let mut open = Vec::new();
                    self.session.open_packet(&self.config).encode_packet(&mut open);
                    String::from_utf8(open).unwrap()
                }
                packet => packet.as_text().unwrap().to_owned(),
            };
            match (transmit.transport, transmit.packet) {
                (TransportKind::WebSocket, Control::Close) => goodbye = true,
                (TransportKind::WebSocket, _) => self.websocket.push_back(WebSocketAction::Text(text.into())),
                (TransportKind::Polling, Control::Noop) => self.release = true,
                (TransportKind::Polling, _) => self.polling.push(text),
            }
        }
        while let Some(event) = self.session.poll_event() {
            match event {
                SessionEvent::Upgraded => {
                    let controls = self.polling.drain(..).rev().map(|text| Part::Text(text.into()));
                    controls.for_each(|control| self.outbox.push_front(control));
                }
                SessionEvent::Closed(reason) => self.closed = Some(reason),
                _ => {}
            }
        }
        self.flush();
        if goodbye {
            self.websocket.push_back(WebSocketAction::Close);
        }
    }

    fn flush(&mut self) {
        if self.session.transport() == TransportKind::WebSocket {
            self.websocket.extend(self.outbox.drain(..).map(|part| match part {
                Part::Text(text) => WebSocketAction::Text(text),
                Part::Binary(data) => WebSocketAction::Binary(data),
            }));
        }
        let data = self.session.transport() == TransportKind::Polling;
        let any = self.release || !self.polling.is_empty() || (data && !self.outbox.is_empty());
        if !self.session.has_get() || !any {
            return;
        }
        let mut body = Vec::new();
        let mut writer = PayloadWriter::new(&mut body);
        let goodbye = self.polling.iter().position(|text| text == "1").map(|at| self.polling.remove(at));
        self.polling.drain(..).for_each(|text| writer.push_text(&text));
        if data {
            for part in self.outbox.drain(..) {
                match part {
                    Part::Text(text) => writer.push_text(std::str::from_utf8(&text).unwrap()),
                    Part::Binary(data) => writer.push_binary(&data),
                }
            }
        }
        if let Some(goodbye) = goodbye {
            writer.push_text(&goodbye);
        }
        if writer.is_empty() {
            writer.push_text("6");
        }
        self.release = false;
        self.session.end_get();
        self.answer(RequestKind::Get, 200, body);
    }
}
