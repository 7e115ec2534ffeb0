//! Where a packet is meant to go: rooms, exceptions, flags; and which sockets that is.
//!
//! Source: the reference adapter's `BroadcastOptions`: the union of the rooms, each socket once, less
//! every socket that is in any of the exceptions; no rooms are the whole namespace.

use super::rooms::Rooms;
use std::collections::HashSet;
use std::hash::Hash;

/// How a packet is to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags {
    /// Dropped for a recipient whose transport is not ready.
    pub volatile: bool,
    /// Not published to other servers.
    pub local: bool,
}

/// Where a packet is meant to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target<K> {
    /// The rooms; none is every socket.
    pub rooms: Vec<String>,
    /// Rooms whose sockets do not get it.
    pub except: Vec<String>,
    /// One socket that does not get it: the sender.
    pub except_socket: Option<K>,
    /// How it is to be sent.
    pub flags: Flags,
}

impl<K> Default for Target<K> {
    fn default() -> Self {
        Self { rooms: Vec::new(), except: Vec::new(), except_socket: None, flags: Flags::default() }
    }
}

impl<K: Copy + Eq + Hash> Rooms<K> {
    /// Appends the sockets that a target means, each once.
    pub fn resolve(&self, target: &Target<K>, out: &mut Vec<K>) {
        let start = out.len();
        match target.rooms.as_slice() {
            [] => out.extend_from_slice(self.sockets()),
            // The common broadcast is a copy of one list.
            [room] => out.extend(self.members(room)),
            rooms => {
                let mut seen = HashSet::new();
                let members = rooms.iter().flat_map(|room| self.members(room));
                out.extend(members.filter(|&socket| seen.insert(socket)));
            }
        }
        let except: HashSet<K> =
            target.except.iter().flat_map(|room| self.members(room)).chain(target.except_socket).collect();
        if !except.is_empty() {
            retain_from(out, start, |socket| !except.contains(socket));
        }
    }
}

/// `Vec::retain` for the elements from `start` on.
fn retain_from<K: Copy>(out: &mut Vec<K>, start: usize, keep: impl Fn(&K) -> bool) {
    let mut position = 0;
    out.retain(|element| {
        position += 1;
        position <= start || keep(element)
    });
}
