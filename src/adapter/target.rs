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
        // Empty sets own no memory: leaving out the sender alone costs one comparison a socket.
        let except: HashSet<K> = target.except.iter().flat_map(|room| self.members(room)).collect();
        if !except.is_empty() || target.except_socket.is_some() {
            let sender = target.except_socket;
            retain_from(out, start, |socket| Some(*socket) != sender && !except.contains(socket));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::sid::{RANDOM_BYTES, Sid};

    fn sid(byte: u8) -> Sid {
        Sid::from_random([byte; RANDOM_BYTES])
    }

    /// Sockets 0 to 5; the even ones are in `even`, 0 to 2 in `low`.
    fn six() -> Rooms<u8> {
        let mut rooms = Rooms::new();
        for socket in 0..6 {
            rooms.insert(socket, sid(socket));
            if socket % 2 == 0 {
                rooms.join(socket, "even");
            }
            if socket < 3 {
                rooms.join(socket, "low");
            }
        }
        rooms
    }

    fn resolved(rooms: &[&str], except: &[&str], except_socket: Option<u8>) -> Vec<u8> {
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let target =
            Target { rooms: owned(rooms), except: owned(except), except_socket, flags: Flags::default() };
        let mut out = vec![99];
        six().resolve(&target, &mut out);
        assert_eq!(out.remove(0), 99, "what was in the list stays");
        out.sort_unstable();
        out
    }

    #[test]
    fn no_room_is_the_whole_namespace() {
        assert_eq!(resolved(&[], &[], None), [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn several_rooms_are_a_union_with_each_socket_once() {
        assert_eq!(resolved(&["even", "low", "even"], &[], None), [0, 1, 2, 4]);
    }

    #[test]
    fn a_socket_in_any_of_the_exceptions_is_left_out() {
        assert_eq!(resolved(&[], &["even", "low"], None), [3, 5]);
        assert_eq!(resolved(&["low"], &["even"], None), [1]);
    }

    #[test]
    fn the_sender_is_left_out() {
        assert_eq!(resolved(&["low"], &[], Some(1)), [0, 2]);
        assert_eq!(resolved(&[], &["low"], Some(5)), [3, 4]);
    }

    #[test]
    fn the_exception_wins_even_over_the_sockets_own_room() {
        assert_eq!(resolved(&[sid(2).as_str()], &[], None), [2]);
        assert_eq!(resolved(&[sid(2).as_str(), "low"], &[sid(2).as_str()], None), [0, 1]);
    }

    #[test]
    fn a_room_without_members_is_nobody() {
        assert_eq!(resolved(&["nowhere"], &[], None), [0; 0]);
        assert_eq!(resolved(&["low"], &["nowhere"], None), [0, 1, 2]);
    }
}
