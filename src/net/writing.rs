//! An outbox to the kernel: small packets are joined as they are written, so that all of a turn leave in one
//! piece; large ones go as they are, shared with every other recipient.

use super::entry::Entry;
use super::outbox::Outbox;
use crate::proto::limits;
use bytes::Bytes;
use smallvec::SmallVec;
use std::io::{self, IoSlice, Write};
use std::ops::Range;

/// Buffers handed to one `writev`.
const MAX_SLICES: usize = 64;

/// How a write to the kernel ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// Everything has left.
    All,
    /// The kernel is full: wait until the socket is writable.
    Blocked,
}

/// What a write sent, for the counters.
#[derive(Debug, Default, Clone, Copy)]
pub struct Sent {
    /// Bytes the kernel took.
    pub bytes: u64,
    /// Calls of `writev`.
    pub writes: u64,
}

/// What goes into one `writev`: small entries that are joined, or a large one by its index.
enum Piece {
    Joined(Range<usize>),
    Alone(usize),
}

impl Outbox {
    /// Writes to the kernel while nothing waits, and keeps what it does not take: `frames` is all of
    /// `entries` in one piece.
    pub(super) fn write_through(
        &mut self,
        entries: &[Entry],
        frames: &Bytes,
        stream: &mut impl Write,
        sent: &mut Sent,
    ) -> io::Result<Written> {
        let mut taken = match stream.write(frames) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => count,
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => 0,
            Err(error) => return Err(error),
        };
        sent.bytes += taken as u64;
        sent.writes += u64::from(taken > 0);
        if taken == frames.len() {
            return Ok(Written::All);
        }
        for entry in entries {
            if self.is_empty() && taken >= entry.size() {
                taken -= entry.size();
            } else {
                self.push_entry(entry.clone());
            }
        }
        (self.pending, self.written) = (self.pending - taken, taken);
        self.write_to(stream, &mut Vec::new(), sent)
    }

    /// Writes as much as the kernel takes. `joined` is room for what is put together.
    pub fn write_to(
        &mut self,
        stream: &mut impl Write,
        joined: &mut Vec<u8>,
        sent: &mut Sent,
    ) -> io::Result<Written> {
        while !self.entries.is_empty() {
            let count = match self.write_some(stream, joined) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.set_blocked(true);
                    return Ok(Written::Blocked);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            sent.bytes += count as u64;
            sent.writes += 1;
            self.advance(count);
        }
        self.set_blocked(false);
        Ok(Written::All)
    }

    fn write_some(&self, stream: &mut impl Write, joined: &mut Vec<u8>) -> io::Result<usize> {
        let rest = |index: usize| {
            let bytes = self.entries.get(index).map(Entry::bytes).unwrap_or_default();
            if index == 0 { bytes.get(self.written..).unwrap_or_default() } else { bytes }
        };
        if self.entries.len() == 1 {
            return stream.write(rest(0));
        }
        joined.clear();
        let mut pieces: SmallVec<[Piece; 4]> = SmallVec::new();
        for index in 0..self.entries.len() {
            let bytes = rest(index);
            let is_small = bytes.len() <= limits::OUTBOX_COPIED_FRAME;
            if is_small && joined.len() + bytes.len() > limits::OUTBOX_RUN {
                break;
            }
            let goes_on = is_small && matches!(pieces.last(), Some(Piece::Joined(_)));
            if !goes_on && pieces.len() == MAX_SLICES {
                break;
            }
            if !goes_on {
                pieces.push(if is_small {
                    Piece::Joined(joined.len()..joined.len())
                } else {
                    Piece::Alone(index)
                });
            }
            if let Some(Piece::Joined(range)) = pieces.last_mut().filter(|_| is_small) {
                range.end += bytes.len();
                joined.extend_from_slice(bytes);
            }
        }
        let slice = |piece: &Piece| match piece {
            Piece::Joined(range) => joined.get(range.clone()).unwrap_or_default(),
            Piece::Alone(index) => rest(*index),
        };
        if let [piece] = pieces.as_slice() {
            return stream.write(slice(piece));
        }
        let slices: SmallVec<[IoSlice<'_>; 8]> =
            pieces.iter().map(|piece| IoSlice::new(slice(piece))).collect();
        stream.write_vectored(&slices)
    }

    /// The kernel has taken so many bytes.
    pub(super) fn advance(&mut self, count: usize) {
        if count == self.pending {
            drop(self.take_all());
            return;
        }
        let mut taken = self.written + count;
        // What is taken of an entry is not pending any more, and `pop_front` takes off all of it.
        self.pending += self.written;
        while let Some(first) = self.entries.front() {
            let size = first.size();
            if taken < size {
                break;
            }
            taken -= size;
            self.pop_front();
        }
        (self.pending, self.written) = (self.pending - taken, taken);
    }
}
