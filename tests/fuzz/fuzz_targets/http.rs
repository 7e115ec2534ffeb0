//! Any bytes as a stream of requests, and their heads as upgrades and preflights: cuts change nothing,
//! and what is held is bounded.
#![no_main]

use libfuzzer_sys::fuzz_target;
use siox::proto::http::{Coding, Cors, Head, HttpError, HttpLimits, Origins, Phase, RequestEvent, RequestReader};
use siox::proto::ws::handshake::check;

const LIMITS: HttpLimits = HttpLimits { max_head: 256, max_headers: 8, max_body: 128 };

/// What is read from a head must be parts of it, whatever it holds.
fn look_at(head: &Head) -> String {
    assert!(head.target().contains(head.path()));
    assert!(head.query().is_none_or(|query| head.target().ends_with(query)));
    let _ = (head.keep_alive(), check(head));
    let cors = Cors { origins: Origins::Any, credentials: true, ..Cors::default() };
    let _ = cors.check(head, false);
    for origins in [Origins::SameOrigin, Origins::Own] {
        let cors = Cors { origins, ..Cors::default() };
        let _ = (cors.check(head, true), cors.shown_origin(head, true), Coding::accepted(head));
    }
    let mut out = Vec::new();
    cors.preflight(head, false).encode(&mut out, head.keep_alive(), false);
    assert_eq!(out.windows(4).position(|four| four == b"\r\n\r\n"), Some(out.len() - 4));
    format!("{} {} {:?}", head.method(), head.target(), head.headers().collect::<Vec<_>>())
}

fn read<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<String>, Option<HttpError>, Phase) {
    let mut reader = RequestReader::new(LIMITS);
    let mut seen = Vec::new();
    for piece in pieces {
        assert!(reader.wants_input());
        reader.push(piece);
        loop {
            match reader.poll() {
                Ok(Some(RequestEvent::Head { head, expects_continue, has_body })) => {
                    seen.push(format!("{} {expects_continue} {has_body}", look_at(&head)));
                }
                Ok(Some(RequestEvent::Body(body))) => {
                    assert!(body.len() <= LIMITS.max_body);
                    seen.push(format!("{body:?}"));
                }
                Ok(None) if reader.phase() == Phase::Done => reader.next_request(),
                Ok(None) => break,
                Err(error) => {
                    assert!((400..600).contains(&error.status()));
                    return (seen, Some(error), reader.phase());
                }
            }
        }
        assert!(reader.buffered() <= 2 * (LIMITS.max_head + LIMITS.max_body + piece.len()));
    }
    (seen, None, reader.phase())
}

fuzz_target!(|input: (u8, &[u8])| {
    let (step, bytes) = input;
    let whole = read(std::iter::once(bytes));
    assert_eq!(read(bytes.chunks(usize::from(step).max(1))), whole);
    assert_eq!(read(bytes.chunks(1)), whole);
});
