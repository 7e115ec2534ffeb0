//! HTTP/1.1: requests under every cut of the stream, and what is read from them.

use crate::wire::cut;
use proptest::prelude::*;
use proptest::sample::Index;
use siox::proto::http::{Head, HttpError, HttpLimits, Phase, RequestEvent, RequestReader};

pub(crate) const LIMITS: HttpLimits = HttpLimits { max_head: 1024, max_headers: 8, max_body: 2048 };

/// A request that outlives its reader, in a form to compare.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Seen {
    method: String,
    target: String,
    headers: Vec<(String, Vec<u8>)>,
    expects_continue: bool,
    pub(crate) body: Option<Vec<u8>>,
}

fn see(head: &Head, expects_continue: bool) -> Seen {
    let headers = head.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    Seen { method: head.method().into(), target: head.target().into(), headers, expects_continue, body: None }
}

/// All requests of a stream that comes in these pieces, each answered at once; the error; the phase it ends in.
fn read_pieces<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Seen>, Option<HttpError>, Phase) {
    let mut reader = RequestReader::new(LIMITS);
    let mut seen = Vec::new();
    for piece in pieces {
        assert!(reader.wants_input(), "a reader whose requests are answered takes more");
        reader.push(piece);
        loop {
            match reader.poll() {
                Ok(Some(RequestEvent::Head { head, expects_continue, has_body })) => {
                    let phase = reader.phase();
                    assert!(if has_body { phase != Phase::Idle } else { phase == Phase::Done });
                    seen.push(see(&head, expects_continue));
                }
                Ok(Some(RequestEvent::Body(body))) => {
                    assert_eq!(reader.phase(), Phase::Done);
                    seen.last_mut().unwrap().body = Some(body);
                }
                Ok(None) if reader.phase() == Phase::Done => reader.next_request(),
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(reader.poll().unwrap_err(), error, "an error stays");
                    assert!(!reader.wants_input());
                    assert_eq!(reader.buffered(), 0);
                    return (seen, Some(error), reader.phase());
                }
            }
        }
        assert!(reader.buffered() <= 2 * (LIMITS.max_head + LIMITS.max_body) + piece.len());
        if reader.phase() == Phase::Idle {
            assert!(reader.buffered() <= 8, "between requests, half a blank line at most is held");
        }
    }
    (seen, None, reader.phase())
}

pub(crate) fn read(input: &[u8]) -> (Vec<Seen>, Option<HttpError>, Phase) {
    read_pieces([input])
}

pub(crate) fn error_of(input: &[u8]) -> Option<HttpError> {
    read(input).1
}

/// The one head of a request that is accepted.
fn head(input: &str) -> Head {
    let mut reader = RequestReader::new(LIMITS);
    reader.push(input.as_bytes());
    match reader.poll() {
        Ok(Some(RequestEvent::Head { head, .. })) => head,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn chunked(body: &str) -> (Vec<Seen>, Option<HttpError>, Phase) {
    read(format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}").as_bytes())
}

pub(crate) fn chunked_body(body: &str) -> Option<Vec<u8>> {
    let (seen, error, phase) = chunked(body);
    assert_eq!((error, phase), (None, Phase::Idle), "{body:?}");
    seen.into_iter().next().unwrap().body
}

const STREAM: &[u8] =
    b"GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: example.com\r\nOrigin: http://a\r\n\r\n\
    POST /x?sid=1 HTTP/1.1\r\nhost: a\r\nContent-Length: 5\r\nX-Empty:\r\n\r\nhello\
    \r\nPOST /y HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n\
    3;ext=\"v\"\r\nabc\r\n0a \r\n0123456789\r\n0\r\nTrailer: v\r\n\r\n\
    GET http://h:1/z HTTP/1.1\r\nHost: b\r\n\r\nOPTIONS * HTTP/1.0\r\n\r\n";

fn check_stream(seen: &[Seen]) {
    let targets: Vec<_> = seen.iter().map(|request| request.target.as_str()).collect();
    assert_eq!(targets, ["/socket.io/?EIO=4&transport=polling", "/x?sid=1", "/y", "http://h:1/z", "*"]);
    let bodies: Vec<_> = seen.iter().map(|request| request.body.as_deref()).collect();
    assert_eq!(bodies, [None, Some(&b"hello"[..]), Some(b"abc0123456789"), None, None]);
    assert_eq!(seen[1].headers[2], ("X-Empty".to_owned(), vec![]));
    assert!(seen[2].expects_continue && !seen[1].expects_continue);
}

#[test]
fn pipelined_requests_come_out_in_order() {
    let (seen, error, phase) = read(STREAM);
    assert_eq!((error, phase), (None, Phase::Idle));
    check_stream(&seen);
}

#[test]
fn a_stream_cut_anywhere_is_the_same_stream() {
    for at in 0..=STREAM.len() {
        let (first, second) = STREAM.split_at(at);
        let (seen, error, phase) = read_pieces([first, second]);
        assert_eq!((error, phase), (None, Phase::Idle), "cut at {at}");
        check_stream(&seen);
    }
    check_stream(&read_pieces(STREAM.chunks(1)).0);
}

#[test]
fn a_request_waits_for_the_answer_to_the_one_before() {
    let mut reader = RequestReader::new(LIMITS);
    assert_eq!(reader.phase(), Phase::Idle);
    reader.push(b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(reader.phase(), Phase::Head);
    assert!(matches!(reader.poll(), Ok(Some(RequestEvent::Head { head, .. })) if head.path() == "/1"));
    assert!(matches!(reader.poll(), Ok(None)));
    assert_eq!(reader.phase(), Phase::Done);
    reader.next_request();
    assert!(matches!(reader.poll(), Ok(Some(RequestEvent::Head { head, .. })) if head.path() == "/2"));
}

#[test]
fn pipelining_without_waiting_stops_the_reading() {
    let mut reader = RequestReader::new(LIMITS);
    let request = b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut pushed = 0;
    while reader.wants_input() {
        reader.push(request);
        let _ = reader.poll().unwrap();
        pushed += request.len();
    }
    assert!(pushed < LIMITS.max_head + 2 * request.len() + 1);
    assert!(reader.buffered() <= 2 * LIMITS.max_head);
}

#[test]
fn blank_lines_between_requests_begin_none() {
    let mut reader = RequestReader::new(LIMITS);
    for byte in b"\r\n\r\n\r" {
        reader.push(&[*byte]);
        assert!(matches!(reader.poll(), Ok(None)));
        assert_eq!(reader.phase(), Phase::Idle);
    }
    reader.push(b"\nG");
    assert!(matches!(reader.poll(), Ok(None)));
    assert_eq!(reader.phase(), Phase::Head);
}

#[test]
fn a_body_in_part_keeps_the_reader_in_its_phase() {
    let mut reader = RequestReader::new(LIMITS);
    reader.push(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab");
    assert!(matches!(reader.poll(), Ok(Some(RequestEvent::Head { has_body: true, .. }))));
    assert!(matches!(reader.poll(), Ok(None)));
    assert_eq!(reader.phase(), Phase::Body);
    reader.next_request();
    assert_eq!(reader.phase(), Phase::Body, "not before the request is whole");
    reader.push(b"cd");
    assert!(matches!(reader.poll(), Ok(Some(RequestEvent::Body(body))) if body == b"abcd"));
    assert_eq!(reader.phase(), Phase::Done);
}

#[test]
fn a_body_in_part_takes_no_more_memory_than_the_whole() {
    for framing in ["Content-Length: 1500", "Transfer-Encoding: chunked"] {
        let mut reader = RequestReader::new(HttpLimits { max_body: 1500, ..LIMITS });
        reader.push(format!("POST / HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n").as_bytes());
        assert!(matches!(reader.poll(), Ok(Some(RequestEvent::Head { .. }))));
        if framing.contains("chunked") {
            reader.push(b"5dc\r\n");
        }
        for sent in (0..1400).step_by(100) {
            reader.push(&[b'x'; 100]);
            assert!(matches!(reader.poll(), Ok(None)));
            assert!(reader.buffered() <= 1500 + 256, "{} at {sent}", reader.buffered());
        }
    }
}

#[test]
fn bytes_after_an_upgrade_are_handed_over() {
    let mut reader = RequestReader::new(LIMITS);
    reader.push(b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n\x81\x80");
    assert!(matches!(reader.poll(), Ok(Some(RequestEvent::Head { .. }))));
    assert!(matches!(reader.poll(), Ok(None)));
    assert_eq!(reader.into_rest(), b"\x81\x80");
}

#[test]
fn targets_are_read_in_their_forms() {
    let of = |target: &str, method: &str| {
        let head = head(&format!("{method} {target} HTTP/1.1\r\nHost: h\r\n\r\n"));
        (head.path().to_owned(), head.query().map(str::to_owned), head.host().map(str::to_owned))
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(of("/a/b?c=d?e", "GET"), ("/a/b".into(), some("c=d?e"), some("h")));
    assert_eq!(of("/a?", "GET"), ("/a".into(), some(""), some("h")));
    assert_eq!(of("/%20//x", "GET"), ("/%20//x".into(), None, some("h")));
    assert_eq!(of("/r?u=http://x/y", "GET"), ("/r".into(), some("u=http://x/y"), some("h")));
    assert_eq!(of("http://other:8/p?q", "GET"), ("/p".into(), some("q"), some("other:8")));
    assert_eq!(of("HTTPS://other?q", "GET"), (String::new(), some("q"), some("other")));
    assert_eq!(of("*", "OPTIONS"), ("*".into(), None, some("h")));
    for bad in ["GET *", "GET a/b", "GET http:///x", "GET ftp://h/x", "GET ?q", "GET"] {
        let request = format!("{bad} HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_eq!(error_of(request.as_bytes()).map(|error| error.status()), Some(400), "{bad}");
    }
}

#[test]
fn a_connection_stays_open_by_the_rules_of_its_version() {
    let keeps = |version: &str, lines: &str| {
        head(&format!("GET / HTTP/1.{version}\r\nHost: h\r\n{lines}\r\n")).keep_alive()
    };
    assert!(keeps("1", ""));
    assert!(!keeps("1", "Connection: close\r\n"));
    assert!(!keeps("1", "Connection: upgrade, Close\r\n"));
    assert!(!keeps("1", "Connection: keep-alive\r\nConnection: close\r\n"));
    assert!(!keeps("0", ""));
    assert!(keeps("0", "Connection: Keep-Alive\r\n"));
    assert!(!keeps("0", "Connection: keep-alive, close\r\n"));
}

#[test]
fn headers_are_found_in_any_case() {
    let head = head("GET / HTTP/1.1\r\nHost: h\r\nX-Two: 1\r\nx-two:  2 \r\nBytes: \u{e9}\r\n\r\n");
    assert_eq!(head.header("x-TWO"), Some("1"));
    assert_eq!(head.values("X-two").collect::<Vec<_>>(), [b"1", b"2"]);
    assert_eq!(head.header("bytes"), Some("\u{e9}"));
    assert_eq!(head.header("x-tw"), None);
    let names: Vec<_> = head.headers().map(|(name, _)| name).collect();
    assert_eq!(names, ["Host", "X-Two", "x-two", "Bytes"]);
}

#[test]
fn a_header_that_is_not_utf8_is_there_as_bytes() {
    let (seen, error, _) = read(b"GET / HTTP/1.1\r\nHost: h\r\nX: \xff\r\n\r\n");
    assert_eq!(error, None);
    assert_eq!(seen[0].headers[1], ("X".to_owned(), vec![0xff]));
}

#[test]
fn a_log_of_a_head_shows_no_secrets() {
    let head = head("GET /a?sid=secret HTTP/1.1\r\nHost: h\r\nCookie: secret\r\n\r\n");
    assert!(!format!("{head:?}").contains("secret"));
}

#[test]
fn a_head_of_another_server_is_taken_as_it_is() {
    let headers = [(&b"host"[..], &b"h"[..]), (b"x", b""), (b"origin", b"http://a\r\nb")];
    let head = Head::build("GET", "/p?q=1", headers.into_iter()).unwrap();
    assert_eq!((head.method(), head.path(), head.query()), ("GET", "/p", Some("q=1")));
    assert_eq!((head.header("Host"), head.header("X")), (Some("h"), Some("")));
    assert_eq!(head.header("Origin"), Some("http://a\r\nb"));
    let large = vec![b'a'; 70_000];
    let error = Head::build("GET", "/", [(&b"x"[..], &large[..])].into_iter()).unwrap_err();
    assert_eq!(error.status(), 431);
}

#[test]
fn an_expectation_counts_where_there_is_a_body_and_version_11() {
    let expects = |version: &str, length: usize| {
        let request = format!(
            "POST / HTTP/1.{version}\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: {length}\r\n\r\n"
        );
        read(request.as_bytes()).0[0].expects_continue
    };
    assert!(expects("1", 1));
    assert!(!expects("1", 0));
    assert!(!expects("0", 1));
}

#[test]
fn chunked_bodies_are_put_together() {
    let cases = [
        ("0\r\n\r\n", ""),
        ("3\r\nabc\r\n0\r\n\r\n", "abc"),
        ("00003\r\nabc\r\n000\r\n\r\n", "abc"),
        ("a\r\n0123456789\r\nB\r\nabcdefghijk\r\n0\r\n\r\n", "0123456789abcdefghijk"),
        ("3;a;b=c;d=\"e f\"\r\n\r\nx\r\n0;last\r\n\r\n", "\r\nx"),
        ("3 \t;a\r\nabc\r\n0\r\nA: b\r\nC:\r\n\r\n", "abc"),
    ];
    for (body, expected) in cases {
        assert_eq!(chunked_body(body).as_deref(), Some(expected.as_bytes()), "{body:?}");
    }
}

/// Lines that look like requests more often than chance would have it.
fn likely_bytes() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        Just(b"GET / HTTP/1.1\r\nHost: a\r\n".to_vec()),
        Just(b"POST /x HTTP/1.0\r\n".to_vec()),
        Just(b"Content-Length: 3\r\n".to_vec()),
        Just(b"Transfer-Encoding: chunked\r\n".to_vec()),
        Just(b"Expect: 100-continue\r\n".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"3\r\nabc\r\n".to_vec()),
        Just(b"0\r\n\r\n".to_vec()),
        prop::collection::vec(any::<u8>(), 0..9),
        "[A-Za-z]{1,5}: \\PC{0,9}\r\n".prop_map(String::into_bytes),
    ];
    prop::collection::vec(line, 0..12).prop_map(|lines| lines.concat())
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic_and_cuts_change_nothing(
        bytes in likely_bytes(),
        cuts in prop::collection::vec(any::<Index>(), 0..12),
    ) {
        let whole = read(&bytes);
        prop_assert_eq!(&read_pieces(cut(&bytes, &cuts)), &whole);
        prop_assert_eq!(&read_pieces(bytes.chunks(1)), &whole);
    }

    #[test]
    fn any_body_in_any_chunks_reads_back(
        body in prop::collection::vec(any::<u8>(), 0..500),
        chunks in prop::collection::vec(any::<Index>(), 0..8),
        cuts in prop::collection::vec(any::<Index>(), 0..8),
    ) {
        let mut wire = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
        for chunk in cut(&body, &chunks).into_iter().filter(|chunk| !chunk.is_empty()) {
            wire.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            wire.extend_from_slice(chunk);
            wire.extend_from_slice(b"\r\n");
        }
        wire.extend_from_slice(b"0\r\n\r\n");
        let (seen, error, phase) = read_pieces(cut(&wire, &cuts));
        prop_assert_eq!((error, phase), (None, Phase::Idle));
        prop_assert_eq!(seen[0].body.as_deref(), Some(&body[..]));
    }
}
