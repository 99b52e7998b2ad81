//! What becomes of sends while the journal takes nothing: refused before anything is started, or taken into a buffer
//! that is bounded in number, bytes and time. A buffered event is heard; its receipt waits until it is journaled.

use confab_config::{KafkaConfig, OnOutage, OutageBuffer};
use confab_protocol::Refusal;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The policy, and what waits for the journal. Cheap to clone.
#[derive(Clone)]
pub struct Outages {
    /// `None`: sends are refused.
    bound: Option<OutageBuffer>,
    waiting: Arc<Mutex<Waiting>>,
}

#[derive(Default)]
struct Waiting {
    events: usize,
    bytes: usize,
    /// When a send first met the outage that lasts.
    since: Option<Instant>,
}

/// What a send takes of the bound on sends that wait for the journal; dropping it gives it back.
pub struct Admitted {
    bytes: usize,
    waiting: Arc<Mutex<Waiting>>,
}

impl Outages {
    /// The policy of the settings. Embedded there is nothing to choose: the commit comes first.
    pub fn new(kafka: Option<&KafkaConfig>) -> Self {
        let buffers = kafka.filter(|kafka| kafka.on_outage == OnOutage::Buffer);
        Self { bound: buffers.map(|kafka| kafka.outage_buffer.clone()), waiting: Arc::default() }
    }

    /// Lets a send with a body of so many bytes begin, or not.
    pub fn admit(&self, healthy: bool, bytes: usize) -> Result<Admitted, Refusal> {
        let mut waiting = self.waiting.lock();
        if healthy {
            waiting.since = None;
        } else {
            let Some(bound) = &self.bound else { return Err(Refusal::JournalUnavailable) };
            if !waiting.has_room(bound, bytes) {
                return Err(Refusal::JournalUnavailable);
            }
            if waiting.since.is_none() {
                tracing::warn!(time = ?bound.time, "journal unavailable, sends are buffered");
                waiting.since = Some(Instant::now());
            }
        }
        waiting.events += 1;
        waiting.bytes += bytes;
        Ok(Admitted { bytes, waiting: self.waiting.clone() })
    }

    /// Whether a send would be let in, as far as the journal goes.
    pub fn takes(&self, healthy: bool) -> bool {
        healthy || self.bound.as_ref().is_some_and(|bound| self.waiting.lock().has_room(bound, 1))
    }

    /// How long an event that has its place is tried again, where the journal did not take it.
    pub fn patience(&self) -> Duration {
        self.bound.as_ref().map_or(Duration::ZERO, |bound| bound.time)
    }

    /// How many sends have been let in and are not journaled yet.
    pub fn waiting(&self) -> usize {
        self.waiting.lock().events
    }
}

impl Waiting {
    fn has_room(&self, bound: &OutageBuffer, bytes: usize) -> bool {
        self.events < bound.events
            && self.bytes + bytes <= bound.size.bytes()
            && self.since.is_none_or(|since| since.elapsed() < bound.time)
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut waiting = self.waiting.lock();
        waiting.events -= 1;
        waiting.bytes -= self.bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use confab_config::Size;
    use proptest::prelude::*;

    fn outages(events: usize, size: u64, time: Duration) -> Outages {
        let outage_buffer = OutageBuffer { events, size: Size::kib(size), time };
        let kafka = KafkaConfig { on_outage: OnOutage::Buffer, outage_buffer, ..KafkaConfig::default() };
        Outages::new(Some(&kafka))
    }

    #[test]
    fn by_default_nothing_is_begun_while_the_journal_takes_nothing() {
        let outages = Outages::new(Some(&KafkaConfig::default()));
        assert_eq!(outages.admit(false, 1).err(), Some(Refusal::JournalUnavailable));
        assert!(outages.admit(true, 1).is_ok() && !outages.takes(false));
    }

    #[test]
    fn a_buffer_is_bounded_in_number_and_bytes_and_gives_places_back() {
        let outages = outages(3, 1, Duration::from_secs(60));
        let mut held: Vec<_> = (0..3).map(|_| outages.admit(false, 100).unwrap()).collect();
        assert!(outages.admit(false, 100).is_err() && !outages.takes(false), "three is the most");
        assert!(outages.admit(true, 100).is_ok(), "the bound is for outages");
        held.pop();
        assert!(outages.admit(false, 900).is_err(), "too many bytes");
        assert!(outages.admit(false, 100).is_ok());
        drop(held);
        assert_eq!(outages.waiting(), 0);
    }

    proptest! {
        #[test]
        fn an_outage_never_lets_in_more_than_the_bound_and_every_place_comes_back(
            steps in prop::collection::vec((0..3_u8, 0..400_usize), 1..80),
        ) {
            const EVENTS: usize = 5;
            let outages = outages(EVENTS, 1, Duration::from_secs(3600));
            let mut held = Vec::new();
            for (what, size) in steps {
                let bytes: usize = held.iter().map(|(_, bytes)| bytes).sum();
                let room = held.len() < EVENTS && bytes + size <= 1024;
                match what {
                    0 if !held.is_empty() => drop(held.swap_remove(size % held.len())),
                    1 => held.push((outages.admit(true, size).unwrap(), size)),
                    _ => {
                        let admitted = outages.admit(false, size);
                        prop_assert_eq!(admitted.is_ok(), room, "{} bytes beside {} of {} sends", size, bytes, held.len());
                        held.extend(admitted.ok().map(|place| (place, size)));
                    }
                }
                prop_assert_eq!(outages.waiting(), held.len());
            }
            held.clear();
            prop_assert_eq!((outages.waiting(), outages.takes(false)), (0, true));
        }
    }

    #[test]
    fn a_buffer_is_bounded_in_time_which_begins_anew_with_the_next_outage() {
        let outages = outages(10, 1, Duration::ZERO);
        assert!(outages.admit(false, 1).is_ok(), "the outage begins");
        assert!(outages.admit(false, 1).is_err(), "and has lasted too long");
        assert!(outages.admit(true, 1).is_ok());
        assert!(outages.admit(false, 1).is_ok());
    }
}
