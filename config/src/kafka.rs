//! Which librdkafka properties `[journal.kafka.options]` may not set, and why.

use crate::settings::{Config, KafkaConfig};

/// What a record holds beside its event's body, at most: what plugins annotate (64 KiB), what is shown of the sender (from a token of
/// 64 KiB), how it was judged, and names.
pub const RECORD_OVERHEAD: usize = 256 * 1024;
/// What Kafka counts of a message beside the record, at most: its key, its headers, and what a batch begins with.
pub const MESSAGE_OVERHEAD: usize = 1024;
/// The largest message that librdkafka sends unless it is told otherwise; brokers take a little more.
const MESSAGE_BYTES: usize = 1_000_000;
/// The option that says how large a message a client of ours sends.
pub(crate) const MESSAGE_MAX: &str = "message.max.bytes";

/// Why an option is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// It would take the ground from under "acknowledged is kept".
    Weakens(&'static str),
    /// It has a setting of its own.
    HasSetting(&'static str),
    /// Confab sets it itself.
    Ours(&'static str),
}

const POSITIONS: &str = "the consumer keeps its positions in the store and fences by them";

/// Why the option may not have this value; `None` if it may.
pub(crate) fn refused(key: &str, value: &str) -> Option<Reason> {
    use Reason::{HasSetting, Ours, Weakens};
    Some(match (key, value) {
        ("acks" | "request.required.acks", "all" | "-1") | ("enable.idempotence", "true") => return None,
        ("acks" | "request.required.acks", _) => Weakens("only `all` is enough"),
        ("enable.idempotence", _) => Weakens("a retry of the producer could be written twice, or out of order"),
        ("max.in.flight" | "max.in.flight.requests.per.connection", n) => match n.parse::<u32>() {
            Ok(1..=5) => return None,
            _ => Weakens("an idempotent producer can have 1 to 5"),
        },
        ("retries" | "message.send.max.retries", "0") => Weakens("one lost packet would be one unknown outcome"),
        ("bootstrap.servers" | "metadata.broker.list", _) => HasSetting("journal.kafka.brokers"),
        ("delivery.timeout.ms" | "message.timeout.ms", _) => HasSetting("journal.kafka.delivery_timeout"),
        ("linger.ms" | "queue.buffering.max.ms", _) => HasSetting("journal.kafka.linger"),
        ("group.id", _) => HasSetting("consumer.group"),
        ("transactional.id", _) => Ours("records are journaled one by one, not in transactions"),
        ("enable.gapless.guarantee", _) => Ours("one record that times out would stop the whole hub"),
        ("group.protocol" | "partition.assignment.strategy" | "enable.partition.eof", _) => Ours(POSITIONS),
        ("enable.auto.commit" | "auto.commit.enable" | "enable.auto.offset.store" | "auto.offset.reset", _) => {
            Ours(POSITIONS)
        }
        _ => return None,
    })
}

impl Config {
    /// `[journal.kafka]` with what follows for it from the other settings: how large a message is sent, unless its options say.
    pub fn kafka(&self) -> Option<KafkaConfig> {
        let mut kafka = self.journal.kafka.clone()?;
        let bytes = self.message_bytes().max(MESSAGE_BYTES);
        kafka.options.entry(MESSAGE_MAX.into()).or_insert_with(|| bytes.to_string());
        Some(kafka)
    }

    /// The largest message that an event of the largest body can become.
    pub(crate) fn message_bytes(&self) -> usize {
        self.limits.body.bytes() + RECORD_OVERHEAD + MESSAGE_OVERHEAD
    }
}

impl KafkaConfig {
    /// The largest message that a client of ours sends.
    pub fn message_bytes(&self) -> usize {
        self.options.get(MESSAGE_MAX).and_then(|bytes| bytes.parse().ok()).unwrap_or(MESSAGE_BYTES)
    }

    /// The librdkafka properties of a client named `id`: what every client of ours needs, then the `defaults` of this one;
    /// brokers and the operator's options come last. Later ones win.
    ///
    /// # Errors
    /// No broker is named, or [`Self::check_options`] refuses an option; the error says what to do.
    pub fn client(&self, id: &str, defaults: &[(&str, &str)]) -> Result<Vec<(String, String)>, String> {
        self.check_options()?;
        if self.brokers.is_empty() {
            return Err("`journal.kafka.brokers` is empty: name at least one `host:port`".into());
        }
        let common = [
            ("client.id", id),
            ("reconnect.backoff.ms", "50"),
            ("reconnect.backoff.max.ms", "1000"),
            ("socket.connection.setup.timeout.ms", "5000"),
            ("socket.keepalive.enable", "true"),
        ];
        let ours = common.iter().chain(defaults).map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        Ok(ours.chain(self.properties()).collect())
    }

    /// Checks that no option takes a promise away or doubles a setting, for settings that did not come through
    /// [`load`](crate::load()). The error names the option and says why.
    pub fn check_options(&self) -> Result<(), String> {
        let found = self.options.iter().find_map(|(key, value)| Some((key, refused(key, value)?)));
        match found {
            None => Ok(()),
            Some((key, Reason::Weakens(why) | Reason::Ours(why))) => {
                Err(format!("`journal.kafka.options` may not set `{key}` like this: {why}"))
            }
            Some((key, Reason::HasSetting(setting))) => {
                Err(format!("`journal.kafka.options` may not set `{key}`: set `{setting}`"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_may_add_security_but_not_take_promises_away() {
        let mut kafka = KafkaConfig::default();
        kafka.options.insert("security.protocol".into(), "ssl".into());
        kafka.options.insert("enable.idempotence".into(), "true".into());
        assert_eq!(kafka.check_options(), Ok(()));
        kafka.options.insert("acks".into(), "1".into());
        let refused = kafka.check_options().unwrap_err();
        assert!(refused.contains("`acks`") && refused.contains("`all`"), "{refused}");
    }
}
