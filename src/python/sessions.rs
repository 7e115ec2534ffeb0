//! Engine.IO sessions as Python sees them: whatever speaks over them, these exist.

use super::engine::{Engine, socket_key};
use super::half::{Due, Looped};
use super::options::duration;
use super::request::Request;
use crate::net::command::Command;
use crate::net::keys::SessionKey;
use crate::net::reactor::Reactor;
use crate::net::session::SessionEntry;
use crate::net::slots::Key;
use crate::proto::socket::encoded::Encoded;
use pyo3::prelude::*;
use pyo3::types::PyString;
use std::sync::Arc;

impl Engine {
    /// Looks at a session, unless it is over.
    fn look_at<R>(&self, session: u64, look: impl FnOnce(&SessionEntry) -> R) -> PyResult<Option<R>> {
        let session: SessionKey = Key::from_bits(session);
        let seen = self.core()?.look(session.tag(), self.now(), |reactor| reactor.session(session).map(look));
        Ok(seen.flatten())
    }
}

#[pymethods]
impl Engine {
    /// The session that a socket lives on, also when it is gone, until it is forgotten.
    fn session_of(&self, key: u64) -> PyResult<Option<u64>> {
        let socket = socket_key(key);
        let known = self.state().origin_of(socket).map(|(_, info)| info.session.to_bits());
        if known.is_some() {
            return Ok(known);
        }
        let found = self.core()?.look(socket.tag(), self.now(), |reactor| {
            reactor.socket(socket).map(|entry| entry.session.to_bits())
        });
        Ok(found.flatten())
    }

    /// All sessions.
    fn sessions(&self) -> PyResult<Vec<u64>> {
        let (core, now) = (self.core()?, self.now());
        let numbers = 0..=u8::try_from(core.reactors_of_threads()).unwrap_or(u8::MAX);
        let keys = numbers.filter_map(|number| core.look(number, now, Reactor::session_keys));
        Ok(keys.flatten().map(Key::to_bits).collect())
    }

    /// The secret id of a session.
    fn session_sid(&self, session: u64) -> PyResult<Option<String>> {
        self.look_at(session, |entry| entry.sid.as_str().to_owned())
    }

    /// The request that opened a session, for later.
    fn session_request(slf: &Bound<'_, Self>, session: u64) -> PyResult<Option<Request>> {
        let info = slf.get().look_at(session, |entry| Arc::clone(&entry.info))?;
        Ok(info.map(|info| Request::new(slf.clone().unbind(), info)))
    }

    /// Changes how often peers are asked for a sign of life.
    #[pyo3(signature = (interval, timeout, announced = None))]
    fn set_ping(&self, py: Python<'_>, interval: f64, timeout: f64, announced: Option<f64>) -> PyResult<()> {
        let core = self.core()?;
        let announced = announced.map(duration);
        py.detach(|| core.set_ping(duration(interval), duration(timeout), announced));
        Ok(())
    }

    /// Sends a message on a session.
    fn send(slf: &Bound<'_, Self>, session: u64, message: &Bound<'_, PyAny>) -> PyResult<bool> {
        let (this, session) = (slf.get(), Key::from_bits(session));
        let core = this.core()?;
        let packet = match message.cast::<PyString>() {
            Ok(text) => Encoded::raw_text(text.to_str()?),
            Err(_) => Encoded::raw_binary(&message.extract::<Vec<u8>>()?),
        };
        if core.is_owner() {
            let full = core.send_raw(session, packet, this.now());
            Self::schedule(slf)?;
            return Ok(full);
        }
        // Nobody would carry it out, now or ever.
        if !this.is_driven() {
            return Ok(false);
        }
        core.submit(Command::RawSend { session, packet }, this.now());
        Ok(core.is_session_full(session))
    }

    /// Ends a session.
    fn close_session(slf: &Bound<'_, Self>, session: u64) -> PyResult<()> {
        Self::submit(slf, Command::CloseSession { session: Key::from_bits(session) })
    }

    /// Reads nothing more of a session, or reads on.
    fn pause_session(slf: &Bound<'_, Self>, session: u64, paused: bool) -> PyResult<()> {
        Self::submit(slf, Command::PauseSession { session: Key::from_bits(session), paused })
    }

    /// Calls once when the outbox of a session has drained, or is gone.
    fn when_session_drained(slf: &Bound<'_, Self>, session: u64, callback: Py<PyAny>) -> PyResult<()> {
        let this = slf.get();
        if !this.is_driven() {
            return Self::call_soon(slf, Due::Call(callback));
        }
        let session = Key::from_bits(session);
        this.state().session_drains.entry(session).or_default().push(callback);
        Self::submit(slf, Command::WatchSession { session })
    }

    /// The sockets of a session, those that are not admitted yet among them.
    fn session_sockets(&self, session: u64) -> PyResult<Vec<u64>> {
        let sockets = self.look_at(session, |entry| entry.sockets.tokens().map(Key::to_bits).collect())?;
        Ok(sockets.unwrap_or_default())
    }
}
