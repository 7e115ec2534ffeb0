//! The packet trace: a line for each packet, for those who asked for it.

use super::event::{Event, TraceLayer};
use super::keys::SessionKey;
use super::reactor::Reactor;
use crate::proto::engine::Packet;
use crate::proto::socket::encoded::{Encoded, Part};
use crate::proto::socket::{Parser, shown};

/// Longer texts are cut in a trace.
const LONGEST: usize = 400;

/// Which way a packet went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// From the peer.
    In,
    /// To the peer.
    Out,
}

impl Reactor {
    fn trace(&mut self, layer: TraceLayer, key: SessionKey, flow: Flow, text: &str) {
        let Some(entry) = self.sessions.get(key) else { return };
        let arrow = if flow == Flow::In { "<-" } else { "->" };
        let cut = text.char_indices().nth(LONGEST).map_or(text.len(), |(at, _)| at);
        let more = if cut < text.len() { "…" } else { "" };
        // The session's id is its secret; OPEN has it in full.
        let shown = text.get(..cut).unwrap_or_default().replace(entry.sid.as_str(), "…");
        let transport = entry.engine.transport();
        let line = format!("{:?} {transport:9} {arrow} {shown}{more}", entry.sid);
        self.batch.events.push(Event::Trace { layer, line });
    }

    /// An Engine.IO packet as text.
    pub(super) fn trace_engine(&mut self, key: SessionKey, flow: Flow, text: &str) {
        if self.options.trace_engine {
            self.trace(TraceLayer::Engine, key, flow, text);
        }
    }

    /// A binary message.
    pub(super) fn trace_binary(&mut self, key: SessionKey, flow: Flow, length: usize) {
        if self.options.trace_engine {
            self.trace(TraceLayer::Engine, key, flow, &format!("<{length} bytes>"));
        }
    }

    /// An Engine.IO packet of a polling payload.
    pub(super) fn trace_packet_in(&mut self, key: SessionKey, flow: Flow, packet: &Packet<'_>) {
        if !self.options.trace_engine {
            return;
        }
        let mut text = Vec::new();
        match packet {
            Packet::Binary(data) => self.trace_binary(key, flow, data.len()),
            packet => {
                packet.encode_text(&mut text);
                self.trace_engine(key, flow, &String::from_utf8_lossy(&text));
            }
        }
    }

    /// A Socket.IO packet that came.
    pub(super) fn trace_socket(&mut self, key: SessionKey, flow: Flow, text: &str) {
        if self.options.trace_socket {
            self.trace(TraceLayer::Socket, key, flow, text);
        }
    }

    /// Whether anybody asked for a trace.
    pub(super) fn is_tracing(&self) -> bool {
        self.options.trace_engine || self.options.trace_socket
    }

    /// A Socket.IO packet that is a binary message, in the notation of those that are texts.
    pub(super) fn trace_binary_packet(&mut self, key: SessionKey, flow: Flow, message: &[u8]) {
        if self.options.trace_socket && self.options.parser == Parser::Msgpack {
            self.trace(TraceLayer::Socket, key, flow, &shown::packet(message));
        }
    }

    /// A packet that goes into an outbox.
    pub(super) fn trace_packet_out(&mut self, key: SessionKey, packet: &Encoded) {
        if !self.is_tracing() {
            return;
        }
        for part in packet.parts() {
            match part {
                Part::Text(text) => {
                    let text = String::from_utf8_lossy(&text).into_owned();
                    self.trace_engine(key, Flow::Out, &text);
                    self.trace_socket(key, Flow::Out, text.get(1..).unwrap_or_default());
                }
                Part::Binary(data) => {
                    self.trace_binary(key, Flow::Out, data.len());
                    self.trace_binary_packet(key, Flow::Out, &data);
                }
            }
        }
    }
}
