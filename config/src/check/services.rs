//! Checks of the three services: all or none of them, and nothing that would weaken what an acknowledgement means.

use super::Findings;
use super::door::twins;
use super::rooms::retention;
use crate::human::duration;
use crate::kafka;
use crate::path::Path;
use crate::problem::Problem;
use crate::settings::{Config, ConsumerConfig, KafkaConfig, PostgresConfig, RedisConfig};
use crate::suggest::listed;
use std::net::IpAddr;
use std::time::Duration;

pub(super) fn check(config: &Config, found: &mut Findings) {
    mixture(config, found);
    retention(&Path::of("store.retention"), config.store.retention, found);
    if let Some(redis) = &config.timeline.redis {
        check_redis(redis, config.limits.send_deadline, found);
    }
    if let Some(kafka) = &config.journal.kafka {
        check_kafka(kafka, config, found);
    }
    if let Some(postgres) = &config.store.postgres {
        check_postgres(postgres, config.limits.send_deadline, found);
    }
    check_consumer(&config.consumer, found);
}

fn mixture(config: &Config, found: &mut Findings) {
    let tables = [
        ("timeline.redis", config.timeline.redis.is_some()),
        ("journal.kafka", config.journal.kafka.is_some()),
        ("store.postgres", config.store.postgres.is_some()),
    ];
    let (given, missing): (Vec<_>, Vec<_>) = tables.iter().partition(|(_, given)| *given);
    let (Some((first, _)), false) = (given.first(), missing.is_empty()) else { return };
    let missing: Vec<String> = missing.iter().map(|(table, _)| format!("[{table}]")).collect();
    let missing = listed(missing.iter().map(String::as_str), "and");
    let mut problem = Problem::error(&Path::of(first), "the settings are neither the embedded nor the cluster profile")
        .at_name()
        .label(format!("given, but not {missing}"))
        .note(
            "timeline, journal and store are one promise: what Redis has ordered must be in a journal that every hub \
             can read, or a message that one hub acknowledged is lost to the others",
        )
        .help(format!("for the cluster profile, add {missing}"))
        .help("for the embedded profile (one process, SQLite), take all three out");
    for (table, _) in tables {
        problem = problem.rests_on(&Path::of(table));
    }
    found.add(problem);
}

fn check_redis(redis: &RedisConfig, send_deadline: Duration, found: &mut Findings) {
    let path = |key: &str| Path::of("timeline.redis").key(key);
    url(&path("url"), redis.url.as_deref(), redis.url_file.is_some(), &["redis", "rediss"], found);
    if redis.ca_file.is_some() && redis.url.as_deref().is_some_and(|url| url.starts_with("redis://")) {
        found.add(
            Problem::warning(&path("ca_file"), "the connection to Redis is not encrypted, so `ca_file` is not used")
                .label("`url` begins with `redis://`")
                .help("write `rediss://` for TLS"),
        );
    }
    for (at, node) in redis.sentinel.nodes.iter().enumerate() {
        let url = ["redis://", "rediss://"].iter().any(|scheme| node.starts_with(scheme));
        if !url && !is_host_and_port(node) {
            found.add(
                Problem::error(
                    &path("sentinel").key("nodes").index(at),
                    format!("`{node}` is not a sentinel's address"),
                )
                .label("expected a host and a port, or a `redis://` url")
                .help("write `\"sentinel:26379\"`"),
            );
        }
    }
    check_cluster(redis, found);
    if redis.prefix.is_empty() || redis.prefix.chars().any(|c| c.is_whitespace() || c.is_control() || "{}".contains(c))
    {
        found.add(
            Problem::error(&path("prefix"), "`timeline.redis.prefix` cannot begin a key")
                .label("must not be empty, nor have spaces or braces")
                .note("braces mark what Redis Cluster places a key by, and keys of a bucket must stay together"),
        );
    }
    // Redis Cluster has 16384 slots: more buckets could not lie on more nodes.
    found.number("timeline.redis.buckets", redis.buckets, 1, 16_384);
    let least = Duration::from_millis(10);
    found.duration(&path("timeout"), redis.timeout, least, send_deadline.max(least));
    found.duration(&path("hub_lease"), redis.hub_lease, Duration::from_secs(1), Duration::from_secs(300));
    if redis.hub_lease < 2 * redis.timeout {
        found.add(
            Problem::error(&path("hub_lease"), "a living hub would be taken for dead")
                .label(format!(
                    "must be at least twice `timeline.redis.timeout`, \"{}\"",
                    duration::show(redis.timeout)
                ))
                .note("a hub renews its lease with a command, which may take the whole timeout")
                .help(format!(
                    "write `hub_lease = \"{}\"`",
                    duration::show((2 * redis.timeout).max(Duration::from_secs(5)))
                ))
                .rests_on(&path("timeout")),
        );
    }
}

fn check_cluster(redis: &RedisConfig, found: &mut Findings) {
    let path = |key: &str| Path::of("timeline.redis").key(key);
    let nodes = path("cluster").key("nodes");
    for (at, node) in redis.cluster.nodes.iter().enumerate() {
        if !is_host_and_port(node) {
            found.add(
                Problem::error(&nodes.index(at), format!("`{node}` is not a node's address"))
                    .label("expected a host and a port")
                    .help("write `\"redis-1:6379\"`; user, password and TLS are taken from `url`"),
            );
        }
    }
    if redis.cluster.nodes.is_empty() {
        return;
    }
    if !redis.sentinel.nodes.is_empty() {
        found.add(
            Problem::error(&nodes, "sentinels and a Redis Cluster are both given")
                .label("a cluster promotes its replicas itself")
                .help("take `sentinel` out for a cluster, or `cluster` for one primary behind sentinels")
                .rests_on(&path("sentinel")),
        );
    }
    let database = redis.url.as_deref().and_then(|url| url.split_once("://")?.1.split_once('/').map(|(_, rest)| rest));
    let database = database.and_then(|rest| rest.split(['?', '#']).next()).unwrap_or_default();
    if !matches!(database, "" | "0") {
        found.add(
            Problem::error(&path("url"), "a Redis Cluster has only the database 0")
                .label(format!("names the database `{database}`"))
                .help("take it out, and keep deployments apart by `timeline.redis.prefix`")
                .rests_on(&nodes),
        );
    }
}

fn check_kafka(kafka: &KafkaConfig, config: &Config, found: &mut Findings) {
    let here = Path::of("journal.kafka");
    if kafka.brokers.is_empty() {
        found.add(
            Problem::error(&here.key("brokers"), "`journal.kafka.brokers` is empty")
                .help("write `brokers = [\"kafka:9092\"]`"),
        );
    }
    for (at, broker) in kafka.brokers.iter().enumerate() {
        if !is_host_and_port(broker) {
            found.add(
                Problem::error(&here.key("brokers").index(at), format!("`{broker}` is not a broker's address"))
                    .label("expected a host and a port")
                    .help(format!(
                        "write `\"{}:9092\"`",
                        broker.split("://").last().unwrap_or("kafka").split(':').next().unwrap_or("kafka")
                    )),
            );
        }
    }
    let fits = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if kafka.topic_prefix.is_empty() || kafka.topic_prefix.len() > 200 || !kafka.topic_prefix.chars().all(fits) {
        found.add(
            Problem::error(&here.key("topic_prefix"), "`journal.kafka.topic_prefix` cannot begin a topic's name")
                .label("1 to 200 letters, digits, `.`, `_` or `-`"),
        );
    }
    found.number("journal.kafka.partitions", kafka.partitions, 1, 10_000);
    found.number("journal.kafka.replication", kafka.replication, 0, 100);
    found.number("journal.kafka.min_insync", kafka.min_insync, 0, 100);
    if kafka.replication > 0 && kafka.min_insync > kafka.replication {
        found.add(
            Problem::error(&here.key("min_insync"), "no record could ever be acknowledged")
                .label(format!("more than `replication`, {}", kafka.replication)),
        );
    }
    kafka_times(kafka, config, found);
    let needed = config.message_bytes();
    if kafka.options.contains_key(kafka::MESSAGE_MAX) && kafka.message_bytes() < needed {
        found.add(
            Problem::error(
                &here.key("options").key(kafka::MESSAGE_MAX),
                "the journal would not take the largest event that may be said",
            )
            .label(format!("must be at least {needed}: `limits.body`, and what stands beside a body"))
            .help("take this option out: it follows from `limits.body`")
            .rests_on(&Path::of("limits.body")),
        );
    }
    for (key, value) in &kafka.options {
        if let Some(reason) = kafka::refused(key, value) {
            found.add(option_problem(&here.key("options").key(key.as_str()), key, value, reason));
        }
    }
}

/// When Kafka gives up must lie between the patience of a sender and the memory for its key.
fn kafka_times(kafka: &KafkaConfig, config: &Config, found: &mut Findings) {
    let here = Path::of("journal.kafka");
    let delivery = here.key("delivery_timeout");
    let send = Path::of("limits.send_deadline");
    let deadline = config.limits.send_deadline;
    let dedupe = config.limits.dedupe_window;
    if kafka.delivery_timeout < deadline {
        found.add(
            Problem::error(&delivery, "the journal would give up while the sender still waits")
                .label(format!("shorter than `{send}`, \"{}\"", duration::show(deadline)))
                .note("an outage that ends within the deadline should be no more than a late receipt")
                .help("write `delivery_timeout = \"30s\"`, the default")
                .rests_on(&send),
        );
    } else if dedupe <= kafka.delivery_timeout {
        found.add(
            Problem::error(&delivery, "a record could still be written after its key is forgotten")
                .label(format!("not shorter than `limits.dedupe_window`, \"{}\"", duration::show(dedupe)))
                .note("a retry after that would be heard a second time")
                .help("write `delivery_timeout = \"30s\"`, the default")
                .rests_on(&Path::of("limits.dedupe_window")),
        );
    }
    if kafka.linger >= deadline.min(kafka.delivery_timeout) {
        found.add(
            Problem::error(&here.key("linger"), "records would wait for company longer than their senders wait")
                .label(format!("not shorter than `{send}`, \"{}\"", duration::show(deadline)))
                .help("write `linger = \"1ms\"`, the default")
                .rests_on(&send)
                .rests_on(&delivery),
        );
    }
}

fn option_problem(path: &Path, key: &str, value: &str, reason: kafka::Reason) -> Problem {
    let elsewhere = || Problem::error(path, format!("`{key}` cannot be set as an option")).at_name();
    match reason {
        kafka::Reason::Weakens(why) => {
            Problem::error(path, format!("`{key} = \"{value}\"` would weaken what a receipt means"))
                .label(why)
                .note("a sender is told \"it stands\" only when every in-sync replica has the record, exactly once")
                .help("take this option out: Confab sets it itself")
        }
        kafka::Reason::HasSetting(setting) => {
            elsewhere().label("it has a setting of its own").help(format!("use `{setting}`"))
        }
        kafka::Reason::Ours(why) => elsewhere().label(why).help("take this option out"),
    }
}

fn check_postgres(postgres: &PostgresConfig, send_deadline: Duration, found: &mut Findings) {
    let path = |key: &str| Path::of("store.postgres").key(key);
    url(&path("url"), postgres.url.as_deref(), postgres.url_file.is_some(), &["postgres", "postgresql"], found);
    found.number("store.postgres.connections", postgres.connections, 1, 10_000);
    let least = Duration::from_millis(10);
    found.duration(&path("timeout"), postgres.timeout, least, send_deadline.max(least));
}

fn check_consumer(consumer: &ConsumerConfig, found: &mut Findings) {
    found.text("consumer.group", &consumer.group);
    found.number("consumer.batch_records", consumer.batch_records, 1, 100_000);
    found.duration(&Path::of("consumer.batch_wait"), consumer.batch_wait, Duration::ZERO, Duration::from_secs(10));
}

/// A url must be given once, and of the right kind. It is never shown: it may hold a password.
fn url(path: &Path, url: Option<&str>, in_file: bool, schemes: &[&str], found: &mut Findings) {
    let schemes: Vec<String> = schemes.iter().map(|scheme| format!("{scheme}://")).collect();
    match url {
        Some(_) if in_file => found.add(twins(path)),
        None if !in_file => found.add(
            Problem::error(path, format!("`{path}` is missing"))
                .label("neither `url` nor `url_file` is given")
                .help(format!("add `url = \"{}localhost\"`, or `url_file` where it holds a password", schemes[0])),
        ),
        Some(url) if !schemes.iter().any(|scheme| url.starts_with(scheme.as_str()) && url.len() > scheme.len()) => {
            found.add(
                Problem::error(path, format!("`{path}` is not a url that can be used here"))
                    .label(format!("must begin with {}", listed(schemes.iter().map(String::as_str), "or"))),
            );
        }
        _ => {}
    }
}

fn is_host_and_port(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let host_fits = match bare {
        Some(bare) => bare.parse::<IpAddr>().is_ok(),
        None => !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c)),
    };
    host_fits && port.parse::<u16>().is_ok_and(|port| port > 0)
}
