//! The bare loops of the benches: what the kernel asks for the same bytes, without a Socket.IO server around.
//!
//! An epoll loop that knows one handshake and the events of the benches by their prefixes, and nothing else:
//! no namespaces, no ping, no limits, no JSON.

mod requests;
mod server;
mod wire;

use std::io::{self, Write};

use clap::Parser;

/// The least that can answer the benches.
#[derive(Debug, Parser)]
#[command(disable_version_flag = true)]
struct Options {
    /// Where to listen on 127.0.0.1.
    #[arg(long, required_unless_present = "version")]
    port: Option<u16>,
    /// Broadcasts that leave together in one write.
    #[arg(long, default_value_t = 1)]
    frames_per_write: u64,
    /// Print the version and end.
    #[arg(long)]
    version: bool,
}

fn main() -> io::Result<()> {
    let options = Options::parse();
    if options.version {
        return writeln!(io::stdout(), "bare {}", env!("CARGO_PKG_VERSION"));
    }
    let mut server = server::Server::listen(options.port.unwrap_or(0), options.frames_per_write.max(1))?;
    writeln!(io::stdout(), "ready")?;
    io::stdout().flush()?;
    server.run()
}
