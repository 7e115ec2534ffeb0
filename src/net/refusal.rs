//! What is answered to a request that opens and feeds nothing: a file, a 404, an error; and the line in
//! the log that says what to do about it.

use super::keys::{ConnectionKey, SessionKey, Wire};
use super::log::LogKind;
use super::reactor::Reactor;
use super::session::TOO_BIG_HINT;
use crate::proto::engine::{BadRequest, HandshakeError, ProbeFailure, ProbeRefused};
use crate::proto::http::{Head, HttpError, Phase, Response};
use crate::proto::limits;
use crate::proto::ws::handshake as ws;
use std::time::Instant;

impl Reactor {
    pub(super) fn refuse(&mut self, wire: Wire, head: &Head, error: &HandshakeError, now: Instant) {
        self.stats.requests_refused += 1;
        self.log_refused(head, error, now);
        let response = if self.is_websocket(wire, head) {
            Response::new(400, "text/html", error.upgrade_body())
        } else {
            let body = error.json_body();
            if body.is_empty() {
                Response::empty(error.status())
            } else {
                Response::json(error.status(), body)
            }
        };
        if let Wire::Stream(key) = wire
            && self.is_websocket(wire, head)
        {
            self.end_keep_alive(key);
        }
        self.respond(wire, response, now);
    }

    /// A WebSocket handshake that breaks the rules of its own protocol (RFC 6455, 4.2.2 and 4.4).
    pub(super) fn refuse_websocket(&mut self, key: ConnectionKey, error: ws::HandshakeError, now: Instant) {
        self.stats.requests_refused += 1;
        self.log_seldom(LogKind::Refused, format!("a websocket was refused: {error}"), now);
        let body = HandshakeError::from(BadRequest::Upgrade).upgrade_body();
        let mut response = Response::new(error.status(), "text/html", body);
        if error == ws::HandshakeError::Version {
            response = response.with_header("Sec-WebSocket-Version", "13");
        }
        self.end_keep_alive(key);
        self.respond(Wire::Stream(key), response, now);
    }

    /// A path that is not ours: a page that the application gave us, or nothing.
    pub(super) fn answer_foreign(&mut self, wire: Wire, head: &Head, now: Instant) {
        if head.query().is_some_and(|query| query.contains("EIO=")) {
            let line = format!(
                "no Socket.IO at {:?}: a client asked there, but this server's path is {:?} (option `path`, on both sides)",
                head.path(),
                self.options.path
            );
            self.log_seldom(LogKind::WrongPath, line, now);
        }
        let page = self.options.static_files.get(head.path());
        let response = match page {
            Some(file) if matches!(head.method(), "GET" | "HEAD") => file.response(head),
            _ => Response::text(404, "Not Found"),
        };
        self.respond(wire, response, now);
    }

    /// The JavaScript client's files, served beside the endpoint.
    pub(super) fn client_file(&self, head: &Head) -> Option<Response> {
        let name = head.path().strip_prefix(self.options.path.as_str())?;
        if !name.starts_with("socket.io") || !matches!(head.method(), "GET" | "HEAD") {
            return None;
        }
        Some(match (self.options.client_files.get(name), self.options.client_files.is_empty()) {
            (Some(file), _) => file.response(head),
            (None, true) => Response::text(
                404,
                "This server does not serve the JavaScript client: set the option serve_client to the folder that \
                 holds it (node_modules/socket.io-client/dist), or load it from elsewhere.\n",
            ),
            (None, false) => Response::text(404, "There is no such file in the folder of serve_client.\n"),
        })
    }

    pub(super) fn log_origin_refused(&mut self, origin: &str, host: Option<&str>, now: Instant) {
        let line = format!(
            "origin {origin:?} refused (the host is {:?}): if its pages may connect, name it in the option `cors`, \
             as in Server(cors={origin:?})",
            host.unwrap_or_default()
        );
        self.log_seldom(LogKind::Origin, line, now);
    }

    fn log_refused(&mut self, head: &Head, error: &HandshakeError, now: Instant) {
        let (kind, line) = match error {
            HandshakeError::UnsupportedVersion => (
                LogKind::Version,
                "a client of another Engine.IO revision was refused: this server speaks revision 4 (Socket.IO 3 and \
                 later); update the client (socket.io-client 2 speaks revision 3)"
                    .to_owned(),
            ),
            HandshakeError::UnknownSid => return self.log_unknown_session(head, now),
            HandshakeError::BadRequest(BadRequest::NoUpgrade) => (
                LogKind::NoUpgrade,
                "a websocket request came without its Upgrade header: a proxy in front dropped it; let it forward \
                 websockets (nginx: proxy_http_version 1.1, proxy_set_header Upgrade and Connection)"
                    .to_owned(),
            ),
            HandshakeError::BadRequest(BadRequest::OriginRefused) => return,
            other => (LogKind::Refused, format!("{} {} refused: {other}", head.method(), head.path())),
        };
        self.log_seldom(kind, line, now);
    }

    /// A request that was no HTTP, or more than is allowed.
    pub(super) fn log_request_broken(&mut self, error: &HttpError, now: Instant) {
        let hint = match error {
            HttpError::BodyTooLarge { .. } => TOO_BIG_HINT,
            HttpError::FirstByte(0x16) => ": a client speaks TLS to this plain port",
            _ => "",
        };
        self.log_seldom(LogKind::BadRequest, format!("a request was refused: {error}{hint}"), now);
    }

    /// A request that did not come to its end.
    pub(super) fn log_request_stalled(&mut self, phase: Phase, now: Instant) {
        let (part, limit) = match phase {
            Phase::Body => ("body", limits::REQUEST_BODY_TIMEOUT),
            _ => ("head", limits::REQUEST_HEAD_TIMEOUT),
        };
        let line = format!("a request was refused: its {part} did not come within {} s", limit.as_secs());
        self.log_seldom(LogKind::BadRequest, line, now);
    }

    /// A client that asks for a namespace nobody made.
    pub fn log_unknown_namespace(&mut self, namespace: &str, now: Instant) {
        let line = format!(
            "a client asked for the namespace {namespace:?}, which the server does not have: io.of({namespace:?}) \
             makes it"
        );
        self.log_seldom(LogKind::Namespace, line, now);
    }

    /// A websocket that nobody upgrades to, since the session has one or may not have one.
    pub(super) fn log_probe_refused(&mut self, session: SessionKey, error: ProbeRefused, now: Instant) {
        let Some(entry) = self.sessions.get(session) else { return };
        let line = format!("a websocket of session {:?} was closed at once: {error}", entry.sid);
        self.log_seldom(LogKind::Probe, line, now);
    }

    /// An upgrade that its client did not bring to an end.
    pub(super) fn log_probe_failed(&mut self, session: SessionKey, why: ProbeFailure, now: Instant) {
        let Some(entry) = self.sessions.get(session).filter(|_| why != ProbeFailure::Closed) else { return };
        let line = format!("the upgrade of session {:?} was given up, it stays on polling: {why}", entry.sid);
        self.log_seldom(LogKind::Probe, line, now);
    }
}
