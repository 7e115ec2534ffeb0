//! The server's driver.

use super::end::*;
use super::*;

impl Pair {
    pub(super) fn server_verify(
        &self,
        query: &str,
        method: &str,
        is_upgrade: bool,
    ) -> Result<Admission, HandshakeError> {
        let query = Query::parse(Some(query));
        let request = Request { query: &query, method, is_upgrade, origin_is_clean: true };
        let known = self.server.as_ref().filter(|end| !end.session.is_closed());
        verify(&request, Transports::ALL, known.map(|end| SessionInfo { transport: end.session.transport() }))
    }

    pub(super) fn server_gets(&mut self, sid: bool) {
        let query = if sid { "EIO=4&transport=polling&sid=x" } else { "EIO=4&transport=polling" };
        match self.server_verify(query, "GET", false) {
            Ok(Admission::Open(kind)) => self.server_opens(kind),
            Ok(Admission::Poll) => {}
            Ok(other) => panic!("a GET is no {other:?}"),
            Err(error) => {
                return self.put(Flight::GetAnswer { status: error.status(), body: error.json_body() });
            }
        }
        let now = self.now;
        if let Err(refused) = self.server().session.begin_get(now) {
            self.drive_server();
            self.put(Flight::GetAnswer { status: refused.status(), body: String::new() });
        }
        self.drive_server();
    }

    pub(super) fn server_opens(&mut self, kind: TransportKind) {
        let session = Session::server(Sid::from_random([7; 15]), kind, &self.config, self.now);
        self.server = Some(End::new(session));
    }

    pub(super) fn server_post_head(&mut self, content_type: Option<&'static str>) {
        let admitted = self.server_verify("transport=polling&sid=x", "POST", false);
        let refused = match admitted {
            Ok(_) => self.server().session.begin_post(content_type).err().map(RequestRefused::status),
            Err(error) => Some(error.status()),
        };
        if let Some(status) = refused {
            // The head is answered at once; the connection, and the body with it, is dropped.
            let body = self.flights[2].pop_front();
            self.drive_server();
            if !matches!(body, Some(Flight::PostBody { forged: true, .. })) {
                self.put(Flight::PostAnswer { status });
            }
        }
    }

    pub(super) fn server_post_body(&mut self, body: &str, forged: bool) {
        let (now, config) = (self.now, self.config.clone());
        let end = self.server();
        take_payload(end, body, &config, now);
        end.session.end_post();
        self.drive_server();
        if !forged {
            self.put(Flight::PostAnswer { status: 200 });
        }
    }

    pub(super) fn server_ws_opens(&mut self, id: u32) {
        let sid = self.server.is_some() || self.client.session.transport() == TransportKind::Polling;
        let query = if sid { "EIO=4&transport=websocket&sid=x" } else { "EIO=4&transport=websocket" };
        let (now, config) = (self.now, self.config.clone());
        let accepted = match self.server_verify(query, "GET", true) {
            Ok(Admission::Open(kind)) => {
                self.server_opens(kind);
                true
            }
            Ok(Admission::Probe) => self.server().session.handle_probe_opened(&config, now).is_ok(),
            Ok(other) => panic!("a WebSocket is no {other:?}"),
            Err(_) => false,
        };
        self.put(Flight::WsOpened { id });
        if accepted {
            self.server().ws = Some(id);
            self.drive_server();
        } else {
            self.put(Flight::WsDown { id, frame: Frame::Close });
        }
    }

    pub(super) fn server_frame(&mut self, id: u32, frame: &Frame) {
        let (now, config) = (self.now, self.config.clone());
        let Some(end) = self.server.as_mut().filter(|end| end.ws == Some(id)) else {
            return;
        };
        take_frame(end, frame, &config, now);
        self.drive_server();
    }

    /// The client drops a request or a WebSocket without a word.
    pub(crate) fn abort_get(&mut self) {
        self.server().session.handle_get_aborted();
        self.drive_server();
    }

    pub(crate) fn drive_server(&mut self) {
        let config = self.config.clone();
        let Some(end) = self.server.as_mut() else {
            return;
        };
        let mut flights = Vec::new();
        while let Some(transmit) = end.poll() {
            match (transmit.transport, transmit.packet) {
                (_, Control::Open) => {
                    let mut text = Vec::new();
                    end.session.open_packet(&config).encode_packet(&mut text);
                    end.outbox.push_front(Out::Packet(String::from_utf8(text).unwrap()));
                }
                (_, Control::Ping) => end.outbox.push_back(Out::Packet("2".into())),
                (_, Control::ProbePong) => {
                    let frame = Frame::Text("3probe".into());
                    flights.push(Flight::WsDown { id: end.ws.unwrap(), frame });
                }
                (_, Control::Noop) => {
                    let polls = end.session.transport() == TransportKind::Polling && !end.session.is_closed();
                    let has_data = polls && !end.outbox.is_empty();
                    let body = if has_data { end.take_payload(None) } else { "6".to_owned() };
                    assert!(end.session.has_get(), "there is nothing to let go");
                    flights.push(Flight::GetAnswer { status: 200, body });
                    end.session.end_get();
                }
                (TransportKind::Polling, Control::Close) => {
                    assert!(end.session.has_get(), "there is nobody to say goodbye to");
                    let body = end.take_payload(Some("1"));
                    flights.push(Flight::GetAnswer { status: 200, body });
                    end.session.end_get();
                }
                (TransportKind::WebSocket, Control::Close) => close_ws(end, |id, frame| {
                    flights.push(Flight::WsDown { id, frame });
                }),
                other => panic!("a server sends no {other:?}"),
            }
        }
        for flight in flights {
            self.put(flight);
        }
        if !self.lazy {
            self.flush_server();
        }
    }

    pub(crate) fn flush_server(&mut self) {
        let Some(end) = self.server.as_mut().filter(|end| !end.session.is_closed() && !end.outbox.is_empty())
        else {
            return;
        };
        if end.session.transport() == TransportKind::WebSocket {
            let id = end.ws.unwrap();
            let frames: Vec<Frame> = end.outbox.drain(..).map(frame_of).collect();
            for frame in frames {
                self.put(Flight::WsDown { id, frame });
            }
        } else if end.session.has_get() {
            let body = end.take_payload(None);
            end.session.end_get();
            self.put(Flight::GetAnswer { status: 200, body });
            self.drive_server();
        }
    }
}
