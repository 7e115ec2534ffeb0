//! Puts load on a Socket.IO server, verifies every message that comes back, and measures the server.
//!
//! One thread: `swarm` waits for sockets, `client` and `session` bring each client to life, and the game of a
//! mode (`listeners`, `echo`, `crowd`) checks what comes then. No JSON is parsed while anything is measured.

mod client;
mod crowd;
mod echo;
mod fanout;
mod fault;
mod frame;
mod http;
mod link;
mod listeners;
mod meter;
mod options;
mod outbox;
mod packet;
mod payload;
mod process;
mod report;
mod session;
mod swarm;
mod tcp_info;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

use crate::fault::Result;
use crate::options::{Mode, Options};
use crate::report::Report;

fn main() -> ExitCode {
    let options = Options::parse();
    let (line, code) = match run(&options) {
        Ok(report) if options.json => (report.json(), ExitCode::SUCCESS),
        Ok(report) => (report.line(), ExitCode::SUCCESS),
        Err(fault) => (format!("siox-load: {fault}"), ExitCode::FAILURE),
    };
    let written = if code == ExitCode::SUCCESS {
        writeln!(std::io::stdout(), "{line}")
    } else {
        writeln!(std::io::stderr(), "{line}")
    };
    if written.is_ok() { code } else { ExitCode::FAILURE }
}

fn run(options: &Options) -> Result<Report> {
    rlimit::increase_nofile_limit(u64::MAX)?;
    match options.mode {
        Mode::Broadcast | Mode::Paced | Mode::Lockstep | Mode::Slow => fanout::run(options),
        Mode::Echo | Mode::Work | Mode::Polling => echo::run(options),
        Mode::Idle | Mode::Connect | Mode::Upgrade => crowd::run(options),
    }
}
