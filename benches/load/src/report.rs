//! What a run found, as one JSON object or one line for a person.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::{Map, Value, json};

use crate::fault::{Fault, Result};
use crate::meter::Measured;

/// Latencies, of which the report gives percentiles.
#[derive(Debug)]
pub(crate) struct Latencies(Histogram<u64>);

impl Latencies {
    /// None yet; three digits are kept of each.
    pub(crate) fn new() -> Result<Self> {
        let histogram = Histogram::new_with_bounds(1, 120_000_000_000, 3);
        histogram.map(Self).map_err(|error| Fault::new(format!("no histogram: {error}")))
    }

    /// Count one.
    pub(crate) fn add(&mut self, latency: Duration) {
        self.0.saturating_record(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Forget all.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    fn value(&self) -> Value {
        if self.0.is_empty() {
            return Value::Null;
        }
        let at = |quantile| rounded(self.0.value_at_quantile(quantile) as f64 / 1e6);
        json!({"p50": at(0.5), "p90": at(0.9), "p99": at(0.99), "max": rounded(self.0.max() as f64 / 1e6)})
    }
}

/// The report of one run.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) mode: String,
    pub(crate) transport: String,
    pub(crate) clients: usize,
    pub(crate) payload: String,
    /// What was counted: `deliveries` or `requests`.
    pub(crate) unit: &'static str,
    pub(crate) count: u64,
    pub(crate) measured: Measured,
    pub(crate) latencies: Option<Latencies>,
    pub(crate) rss_before: Option<u64>,
    pub(crate) rss_after: Option<u64>,
    /// Connections that were opened between the two.
    pub(crate) connections: usize,
    pub(crate) frames_per_write: Option<f64>,
    /// What only this mode has.
    pub(crate) extra: Vec<(&'static str, Value)>,
}

impl Report {
    fn object(&self) -> Map<String, Value> {
        let seconds = self.measured.time.as_secs_f64();
        let server = self.measured.server.map(|usage| usage.cpu.as_secs_f64());
        let count = self.count as f64;
        let of = |value: f64| if value.is_finite() { json!(rounded(value)) } else { Value::Null };
        let per_connection = match (self.rss_before, self.rss_after) {
            (Some(before), Some(after)) => of((after as f64 - before as f64) / self.connections as f64),
            _ => Value::Null,
        };
        let latencies = self.latencies.as_ref().map_or(Value::Null, Latencies::value);
        let mut object = Map::new();
        let mut put = |key: &str, value: Value| drop(object.insert(key.to_owned(), value));
        put("mode", json!(self.mode));
        put("transport", json!(self.transport));
        put("clients", json!(self.clients));
        put("payload", json!(self.payload));
        put(self.unit, json!(self.count));
        put("seconds", of(seconds));
        put("per_second", of(count / seconds));
        put("server_cpu_seconds", server.map_or(Value::Null, of));
        put("cpu_us_per", server.map_or(Value::Null, |server| of(server * 1e6 / count)));
        put("latency_ms", latencies);
        put("rss_bytes_before", json!(self.rss_before));
        put("rss_bytes_after", json!(self.rss_after));
        put("bytes_per_connection", per_connection);
        put("frames_per_write", self.frames_per_write.map_or(Value::Null, of));
        let own = self.measured.own;
        put("load_busy", of(own.cpu.as_secs_f64() / seconds));
        put("load_starved", of(own.waited.as_secs_f64() / seconds));
        let waited = self.measured.server.map(|usage| usage.waited.as_secs_f64());
        put("server_starved", waited.map_or(Value::Null, |waited| of(waited / seconds)));
        for (key, value) in &self.extra {
            put(key, value.clone());
        }
        object
    }

    /// One JSON object.
    pub(crate) fn json(&self) -> String {
        Value::Object(self.object()).to_string()
    }

    /// The same as words and numbers, without what was not measured.
    pub(crate) fn line(&self) -> String {
        let mut words = Vec::new();
        for (key, value) in self.object() {
            match value {
                Value::Null => {}
                Value::String(text) => words.push(format!("{key} {text}")),
                Value::Object(fields) => {
                    words.extend(fields.iter().map(|(inner, value)| format!("{key}.{inner} {value}")));
                }
                value => words.push(format!("{key} {value}")),
            }
        }
        words.join("  ")
    }
}

/// Six digits that count.
fn rounded(value: f64) -> f64 {
    format!("{value:.5e}").parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Usage;

    #[test]
    fn a_report_has_the_promised_keys_and_rates() {
        let mut latencies = Latencies::new().unwrap();
        (1..=100).for_each(|ms| latencies.add(Duration::from_millis(ms)));
        let usage = |millis| Usage { cpu: Duration::from_millis(millis), waited: Duration::ZERO };
        let report = Report {
            mode: "echo".to_owned(),
            transport: "websocket".to_owned(),
            clients: 50,
            payload: "60".to_owned(),
            unit: "requests",
            count: 4000,
            measured: Measured { time: Duration::from_secs(2), server: Some(usage(1000)), own: usage(500) },
            latencies: Some(latencies),
            rss_before: Some(1_000_000),
            rss_after: Some(1_200_000),
            connections: 50,
            frames_per_write: None,
            extra: vec![("in_flight", json!(1))],
        };
        let found: Value = serde_json::from_str(&report.json()).unwrap();
        assert_eq!(found["per_second"], json!(2000.0));
        assert_eq!(found["cpu_us_per"], json!(250.0));
        assert_eq!(found["load_busy"], json!(0.25));
        assert_eq!(found["bytes_per_connection"], json!(4000.0));
        assert!((found["latency_ms"]["p99"].as_f64().unwrap() - 99.0).abs() < 0.1);
        for key in
            ["mode", "clients", "payload", "requests", "seconds", "server_cpu_seconds", "frames_per_write"]
        {
            assert!(found.get(key).is_some(), "{key}");
        }
        assert!(report.line().contains("latency_ms.p99 99"), "{}", report.line());
        assert!(!report.line().contains("frames_per_write"));
    }
}
