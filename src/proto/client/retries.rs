//! The queue of a socket with `retries`: one event is on its way at a time, and is sent again until the
//! server has acknowledged it.
//!
//! Source: `_addToQueue` and `_drainQueue` of `socket.ts`, with one difference: all tries of an event have
//! one acknowledgement id, so that a late answer to an earlier try counts too.

use crate::proto::socket::Encoded;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// One event.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) packet: Encoded,
    pub(super) id: u64,
    /// Somebody waits for the acknowledgement.
    pub(super) asked: bool,
    /// Time for the acknowledgement, of each try.
    pub(super) timeout: Option<Duration>,
    pub(super) number: u64,
    pub(super) reported: bool,
}

/// The events that wait for their turn; the first may be on its way.
#[derive(Debug, Default)]
pub(super) struct RetryQueue {
    events: VecDeque<Queued>,
    bytes: usize,
    /// Of the first one.
    tries: u32,
    pending: bool,
    deadline: Option<Instant>,
}

impl RetryQueue {
    pub(super) fn len(&self) -> usize {
        self.events.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn push(&mut self, event: Queued) {
        self.bytes += event.packet.size();
        self.events.push_back(event);
    }

    /// The event to send now, if none is on its way: counts as a try.
    pub(super) fn next(&mut self, now: Instant) -> Option<&Queued> {
        let event = self.events.front().filter(|_| !self.pending)?;
        self.pending = true;
        self.tries = self.tries.saturating_add(1);
        self.deadline = event.timeout.and_then(|timeout| now.checked_add(timeout));
        Some(event)
    }

    /// Whether the first event is being tried for the first time: it has just left.
    pub(super) fn is_first_try(&self) -> bool {
        self.tries == 1
    }

    /// The server acknowledged this id: takes out its event, if it was on its way once.
    pub(super) fn acknowledge(&mut self, id: u64) -> Option<Queued> {
        if self.tries == 0 || self.events.front()?.id != id {
            return None;
        }
        self.pop()
    }

    /// The try on its way has failed. Gives the event when that was the last of `retries` + 1.
    pub(super) fn fail(&mut self, retries: u32) -> Option<Queued> {
        if !std::mem::take(&mut self.pending) {
            return None;
        }
        self.deadline = None;
        if retries != u32::MAX && self.tries > retries { self.pop() } else { None }
    }

    /// When the try on its way fails.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Takes out the oldest event that is not on its way: there is no room.
    pub(super) fn drop_oldest(&mut self) -> Option<Queued> {
        let event = if self.pending { self.events.remove(1)? } else { return self.pop() };
        self.bytes -= event.packet.size();
        Some(event)
    }

    /// Nobody waits for this acknowledgement any more; the event is still to arrive.
    pub(super) fn forget(&mut self, id: u64) {
        if let Some(event) = self.events.iter_mut().find(|event| event.id == id) {
            event.asked = false;
        }
    }

    /// The acknowledgements that somebody waits for: the queue is given up.
    pub(super) fn into_asked(self) -> impl Iterator<Item = u64> {
        self.events.into_iter().filter(|event| event.asked).map(|event| event.id)
    }

    fn pop(&mut self) -> Option<Queued> {
        let event = self.events.pop_front()?;
        self.bytes -= event.packet.size();
        (self.tries, self.pending, self.deadline) = (0, false, None);
        Some(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::socket::PacketKind;

    const TIMEOUT: Duration = Duration::from_secs(2);

    fn queue(ids: &[u64]) -> (RetryQueue, Instant) {
        let mut queue = RetryQueue::default();
        for &id in ids {
            let packet = Encoded::from_text(PacketKind::Event, "/", Some(id), "[1]");
            let timeout = Some(TIMEOUT);
            queue.push(Queued { packet, id, asked: true, timeout, number: id, reported: false });
        }
        (queue, Instant::now())
    }

    fn next(queue: &mut RetryQueue, now: Instant) -> Option<u64> {
        queue.next(now).map(|event| event.id)
    }

    #[test]
    fn one_event_is_on_its_way_at_a_time() {
        let (mut queue, now) = queue(&[1, 2]);
        assert_eq!((next(&mut queue, now), next(&mut queue, now)), (Some(1), None));
        assert_eq!(queue.deadline(), Some(now + TIMEOUT));
        assert!(queue.acknowledge(2).is_none(), "not sent yet");
        assert_eq!(queue.acknowledge(1).map(|event| event.id), Some(1));
        assert_eq!((queue.deadline(), next(&mut queue, now), queue.len()), (None, Some(2), 1));
        assert!(queue.acknowledge(2).is_some() && queue.is_empty() && queue.bytes() == 0);
    }

    #[test]
    fn an_event_is_tried_once_more_than_retried() {
        let (mut queue, now) = queue(&[1]);
        assert!(queue.fail(0).is_none(), "nothing is on its way");
        for _ in 0..2 {
            assert_eq!(next(&mut queue, now), Some(1));
            assert!(queue.fail(2).is_none() && queue.deadline().is_none());
        }
        assert_eq!(next(&mut queue, now), Some(1));
        assert_eq!(queue.fail(2).map(|event| event.id), Some(1));
        assert!(queue.is_empty());
    }

    #[test]
    fn without_limit_an_event_is_never_given_up() {
        let (mut queue, now) = queue(&[1]);
        queue.tries = u32::MAX;
        assert_eq!(next(&mut queue, now), Some(1));
        assert!(queue.fail(u32::MAX).is_none() && queue.len() == 1);
    }

    #[test]
    fn a_late_answer_to_an_earlier_try_counts() {
        let (mut queue, now) = queue(&[1, 2]);
        next(&mut queue, now);
        queue.fail(5);
        assert!(queue.acknowledge(1).is_some(), "though it is not on its way now");
        assert_eq!(next(&mut queue, now), Some(2));
        assert!(queue.is_first_try());
    }

    #[test]
    fn what_is_on_its_way_is_not_dropped() {
        let (mut queue, now) = queue(&[1, 2]);
        next(&mut queue, now);
        assert_eq!(queue.drop_oldest().map(|event| event.id), Some(2));
        assert!(queue.drop_oldest().is_none());
        queue.fail(5);
        assert_eq!(queue.drop_oldest().map(|event| event.id), Some(1));
        assert_eq!(queue.bytes(), 0);
    }

    #[test]
    fn an_event_that_nobody_asks_about_still_has_to_arrive() {
        let (mut queue, now) = queue(&[1]);
        queue.forget(1);
        assert_eq!(next(&mut queue, now), Some(1));
        assert_eq!(queue.acknowledge(1).map(|event| event.asked), Some(false));
    }

    #[test]
    fn a_queue_that_is_given_up_says_who_waited() {
        let (mut queue, now) = queue(&[1, 2, 3]);
        next(&mut queue, now);
        queue.forget(2);
        assert_eq!(queue.into_asked().collect::<Vec<_>>(), [1, 3]);
    }
}
