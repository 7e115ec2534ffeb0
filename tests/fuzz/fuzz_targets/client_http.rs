//! Any bytes as a response, and its cookies: cuts change nothing, and what is held is bounded.
#![no_main]

use libfuzzer_sys::fuzz_target;
use siox::proto::client::CookieJar;
use siox::proto::client::http::{Response, ResponseError, ResponseReader};
use siox::proto::http::ResponseHead;
use siox::proto::limits::{MAX_ERROR_BODY, MAX_RESPONSE_HEAD};
use siox::proto::ws::handshake::ClientHandshake;
use std::time::Instant;

const MAX_BODY: usize = 128;

/// A response as it is read, and how many bytes it took of how many.
fn read<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Result<Option<Response>, ResponseError> {
    let mut reader = ResponseReader::new(MAX_BODY);
    for piece in pieces {
        let (used, response) = reader.read(piece)?;
        assert!(used <= piece.len());
        if response.is_some() {
            assert_eq!(reader.read(b"more").unwrap().0, 0);
            return Ok(response);
        }
        assert_eq!(used, piece.len());
        assert!(reader.buffered() <= 16 * 1024 + 2 * (MAX_RESPONSE_HEAD + MAX_ERROR_BODY + piece.len()));
    }
    reader.finish()
}

fn shown(read: Result<Option<Response>, ResponseError>) -> Result<Option<String>, ResponseError> {
    read.map(|response| {
        response.map(|Response { head, body, .. }| {
            assert!(body.len() <= if head.status() == 200 { MAX_BODY } else { 2 * MAX_ERROR_BODY });
            let now = Instant::now();
            let mut jar = CookieJar::default();
            for value in head.values("set-cookie") {
                jar.set(value, head.header_bytes("date"), "/socket.io/", true, now);
            }
            let cookies = jar.header("/socket.io/", None, now);
            assert!(cookies.as_ref().is_none_or(|cookies| cookies.bytes().all(|byte| byte >= b' ')));
            let _ = ClientHandshake::new([0; 16]).check(&head);
            // Of a body that is only shown, how much is kept depends on the cuts.
            let body = if head.status() == 200 { body } else { Vec::new() };
            let headers: Vec<_> = head.headers().collect();
            format!("{} {} {headers:?} {body:?} {cookies:?}", head.status(), head.reason())
        })
    })
}

fuzz_target!(|input: (u8, &[u8])| {
    let (step, bytes) = input;
    let whole = shown(read(std::iter::once(bytes)));
    assert_eq!(shown(read(bytes.chunks(usize::from(step).max(1)))), whole);
    assert_eq!(shown(read(bytes.chunks(1))), whole);
    if let Ok(Some((head, length))) = ResponseHead::parse(bytes, 4096) {
        assert!(length <= bytes.len() && head.buffered() > 0);
    }
});
