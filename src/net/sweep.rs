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

/// See the module.
#[derive(Debug, Default)]
pub struct Sweep {
    gathered: Vec<Volley>,
    /// Recipients of what is gathered.
    recipients: usize,
    /// Broadcasts that came since the round under way began.
    packets: usize,
    /// Their bytes.
    bytes: usize,
    /// Sessions that were sent something and are not written yet.
    waiting: VecDeque<SessionKey>,
    /// How many of them belong to the round under way.
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
        !self.gathered.is_empty() || !self.waiting.is_empty()
    }

    /// How many sessions, about, are to be written.
    pub fn size(&self) -> usize {
        self.recipients + self.waiting.len()
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

    /// Puts what was gathered into the outboxes: what follows it must come after it.
    pub(super) fn push_broadcasts(&mut self) {
        self.sweep.recipients = 0;
        for volley in std::mem::take(&mut self.sweep.gathered) {
            let frames = volley.frames();
            for &socket in &volley.sockets {
                let session = self.session_for(socket, &volley.packets, volley.volatile);
                if let Some(session) = session
                    && self.push(session, &volley.packets, &frames, volley.volatile)
                {
                    self.mark_swept(session);
                }
            }
        }
    }

    /// Begins a round when the one before has ended.
    pub(super) fn begin_round(&mut self) {
        if self.sweep.left == 0 {
            self.push_broadcasts();
            let sweep = &mut self.sweep;
            (sweep.packets, sweep.bytes, sweep.left) = (0, 0, sweep.waiting.len());
        }
    }

    /// Writes a slice of the round, as long as nobody is to be answered.
    pub(super) fn write_slice(&mut self, now: Instant) {
        let end = self.stats.bytes_out + limits::SLICE_BYTES;
        for count in 1..=limits::SLICE_SESSIONS {
            if self.sweep.left == 0 || self.stats.bytes_out > end {
                return;
            }
            self.sweep.left -= 1;
            let Some(session) = self.sweep.waiting.pop_front() else { return };
            if self.is_swept(session) {
                self.flush_session(session, now);
            }
            if count % limits::SLICE_GLANCE == 0 {
                self.poll_sockets(now);
                if !self.batch.events.is_empty() {
                    return;
                }
            }
        }
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
