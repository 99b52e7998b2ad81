//! Capabilities: what a plugin may do besides judging. Each is an interface of its own, linked only where it is granted.

use super::contract::host_log::{self, Level};
use super::{Observer, call::Guest};
use confab_config::Capabilities;
use confab_protocol::Event;
use std::sync::Arc;
use tracing::{debug, info, warn};
use wasmtime::component::{HasSelf, Linker};

/// How many bytes one call may write to the log.
const LOG_BYTES_MAX: usize = 8 << 10;

/// The interfaces that can be granted, each with its key in `capabilities` and whether this plugin has it.
pub fn known(granted: &Capabilities) -> [(&'static str, &'static str, bool); 1] {
    [("host-log", "log", granted.log)]
}

/// Gives a plugin what it is granted, and nothing else.
pub fn link(linker: &mut Linker<Guest>, granted: &Capabilities) -> wasmtime::Result<()> {
    if granted.log {
        host_log::add_to_linker::<_, HasSelf<_>>(linker, |guest| guest)?;
    }
    Ok(())
}

/// The log of one instance.
pub struct Log {
    plugin: Arc<str>,
    observer: Arc<dyn Observer>,
    /// What it is being asked about: the room and the event's id.
    about: Option<(String, String)>,
    left: usize,
    dropped: u64,
}

impl Log {
    /// A log that is written to for a plugin.
    pub fn new(plugin: Arc<str>, observer: Arc<dyn Observer>) -> Self {
        Self { plugin, observer, about: None, left: LOG_BYTES_MAX, dropped: 0 }
    }

    /// Begins a call about this event.
    pub fn begin(&mut self, event: &Event) {
        self.about = Some((event.room.to_string(), event.id.to_string()));
        self.left = LOG_BYTES_MAX;
    }

    /// Ends a call: what was dropped is told.
    pub fn end(&mut self) {
        let bytes = std::mem::take(&mut self.dropped);
        if bytes > 0 {
            warn!(plugin = %self.plugin, bytes, "plugin wrote too much to the log, the rest was dropped");
            self.observer.log_cut(&self.plugin, bytes);
        }
    }

    fn write(&mut self, level: Level, text: &str) {
        if text.len() > self.left {
            self.left = 0;
            self.dropped += text.len() as u64;
            return;
        }
        self.left -= text.len();
        let (plugin, (room, event)) = (&*self.plugin, self.about.as_ref().map_or(("", ""), |(r, e)| (&**r, &**e)));
        // As a quoted field, so that no line of a plugin's can pass for one of the hub's.
        match level {
            Level::Debug => debug!(plugin, room, event, text = ?text, "plugin says"),
            Level::Info => info!(plugin, room, event, text = ?text, "plugin says"),
            Level::Warn => warn!(plugin, room, event, text = ?text, "plugin says"),
        }
    }
}

impl host_log::Host for Guest {
    fn log(&mut self, level: Level, text: String) {
        self.log.write(level, &text);
    }
}
