//! The client's driver.

use super::end::*;
use super::*;

impl Pair {
    pub(crate) fn client_opens_ws(&mut self) {
        let id = self.next_ws;
        self.next_ws += 1;
        self.put(Flight::WsOpen { id });
    }

    pub(super) fn client_ws_opened(&mut self, id: u32) {
        let end = &mut self.client;
        let first = end.session.transport() == TransportKind::WebSocket && end.ws.is_none();
        if (first && !end.session.is_closed())
            || end.session.handle_probe_opened(&self.config, self.now).is_ok()
        {
            end.ws = Some(id);
        } else {
            self.put(Flight::WsUp { id, frame: Frame::Close });
        }
        self.drive_client();
    }

    pub(super) fn client_got(&mut self, status: u16, body: &str) {
        if status == 200 {
            take_payload(&mut self.client, body, &self.config, self.now);
            self.client.session.end_get();
        } else {
            let cause = CloseCause::Error(TransportFault::HttpStatus { status });
            self.client.session.handle_transport_closed(TransportKind::Polling, cause);
        }
        self.drive_client();
    }

    pub(super) fn client_posted(&mut self, status: u16) {
        if status == 200 {
            self.client.session.end_post();
        } else {
            let cause = CloseCause::Error(TransportFault::HttpStatus { status });
            self.client.session.handle_transport_closed(TransportKind::Polling, cause);
            self.client.session.end_post();
        }
        self.drive_client();
    }

    pub(super) fn client_frame(&mut self, id: u32, frame: &Frame) {
        if self.client.ws == Some(id) {
            take_frame(&mut self.client, frame, &self.config, self.now);
            self.drive_client();
        }
    }

    pub(crate) fn drive_client(&mut self) {
        let end = &mut self.client;
        let mut flights = Vec::new();
        let mut up = |id: u32, frame| flights.push(Flight::WsUp { id, frame });
        let events = end.events.len();
        while let Some(transmit) = end.poll() {
            match (transmit.transport, transmit.packet) {
                (_, Control::Pong) => end.outbox.push_back(Out::Packet("3".into())),
                (_, control @ (Control::Probe | Control::Upgrade)) => {
                    up(end.ws.unwrap(), Frame::Text(control.as_text().unwrap().to_owned()));
                }
                (TransportKind::Polling, Control::Close) => end.goodbye = Some(end.take_payload(Some("1"))),
                (TransportKind::WebSocket, Control::Close) => close_ws(end, &mut up),
                other => panic!("a client sends no {other:?}"),
            }
        }
        let wanted = end.events.iter().skip(events).any(|event| *event == SessionEvent::ProbeWanted);
        if end.session.wants_get() {
            end.session.begin_get(self.now).unwrap();
            flights.push(Flight::Get { sid: end.session.is_open() });
        }
        if !end.session.has_post()
            && let Some(body) = end.goodbye.take()
        {
            flights.push(Flight::PostHead { content_type: None });
            flights.push(Flight::PostBody { body, forged: false });
        }
        for flight in flights {
            self.put(flight);
        }
        if wanted {
            self.client_opens_ws();
        }
        if !self.lazy {
            self.flush_client();
        }
    }

    pub(crate) fn flush_client(&mut self) {
        let end = &mut self.client;
        if end.outbox.is_empty() || !end.session.is_open() {
            return;
        }
        if end.session.transport() == TransportKind::WebSocket {
            let id = end.ws.unwrap();
            let frames: Vec<Frame> = end.outbox.drain(..).map(frame_of).collect();
            for frame in frames {
                self.put(Flight::WsUp { id, frame });
            }
        } else if end.session.may_post() {
            end.session.begin_post(None).unwrap();
            let body = end.take_payload(None);
            self.put(Flight::PostHead { content_type: None });
            self.put(Flight::PostBody { body, forged: false });
        }
    }
}
