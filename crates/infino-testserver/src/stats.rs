//! How much was asked of the server.

use std::collections::BTreeMap;
use std::fmt::Write;

/// Counts since the server started or was last reset. Requests to the server's own `/__` paths do not count.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// Connections accepted.
    pub connections: u64,
    /// Requests by method.
    pub requests: BTreeMap<String, u64>,
    /// Bytes of request bodies.
    pub bytes_in: u64,
    /// Bytes of response bodies as intended, before a fault cut them.
    pub bytes_out: u64,
    /// Most requests that were being served at once.
    pub in_flight_max: u64,
    /// Requests that a rule befell.
    pub faults: u64,
}

impl Stats {
    /// Requests of all methods.
    pub fn requests_total(&self) -> u64 {
        self.requests.values().sum()
    }

    /// The counts as one JSON object.
    pub fn to_json(&self) -> String {
        let mut json = format!(
            "{{\"connections\":{},\"bytes_in\":{},\"bytes_out\":{},\"in_flight_max\":{},\"faults\":{},\"requests\":{{",
            self.connections, self.bytes_in, self.bytes_out, self.in_flight_max, self.faults
        );
        for (at, (method, count)) in self.requests.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            let _ = write!(json, "{comma}\"{method}\":{count}");
        }
        json.push_str("}}");
        json
    }
}
