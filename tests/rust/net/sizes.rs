//! What one connection costs in memory. A number that grows here grows a hundred thousand times in use.

use super::client::{Client, Polling, WebSocket};
use super::server::{Server, event, millis};
use siox::net::command::Command;
use siox::net::connection::Connection;
use siox::net::session::SessionEntry;
use siox::net::socket::SocketEntry;
use siox::net::worth::{Policy, Worth};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator, counting what the present thread holds.
struct Counting;

thread_local!(static HELD: Cell<isize> = const { Cell::new(0) });

fn count(bytes: isize) {
    // A thread that ends has no counter any more, and nobody asks for it.
    let _ = HELD.try_with(|held| held.set(held.get() + bytes));
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: each call is the system allocator's own; counting touches no memory that is handed out.
#[allow(unsafe_code, clippy::cast_possible_wrap)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller keeps `alloc`'s contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: the caller keeps `dealloc`'s contract.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// Bytes that the server holds for each of `count` clients, and clients that hold nothing.
fn bytes_each<C>(server: &mut Server, count: usize, join: impl Fn(&mut Server) -> C) -> isize {
    // The tables grow by doubling: begin where they have just done so.
    let mut clients: Vec<C> = Vec::with_capacity(2 * count);
    for _ in 0..count {
        clients.push(join(server));
    }
    server.seen = Vec::new();
    let before = HELD.get();
    for _ in 0..count {
        clients.push(join(server));
    }
    server.seen = Vec::new();
    server.settle();
    let held = HELD.get() - before;
    held / isize::try_from(count).unwrap()
}

#[test]
fn the_entries_of_the_tables_are_small() {
    assert!(size_of::<Connection>() <= 232, "Connection: {}", size_of::<Connection>());
    assert!(size_of::<SessionEntry>() <= 440, "SessionEntry: {}", size_of::<SessionEntry>());
    assert!(size_of::<SocketEntry>() <= 88, "SocketEntry: {}", size_of::<SocketEntry>());
}

#[test]
fn an_idle_websocket_connection_is_small() {
    let mut server = Server::new();
    let each = bytes_each(&mut server, 128, WebSocket::join);
    assert!(each <= 2 * 1024, "{each} bytes for a websocket in one namespace, its client's end included");
}

#[test]
fn what_waits_for_many_is_there_once_and_a_place_for_each() {
    const LIMIT: usize = 512 * 1024;
    const CLIENTS: usize = 64;
    let mut server = Server::with(|options| {
        (options.marks.limit, options.marks.policy) = (LIMIT, Policy::DropOldest);
    });
    let join = |server: &mut Server| {
        let client = Client::small(server.address);
        WebSocket::join_over(server, client)
    };
    let _clients: Vec<WebSocket> = (0..CLIENTS).map(|_| join(&mut server)).collect();
    let sockets = server.sockets();
    for &socket in &sockets {
        server.block(socket);
    }
    let mut flood = |count: usize| {
        for _ in 0..count {
            let packet = event(&format!("[\"{}\"]", "x".repeat(1000)));
            server.order(Command::Broadcast { sockets: sockets.clone(), packet, worth: Worth::EVENT });
            server.turn();
            server.now += millis(1);
        }
        server.seen = Vec::new();
    };
    let before = HELD.get();
    let mut most = 0;
    for _ in 0..16 {
        flood(256);
        most = most.max(HELD.get() - before);
    }
    let places = 2 * LIMIT / 1000 * 80;
    let bound = isize::try_from(2 * LIMIT + CLIENTS * places).unwrap();
    assert!(most <= bound, "{most} bytes of {bound}");
    assert!(server.stat("policy_dropped") > 0);
}

#[test]
fn an_idle_polling_session_is_small() {
    let mut server = Server::new();
    let each = bytes_each(&mut server, 128, Polling::join);
    assert!(each <= 3 * 1024, "{each} bytes for a session on polling, its client's two connections included");
}
