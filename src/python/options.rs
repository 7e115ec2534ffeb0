//! The engine's settings out of the dict that the Python layer has checked.

use super::backlog::Allowed;
use crate::net::options::{Cookie, File, Options};
use crate::net::worth::Policy;
use crate::proto::engine::{SessionConfig, TransportKind};
use crate::proto::http::{Cors, HttpLimits, Origins, Response};
use crate::proto::limits;
use crate::proto::socket::{ConnectionLimits, Parser};
use bytes::Bytes;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyMapping};
use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::time::Duration;

/// Settings of the binding itself.
pub(super) struct Binding {
    pub(super) default: Option<Py<PyAny>>,
    pub(super) allowed: Allowed,
    pub(super) virtual_clock: bool,
    pub(super) io_threads: u8,
    /// See `EncodeOptions`.
    pub(super) plain_values: bool,
    /// A socket has rooms before it is admitted.
    pub(super) early_rooms: bool,
    /// A plain handler that holds the loop for longer is named in the log.
    pub(super) slow_handler: Duration,
}

pub(super) fn get<'py, T>(dict: &Bound<'py, PyDict>, name: &str) -> PyResult<Option<T>>
where
    T: for<'a> FromPyObject<'a, 'py, Error: Into<PyErr>>,
{
    match dict.get_item(name)? {
        Some(value) if !value.is_none() => value.extract().map(Some).map_err(Into::into),
        _ => Ok(None),
    }
}

pub(super) fn set<'py, T>(dict: &Bound<'py, PyDict>, name: &str, field: &mut T) -> PyResult<()>
where
    T: for<'a> FromPyObject<'a, 'py, Error: Into<PyErr>>,
{
    if let Some(value) = get(dict, name)? {
        *field = value;
    }
    Ok(())
}

pub(super) fn set_seconds(dict: &Bound<'_, PyDict>, name: &str, field: &mut Duration) -> PyResult<()> {
    if let Some(seconds) = get::<f64>(dict, name)? {
        *field = duration(seconds);
    }
    Ok(())
}

/// Seconds that may be negative or beyond what a duration holds.
pub(super) fn duration(seconds: f64) -> Duration {
    const CENTURY: f64 = 3e9;
    Duration::from_secs_f64(if seconds.is_nan() { 0.0 } else { seconds.clamp(0.0, CENTURY) })
}

pub(super) fn read_binding(dict: &Bound<'_, PyDict>) -> PyResult<Binding> {
    let mut binding = Binding {
        default: get(dict, "default")?,
        allowed: Allowed { running: limits::MAX_RUNNING_HANDLERS, bytes: limits::MAX_QUEUED_BYTES },
        virtual_clock: false,
        io_threads: 0,
        plain_values: false,
        early_rooms: false,
        slow_handler: Duration::MAX,
    };
    set(dict, "max_running_handlers", &mut binding.allowed.running)?;
    set(dict, "max_queued_bytes", &mut binding.allowed.bytes)?;
    set(dict, "virtual_clock", &mut binding.virtual_clock)?;
    set(dict, "io_threads", &mut binding.io_threads)?;
    set(dict, "plain_values", &mut binding.plain_values)?;
    set(dict, "early_rooms", &mut binding.early_rooms)?;
    set_seconds(dict, "slow_handler", &mut binding.slow_handler)?;
    Ok(binding)
}

pub(super) fn read(dict: &Bound<'_, PyDict>) -> PyResult<Options> {
    let mut options = Options::default();
    set(dict, "path", &mut options.path)?;
    set(dict, "max_http_buffer_size", &mut options.max_http_buffer_size)?;
    set(dict, "allow_request", &mut options.allow_request)?;
    set(dict, "raw_messages", &mut options.raw_messages)?;
    set(dict, "tell_sessions", &mut options.tell_sessions)?;
    set_seconds(dict, "connect_timeout", &mut options.connect_timeout)?;
    if let Some(names) = get::<Vec<String>>(dict, "transports")? {
        options.transports = names.iter().filter_map(|name| TransportKind::parse(name)).collect();
    }
    if let Some(layers) = get::<Vec<String>>(dict, "trace")? {
        options.trace_engine = layers.iter().any(|layer| layer == "engine");
        options.trace_socket = layers.iter().any(|layer| layer == "socket");
    }
    options.parser = parser(dict)?;
    options.session = session(dict, &options)?;
    options.connection = connection(dict, &options)?;
    options.http = HttpLimits { max_body: options.max_http_buffer_size, ..HttpLimits::default() };
    if let Some(settings) = get::<Bound<'_, PyDict>>(dict, "cors")? {
        options.cors = cors(&settings)?;
    }
    options.cookie = cookie(dict)?;
    if get::<bool>(dict, "http_compression")? == Some(true) {
        let least = get::<usize>(dict, "compression_threshold")?;
        options.compress_from = Some(least.unwrap_or(limits::COMPRESSION_THRESHOLD));
    }
    options.client_files = files(dict, "client_files")?;
    options.static_files = files(dict, "static_files")?;
    set(dict, "low_water", &mut options.marks.low_water)?;
    set(dict, "high_water", &mut options.marks.high_water)?;
    set(dict, "outbox_limit", &mut options.marks.limit)?;
    if let Some(word) = get::<String>(dict, "outbox_policy")? {
        options.marks.policy = Policy::parse(&word).unwrap_or_default();
    }
    Ok(options)
}

/// The parser that the options name.
pub(super) fn parser(dict: &Bound<'_, PyDict>) -> PyResult<Parser> {
    Ok(get::<String>(dict, "parser")?.and_then(|name| Parser::parse(&name)).unwrap_or_default())
}

fn session(dict: &Bound<'_, PyDict>, options: &Options) -> PyResult<SessionConfig> {
    let mut session = SessionConfig {
        max_payload: options.max_http_buffer_size,
        transports: options.transports,
        ..SessionConfig::default()
    };
    set_seconds(dict, "ping_interval", &mut session.ping_interval)?;
    session.announced_ping_interval = get(dict, "announced_ping_interval")?.map(duration);
    set_seconds(dict, "ping_timeout", &mut session.ping_timeout)?;
    set_seconds(dict, "upgrade_timeout", &mut session.upgrade_timeout)?;
    set(dict, "allow_upgrades", &mut session.allow_upgrades)?;
    Ok(session)
}

fn connection(dict: &Bound<'_, PyDict>, options: &Options) -> PyResult<ConnectionLimits> {
    let max_attachments_size =
        options.max_http_buffer_size.saturating_mul(limits::MAX_ATTACHMENTS_SIZE_FACTOR);
    let mut connection = ConnectionLimits { max_attachments_size, ..ConnectionLimits::default() };
    set(dict, "max_attachments", &mut connection.max_attachments)?;
    set(dict, "any_auth", &mut connection.any_auth)?;
    Ok(connection)
}

fn cors(dict: &Bound<'_, PyDict>) -> PyResult<Cors> {
    let mut cors = Cors::default();
    if let Some(origins) = dict.get_item("origins")? {
        cors.origins = match origins.extract::<String>() {
            Ok(any) if any == "*" => Origins::Any,
            Ok(word) if word == "echo" => Origins::Echo,
            Ok(word) if word == "own" => Origins::Own,
            Ok(word) if word == "off" => Origins::Off,
            Ok(one) => Origins::List(vec![one]),
            Err(_) => Origins::List(origins.extract()?),
        };
    }
    set(dict, "methods", &mut cors.methods)?;
    cors.allowed_headers = get(dict, "allowed_headers")?;
    set(dict, "exposed_headers", &mut cors.exposed_headers)?;
    set(dict, "credentials", &mut cors.credentials)?;
    cors.max_age = get(dict, "max_age")?;
    Ok(cors)
}

fn cookie(dict: &Bound<'_, PyDict>) -> PyResult<Option<Cookie>> {
    let Some((name, attributes)) = get::<(String, String)>(dict, "cookie")? else { return Ok(None) };
    let whole = format!("{name}={attributes}");
    if name.is_empty() || Response::empty(200).add_header("Set-Cookie", whole).is_err() {
        return Err(PyValueError::new_err("cookie: its name or its attributes cannot stand in a header"));
    }
    Ok(Some(Cookie { name, attributes }))
}

fn files(dict: &Bound<'_, PyDict>, name: &str) -> PyResult<HashMap<String, File>> {
    let Some(given) = get::<Bound<'_, PyMapping>>(dict, name)? else { return Ok(HashMap::new()) };
    given
        .items()?
        .iter()
        .map(|item| {
            let (path, (content_type, body)): (String, (String, Vec<u8>)) = item.extract()?;
            let mut hash = DefaultHasher::new();
            body.hash(&mut hash);
            let etag = format!("\"{:016x}\"", hash.finish());
            Ok((path, File { content_type, body: Bytes::from(body), etag }))
        })
        .collect()
}
