//! What a run tells.

use crate::histogram::Histogram;
use crate::ledger::Faults;
use crate::plan::Scenario;
use crate::scrape::Reads;
use crate::usage::Used;
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
    /// What those took that are counted apart, such as Kafka.
    pub beside_cpu_seconds: f64,
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
    /// How everybody came back, where they did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storm: Option<Storm>,
    /// What went on beside it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fed: Option<Fed>,
}

/// How everybody came back.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Storm {
    /// From the moment when all came back until each had all that it had missed, in microseconds.
    pub complete: Latency,
    /// Of each storm, when the last one had, in milliseconds.
    pub last_ms: Vec<f64>,
    /// Missed messages, times those who missed them.
    pub recovered: u64,
    /// The most memory of the server before the first storm, in KiB, everybody being there.
    pub steady_kib: u64,
    /// The most memory of the server since, in KiB.
    pub peak_kib: u64,
    /// What the hub read for it, where the server is one.
    pub reads: Option<Reads>,
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
            beside_cpu_seconds: 0.0,
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
            storm: None,
            fed: None,
        }
    }

    /// Notes what went wrong.
    pub fn with(self, faults: Faults) -> Self {
        Self { lost: faults.lost, astray: faults.astray, ..self }
    }

    /// With what was used meanwhile.
    pub fn using(self, used: Used) -> Self {
        let others = (used.others / used.seconds.max(1e-9)).max(0.0);
        Self { seconds: used.seconds, cpu_seconds: used.server, others, ..self }
    }
}
