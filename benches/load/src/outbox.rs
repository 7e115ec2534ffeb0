//! Packets on their way to the server, written for the transport that will carry them.

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::frame::{self, Op};
use crate::payload::Payload;

/// Between the packets of a polling body.
pub(crate) const SEPARATOR: u8 = 0x1e;

/// What the bytes are written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    /// Masked frames.
    Frames,
    /// The body of a POST.
    Body,
}

/// Packets that were not written to a connection yet.
#[derive(Debug)]
pub(crate) struct Outbox {
    wire: Wire,
    bytes: Vec<u8>,
}

impl Outbox {
    pub(crate) fn new(wire: Wire) -> Self {
        Self { wire, bytes: Vec::new() }
    }

    /// From polling to frames; nothing may wait here.
    pub(crate) fn switch(&mut self) {
        self.wire = Wire::Frames;
    }

    /// The bytes; whoever has written them removes them.
    pub(crate) fn bytes(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// A text packet made of parts.
    pub(crate) fn text(&mut self, parts: &[&[u8]]) {
        match self.wire {
            Wire::Frames => frame::write(Op::Text, parts, &mut self.bytes),
            Wire::Body => {
                self.separate();
                for part in parts {
                    self.bytes.extend_from_slice(part);
                }
            }
        }
    }

    /// An event with the id that its answer shall carry; the payload is the last argument.
    ///
    /// `head` is what stands between the id and the payload, such as `["echo",`, in three parts.
    pub(crate) fn event(&mut self, id: Option<u64>, head: [&[u8]; 3], payload: &Payload) {
        let mut digits = itoa::Buffer::new();
        let id = id.map_or("", |id| digits.format(id)).as_bytes();
        let kind: &[u8] = if payload.attachment().is_some() { b"451-" } else { b"42" };
        let [a, b, c] = head;
        self.text(&[kind, id, a, b, c, payload.text(), b"]"]);
        if let Some(attachment) = payload.attachment() {
            self.binary(attachment);
        }
    }

    fn binary(&mut self, bytes: &[u8]) {
        match self.wire {
            Wire::Frames => frame::write(Op::Binary, &[bytes], &mut self.bytes),
            Wire::Body => {
                self.separate();
                self.bytes.push(b'b');
                self.bytes.extend_from_slice(STANDARD.encode(bytes).as_bytes());
            }
        }
    }

    fn separate(&mut self) {
        if !self.bytes.is_empty() {
            self.bytes.push(SEPARATOR);
        }
    }

    /// A frame that is no message; nothing over polling.
    pub(crate) fn pong(&mut self, payload: &[u8]) {
        if self.wire == Wire::Frames {
            frame::write(Op::Pong, &[payload], &mut self.bytes);
        }
    }
}
