//! From the bytes of a stream to messages (RFC 6455, sections 5.4 to 6.2), for either side.
//!
//! A frame that lies whole in the input is unmasked where it is and lent out; only what is cut off
//! by the end of the input, or fragmented, is copied and kept.

use super::close::CloseFrame;
use super::error::WsError;
use super::frame::{Header, MAX_HEADER, OpCode};
use super::mask;
use crate::proto::{Side, grow};

/// What the peer sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Item<'a> {
    /// A whole text message.
    Text(&'a str),
    /// A whole binary message.
    Binary(&'a [u8]),
    /// A ping, to be answered with a pong of the same payload.
    Ping(&'a [u8]),
    /// A pong.
    Pong(&'a [u8]),
    /// The last thing a peer says; None when it gave no code.
    Close(Option<CloseFrame<'a>>),
}

/// Reads the peer's frames. Owns no heap between messages.
#[derive(Debug)]
pub struct MessageReader {
    max_message: usize,
    partial: Option<Box<Partial>>,
    side: Side,
    over: bool,
}

impl MessageReader {
    /// A reader for the end `side`, whose peer may send messages of up to `max_message` bytes.
    pub fn new(side: Side, max_message: usize) -> Self {
        Self { max_message, partial: None, side, over: false }
    }

    /// Takes bytes from the start of `input`: gives how many, and the item they complete.
    ///
    /// Call it with what is left of the input until it gives None, which says that all was taken and
    /// more is needed; only that last call lets go of the memory of an item put together from pieces.
    /// After a close frame or an error everything else from the peer is swallowed.
    pub fn read<'a>(&'a mut self, input: &'a mut [u8]) -> Result<(usize, Option<Item<'a>>), WsError> {
        let (used, ready) = self.step(input)?;
        if let Ready::Input { start, end, mask: Some(mask), .. } = ready
            && let Some(payload) = input.get_mut(start..end)
        {
            mask::apply(mask, 0, payload);
        }
        self.give(used, ready, input)
    }

    /// The same for a client, whose server masks nothing, so that its input stays as it is.
    pub fn read_unmasked<'a>(&'a mut self, input: &'a [u8]) -> Result<(usize, Option<Item<'a>>), WsError> {
        debug_assert_eq!(self.side, Side::Client, "what clients send is masked");
        let (used, ready) = self.step(input)?;
        self.give(used, ready, input)
    }

    #[inline]
    fn step(&mut self, input: &[u8]) -> Result<(usize, Ready), WsError> {
        if self.over {
            self.partial = None;
            return Ok((input.len(), Ready::Nothing));
        }
        let result = if self.partial.as_ref().is_none_or(|partial| partial.is_spent()) {
            self.partial = None;
            read_whole(input, self.side, self.max_message)
        } else {
            Ok(None)
        };
        let result = match result {
            Ok(Some(frame)) => Ok(frame),
            Ok(None) if input.is_empty() => return Ok((0, Ready::Nothing)),
            Ok(None) => {
                let partial = self.partial.get_or_insert_default();
                partial.advance(input, self.side, self.max_message)
            }
            Err(error) => Err(error),
        };
        result.inspect_err(|_| {
            self.over = true;
            self.partial = None;
        })
    }

    #[inline]
    fn give<'a>(
        &'a mut self,
        used: usize,
        ready: Ready,
        input: &'a [u8],
    ) -> Result<(usize, Option<Item<'a>>), WsError> {
        let item = match ready {
            Ready::Nothing => return Ok((used, None)),
            Ready::Input { opcode, start, end, .. } => {
                item(opcode, input.get(start..end).unwrap_or_default())
            }
            Ready::Kept(opcode) => {
                let kept = self.partial.as_ref().map(|partial| partial.payload(opcode)).unwrap_or_default();
                item(opcode, kept)
            }
        };
        // `over` is set apart from the item's borrow of the partial data.
        if !matches!(item, Ok(Item::Text(_) | Item::Binary(_) | Item::Ping(_) | Item::Pong(_))) {
            self.over = true;
        }
        item.map(|item| (used, Some(item)))
    }

    /// Whether a frame or a message is half here: its deadline runs.
    pub fn is_partial(&self) -> bool {
        self.partial.as_ref().is_some_and(|partial| !partial.is_spent())
    }

    /// Bytes of memory held for what is half here.
    pub fn buffered(&self) -> usize {
        self.partial.as_ref().map_or(0, |partial| size_of::<Partial>() + partial.data.capacity())
    }
}

/// What a step came to; indices instead of borrows, so that the caller can go on when it is nothing.
#[derive(Clone, Copy)]
enum Ready {
    Nothing,
    /// A frame whole in the input, not unmasked yet.
    Input {
        opcode: OpCode,
        start: usize,
        end: usize,
        mask: Option<[u8; 4]>,
    },
    /// An item in the partial data.
    Kept(OpCode),
}

/// The hot path: an unfragmented frame that lies whole in the input, with nothing before it.
#[inline]
fn read_whole(input: &[u8], side: Side, limit: usize) -> Result<Option<(usize, Ready)>, WsError> {
    let Some((header, start)) = Header::decode(input, side)? else { return Ok(None) };
    if header.opcode == OpCode::Continuation {
        return Err(WsError::UnexpectedContinuation);
    }
    check_size(&header, 0, limit)?;
    let end = usize::try_from(header.length).unwrap_or(usize::MAX).saturating_add(start);
    if end > input.len() || !header.fin {
        return Ok(None);
    }
    Ok(Some((end, Ready::Input { opcode: header.opcode, start, end, mask: header.mask })))
}

/// The limit counts the whole message, and is checked before anything is allocated for it.
fn check_size(header: &Header, before: usize, limit: usize) -> Result<(), WsError> {
    // A control frame was held to its own limit when its header was read.
    let length = header.length.saturating_add(before as u64);
    if !header.opcode.is_control() && length > limit as u64 {
        return Err(WsError::TooBig { length, limit });
    }
    Ok(())
}

/// A payload as an item; `opcode` is the message's, never Continuation.
#[inline]
fn item(opcode: OpCode, payload: &[u8]) -> Result<Item<'_>, WsError> {
    Ok(match opcode {
        OpCode::Text => Item::Text(
            std::str::from_utf8(payload)
                .map_err(|error| WsError::InvalidUtf8 { offset: error.valid_up_to() })?,
        ),
        OpCode::Binary | OpCode::Continuation => Item::Binary(payload),
        OpCode::Ping => Item::Ping(payload),
        OpCode::Pong => Item::Pong(payload),
        OpCode::Close => Item::Close(CloseFrame::decode(payload)?),
    })
}

/// What is kept between two inputs; for at most one message, then dropped.
#[derive(Debug, Default)]
struct Partial {
    /// The first bytes of a header whose rest has not come.
    header: [u8; MAX_HEADER],
    header_len: usize,
    /// The frame whose payload is being read, and how much of it came.
    frame: Option<Header>,
    seen: usize,
    /// The message begun: Text or Binary.
    message: Option<OpCode>,
    data: Vec<u8>,
    /// How much of `data` is known to be UTF-8.
    checked: usize,
    /// The payload of a control frame; it may lie between the fragments of a message.
    control: Vec<u8>,
}

impl Partial {
    /// Whether all that was kept has been given out.
    fn is_spent(&self) -> bool {
        self.header_len == 0 && self.frame.is_none() && self.message.is_none()
    }

    fn payload(&self, opcode: OpCode) -> &[u8] {
        if opcode.is_control() { &self.control } else { &self.data }
    }

    /// Takes bytes until an item is complete or the input is used up.
    fn advance(&mut self, input: &[u8], side: Side, limit: usize) -> Result<(usize, Ready), WsError> {
        let mut used = 0;
        loop {
            let Some(frame) = self.frame else {
                let rest = input.get(used..).unwrap_or_default();
                if rest.is_empty() {
                    return Ok((used, Ready::Nothing));
                }
                used += self.read_header(rest, side, limit)?;
                continue;
            };
            let rest = input.get(used..).unwrap_or_default();
            let missing = usize::try_from(frame.length).unwrap_or(usize::MAX) - self.seen;
            let count = missing.min(rest.len());
            self.take_payload(&frame, rest.get(..count).unwrap_or_default(), missing)?;
            used += count;
            if count < missing {
                return Ok((used, Ready::Nothing));
            }
            self.frame = None;
            if frame.opcode.is_control() {
                return Ok((used, Ready::Kept(frame.opcode)));
            }
            if frame.fin
                && let Some(opcode) = self.message.take()
            {
                return Ok((used, Ready::Kept(opcode)));
            }
        }
    }

    /// Takes header bytes from `rest`; sets `frame` when the header is whole.
    fn read_header(&mut self, rest: &[u8], side: Side, limit: usize) -> Result<usize, WsError> {
        let kept = self.header_len;
        let count = (MAX_HEADER - kept).min(rest.len());
        if let (Some(room), Some(bytes)) = (self.header.get_mut(kept..kept + count), rest.get(..count)) {
            room.copy_from_slice(bytes);
        }
        let known = self.header.get(..kept + count).unwrap_or_default();
        let Some((header, length)) = Header::decode(known, side)? else {
            self.header_len += count;
            return Ok(count);
        };
        self.begin_frame(header, limit)?;
        self.header_len = 0;
        Ok(length - kept)
    }

    /// The rules of fragmentation (5.4), and the limit.
    fn begin_frame(&mut self, header: Header, limit: usize) -> Result<(), WsError> {
        match (header.opcode, self.message) {
            (OpCode::Continuation, None) => return Err(WsError::UnexpectedContinuation),
            (OpCode::Text | OpCode::Binary, Some(_)) => {
                return Err(WsError::ExpectedContinuation(header.opcode));
            }
            (OpCode::Text | OpCode::Binary, None) => {
                check_size(&header, 0, limit)?;
                self.message = Some(header.opcode);
            }
            (OpCode::Continuation, Some(_)) => check_size(&header, self.data.len(), limit)?,
            _ => self.control.clear(),
        }
        self.frame = Some(header);
        self.seen = 0;
        Ok(())
    }

    /// Keeps payload bytes, unmasked; `missing` is what the frame still lacks, these included.
    fn take_payload(&mut self, frame: &Header, bytes: &[u8], missing: usize) -> Result<(), WsError> {
        let is_control = frame.opcode.is_control();
        let kept = if is_control { &mut self.control } else { &mut self.data };
        let start = kept.len();
        grow::extend(kept, bytes, start + missing);
        if let (Some(mask), Some(written)) = (frame.mask, kept.get_mut(start..)) {
            mask::apply(mask, self.seen, written);
        }
        self.seen += bytes.len();
        if !is_control && self.message == Some(OpCode::Text) { self.check_utf8() } else { Ok(()) }
    }

    /// Fails as soon as the text so far can no longer become UTF-8.
    fn check_utf8(&mut self) -> Result<(), WsError> {
        match std::str::from_utf8(self.data.get(self.checked..).unwrap_or_default()) {
            Ok(_) => self.checked = self.data.len(),
            Err(error) => {
                self.checked += error.valid_up_to();
                if error.error_len().is_some() {
                    return Err(WsError::InvalidUtf8 { offset: self.checked });
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::ws::frame::encode_frame;

    #[test]
    fn an_idle_reader_is_small() {
        assert!(size_of::<MessageReader>() <= 24, "{}", size_of::<MessageReader>());
    }

    #[test]
    fn a_whole_frame_is_lent_out_of_the_input() {
        let mut reader = MessageReader::new(Side::Server, 100);
        let mut input = Vec::new();
        encode_frame(&mut input, OpCode::Text, b"hello", Some([1, 2, 3, 4]));
        assert_eq!(reader.read(&mut input), Ok((11, Some(Item::Text("hello")))));
        assert_eq!(reader.buffered(), 0);
    }

    #[test]
    fn the_memory_of_a_cut_frame_is_let_go_with_the_next_call() {
        let mut reader = MessageReader::new(Side::Client, 100);
        let mut input = Vec::new();
        encode_frame(&mut input, OpCode::Text, b"hello", None);
        let (first, second) = input.split_at_mut(4);
        assert_eq!(reader.read(first), Ok((4, None)));
        assert!(reader.is_partial());
        assert_eq!(reader.read(second), Ok((3, Some(Item::Text("hello")))));
        assert!(!reader.is_partial());
        assert_eq!(reader.read(&mut []), Ok((0, None)));
        assert_eq!(reader.buffered(), 0);
    }
}
