//! Packets of a server, told apart by prefix and digits only.

/// What the text of a message or of an Engine.IO packet is. A tail is what follows the number, unread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packet<'a> {
    /// `42["b",<index><tail>`, and with an attachment to come `451-["b",<index><tail>`.
    Broadcast { index: u64, tail: &'a [u8], attachment: bool },
    /// `43<id><tail>`, and with an attachment to come `461-<id><tail>`.
    Ack { id: u64, tail: &'a [u8], attachment: bool },
    /// `42["done",<count>]`
    Done(u64),
    /// A binary message.
    Attachment(&'a [u8]),
    /// `0{...}`: the session is open.
    Open(&'a [u8]),
    /// `2`
    Ping,
    /// `3probe`
    ProbePong,
    /// `6`
    Noop,
    /// `40{...}`: the namespace is joined.
    Connected,
    /// Everything else.
    Other(&'a [u8]),
}

/// Say what a text is.
pub(crate) fn read(text: &[u8]) -> Packet<'_> {
    // The one that a broadcast run consists of comes first.
    if let Some(rest) = text.strip_prefix(b"42[\"b\",") {
        return with_number(rest, text, |index, tail| Packet::Broadcast { index, tail, attachment: false });
    }
    if let Some(rest) = text.strip_prefix(b"43") {
        return with_number(rest, text, |id, tail| Packet::Ack { id, tail, attachment: false });
    }
    if let Some(rest) = text.strip_prefix(b"451-[\"b\",") {
        return with_number(rest, text, |index, tail| Packet::Broadcast { index, tail, attachment: true });
    }
    if let Some(rest) = text.strip_prefix(b"461-") {
        return with_number(rest, text, |id, tail| Packet::Ack { id, tail, attachment: true });
    }
    if let Some(rest) = text.strip_prefix(b"42[\"done\",") {
        return with_number(rest, text, |count, tail| match tail {
            b"]" => Packet::Done(count),
            _ => Packet::Other(text),
        });
    }
    match text {
        b"2" => Packet::Ping,
        b"3probe" => Packet::ProbePong,
        b"6" => Packet::Noop,
        [b'0', ..] => Packet::Open(text),
        [b'4', b'0', b'{', ..] => Packet::Connected,
        _ => Packet::Other(text),
    }
}

fn with_number<'a>(
    rest: &'a [u8],
    text: &'a [u8],
    make: impl FnOnce(u64, &'a [u8]) -> Packet<'a>,
) -> Packet<'a> {
    match number(rest) {
        Some((number, tail)) => make(number, tail),
        None => Packet::Other(text),
    }
}

/// A decimal number of up to 18 digits at the beginning, written the only right way.
fn number(text: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    let mut rest = text;
    while let [digit @ b'0'..=b'9', after @ ..] = rest {
        value = value * 10 + u64::from(digit - b'0');
        rest = after;
        if text.len() - rest.len() > 18 {
            return None;
        }
    }
    let digits = text.len() - rest.len();
    let leading_zero = digits > 1 && text.first() == Some(&b'0');
    (digits > 0 && !leading_zero).then_some((value, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn packets_are_told_apart() {
        let is = |text: &'static str| read(text.as_bytes());
        let (tail, attachment) = (&br#","x"]"#[..], false);
        assert_eq!(is(r#"42["b",17,"x"]"#), Packet::Broadcast { index: 17, tail, attachment });
        assert_eq!(is(r#"451-["b",0,"x"]"#), Packet::Broadcast { index: 0, tail, attachment: true });
        assert_eq!(is("43120[]"), Packet::Ack { id: 120, tail: b"[]", attachment });
        assert_eq!(is("461-3[7]"), Packet::Ack { id: 3, tail: b"[7]", attachment: true });
        assert_eq!(is(r#"42["done",500]"#), Packet::Done(500));
        assert_eq!(is("2"), Packet::Ping);
        assert_eq!(is("3probe"), Packet::ProbePong);
        assert_eq!(is("6"), Packet::Noop);
        assert_eq!(is(r#"40{"sid":"x"}"#), Packet::Connected);
        assert_eq!(is(r#"0{"sid":"x"}"#), Packet::Open(br#"0{"sid":"x"}"#));
    }

    #[test]
    fn what_is_nearly_one_is_something_else() {
        for text in [
            r#"42["b",x,"x"]"#,
            r#"42["b",007,"x"]"#,
            r#"42["b",-1,"x"]"#,
            r#"42["b",1234567890123456789,"x"]"#,
            r#"42["done",5,6]"#,
            r#"42["c",1,"x"]"#,
            "43[]",
            "41",
            "44{}",
            "22",
            "",
        ] {
            assert_eq!(read(text.as_bytes()), Packet::Other(text.as_bytes()), "{text}");
        }
    }

    proptest! {
        #[test]
        fn numbers_are_read_as_they_are_written(index in 0..1_000_000_000_000_000_000_u64) {
            let text = format!(r#"42["b",{index},0]"#);
            let expected = Packet::Broadcast { index, tail: b",0]", attachment: false };
            prop_assert_eq!(read(text.as_bytes()), expected);
        }

        #[test]
        fn any_text_is_some_packet(text in "(4[0-6]|[0-6])?[0-9-]{0,20}(\\[.{0,10})?") {
            read(text.as_bytes());
        }
    }
}
