//! Which librdkafka properties `[journal.kafka.options]` may not set, and why.

use crate::settings::KafkaConfig;

/// Properties that carry a promise, or that have a setting of their own, with what to do instead.
const RESERVED: &[(&str, &str)] = &[
    ("acks", ACKS),
    ("request.required.acks", ACKS),
    ("enable.idempotence", "copies of a record would become ordinary; the hub always sets it to true"),
    ("enable.gapless.guarantee", "one record that times out would stop the whole hub"),
    ("transactional.id", "records are journaled one by one, not in transactions"),
    ("bootstrap.servers", "set `journal.kafka.brokers`"),
    ("metadata.broker.list", "set `journal.kafka.brokers`"),
    ("delivery.timeout.ms", "set `journal.kafka.delivery_timeout`"),
    ("message.timeout.ms", "set `journal.kafka.delivery_timeout`"),
    ("linger.ms", "set `journal.kafka.linger`"),
    ("queue.buffering.max.ms", "set `journal.kafka.linger`"),
    ("group.id", "set `consumer.group`"),
    ("group.protocol", POSITIONS),
    ("partition.assignment.strategy", POSITIONS),
    ("enable.auto.commit", POSITIONS),
    ("auto.commit.enable", POSITIONS),
    ("enable.auto.offset.store", POSITIONS),
    ("auto.offset.reset", POSITIONS),
    ("enable.partition.eof", POSITIONS),
];

const ACKS: &str = "a receipt promises that every in-sync replica has the record; the hub always sets it to all";
const POSITIONS: &str = "the consumer keeps its positions in the store and fences by them";

impl KafkaConfig {
    /// Checks that no option takes a promise away or doubles a setting. The error names the option, and what to do.
    pub fn check_options(&self) -> Result<(), String> {
        match self.options.keys().find_map(|key| RESERVED.iter().find(|(name, _)| name == key)) {
            None => Ok(()),
            Some((name, why)) => Err(format!("`journal.kafka.options` may not set `{name}`: {why}")),
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
        assert_eq!(kafka.check_options(), Ok(()));
        kafka.options.insert("acks".into(), "1".into());
        let refused = kafka.check_options().unwrap_err();
        assert!(refused.contains("`acks`") && refused.contains("in-sync"), "{refused}");
    }
}
