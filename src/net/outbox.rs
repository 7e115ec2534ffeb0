//! The send queue of one session, with three marks and what happens when it is full.
//!
//! On a websocket of our own it holds frames, ready for the kernel; on polling and on the bytes driver
//! it holds packets until somebody fetches them. The marks count what could not leave: bytes that the
//! kernel refused, or packets that wait for a fetch. See `docs/` and design section 4.

use crate::proto::engine::PayloadWriter;
use crate::proto::limits;
use crate::proto::socket::encoded::{Encoded, Part};
use crate::proto::ws::OpCode;
use crate::proto::ws::frame;
use bytes::Bytes;
use std::collections::VecDeque;
use std::io::{self, IoSlice, Write};

/// Buffers handed to one `writev`.
const MAX_SLICES: usize = 64;

/// The sizes, in bytes, at which an outbox changes its mind.
#[derive(Debug, Clone, Copy)]
pub struct Marks {
    /// A waiting emit resumes below it.
    pub low_water: usize,
    /// An awaited emit waits at it.
    pub high_water: usize,
    /// The session is closed above it.
    pub limit: usize,
}

impl Default for Marks {
    fn default() -> Self {
        Self {
            low_water: limits::OUTBOX_LOW_WATER,
            high_water: limits::OUTBOX_HIGH_WATER,
            limit: limits::OUTBOX_LIMIT,
        }
    }
}

/// What waits to be fetched.
#[derive(Debug, Clone)]
pub enum Item {
    /// A packet of the application.
    Packet(Encoded),
    /// A control packet of Engine.IO, as text.
    Control(Bytes),
}

impl Item {
    /// Engine.IO packets that it is sent as.
    fn parts(&self) -> usize {
        match self {
            Self::Packet(packet) => packet.parts().count(),
            Self::Control(_) => 1,
        }
    }

    fn size(&self) -> usize {
        match self {
            Self::Packet(packet) => packet.size(),
            Self::Control(text) => text.len(),
        }
    }
}

#[derive(Debug)]
enum Chunk {
    Run(Vec<u8>),
    Shared(Bytes),
}

impl Chunk {
    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Run(run) => run,
            Self::Shared(bytes) => bytes,
        }
    }
}

#[derive(Debug)]
enum Form {
    Packets(VecDeque<Item>),
    Frames { chunks: VecDeque<Chunk>, written: usize },
}

/// How a write to the kernel ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// Everything has left.
    All,
    /// The kernel is full: wait until the socket is writable.
    Blocked,
}

/// See the module.
#[derive(Debug)]
pub struct Outbox {
    form: Form,
    pending: usize,
    blocked: bool,
    /// More than one message waits.
    crowded: bool,
}

impl Outbox {
    /// A queue of packets to be fetched.
    pub fn packets() -> Self {
        Self { form: Form::Packets(VecDeque::new()), pending: 0, blocked: false, crowded: false }
    }

    /// A queue of frames for the kernel.
    pub fn frames() -> Self {
        Self {
            form: Form::Frames { chunks: VecDeque::new(), written: 0 },
            pending: 0,
            blocked: false,
            crowded: false,
        }
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.pending == 0
    }

    /// Bytes that wait.
    pub fn pending(&self) -> usize {
        self.pending
    }

    /// Bytes that could not leave, which is what the marks count.
    pub fn refused(&self) -> usize {
        if self.blocked { self.pending } else { 0 }
    }

    /// Whether more than `limit` bytes could not leave; a lone message may be of any size.
    pub fn is_over(&self, limit: usize) -> bool {
        self.crowded && self.refused() > limit
    }

    /// Says whether what waits could not leave (polling: no GET; bytes driver: the writer is busy).
    pub fn set_blocked(&mut self, blocked: bool) {
        self.blocked = blocked;
    }

    /// Whether the last attempt to write left something.
    pub fn is_blocked(&self) -> bool {
        self.blocked
    }

    /// Queues a packet of the application.
    pub fn push(&mut self, packet: &Encoded) {
        self.push_all(std::slice::from_ref(packet), std::slice::from_ref(packet.websocket()));
    }

    /// Queues packets of the application, whose frames somebody has joined already.
    pub fn push_all(&mut self, packets: &[Encoded], joined: &[Bytes]) {
        self.crowded |= self.pending > 0 || packets.len() > 1;
        match &mut self.form {
            Form::Packets(items) => {
                self.pending += packets.iter().map(Encoded::size).sum::<usize>();
                items.extend(packets.iter().cloned().map(Item::Packet));
            }
            Form::Frames { chunks, written } => {
                for frames in joined {
                    self.pending += frames.len();
                    push_frames(chunks, *written, frames);
                }
            }
        }
    }

    /// Queues a control packet of Engine.IO, as text.
    pub fn push_control(&mut self, text: Bytes) {
        self.crowded |= self.pending > 0;
        match &mut self.form {
            Form::Packets(items) => {
                self.pending += text.len();
                items.push_back(Item::Control(text));
            }
            Form::Frames { .. } => self.push_frame(OpCode::Text, &text),
        }
    }

    /// Queues a websocket control frame, or any frame made here. Nothing on a queue of packets.
    pub fn push_frame(&mut self, opcode: OpCode, payload: &[u8]) {
        self.crowded |= self.pending > 0;
        if let Form::Frames { chunks, written } = &mut self.form {
            let mut bytes = Vec::with_capacity(payload.len() + frame::MAX_SERVER_HEADER);
            frame::encode_frame(&mut bytes, opcode, payload, None);
            self.pending += bytes.len();
            push_frames(chunks, *written, &bytes.into());
        }
    }

    /// Turns all that waits into frames: the session moved to a websocket of ours.
    pub fn turn_into_frames(&mut self) {
        let Form::Packets(items) = std::mem::replace(&mut self.form, Self::frames().form) else { return };
        (self.pending, self.blocked, self.crowded) = (0, false, false);
        for item in items {
            match item {
                Item::Packet(packet) => self.push(&packet),
                // A ping that no poll fetched; its pong is waited for.
                Item::Control(text) => self.push_control(text),
            }
        }
    }

    /// Writes frames to the kernel while nothing waits, and keeps what it does not take.
    pub fn write_through(
        &mut self,
        frames: &Bytes,
        stream: &mut impl Write,
        sent: &mut Sent,
    ) -> io::Result<Written> {
        let taken = match stream.write(frames) {
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
        if let Form::Frames { chunks, written } = &mut self.form {
            chunks.push_back(Chunk::Shared(frames.clone()));
            *written = taken;
        }
        self.pending = frames.len() - taken;
        self.write_to(stream, sent)
    }

    /// Writes as much as the kernel takes.
    pub fn write_to(&mut self, stream: &mut impl Write, sent: &mut Sent) -> io::Result<Written> {
        let Form::Frames { chunks, written } = &mut self.form else { return Ok(Written::All) };
        while !chunks.is_empty() {
            let count = match write_chunks(stream, chunks, *written) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.blocked = true;
                    return Ok(Written::Blocked);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            sent.bytes += count as u64;
            sent.writes += 1;
            self.pending -= count.min(self.pending);
            *written += count;
            drop_written(chunks, written);
        }
        // An idle session owns no buffer.
        *chunks = VecDeque::new();
        (self.blocked, self.crowded) = (false, false);
        Ok(Written::All)
    }

    /// Takes packets as one polling payload: at most so many parts, but one whole packet at least.
    pub fn take_payload(&mut self, most_parts: usize) -> Bytes {
        let Form::Packets(items) = &mut self.form else { return Bytes::new() };
        let mut body = Vec::with_capacity(self.pending + items.len());
        let mut writer = PayloadWriter::new(&mut body);
        let mut parts = 0;
        while let Some(item) = items.pop_front() {
            let more = item.parts();
            if parts > 0 && parts + more > most_parts {
                items.push_front(item);
                break;
            }
            parts += more;
            self.pending -= item.size().min(self.pending);
            match item {
                Item::Control(text) => writer.push_text(std::str::from_utf8(&text).unwrap_or_default()),
                Item::Packet(packet) => packet.parts().for_each(|part| match part {
                    Part::Text(text) => writer.push_text(std::str::from_utf8(&text).unwrap_or_default()),
                    Part::Binary(data) => writer.push_binary(&data),
                }),
            }
        }
        if items.is_empty() {
            *items = VecDeque::new();
        }
        (self.blocked, self.crowded) = (!items.is_empty(), items.len() > 1);
        body.into()
    }

    /// Takes all packets as websocket messages.
    pub fn take_messages(&mut self, messages: &mut Vec<Part>) {
        let Form::Packets(items) = &mut self.form else { return };
        for item in std::mem::take(items) {
            match item {
                Item::Control(text) => messages.push(Part::Text(text)),
                Item::Packet(packet) => messages.extend(packet.parts()),
            }
        }
        (self.pending, self.blocked, self.crowded) = (0, false, false);
    }
}

/// What a write sent, for the counters.
#[derive(Debug, Default, Clone, Copy)]
pub struct Sent {
    /// Bytes the kernel took.
    pub bytes: u64,
    /// Calls of `writev`.
    pub writes: u64,
}

/// Small frames join the run before them, so that all of a turn leave in one piece; a lone frame and a
/// large one stay shared with every other recipient.
fn push_frames(chunks: &mut VecDeque<Chunk>, written: usize, frames: &Bytes) {
    let only = chunks.len() == 1;
    match chunks.back_mut() {
        Some(Chunk::Run(run))
            if frames.len() <= limits::OUTBOX_COPIED_FRAME && run.len() < limits::OUTBOX_RUN =>
        {
            run.extend_from_slice(frames);
        }
        Some(Chunk::Shared(last))
            if last.len() <= limits::OUTBOX_COPIED_FRAME
                && frames.len() <= limits::OUTBOX_COPIED_FRAME
                && !(only && written > 0) =>
        {
            let mut run = Vec::with_capacity((last.len() + frames.len()) * 2);
            run.extend_from_slice(last);
            run.extend_from_slice(frames);
            chunks.pop_back();
            chunks.push_back(Chunk::Run(run));
        }
        _ => chunks.push_back(Chunk::Shared(frames.clone())),
    }
}

fn write_chunks(stream: &mut impl Write, chunks: &VecDeque<Chunk>, written: usize) -> io::Result<usize> {
    let first = chunks.front().and_then(|chunk| chunk.as_slice().get(written..)).unwrap_or_default();
    if chunks.len() == 1 {
        return stream.write(first);
    }
    let mut slices = [IoSlice::new(&[]); MAX_SLICES];
    let sources = std::iter::once(first).chain(chunks.iter().skip(1).map(Chunk::as_slice));
    let mut used = 0;
    for (slot, source) in slices.iter_mut().zip(sources) {
        *slot = IoSlice::new(source);
        used += 1;
    }
    stream.write_vectored(slices.get(..used).unwrap_or_default())
}

fn drop_written(chunks: &mut VecDeque<Chunk>, written: &mut usize) {
    while let Some(first) = chunks.front() {
        let length = first.as_slice().len();
        if *written < length {
            return;
        }
        *written -= length;
        chunks.pop_front();
    }
}
