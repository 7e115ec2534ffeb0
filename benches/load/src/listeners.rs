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
            if !slow {
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
        self.deliveries + u64::from(self.answered) + u64::from(self.done.is_some())
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
