//! Calls that somebody waits for: acknowledgements, drained outboxes, the end of all connections.

use super::engine::Engine;
use super::half::{Callback, Due, Half, Looped};
use super::value::{self, PayloadError};
use crate::net::keys::SocketKey;
use crate::proto::socket::Data;
use crate::proto::socket::ack::Outcome;
use crate::proto::socket::packet::PacketKind;
use bytes::Bytes;
use pyo3::prelude::*;

impl Engine {
    /// Has a call made on the thread of the loop: in the turn under way or one that follows at once.
    /// Where no loop drives the engine, it is made here and now.
    pub(super) fn call_soon(slf: &Bound<'_, Self>, due: Due) -> PyResult<()> {
        let this = slf.get();
        let driven = {
            let mut state = this.state();
            state.due.push_back(due);
            state.driver.is_some()
        };
        if driven { Self::schedule(slf) } else { this.call_due(slf.py()) }
    }

    /// Queues the calls of those who waited for the broadcasts under way, once these have made room.
    pub(super) fn end_sweeps(&self) {
        if self.core.is_sweep_full() {
            return;
        }
        let mut state = self.state();
        let sweeps = std::mem::take(&mut state.sweeps);
        state.due.extend(sweeps.into_iter().map(Due::Call));
    }

    /// Queues the calls of those who waited until nothing is connected, or no acknowledgement due, if that is so.
    pub(super) fn end_idle(&self) {
        {
            let mut state = self.state();
            if state.callbacks.is_empty() {
                let answered = std::mem::take(&mut state.answered);
                state.due.extend(answered.into_iter().map(Due::Call));
            }
        }
        let waiting = !self.state().idle.is_empty();
        if waiting && self.core.is_idle(self.now()) {
            let mut state = self.state();
            let idle = std::mem::take(&mut state.idle);
            state.due.extend(idle.into_iter().map(Due::Call));
        }
    }

    pub(super) fn dispatch_ack(
        slf: &Bound<'_, Self>,
        socket: SocketKey,
        id: u64,
        data: &Data<'_>,
        attachments: &[Bytes],
    ) -> PyResult<()> {
        let (this, py) = (slf.get(), slf.py());
        if this.is_raw()
            && let Some((session, namespace)) = this.handed_session(socket)
        {
            return Self::tell_again(
                slf,
                session,
                (PacketKind::Ack, &namespace, Some(id)),
                data,
                attachments,
            );
        }
        let args = match value::read_args(py, data, attachments) {
            Ok(args) => args,
            Err(PayloadError::Sink(error)) => return Err(*error),
            Err(error) => return Self::violate(slf, socket, error.to_string()),
        };
        match this.core.hub.handle_ack(socket, id) {
            Outcome::Unknown => Ok(()),
            Outcome::Single => {
                let callback = this.state().callbacks.remove(&id);
                match callback {
                    Some(Callback::One(function)) => function.call1(py, (py.None(), args)).map(drop),
                    _ => Ok(()),
                }
            }
            outcome => {
                let done = {
                    let mut state = this.state();
                    if let Some(Callback::Many(_, answers)) = state.callbacks.get_mut(&id) {
                        answers.push(args.unbind());
                    }
                    if outcome == Outcome::Complete { state.callbacks.remove(&id) } else { None }
                };
                done.map_or(Ok(()), |callback| callback.call(py, None))
            }
        }
    }
}
