//! The three topics: creates them, and looks whether they can keep what a receipt promises.

use super::context::Reading;
use super::{Error, client_config, failed, settings};
use confab_config::KafkaConfig;
use rdkafka::admin::{AdminClient, AdminOptions, ConfigResource, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long the brokers may take to show themselves, to create a topic, or to show a new one to everyone.
const PATIENCE: Duration = Duration::from_secs(15);

/// The largest message that brokers take unless they are told otherwise.
const BROKERS_DEFAULT: usize = 1_048_588;
/// The topic's setting that says whose clock its records have, which retention goes by.
const TIMESTAMPS: &str = "message.timestamp.type";
/// The topic's setting that says how large a message it takes.
const MESSAGE_MAX: &str = "max.message.bytes";

/// What stands after a migration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The topics, each as it is now.
    pub topics: Vec<Topic>,
    /// What keeps them from keeping their promises, in plain words. Empty: nothing.
    pub warnings: Vec<String>,
}

/// A topic as the brokers describe it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// Whether this migration created it.
    pub created: bool,
    /// How many partitions it has.
    pub partitions: usize,
    /// How many replicas its partitions have (the fewest).
    pub replicas: usize,
}

/// What a topic is for; it decides how it is created and what is expected of it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Events,
    Generations,
    DeadLetters,
}

/// Creates the topics that are missing and inspects all three. Existing topics are never changed; running it again is
/// no harm.
///
/// # Errors
/// [`Error::Failed`] where the brokers cannot be reached or refuse; the source says why.
pub async fn migrate(config: &KafkaConfig) -> Result<Report, Error> {
    let all = [
        (Purpose::Events, config.events_topic()),
        (Purpose::Generations, config.generations_topic()),
        (Purpose::DeadLetters, config.dead_letters_topic()),
    ];
    look(config, &[]).await?;
    let admin: AdminClient<Reading> =
        client_config(config, &[])?.create_with_context(Reading::default()).map_err(|error| settings(&error))?;
    let mut created = Vec::new();
    for (purpose, name) in &all {
        if create(&admin, config, *purpose, name).await? {
            created.push(name.clone());
        }
    }
    let names: Vec<String> = all.iter().map(|(_, name)| name.clone()).collect();
    let shapes = look(config, &names).await?;
    let mut report = Report::default();
    for (purpose, name) in all {
        let (partitions, replicas) = shapes.get(&name).copied().unwrap_or_default();
        let settings = describe(&admin, &name).await?;
        report.warnings.extend(inspect(config, purpose, &name, partitions, replicas, &settings));
        report.topics.push(Topic { created: created.contains(&name), name, partitions, replicas });
    }
    Ok(report)
}

/// How large a message the topic of events takes.
///
/// # Errors
/// [`Error::Failed`] where the brokers cannot be reached, have no such topic, or do not say.
pub async fn message_bytes(config: &KafkaConfig) -> Result<usize, Error> {
    let admin: AdminClient<Reading> =
        client_config(config, &[])?.create_with_context(Reading::default()).map_err(|error| settings(&error))?;
    let topic = config.events_topic();
    let found = describe(&admin, &topic).await?;
    found
        .get(MESSAGE_MAX)
        .and_then(|bytes| bytes.parse().ok())
        .ok_or_else(|| failed(format!("ask how large a message topic \"{topic}\" takes"), "the brokers do not say"))
}

/// Creates one topic. False: it is there already.
async fn create(
    admin: &AdminClient<Reading>,
    config: &KafkaConfig,
    purpose: Purpose,
    name: &str,
) -> Result<bool, Error> {
    // 0 in our settings, -1 in Kafka's words: the brokers' default decides.
    let replication = TopicReplication::Fixed(if config.replication > 0 { config.replication } else { -1 });
    let partitions = if purpose == Purpose::Events { config.partitions } else { 1 };
    let retention = match purpose {
        Purpose::Events if !config.retention.is_zero() => config.retention.as_millis().to_string(),
        _ => "-1".to_owned(),
    };
    let min_insync = config.min_insync.to_string();
    // A dead letter is the record once more.
    let message_bytes = config.message_bytes().max(BROKERS_DEFAULT).to_string();
    let mut topic = NewTopic::new(name, partitions, replication)
        .set("cleanup.policy", "delete")
        .set("retention.ms", &retention)
        .set("retention.bytes", "-1")
        .set(MESSAGE_MAX, &message_bytes)
        // The brokers' clock: a hub whose clock is slow would have its records removed early.
        .set(TIMESTAMPS, "LogAppendTime")
        .set("unclean.leader.election.enable", "false");
    if config.min_insync > 0 {
        topic = topic.set("min.insync.replicas", &min_insync);
    }
    let doing = || format!("create topic \"{name}\"");
    let options = AdminOptions::new().request_timeout(Some(PATIENCE)).operation_timeout(Some(PATIENCE));
    let results = admin.create_topics([&topic], &options).await.map_err(|error| failed(doing(), error))?;
    match results.into_iter().next() {
        Some(Ok(_)) => Ok(true),
        Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => Ok(false),
        Some(Err((_, code))) => Err(failed(doing(), code)),
        None => Err(failed(doing(), "the brokers did not say what became of it")),
    }
}

/// The topic's settings, as the brokers apply them.
async fn describe(admin: &AdminClient<Reading>, name: &str) -> Result<BTreeMap<String, String>, Error> {
    let doing = || format!("describe topic \"{name}\"");
    let options = AdminOptions::new().request_timeout(Some(PATIENCE));
    let asked = [ResourceSpecifier::Topic(name)];
    let results = admin.describe_configs(&asked, &options).await.map_err(|error| failed(doing(), error))?;
    match results.into_iter().next() {
        Some(Ok(ConfigResource { entries, .. })) => {
            Ok(entries.into_iter().filter_map(|entry| Some((entry.name, entry.value?))).collect())
        }
        Some(Err(code)) => Err(failed(doing(), code)),
        None => Err(failed(doing(), "the brokers did not describe it")),
    }
}

/// Partitions and replicas of all these topics, once the brokers know them all. With no names: whether anyone answers.
async fn look(config: &KafkaConfig, names: &[String]) -> Result<BTreeMap<String, (usize, usize)>, Error> {
    let client = client_config(config, &[])?;
    let names = names.to_vec();
    let doing = format!("reach the brokers at {}", config.brokers.join(", "));
    let looked = tokio::task::spawn_blocking(move || {
        let context = Reading::default();
        let reason = context.reason.clone();
        let reader: BaseConsumer<Reading> = client.create_with_context(context).map_err(|error| settings(&error))?;
        let until = Instant::now() + PATIENCE;
        loop {
            let answer = reader.fetch_metadata(None, Duration::from_secs(1));
            // Serves the callbacks that say why a connection fails.
            let _ = reader.poll(Duration::from_millis(20));
            let error = match answer {
                Ok(metadata) => {
                    let shapes: BTreeMap<_, _> = metadata.topics().iter().map(shape).collect();
                    match names.iter().find(|name| !shapes.contains_key(*name)) {
                        None => return Ok(shapes),
                        Some(missing) => format!("the brokers do not show topic \"{missing}\" yet"),
                    }
                }
                Err(error) => reason.lock().clone().unwrap_or_else(|| error.to_string()),
            };
            if Instant::now() >= until {
                return Err(failed(doing, error));
            }
        }
    });
    looked.await.unwrap_or_else(|error| Err(failed("look at the topics", error)))
}

fn shape(topic: &rdkafka::metadata::MetadataTopic) -> (String, (usize, usize)) {
    let replicas = topic.partitions().iter().map(|partition| partition.replicas().len()).min();
    (topic.name().to_owned(), (topic.partitions().len(), replicas.unwrap_or(0)))
}

/// What keeps the topic from keeping its promises.
fn inspect(
    config: &KafkaConfig,
    purpose: Purpose,
    name: &str,
    partitions: usize,
    replicas: usize,
    settings: &BTreeMap<String, String>,
) -> Vec<String> {
    let number = |key: &str| settings.get(key).and_then(|value| value.parse::<i64>().ok());
    let mut warnings = Vec::new();
    let mut warn = |text: String| warnings.push(format!("topic \"{name}\": {text}"));
    if replicas < 2 {
        warn(
            "there is one copy of each record: a receipt does not survive the loss of that broker's disk \
              (replication factor 1; 3 is usual)"
                .into(),
        );
    }
    match number("min.insync.replicas") {
        Some(needed) if needed < 2 => warn(format!(
            "a receipt may stand for one copy only (min.insync.replicas is {needed}; 2 of 3 replicas are usual)"
        )),
        Some(needed) if usize::try_from(needed).is_ok_and(|needed| needed > replicas) => {
            warn(format!("nothing can be written: min.insync.replicas is {needed}, but there are {replicas} replicas"))
        }
        _ => {}
    }
    if settings.get("unclean.leader.election.enable").is_some_and(|value| value == "true") {
        warn(
            "a replica that lacks records may become leader, and acknowledged records are lost then \
              (unclean.leader.election.enable is true)"
                .into(),
        );
    }
    if settings.get("cleanup.policy").is_some_and(|policy| policy.contains("compact")) {
        warn("compaction removes all but the last record of each room (cleanup.policy; it must be delete)".into());
    }
    let expected_ms = match purpose {
        Purpose::Events if !config.retention.is_zero() => i64::try_from(config.retention.as_millis()).unwrap_or(-1),
        _ => -1,
    };
    if let Some(kept_ms) = number("retention.ms").filter(|kept_ms| *kept_ms != expected_ms) {
        let expected = if expected_ms < 0 { "for ever".into() } else { format!("for {expected_ms} ms") };
        let kept = if kept_ms < 0 { "for ever".into() } else { format!("for {kept_ms} ms") };
        warn(format!("records are kept {kept}, and should be {expected} (retention.ms)"));
    }
    if let Some(bytes) = number("retention.bytes").filter(|bytes| *bytes >= 0) {
        warn(format!("records go, stored or not, when a partition exceeds {bytes} bytes (retention.bytes)"));
    }
    let by_hubs_clock = settings.get(TIMESTAMPS).is_some_and(|clock| clock != "LogAppendTime");
    if by_hubs_clock && number("retention.ms").is_some_and(|kept_ms| kept_ms >= 0) {
        warn(format!(
            "its records have the clocks of hubs, and one that is slow loses them early ({TIMESTAMPS}; \
             `kafka-configs --alter --entity-type topics --entity-name {name} --add-config {TIMESTAMPS}=LogAppendTime`)"
        ));
    }
    let needed = config.message_bytes();
    let takes = number(MESSAGE_MAX).and_then(|bytes| usize::try_from(bytes).ok());
    if let (Some(takes), true) = (takes.filter(|takes| *takes < needed), purpose != Purpose::Generations) {
        warn(format!(
            "it takes messages of at most {takes} bytes, and `limits.body` may ask for {needed}: larger events are refused \
             ({MESSAGE_MAX}; `kafka-configs --alter --entity-type topics --entity-name {name} --add-config {MESSAGE_MAX}={needed}`)"
        ));
    }
    match purpose {
        Purpose::Generations if partitions != 1 => warn(format!(
            "it has {partitions} partitions and must have exactly 1: generations are numbered by its offsets"
        )),
        Purpose::Events if i32::try_from(partitions) != Ok(config.partitions) => warn(format!(
            "it has {partitions} partitions, `journal.kafka.partitions` says {}: existing topics are left as they are",
            config.partitions
        )),
        _ => {}
    }
    warnings
}
