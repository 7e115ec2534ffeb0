//! Broadcasts on their way: gathered, pushed once to each recipient, written in slices.
//!
//! What is emitted to the same sockets while a round is being written is joined into one run that all of
//! them share, and leaves in one write each when the round comes to them again. Between two slices the
//! reactor reads, and handlers run and are answered. See design section 3, "broadcast".

use super::entry::Entry;
use super::keys::{SessionKey, SocketKey};
use super::outbox::Outbox;
use super::reactor::Reactor;
use super::worth::{Class, Worth};
use crate::proto::limits;
use crate::proto::socket::encoded::Encoded;
use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;
use std::time::Instant;

/// Broadcasts to the same sockets, one after the other.
#[derive(Debug)]
struct Volley {
    sockets: Vec<SocketKey>,
    class: Class,
    packets: Outbox,
    /// None of them is the newest of a subject.
    plain: bool,
    /// How many of them newer ones have replaced.
    replaced: u64,
}

impl Volley {
    fn new(sockets: Vec<SocketKey>, class: Class) -> Self {
        Self { sockets, class, packets: Outbox::packets(), plain: true, replaced: 0 }
    }

    /// What outboxes of frames get: runs of small packets, large ones as they are, and those alone that a
    /// newer one may replace.
    fn entries(&self) -> Vec<Entry> {
        let mut entries = Vec::new();
        let mut run: Vec<&Encoded> = Vec::new();
        let mut size = 0;
        for entry in self.packets.whole_entries() {
            let joins = match entry {
                Entry::One(packet, _) if packet.size() <= limits::OUTBOX_COPIED_FRAME => Some(packet),
                _ => None,
            };
            if joins.is_none() || size + entry.size() > limits::OUTBOX_RUN {
                entries.extend(join(&run, self.class));
                run.clear();
                size = 0;
            }
            match joins {
                Some(packet) => {
                    size += packet.size();
                    run.push(packet);
                }
                None => entries.push(entry.clone()),
            }
        }
        entries.extend(join(&run, self.class));
        entries
    }
}

/// Packets as one entry, whose frames all recipients share.
fn join(packets: &[&Encoded], class: Class) -> Option<Entry> {
    match packets {
        [] => None,
        [packet] => Some(Entry::One((*packet).clone(), class)),
        _ => {
            let mut frames = BytesMut::with_capacity(packets.iter().map(|packet| packet.size()).sum());
            let mut ends = Vec::with_capacity(packets.len());
            for packet in packets {
                frames.extend_from_slice(packet.websocket());
                ends.push(u32::try_from(frames.len()).unwrap_or(u32::MAX));
            }
            Some(Entry::run(frames.freeze(), ends, class))
        }
    }
}

/// All frames in one piece, where that is not too large.
fn whole(entries: &[Entry]) -> Option<Bytes> {
    match entries {
        [entry] => Some(entry.to_bytes()),
        _ if entries.iter().map(Entry::size).sum::<usize>() > limits::OUTBOX_RUN => None,
        _ => Some(entries.iter().map(Entry::bytes).collect::<Vec<_>>().concat().into()),
    }
}

/// A volley that is being sent: whoever's turn it is gets it written at once.
#[derive(Debug)]
struct Course {
    volley: Volley,
    entries: Vec<Entry>,
    whole: Option<Bytes>,
    /// Packets, those included that newer ones have replaced.
    count: u64,
    /// The next recipient.
    next: usize,
}

impl Course {
    fn new(volley: Volley) -> Self {
        let entries = volley.entries();
        let count = u64::from(volley.packets.count()) + volley.replaced;
        Self { whole: whole(&entries), entries, count, volley, next: 0 }
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
    fn gather(&mut self, sockets: Vec<SocketKey>, packet: Encoded, worth: Worth) {
        self.packets += 1;
        self.bytes += packet.size();
        let joins = |last: &Volley| last.class == worth.class && last.sockets == sockets;
        if !self.gathered.last().is_some_and(joins) {
            self.recipients += sockets.len();
            self.gathered.push(Volley::new(sockets, worth.class));
        }
        if let Some(last) = self.gathered.last_mut() {
            last.plain &= worth.subject.is_none();
            last.replaced += last.packets.push(packet, worth);
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
    pub fn broadcast(&mut self, sockets: Vec<SocketKey>, packet: Encoded, worth: Worth) -> bool {
        if sockets.is_empty() {
            return self.sweep.is_full();
        }
        self.sweep.gather(sockets, packet, worth);
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
        let volley = &course.volley;
        let is_volatile = volley.class == Class::Volatile;
        let Some(entry) = self.sockets.get(socket) else {
            self.stats.late_dropped += course.count;
            return;
        };
        let session = entry.session;
        if !entry.is_admitted() {
            if !is_volatile {
                self.park(socket, volley.packets.whole_entries().filter_map(Entry::to_packet));
            }
            return;
        }
        let Some(entry) = self.sessions.get_mut(session) else { return };
        if is_volatile && !entry.is_ready() {
            self.stats.volatile_dropped += course.count;
            return;
        }
        self.stats.conflated += entry.outbox.push_all(&volley.packets, &course.entries, volley.plain);
        if entry.outbox.is_behind() {
            self.shed(session, self.now);
        }
        self.count_course(session, course);
        self.mark_swept(session);
    }

    /// A volley is on its way to one of its recipients.
    fn count_course(&mut self, session: SessionKey, course: &Course) {
        self.stats.packets_out += course.count;
        self.stats.conflated += course.volley.replaced;
        if self.is_tracing() {
            for packet in course.volley.packets.whole_entries().filter_map(Entry::packet) {
                self.trace_packet_out(session, packet);
            }
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
        let entry = self.sockets.get(socket).filter(|entry| entry.is_admitted());
        let session = entry.map(|entry| entry.session);
        if let (Some(session), Some(whole)) = (session, &course.whole)
            && self.write_through(session, &course.entries, whole, now)
        {
            self.count_course(session, course);
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

    fn volley(packets: &[(Encoded, Worth)]) -> Volley {
        let mut volley = Volley::new(Vec::new(), Class::Event);
        volley.replaced =
            packets.iter().map(|(packet, worth)| volley.packets.push(packet.clone(), worth.clone())).sum();
        volley
    }

    fn lengths(sizes: &[usize]) -> Vec<usize> {
        let packets: Vec<_> = sizes.iter().map(|&size| (packet(size), Worth::EVENT)).collect();
        let entries = volley(&packets).entries();
        let joined: Vec<u8> = entries.iter().flat_map(|entry| entry.bytes().to_vec()).collect();
        let apart: Vec<u8> = packets.iter().flat_map(|(packet, _)| packet.websocket().to_vec()).collect();
        assert_eq!(joined, apart);
        entries.iter().map(Entry::size).collect()
    }

    #[test]
    fn small_frames_are_joined_in_runs_and_large_ones_shared() {
        assert_eq!(lengths(&[0, 0]), [16]);
        assert_eq!(lengths(&[0, 5000, 0, 0]), [8, 5010, 16]);
        let runs = lengths(&[1000; 100]);
        assert_eq!((runs.len(), runs.iter().all(|&length| length <= limits::OUTBOX_RUN)), (2, true));
        let lone = packet(10);
        let course = Course::new(volley(&[(lone.clone(), Worth::EVENT)]));
        let whole = course.whole.unwrap();
        assert_eq!(whole.as_ptr(), lone.websocket().as_ptr(), "nothing to join, nothing copied");
    }

    #[test]
    fn the_newest_of_a_subject_stays_alone_and_goes_with_the_others() {
        let [a, b] = ["a", "b"].map(|key| Worth::latest("/", key));
        let packets =
            [(1, Worth::EVENT), (2, a.clone()), (3, b), (4, Worth::EVENT), (5, Worth::EVENT), (6, a)];
        let packets = packets.map(|(size, worth)| (packet(size), worth));
        let course = Course::new(volley(&packets));
        let sizes: Vec<usize> = course.entries.iter().map(Entry::size).collect();
        assert_eq!((sizes, course.count, course.volley.replaced), (vec![9, 11, 12 + 13, 14], 6, 1));
        let kept = [0, 2, 3, 4, 5].map(|index: usize| packets[index].0.websocket().to_vec());
        assert_eq!(course.whole.unwrap(), kept.concat());
    }
}
