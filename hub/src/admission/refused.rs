//! Whoever is refused at the door is counted, and named in a log line: so many lines of a kind in a while, and how many
//! there were besides.

use crate::log_limit::LogLimits;
use crate::quoted::quoted;
use crate::telemetry::Telemetry;
use std::net::IpAddr;
use std::sync::Arc;

/// Counts refusals, and writes lines about them.
pub struct Refused {
    telemetry: Arc<Telemetry>,
    lines: LogLimits,
}

impl Refused {
    /// Counts into these metrics.
    pub fn new(telemetry: Arc<Telemetry>) -> Self {
        Self { telemetry, lines: LogLimits::default() }
    }

    /// A client at `from` was refused for `reason`, one of a few that never change; `detail` may hold words of its own.
    pub fn note(&self, reason: &'static str, from: IpAddr, detail: &str) {
        self.telemetry.refused_client(reason);
        if let Some(left_out) = self.lines.may_write(reason) {
            tracing::warn!(reason, %from, detail = %quoted(detail), left_out, "client refused");
        }
    }
}
