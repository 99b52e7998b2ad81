//! Where reading begins: where the store is, if the topic is still the one that it was read from.

use super::{ASK, Incoming, Poller};
use crate::batch::event_id;
use confab_protocol::EventId;
use rdkafka::consumer::Consumer;
use rdkafka::topic_partition_list::Offset;
use tracing::{error, warn};

impl Poller {
    /// Where to begin: at the store's position, unless the topic does not have it. What that loses is said aloud. Where the
    /// topic may have the record before it, reading begins with that, and it is to be the one that was stored last.
    pub(super) fn start_of(
        &self,
        partition: i32,
        position: Option<i64>,
        last: Option<EventId>,
    ) -> (Offset, Option<(i64, EventId)>) {
        let topic = &self.topic;
        let (low, high) = match self.consumer.fetch_watermarks(topic, partition, ASK) {
            Ok(watermarks) => watermarks,
            Err(error) => {
                warn!(partition, %error, "could not compare the store's position with the topic");
                return (position.map_or(Offset::Beginning, Offset::Offset), None);
            }
        };
        match position {
            None => (Offset::Beginning, None),
            Some(next) if next < low => {
                error!(topic, partition, next, low, "records removed by retention before they were stored");
                self.metrics.lost.inc_by(u64::try_from(low - next).unwrap_or(0));
                (Offset::Beginning, None)
            }
            Some(next) if next > high => {
                error!(
                    topic,
                    partition,
                    next,
                    high,
                    "the store is past the topic's end: the topic was cut or made anew; \
                    reading it from its beginning, what is stored is recognised"
                );
                self.metrics.replaced.inc();
                (Offset::Beginning, None)
            }
            Some(next) => match last {
                Some(last) if next > low => (Offset::Offset(next - 1), Some((next - 1, last))),
                _ => (Offset::Offset(next), None),
            },
        }
    }

    /// Whether it is not the record that was stored last. Where another one lies in its place the topic was made anew, or is
    /// a copy with other offsets: then it is read from its beginning.
    pub(super) fn is_to_be_stored(&mut self, incoming: &Incoming) -> bool {
        let partition = incoming.origin.partition;
        let offset = incoming.origin.offset;
        let Some((before, last)) = self.stored_last.remove(&partition) else { return true };
        if offset != before {
            return true; // retention took it meanwhile
        }
        if event_id(&incoming.entry).is_some_and(|found| found != last) {
            let topic = &self.topic;
            error!(
                topic,
                partition,
                offset,
                %last,
                "the record that was stored last is not where it was: the topic was made anew or copied; \
                reading it from its beginning, what is stored is recognised"
            );
            self.metrics.replaced.inc();
            if let Err(error) = self.consumer.seek(topic, partition, Offset::Beginning, ASK) {
                self.fail(format!("could not begin at the topic's beginning: {error}"));
            }
        }
        false
    }
}
