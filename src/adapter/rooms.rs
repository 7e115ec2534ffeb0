//! The rooms of one namespace: sockets to rooms and back.
//!
//! Every socket is in a room named by its own id. That room is not stored: the index of ids answers for
//! it, so an idle socket costs no set. Lists of members are contiguous, since a broadcast copies them.

use crate::proto::sid::Sid;
use smallvec::SmallVec;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

/// Where a socket stands in a room's list.
#[derive(Debug, Clone, Copy)]
struct Place {
    room: u32,
    position: u32,
}

#[derive(Debug)]
struct Member {
    sid: Sid,
    /// In the list of all sockets.
    position: u32,
    /// False after the socket left the room named by its id.
    in_own_room: bool,
    /// Sorted by room.
    places: SmallVec<[Place; 2]>,
}

#[derive(Debug)]
struct Room<K> {
    name: Arc<str>,
    members: Vec<K>,
}

/// The rooms of one namespace. `K` is the caller's key of a socket.
///
/// ```
/// use siox::adapter::{Rooms, Target};
/// use siox::proto::sid::Sid;
///
/// let mut rooms = Rooms::new();
/// for socket in 0..3_u8 {
///     rooms.insert(socket, Sid::from_random([socket; 15]));
/// }
/// rooms.join(0, "chess");
/// rooms.join(2, "chess");
///
/// let mut sockets = Vec::new();
/// let target = Target { rooms: vec!["chess".into()], except_socket: Some(2), ..Target::default() };
/// rooms.resolve(&target, &mut sockets);
/// assert_eq!(sockets, [0]);
/// ```
#[derive(Debug)]
pub struct Rooms<K> {
    members: HashMap<K, Member>,
    by_sid: HashMap<Sid, K>,
    sockets: Vec<K>,
    by_name: HashMap<Arc<str>, u32>,
    /// None is a free place.
    slots: Vec<Option<Room<K>>>,
    free: Vec<u32>,
}

impl<K> Default for Rooms<K> {
    fn default() -> Self {
        Self {
            members: HashMap::new(),
            by_sid: HashMap::new(),
            sockets: Vec::new(),
            by_name: HashMap::new(),
            slots: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<K: Copy + Eq + Hash> Rooms<K> {
    /// A namespace without sockets.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a socket, in the room named by its id. False when it, or one with its id, is there already.
    pub fn insert(&mut self, socket: K, sid: Sid) -> bool {
        if self.members.contains_key(&socket) || self.by_sid.contains_key(&sid) {
            return false;
        }
        let position = index(self.sockets.len());
        self.members.insert(socket, Member { sid, position, in_own_room: true, places: SmallVec::new() });
        self.by_sid.insert(sid, socket);
        self.sockets.push(socket);
        true
    }

    /// Puts a socket into a room. False when it is there already, or no such socket is.
    pub fn join(&mut self, socket: K, room: &str) -> bool {
        let Some(member) = self.members.get_mut(&socket) else { return false };
        if member.sid.as_str() == room {
            return !std::mem::replace(&mut member.in_own_room, true);
        }
        let number = self.by_name.get(room).copied();
        let number =
            number.unwrap_or_else(|| index(self.free.last().map_or(self.slots.len(), |&n| n as usize)));
        let Err(slot) = member.places.binary_search_by_key(&number, |place| place.room) else { return false };
        let Some(room) = open_room(&mut self.slots, &mut self.free, &mut self.by_name, number, room) else {
            return false;
        };
        member.places.insert(slot, Place { room: number, position: index(room.members.len()) });
        room.members.push(socket);
        true
    }

    /// Takes a socket out of a room, which dies when it was the last. False when it was not in it.
    pub fn leave(&mut self, socket: K, room: &str) -> bool {
        let Some(member) = self.members.get_mut(&socket) else { return false };
        if member.sid.as_str() == room {
            return std::mem::replace(&mut member.in_own_room, false);
        }
        let Some(&number) = self.by_name.get(room) else { return false };
        let Ok(slot) = member.places.binary_search_by_key(&number, |place| place.room) else { return false };
        let place = member.places.remove(slot);
        self.take_out(place);
        true
    }

    /// Takes a socket out of the namespace; gives the rooms that it was in.
    pub fn remove(&mut self, socket: K) -> Vec<Arc<str>> {
        let Some(member) = self.members.remove(&socket) else { return Vec::new() };
        self.by_sid.remove(&member.sid);
        swap_remove(&mut self.sockets, member.position, |moved| {
            if let Some(moved) = self.members.get_mut(&moved) {
                moved.position = member.position;
            }
        });
        let own = member.in_own_room.then(|| Arc::from(member.sid.as_str()));
        own.into_iter().chain(member.places.into_iter().filter_map(|place| self.take_out(place))).collect()
    }

    /// Takes what stands at a place out of its room; gives the room's name.
    fn take_out(&mut self, place: Place) -> Option<Arc<str>> {
        let slot = self.slots.get_mut(place.room as usize)?;
        let room = slot.as_mut()?;
        let name = Arc::clone(&room.name);
        swap_remove(&mut room.members, place.position, |moved| {
            let places = self.members.get_mut(&moved).map(|member| &mut member.places);
            let moved = places.and_then(|places| {
                let found = places.binary_search_by_key(&place.room, |place| place.room);
                found.ok().and_then(|found| places.get_mut(found))
            });
            if let Some(moved) = moved {
                moved.position = place.position;
            }
        });
        if room.members.is_empty() {
            *slot = None;
            self.by_name.remove(&name);
            self.free.push(place.room);
        }
        Some(name)
    }

    /// The rooms that a socket is in, the one named by its id first.
    pub fn rooms_of(&self, socket: K) -> impl Iterator<Item = &str> {
        let member = self.members.get(&socket);
        let own = member.filter(|member| member.in_own_room).map(|member| member.sid.as_str());
        let places = member.map_or(&[][..], |member| member.places.as_slice());
        own.into_iter().chain(places.iter().filter_map(|place| {
            let room = self.slots.get(place.room as usize)?.as_ref()?;
            Some(&*room.name)
        }))
    }

    /// The sockets in a room.
    pub fn members(&self, room: &str) -> impl Iterator<Item = K> {
        let stored = self.by_name.get(room).and_then(|&number| self.slots.get(number as usize)?.as_ref());
        let stored = stored.map_or(&[][..], |room| room.members.as_slice());
        self.owner(room).into_iter().chain(stored.iter().copied())
    }

    /// The socket whose own room this is, unless it left it.
    fn owner(&self, room: &str) -> Option<K> {
        let socket = self.find(&Sid::parse(room)?)?;
        self.members.get(&socket)?.in_own_room.then_some(socket)
    }

    /// Whether a room has a member.
    pub fn has_room(&self, room: &str) -> bool {
        self.by_name.contains_key(room) || self.owner(room).is_some()
    }

    /// Whether a socket is in a room.
    pub fn is_in(&self, socket: K, room: &str) -> bool {
        let Some(member) = self.members.get(&socket) else { return false };
        if member.sid.as_str() == room {
            return member.in_own_room;
        }
        let number = self.by_name.get(room);
        number.is_some_and(|number| member.places.binary_search_by_key(number, |place| place.room).is_ok())
    }

    /// Every room that was joined by name; those named by a socket's own id are not among them.
    pub fn named_rooms(&self) -> impl Iterator<Item = (&str, &[K])> {
        self.slots.iter().flatten().map(|room| (&*room.name, room.members.as_slice()))
    }

    /// Every socket of the namespace.
    pub fn sockets(&self) -> &[K] {
        &self.sockets
    }

    /// How many sockets there are.
    pub fn len(&self) -> usize {
        self.sockets.len()
    }

    /// Whether there is no socket.
    pub fn is_empty(&self) -> bool {
        self.sockets.is_empty()
    }

    /// The socket with an id.
    pub fn find(&self, sid: &Sid) -> Option<K> {
        self.by_sid.get(sid).copied()
    }

    /// The id of a socket.
    pub fn sid_of(&self, socket: K) -> Option<Sid> {
        self.members.get(&socket).map(|member| member.sid)
    }
}

/// The room with a number, made when there is none.
fn open_room<'a, K>(
    rooms: &'a mut Vec<Option<Room<K>>>,
    free: &mut Vec<u32>,
    by_name: &mut HashMap<Arc<str>, u32>,
    number: u32,
    name: &str,
) -> Option<&'a mut Room<K>> {
    if rooms.len() <= number as usize {
        rooms.push(None);
    }
    let slot = rooms.get_mut(number as usize)?;
    if slot.is_none() {
        free.pop_if(|&mut last| last == number);
        let name: Arc<str> = Arc::from(name);
        by_name.insert(Arc::clone(&name), number);
        *slot = Some(Room { name, members: Vec::new() });
    }
    slot.as_mut()
}

/// Removes at a position and says which element took the place, if one did.
fn swap_remove<K: Copy>(list: &mut Vec<K>, position: u32, moved: impl FnOnce(K)) {
    let position = position as usize;
    if position < list.len() {
        list.swap_remove(position);
        if let Some(&element) = list.get(position) {
            moved(element);
        }
    }
}

/// Four thousand million sockets do not fit into memory.
fn index(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::sid::RANDOM_BYTES;

    fn sid(byte: u8) -> Sid {
        Sid::from_random([byte; RANDOM_BYTES])
    }

    fn with_sockets(count: u8) -> Rooms<u8> {
        let mut rooms = Rooms::new();
        for socket in 0..count {
            assert!(rooms.insert(socket, sid(socket)));
        }
        rooms
    }

    fn members(rooms: &Rooms<u8>, room: &str) -> Vec<u8> {
        let mut members: Vec<u8> = rooms.members(room).collect();
        members.sort_unstable();
        members
    }

    #[test]
    fn a_socket_is_in_the_room_named_by_its_id() {
        let rooms = with_sockets(2);
        assert_eq!(members(&rooms, sid(1).as_str()), [1]);
        assert!(rooms.is_in(1, sid(1).as_str()) && !rooms.is_in(0, sid(1).as_str()));
        assert!(rooms.has_room(sid(0).as_str()));
        assert_eq!(rooms.rooms_of(1).collect::<Vec<_>>(), [sid(1).as_str()]);
        assert_eq!((rooms.find(&sid(1)), rooms.sid_of(1)), (Some(1), Some(sid(1))));
    }

    #[test]
    fn an_own_room_can_be_left_and_joined_again() {
        let mut rooms = with_sockets(1);
        let own = sid(0);
        assert!(!rooms.join(0, own.as_str()));
        assert!(rooms.leave(0, own.as_str()) && !rooms.leave(0, own.as_str()));
        assert!(!rooms.has_room(own.as_str()) && members(&rooms, own.as_str()).is_empty());
        assert_eq!(rooms.find(&own), Some(0), "the socket is still known by its id");
        assert!(rooms.join(0, own.as_str()));
        assert_eq!(members(&rooms, own.as_str()), [0]);
    }

    #[test]
    fn another_socket_may_join_an_own_room() {
        let mut rooms = with_sockets(2);
        assert!(rooms.join(1, sid(0).as_str()));
        assert_eq!(members(&rooms, sid(0).as_str()), [0, 1]);
        assert_eq!(rooms.remove(0), [Arc::from(sid(0).as_str())]);
        assert_eq!(members(&rooms, sid(0).as_str()), [1], "the room outlives the socket it is named by");
    }

    #[test]
    fn joining_and_leaving_twice_changes_nothing() {
        let mut rooms = with_sockets(1);
        assert!(rooms.join(0, "a") && !rooms.join(0, "a"));
        assert_eq!(members(&rooms, "a"), [0]);
        assert!(rooms.leave(0, "a") && !rooms.leave(0, "a") && !rooms.leave(0, "never"));
    }

    #[test]
    fn a_room_dies_when_empty_and_its_place_is_used_again() {
        let mut rooms = with_sockets(1);
        for round in 0..100 {
            let name = format!("room {round}");
            assert!(rooms.join(0, &name) && rooms.has_room(&name));
            assert!(rooms.leave(0, &name) && !rooms.has_room(&name));
        }
        assert_eq!(rooms.slots.len(), 1);
        assert_eq!(rooms.named_rooms().count(), 0);
    }

    #[test]
    fn who_leaves_from_the_middle_does_not_disturb_the_others() {
        let mut rooms = with_sockets(5);
        for socket in 0..5 {
            for room in ["a", "b", "c"] {
                rooms.join(socket, room);
            }
        }
        assert!(rooms.leave(0, "b"));
        assert_eq!(rooms.remove(1).len(), 4);
        assert!(rooms.leave(4, "a") && rooms.leave(4, "b") && rooms.leave(4, "c"));
        assert_eq!(members(&rooms, "a"), [0, 2, 3]);
        assert_eq!(members(&rooms, "b"), [2, 3]);
        assert_eq!(members(&rooms, "c"), [0, 2, 3]);
        assert_eq!(rooms.len(), 4);
    }

    #[test]
    fn what_is_not_there_cannot_join_leave_or_go() {
        let mut rooms = with_sockets(1);
        assert!(!rooms.join(7, "a") && !rooms.leave(7, "a") && rooms.remove(7).is_empty());
        assert!(!rooms.has_room("a"));
        assert!(!rooms.insert(0, sid(9)) && !rooms.insert(9, sid(0)), "a key and an id are used once");
        assert_eq!(rooms.len(), 1);
    }

    #[test]
    fn a_socket_in_two_rooms_owns_no_heap() {
        assert!(size_of::<(u64, Member)>() <= 64);
        let mut rooms = with_sockets(1);
        rooms.join(0, "a");
        rooms.join(0, "b");
        assert!(!rooms.members[&0].places.spilled());
    }
}
