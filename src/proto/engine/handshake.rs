//! What a request wants, and the checks before it gets it: order, codes and texts of engine.io 6.
//!
//! The caller does what needs more than the request: CORS before [`verify`], `allowRequest` after it.

use super::transport::{TransportKind, Transports};
use crate::proto::json;
use percent_encoding::percent_decode_str;
use std::borrow::Cow;
use thiserror::Error;

/// The protocol revision that is served.
pub const PROTOCOL: &str = "4";

/// The members of the query that the engine reads; the rest is the application's, see [`Query::pairs`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query<'a> {
    /// `EIO`: the protocol revision.
    pub eio: Option<Cow<'a, str>>,
    /// `transport`, by name.
    pub transport: Option<Cow<'a, str>>,
    /// `sid`: the session; empty counts as absent, as in JavaScript.
    pub sid: Option<Cow<'a, str>>,
}

impl<'a> Query<'a> {
    /// Reads a raw query, without its `?`. Of a key given twice the last one counts, as in JavaScript.
    pub fn parse(raw: Option<&'a str>) -> Self {
        let mut query = Self::default();
        for (key, value) in Self::pairs(raw.unwrap_or_default()) {
            match &*key {
                "EIO" => query.eio = Some(value),
                "transport" => query.transport = Some(value),
                "sid" => query.sid = Some(value).filter(|sid| !sid.is_empty()),
                _ => {}
            }
        }
        query
    }

    /// All pairs of a raw query, decoded as form data: `+` is a blank, bad UTF-8 becomes U+FFFD.
    pub fn pairs(raw: &'a str) -> impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)> {
        raw.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (form_decode(key), form_decode(value))
        })
    }
}

fn form_decode(text: &str) -> Cow<'_, str> {
    if !text.bytes().any(|byte| matches!(byte, b'+' | b'%')) {
        return Cow::Borrowed(text);
    }
    let blanks = text.replace('+', " ");
    Cow::Owned(percent_decode_str(&blanks).decode_utf8_lossy().into_owned())
}

/// A request, as far as the checks look at it.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The query.
    pub query: &'a Query<'a>,
    /// The method, in capitals.
    pub method: &'a str,
    /// Whether it is a WebSocket handshake (a real Upgrade header came, or ASGI says so).
    pub is_upgrade: bool,
    /// Whether the Origin header, if any, is free of control bytes.
    pub origin_is_clean: bool,
}

/// What the checks need to know about the session that a query names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionInfo {
    /// Where its data goes now.
    pub transport: TransportKind,
}

/// What a request may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Open a session on this transport, unless `allowRequest` refuses.
    Open(TransportKind),
    /// Fetch: the GET of a polling session.
    Poll,
    /// Send: the POST of a polling session.
    Post,
    /// Upgrade: accept the WebSocket, then ask [`Session::handle_probe_opened`](super::Session::handle_probe_opened).
    Probe,
}

/// Checks a request; the first failure wins. `session` is what the caller knows by `query.sid`.
///
/// JavaScript asks `allowRequest` before it looks at the revision. Here the revision comes first: an
/// application is not asked about a client that cannot be served.
pub fn verify(
    request: &Request<'_>,
    allowed: Transports,
    session: Option<SessionInfo>,
) -> Result<Admission, HandshakeError> {
    let named = request.query.transport.as_deref().and_then(TransportKind::parse);
    let kind = named.filter(|kind| allowed.contains(*kind)).ok_or(HandshakeError::UnknownTransport)?;
    if !request.origin_is_clean {
        return Err(BadRequest::InvalidOrigin.into());
    }
    match &request.query.sid {
        Some(_) => verify_known(request, kind, session.ok_or(HandshakeError::UnknownSid)?),
        None => verify_new(request, kind),
    }
}

fn verify_known(
    request: &Request<'_>,
    kind: TransportKind,
    session: SessionInfo,
) -> Result<Admission, HandshakeError> {
    match (request.is_upgrade, kind) {
        (true, TransportKind::WebSocket) if request.method == "GET" => Ok(Admission::Probe),
        (true, TransportKind::WebSocket) => Err(BadRequest::Upgrade.into()),
        // JavaScript opens the WebSocket and closes it at once.
        (true, TransportKind::Polling) => Err(BadRequest::TransportMismatch.into()),
        (false, _) if kind != session.transport => Err(BadRequest::TransportMismatch.into()),
        // JavaScript leaves this request without an answer.
        (false, TransportKind::WebSocket) => Err(BadRequest::NoUpgrade.into()),
        (false, TransportKind::Polling) => match request.method {
            "GET" => Ok(Admission::Poll),
            "POST" => Ok(Admission::Post),
            _ => Err(HandshakeError::BadMethod),
        },
    }
}

fn verify_new(request: &Request<'_>, kind: TransportKind) -> Result<Admission, HandshakeError> {
    if request.method != "GET" {
        return Err(HandshakeError::BadHandshakeMethod);
    }
    match (kind, request.is_upgrade) {
        (TransportKind::WebSocket, false) => return Err(BadRequest::NoUpgrade.into()),
        // JavaScript opens the WebSocket and closes it at once.
        (TransportKind::Polling, true) => return Err(BadRequest::TransportMismatch.into()),
        _ => {}
    }
    if request.query.eio.as_deref() != Some(PROTOCOL) {
        return Err(HandshakeError::UnsupportedVersion);
    }
    Ok(Admission::Open(kind))
}

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// No transport named, or one that is not offered.
    #[error("Transport unknown")]
    UnknownTransport,
    /// No such session (any more).
    #[error("Session ID unknown")]
    UnknownSid,
    /// A session opens with a GET.
    #[error("Bad handshake method")]
    BadHandshakeMethod,
    /// See [`BadRequest`], which only a log tells apart.
    #[error("Bad request")]
    BadRequest(BadRequest),
    /// The application refused.
    #[error("{}", .message.as_deref().unwrap_or("Forbidden"))]
    Forbidden {
        /// The application's text, if it gave one.
        message: Option<String>,
    },
    /// Another revision of the protocol, or none named.
    #[error("Unsupported protocol version")]
    UnsupportedVersion,
    /// A known session, and neither GET nor POST.
    #[error("Bad method")]
    BadMethod,
}

/// The causes of code 3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BadRequest {
    /// The Origin header holds control bytes.
    #[error("invalid Origin header")]
    InvalidOrigin,
    /// The Origin is none of those allowed.
    #[error("origin not allowed")]
    OriginRefused,
    /// The session is on another transport.
    #[error("unexpected transport without upgrade")]
    TransportMismatch,
    /// `transport=websocket` without a WebSocket handshake: often a proxy that drops `Upgrade`.
    #[error("transport is websocket, but the request is no WebSocket handshake")]
    NoUpgrade,
    /// The WebSocket handshake itself is wrong.
    #[error("invalid WebSocket handshake")]
    Upgrade,
    /// A middleware failed.
    #[error("middleware failure")]
    Middleware,
}

impl From<BadRequest> for HandshakeError {
    fn from(cause: BadRequest) -> Self {
        Self::BadRequest(cause)
    }
}

impl HandshakeError {
    /// The code that clients log; [`Self::BadMethod`] has none.
    pub fn code(&self) -> Option<u8> {
        match self {
            Self::UnknownTransport => Some(0),
            Self::UnknownSid => Some(1),
            Self::BadHandshakeMethod => Some(2),
            Self::BadRequest(_) => Some(3),
            Self::Forbidden { .. } => Some(4),
            Self::UnsupportedVersion => Some(5),
            Self::BadMethod => None,
        }
    }

    /// The text beside the code.
    pub fn message(&self) -> String {
        self.to_string()
    }

    /// The status of the answer to a plain request.
    pub fn status(&self) -> u16 {
        match self {
            Self::Forbidden { .. } => 403,
            Self::BadMethod => 500,
            _ => 400,
        }
    }

    /// The body of the answer to a plain request, `application/json`; empty where there is no code.
    pub fn json_body(&self) -> String {
        let Some(code) = self.code() else {
            return String::new();
        };
        let mut message = Vec::new();
        json::write_string(&mut message, &self.message());
        format!("{{\"code\":{code},\"message\":{}}}", String::from_utf8_lossy(&message))
    }

    /// The body of the answer to a WebSocket handshake, `text/html`; its status is always 400.
    pub fn upgrade_body(&self) -> String {
        self.message()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(
        raw: &str,
        method: &str,
        is_upgrade: bool,
        on: Option<TransportKind>,
    ) -> Result<Admission, HandshakeError> {
        let query = Query::parse(Some(raw));
        let request = Request { query: &query, method, is_upgrade, origin_is_clean: true };
        verify(&request, Transports::ALL, on.map(|transport| SessionInfo { transport }))
    }

    #[test]
    fn a_query_is_decoded_and_its_last_word_counts() {
        let query = Query::parse(Some("EIO=3&EIO=%34&transport=poll%69ng&sid=&t=abc&&flag"));
        assert_eq!(query.eio.as_deref(), Some("4"));
        assert_eq!(query.transport.as_deref(), Some("polling"));
        assert_eq!(query.sid, None);
        assert_eq!(Query::parse(None), Query::default());
    }

    #[test]
    fn pairs_are_form_data() {
        let pairs: Vec<_> = Query::pairs("a=1+2&b=%C3%A9&c=%FF&d").collect();
        let expected = [("a", "1 2"), ("b", "é"), ("c", "\u{fffd}"), ("d", "")];
        assert_eq!(pairs, expected.map(|(key, value)| (key.into(), value.into())));
    }

    #[test]
    fn a_session_opens_on_either_transport() {
        let (polling, websocket) = (TransportKind::Polling, TransportKind::WebSocket);
        assert_eq!(check("EIO=4&transport=polling", "GET", false, None), Ok(Admission::Open(polling)));
        assert_eq!(check("EIO=4&transport=websocket", "GET", true, None), Ok(Admission::Open(websocket)));
    }

    #[test]
    fn a_known_session_polls_posts_and_probes() {
        let on = Some(TransportKind::Polling);
        assert_eq!(check("transport=polling&sid=x", "GET", false, on), Ok(Admission::Poll));
        assert_eq!(check("transport=polling&sid=x", "POST", false, on), Ok(Admission::Post));
        assert_eq!(check("transport=websocket&sid=x", "GET", true, on), Ok(Admission::Probe));
        assert_eq!(check("transport=polling&sid=x", "PUT", false, on), Err(HandshakeError::BadMethod));
        let no_handshake = HandshakeError::BadRequest(BadRequest::Upgrade);
        assert_eq!(check("transport=websocket&sid=x", "POST", true, on), Err(no_handshake));
    }

    #[test]
    fn the_first_failure_wins() {
        use HandshakeError as E;
        let on = Some(TransportKind::WebSocket);
        // Everything is wrong at first, then one thing less in each line.
        assert_eq!(check("EIO=3&transport=x&sid=x", "PUT", false, None), Err(E::UnknownTransport));
        assert_eq!(check("EIO=3&transport=polling&sid=x", "PUT", false, None), Err(E::UnknownSid));
        let mismatch = E::BadRequest(BadRequest::TransportMismatch);
        assert_eq!(check("EIO=3&transport=polling&sid=x", "PUT", false, on), Err(mismatch));
        assert_eq!(check("EIO=3&transport=websocket", "PUT", false, None), Err(E::BadHandshakeMethod));
        let no_upgrade = E::BadRequest(BadRequest::NoUpgrade);
        assert_eq!(check("EIO=3&transport=websocket", "GET", false, None), Err(no_upgrade));
        assert_eq!(check("EIO=3&transport=websocket", "GET", true, None), Err(E::UnsupportedVersion));
    }

    #[test]
    fn an_origin_with_control_bytes_is_a_bad_request_before_the_sid_is_looked_at() {
        let query = Query::parse(Some("transport=polling&sid=x"));
        let request = Request { query: &query, method: "GET", is_upgrade: false, origin_is_clean: false };
        let refused = verify(&request, Transports::ALL, None);
        assert_eq!(refused, Err(HandshakeError::BadRequest(BadRequest::InvalidOrigin)));
    }

    #[test]
    fn only_allowed_transports_are_known() {
        let query = Query::parse(Some("EIO=4&transport=polling"));
        let request = Request { query: &query, method: "GET", is_upgrade: false, origin_is_clean: true };
        let allowed = Transports { polling: false, websocket: true };
        assert_eq!(verify(&request, allowed, None), Err(HandshakeError::UnknownTransport));
    }

    #[test]
    fn anything_but_the_text_4_is_another_revision() {
        for eio in ["", "EIO=&", "EIO=3&", "EIO=5&", "EIO=04&", "EIO=4.0&"] {
            let refused = check(&format!("{eio}transport=polling"), "GET", false, None);
            assert_eq!(refused, Err(HandshakeError::UnsupportedVersion), "{eio}");
        }
    }

    #[test]
    fn bodies_are_those_of_javascript() {
        let unknown = HandshakeError::UnknownSid;
        assert_eq!(unknown.json_body(), r#"{"code":1,"message":"Session ID unknown"}"#);
        assert_eq!(unknown.upgrade_body(), "Session ID unknown");
        let forbidden = HandshakeError::Forbidden { message: None };
        assert_eq!(
            (forbidden.status(), forbidden.json_body().as_str()),
            (403, r#"{"code":4,"message":"Forbidden"}"#)
        );
        let told = HandshakeError::Forbidden { message: Some("no \"\\\n".to_owned()) };
        assert_eq!(told.json_body(), r#"{"code":4,"message":"no \"\\\n"}"#);
        assert_eq!(
            (HandshakeError::BadMethod.status(), HandshakeError::BadMethod.json_body().as_str()),
            (500, "")
        );
    }
}
