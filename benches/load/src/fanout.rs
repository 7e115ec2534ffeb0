//! The modes that broadcast: flat out, paced, in lockstep, and with slow readers.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::client::{Role, Transport};
use crate::fault::{Fault, Result};
use crate::listeners::{Clock, Listeners};
use crate::meter::{Measured, Meter};
use crate::options::{Mode, Options};
use crate::outbox::Outbox;
use crate::payload::Payload;
use crate::process;
use crate::report::Report;
use crate::swarm::Swarm;

/// How long a turn may wait.
const TURN: Duration = Duration::from_millis(20);
/// Connections at once while the room fills.
pub(crate) const AT_ONCE: usize = 50;

/// Run one of these modes.
pub(crate) fn run(options: &Options) -> Result<Report> {
    let clients = options.clients();
    let slow = match options.mode {
        Mode::Slow => options.slow.unwrap_or(clients / 10),
        _ => 0,
    };
    if slow >= clients || (slow > 0 && options.transport() != Transport::Websocket) {
        return Err(Fault::new("slow clients are some of those on websockets, not all"));
    }
    let rss_before = options.pid.map(process::rss).transpose()?;
    let mut hall = Hall::open(options, clients, slow)?;
    let rss_joined = options.pid.map(process::rss).transpose()?;
    let measured = match options.mode {
        Mode::Paced => hall.paced(options)?,
        Mode::Lockstep => hall.lockstep(options)?,
        _ => hall.flat_out(options)?,
    };
    let segments = hall.swarm.counted(0..clients - slow)?;
    let deliveries = hall.listeners.deliveries;
    let rss_end = options.pid.map(process::rss).transpose()?;
    hall.swarm.linger(&mut hall.listeners)?;
    let frames = deliveries * if hall.payload.attachment().is_some() { 2 } else { 1 };
    let mut extra = vec![("broadcasts", json!(deliveries / (clients - slow) as u64))];
    match options.mode {
        Mode::Paced => extra.push(("rate", json!(options.rate))),
        Mode::Slow => {
            extra.push(("slow", json!(slow)));
            extra.push(("slow_disconnected", json!(hall.listeners.dropped())));
            extra.push(("rss_bytes_end", json!(rss_end)));
        }
        _ => {}
    }
    Ok(Report {
        mode: Options::name(&options.mode),
        transport: Options::name(&options.transport()),
        clients,
        payload: Options::name(&options.payload),
        unit: "deliveries",
        count: deliveries,
        measured,
        latencies: Some(hall.listeners.latencies),
        rss_before,
        rss_after: rss_joined,
        connections: clients + 1,
        frames_per_write: (options.transport() != Transport::Polling)
            .then_some(frames as f64 / segments as f64),
        extra,
    })
}

struct Hall {
    swarm: Swarm,
    listeners: Listeners,
    payload: Payload,
    clients: usize,
    slow: usize,
}

impl Hall {
    fn open(options: &Options, clients: usize, slow: usize) -> Result<Self> {
        let payload = Payload::new(options.payload);
        let mut listeners = Listeners::new(&payload, 0, clients, slow)?;
        let mut swarm = Swarm::new(options)?;
        let role = Role { transport: options.transport(), joins: true, slow: false };
        swarm.open(clients - slow, role, AT_ONCE, &mut listeners)?;
        swarm.open(slow, Role { slow: true, ..role }, AT_ONCE, &mut listeners)?;
        let control = Role { transport: Transport::Websocket, joins: false, slow: false };
        swarm.open(1, control, 1, &mut listeners)?;
        Ok(Self { swarm, listeners, payload, clients, slow })
    }

    fn flat_out(&mut self, options: &Options) -> Result<Measured> {
        let warm = Instant::now();
        while warm.elapsed().as_secs_f64() < options.warmup {
            self.series(options.burst, |outbox, payload| ask_flood(options.burst, payload, outbox))?;
        }
        let meter = self.begin(options)?;
        let mut left = options.count.unwrap_or(u64::MAX);
        while left > 0 && (options.count.is_some() || meter.elapsed().as_secs_f64() < options.seconds) {
            let burst = left.min(options.burst);
            self.series(burst, |outbox, payload| ask_flood(burst, payload, outbox))?;
            left -= burst;
        }
        meter.end()
    }

    fn paced(&mut self, options: &Options) -> Result<Measured> {
        let rate = options.rate.max(1);
        let warm = whole(options.warmup * rate as f64);
        if warm > 0 {
            self.series(warm, |outbox, payload| ask_paced(warm, rate, payload, outbox))?;
        }
        let count = options.count.unwrap_or_else(|| whole(options.seconds * rate as f64)).max(1);
        let meter = self.begin(options)?;
        self.listeners.clock = Clock::First(Vec::with_capacity(usize::try_from(count).unwrap_or(0)));
        self.series(count, |outbox, payload| ask_paced(count, rate, payload, outbox))?;
        meter.end()
    }

    fn lockstep(&mut self, options: &Options) -> Result<Measured> {
        let warm = Instant::now();
        let mut index = 0;
        while warm.elapsed().as_secs_f64() < options.warmup {
            self.step(index)?;
            index += 1;
        }
        let meter = self.begin(options)?;
        let last = options.count.map(|count| index + count);
        while last.map_or(meter.elapsed().as_secs_f64() < options.seconds, |last| index < last) {
            self.step(index)?;
            index += 1;
        }
        meter.end()
    }

    /// Forget the warm-up.
    fn begin(&mut self, options: &Options) -> Result<Meter> {
        self.swarm.begin_counting(0..self.clients - self.slow)?;
        self.listeners.deliveries = 0;
        self.listeners.latencies.clear();
        Meter::begin(options.pid)
    }

    fn series(&mut self, length: u64, ask: impl FnOnce(&mut Outbox, &Payload)) -> Result<()> {
        self.listeners.expect_series(length);
        self.swarm.send(self.listeners.control(), |outbox| ask(outbox, &self.payload))?;
        while !self.listeners.all_done() {
            self.swarm.turn(TURN, &mut self.listeners)?;
        }
        Ok(())
    }

    fn step(&mut self, index: u64) -> Result<()> {
        self.listeners.expect_one_more();
        self.listeners.clock = Clock::Asked(Instant::now());
        let mut digits = itoa::Buffer::new();
        let head: [&[u8]; 3] = [br#"["once","#, digits.format(index).as_bytes(), b","];
        self.swarm.send(self.listeners.control(), |outbox| outbox.event(None, head, &self.payload))?;
        while !self.listeners.all_got() {
            self.swarm.turn(TURN, &mut self.listeners)?;
        }
        Ok(())
    }
}

fn ask_flood(count: u64, payload: &Payload, outbox: &mut Outbox) {
    outbox.event(Some(1), [br#"["flood","#, count.to_string().as_bytes(), b","], payload);
}

/// Ask for so many broadcasts at that rate.
pub(crate) fn ask_paced(count: u64, rate: u64, payload: &Payload, outbox: &mut Outbox) {
    outbox.event(Some(1), [br#"["paced","#, format!("{count},{rate}").as_bytes(), b","], payload);
}

/// A count that a number of seconds stands for.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub(crate) fn whole(count: f64) -> u64 {
    count.round() as u64
}
