//! The events of the benches, by their prefixes.

use crate::wire::{self, Message};

/// What a client wants.
#[derive(Debug)]
pub(crate) enum Request {
    /// To join the namespace.
    Connect,
    /// To join the room, with an answer.
    Join { id: u64 },
    /// Its argument back, as the answer.
    Echo { id: u64, payload: Payload },
    /// So many broadcasts of a payload.
    Series { id: u64, count: u64, per_second: Option<f64>, payload: Payload },
    /// One broadcast.
    Once { index: u64, payload: Payload },
    /// An event to be counted.
    Up,
    /// How many there were since the last time, as the answer.
    Count { id: u64 },
}

impl Request {
    /// Append the answer, for what is answered at once.
    pub(crate) fn answer(&self, out: &mut Vec<u8>) {
        match self {
            Self::Connect => wire::text(&[br#"40{"sid":"BBBBBBBBBBBBBBBBBBBB"}"#], out),
            Self::Join { id } | Self::Series { id, .. } => {
                wire::text(&[b"43", id.to_string().as_bytes(), b"[]"], out);
            }
            Self::Echo { id, payload } => {
                payload.after([b"43", b"461-"], [id.to_string().as_bytes(), b"[", b""], out);
            }
            Self::Once { .. } | Self::Up | Self::Count { .. } => {}
        }
    }

    /// Whether there is more to it than an answer.
    pub(crate) fn concerns_others(&self) -> bool {
        matches!(self, Self::Join { .. } | Self::Series { .. } | Self::Once { .. })
    }
}

/// The last argument of an event, with the closing bracket.
#[derive(Debug)]
pub(crate) struct Payload {
    pub(crate) argument: Vec<u8>,
    pub(crate) attachment: Option<Vec<u8>>,
}

impl Payload {
    /// Append the broadcast of an index.
    pub(crate) fn broadcast(&self, index: u64, out: &mut Vec<u8>) {
        self.after([b"42", b"451-"], [br#"["b","#, index.to_string().as_bytes(), b","], out);
    }

    /// Append a packet: one of two kinds, without an attachment or with it, then a head, then this.
    fn after(&self, kinds: [&[u8]; 2], [a, b, c]: [&[u8]; 3], out: &mut Vec<u8>) {
        let [plain, binary] = kinds;
        let kind = if self.attachment.is_some() { binary } else { plain };
        wire::text(&[kind, a, b, c, &self.argument], out);
        if let Some(attachment) = &self.attachment {
            wire::binary(attachment, out);
        }
    }
}

/// The text of an event whose attachment has not come.
#[derive(Debug, Default)]
pub(crate) struct Partial(Vec<u8>);

impl Partial {
    /// What a message means; None for what means nothing here, and for the first half of an event.
    pub(crate) fn take(&mut self, message: Message<'_>) -> Option<Request> {
        if message.binary {
            return event(&std::mem::take(&mut self.0), Some(message.data));
        }
        if message.data.starts_with(b"40") {
            return Some(Request::Connect);
        }
        match message.data.strip_prefix(b"451-") {
            Some(text) => {
                self.0 = text.to_vec();
                None
            }
            None => event(message.data.strip_prefix(b"42")?, None),
        }
    }
}

fn event(text: &[u8], attachment: Option<&[u8]>) -> Option<Request> {
    let (id, text) = number(text);
    if text.starts_with(br#"["up","#) {
        return Some(Request::Up);
    }
    if text == br#"["count"]"# {
        return Some(Request::Count { id });
    }
    let payload =
        |argument: &[u8]| Payload { argument: argument.to_vec(), attachment: attachment.map(<[u8]>::to_vec) };
    if let Some(argument) = text.strip_prefix(br#"["echo","#) {
        return Some(Request::Echo { id, payload: payload(argument) });
    }
    if let Some(rest) = text.strip_prefix(br#"["once","#) {
        let (index, rest) = number(rest);
        return Some(Request::Once { index, payload: payload(rest.strip_prefix(b",")?) });
    }
    if let Some(rest) = text.strip_prefix(br#"["flood","#) {
        let (count, rest) = number(rest);
        let payload = payload(rest.strip_prefix(b",")?);
        return Some(Request::Series { id, count, per_second: None, payload });
    }
    if let Some(rest) = text.strip_prefix(br#"["paced","#) {
        let (count, rest) = number(rest);
        let (per_second, rest) = number(rest.strip_prefix(b",")?);
        let payload = payload(rest.strip_prefix(b",")?);
        return Some(Request::Series { id, count, per_second: Some(per_second as f64), payload });
    }
    (text == br#"["join"]"#).then_some(Request::Join { id })
}

fn number(mut text: &[u8]) -> (u64, &[u8]) {
    let mut value = 0_u64;
    while let [digit @ b'0'..=b'9', rest @ ..] = text {
        value = value.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
        text = rest;
    }
    (value, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(texts: &[(bool, &[u8])]) -> Vec<u8> {
        let (mut partial, mut out) = (Partial::default(), Vec::new());
        for &(binary, data) in texts {
            if let Some(request) = partial.take(Message { binary, data }) {
                request.answer(&mut out);
            }
        }
        out
    }

    #[test]
    fn what_is_asked_is_answered() {
        assert_eq!(answer(&[(false, br#"427["echo",[1]]"#)]), b"\x81\x08437[[1]]");
        assert_eq!(answer(&[(false, br#"420["join"]"#)]), b"\x81\x05430[]");
        let binary = answer(&[(false, br#"451-3["echo",{}]"#), (true, b"xy")]);
        assert_eq!(binary, b"\x81\x09461-3[{}]\x82\x02xy");
        assert_eq!(answer(&[(false, b"3"), (false, br#"42["other",1]"#)]), b"");
    }

    #[test]
    fn what_is_only_counted_has_no_payload() {
        let mut partial = Partial::default();
        let up = partial.take(Message { binary: false, data: br#"42["up",5,"x"]"# });
        assert!(matches!(up, Some(Request::Up)));
        let count = partial.take(Message { binary: false, data: br#"427["count"]"# });
        assert!(matches!(count, Some(Request::Count { id: 7 })));
    }

    #[test]
    fn a_series_has_its_count_rate_and_payload() {
        let message = Message { binary: false, data: br#"421["paced",250,50,"x"]"# };
        let Some(Request::Series { id: 1, count: 250, per_second: Some(rate), payload }) =
            Partial::default().take(message)
        else {
            panic!("another request");
        };
        let mut out = Vec::new();
        payload.broadcast(9, &mut out);
        assert_eq!((rate, out.as_slice()), (50.0, &b"\x81\x0d42[\"b\",9,\"x\"]"[..]));
    }
}
