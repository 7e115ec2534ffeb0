//! Clients in the room `all`: each must get every broadcast once, in order.

use std::time::Instant;

use crate::fault::{Fault, Result};
use crate::outbox::Outbox;
use crate::packet::Packet;
use crate::payload::{Check, Payload};
use crate::report::Latencies;
use crate::session::{Game, told};

/// From when on a delivery's latency counts.
#[derive(Debug)]
pub(crate) enum Clock {
    /// It does not.
    Off,
    /// Since it was asked for.
    Asked(Instant),
    /// Since the first client got the same broadcast.
    First(Vec<Instant>),
}

#[derive(Clone, Debug, Default)]
struct Seat {
    /// The index of the broadcast that comes next.
    next: u64,
    /// Series that it has seen whole.
    series: u64,
    /// The attachment of the last broadcast is still to come.
    owed: bool,
    slow: bool,
    lost: bool,
}

/// The game of the modes that broadcast. The clients of the room come first, in order; the next one is the
/// control client, which asks for the broadcasts and is not in the room.
#[derive(Debug)]
pub(crate) struct Listeners {
    check: Check,
    /// The first client of the room; the control client comes after the last.
    start: usize,
    seats: Vec<Seat>,
    /// Broadcasts of one series, that is numbered from 0.
    length: u64,
    /// Series that were asked for.
    asked: u64,
    complete: usize,
    answered: bool,
    done: Option<u64>,
    pub(crate) deliveries: u64,
    /// What slow clients got; they are not awaited.
    late: u64,
    pub(crate) latencies: Latencies,
    pub(crate) clock: Clock,
    now: Instant,
}

impl Listeners {
    /// A room of so many clients, the first of which has the number `start`; the last ones are slow.
    pub(crate) fn new(payload: &Payload, start: usize, count: usize, slow: usize) -> Result<Self> {
        let mut seats = vec![Seat::default(); count];
        seats.iter_mut().rev().take(slow).for_each(|seat| seat.slow = true);
        Ok(Self {
            check: Check::new(payload),
            start,
            seats,
            length: 0,
            asked: 0,
            complete: 0,
            answered: false,
            done: None,
            deliveries: 0,
            late: 0,
            latencies: Latencies::new()?,
            clock: Clock::Off,
            now: Instant::now(),
        })
    }

    /// The client that asks for broadcasts.
    pub(crate) fn control(&self) -> usize {
        self.start + self.seats.len()
    }

    /// A new series of so many broadcasts is asked for; every one before must be complete.
    pub(crate) fn expect_series(&mut self, length: u64) {
        self.length = length;
        self.asked += 1;
        (self.complete, self.answered, self.done) = (0, false, None);
    }

    /// One broadcast more, in a series that goes on.
    pub(crate) fn expect_one_more(&mut self) {
        if self.asked == 0 {
            self.asked = 1;
        } else {
            // What was whole is not so any more.
            self.seats.iter_mut().for_each(|seat| seat.series = 0);
        }
        self.length += 1;
        self.complete = 0;
    }

    /// Everyone that is awaited has everything.
    pub(crate) fn all_got(&self) -> bool {
        self.complete == self.seats.iter().filter(|seat| !seat.slow).count()
    }

    /// The same, and the control client has got its answer and `done`.
    pub(crate) fn all_done(&self) -> bool {
        self.done.is_some() && self.answered && self.all_got()
    }

    /// Slow clients that the server has disconnected.
    pub(crate) fn dropped(&self) -> usize {
        self.seats.iter().filter(|seat| seat.lost).count()
    }

    fn broadcast(&mut self, who: usize, packet: Packet<'_>) -> Result<()> {
        let Some(seat) = who.checked_sub(self.start).and_then(|seat| self.seats.get_mut(seat)) else {
            return Err(self.wrong(who, &packet));
        };
        match packet {
            Packet::Broadcast { index, tail, attachment }
                if index == seat.next
                    && seat.series < self.asked
                    && !seat.owed
                    && self.check.tail(tail, attachment) =>
            {
                seat.owed = attachment;
            }
            Packet::Attachment(bytes) if seat.owed && self.check.attachment(bytes) => seat.owed = false,
            packet => return Err(self.wrong(who, &packet)),
        }
        if !seat.owed {
            seat.next += 1;
            if seat.next == self.length {
                seat.series += 1;
                self.complete += usize::from(!seat.slow);
                if !matches!(self.clock, Clock::Asked(_)) {
                    seat.next = 0;
                }
            }
            let (index, slow) = (seat.next, seat.slow);
            if slow {
                self.late += 1;
            } else {
                self.deliveries += 1;
                self.time(index);
            }
        }
        Ok(())
    }

    fn time(&mut self, index: u64) {
        match &mut self.clock {
            Clock::Off => {}
            Clock::Asked(asked) => self.latencies.add(self.now.saturating_duration_since(*asked)),
            Clock::First(first) => {
                // The last of a series leaves its seat at 0.
                let index = if index == 0 { self.length } else { index };
                match usize::try_from(index - 1).ok().and_then(|index| first.get(index)) {
                    Some(first) => self.latencies.add(self.now.saturating_duration_since(*first)),
                    None => first.push(self.now),
                }
            }
        }
    }

    #[cold]
    fn wrong(&self, who: usize, packet: &Packet<'_>) -> Fault {
        Fault::at(who, self.expecting(who), told(packet))
    }
}

impl Game for Listeners {
    #[inline]
    fn packet(&mut self, who: usize, packet: Packet<'_>, _: &mut Outbox) -> Result<()> {
        if who != self.control() {
            return self.broadcast(who, packet);
        }
        match packet {
            Packet::Ack { id: 1, tail: b"[]" | b"[null]", attachment: false } if !self.answered => {
                self.answered = true;
            }
            Packet::Done(count) if count == self.length && self.done.is_none() => self.done = Some(count),
            packet => return Err(self.wrong(who, &packet)),
        }
        Ok(())
    }

    fn expecting(&self, who: usize) -> String {
        match who.checked_sub(self.start).and_then(|seat| self.seats.get(seat)) {
            Some(seat) if seat.owed => format!("the attachment of broadcast {}", seat.next),
            Some(seat) if seat.series < self.asked => {
                format!("broadcast {} with {}", seat.next, self.check.shown())
            }
            Some(_) => format!("nothing after the last of {} broadcasts", self.length),
            None if !self.answered => "an ack without a value".to_owned(),
            None if self.done.is_none() => format!("done of {}", self.length),
            None => "nothing".to_owned(),
        }
    }

    fn progress(&self) -> u64 {
        self.deliveries + self.late + u64::from(self.answered) + u64::from(self.done.is_some())
    }

    fn last(&self) -> usize {
        let behind = self.seats.iter().position(|seat| !seat.slow && seat.series < self.asked);
        behind.map_or(self.control(), |seat| self.start + seat)
    }

    fn reading(&mut self) {
        if !matches!(self.clock, Clock::Off) {
            self.now = Instant::now();
        }
    }

    fn lost(&mut self, who: usize, why: &str) -> Result<()> {
        match who.checked_sub(self.start).and_then(|seat| self.seats.get_mut(seat)) {
            Some(seat) if seat.slow => {
                seat.lost = true;
                Ok(())
            }
            _ => Err(Fault::at(who, self.expecting(who), why)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbox::Wire;
    use crate::packet;
    use crate::payload::Kind;

    const X: &str = "\"The quick brown fox jumps over the lazy dog\"";

    /// Two listeners and a control client; a series of three is expected.
    fn room(kind: Kind, slow: usize) -> Listeners {
        let mut room = Listeners::new(&Payload::new(kind), 0, 2, slow).unwrap();
        room.expect_series(3);
        room
    }

    fn hear(room: &mut Listeners, who: usize, text: &str) -> Result<()> {
        room.packet(who, packet::read(text.as_bytes()), &mut Outbox::new(Wire::Frames))
    }

    fn play(room: &mut Listeners, who: usize, indices: &[u64]) -> std::result::Result<(), String> {
        indices.iter().try_for_each(|index| {
            hear(room, who, &format!("42[\"b\",{index},{X}]")).map_err(|fault| fault.to_string())
        })
    }

    #[test]
    fn a_series_is_done_when_everyone_has_all_and_the_asker_knows() {
        let mut room = room(Kind::Short, 0);
        hear(&mut room, 2, "431[]").unwrap();
        play(&mut room, 0, &[0, 1, 2]).unwrap();
        play(&mut room, 1, &[0, 1]).unwrap();
        hear(&mut room, 2, "42[\"done\",3]").unwrap();
        assert!(!room.all_done());
        assert_eq!(room.last(), 1);
        play(&mut room, 1, &[2]).unwrap();
        assert!(room.all_done());
        assert_eq!(room.deliveries, 6);
        room.expect_series(3);
        assert!(!room.all_done());
        play(&mut room, 0, &[0, 1, 2]).unwrap();
    }

    #[test]
    fn one_that_is_missing_doubled_or_too_many_ends_the_run() {
        let fault = |indices: &[u64]| play(&mut room(Kind::Short, 0), 1, indices).unwrap_err();
        assert!(fault(&[0, 2]).starts_with("client 1: expected broadcast 1 "), "{}", fault(&[0, 2]));
        assert!(fault(&[0, 0]).contains("got broadcast 0 "));
        assert!(fault(&[1]).contains("expected broadcast 0 "));
        assert!(fault(&[0, 1, 2, 0]).contains("expected nothing after the last of 3"));
    }

    #[test]
    fn another_payload_ends_the_run() {
        let mut room = room(Kind::Short, 0);
        play(&mut room, 0, &[0]).unwrap();
        let fault = hear(&mut room, 0, "42[\"b\",1,\"The quick brown fox\"]").unwrap_err().to_string();
        assert!(fault.contains("jumps over"), "{fault}");
    }

    #[test]
    fn the_control_client_is_not_in_the_room() {
        assert!(play(&mut room(Kind::Short, 0), 2, &[0]).is_err());
        assert!(hear(&mut room(Kind::Short, 0), 2, "432[]").is_err());
        assert!(hear(&mut room(Kind::Short, 0), 2, "42[\"done\",4]").is_err());
    }

    #[test]
    fn an_attachment_follows_its_broadcast() {
        let mut room = room(Kind::Binary, 0);
        let payload = Payload::new(Kind::Binary);
        let mut outbox = Outbox::new(Wire::Frames);
        let text = "451-[\"b\",0,{\"_placeholder\":true,\"num\":0}]";
        let bytes = payload.attachment().unwrap();
        assert!(room.packet(0, Packet::Attachment(bytes), &mut outbox).is_err());
        hear(&mut room, 0, text).unwrap();
        assert_eq!(room.deliveries, 0);
        assert!(hear(&mut room, 0, text).is_err());
        assert!(room.packet(0, Packet::Attachment(&bytes[1..]), &mut outbox).is_err());
        room.packet(0, Packet::Attachment(bytes), &mut outbox).unwrap();
        assert_eq!(room.deliveries, 1);
    }

    #[test]
    fn a_slow_client_may_lag_and_leave_but_not_skip() {
        let mut room = room(Kind::Short, 1);
        play(&mut room, 0, &[0, 1, 2]).unwrap();
        assert!(room.all_got());
        room.expect_series(3);
        play(&mut room, 1, &[0, 1, 2, 0]).unwrap();
        assert!(play(&mut room, 1, &[2]).is_err());
        room.lost(1, "a close frame").unwrap();
        assert_eq!(room.dropped(), 1);
        assert!(room.lost(0, "a close frame").is_err());
    }

    #[test]
    fn in_lockstep_the_series_grows() {
        let mut room = Listeners::new(&Payload::new(Kind::Short), 0, 2, 0).unwrap();
        for index in 0..3 {
            room.expect_one_more();
            room.clock = Clock::Asked(Instant::now());
            play(&mut room, 0, &[index]).unwrap();
            assert!(!room.all_got());
            play(&mut room, 1, &[index]).unwrap();
            assert!(room.all_got());
            assert!(play(&mut room, 1, &[index + 1]).is_err());
        }
    }
}
