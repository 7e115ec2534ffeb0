//! Connections for their own sake: how fast they are taken, and what they cost while they do nothing.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::client::Role;
use crate::fanout::AT_ONCE;
use crate::fault::{Fault, Result};
use crate::meter::{Measured, Meter};
use crate::options::{Mode, Options};
use crate::outbox::Outbox;
use crate::packet::Packet;
use crate::process;
use crate::report::{Latencies, Report};
use crate::session::{Game, told};
use crate::swarm::Swarm;

/// How long a turn may wait.
const TURN: Duration = Duration::from_millis(20);
/// What a server may still have to do when all are there, or all have gone: until it has worked for less
/// than `CALM_CPU` in `CALM`, but no longer than `UNTIL_CALM`.
const CALM: Duration = Duration::from_millis(100);
const CALM_CPU: Duration = Duration::from_millis(3);
const UNTIL_CALM: Duration = Duration::from_secs(10);

/// Run one of the modes idle, connect and upgrade.
pub(crate) fn run(options: &Options) -> Result<Report> {
    let clients = options.clients();
    let mut crowd = Crowd { latencies: Latencies::new()?, turns: 0 };
    let mut measured = Measured::default();
    let mut extra = vec![("in_flight", json!(options.in_flight.unwrap_or(AT_ONCE)))];
    let rss_before = options.pid.map(process::rss).transpose()?;
    let mut passes = 0_u64;
    let rss_after = loop {
        let mut swarm = Swarm::new(options)?;
        measured += fill(options, &mut swarm, &mut crowd)?;
        passes += 1;
        let ended = match options.count {
            Some(count) => passes * clients as u64 >= count,
            None => measured.time.as_secs_f64() >= options.seconds,
        };
        // Later passes find memory that earlier ones have left.
        if options.mode == Mode::Idle || ended {
            calm(options, Some(&mut swarm), &mut crowd)?;
            let rss = options.pid.map(process::rss).transpose()?;
            if options.mode == Mode::Idle {
                let idle = hold(options, &mut swarm, &mut crowd)?;
                extra.push(("idle_seconds", json!(idle.time.as_secs_f64())));
                extra.push(("idle_cpu_seconds", json!(idle.server.map(|usage| usage.cpu.as_secs_f64()))));
            }
            break rss;
        }
        drop(swarm);
        calm(options, None, &mut crowd)?;
    };
    extra.push(("passes", json!(passes)));
    Ok(Report {
        mode: Options::name(&options.mode),
        transport: Options::name(&options.transport()),
        clients,
        payload: Options::name(&options.payload),
        unit: "requests",
        count: passes * clients as u64,
        measured,
        latencies: Some(crowd.latencies),
        rss_before,
        rss_after,
        connections: clients,
        frames_per_write: None,
        extra,
    })
}

fn fill(options: &Options, swarm: &mut Swarm, crowd: &mut Crowd) -> Result<Measured> {
    let role = Role { transport: options.transport(), joins: false, slow: false };
    let meter = Meter::begin(options.pid)?;
    swarm.open(options.clients(), role, options.in_flight.unwrap_or(AT_ONCE).max(1), crowd)?;
    meter.end()
}

fn hold(options: &Options, swarm: &mut Swarm, crowd: &mut Crowd) -> Result<Measured> {
    let meter = Meter::begin(options.pid)?;
    while meter.elapsed().as_secs_f64() < options.seconds {
        swarm.turn(TURN, crowd)?;
    }
    meter.end()
}

/// Let the server finish what it is doing.
fn calm(options: &Options, mut swarm: Option<&mut Swarm>, crowd: &mut Crowd) -> Result<()> {
    let began = Instant::now();
    loop {
        let meter = Meter::begin(options.pid)?;
        while meter.elapsed() < CALM {
            match &mut swarm {
                Some(swarm) => swarm.turn(TURN, crowd)?,
                None => std::thread::sleep(TURN),
            }
        }
        let worked = meter.end()?.server;
        if worked.is_none_or(|usage| usage.cpu < CALM_CPU) || began.elapsed() > UNTIL_CALM {
            return Ok(());
        }
    }
}

/// The game of clients that do nothing.
#[derive(Debug)]
struct Crowd {
    latencies: Latencies,
    turns: u64,
}

impl Game for Crowd {
    fn packet(&mut self, who: usize, packet: Packet<'_>, _: &mut Outbox) -> Result<()> {
        Err(Fault::at(who, self.expecting(who), told(&packet)))
    }

    fn expecting(&self, _: usize) -> String {
        "nothing".to_owned()
    }

    fn progress(&self) -> u64 {
        self.turns
    }

    fn idle(&mut self) {
        // Silence is what is wanted.
        self.turns += 1;
    }

    fn live(&mut self, after: Duration) {
        self.latencies.add(after);
    }
}
