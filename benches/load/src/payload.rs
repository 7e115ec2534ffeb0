//! What travels: three payloads, and the check that they come back as they went.

use clap::ValueEnum;
use serde_json::{Value, json};

use crate::fault::show;

/// Which payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// A string that makes the packet `42["b",i,"..."]` 60 bytes long when i has 6 digits.
    #[value(name = "60")]
    Short,
    /// A JSON object of 1,024 bytes with 12 fields.
    #[value(name = "1k")]
    Json,
    /// 1,024 bytes of binary, as one attachment.
    #[value(name = "bin1k")]
    Binary,
}

/// One payload, ready to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Payload {
    value: Value,
    text: Vec<u8>,
    attachment: Option<Vec<u8>>,
}

const KILOBYTE: usize = 1024;

impl Payload {
    /// The payload of a kind; the same in every run.
    pub(crate) fn new(kind: Kind) -> Self {
        let (value, attachment) = match kind {
            Kind::Short => (json!("The quick brown fox jumps over the lazy dog"), None),
            Kind::Json => (object(), None),
            Kind::Binary => {
                let bytes = (0..KILOBYTE).map(|i| i.wrapping_mul(167).to_le_bytes()[0]).collect();
                (json!({"_placeholder": true, "num": 0}), Some(bytes))
            }
        };
        let text = value.to_string().into_bytes();
        Self { value, text, attachment }
    }

    /// The argument as it stands in the packet's JSON.
    pub(crate) fn text(&self) -> &[u8] {
        &self.text
    }

    /// What follows the packet as a binary message.
    pub(crate) fn attachment(&self) -> Option<&[u8]> {
        self.attachment.as_deref()
    }
}

fn object() -> Value {
    let mut object = json!({
        "id": 4_815_162_342_u64,
        "kind": "position",
        "name": "Grüße aus Łódź",
        "active": true,
        "parent": null,
        "latitude": 52.520_08,
        "longitude": 13.404_954,
        "speed": -17.25,
        "tags": ["alpha", "beta", "gamma", "delta"],
        "track": [[1, 2, 3], [4, 5, 6], [7, 8, 9], [10, 11, 12.5]],
        "owner": {"id": 7, "name": "Ada \"the first\" L.", "roles": ["admin", "editor"]},
        "note": "",
    });
    let missing = KILOBYTE.saturating_sub(object.to_string().len());
    let note: String =
        "All work and no play makes a dull benchmark. ".chars().cycle().take(missing).collect();
    if let Some(place) = object.get_mut("note") {
        *place = Value::String(note);
    }
    object
}

/// Compares what came back. JSON that is written otherwise than ours is parsed once, then its bytes are known.
#[derive(Debug)]
pub(crate) struct Check {
    value: Value,
    known: Vec<u8>,
    attachment: Option<Vec<u8>>,
}

impl Check {
    /// Check for one payload.
    pub(crate) fn new(payload: &Payload) -> Self {
        Self { value: payload.value.clone(), known: Vec::new(), attachment: payload.attachment.clone() }
    }

    /// Whether a tail, `,<argument>]` or `[<argument>]`, holds the payload.
    #[inline]
    pub(crate) fn tail(&mut self, tail: &[u8], attachment: bool) -> bool {
        attachment == self.attachment.is_some() && (tail == self.known || self.learn(tail))
    }

    /// Whether a binary message is the payload's.
    pub(crate) fn attachment(&self, bytes: &[u8]) -> bool {
        self.attachment.as_deref() == Some(bytes)
    }

    /// What is expected, for a person.
    pub(crate) fn shown(&self) -> String {
        show(self.value.to_string().as_bytes())
    }

    #[cold]
    fn learn(&mut self, tail: &[u8]) -> bool {
        let [b',' | b'[', argument @ .., b']'] = tail else { return false };
        if serde_json::from_slice::<Value>(argument).ok().as_ref() != Some(&self.value) {
            return false;
        }
        self.known = tail.to_vec();
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sizes_are_as_named() {
        let short = Payload::new(Kind::Short);
        let packet = format!(r#"42["b",123456,{}]"#, String::from_utf8_lossy(short.text()));
        assert_eq!(packet.len(), 60);
        assert_eq!(Payload::new(Kind::Json).text().len(), KILOBYTE);
        assert_eq!(Payload::new(Kind::Binary).attachment().map(<[u8]>::len), Some(KILOBYTE));
    }

    #[test]
    fn the_same_value_may_be_written_otherwise() {
        let payload = Payload::new(Kind::Json);
        let mut check = Check::new(&payload);
        let ours = [b",", payload.text(), b"]"].concat();
        assert!(check.tail(&ours, false));
        let ascii = String::from_utf8(ours.clone()).unwrap().replace('ü', "\\u00fc");
        assert!(check.tail(ascii.as_bytes(), false));
        assert!(check.tail(&ours, false));
    }

    #[test]
    fn another_value_is_refused() {
        let payload = Payload::new(Kind::Json);
        let mut check = Check::new(&payload);
        let right = String::from_utf8([b"[", payload.text(), b"]"].concat()).unwrap();
        assert!(check.tail(right.as_bytes(), false));
        assert!(!check.tail(right.replace("52.52008", "52.52009").as_bytes(), false));
        assert!(!check.tail(right.replace("true", "false").as_bytes(), false));
        assert!(!check.tail(right.trim_end_matches(']').as_bytes(), false));
        assert!(!check.tail(right.as_bytes(), true));
        assert!(!check.attachment(b""));
    }
}
