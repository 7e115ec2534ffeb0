//! The bytes driver as Python sees it: requests and websockets of another server.

use super::engine::Engine;
use super::half::Looped;
use crate::net::keys::LinkKey;
use crate::net::link::{Context, LinkKind, Opening, Outgoing};
use crate::net::slots::Key;
use crate::proto::http::{Head, Response};
use crate::proto::socket::encoded::Part;
use bytes::Bytes;
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString};

/// A link and what it has to say.
type Lot<'py> = (u64, Bound<'py, PyList>);
pub(super) type Headers = Vec<(Vec<u8>, Vec<u8>)>;

/// A request as the application sees it.
pub(super) fn describe<'py>(
    py: Python<'py>,
    head: &Head,
    address: &str,
    secure: bool,
) -> PyResult<Bound<'py, PyDict>> {
    let request = PyDict::new(py);
    request.set_item(intern!(py, "method"), head.method())?;
    request.set_item(intern!(py, "url"), head.target())?;
    request.set_item(intern!(py, "query"), head.query().unwrap_or_default())?;
    let headers = head.headers().map(|(name, value)| (name.to_ascii_lowercase(), latin1(value)));
    request.set_item(intern!(py, "headers"), PyList::new(py, headers.collect::<Vec<_>>())?)?;
    request.set_item(intern!(py, "address"), address)?;
    request.set_item(intern!(py, "secure"), secure)?;
    Ok(request)
}

/// Header values are bytes; every one of them is a character of Latin-1 (RFC 9110, 5.5).
fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| char::from(byte)).collect()
}

fn response<'py>(py: Python<'py>, kind: &str, response: &Response) -> PyResult<Bound<'py, PyAny>> {
    let headers: Vec<_> = response
        .headers
        .iter()
        .map(|(name, value)| {
            let name = name.to_ascii_lowercase();
            (PyBytes::new(py, name.as_bytes()), PyBytes::new(py, value.as_bytes()))
        })
        .collect();
    let body = PyBytes::new(py, &response.body);
    Ok((kind, response.status, headers, body).into_pyobject(py)?.into_any())
}

fn outgoing<'py>(py: Python<'py>, outgoing: &Outgoing) -> PyResult<Bound<'py, PyAny>> {
    match outgoing {
        Outgoing::Response(answer) => response(py, "response", answer),
        Outgoing::Deny(answer) => response(py, "deny", answer),
        Outgoing::Accept => Ok(("accept",).into_pyobject(py)?.into_any()),
        Outgoing::Close { code } => Ok(("close", *code, "").into_pyobject(py)?.into_any()),
        Outgoing::Message(Part::Text(text)) => Ok(PyString::from_bytes(py, text)?.into_any()),
        Outgoing::Message(Part::Binary(data)) => Ok(PyBytes::new(py, data).into_any()),
    }
}

fn items<'py>(py: Python<'py>, taken: &[Outgoing]) -> PyResult<Bound<'py, PyList>> {
    let list = PyList::empty(py);
    for item in taken {
        list.append(outgoing(py, item)?)?;
    }
    Ok(list)
}

/// Whether both are the same messages, in the same memory.
fn are_shared(some: &[Outgoing], others: &[Outgoing]) -> bool {
    let equal = |one: &Bytes, other: &Bytes| one.as_ptr() == other.as_ptr() && one.len() == other.len();
    some.len() == others.len()
        && some.iter().zip(others).all(|pair| match pair {
            (Outgoing::Message(Part::Text(one)), Outgoing::Message(Part::Text(other)))
            | (Outgoing::Message(Part::Binary(one)), Outgoing::Message(Part::Binary(other))) => {
                equal(one, other)
            }
            _ => false,
        })
}

pub(super) fn head(method: &str, target: &str, headers: &Headers) -> PyResult<Head> {
    let headers = headers.iter().map(|(name, value)| (name.as_slice(), value.as_slice()));
    Head::build(method, target, headers).map_err(|error| PyValueError::new_err(error.to_string()))
}

#[pymethods]
impl Engine {
    /// A request came.
    #[pyo3(signature = (method, target, headers, body, *, secure, address, scope = None))]
    #[allow(clippy::too_many_arguments)] // what a request is
    fn open_http(
        slf: &Bound<'_, Self>,
        method: &str,
        target: &str,
        headers: Headers,
        body: Vec<u8>,
        secure: bool,
        address: String,
        scope: Option<Py<PyAny>>,
    ) -> PyResult<u64> {
        let head = head(method, target, &headers)?;
        let (body, context) = (Bytes::from(body), slf.get().keep_scope(scope));
        Self::open(
            slf,
            Opening { kind: LinkKind::Request, head, body, secure, address, context, gathered: false },
        )
    }

    /// A websocket asks to be accepted.
    #[pyo3(signature = (target, headers, *, secure, address, scope = None, gathered = false))]
    fn open_websocket(
        slf: &Bound<'_, Self>,
        target: &str,
        headers: Headers,
        secure: bool,
        address: String,
        scope: Option<Py<PyAny>>,
        gathered: bool,
    ) -> PyResult<u64> {
        let head = head("GET", target, &headers)?;
        let (kind, body, context) = (LinkKind::WebSocket, Bytes::new(), slf.get().keep_scope(scope));
        Self::open(slf, Opening { kind, head, body, secure, address, context, gathered })
    }

    /// A message came on a websocket.
    fn feed(slf: &Bound<'_, Self>, link: u64, message: &Bound<'_, PyAny>) -> PyResult<()> {
        let part = match message.cast::<PyString>() {
            Ok(text) => Part::Text(Bytes::copy_from_slice(text.to_str()?.as_bytes())),
            Err(_) => Part::Binary(Bytes::from(message.extract::<Vec<u8>>()?)),
        };
        let this = slf.get();
        let now = this.now();
        this.core()?.reactor(now).feed_link(Key::from_bits(link), &part, now);
        Self::schedule(slf)
    }

    /// Whether a websocket is not to be fed until `Events.ready` names its link.
    fn is_paused(&self, link: u64) -> PyResult<bool> {
        Ok(self.core()?.peek().is_link_paused(Key::from_bits(link)))
    }

    /// What is to be done on a link now; asking says that the last lot is done.
    fn take<'py>(slf: &Bound<'py, Self>, link: u64) -> PyResult<Bound<'py, PyList>> {
        let (this, py) = (slf.get(), slf.py());
        let now = this.now();
        let taken = this.core()?.reactor(now).take_link(Key::from_bits(link), now);
        this.drop_scopes();
        Self::settle_taken(slf)?;
        items(py, &taken)
    }

    /// The same for several links: those that have something, each with what it is.
    fn take_all<'py>(slf: &Bound<'py, Self>, links: Vec<u64>) -> PyResult<Vec<Lot<'py>>> {
        let links: Vec<LinkKey> = links.into_iter().map(Key::from_bits).collect();
        let lots = Self::take_lots(slf, &links)?;
        Self::settle_taken(slf)?;
        Ok(lots)
    }

    /// The peer of a link is gone.
    fn close_link(slf: &Bound<'_, Self>, link: u64) -> PyResult<()> {
        let this = slf.get();
        let now = this.now();
        this.core()?.reactor(now).close_link(Key::from_bits(link), now);
        this.drop_scopes();
        Self::schedule(slf)
    }
}

impl Engine {
    /// Has Python write what the links of the turn have to say.
    pub(super) fn write_ready(slf: &Bound<'_, Self>) -> PyResult<()> {
        let (this, py) = (slf.get(), slf.py());
        let ready = std::mem::take(&mut this.state().ready);
        if ready.is_empty() {
            return Ok(());
        }
        let lots = Self::take_lots(slf, &ready)?;
        this.events.call_method1(py, intern!(py, "write"), (lots,)).map(drop)
    }

    fn take_lots<'py>(slf: &Bound<'py, Self>, links: &[LinkKey]) -> PyResult<Vec<Lot<'py>>> {
        let (this, py) = (slf.get(), slf.py());
        let now = this.now();
        let mut reactor = this.core()?.reactor(now);
        let taken: Vec<_> = links.iter().map(|&link| (link, reactor.take_link(link, now))).collect();
        drop(reactor);
        this.drop_scopes();
        let mut lots: Vec<Lot<'py>> = Vec::new();
        let mut before: &[Outgoing] = &[];
        for (link, taken) in taken.iter().filter(|(_, taken)| !taken.is_empty()) {
            // A broadcast is the same to all.
            let list = match lots.last() {
                Some((_, list)) if are_shared(taken, before) => list.clone(),
                _ => items(py, taken)?,
            };
            before = taken;
            lots.push((link.to_bits(), list));
        }
        Ok(lots)
    }

    /// The last thing that a link had to say may be what the end of the server waits for.
    fn settle_taken(slf: &Bound<'_, Self>) -> PyResult<()> {
        let this = slf.get();
        let waits = !this.state().idle.is_empty();
        if waits || this.core.peek().has_work() {
            Self::schedule(slf)?;
        }
        Ok(())
    }

    fn open(slf: &Bound<'_, Self>, opening: Opening) -> PyResult<u64> {
        let this = slf.get();
        let now = this.now();
        let link = this.core()?.reactor(now).open_link(opening, now).to_bits();
        Self::schedule(slf)?;
        Ok(link)
    }

    pub(super) fn keep_scope(&self, scope: Option<Py<PyAny>>) -> Option<Context> {
        scope.map(|scope| self.state().scopes.keep(scope))
    }
}
