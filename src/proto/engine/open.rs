//! The open packet: what the server tells the client first (engine.io-protocol 4, "Handshake").

use super::packet::PacketError;
use super::transport::{TransportKind, Transports};
use crate::proto::json::{ReadOptions, Reader, Sink, Text};
use std::borrow::Cow;
use std::convert::Infallible;
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

impl OpenPacket<'static> {
    /// Reads the JSON object that follows the `0`. Members and upgrades that are not known are skipped;
    /// the sid and both ping times have to be there.
    pub fn decode(data: &str) -> Result<Self, PacketError> {
        let mut reader = Reader::new(data, ReadOptions::default());
        let Ok(Value::Object(fields)) = reader.value(&mut Handshake) else {
            return Err(PacketError::Handshake);
        };
        reader.finish().map_err(|_| PacketError::Handshake)?;
        fields.packet().ok_or(PacketError::Handshake)
    }
}

/// Builds the members of a handshake from its JSON.
struct Handshake;

/// The members that are known; of another type than theirs they count as absent.
#[derive(Default)]
struct Fields {
    sid: Option<String>,
    upgrades: Transports,
    ping_interval: Option<Duration>,
    ping_timeout: Option<Duration>,
    max_payload: Option<usize>,
}

impl Fields {
    fn packet(self) -> Option<OpenPacket<'static>> {
        Some(OpenPacket {
            sid: Cow::Owned(self.sid.filter(|sid| !sid.is_empty())?),
            upgrades: self.upgrades,
            ping_interval: self.ping_interval?,
            ping_timeout: self.ping_timeout?,
            max_payload: self.max_payload.filter(|bytes| *bytes > 0),
        })
    }
}

/// A JSON value, as far as a handshake has use for it.
enum Value {
    Text(String),
    Number(f64),
    Names(Transports),
    Object(Box<Fields>),
    Other,
}

impl Value {
    fn millis(&self) -> Option<Duration> {
        match self {
            Self::Number(millis) => Duration::try_from_secs_f64(millis / 1000.0).ok(),
            _ => None,
        }
    }
}

enum Member {
    Sid,
    Upgrades,
    PingInterval,
    PingTimeout,
    MaxPayload,
    Other,
}

impl Sink for Handshake {
    type Value = Value;
    type Error = Infallible;
    type Array = Transports;
    type Object = Box<Fields>;
    type Key = Member;

    fn null(&mut self) -> Result<Value, Infallible> {
        Ok(Value::Other)
    }

    fn boolean(&mut self, _value: bool) -> Result<Value, Infallible> {
        Ok(Value::Other)
    }

    #[expect(clippy::cast_precision_loss, reason = "exact for every time and size that makes sense")]
    fn integer(&mut self, value: i64) -> Result<Value, Infallible> {
        Ok(Value::Number(value as f64))
    }

    #[expect(clippy::cast_precision_loss, reason = "exact for every time and size that makes sense")]
    fn unsigned(&mut self, value: u64) -> Result<Value, Infallible> {
        Ok(Value::Number(value as f64))
    }

    fn float(&mut self, value: f64) -> Result<Value, Infallible> {
        Ok(Value::Number(value))
    }

    fn string(&mut self, text: Text<'_>) -> Result<Value, Infallible> {
        Ok(text.as_str().map_or(Value::Other, |text| Value::Text(text.to_owned())))
    }

    fn attachment(&mut self, _index: usize) -> Result<Value, Infallible> {
        Ok(Value::Other)
    }

    fn binary(&mut self, _data: &[u8]) -> Result<Value, Infallible> {
        Ok(Value::Other)
    }

    fn begin_array(&mut self) -> Result<Transports, Infallible> {
        Ok(Transports::default())
    }

    fn push(&mut self, array: &mut Transports, value: Value) -> Result<(), Infallible> {
        if let Value::Text(name) = value {
            array.extend(TransportKind::parse(&name));
        }
        Ok(())
    }

    fn end_array(&mut self, array: Transports) -> Result<Value, Infallible> {
        Ok(Value::Names(array))
    }

    fn begin_object(&mut self) -> Result<Box<Fields>, Infallible> {
        Ok(Box::default())
    }

    fn key(&mut self, _object: &mut Box<Fields>, text: Text<'_>) -> Result<Member, Infallible> {
        Ok(match text.as_bytes() {
            b"sid" => Member::Sid,
            b"upgrades" => Member::Upgrades,
            b"pingInterval" => Member::PingInterval,
            b"pingTimeout" => Member::PingTimeout,
            b"maxPayload" => Member::MaxPayload,
            _ => Member::Other,
        })
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates")]
    fn insert(&mut self, object: &mut Box<Fields>, key: Member, value: Value) -> Result<(), Infallible> {
        match (key, value) {
            (Member::Sid, Value::Text(sid)) => object.sid = Some(sid),
            (Member::Upgrades, Value::Names(names)) => object.upgrades = names,
            (Member::PingInterval, value) => object.ping_interval = value.millis(),
            (Member::PingTimeout, value) => object.ping_timeout = value.millis(),
            (Member::MaxPayload, Value::Number(bytes)) => object.max_payload = Some(bytes as usize),
            _ => {}
        }
        Ok(())
    }

    fn end_object(&mut self, object: Box<Fields>) -> Result<Value, Infallible> {
        Ok(Value::Object(object))
    }

    fn discard_object(&mut self, _object: Box<Fields>) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet() -> OpenPacket<'static> {
        OpenPacket {
            sid: Cow::Borrowed("abcdefghijklmnopqrst"),
            upgrades: [TransportKind::WebSocket].into_iter().collect(),
            ping_interval: Duration::from_secs(25),
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

    #[test]
    fn it_reads_back() {
        let mut out = Vec::new();
        packet().encode(&mut out);
        assert_eq!(OpenPacket::decode(&String::from_utf8(out).unwrap()), Ok(packet()));
    }

    #[test]
    fn what_other_servers_say_is_read_too() {
        let text = r#" {"sid": "é\n", "upgrades": ["webtransport", 1, null], "pingInterval": 300.5, "x": {"sid": "no"},
            "pingTimeout": 2e3, "maxPayload": "no"} "#;
        let packet = OpenPacket::decode(text).unwrap();
        assert_eq!((&*packet.sid, packet.upgrades, packet.max_payload), ("é\n", Transports::default(), None));
        assert_eq!(packet.ping_interval, Duration::from_micros(300_500));
        assert_eq!(packet.ping_timeout, Duration::from_secs(2));
        let text = r#"{"sid":"x","pingInterval":0,"pingTimeout":1e300,"maxPayload":1e300}"#;
        assert_eq!(OpenPacket::decode(text), Err(PacketError::Handshake));
        let text = r#"{"sid":"x","pingInterval":0,"pingTimeout":18446744073709551615,"maxPayload":0}"#;
        assert_eq!(OpenPacket::decode(text).unwrap().max_payload, None);
    }

    #[test]
    fn without_a_sid_or_a_ping_time_it_is_none() {
        let texts = [
            "",
            "{}",
            "[]",
            "null",
            r#"{"sid":"x","pingInterval":1}"#,
            r#"{"sid":"","pingInterval":1,"pingTimeout":1}"#,
            r#"{"sid":1,"pingInterval":1,"pingTimeout":1}"#,
            r#"{"sid":"x","pingInterval":-1,"pingTimeout":1}"#,
            r#"{"sid":"x","pingInterval":1,"pingTimeout":1} x"#,
            r#"{"sid":"x","pingInterval":1,"pingTimeout":1"#,
        ];
        for text in texts {
            assert_eq!(OpenPacket::decode(text), Err(PacketError::Handshake), "{text}");
        }
    }
}
