//! Broadcasts on their way: gathered, pushed once to each recipient, written in slices.
//!
//! What is emitted to the same sockets while a round is being written is joined into one run that all of
//! them share, and leaves in one write each when the round comes to them again. Between two slices the
//! reactor reads, and handlers run and are answered. See design section 3, "broadcast".

use super::keys::{SessionKey, SocketKey};
use super::reactor::Reactor;
use crate::proto::limits;
use crate::proto::socket::encoded::Encoded;
use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;
use std::time::Instant;

/// Broadcasts to the same sockets, one after the other.
#[derive(Debug)]
struct Volley {
    sockets: Vec<SocketKey>,
    packets: Vec<Encoded>,
    volatile: bool,
}

impl Volley {
    /// The frames of all packets: small ones in runs, large ones as they are.
    fn frames(&self) -> Vec<Bytes> {
        if let [packet] = self.packets.as_slice() {
            return vec![packet.websocket().clone()];
        }
        let mut frames = Vec::new();
        let mut run = BytesMut::new();
        for packet in &self.packets {
            let frame = packet.websocket();
            let is_large = frame.len() > limits::OUTBOX_COPIED_FRAME;
            if !run.is_empty() && (is_large || run.len() + frame.len() > limits::OUTBOX_RUN) {
                frames.push(run.split().freeze());
            }
            if is_large {
                frames.push(frame.clone());
            } else {
                run.extend_from_slice(frame);
            }
        }
        if !run.is_empty() {
            frames.push(run.freeze());
        }
        frames
    }
}

/// A volley that is being sent: whoever's turn it is gets it written at once.
#[derive(Debug)]
struct Course {
    volley: Volley,
    frames: Vec<Bytes>,
    /// The next recipient.
    next: usize,
}

impl Course {
    fn new(volley: Volley) -> Self {
        Self { frames: volley.frames(), volley, next: 0 }
    }

    fn next(&mut self) -> Option<SocketKey> {
        let socket = self.volley.sockets.get(self.next).copied()?;
        self.next += 1;
        Some(socket)
    }

    fn left(&self) -> usize {
        self.volley.sockets.len() - self.next
    }
}

/// See the module.
#[derive(Debug, Default)]
pub struct Sweep {
    gathered: Vec<Volley>,
    /// The round under way, where it is of one volley.
    course: Option<Course>,
    /// Recipients of what is gathered.
    recipients: usize,
    /// Broadcasts that came since the round under way began.
    packets: usize,
    /// Their bytes.
    bytes: usize,
    /// Sessions that were sent something and are not written yet.
    waiting: VecDeque<SessionKey>,
    /// How many of them belong to the round under way, where it is of several.
    left: usize,
}

impl Sweep {
    fn gather(&mut self, sockets: Vec<SocketKey>, packet: Encoded, volatile: bool) {
        self.packets += 1;
        self.bytes += packet.size();
        match self.gathered.last_mut() {
            Some(last) if last.volatile == volatile && last.sockets == sockets => last.packets.push(packet),
            _ => {
                self.recipients += sockets.len();
                self.gathered.push(Volley { sockets, packets: vec![packet], volatile });
            }
        }
    }

    /// Whether so much is queued behind the round under way that who emits more should wait for its end.
    pub fn is_full(&self) -> bool {
        self.packets > limits::SWEEP_PACKETS || self.bytes > limits::SWEEP_BYTES
    }

    /// Whether something waits to be pushed or written.
    pub fn is_under_way(&self) -> bool {
        !self.gathered.is_empty() || self.course.is_some() || !self.waiting.is_empty()
    }

    /// How many sessions, about, are to be written.
    pub fn size(&self) -> usize {
        self.recipients + self.course.as_ref().map_or(0, Course::left) + self.waiting.len()
    }

    /// A session was sent something.
    pub(super) fn wait(&mut self, session: SessionKey) {
        self.waiting.push_back(session);
    }
}

impl Reactor {
    /// Sends one packet to many sockets. True when who emits more should wait for the round under way.
    pub fn broadcast(&mut self, sockets: Vec<SocketKey>, packet: Encoded, volatile: bool) -> bool {
        if sockets.is_empty() {
            return self.sweep.is_full();
        }
        self.sweep.gather(sockets, packet, volatile);
        if self.sweep.recipients > limits::SWEEP_RECIPIENTS {
            self.push_broadcasts();
        }
        self.sweep.is_full()
    }

    /// Puts what was gathered, and is not sent, into the outboxes: what follows it must come after it.
    pub(super) fn push_broadcasts(&mut self) {
        self.sweep.recipients = 0;
        let gathered = std::mem::take(&mut self.sweep.gathered).into_iter().map(Course::new);
        for mut course in self.sweep.course.take().into_iter().chain(gathered) {
            while let Some(socket) = course.next() {
                self.push_course(socket, &course);
            }
        }
    }

    fn push_course(&mut self, socket: SocketKey, course: &Course) {
        let Volley { packets, volatile, .. } = &course.volley;
        let session = self.session_for(socket, packets, *volatile);
        if let Some(session) = session
            && self.push(session, packets, &course.frames, *volatile)
        {
            self.mark_swept(session);
        }
    }

    /// Begins a round when the one before has ended.
    pub(super) fn begin_round(&mut self) {
        if self.sweep.left > 0 || self.sweep.course.is_some() {
            return;
        }
        if self.sweep.waiting.is_empty() && self.sweep.gathered.len() == 1 {
            self.sweep.course = self.sweep.gathered.pop().map(Course::new);
            self.sweep.recipients = 0;
        } else {
            self.push_broadcasts();
        }
        let sweep = &mut self.sweep;
        (sweep.packets, sweep.bytes, sweep.left) = (0, 0, sweep.waiting.len());
    }

    /// Writes a slice of the round, as long as nobody is to be answered.
    pub(super) fn write_slice(&mut self, now: Instant) {
        // Nothing that happens meanwhile looks at it: the layer above is not called.
        let mut course = self.sweep.course.take();
        let end = self.stats.bytes_out + limits::SLICE_BYTES;
        for count in 1..=limits::SLICE_SESSIONS {
            let goes_on = match &mut course {
                Some(course) => self.send_next(course, now),
                None => self.write_waiting(now),
            };
            if !goes_on || self.stats.bytes_out > end {
                break;
            }
            if count % limits::SLICE_GLANCE == 0 {
                self.poll_sockets(now);
                if !self.batch.events.is_empty() {
                    break;
                }
            }
        }
        self.sweep.course = course.filter(|course| course.left() > 0);
    }

    /// Writes the next of those who wait; false when the round has ended.
    fn write_waiting(&mut self, now: Instant) -> bool {
        if self.sweep.left == 0 {
            return false;
        }
        self.sweep.left -= 1;
        let next = self.sweep.waiting.pop_front();
        if let Some(session) = next
            && self.is_swept(session)
        {
            self.flush_session(session, now);
        }
        next.is_some()
    }

    /// Writes a volley to its next recipient; false when there is none. Where nothing else waits it goes to
    /// the kernel without a stop.
    fn send_next(&mut self, course: &mut Course, now: Instant) -> bool {
        let Some(socket) = course.next() else { return false };
        let entry = self.sockets.get(socket).filter(|entry| entry.parked.is_none());
        let session = entry.map(|entry| entry.session);
        if let (Some(session), [frames]) = (session, course.frames.as_slice())
            && self.write_through(session, frames, now)
        {
            self.count_out(session, &course.volley.packets);
        } else {
            self.push_course(socket, course);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::socket::packet::PacketKind;

    fn packet(size: usize) -> Encoded {
        Encoded::from_text(PacketKind::Event, "/", None, &format!("[\"{}\"]", "x".repeat(size)))
    }

    fn lengths(sizes: &[usize]) -> Vec<usize> {
        let packets = sizes.iter().map(|&size| packet(size)).collect();
        let volley = Volley { sockets: Vec::new(), packets, volatile: false };
        let frames = volley.frames();
        let joined: Vec<u8> = frames.concat();
        let apart: Vec<u8> = volley.packets.iter().flat_map(|packet| packet.websocket().to_vec()).collect();
        assert_eq!(joined, apart);
        frames.iter().map(Bytes::len).collect()
    }

    #[test]
    fn small_frames_are_joined_in_runs_and_large_ones_shared() {
        assert_eq!(lengths(&[0, 0]), [16]);
        assert_eq!(lengths(&[0, 5000, 0, 0]), [8, 5010, 16]);
        let runs = lengths(&[1000; 100]);
        assert_eq!((runs.len(), runs.iter().all(|&length| length <= limits::OUTBOX_RUN)), (2, true));
        let lone = packet(10);
        let volley = Volley { sockets: Vec::new(), packets: vec![lone.clone()], volatile: false };
        assert_eq!(volley.frames()[0].as_ptr(), lone.websocket().as_ptr(), "nothing to join, nothing copied");
    }
}
