//! Acknowledgements asked for: ids given out, answers matched, deadlines.
//!
//! Source: Socket.IO protocol 5, "Acknowledgement". Ids start at 1: an acknowledgement with id 0 breaks
//! python-socketio's counter. One id may be owed by many sockets (a broadcast).

use crate::proto::limits::MAX_PENDING_ACKS;
use smallvec::SmallVec;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::Hash;
use std::time::Instant;

/// What an answer, or a socket's end, meant for an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Nobody waits for that: never asked, answered already, too late, or asked of someone else.
    Unknown,
    /// The id was asked of this socket alone, and is done.
    Single,
    /// One of a broadcast's sockets; others still owe.
    Partial {
        /// How many still owe.
        remaining: usize,
    },
    /// The last of a broadcast's sockets; the id is done.
    Complete,
}

/// A socket owes more acknowledgements than allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the socket owes {limit} acknowledgements already")]
pub struct TooManyPendingAcks {
    /// The most allowed.
    pub limit: usize,
}

#[derive(Debug)]
enum Debtors<K> {
    One(K),
    Many(HashSet<K>),
}

#[derive(Debug)]
struct Entry<K> {
    debtors: Debtors<K>,
    deadline: Option<Instant>,
}

/// Who owes which acknowledgement until when. `K` is the caller's key of a socket.
#[derive(Debug)]
pub struct AckTable<K> {
    last_id: u64,
    entries: HashMap<u64, Entry<K>>,
    /// Each socket's ids, ascending as they were given out.
    by_socket: HashMap<K, SmallVec<[u64; 2]>>,
    deadlines: BTreeSet<(Instant, u64)>,
}

impl<K> Default for AckTable<K> {
    fn default() -> Self {
        Self { last_id: 0, entries: HashMap::new(), by_socket: HashMap::new(), deadlines: BTreeSet::new() }
    }
}

impl<K: Copy + Eq + Hash> AckTable<K> {
    /// A table in which nothing is owed.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks one socket; gives the id to send.
    pub fn insert(&mut self, socket: K, deadline: Option<Instant>) -> Result<u64, TooManyPendingAcks> {
        let limit = MAX_PENDING_ACKS;
        if self.by_socket.get(&socket).is_some_and(|ids| ids.len() >= limit) {
            return Err(TooManyPendingAcks { limit });
        }
        let id = self.add(Debtors::One(socket), deadline);
        self.by_socket.entry(socket).or_default().push(id);
        Ok(id)
    }

    /// Asks many sockets with one id. Without any there is nothing to wait for: the id is done, and no
    /// [`Outcome`] will name it. Not counted against a socket's limit: the deadline bounds it, and one
    /// silent socket must not keep the others from being asked.
    pub fn insert_many(&mut self, sockets: impl IntoIterator<Item = K>, deadline: Instant) -> u64 {
        let debtors: HashSet<K> = sockets.into_iter().collect();
        if debtors.is_empty() {
            return self.take_id();
        }
        let id = self.last_id + 1;
        for &socket in &debtors {
            self.by_socket.entry(socket).or_default().push(id);
        }
        self.add(Debtors::Many(debtors), Some(deadline))
    }

    fn add(&mut self, debtors: Debtors<K>, deadline: Option<Instant>) -> u64 {
        let id = self.take_id();
        if let Some(deadline) = deadline {
            self.deadlines.insert((deadline, id));
        }
        self.entries.insert(id, Entry { debtors, deadline });
        id
    }

    /// A socket answered.
    pub fn handle_ack(&mut self, socket: K, id: u64) -> Outcome {
        let outcome = self.settle(socket, id);
        if outcome != Outcome::Unknown {
            self.forget_id(socket, id);
        }
        outcome
    }

    /// A socket is gone: each id that it owed, ascending, with what that means for it.
    /// [`Outcome::Single`] is one that fails; a broadcast goes on, or is complete, without it.
    pub fn remove_socket(&mut self, socket: K) -> Vec<(u64, Outcome)> {
        self.remove_socket_but(socket, |_| false)
    }

    /// The same, but for the ids to keep: their packets are still to be sent.
    pub fn remove_socket_but(&mut self, socket: K, keep: impl Fn(u64) -> bool) -> Vec<(u64, Outcome)> {
        let ids = self.by_socket.remove(&socket).unwrap_or_default();
        let (kept, gone): (SmallVec<_>, SmallVec<[u64; 2]>) = ids.into_iter().partition(|&id| keep(id));
        if !kept.is_empty() {
            self.by_socket.insert(socket, kept);
        }
        gone.into_iter().map(|id| (id, self.settle(socket, id))).collect()
    }

    /// Nobody waits for this id any more (its packet could not be sent). False when it was done.
    pub fn cancel(&mut self, id: u64) -> bool {
        let Some(entry) = self.take_entry(id) else { return false };
        match entry.debtors {
            Debtors::One(socket) => self.forget_id(socket, id),
            Debtors::Many(sockets) => sockets.into_iter().for_each(|socket| self.forget_id(socket, id)),
        }
        true
    }

    /// The ids that were asked of this socket alone, ascending, each with its deadline. Nobody waits for them here
    /// any more.
    pub fn take_own(&mut self, socket: K) -> Vec<(u64, Option<Instant>)> {
        let ids = self.by_socket.remove(&socket).unwrap_or_default();
        let (own, shared): (SmallVec<[u64; 2]>, SmallVec<_>) =
            ids.into_iter().partition(|&id| self.debtor(id).is_some());
        if !shared.is_empty() {
            self.by_socket.insert(socket, shared);
        }
        own.into_iter().filter_map(|id| Some((id, self.take_entry(id)?.deadline))).collect()
    }

    /// The last id that was given out; 0 where none was.
    pub fn last_id(&self) -> u64 {
        self.last_id
    }

    fn take_entry(&mut self, id: u64) -> Option<Entry<K>> {
        let entry = self.entries.remove(&id)?;
        if let Some(deadline) = entry.deadline {
            self.deadlines.remove(&(deadline, id));
        }
        Some(entry)
    }

    /// An id that this table does not watch; no other will be the same.
    pub fn take_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// Whom alone an id was asked of, if it is waited for.
    pub fn debtor(&self, id: u64) -> Option<K> {
        match self.entries.get(&id)?.debtors {
            Debtors::One(socket) => Some(socket),
            Debtors::Many(_) => None,
        }
    }

    /// How many acknowledgements a socket owes.
    pub fn owed(&self, socket: K) -> usize {
        self.by_socket.get(&socket).map_or(0, SmallVec::len)
    }

    /// When [`Self::handle_timeout`] is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.first().map(|&(deadline, _)| deadline)
    }

    /// The ids whose deadline has passed, earliest first; they are done.
    pub fn handle_timeout(&mut self, now: Instant) -> Vec<u64> {
        let mut expired = Vec::new();
        while let Some(id) = self.overdue(now) {
            self.cancel(id);
            expired.push(id);
        }
        expired
    }

    /// The id whose deadline passed first; it is waited for until it is cancelled.
    pub fn overdue(&self, now: Instant) -> Option<u64> {
        self.deadlines.first().filter(|&&(deadline, _)| deadline <= now).map(|&(_, id)| id)
    }

    /// How many ids are waited for.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing is waited for.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Takes a debt off an entry; the socket's own list is the caller's.
    fn settle(&mut self, socket: K, id: u64) -> Outcome {
        let Some(entry) = self.entries.get_mut(&id) else { return Outcome::Unknown };
        let outcome = match &mut entry.debtors {
            Debtors::One(debtor) if *debtor == socket => Outcome::Single,
            Debtors::One(_) => return Outcome::Unknown,
            Debtors::Many(sockets) => match (sockets.remove(&socket), sockets.len()) {
                (false, _) => return Outcome::Unknown,
                (true, 0) => Outcome::Complete,
                (true, remaining) => return Outcome::Partial { remaining },
            },
        };
        if let Some(deadline) = entry.deadline {
            self.deadlines.remove(&(deadline, id));
        }
        self.entries.remove(&id);
        outcome
    }

    fn forget_id(&mut self, socket: K, id: u64) {
        let Some(ids) = self.by_socket.get_mut(&socket) else { return };
        if let Ok(position) = ids.binary_search(&id) {
            ids.remove(position);
        }
        if ids.is_empty() {
            self.by_socket.remove(&socket);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn ids_start_at_one_and_rise() {
        let mut table = AckTable::new();
        assert_eq!(table.insert('a', None), Ok(1));
        assert_eq!(table.insert('b', None), Ok(2));
        assert_eq!(table.handle_ack('a', 0), Outcome::Unknown);
    }

    #[test]
    fn an_answer_counts_once_and_only_from_who_was_asked() {
        let mut table = AckTable::new();
        let id = table.insert('a', None).unwrap();
        assert_eq!(table.handle_ack('b', id), Outcome::Unknown);
        assert_eq!(table.handle_ack('a', id), Outcome::Single);
        assert_eq!(table.handle_ack('a', id), Outcome::Unknown);
        assert!(table.is_empty() && table.by_socket.is_empty());
    }

    #[test]
    fn a_broadcast_is_complete_when_all_have_answered_or_gone() {
        let mut table = AckTable::new();
        let start = Instant::now();
        let id = table.insert_many(['a', 'b', 'c'], start);
        assert_eq!(table.handle_ack('b', id), Outcome::Partial { remaining: 2 });
        assert_eq!(table.handle_ack('b', id), Outcome::Unknown);
        assert_eq!(table.remove_socket('a'), [(id, Outcome::Partial { remaining: 1 })]);
        assert_eq!(table.handle_ack('c', id), Outcome::Complete);
        assert_eq!((table.len(), table.poll_timeout()), (0, None));
    }

    #[test]
    fn a_broadcast_to_nobody_waits_for_nobody() {
        let mut table: AckTable<char> = AckTable::new();
        assert_eq!(table.insert_many([], Instant::now()), 1);
        assert!(table.is_empty() && table.poll_timeout().is_none());
        assert_eq!(table.insert('a', None), Ok(2));
    }

    #[test]
    fn what_a_socket_owed_fails_when_it_goes() {
        let mut table = AckTable::new();
        let first = table.insert('a', None).unwrap();
        let second = table.insert('a', Some(Instant::now())).unwrap();
        let other = table.insert('b', None).unwrap();
        assert_eq!(table.remove_socket('a'), [(first, Outcome::Single), (second, Outcome::Single)]);
        assert_eq!(table.remove_socket('a'), []);
        assert_eq!(table.poll_timeout(), None);
        assert_eq!(table.handle_ack('b', other), Outcome::Single);
    }

    #[test]
    fn what_is_still_to_be_sent_is_waited_for() {
        let mut table = AckTable::new();
        let ids: Vec<u64> = (0..4).map(|_| table.insert('a', None).unwrap()).collect();
        assert_eq!(table.take_id(), ids[3] + 1);
        assert_eq!((table.owed('a'), table.debtor(ids[1])), (4, Some('a')));
        let gone = table.remove_socket_but('a', |id| id == ids[1] || id == ids[3]);
        assert_eq!(gone, [(ids[0], Outcome::Single), (ids[2], Outcome::Single)]);
        assert_eq!((table.owed('a'), table.len(), table.debtor(ids[0])), (2, 2, None));
        assert_eq!(table.handle_ack('a', ids[3]), Outcome::Single);
        assert_eq!(table.remove_socket('a'), [(ids[1], Outcome::Single)]);
        assert!(table.is_empty() && table.by_socket.is_empty());
    }

    #[test]
    fn deadlines_pass_in_order_and_a_late_answer_is_unknown() {
        let mut table = AckTable::new();
        let start = Instant::now();
        let second = Duration::from_secs(1);
        let late = table.insert('a', Some(start + second * 2)).unwrap();
        let early = table.insert_many(['a', 'b'], start + second);
        let never = table.insert('a', None).unwrap();
        assert_eq!(table.poll_timeout(), Some(start + second));
        assert!(table.handle_timeout(start).is_empty());
        assert_eq!(table.handle_timeout(start + second * 5), [early, late]);
        assert_eq!(table.handle_ack('a', late), Outcome::Unknown);
        assert_eq!(table.handle_ack('b', early), Outcome::Unknown);
        assert_eq!(table.handle_ack('a', never), Outcome::Single);
        assert!(table.by_socket.is_empty());
    }

    #[test]
    fn what_a_socket_owes_alone_is_taken_and_the_rest_goes_on() {
        let mut table = AckTable::new();
        let late = Instant::now();
        let (first, other) = (table.insert('a', None).unwrap(), table.insert('b', None).unwrap());
        let many = table.insert_many(['a', 'b'], late);
        let last = table.insert('a', Some(late)).unwrap();
        assert_eq!(table.take_own('a'), [(first, None), (last, Some(late))]);
        assert_eq!((table.take_own('a'), table.last_id(), table.owed('a')), (vec![], last, 1));
        assert_eq!(table.handle_ack('a', last), Outcome::Unknown);
        assert_eq!(table.handle_ack('a', many), Outcome::Partial { remaining: 1 });
        assert_eq!((table.handle_ack('b', other), table.handle_timeout(late)), (Outcome::Single, vec![many]));
        assert!(table.is_empty() && table.by_socket.is_empty() && table.poll_timeout().is_none());
    }

    #[test]
    fn a_cancelled_id_is_forgotten() {
        let mut table = AckTable::new();
        let id = table.insert('a', Some(Instant::now())).unwrap();
        assert!(table.cancel(id) && !table.cancel(id));
        assert!(table.is_empty() && table.by_socket.is_empty() && table.poll_timeout().is_none());
    }

    #[test]
    fn one_socket_cannot_owe_without_limit_nor_keep_others_from_being_asked() {
        let mut table = AckTable::new();
        for _ in 0..MAX_PENDING_ACKS {
            table.insert('a', None).unwrap();
        }
        assert_eq!(table.insert('a', None), Err(TooManyPendingAcks { limit: MAX_PENDING_ACKS }));
        let id = table.insert_many(['a', 'b'], Instant::now());
        assert_eq!(table.handle_ack('b', id), Outcome::Partial { remaining: 1 });
        assert_eq!(table.handle_ack('a', 1), Outcome::Single);
        assert_eq!(table.handle_ack('a', id), Outcome::Complete);
        assert!(table.insert('a', None).is_ok());
    }
}
