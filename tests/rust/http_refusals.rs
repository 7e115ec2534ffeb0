//! What a request must not be: read two ways, too large, or something else than HTTP/1.

use crate::http::{LIMITS, chunked, chunked_body, error_of, read};
use siox::proto::http::{HttpError, HttpLimits, RequestEvent, RequestReader};

/// The status of the refusal of a request with these header lines, after a valid Host.
fn status_of(lines: &str) -> Option<u16> {
    error_of(format!("POST /x HTTP/1.1\r\nHost: a\r\n{lines}\r\n").as_bytes()).map(|error| error.status())
}

#[test]
fn what_two_parsers_could_read_differently_is_refused() {
    let cases = [
        ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", 400),
        ("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", 400),
        ("Content-Length: 5\r\nContent-Length: 6\r\n", 400),
        ("Content-Length: 5\r\nContent-Length: 5\r\n", 400),
        ("Content-Length: 5, 5\r\n", 400),
        ("Content-Length: +5\r\n", 400),
        ("Content-Length: -1\r\n", 400),
        ("Content-Length: 0x5\r\n", 400),
        ("Content-Length: 5 5\r\n", 400),
        ("Content-Length:\r\n", 400),
        ("Content-Length : 5\r\n", 400),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", 400),
        ("Transfer-Encoding: chunked, chunked\r\n", 400),
        ("Transfer-Encoding: chunked, gzip\r\n", 400),
        ("Transfer-Encoding: chunked,\r\n", 400),
        ("Transfer-Encoding: gzip,\r\n", 400),
        ("Transfer-Encoding: \r\n", 400),
        ("Transfer-Encoding: gzip, chunked\r\n", 501),
        ("Transfer-Encoding: gzip\r\n", 501),
        ("Transfer-Encoding: xchunked\r\n", 501),
        ("Transfer-Encoding: \x0bchunked\r\n", 400),
        ("Transfer-Encoding : chunked\r\n", 400),
        (" Transfer-Encoding: chunked\r\n", 400),
        ("X: a\r\n folded\r\n", 400),
        ("X: a\r\n\tTransfer-Encoding: chunked\r\n", 400),
        ("X: a\nTransfer-Encoding: chunked\r\n", 400),
        ("X: a\rTransfer-Encoding: chunked\r\n", 400),
        ("X: a\0b\r\n", 400),
        ("no colon\r\n", 400),
        (": no name\r\n", 400),
        ("Host: b\r\n", 400),
        ("Expect: 200-ok\r\n", 417),
    ];
    for (lines, status) in cases {
        assert_eq!(status_of(lines), Some(status), "{lines:?}");
    }
    let lone_feed = b"GET / HTTP/1.1\nHost: a\n\n";
    assert_eq!(error_of(lone_feed), Some(HttpError::BareLineFeed));
    assert_eq!(error_of(b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), Some(HttpError::BareLineFeed));
    let old_chunked = b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(error_of(old_chunked), Some(HttpError::TransferEncoding));
}

#[test]
fn equal_spellings_of_the_framing_are_read() {
    for lines in ["Content-Length: 003\r\n", "content-length:3\r\n", "CONTENT-LENGTH: \t3 \t\r\n"] {
        let request = format!("POST / HTTP/1.1\r\nHost: a\r\n{lines}\r\nabc");
        assert_eq!(read(request.as_bytes()).0[0].body.as_deref(), Some(&b"abc"[..]), "{lines:?}");
    }
    let request = b"POST / HTTP/1.1\r\nHost: a\r\ntransfer-encoding: CHUNKED \r\n\r\n0\r\n\r\n";
    assert_eq!(read(request).0[0].body.as_deref(), Some(&b""[..]));
    let nothing = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(read(nothing).0[0].body, None);
}

#[test]
fn other_versions_and_other_protocols_are_refused() {
    assert_eq!(error_of(b"GET / HTTP/2.0\r\nHost: a\r\n\r\n").map(|error| error.status()), Some(505));
    assert_eq!(error_of(b"GET / HTTP/1.2\r\nHost: a\r\n\r\n").map(|error| error.status()), Some(505));
    assert_eq!(error_of(b"GET /\r\n\r\n").map(|error| error.status()), Some(400));
    // A TLS hello on a plain port is known by its first byte, before any line ends.
    assert_eq!(error_of(b"\x16\x03\x01"), Some(HttpError::FirstByte(0x16)));
    assert_eq!(error_of(b"PRI * HTTP/2.0\r\n\r\n").map(|error| error.status()), Some(505));
}

#[test]
fn a_host_is_needed_once() {
    assert_eq!(error_of(b"GET / HTTP/1.1\r\n\r\n"), Some(HttpError::Host(0)));
    assert_eq!(error_of(b"GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n"), Some(HttpError::Host(2)));
    assert_eq!(error_of(b"GET / HTTP/1.0\r\n\r\n"), None);
}

#[test]
fn a_head_is_held_to_its_limits() {
    let of_size = |size: usize| {
        let start = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
        format!("{start}{}\r\n\r\n", "x".repeat(size - start.len() - 4))
    };
    assert_eq!(error_of(of_size(LIMITS.max_head).as_bytes()), None);
    let too_large = Some(HttpError::HeadTooLarge { limit: LIMITS.max_head });
    assert_eq!(error_of(of_size(LIMITS.max_head + 1).as_bytes()), too_large);
    // Known before the head ends, and with a single endless line.
    assert_eq!(error_of(&of_size(5000).as_bytes()[..LIMITS.max_head]), too_large);
    assert_eq!(error_of(&vec![b'G'; 5000]), too_large);
    let fields = |count: usize| format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "A: b\r\n".repeat(count - 1));
    assert_eq!(error_of(fields(LIMITS.max_headers).as_bytes()), None);
    let error = error_of(fields(LIMITS.max_headers + 1).as_bytes());
    assert_eq!(error, Some(HttpError::TooManyHeaders { limit: LIMITS.max_headers }));
}

#[test]
fn a_limit_above_what_offsets_hold_is_lowered() {
    let mut reader = RequestReader::new(HttpLimits { max_head: usize::MAX, ..LIMITS });
    reader.push(&vec![b'G'; 70_000]);
    assert_eq!(reader.poll().unwrap_err(), HttpError::HeadTooLarge { limit: 65_535 });
}

#[test]
fn a_body_too_large_is_refused_after_its_head_and_never_asked_for() {
    for length in ["2049", "99999999999999999999999999999"] {
        let request =
            format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\nExpect: 100-continue\r\n\r\n");
        let mut reader = RequestReader::new(LIMITS);
        reader.push(request.as_bytes());
        let event = reader.poll().unwrap().unwrap();
        assert!(matches!(event, RequestEvent::Head { expects_continue: false, has_body: true, .. }));
        let error = reader.poll().unwrap_err();
        assert_eq!((error, error.status()), (HttpError::BodyTooLarge { limit: 2048 }, 413));
    }
    let fits = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2048\r\n\r\n{}", "x".repeat(2048));
    assert_eq!(read(fits.as_bytes()).0[0].body.as_ref().map(Vec::len), Some(2048));
}

#[test]
fn broken_chunks_are_refused() {
    let cases = [
        "\r\n",
        "g\r\n",
        "-1\r\n",
        "+1\r\n",
        " 1\r\n",
        "0x1\r\n",
        ";a\r\n",
        "1\na",
        "1\r\r\n",
        "1;a\nb\r\n",
        "1;\x01\r\n",
        "1;a\rb",
        "1 a\r\n",
        "1\r\nab\r\n",
        "1\r\na\n",
        "1\r\na\r\r",
        "1\r\na0\r\n",
        "0\r\n\n",
        "0\r\nA\r\n",
        "0\r\n: b\r\n",
        "0\r\n A: b\r\n",
        "0\r\nA : b\r\n",
        "0\r\nA: b\n",
        "0\r\nA: \x01\r\n",
        "0\r\n\rx",
    ];
    for body in cases {
        let (_, error, _) = chunked(body);
        assert_eq!(error.map(|error| error.status()), Some(400), "{body:?}");
    }
}

#[test]
fn chunked_bodies_are_held_to_their_limits() {
    let too_large = Some(HttpError::BodyTooLarge { limit: LIMITS.max_body });
    // Known from the size, before the data.
    assert_eq!(chunked("801\r\n").1, too_large);
    assert_eq!(chunked("ffffffffffffffffffffff").1, too_large);
    let many = format!("{}0\r\n\r\n", "1\r\na\r\n".repeat(2049));
    assert_eq!(chunked(&many).1, too_large);
    let exact = format!("{}0\r\n\r\n", "1\r\na\r\n".repeat(2048));
    assert_eq!(chunked_body(&exact).map(|body| body.len()), Some(2048));
    for overhead in ["1;{}", "{}", "0\r\nA: {}"] {
        let filler = if overhead == "{}" { "0" } else { "x" }.repeat(17_000);
        let error = chunked(&overhead.replace("{}", &filler)).1;
        assert!(matches!(error, Some(HttpError::ChunkOverhead { .. })), "{overhead}");
    }
}
