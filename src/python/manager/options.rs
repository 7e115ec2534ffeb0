//! A manager's settings out of the dict that the Python layer has checked, and the machine that they make.

use crate::proto::client::{self, BufferPolicy, CarrierConfig, ManagerConfig, Random};
use crate::proto::engine::TransportKind;
use crate::proto::socket::Parser;
use crate::python::errors;
use crate::python::options::{duration, get, set, set_seconds};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The machine for these options.
pub(super) fn machine(dict: &Bound<'_, PyDict>, parser: Parser, now: Instant) -> PyResult<client::Manager> {
    let mut carrier = carrier(dict)?;
    carrier.parser = parser;
    carrier.check().map_err(errors::bad_option)?;
    let mut config = ManagerConfig::new(Arc::new(carrier));
    set(dict, "reconnection", &mut config.reconnection)?;
    config.reconnection_attempts = get(dict, "reconnection_attempts")?;
    set_seconds(dict, "reconnection_delay", &mut config.reconnection_delay)?;
    set_seconds(dict, "reconnection_delay_max", &mut config.reconnection_delay_max)?;
    set(dict, "randomization_factor", &mut config.randomization_factor)?;
    set(dict, "max_buffered_packets", &mut config.max_buffered_packets)?;
    set(dict, "max_buffered_bytes", &mut config.max_buffered_bytes)?;
    set(dict, "low_water", &mut config.low_water)?;
    set(dict, "high_water", &mut config.high_water)?;
    config.buffer_policy = match get::<String>(dict, "buffer_policy")?.as_deref() {
        Some("drop_newest") => BufferPolicy::DropNewest,
        Some("error") => BufferPolicy::Error,
        _ => BufferPolicy::DropOldest,
    };
    // Without the system's source there is nothing to mask frames with: `getrandom` does not fail where
    // Python itself could start.
    let random = Random::new(|bytes| {
        let _ = getrandom::fill(bytes);
    });
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(client::Manager::new(config, random, now, wall))
}

fn carrier(dict: &Bound<'_, PyDict>) -> PyResult<CarrierConfig> {
    let mut config = CarrierConfig::new(get::<String>(dict, "host")?.unwrap_or_default());
    set(dict, "secure", &mut config.secure)?;
    set(dict, "path", &mut config.path)?;
    set(dict, "query", &mut config.query)?;
    set(dict, "headers", &mut config.headers)?;
    set(dict, "upgrade", &mut config.upgrade)?;
    set(dict, "try_all_transports", &mut config.try_all_transports)?;
    set(dict, "remember_upgrade", &mut config.remember_upgrade)?;
    set(dict, "cookies", &mut config.cookies)?;
    if let Some(names) = get::<Vec<String>>(dict, "transports")? {
        config.transports = names.iter().filter_map(|name| TransportKind::parse(name)).collect();
    }
    config.open_timeout = get::<f64>(dict, "timeout")?.map(duration);
    Ok(config)
}
