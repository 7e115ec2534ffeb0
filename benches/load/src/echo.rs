//! Requests with an acknowledgement: so many at once from each client, the next when one is answered.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::client::{Role, Transport};
use crate::fanout::{AT_ONCE, ask_paced, whole};
use crate::fault::{Fault, Result};
use crate::listeners::Listeners;
use crate::meter::{Measured, Meter};
use crate::options::{Mode, Options};
use crate::outbox::Outbox;
use crate::packet::Packet;
use crate::payload::{Check, Payload};
use crate::process;
use crate::report::{Latencies, Report};
use crate::session::{Game, told};
use crate::swarm::Swarm;

/// How long a turn may wait.
const TURN: Duration = Duration::from_millis(20);

/// Run one of the modes echo, work and polling.
pub(crate) fn run(options: &Options) -> Result<Report> {
    let clients = options.clients();
    let rss_before = options.pid.map(process::rss).transpose()?;
    let mut swarm = Swarm::new(options)?;
    let mut round = Round { askers: Askers::new(options)?, audience: None };
    let role = Role { transport: options.transport(), joins: false, slow: false };
    swarm.open(clients, role, AT_ONCE, &mut round)?;
    let rss_after = options.pid.map(process::rss).transpose()?;
    if options.audience > 0 {
        round.seat_audience(options, &mut swarm)?;
    }
    let measured = round.play(options, &mut swarm)?;
    let segments = swarm.counted(0..clients)?;
    swarm.linger(&mut round)?;
    let Round { askers, audience } = round;
    let frames = askers.answers * if askers.payload.attachment().is_some() { 2 } else { 1 };
    let mut extra = vec![("in_flight", json!(askers.in_flight))];
    if let Some(audience) = audience {
        extra.push(("audience", json!(options.audience)));
        extra.push(("rate", json!(options.rate)));
        extra.push(("deliveries", json!(audience.deliveries)));
    }
    if options.mode == Mode::Work {
        extra.push(("ms", json!(options.ms)));
    }
    Ok(Report {
        mode: Options::name(&options.mode),
        transport: Options::name(&options.transport()),
        clients,
        payload: Options::name(&options.payload),
        unit: "requests",
        count: askers.answers,
        measured,
        latencies: Some(askers.latencies),
        rss_before,
        rss_after,
        connections: clients,
        frames_per_write: (options.transport() != Transport::Polling)
            .then_some(frames as f64 / segments as f64),
        extra,
    })
}

/// Those who ask, and those who get broadcasts meanwhile.
#[derive(Debug)]
struct Round {
    askers: Askers,
    audience: Option<Listeners>,
}

impl Round {
    fn seat_audience(&mut self, options: &Options, swarm: &mut Swarm) -> Result<()> {
        let payload = &self.askers.payload;
        self.audience = Some(Listeners::new(payload, options.clients(), options.audience, 0)?);
        let role = Role { transport: Transport::Websocket, joins: true, slow: false };
        swarm.open(options.audience, role, AT_ONCE, self)?;
        swarm.open(1, Role { joins: false, ..role }, 1, self)
    }

    fn play(&mut self, options: &Options, swarm: &mut Swarm) -> Result<Measured> {
        let clients = options.clients();
        if let Some(audience) = &mut self.audience {
            let count = whole((options.warmup + options.seconds) * options.rate as f64).max(1);
            audience.expect_series(count);
            let payload = &self.askers.payload;
            let rate = options.rate.max(1);
            swarm.send(audience.control(), |outbox| ask_paced(count, rate, payload, outbox))?;
        }
        for who in 0..clients {
            swarm.send(who, |outbox| self.askers.begin(who, outbox))?;
        }
        let warm = Instant::now();
        while warm.elapsed().as_secs_f64() < options.warmup {
            swarm.turn(TURN, self)?;
        }
        swarm.begin_counting(0..clients)?;
        self.askers.measure(options.count);
        let meter = Meter::begin(options.pid)?;
        while self.askers.left > 0
            && (options.count.is_some() || meter.elapsed().as_secs_f64() < options.seconds)
        {
            swarm.turn(TURN, self)?;
        }
        self.askers.left = 0;
        while self.askers.waiting > 0 {
            swarm.turn(TURN, self)?;
        }
        let measured = meter.end()?;
        while self.audience.as_ref().is_some_and(|audience| !audience.all_done()) {
            swarm.turn(TURN, self)?;
        }
        Ok(measured)
    }

    /// The listeners, if a client is one of them.
    fn of(&self, who: usize) -> Option<&Listeners> {
        self.audience.as_ref().filter(|_| who >= self.askers.clients)
    }
}

impl Game for Round {
    #[inline]
    fn packet(&mut self, who: usize, packet: Packet<'_>, outbox: &mut Outbox) -> Result<()> {
        match &mut self.audience {
            Some(audience) if who >= self.askers.clients => audience.packet(who, packet, outbox),
            _ => self.askers.packet(who, packet, outbox),
        }
    }

    fn expecting(&self, who: usize) -> String {
        self.of(who).map_or_else(|| self.askers.expecting(who), |audience| audience.expecting(who))
    }

    fn progress(&self) -> u64 {
        self.askers.answers + self.audience.as_ref().map_or(0, Game::progress)
    }

    fn last(&self) -> usize {
        match &self.audience {
            Some(audience) if self.askers.waiting == 0 => audience.last(),
            _ => self.askers.last(),
        }
    }

    fn reading(&mut self) {
        self.askers.now = Instant::now();
    }
}

/// One of the requests that a client may have at once.
#[derive(Clone, Copy, Debug)]
struct Slot {
    /// Its id; the next request of this slot has one that is `in_flight` greater.
    id: u64,
    waits: bool,
    /// Its answer has come, but for the attachment.
    owed: bool,
    asked: Instant,
}

#[derive(Debug)]
struct Askers {
    payload: Payload,
    check: Check,
    /// What stands before the payload: `["echo",`.
    head: Vec<u8>,
    clients: usize,
    in_flight: usize,
    slots: Vec<Slot>,
    /// Requests that may still be begun in place of an answered one.
    left: u64,
    waiting: usize,
    answers: u64,
    latencies: Latencies,
    now: Instant,
}

impl Askers {
    fn new(options: &Options) -> Result<Self> {
        let payload = Payload::new(options.payload);
        let in_flight = options.in_flight.unwrap_or(1).max(1);
        let now = Instant::now();
        let head = match options.mode {
            Mode::Work => format!("[\"work\",{},", options.ms),
            _ => "[\"echo\",".to_owned(),
        };
        let slot = |index| Slot {
            id: (index % in_flight + in_flight) as u64,
            waits: false,
            owed: false,
            asked: now,
        };
        Ok(Self {
            check: Check::new(&payload),
            payload,
            head: head.into_bytes(),
            clients: options.clients(),
            in_flight,
            slots: (0..options.clients() * in_flight).map(slot).collect(),
            left: u64::MAX,
            waiting: 0,
            answers: 0,
            latencies: Latencies::new()?,
            now,
        })
    }

    /// Forget the warm-up; at most so many requests more.
    fn measure(&mut self, count: Option<u64>) {
        (self.answers, self.left) = (0, count.unwrap_or(u64::MAX));
        self.latencies.clear();
    }

    fn slots(&self, who: usize) -> &[Slot] {
        self.slots.get(who * self.in_flight..(who + 1) * self.in_flight).unwrap_or_default()
    }

    fn begin(&mut self, who: usize, outbox: &mut Outbox) {
        self.now = Instant::now();
        for slot in who * self.in_flight..(who + 1) * self.in_flight {
            self.ask(slot, outbox);
        }
    }

    fn ask(&mut self, slot: usize, outbox: &mut Outbox) {
        let Some(slot) = self.slots.get_mut(slot) else { return };
        (slot.waits, slot.asked) = (true, self.now);
        self.waiting += 1;
        outbox.event(Some(slot.id), [&self.head, b"", b""], &self.payload);
    }

    fn answered(&mut self, index: usize, outbox: &mut Outbox) {
        let Some(slot) = self.slots.get_mut(index) else { return };
        (slot.waits, slot.owed) = (false, false);
        slot.id += self.in_flight as u64;
        self.latencies.add(self.now.saturating_duration_since(slot.asked));
        self.answers += 1;
        self.waiting -= 1;
        if self.left > 0 {
            self.left -= 1;
            self.ask(index, outbox);
        }
    }

    /// Where the slot is that an answer belongs to.
    fn slot(&mut self, who: usize, packet: Packet<'_>) -> Option<(usize, bool)> {
        let first = who * self.in_flight;
        match packet {
            Packet::Ack { id, tail, attachment } => {
                let index = first + usize::try_from(id).ok()? % self.in_flight;
                let slot = self.slots.get_mut(index)?;
                if slot.id != id || !slot.waits || slot.owed || !self.check.tail(tail, attachment) {
                    return None;
                }
                slot.owed = attachment;
                Some((index, !attachment))
            }
            Packet::Attachment(bytes) if self.check.attachment(bytes) => {
                let index = self.slots(who).iter().position(|slot| slot.owed)?;
                Some((first + index, true))
            }
            _ => None,
        }
    }
}

impl Askers {
    #[inline]
    fn packet(&mut self, who: usize, packet: Packet<'_>, outbox: &mut Outbox) -> Result<()> {
        match self.slot(who, packet) {
            Some((index, true)) => self.answered(index, outbox),
            Some((_, false)) => {}
            None => return Err(Fault::at(who, self.expecting(who), told(&packet))),
        }
        Ok(())
    }

    fn expecting(&self, who: usize) -> String {
        let slots = self.slots(who);
        if let Some(slot) = slots.iter().find(|slot| slot.owed) {
            return format!("the attachment of ack {}", slot.id);
        }
        let ids: Vec<_> =
            slots.iter().filter(|slot| slot.waits).map(|slot| slot.id.to_string()).take(10).collect();
        match ids.as_slice() {
            [] => "nothing".to_owned(),
            ids => format!("ack {} with {}", ids.join(" or "), self.check.shown()),
        }
    }

    fn last(&self) -> usize {
        self.slots.iter().position(|slot| slot.waits).map_or(0, |index| index / self.in_flight)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::outbox::Wire;
    use crate::packet;

    fn askers(more: &str) -> Askers {
        let line = format!("siox-load echo --port 1 --clients 2 --in-flight 2 {more}");
        let mut askers =
            Askers::new(&Options::parse_from(line.split(' ').filter(|word| !word.is_empty()))).unwrap();
        for who in 0..2 {
            askers.begin(who, &mut Outbox::new(Wire::Frames));
        }
        askers
    }

    fn hear(askers: &mut Askers, who: usize, text: &str) -> std::result::Result<String, String> {
        let mut outbox = Outbox::new(Wire::Body);
        askers.packet(who, packet::read(text.as_bytes()), &mut outbox).map_err(|fault| fault.to_string())?;
        Ok(String::from_utf8(outbox.bytes().clone()).unwrap())
    }

    fn ack(id: u64) -> String {
        format!("43{id}[\"The quick brown fox jumps over the lazy dog\"]")
    }

    #[test]
    fn an_answer_brings_the_next_request_of_its_slot() {
        let mut askers = askers("");
        let next = hear(&mut askers, 1, &ack(3)).unwrap();
        assert!(next.starts_with("425[\"echo\",\"The quick"), "{next}");
        assert!(hear(&mut askers, 1, &ack(2)).unwrap().starts_with("424["));
        assert_eq!((askers.answers, askers.waiting), (2, 4));
        askers.left = 0;
        assert_eq!(hear(&mut askers, 1, &ack(4)).unwrap(), "");
        assert_eq!(askers.waiting, 3);
    }

    #[test]
    fn an_answer_that_was_not_asked_ends_the_run() {
        let mut askers = askers("");
        hear(&mut askers, 0, &ack(2)).unwrap();
        let fault = hear(&mut askers, 0, &ack(2)).unwrap_err();
        assert!(fault.starts_with("client 0: expected ack 4 or 3 with"), "{fault}");
        assert!(hear(&mut askers, 0, &ack(6)).is_err());
        assert!(hear(&mut askers, 0, "433[\"another\"]").is_err());
        assert!(hear(&mut askers, 0, "42[\"b\",0,1]").is_err());
    }

    #[test]
    fn a_binary_answer_counts_when_its_attachment_has_come() {
        let mut askers = askers("--payload bin1k");
        assert_eq!(hear(&mut askers, 0, "461-2[{\"num\":0,\"_placeholder\":true}]").unwrap(), "");
        assert_eq!(askers.answers, 0);
        let bytes = askers.payload.attachment().unwrap().to_vec();
        let mut outbox = Outbox::new(Wire::Body);
        askers.packet(0, Packet::Attachment(&bytes), &mut outbox).unwrap();
        assert_eq!(askers.answers, 1);
        assert!(askers.packet(0, Packet::Attachment(&bytes), &mut outbox).is_err());
    }
}
