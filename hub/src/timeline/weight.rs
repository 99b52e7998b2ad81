//! What events take, roughly: how pages and caches are bounded in bytes.

use confab_protocol::Record;

/// What an event takes besides its body, roughly: names, ids, tags.
pub const EVENT_OVERHEAD: usize = 256;

/// Roughly how many bytes an event takes.
pub fn weigh(record: &Record) -> usize {
    let event = &record.event;
    let info = event.sender.info.as_ref().map_or(0, |info| info.as_str().len());
    let annotations = event.annotations.iter().map(|(name, value)| name.len() + value.as_str().len());
    event.body.as_str().len() + info + annotations.sum::<usize>() + EVENT_OVERHEAD
}
