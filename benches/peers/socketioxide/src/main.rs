//! The application of the benches on socketioxide, carried by hyper alone.

use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::time::Duration;

use clap::Parser;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use rmpv::Value;
use rustix::time::{ClockId, clock_gettime};
use socketioxide::SocketIo;
use socketioxide::extract::{AckSender, Data, SocketRef};
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep_until};

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROOM: &str = "all";
/// Broadcasts between two yields: the tasks that write have their turn then.
const BETWEEN_YIELDS: u64 = 16;
/// Packets that may wait for one client; what is beyond would be lost.
const MAX_BUFFERED: usize = 100_000;

#[derive(Debug, Parser)]
#[command(disable_version_flag = true)]
struct Options {
    /// Where to listen on 127.0.0.1.
    #[arg(long, required_unless_present = "version")]
    port: Option<u16>,
    /// Worker threads; 0 runs everything on the main thread, which is best on one core.
    #[arg(long, default_value_t = 0)]
    threads: usize,
    /// Print versions and end.
    #[arg(long)]
    version: bool,
}

fn main() -> io::Result<()> {
    let options = Options::parse();
    if options.version {
        let allocator = if cfg!(feature = "mimalloc") { ", mimalloc 0.1" } else { "" };
        return writeln!(io::stdout(), "socketioxide 0.18.9, hyper 1{allocator}");
    }
    let runtime = match options.threads {
        0 => tokio::runtime::Builder::new_current_thread().enable_all().build()?,
        threads => {
            tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?
        }
    };
    runtime.block_on(serve(options.port.unwrap_or(0)))
}

async fn serve(port: u16) -> io::Result<()> {
    let (service, io) =
        SocketIo::builder().ping_interval(Duration::from_secs(25)).max_buffer_size(MAX_BUFFERED).build_svc();
    io.ns("/", async |socket: SocketRef, io: SocketIo| register(&socket, &io));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    writeln!(io::stdout(), "ready")?;
    io::stdout().flush()?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service.clone());
        tokio::spawn(connection.with_upgrades());
    }
}

fn register(socket: &SocketRef, io: &SocketIo) {
    socket.on("join", async |socket: SocketRef, ack: AckSender| {
        socket.join(ROOM);
        ack.send(&()).ok();
    });
    socket.on("echo", async |Data(value): Data<Value>, ack: AckSender| {
        ack.send(&value).ok();
    });
    socket.on("work", async |Data((milliseconds, value)): Data<(f64, Value)>, ack: AckSender| {
        burn(milliseconds);
        ack.send(&value).ok();
    });
    let all = io.clone();
    socket.on("once", async move |Data((index, payload)): Data<(u64, Value)>| {
        all.to(ROOM).emit("b", &(index, &payload)).await.ok();
    });
    let all = io.clone();
    socket.on(
        "flood",
        async move |asker: SocketRef, Data((count, payload)): Data<(u64, Value)>, ack: AckSender| {
            ack.send(&()).ok();
            for index in 0..count {
                all.to(ROOM).emit("b", &(index, &payload)).await.ok();
                if index % BETWEEN_YIELDS == BETWEEN_YIELDS - 1 {
                    tokio::task::yield_now().await;
                }
            }
            asker.emit("done", &count).ok();
        },
    );
    let all = io.clone();
    socket.on(
        "paced",
        async move |asker: SocketRef,
                    Data((count, rate, payload)): Data<(u64, f64, Value)>,
                    ack: AckSender| {
            ack.send(&()).ok();
            let start = Instant::now();
            for index in 0..count {
                sleep_until(start + Duration::from_secs_f64(index as f64 / rate)).await;
                all.to(ROOM).emit("b", &(index, &payload)).await.ok();
            }
            asker.emit("done", &count).ok();
        },
    );
}

/// Keep the CPU busy for so many milliseconds.
fn burn(milliseconds: f64) {
    let now = || {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        time.tv_sec as f64 * 1e3 + time.tv_nsec as f64 / 1e6
    };
    let end = now() + milliseconds;
    while now() < end {
        std::hint::spin_loop();
    }
}
