//! What concerns many sockets: broadcasts, and what is done to the sockets of a target.

use super::engine::{Asked, Engine, NOBODY_ASKED, socket_key, worth};
use super::half::{Callback, Due, Looped};
use super::options::duration;
use crate::adapter::Target;
use crate::net::command::Command;
use crate::net::keys::SocketKey;
use crate::net::worth::Worth;
use crate::proto::socket::encoded::Encoded;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

fn target(rooms: Vec<String>, except: Vec<String>, skip: Option<u64>) -> Target<SocketKey> {
    Target { rooms, except, except_socket: skip.map(socket_key), ..Target::default() }
}

#[pymethods]
impl Engine {
    /// Emits an event to every socket that a target means.
    #[allow(clippy::too_many_arguments)] // the Python layer's own words, one by one
    #[pyo3(signature = (namespace, event, args, rooms, except_, skip, volatile, latest = None))]
    fn broadcast(
        slf: &Bound<'_, Self>,
        namespace: &str,
        event: &Bound<'_, PyAny>,
        args: &Bound<'_, PyTuple>,
        rooms: Vec<String>,
        except_: Vec<String>,
        skip: Option<u64>,
        volatile: bool,
        latest: Option<&str>,
    ) -> PyResult<bool> {
        let this = slf.get();
        let packet = this.encode_event(namespace, None, event, args)?;
        let sockets = this.core()?.hub.resolve(namespace, &target(rooms, except_, skip));
        Self::send_all(slf, sockets, packet, worth(namespace, volatile, latest))
    }

    /// Emits an event to every socket that a target means and collects their acknowledgements.
    #[allow(clippy::too_many_arguments)] // as above
    fn broadcast_with_ack(
        slf: &Bound<'_, Self>,
        namespace: &str,
        event: &Bound<'_, PyAny>,
        args: &Bound<'_, PyTuple>,
        rooms: Vec<String>,
        except_: Vec<String>,
        skip: Option<u64>,
        volatile: bool,
        callback: Py<PyAny>,
        timeout: f64,
    ) -> PyResult<Asked> {
        let this = slf.get();
        let hub = &this.core()?.hub;
        let sockets = hub.resolve(namespace, &target(rooms, except_, skip));
        if sockets.is_empty() || !this.is_driven() {
            this.encode_event(namespace, None, event, args)?;
            let due = Due::Ack(Callback::Many(callback, Vec::new()), None);
            return Self::call_soon(slf, due).map(|()| NOBODY_ASKED);
        }
        let id = hub.ask_many(&sockets, this.now() + duration(timeout));
        this.state().callbacks.insert(id, Callback::Many(callback, Vec::new()));
        match this.encode_event(namespace, Some(id), event, args) {
            Ok(packet) => Ok((id, Self::send_all(slf, sockets, packet, Worth::KEPT.volatile_if(volatile))?)),
            Err(error) => Self::take_back(slf, id, error),
        }
    }

    /// The objects of the sockets that a target means.
    fn select(
        &self,
        py: Python<'_>,
        namespace: &str,
        rooms: Vec<String>,
        except_: Vec<String>,
        skip: Option<u64>,
    ) -> PyResult<Vec<Py<PyAny>>> {
        let sockets = self.core()?.hub.resolve(namespace, &target(rooms, except_, skip));
        let state = self.state();
        let known = sockets.iter().filter_map(|key| state.sockets.get(key));
        // With early rooms a socket is in them until it is forgotten.
        let seen = known.filter(|known| !known.muted || self.binding.early_rooms);
        Ok(seen.map(|known| known.object.clone_ref(py)).collect())
    }

    /// Puts every socket that a target means into rooms.
    fn sockets_join(
        &self,
        namespace: &str,
        rooms: Vec<String>,
        except_: Vec<String>,
        skip: Option<u64>,
        joined: Vec<String>,
    ) -> PyResult<()> {
        self.core()?.hub.join_all(namespace, &target(rooms, except_, skip), &joined);
        Ok(())
    }

    /// Takes every socket that a target means out of rooms.
    fn sockets_leave(
        &self,
        namespace: &str,
        rooms: Vec<String>,
        except_: Vec<String>,
        skip: Option<u64>,
        left: Vec<String>,
    ) -> PyResult<()> {
        self.core()?.hub.leave_all(namespace, &target(rooms, except_, skip), &left);
        Ok(())
    }

    /// Disconnects every socket that a target means.
    fn disconnect_sockets(
        slf: &Bound<'_, Self>,
        namespace: &str,
        rooms: Vec<String>,
        except_: Vec<String>,
        skip: Option<u64>,
        close: bool,
    ) -> PyResult<()> {
        let this = slf.get();
        let sockets = this.core()?.hub.resolve(namespace, &target(rooms, except_, skip));
        for socket in sockets {
            this.mute(socket);
            Self::submit(slf, Command::Disconnect { socket, close })?;
        }
        Ok(())
    }
}

impl Engine {
    fn send_all(
        slf: &Bound<'_, Self>,
        sockets: Vec<SocketKey>,
        packet: Encoded,
        worth: Worth,
    ) -> PyResult<bool> {
        let this = slf.get();
        let (core, now) = (this.core()?, this.now());
        if !core.is_owner() {
            if !sockets.is_empty() && this.is_driven() {
                core.submit(Command::Broadcast { sockets, packet, worth }, now);
            }
            return Ok(core.is_behind());
        }
        let full = core.broadcast(sockets, packet, worth, now);
        Self::schedule(slf)?;
        Ok(full)
    }
}
