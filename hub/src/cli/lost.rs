//! `confab lost`: rooms whose deep history stops at a place that has no record, and what to do where none will come.

use super::remote::when;
use super::run::causes;
use super::{Exit, Screen, SettingsArgs};
use crate::backends;
use crate::clock::now_ms;
use clap::Subcommand;
use confab_config::{Config, Profile};
use confab_protocol::{Cursor, Room};
use confab_store::{Act, Stopped, Store};
use serde_json::json;
use std::io;
use std::time::Duration;

type BoxError = Box<dyn std::error::Error + Send + Sync>;
/// The first and last place of each stretch that was closed, and where the room stops now.
type Closed = (Vec<(Cursor, Cursor)>, Option<Stopped>);

/// Look after places whose record never came.
#[derive(Clone, Debug, Subcommand)]
pub enum LostCommand {
    /// List the rooms whose history stops at a place that the store has no record of, though it has later ones, and since when. Most
    /// go on by themselves within seconds.
    List {
        /// The most rooms to list.
        #[arg(long, default_value_t = 50)]
        limit: usize,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Close the missing places of a room, where their records can never come: Kafka does not have them any more. Readers pass
    /// them then. Should one come after all, it is stored and served at its place, but whoever has read past it does not hear of it.
    Close {
        /// The room.
        #[arg(value_parser = room)]
        room: Room,
        /// Only places behind which the next event was said so long ago.
        #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = confab_config::human::duration::parse)]
        older_than: Duration,
        /// Why; kept in the audit log.
        #[arg(long)]
        reason: Option<String>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

fn room(text: &str) -> Result<Room, String> {
    Room::new(text).map_err(|error| error.to_string())
}

/// `confab lost`.
pub fn run(settings: &SettingsArgs, command: &LostCommand, screen: &mut Screen<'_>) -> io::Result<Exit> {
    let config = match settings.load(Vec::new()) {
        Ok(loaded) => loaded.config,
        Err(errors) => return screen.findings(&errors).map(|()| Exit::Configuration),
    };
    if config.profile() == Profile::Embedded {
        writeln!(
            screen.err,
            "error: these settings are an embedded hub's, which misses no place: it writes each down before it gives out the next"
        )?;
        return Ok(Exit::Configuration);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let done = runtime.block_on(async {
        match command {
            LostCommand::List { limit, json } => {
                let store = open(&config).await?;
                let stopped = store.stopped(limit.saturating_add(1)).await?;
                store.close().await;
                Ok(list(stopped, *limit, *json, screen))
            }
            LostCommand::Close { room, older_than, reason, json } => {
                let closed = close(&config, room, *older_than, reason.clone()).await?;
                Ok(tell(room, &closed, *json, screen))
            }
        }
    });
    match done {
        Ok(told) => told,
        Err(error) => {
            let error: BoxError = error;
            writeln!(screen.err, "error: {}", causes(error.as_ref()))?;
            Ok(Exit::Unreachable)
        }
    }
}

async fn open(config: &Config) -> Result<Store, BoxError> {
    let store = backends::store(config).await?;
    let due = store.pending_migrations().await?;
    if due.is_empty() {
        return Ok(store);
    }
    Err(format!("the store lacks {}: run `confab migrate` first", due.join(", ")).into())
}

/// Who is on this machine and may read hub.toml needs no token: the audit log calls them `local`.
async fn close(config: &Config, room: &Room, older_than: Duration, reason: Option<String>) -> Result<Closed, BoxError> {
    let store = open(config).await?;
    let now = now_ms();
    let older_than = u64::try_from(older_than.as_millis()).unwrap_or(u64::MAX);
    // What was said in this very millisecond, too.
    let before = now.saturating_add(1).saturating_sub(older_than);
    let closed = store.close_missing(room, before).await?;
    if !closed.is_empty() {
        let act = Act {
            at: now,
            by: "local".into(),
            via: "cli".into(),
            verb: "close_lost".into(),
            room: Some(room.to_string()),
            reason,
            result: "ok".into(),
            details: Some(json!({ "places": stretches(&closed) }).to_string()),
            ..Act::default()
        };
        store.audit(&[act]).await?;
    }
    let left = store.stopped_in(room).await?;
    store.close().await;
    Ok((closed, left))
}

fn stretches(closed: &[(Cursor, Cursor)]) -> Vec<serde_json::Value> {
    let one = |(first, last): &(Cursor, Cursor)| json!({ "epoch": first.epoch.to_string(), "first": first.offset, "last": last.offset });
    closed.iter().map(one).collect()
}

fn as_json(stopped: &Stopped) -> serde_json::Value {
    json!({
        "room": stopped.room.as_str(), "epoch": stopped.first.epoch.to_string(), "first": stopped.first.offset,
        "last": stopped.last.offset, "top": stopped.top.offset, "since": stopped.since,
    })
}

fn list(mut stopped: Vec<Stopped>, limit: usize, json: bool, screen: &mut Screen<'_>) -> io::Result<Exit> {
    let more = stopped.len() > limit;
    stopped.truncate(limit);
    if json {
        let rooms: Vec<_> = stopped.iter().map(as_json).collect();
        screen.json(&json!({ "rooms": rooms, "more": more }))?;
        return Ok(Exit::Done);
    }
    if stopped.is_empty() {
        writeln!(screen.out, "no room misses a place")?;
    }
    for room in &stopped {
        says(room, screen)?;
    }
    if more {
        writeln!(screen.err, "there are more: --limit shows them")?;
    }
    Ok(Exit::Done)
}

fn says(stopped: &Stopped, screen: &mut Screen<'_>) -> io::Result<()> {
    let since = stopped.since.map(|at| format!(", since {}", when(&json!(at)))).unwrap_or_default();
    let Stopped { room, first, last, top, .. } = stopped;
    let places = if first == last {
        format!("offset {}", first.offset)
    } else {
        format!("offsets {} to {}", first.offset, last.offset)
    };
    writeln!(screen.out, "{room}  epoch {} misses {places}{since}; the last stored is {}", first.epoch, top.offset)
}

fn tell(room: &Room, (closed, left): &Closed, json: bool, screen: &mut Screen<'_>) -> io::Result<Exit> {
    if json {
        screen.json(&json!({ "closed": stretches(closed), "left": left.as_ref().map(as_json) }))?;
        return Ok(Exit::Done);
    }
    if closed.is_empty() {
        writeln!(screen.out, "{room}: nothing was closed")?;
    }
    for (first, last) in closed {
        writeln!(screen.out, "{room}  epoch {}: closed offsets {} to {}", first.epoch, first.offset, last.offset)?;
    }
    match left {
        Some(left) => {
            says(left, screen)?;
            writeln!(screen.err, "hint: it is younger than --older-than; its record may still come")?;
        }
        None => writeln!(screen.out, "{room} misses no place")?,
    }
    Ok(Exit::Done)
}
