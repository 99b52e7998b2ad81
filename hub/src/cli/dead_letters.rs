//! `confab dead-letters`: what the consumer could not store, looked at, put back, or given up.

use super::remote::when;
use super::run::causes;
use super::{Exit, Screen, SettingsArgs};
use crate::backends;
use crate::clock::now_ms;
use crate::journal::dead_letters::{self, Letter, Number, Outcome, Waiting};
use crate::quoted::quoted;
use clap::{Args, Subcommand};
use confab_config::{Config, KafkaConfig};
use confab_protocol::Record;
use confab_store::{Act, Entry, Error as StoreError, Store};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use tokio::sync::mpsc;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Look after what the consumer could not store.
#[derive(Clone, Debug, Subcommand)]
pub enum DeadLettersCommand {
    /// List the records that wait, with the reason why each could not be stored; the oldest first.
    List {
        /// Only what belongs to this room.
        #[arg(long)]
        room: Option<String>,
        /// The most to list.
        #[arg(long, default_value_t = 50)]
        limit: usize,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Store records at their places, once what kept them out is mended: such as by a newer Confab. One that is stored already is
    /// not stored twice; one that still cannot be stored goes on waiting, and the exit code is 1.
    Retry {
        /// Which.
        #[command(flatten)]
        which: WhichArgs,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Give records up: they are not listed any more, and leave Kafka with those before them. Their places are kept.
    Drop {
        /// Which.
        #[command(flatten)]
        which: WhichArgs,
        /// Why; kept in the audit log.
        #[arg(long)]
        reason: Option<String>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

/// Which letters.
#[derive(Args, Clone, Debug)]
#[group(required = true, multiple = false)]
pub struct WhichArgs {
    /// Their numbers, as `list` shows them, such as `0-17`.
    #[arg(value_name = "LETTER")]
    numbers: Vec<Number>,
    /// All that wait.
    #[arg(long)]
    all: bool,
}

/// `confab dead-letters`.
pub fn run(settings: &SettingsArgs, command: &DeadLettersCommand, screen: &mut Screen<'_>) -> io::Result<Exit> {
    let config = match settings.load(Vec::new()) {
        Ok(loaded) => loaded.config,
        Err(errors) => return screen.findings(&errors).map(|()| Exit::Configuration),
    };
    let Some(kafka) = config.kafka() else {
        writeln!(
            screen.err,
            "error: these settings are an embedded hub's, which has no dead letters: what it cannot store it refuses"
        )?;
        return Ok(Exit::Configuration);
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let done = runtime.block_on(async {
        match command {
            DeadLettersCommand::List { room, limit, json } => {
                let waiting = waiting(&kafka).await?;
                let of_room = |letter: &&Letter| room.as_ref().is_none_or(|room| letter.room == *room);
                let letters: Vec<_> = waiting.letters.iter().filter(of_room).collect();
                Ok(list(&letters, *limit, *json, screen))
            }
            DeadLettersCommand::Retry { which, json } => {
                let done = Work::open(&config, kafka, which, None).await?.retry().await?;
                Ok(tell(&done, *json, screen))
            }
            DeadLettersCommand::Drop { which, reason, json } => {
                let done = Work::open(&config, kafka, which, reason.clone()).await?.give_up().await?;
                Ok(tell(&done, *json, screen))
            }
        }
    });
    match done {
        Ok(told) => told,
        Err(error) => {
            let error: BoxError = error;
            writeln!(screen.err, "error: {}", causes(error.as_ref()))?;
            Ok(if error.is::<NotThere>() { Exit::Failed } else { Exit::Unreachable })
        }
    }
}

/// Letters were named that do not wait.
#[derive(Debug, thiserror::Error)]
#[error("no dead letter waits under {0}: `confab dead-letters list` shows those that do")]
struct NotThere(String);

async fn waiting(kafka: &KafkaConfig) -> Result<Waiting, BoxError> {
    let kafka = kafka.clone();
    Ok(tokio::task::spawn_blocking(move || dead_letters::waiting(&kafka)).await??)
}

/// What became of one letter: nothing yet, or why it goes on waiting.
struct Told {
    letter: Letter,
    became: Result<&'static str, String>,
}

/// What became of letters.
struct Done {
    told: Vec<Told>,
    /// Why what is settled is still in the topic.
    left: Option<String>,
}

/// Letters that something is done with.
struct Work {
    kafka: KafkaConfig,
    store: Store,
    letters: Vec<Letter>,
    reason: Option<String>,
}

impl Work {
    async fn open(
        config: &Config,
        kafka: KafkaConfig,
        which: &WhichArgs,
        reason: Option<String>,
    ) -> Result<Self, BoxError> {
        let mut letters = waiting(&kafka).await?.letters;
        if !which.all {
            let there: BTreeSet<_> = letters.iter().map(|letter| letter.number).collect();
            let missing: Vec<_> = which.numbers.iter().filter(|number| !there.contains(number)).collect();
            if !missing.is_empty() {
                let missing: Vec<_> = missing.into_iter().map(ToString::to_string).collect();
                return Err(NotThere(missing.join(", ")).into());
            }
            letters.retain(|letter| which.numbers.contains(&letter.number));
        }
        let store = backends::store(config).await?;
        let due = store.pending_migrations().await?;
        if !due.is_empty() {
            return Err(format!("the store lacks {}: run `confab migrate` first", due.join(", ")).into());
        }
        Ok(Self { kafka, store, letters, reason })
    }

    /// Offers each record to the store, which knows by its event's id whether it has it.
    async fn retry(self) -> Result<Done, BoxError> {
        let wanted: BTreeSet<_> = self.letters.iter().map(|letter| letter.number).collect();
        let (hand, mut records) = mpsc::channel(16);
        let kafka = self.kafka.clone();
        let reading = tokio::task::spawn_blocking(move || {
            dead_letters::records(&kafka, &wanted, |number, value| hand.blocking_send((number, value)).is_ok())
        });
        let mut told = Vec::new();
        while let Some((number, value)) = records.recv().await {
            let Some(letter) = self.letters.iter().find(|letter| letter.number == number) else { continue };
            let became = store(&self.store, &value).await?;
            let result = became.as_ref().err().map_or("ok", String::as_str);
            self.write_down(letter, "retry_dead_letter", result).await?;
            if became.is_ok() {
                dead_letters::settle(&self.kafka, &[number], Outcome::Stored).await?;
            }
            told.push(Told { letter: letter.clone(), became });
        }
        drop(records);
        reading.await??;
        Ok(Done { told, left: self.tidy().await? })
    }

    async fn give_up(self) -> Result<Done, BoxError> {
        let mut told = Vec::new();
        for letter in &self.letters {
            self.write_down(letter, "drop_dead_letter", "ok").await?;
            dead_letters::settle(&self.kafka, &[letter.number], Outcome::Dropped).await?;
            told.push(Told { letter: letter.clone(), became: Ok(Outcome::Dropped.as_str()) });
        }
        Ok(Done { told, left: self.tidy().await? })
    }

    /// Who is on this machine and may read hub.toml needs no token: the audit log calls them `local`.
    async fn write_down(&self, letter: &Letter, verb: &str, result: &str) -> Result<(), BoxError> {
        let act = Act {
            at: now_ms(),
            by: "local".into(),
            via: "cli".into(),
            verb: verb.into(),
            room: Some(letter.room.replace('\0', "")),
            event: letter.id.as_ref().map(|id| id.replace('\0', "")),
            reason: self.reason.clone(),
            result: result.replace('\0', ""),
            details: Some(json!({ "letter": letter.number.to_string() }).to_string()),
            ..Act::default()
        };
        Ok(self.store.audit(&[act]).await?)
    }

    /// What is settled leaves the topic. Where the brokers do not allow that, it only is not listed.
    async fn tidy(&self) -> Result<Option<String>, BoxError> {
        self.store.close().await;
        let waiting = waiting(&self.kafka).await?;
        Ok(dead_letters::remove_settled(&self.kafka, &waiting).await.err().map(|error| causes(&error)))
    }
}

/// Stores one record: what came of it, or why it still cannot be stored.
async fn store(store: &Store, value: &[u8]) -> Result<Result<&'static str, String>, BoxError> {
    let record = match Record::from_json(value) {
        Ok(record) => record,
        Err(error) => return Ok(Err(error.to_string())),
    };
    match store.apply(&[Entry::Record(Arc::new(record))], &[]).await {
        Ok(applied) if applied.copies > 0 => Ok(Ok("there already")),
        Ok(_) => Ok(Ok(Outcome::Stored.as_str())),
        Err(error @ StoreError::Unstorable { .. }) => Ok(Err(causes(&error))),
        Err(error) if error.blames_the_data() => Ok(Err(causes(&error))),
        Err(error) => Err(error.into()),
    }
}

fn list(letters: &[&Letter], limit: usize, json: bool, screen: &mut Screen<'_>) -> io::Result<Exit> {
    let shown = &letters[..limit.min(letters.len())];
    if json {
        let shown: Vec<_> = shown.iter().map(|letter| as_json(letter)).collect();
        screen.json(&json!({ "letters": shown, "waiting": letters.len() }))?;
        return Ok(Exit::Done);
    }
    if letters.is_empty() {
        writeln!(screen.out, "no dead letter waits")?;
    }
    for letter in shown {
        let (topic, partition, offset) = &letter.origin;
        let event = letter.id.as_ref().map(|id| format!(", event {}", quoted(id))).unwrap_or_default();
        let at = when(&json!(letter.at));
        writeln!(screen.out, "{}  {at}  room {}{event}", letter.number, quoted(&letter.room))?;
        writeln!(screen.out, "    {topic} partition {partition} offset {offset}, {} bytes", letter.bytes)?;
        writeln!(screen.out, "    {}", quoted(&letter.reason))?;
    }
    if shown.len() < letters.len() {
        writeln!(screen.err, "{} more wait: --limit shows more", letters.len() - shown.len())?;
    }
    Ok(Exit::Done)
}

fn tell(done: &Done, json: bool, screen: &mut Screen<'_>) -> io::Result<Exit> {
    let Done { told, left } = done;
    if let Some(left) = left {
        writeln!(screen.err, "warning: {left}; they are only not listed any more")?;
    }
    let exit = if told.iter().all(|told| told.became.is_ok()) { Exit::Done } else { Exit::Failed };
    if json {
        let one = |told: &Told| {
            let mut letter = as_json(&told.letter);
            letter["became"] = json!(told.became.as_ref().ok());
            letter["reason"] = json!(told.became.as_ref().err().unwrap_or(&told.letter.reason));
            letter
        };
        let letters: Vec<Value> = told.iter().map(one).collect();
        screen.json(&json!({ "letters": letters }))?;
        return Ok(exit);
    }
    if told.is_empty() {
        writeln!(screen.out, "no dead letter waits")?;
    }
    for Told { letter, became } in told {
        let room = quoted(&letter.room);
        match became {
            Ok(became) => writeln!(screen.out, "{}  room {room}: {became}", letter.number)?,
            Err(reason) => writeln!(screen.out, "{}  room {room}: still waits: {}", letter.number, quoted(reason))?,
        }
    }
    Ok(exit)
}

fn as_json(letter: &Letter) -> Value {
    let (topic, partition, offset) = &letter.origin;
    let number = |text: &str| text.parse::<i64>().ok();
    json!({
        "letter": letter.number.to_string(), "at": letter.at, "room": letter.room, "event": letter.id,
        "reason": letter.reason, "topic": topic, "partition": number(partition), "offset": number(offset),
        "bytes": letter.bytes,
    })
}
