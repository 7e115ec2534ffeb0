//! What the reactors of one server know of each other: their inboxes, how many connections each has, and
//! whose a session is. Short locks that are taken last; nobody is called under them.

use super::command::Command;
use super::inbox::Inbox;
use super::keys::SessionKey;
use super::strangers::Ended;
use crate::proto::sid::Sid;
use mio::Waker;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// One reactor as the others see it.
#[derive(Debug)]
pub struct Shard {
    /// Orders for it.
    pub inbox: Inbox,
    /// So many broadcasts wait for its sweep that who emits more should wait.
    pub sweep_full: AtomicBool,
    /// It waits for room at the front before it reads on.
    pub holding: AtomicBool,
    /// Connections that it has, those included that are on their way to it.
    connections: AtomicUsize,
}

/// See the module.
#[derive(Debug)]
pub struct Shards {
    all: Vec<Shard>,
    /// Empty where there is one reactor alone, which knows its own.
    sids: Mutex<HashMap<Sid, SessionKey>>,
    ended: Mutex<Ended>,
}

impl Shards {
    /// One for each reactor's waker.
    pub fn new(wakers: Vec<Waker>) -> Self {
        let shard = |waker| Shard {
            inbox: Inbox::new(waker),
            sweep_full: AtomicBool::new(false),
            holding: AtomicBool::new(false),
            connections: AtomicUsize::new(0),
        };
        Self { all: wakers.into_iter().map(shard).collect(), sids: Mutex::default(), ended: Mutex::default() }
    }

    /// Whether there is more than one reactor.
    pub fn are_many(&self) -> bool {
        self.all.len() > 1
    }

    /// One reactor.
    pub fn get(&self, number: u8) -> Option<&Shard> {
        self.all.get(usize::from(number))
    }

    /// The reactors that threads drive, each with its number.
    pub fn threaded(&self) -> impl Iterator<Item = (u8, &Shard)> {
        (0..).zip(&self.all).skip(1)
    }

    /// Gives one reactor an order of another.
    pub fn push(&self, number: u8, command: Command) {
        if let Some(shard) = self.get(number) {
            shard.inbox.push(command);
        }
    }

    /// A connection is one reactor's now, or on its way to it.
    pub fn joined(&self, number: u8) {
        if let Some(shard) = self.get(number) {
            shard.connections.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// A connection is one reactor's no more.
    pub fn left(&self, number: u8) {
        if let Some(shard) = self.get(number) {
            shard.connections.fetch_sub(1, Ordering::AcqRel);
        }
    }

    /// Whether no reactor has a connection, nor one on its way.
    pub fn are_empty(&self) -> bool {
        self.all.iter().all(|shard| shard.connections.load(Ordering::Acquire) == 0)
    }

    /// The reactor that a new connection goes to: the one with the fewest, the loop's own apart.
    pub fn least_loaded(&self) -> u8 {
        let load = |(_, shard): &(u8, &Shard)| shard.connections.load(Ordering::Acquire);
        self.threaded().min_by_key(load).map_or(0, |(number, _)| number)
    }

    fn sids(&self) -> MutexGuard<'_, HashMap<Sid, SessionKey>> {
        self.sids.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A session has begun.
    pub fn opened(&self, sid: Sid, session: SessionKey) {
        if self.are_many() {
            self.sids().insert(sid, session);
        }
    }

    /// A session is over.
    pub fn closed(&self, sid: &Sid) {
        if self.are_many() {
            self.sids().remove(sid);
        }
        self.ended().add(*sid);
    }

    fn ended(&self) -> MutexGuard<'_, Ended> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a session was here lately.
    pub fn has_ended(&self, sid: &Sid) -> bool {
        self.ended().has(sid)
    }

    /// The number of the reactor whose session this is.
    pub fn owner(&self, sid: &Sid) -> Option<u8> {
        self.sids().get(sid).map(|session| session.tag())
    }
}
