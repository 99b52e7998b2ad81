//! What a run tells.

use crate::histogram::Histogram;
use crate::ledger::Faults;
use crate::plan::Scenario;
use serde::Serialize;

/// One run of one scenario against one server.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// What was measured.
    pub scenario: Scenario,
    /// How many connections there were.
    pub connections: u32,
    /// How long was measured, in seconds.
    pub seconds: f64,
    /// What the server's processes took meanwhile, in seconds of one processor.
    pub cpu_seconds: f64,
    /// What everybody else on this machine took meanwhile, besides server and generator, in processors.
    pub others: f64,
    /// Messages sent and acknowledged.
    pub sent: u64,
    /// Messages heard, by all listeners together.
    pub delivered: u64,
    /// What must be 0.
    pub lost: u64,
    /// What must be 0: deliveries that came twice or out of order.
    pub astray: u64,
    /// Connections opened, of those that were to be measured.
    pub opened: u64,
    /// The server's resident memory at the end, in KiB.
    pub resident_kib: u64,
    /// What a connection adds to it, in KiB.
    pub kib_per_connection: Option<f64>,
    /// From sending to the acknowledgement, in microseconds.
    pub acknowledged: Latency,
    /// From sending to hearing, in microseconds.
    pub heard: Latency,
    /// What went on beside it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fed: Option<Fed>,
}

/// What was said beside the measured messages, and how it was answered.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Fed {
    /// How many were answered.
    pub answered: u64,
    /// How many of them were refused.
    pub refused: u64,
    /// From sending to the answer, in microseconds.
    pub took: Latency,
}

/// Latencies in microseconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Latency {
    /// Half are shorter.
    pub p50: f64,
    /// One in a hundred is longer.
    pub p99: f64,
    /// The longest.
    pub max: f64,
}

impl Latency {
    /// Of nanoseconds.
    pub fn of(histogram: &Histogram) -> Self {
        let at = |quantile| histogram.quantile(quantile) as f64 / 1000.0;
        Self { p50: at(0.5), p99: at(0.99), max: at(1.0) }
    }
}

impl Report {
    /// An empty one.
    pub fn of(scenario: Scenario, connections: u32) -> Self {
        Self {
            scenario,
            connections,
            seconds: 0.0,
            cpu_seconds: 0.0,
            others: 0.0,
            sent: 0,
            delivered: 0,
            lost: 0,
            astray: 0,
            opened: 0,
            resident_kib: 0,
            kib_per_connection: None,
            acknowledged: Latency::default(),
            heard: Latency::default(),
            fed: None,
        }
    }

    /// Notes what went wrong.
    pub fn with(self, faults: Faults) -> Self {
        Self { lost: faults.lost, astray: faults.astray, ..self }
    }
}
