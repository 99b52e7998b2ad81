//! Capability `log`: lines in the hub's log, under the plugin's name.

use super::{Capability, Host, Misuse};
use crate::plugin::contract::host_log::{self, Level};
use tracing::{debug, info, warn};

/// How many bytes one call may write to the log.
pub const BYTES_MAX: usize = 8 << 10;

/// How much of a line is told where it may not be written at all.
const TOLD_MAX: usize = 1000;

/// What a call may still write.
pub struct Left {
    bytes: usize,
    dropped: u64,
}

impl Default for Left {
    fn default() -> Self {
        Self { bytes: BYTES_MAX, dropped: 0 }
    }
}

impl Left {
    /// How many bytes were dropped since this was last asked.
    pub fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }

    fn has_room_for(&mut self, text: &str) -> bool {
        if text.len() > self.bytes {
            self.bytes = 0;
            self.dropped += text.len() as u64;
            return false;
        }
        self.bytes -= text.len();
        true
    }
}

impl Host {
    fn write(&mut self, level: Level, text: &str) -> Result<(), Misuse> {
        if self.about.is_none() {
            let told = text.chars().take(TOLD_MAX).collect();
            return Err(self.misuse(Capability::Log, Misuse::Wrote(told)));
        }
        if !self.log.has_room_for(text) {
            return Ok(());
        }
        self.count(Capability::Log, "ok", None);
        let (plugin, (room, event)) = (&*self.plugin, self.about());
        // As a quoted field, so that no line of a plugin's can pass for one of the hub's.
        self.observer.wrote(plugin, word(level), text);
        match level {
            Level::Debug => debug!(plugin, room, event, text = ?text, "plugin says"),
            Level::Info => info!(plugin, room, event, text = ?text, "plugin says"),
            Level::Warn => warn!(plugin, room, event, text = ?text, "plugin says"),
        }
        Ok(())
    }
}

fn word(level: Level) -> &'static str {
    match level {
        Level::Debug => "debug",
        Level::Info => "info",
        Level::Warn => "warn",
    }
}

impl host_log::Host for Host {
    fn log(&mut self, level: Level, text: String) -> wasmtime::Result<()> {
        Ok(self.write(level, &text)?)
    }
}
