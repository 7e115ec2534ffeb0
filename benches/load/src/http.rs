//! The little HTTP that Socket.IO clients speak: requests written, responses read.

/// The handshake's key may be the same every time; then so is its answer.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &[u8] = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
const MAX_HEADERS: usize = 32;

/// A whole response.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

/// The request that becomes a websocket; with a `sid` it is an upgrade.
pub(crate) fn upgrade(port: u16, sid: Option<&str>, out: &mut Vec<u8>) {
    let sid = sid.map(|sid| format!("&sid={sid}")).unwrap_or_default();
    out.extend_from_slice(
        format!(
            "GET /socket.io/?EIO=4&transport=websocket{sid} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\
             Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: {KEY}\r\n\r\n"
        )
        .as_bytes(),
    );
}

/// A poll, or without `sid` the first one.
pub(crate) fn get(port: u16, sid: Option<&str>, out: &mut Vec<u8>) {
    let sid = sid.map(|sid| format!("&sid={sid}")).unwrap_or_default();
    out.extend_from_slice(
        format!("GET /socket.io/?EIO=4&transport=polling{sid} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n")
            .as_bytes(),
    );
}

/// Packets to the server.
pub(crate) fn post(port: u16, sid: &str, body: &[u8], out: &mut Vec<u8>) {
    let length = body.len();
    out.extend_from_slice(
        format!(
            "POST /socket.io/?EIO=4&transport=polling&sid={sid} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\
             Content-Type: text/plain;charset=UTF-8\r\nContent-Length: {length}\r\n\r\n"
        )
        .as_bytes(),
    );
    out.extend_from_slice(body);
}

/// Read the answer to `upgrade`; None while it is not whole. Returns what follows: frames.
pub(crate) fn accepted(bytes: &[u8]) -> Result<Option<&[u8]>, String> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut head = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(length) = head.parse(bytes).map_err(|error| error.to_string())? else {
        return Ok(None);
    };
    if head.code != Some(101) {
        return Err(format!("HTTP {}", head.code.unwrap_or(0)));
    }
    match header(&head, "sec-websocket-accept") {
        Some(ACCEPT) => Ok(bytes.get(length..)),
        _ => Err("a wrong Sec-WebSocket-Accept".to_owned()),
    }
}

/// Read a response; None while it is not whole. Returns what follows too.
pub(crate) fn response(bytes: &[u8]) -> Result<Option<(Response, &[u8])>, String> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut head = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(length) = head.parse(bytes).map_err(|error| error.to_string())? else {
        return Ok(None);
    };
    let status = head.code.unwrap_or(0);
    let after = bytes.get(length..).unwrap_or_default();
    if header(&head, "transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case(b"chunked")) {
        return Ok(chunked(after)?.map(|(body, rest)| (Response { status, body }, rest)));
    }
    let length = match header(&head, "content-length") {
        None => 0,
        Some(value) => std::str::from_utf8(value)
            .ok()
            .and_then(|value| value.trim().parse().ok())
            .ok_or("a bad Content-Length")?,
    };
    Ok(after.split_at_checked(length).map(|(body, rest)| (Response { status, body: body.to_vec() }, rest)))
}

fn header<'a>(head: &httparse::Response<'_, 'a>, name: &str) -> Option<&'a [u8]> {
    head.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value)
}

/// The body, and what follows it.
type Body<'a> = (Vec<u8>, &'a [u8]);

fn chunked(mut bytes: &[u8]) -> Result<Option<Body<'_>>, String> {
    let mut body = Vec::new();
    loop {
        let size = httparse::parse_chunk_size(bytes).map_err(|_| "a bad chunk")?;
        let httparse::Status::Complete((start, size)) = size else { return Ok(None) };
        let size = usize::try_from(size).map_err(|_| "a chunk that is too long")?;
        let Some((chunk, after)) = bytes.get(start..).and_then(|rest| rest.split_at_checked(size)) else {
            return Ok(None);
        };
        let [b'\r', b'\n', after @ ..] = after else {
            return if after.len() < 2 { Ok(None) } else { Err("a chunk without an end".to_owned()) };
        };
        body.extend_from_slice(chunk);
        bytes = after;
        if size == 0 {
            return Ok(Some((body, bytes)));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PLAIN: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    const CHUNKED: &[u8] =
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n";

    #[test]
    fn a_response_is_read_once_it_is_whole() {
        for whole in [PLAIN, CHUNKED] {
            for end in 0..whole.len() {
                assert_eq!(response(&whole[..end]), Ok(None), "{end} bytes");
            }
            let two = [whole, b"HTTP"].concat();
            let expected = Response { status: 200, body: b"ok".to_vec() };
            assert_eq!(response(&two), Ok(Some((expected, &b"HTTP"[..]))));
        }
    }

    #[test]
    fn a_websocket_is_accepted_by_the_right_answer_only() {
        let head = |accept: &str| {
            format!("HTTP/1.1 101 x\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n\r\n\u{1}")
        };
        let right = head("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(accepted(right.as_bytes()), Ok(Some(&b"\x01"[..])));
        assert_eq!(accepted(&right.as_bytes()[..60]), Ok(None));
        assert!(accepted(head("s3pPLMBiTxaQ9kYGzzhZRbK+xOp=").as_bytes()).is_err());
        assert_eq!(accepted(b"HTTP/1.1 400 Bad Request\r\n\r\n"), Err("HTTP 400".to_owned()));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_response_or_a_fault(
            mut bytes in prop::collection::vec(any::<u8>(), 0..60),
            at in 0..CHUNKED.len(),
        ) {
            let mut changed = CHUNKED[..at].to_vec();
            changed.append(&mut bytes);
            let _ = response(&changed);
            let _ = accepted(&changed);
        }
    }
}
