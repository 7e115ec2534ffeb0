//! Listeners in the reactor: connections come in here, a budget of them a turn. Whose they are: `moving.rs`.

use super::connection::Protocol;
use super::listener::Listener;
use super::log::LogKind;
use super::reactor::{Reactor, TimerKey};
use crate::proto::limits;
use mio::{Interest, Token};
use std::io;
use std::time::{Duration, Instant};

/// Listeners' tokens count downwards from here; connections' are keys with a generation, far below.
const FIRST_LISTENER: usize = usize::MAX - 1;
/// No listener's token is below this one.
pub(super) const LAST_LISTENER: usize = FIRST_LISTENER - (1 << 16);
/// How long to wait for a descriptor when there is none left to accept with.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

impl Reactor {
    /// Starts to accept from a listener.
    pub fn add_listener(&mut self, mut listener: Listener) -> io::Result<()> {
        let token = Token(FIRST_LISTENER - self.listeners.len());
        self.registry.register(listener.source(), token, Interest::READABLE)?;
        self.listeners.push(listener);
        Ok(())
    }

    pub(super) fn accept_all(&mut self, now: Instant) {
        self.accepting = false;
        for index in 0..self.listeners.len() {
            self.accept_from(index, now);
        }
    }

    fn accept_from(&mut self, index: usize, now: Instant) {
        for _ in 0..limits::ACCEPT_BUDGET {
            let Some(listener) = self.listeners.get(index) else { return };
            match listener.accept() {
                Ok((stream, address)) => self.hand_out(stream, address, now),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    let line = format!("a connection could not be accepted, trying again: {error}");
                    self.log_seldom(LogKind::Accept, line, now);
                    self.timers.set(now + ACCEPT_RETRY, TimerKey::Accept);
                    return;
                }
            }
        }
        // The budget is spent, and the edge of whoever is still in the queue will not come again.
        self.accepting = true;
    }

    /// Lets nobody new in; who is there goes on.
    pub(super) fn drain(&mut self) {
        self.close_listeners();
        self.draining = true;
    }

    /// This process is a fork: the descriptors are its parent's as well. Closing ours here is no word to
    /// anybody; kept, they would hold addresses and connections that the parent has closed. The poller is
    /// shared and must not be told.
    pub(super) fn disown(&mut self) {
        self.listeners.clear();
        for key in self.connections.keys() {
            self.connections.remove(key);
        }
    }

    pub(super) fn close_listeners(&mut self) {
        for mut listener in self.listeners.drain(..) {
            // Dropping it closes it, which is what matters.
            let _ = self.registry.deregister(listener.source());
        }
        self.accepting = false;
    }

    /// Connections that wait for a request have nothing to wait for any more.
    pub(super) fn end_idle_connections(&mut self, now: Instant) {
        let linger = self.linger();
        for key in self.connections.keys() {
            let Some(connection) = self.connections.get_mut(key) else { continue };
            match connection.protocol {
                Protocol::Http(_) if connection.exchange.is_some() => {}
                Protocol::Http(_) if connection.has_output() => connection.end_after_write = true,
                Protocol::Http(_) => self.connection_lost(key, None, now),
                // Closing it before its peer has read our goodbye could take that back.
                Protocol::Ending => {
                    connection.deadline = Some(now + linger);
                    self.arm_connection(key);
                }
                Protocol::WebSocket(_) => {}
            }
        }
    }
}

/// Errors of `accept` that concern the connection that was not accepted, and no other.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}
