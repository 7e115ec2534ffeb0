//! The command line.

use clap::{Parser, ValueEnum};

use crate::client::Transport;
use crate::payload::Kind;

/// What is done to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// Broadcasts as fast as the server emits them, in bursts; each burst is awaited.
    Broadcast,
    /// Broadcasts at --rate a second, by the server's timer. Latency: behind the first client that got it.
    Paced,
    /// A broadcast when all have got the one before. Latency: since it was asked for.
    Lockstep,
    /// Requests with an acknowledgement, --in-flight at once from each client.
    Echo,
    /// The same with --ms of work in the handler.
    Work,
    /// The same as echo, over long polling.
    Polling,
    /// Broadcasts in bursts while --slow of the clients hardly read; only the others are awaited.
    Slow,
    /// Connections that do nothing.
    Idle,
    /// Connections until they have joined the namespace, --in-flight at once.
    Connect,
    /// The same over polling with the upgrade to a websocket.
    Upgrade,
}

/// Puts load on a Socket.IO server of this machine, verifies every message, and measures the server.
///
/// Everything runs on one thread; pin it to another core than the server's. load_busy is the share of the time
/// that it worked; load_starved and server_starved are the shares that they waited for a CPU that others had:
/// above a few percent the machine was not theirs. frames_per_write is frames per TCP segment received, and a
/// write of up to 64 KiB is one segment on loopback. It ends with 1 and one line on
/// stderr when a message is wrong, missing, doubled or out of order.
#[derive(Debug, Parser)]
#[command(name = "siox-load", version)]
pub(crate) struct Options {
    /// What to do.
    #[arg(value_enum)]
    pub(crate) mode: Mode,
    /// Where the server listens on 127.0.0.1.
    #[arg(long)]
    pub(crate) port: u16,
    /// The server's process: its CPU time and memory, and its children's, are measured.
    #[arg(long)]
    pub(crate) pid: Option<u32>,
    /// How many clients [default: 1000; 50 for echo, work and polling; 10000 for idle; 5000 for connect
    /// and upgrade].
    #[arg(long)]
    pub(crate) clients: Option<usize>,
    /// What each message carries.
    #[arg(long, value_enum, default_value = "60")]
    pub(crate) payload: Kind,
    /// How long to measure; whatever is under way then is awaited.
    #[arg(long, default_value_t = 5.0)]
    pub(crate) seconds: f64,
    /// How many broadcasts or requests, instead of --seconds.
    #[arg(long)]
    pub(crate) count: Option<u64>,
    /// How long to go on unmeasured before, in seconds.
    #[arg(long, default_value_t = 0.5)]
    pub(crate) warmup: f64,
    /// Broadcasts of one burst: modes broadcast and slow.
    #[arg(long, default_value_t = 500)]
    pub(crate) burst: u64,
    /// Broadcasts a second: mode paced, and --audience.
    #[arg(long, default_value_t = 50)]
    pub(crate) rate: u64,
    /// Requests at once from each client, or connections at once [default: 1; 50 for connections].
    #[arg(long)]
    pub(crate) in_flight: Option<usize>,
    /// How many of the clients are slow: mode slow [default: a tenth].
    #[arg(long)]
    pub(crate) slow: Option<usize>,
    /// So many clients more that get --rate broadcasts a second meanwhile: mode echo.
    #[arg(long, default_value_t = 0)]
    pub(crate) audience: usize,
    /// How clients reach the server.
    #[arg(long, value_enum, default_value = "websocket")]
    pub(crate) transport: Transport,
    /// Work in the handler, in milliseconds of CPU: mode work.
    #[arg(long, default_value_t = 1.0)]
    pub(crate) ms: f64,
    /// Never sleep: the server is spared the cost of waking us with every write, and load_busy says nothing.
    #[arg(long)]
    pub(crate) spin: bool,
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

impl Options {
    /// The clients of this mode.
    pub(crate) fn clients(&self) -> usize {
        self.clients.unwrap_or(match self.mode {
            Mode::Echo | Mode::Work | Mode::Polling => 50,
            Mode::Idle => 10_000,
            Mode::Connect | Mode::Upgrade => 5000,
            Mode::Broadcast | Mode::Paced | Mode::Lockstep | Mode::Slow => 1000,
        })
    }

    /// How clients reach the server in this mode.
    pub(crate) fn transport(&self) -> Transport {
        match self.mode {
            Mode::Polling => Transport::Polling,
            Mode::Upgrade => Transport::Upgrade,
            _ => self.transport,
        }
    }

    /// The name of a value on the command line.
    pub(crate) fn name(value: &impl ValueEnum) -> String {
        value.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }
}
