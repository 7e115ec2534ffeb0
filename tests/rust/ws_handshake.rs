//! The opening handshake of WebSocket: both sides against each other, tungstenite as oracle.

use crate::wire::Wire;
use siox::proto::http::{Head, HttpLimits, RequestEvent, RequestReader, ResponseHead};
use siox::proto::ws::handshake::{ClientHandshake, HandshakeError, ResponseError, accept_key, check};
use std::io;

const RANDOM: [u8; 16] = *b"the sample nonce";

fn head(request: &[u8]) -> Head {
    let mut reader = RequestReader::new(HttpLimits::default());
    reader.push(request);
    match reader.poll() {
        Ok(Some(RequestEvent::Head { head, .. })) => head,
        other => panic!("{other:?}"),
    }
}

/// The verdict on a response at the start of some bytes, and its length; None while it is not whole.
fn verdict_on(response: &[u8]) -> Option<Result<usize, ResponseError>> {
    let (head, length) = ResponseHead::parse(response, 4096).unwrap()?;
    Some(ClientHandshake::new(RANDOM).check(&head).map(|()| length))
}

/// The verdict on a request whose headers are the right ones but for one, replaced or taken off.
fn verdict_without(name: &str, replacement: &str) -> Result<String, HandshakeError> {
    let headers = [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let kept = headers.iter().filter(|(header, _)| *header != name);
    let lines = kept.map(|(header, value)| format!("{header}: {value}\r\n")).collect::<Vec<_>>().concat();
    let request = format!("GET /socket.io/ HTTP/1.1\r\nHost: a\r\n{lines}{replacement}\r\n");
    check(&head(request.as_bytes())).map(|upgrade| upgrade.accept)
}

fn request() -> Vec<u8> {
    let mut request = Vec::new();
    ClientHandshake::new(RANDOM).encode(&mut request, "/socket.io/?EIO=4", "example.com", &[]);
    request
}

fn response() -> Vec<u8> {
    let mut response = Vec::new();
    check(&head(&request())).unwrap().encode(&mut response, &[("X-Served-By".into(), "us".into())]);
    response
}

#[test]
fn the_key_of_the_rfc_has_its_accept_value() {
    // RFC 6455, 1.3.
    assert_eq!(accept_key("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

#[test]
fn the_two_sides_agree_wherever_the_response_is_cut() {
    let mut response = response();
    let length = response.len();
    response.extend_from_slice(b"\x81\x00");
    for end in 0..response.len() {
        let expected = (end >= length).then_some(Ok(length));
        assert_eq!(verdict_on(&response[..end]), expected, "cut at {end}");
    }
}

#[test]
fn tungstenite_accepts_our_request_and_our_response() {
    let server = tungstenite::accept(Wire::new(request())).unwrap();
    let answer = &server.get_ref().output;
    assert_eq!(verdict_on(answer), Some(Ok(answer.len())));

    let request = tungstenite::client::IntoClientRequest::into_client_request("ws://example.com/").unwrap();
    let tungstenite::HandshakeError::Interrupted(waiting) =
        tungstenite::client(request, Wire::new(Vec::new())).unwrap_err()
    else {
        panic!("there is no response yet")
    };
    let sent = waiting.get_ref().get_ref().output.clone();
    let mut answer = Vec::new();
    check(&head(&sent)).unwrap().encode(&mut answer, &[]);
    let mut waiting = waiting;
    waiting.get_mut().get_mut().input = io::Cursor::new(answer);
    assert!(waiting.handshake().is_ok());
}

#[test]
fn each_header_of_the_request_is_needed() {
    use HandshakeError as Error;
    let accept = Ok("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=".to_owned());
    assert_eq!(verdict_without("", ""), accept);
    let cases = [
        ("Upgrade", "Upgrade: h2c\r\n", Error::Upgrade),
        ("Connection", "", Error::Connection),
        ("Connection", "Connection: keep-alive\r\n", Error::Connection),
        ("Sec-WebSocket-Version", "", Error::Version),
        ("Sec-WebSocket-Version", "Sec-WebSocket-Version: 8\r\n", Error::Version),
        ("Sec-WebSocket-Key", "", Error::Key),
        ("Sec-WebSocket-Key", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j\r\n", Error::Key),
        ("Sec-WebSocket-Key", "Sec-WebSocket-Key: not base64!!!!!!!!!!!\r\n", Error::Key),
        ("", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", Error::Key),
    ];
    for (name, replacement, error) in cases {
        assert_eq!(verdict_without(name, replacement), Err(error), "{name} {replacement}");
    }
    assert_eq!((Error::Version.status(), Error::Key.status()), (426, 400));
}

#[test]
fn names_and_lists_of_the_request_are_read_in_any_case() {
    assert!(verdict_without("Upgrade", "upgrade: WebSocket\r\n").is_ok());
    assert!(verdict_without("Connection", "connection: keep-alive, UPGRADE\r\n").is_ok());
    assert!(verdict_without("Connection", "Connection: keep-alive\r\nConnection: upgrade\r\n").is_ok());
}

#[test]
fn an_upgrade_header_taken_off_by_a_proxy_is_told_apart() {
    assert_eq!(verdict_without("Upgrade", ""), Err(HandshakeError::DroppedByProxy));
    let of = |target: &str| {
        let request = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
        check(&head(request.as_bytes())).unwrap_err()
    };
    assert_eq!(of("/socket.io/?EIO=4&transport=websocket"), HandshakeError::DroppedByProxy);
    assert_eq!(of("/socket.io/?EIO=4&transport=polling"), HandshakeError::NotAsked);
}

#[test]
fn only_a_get_of_http_11_opens_a_websocket() {
    let lines = "Host: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    for start in ["POST / HTTP/1.1", "GET / HTTP/1.0", "HEAD / HTTP/1.1"] {
        let request = format!("{start}\r\n{lines}");
        assert_eq!(check(&head(request.as_bytes())), Err(HandshakeError::Method), "{start}");
    }
}

#[test]
fn a_response_is_held_to_the_rules() {
    let good = String::from_utf8(response()).unwrap();
    let verdict = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        verdict_on(good.replace(from, to).as_bytes()).unwrap()
    };
    assert_eq!(verdict("101", "403"), Err(ResponseError::Status { status: 403 }));
    assert_eq!(verdict("Upgrade: websocket", "Upgrade: x"), Err(ResponseError::Header("Upgrade")));
    assert_eq!(verdict("Connection: Upgrade", "Connection: x"), Err(ResponseError::Header("Connection")));
    assert_eq!(verdict("Accept: ", "Accept: A"), Err(ResponseError::Header("Sec-WebSocket-Accept")));
    let chosen = verdict("X-Served-By: us", "Sec-WebSocket-Extensions: permessage-deflate");
    assert_eq!(chosen, Err(ResponseError::NotOffered("Sec-WebSocket-Extensions")));
}

#[test]
fn headers_of_the_application_cannot_break_the_handshake() {
    let mut request = Vec::new();
    let headers =
        [("X".into(), "a\r\nY: b".into()), ("Bad name".into(), "c".into()), ("Z".into(), "d".into())];
    ClientHandshake::new(RANDOM).encode(&mut request, "/", "a", &headers);
    let head = head(&request);
    assert_eq!((head.header("x"), head.header("y"), head.header("z")), (Some("a  Y: b"), None, Some("d")));
    assert!(check(&head).is_ok());
}
