//! The hub: who is in which room, and who owes which acknowledgement. One short lock a command.
//!
//! Any thread may ask it. It holds no socket and calls nobody; a target is resolved to keys here, and
//! the reactor does the sending.

use super::keys::SocketKey;
use crate::adapter::{Rooms, Target};
use crate::proto::sid::Sid;
use crate::proto::socket::ack::{AckTable, Outcome, TooManyPendingAcks};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

#[derive(Default)]
struct State {
    namespaces: HashMap<Arc<str>, Rooms<SocketKey>>,
    sockets: HashMap<SocketKey, Arc<str>>,
    acks: AckTable<SocketKey>,
}

impl State {
    fn rooms_of(&mut self, socket: SocketKey) -> Option<&mut Rooms<SocketKey>> {
        let namespace = self.sockets.get(&socket)?;
        self.namespaces.get_mut(namespace)
    }
}

/// See the module.
#[derive(Default)]
pub struct Hub(Mutex<State>);

impl Hub {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held; if something did, the tables are still whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a socket, in the room of its own id.
    pub fn insert(&self, socket: SocketKey, namespace: &Arc<str>, sid: Sid) {
        let mut state = self.state();
        state.sockets.insert(socket, Arc::clone(namespace));
        state.namespaces.entry(Arc::clone(namespace)).or_default().insert(socket, sid);
    }

    /// Forgets a socket: its rooms, and the acknowledgements it owed.
    pub fn remove(&self, socket: SocketKey) -> Vec<(u64, Outcome)> {
        let mut state = self.state();
        if let Some(rooms) = state.rooms_of(socket) {
            rooms.remove(socket);
        }
        if let Some(namespace) = state.sockets.remove(&socket)
            && state.namespaces.get(&namespace).is_some_and(Rooms::is_empty)
        {
            state.namespaces.remove(&namespace);
        }
        state.acks.remove_socket(socket)
    }

    /// Puts a socket into rooms.
    pub fn join(&self, socket: SocketKey, rooms: &[String]) {
        if let Some(all) = self.state().rooms_of(socket) {
            for room in rooms {
                all.join(socket, room);
            }
        }
    }

    /// Takes a socket out of rooms.
    pub fn leave(&self, socket: SocketKey, rooms: &[String]) {
        if let Some(all) = self.state().rooms_of(socket) {
            for room in rooms {
                all.leave(socket, room);
            }
        }
    }

    /// The rooms of a socket, with that of its own id.
    pub fn rooms(&self, socket: SocketKey) -> Vec<String> {
        let mut state = self.state();
        state
            .rooms_of(socket)
            .map(|rooms| rooms.rooms_of(socket).map(str::to_owned).collect())
            .unwrap_or_default()
    }

    /// The sockets that a target means, each once.
    pub fn resolve(&self, namespace: &str, target: &Target<SocketKey>) -> Vec<SocketKey> {
        let mut sockets = Vec::new();
        if let Some(rooms) = self.state().namespaces.get(namespace) {
            rooms.resolve(target, &mut sockets);
        }
        sockets
    }

    /// Puts every socket that a target means into rooms.
    pub fn join_all(&self, namespace: &str, target: &Target<SocketKey>, joined: &[String]) {
        self.change_all(namespace, target, joined, |rooms, socket, room| {
            rooms.join(socket, room);
        });
    }

    /// Takes every socket that a target means out of rooms.
    pub fn leave_all(&self, namespace: &str, target: &Target<SocketKey>, left: &[String]) {
        self.change_all(namespace, target, left, |rooms, socket, room| {
            rooms.leave(socket, room);
        });
    }

    fn change_all(
        &self,
        namespace: &str,
        target: &Target<SocketKey>,
        names: &[String],
        change: impl Fn(&mut Rooms<SocketKey>, SocketKey, &str),
    ) {
        let mut state = self.state();
        let Some(rooms) = state.namespaces.get_mut(namespace) else { return };
        let mut sockets = Vec::new();
        rooms.resolve(target, &mut sockets);
        for socket in sockets {
            for name in names {
                change(rooms, socket, name);
            }
        }
    }

    /// An id for an acknowledgement of one socket.
    pub fn ask(&self, socket: SocketKey, deadline: Option<Instant>) -> Result<u64, TooManyPendingAcks> {
        self.state().acks.insert(socket, deadline)
    }

    /// An id for the acknowledgements of many sockets.
    pub fn ask_many(&self, sockets: &[SocketKey], deadline: Instant) -> u64 {
        self.state().acks.insert_many(sockets.iter().copied(), deadline)
    }

    /// The ids that were asked of one socket alone, each with its deadline: the table waits for them no more.
    pub fn take_acks(&self, socket: SocketKey) -> Vec<(u64, Option<Instant>)> {
        self.state().acks.take_own(socket)
    }

    /// The last id that was given out; 0 where none was.
    pub fn last_ack_id(&self) -> u64 {
        self.state().acks.last_id()
    }

    /// Nobody waits for this id any more.
    pub fn cancel(&self, id: u64) -> bool {
        self.state().acks.cancel(id)
    }

    /// A socket acknowledged.
    pub fn handle_ack(&self, socket: SocketKey, id: u64) -> Outcome {
        self.state().acks.handle_ack(socket, id)
    }

    /// The ids whose time is over.
    pub fn expired_acks(&self, now: Instant) -> Vec<u64> {
        self.state().acks.handle_timeout(now)
    }

    /// When to ask for expired ids next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.state().acks.poll_timeout()
    }
}
