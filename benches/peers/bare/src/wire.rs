//! Frames of clients unmasked in place, frames for clients written, and the handshake.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

/// The answer to a handshake, without the key's and the last blank line.
const SWITCHING: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Accept: ";
const KEY: &[u8] = b"sec-websocket-key:";
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Append the answer to a client's handshake.
pub(crate) fn switch(request: &[u8], out: &mut Vec<u8>) {
    let named = |line: &&[u8]| line.get(..KEY.len()).is_some_and(|name| name.eq_ignore_ascii_case(KEY));
    let key = request.split(|&byte| byte == b'\n').find(named).and_then(|line| line.get(KEY.len()..));
    let hash = Sha1::new().chain_update(key.unwrap_or_default().trim_ascii()).chain_update(GUID).finalize();
    out.extend_from_slice(SWITCHING);
    out.extend_from_slice(STANDARD.encode(hash).as_bytes());
    out.extend_from_slice(b"\r\n\r\n");
}

/// What comes first on every websocket.
pub(crate) const OPEN: &[u8] =
    br#"0{"sid":"AAAAAAAAAAAAAAAAAAAA","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#;

/// A message of a client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message<'a> {
    pub(crate) binary: bool,
    pub(crate) data: &'a [u8],
}

/// The length of the frame that the bytes begin with, with its head; None while the head is not whole.
pub(crate) fn length(bytes: &[u8]) -> Option<usize> {
    let [_, second, rest @ ..] = bytes else { return None };
    let (head, length) = match second & 0x7f {
        126 => (8, u64::from(u16::from_be_bytes(*rest.first_chunk()?))),
        127 => (14, u64::from_be_bytes(*rest.first_chunk()?)),
        short => (6, u64::from(short)),
    };
    usize::try_from(length).ok()?.checked_add(head)
}

/// Unmask a whole frame: the message, if it is one.
pub(crate) fn message(frame: &mut [u8]) -> Option<Message<'_>> {
    let ([first, second], rest) = frame.split_first_chunk_mut::<2>()?;
    let (first, skipped) = match *second & 0x7f {
        126 => (*first, 2),
        127 => (*first, 8),
        _ => (*first, 0),
    };
    let (&mut key, data) = rest.get_mut(skipped..)?.split_first_chunk_mut::<4>()?;
    unmask(data, key);
    match first & 0x0f {
        1 => Some(Message { binary: false, data }),
        2 => Some(Message { binary: true, data }),
        _ => None,
    }
}

fn unmask(data: &mut [u8], key: [u8; 4]) {
    let [a, b, c, d] = key;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (chunks, rest) = data.as_chunks_mut::<8>();
    for chunk in chunks {
        *chunk = (u64::from_ne_bytes(*chunk) ^ wide).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip([a, b, c, d, a, b, c]) {
        *byte ^= key;
    }
}

/// Append a text frame made of parts.
pub(crate) fn text(parts: &[&[u8]], out: &mut Vec<u8>) {
    frame(0x81, parts, out);
}

/// Append a binary frame.
pub(crate) fn binary(data: &[u8], out: &mut Vec<u8>) {
    frame(0x82, &[data], out);
}

fn frame(first: u8, parts: &[&[u8]], out: &mut Vec<u8>) {
    out.push(first);
    let length: usize = parts.iter().map(|part| part.len()).sum();
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short @ 0..126), _) => out.push(short),
        (_, Ok(medium)) => {
            out.push(126);
            out.extend_from_slice(&medium.to_be_bytes());
        }
        _ => {
            out.push(127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    for part in parts {
        out.extend_from_slice(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MASK: [u8; 4] = [1, 2, 3, 4];

    fn masked(data: &[u8]) -> Vec<u8> {
        let mut frame = Vec::new();
        text(&[data], &mut frame);
        let mut payload = frame.split_off(frame.len() - data.len());
        frame[1] |= 0x80;
        unmask(&mut payload, MASK);
        [frame, MASK.to_vec(), payload].concat()
    }

    #[test]
    fn a_handshake_is_answered_by_its_key() {
        let mut out = Vec::new();
        switch(b"GET / HTTP/1.1\r\nsec-websocket-KEY: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", &mut out);
        assert!(out.ends_with(b"Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"), "RFC 6455, 1.3");
    }

    #[test]
    fn a_frame_of_any_size_is_measured_and_unmasked() {
        for size in [0, 1, 7, 8, 125, 126, 65_535, 65_536] {
            let data = vec![b'x'; size];
            let mut frame = masked(&data);
            assert_eq!(length(&frame), Some(frame.len()));
            assert_eq!(message(&mut frame).map(|message| message.data), Some(data.as_slice()));
        }
    }

    #[test]
    fn a_head_that_is_not_whole_has_no_length() {
        let frame = masked(&[0; 300]);
        assert!((0..4).all(|end| length(&frame[..end]).is_none()));
    }
}
