//! What a driver of either side keeps, and what it does with a packet.

use super::*;

/// One side: its session and what its driver keeps.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) session: Session,
    pub(crate) outbox: VecDeque<Out>,
    pub(crate) received: Vec<Message>,
    pub(crate) sent: Vec<Message>,
    pub(crate) events: Vec<SessionEvent>,
    pub(crate) controls: Vec<(TransportKind, Control)>,
    /// The WebSocket that is this session's.
    pub(crate) ws: Option<u32>,
    /// Client: the goodbye that waits for the POST under way.
    pub(super) goodbye: Option<String>,
}

impl End {
    pub(super) fn new(session: Session) -> Self {
        Self {
            session,
            outbox: VecDeque::new(),
            received: Vec::new(),
            sent: Vec::new(),
            events: Vec::new(),
            controls: Vec::new(),
            ws: None,
            goodbye: None,
        }
    }

    pub(super) fn take_payload(&mut self, last: Option<&str>) -> String {
        let mut body = Vec::new();
        let mut writer = PayloadWriter::new(&mut body);
        for out in self.outbox.drain(..) {
            match out {
                Out::Packet(text) => writer.push_text(&text),
                Out::Binary(data) => writer.push_binary(&data),
            }
        }
        if let Some(text) = last {
            writer.push_text(text);
        }
        String::from_utf8(body).unwrap()
    }

    pub(super) fn queue(&mut self, message: &Message) {
        self.outbox.push_back(match message {
            Message::Text(text) => Out::Packet(format!("4{text}")),
            Message::Binary(data) => Out::Binary(data.clone()),
        });
        self.sent.push(message.clone());
    }

    /// The next control packet; events on the way are noted.
    pub(super) fn poll(&mut self) -> Option<Transmit> {
        loop {
            if let Some(transmit) = self.session.poll_transmit() {
                self.controls.push((transmit.transport, transmit.packet));
                return Some(transmit);
            }
            self.events.push(self.session.poll_event()?);
        }
    }

    pub(crate) fn close_reason(&self) -> Option<&'static str> {
        self.session.close_reason().map(CloseReason::as_str)
    }
}

pub(super) fn frame_of(out: Out) -> Frame {
    match out {
        Out::Packet(text) => Frame::Text(text),
        Out::Binary(data) => Frame::Binary(data),
    }
}

/// The close frame, after all data; from here on the WebSocket is nobody's.
pub(super) fn close_ws(end: &mut End, mut send: impl FnMut(u32, Frame)) {
    let Some(id) = end.ws.take() else {
        return;
    };
    if end.session.transport() == TransportKind::WebSocket {
        end.outbox.drain(..).for_each(|out| send(id, frame_of(out)));
    }
    send(id, Frame::Close);
}

pub(super) fn take_payload(end: &mut End, body: &str, config: &SessionConfig, now: Instant) {
    for packet in payload::decode(body, limits::MAX_PAYLOAD_PACKETS) {
        match packet {
            Ok(packet) => take_packet(end, TransportKind::Polling, packet, config, now),
            Err(error) => end.session.handle_packet_error(TransportKind::Polling, error),
        }
    }
}

pub(super) fn take_frame(end: &mut End, frame: &Frame, config: &SessionConfig, now: Instant) {
    let from = TransportKind::WebSocket;
    match frame {
        Frame::Close => {
            end.ws = None;
            end.session.handle_transport_closed(from, CloseCause::Closed);
        }
        Frame::Binary(data) => take_packet(end, from, packet::decode_binary(data), config, now),
        Frame::Text(text) => match packet::decode_text(text) {
            Ok(packet) => take_packet(end, from, packet, config, now),
            Err(error) => end.session.handle_packet_error(from, error),
        },
    }
}

pub(super) fn take_packet(
    end: &mut End,
    from: TransportKind,
    packet: Packet<'_>,
    config: &SessionConfig,
    now: Instant,
) {
    match end.session.handle_packet(from, packet, config, now) {
        Incoming::Text(text) => end.received.push(Message::Text(text.to_owned())),
        Incoming::Binary(data) => end.received.push(Message::Binary(Cow::into_owned(data))),
        Incoming::Nothing | Incoming::Opened(_) => {}
    }
}
