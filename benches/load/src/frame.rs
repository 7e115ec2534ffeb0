//! WebSocket frames (RFC 6455, section 5), scanned in place and written masked.
//!
//! Servers send no fragments unless asked to, so a fragment is a fault here.

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    /// A whole text message.
    Text,
    /// A whole binary message.
    Binary,
    /// The end.
    Close,
    /// Wants a pong.
    Ping,
    /// Answers a ping.
    Pong,
}

/// One frame of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    pub(crate) op: Op,
    pub(crate) payload: &'a [u8],
}

/// Longer frames are a fault: no server sends one here.
const MAX_PAYLOAD: u64 = 8 << 20;
const MASKED: u8 = 0x80;
/// In place of the length: two bytes, or eight, have it.
const IN_TWO: u8 = 126;
const IN_EIGHT: u8 = 127;
/// A fixed key that is not zero, so that servers have to unmask; random ones would only cost us time.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// Take the first frame; None while it is not whole. Returns what follows it too.
pub(crate) fn next(bytes: &[u8]) -> Result<Option<(Frame<'_>, &[u8])>, &'static str> {
    let [first, second, rest @ ..] = bytes else { return Ok(None) };
    let op = match *first {
        0x81 => Op::Text,
        0x82 => Op::Binary,
        0x88 => Op::Close,
        0x89 => Op::Ping,
        0x8a => Op::Pong,
        0x00..=0x02 => return Err("a fragmented message"),
        _ => return Err("a frame of an unknown kind"),
    };
    let (length, rest) = match *second {
        IN_TWO => match rest.split_first_chunk::<2>() {
            Some((bytes, rest)) => (u64::from(u16::from_be_bytes(*bytes)), rest),
            None => return Ok(None),
        },
        IN_EIGHT => match rest.split_first_chunk::<8>() {
            Some((bytes, rest)) => (u64::from_be_bytes(*bytes), rest),
            None => return Ok(None),
        },
        MASKED.. => return Err("a masked frame"),
        short => (u64::from(short), rest),
    };
    if length > MAX_PAYLOAD {
        return Err("a frame of more than 8 MiB");
    }
    let Ok(length) = usize::try_from(length) else { return Err("a frame that is too long") };
    Ok(rest.split_at_checked(length).map(|(payload, rest)| (Frame { op, payload }, rest)))
}

/// Append a masked frame whose payload is the parts one after the other.
pub(crate) fn write(op: Op, parts: &[&[u8]], out: &mut Vec<u8>) {
    let opcode = match op {
        Op::Text => 0x81,
        Op::Binary => 0x82,
        Op::Close => 0x88,
        Op::Ping => 0x89,
        Op::Pong => 0x8a,
    };
    out.push(opcode);
    let length: usize = parts.iter().map(|part| part.len()).sum();
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short @ 0..IN_TWO), _) => out.push(MASKED | short),
        (_, Ok(medium)) => {
            out.push(MASKED | IN_TWO);
            out.extend_from_slice(&medium.to_be_bytes());
        }
        _ => {
            out.push(MASKED | IN_EIGHT);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&MASK);
    let start = out.len();
    for part in parts {
        out.extend_from_slice(part);
    }
    if let Some(payload) = out.get_mut(start..) {
        mask(payload);
    }
}

fn mask(payload: &mut [u8]) {
    let [a, b, c, d] = MASK;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (chunks, rest) = payload.as_chunks_mut::<8>();
    for chunk in chunks {
        *chunk = (u64::from_ne_bytes(*chunk) ^ wide).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip([a, b, c, d, a, b, c]) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OPS: [Op; 5] = [Op::Text, Op::Binary, Op::Close, Op::Ping, Op::Pong];

    /// A frame as a server writes it.
    fn unmasked(op: Op, payload: &[u8]) -> Vec<u8> {
        let mut frame = Vec::new();
        write(op, &[payload], &mut frame);
        let head = frame.len() - payload.len() - MASK.len();
        frame[1] &= !MASKED;
        frame.truncate(head);
        frame.extend_from_slice(payload);
        frame
    }

    /// Scan as connections do: what is not whole waits for more.
    fn scan(chunks: &[&[u8]]) -> Result<Vec<(Op, Vec<u8>)>, &'static str> {
        let (mut found, mut kept) = (Vec::new(), Vec::new());
        for chunk in chunks {
            kept.extend_from_slice(chunk);
            let mut bytes = kept.as_slice();
            while let Some((frame, rest)) = next(bytes)? {
                found.push((frame.op, frame.payload.to_vec()));
                bytes = rest;
            }
            kept = bytes.to_vec();
        }
        assert!(kept.is_empty(), "{} bytes are left", kept.len());
        Ok(found)
    }

    fn frames() -> impl Strategy<Value = Vec<(Op, Vec<u8>)>> {
        let size = prop_oneof![0..130_usize, 65_530..65_540_usize, Just(1024)];
        let payload = (size, any::<u8>()).prop_map(|(size, byte)| vec![byte; size]);
        prop::collection::vec((prop::sample::select(&OPS[..]), payload), 1..6)
    }

    proptest! {
        #[test]
        fn frames_are_found_wherever_the_bytes_are_split(
            frames in frames(),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        ) {
            let bytes: Vec<u8> = frames.iter().flat_map(|(op, payload)| unmasked(*op, payload)).collect();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]).collect();
            prop_assert_eq!(scan(&chunks), Ok(frames));
        }

        #[test]
        fn any_bytes_are_frames_or_a_fault(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut bytes = bytes.as_slice();
            while let Ok(Some((_, rest))) = next(bytes) {
                prop_assert!(rest.len() < bytes.len());
                bytes = rest;
            }
        }

        #[test]
        fn a_mask_is_undone_by_itself(bytes in prop::collection::vec(any::<u8>(), 0..70)) {
            let mut twice = bytes.clone();
            mask(&mut twice);
            if let (Some(once), Some(plain)) = (twice.last(), bytes.last()) {
                prop_assert_ne!(once, plain);
            }
            mask(&mut twice);
            prop_assert_eq!(twice, bytes);
        }
    }

    #[test]
    fn every_byte_of_a_small_stream_may_come_alone() {
        let bytes = [unmasked(Op::Text, b"2"), unmasked(Op::Binary, &[7; 300])].concat();
        let chunks: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(scan(&chunks), Ok(vec![(Op::Text, b"2".to_vec()), (Op::Binary, vec![7; 300])]));
    }

    #[test]
    fn what_no_server_should_send_is_a_fault() {
        assert_eq!(next(&[0x01, 0]), Err("a fragmented message"));
        assert_eq!(next(&[0xc1, 0]), Err("a frame of an unknown kind"));
        assert_eq!(next(&[0x81, 0x81]), Err("a masked frame"));
        assert_eq!(next(&[0x82, 127, 255, 0, 0, 0, 0, 0, 0, 0]), Err("a frame of more than 8 MiB"));
    }
}
