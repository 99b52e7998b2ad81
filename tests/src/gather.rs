//! Gathers what is left at the end of a run, past our own programs where that is possible: timeline, journal, store.

use crate::chaos::history::History;
use crate::checker::Seen;
use crate::checker::faults::{Folded, Kept, ReadBack, Run, Window};
use crate::client::Client;
use crate::topic;
use anyhow::{Context, Result};
use confab_protocol::{Cursor, Record, Trail, VerdictName};
use redis::AsyncCommands;
use redis::streams::StreamRangeReply;
use serde_json::{Value, json};
use sqlx::{Connection, Row};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a page of history may be refused for now when everything has been well for a while.
const BEHIND: Duration = Duration::from_secs(30);

/// Where to look.
#[derive(Clone, Debug)]
pub struct Sources {
    /// Where hubs listen.
    pub hubs: Vec<String>,
    /// What a cluster stands on; `None` for an embedded hub.
    pub services: Option<Services>,
}

/// What a cluster stands on.
#[derive(Clone, Debug)]
pub struct Services {
    /// Redis, the primary.
    pub redis: String,
    /// Kafka's brokers.
    pub kafka: String,
    /// The database.
    pub postgres: String,
    /// What keys and topics begin with.
    pub prefix: String,
}

/// The rooms' last places, as a hub says.
async fn tops(sources: &Sources, rooms: &[String]) -> Result<BTreeMap<String, Cursor>> {
    let listen = sources.hubs.first().context("there is a hub")?;
    let client = Client::connect(listen, "chaos").await?;
    let mut tops = BTreeMap::new();
    for room in rooms {
        let answer = client.rpc("history", json!({"room": room, "limit": 0})).await?;
        let page = answer.map_err(|refusal| anyhow::anyhow!("the end of {room} was refused: {refusal}"))?;
        tops.insert(room.clone(), cursor(&page));
    }
    client.cut();
    Ok(tops)
}

/// Every room as this hub gives it, from either end. What it refuses is said, and missing.
async fn read_back(listen: &str, rooms: &[String]) -> Result<(ReadBack, Vec<String>)> {
    let client = Client::connect(listen, "reader").await?;
    let mut reader = Reader { client, listen, refused: Vec::new() };
    let mut read = ReadBack::default();
    for room in rooms {
        let events = reader.pages("history", json!({"room": room}), "since").await?;
        read.forwards.extend(events.iter().map(|event| of_event(room, event)));
        heard_again(&mut read, &events);
        let events = reader.pages("history", json!({"room": room, "reverse": true}), "since").await?;
        read.backwards.extend(events.iter().map(|event| of_event(room, event)));
        heard_again(&mut read, &events);
        let messages = reader.pages("messages", json!({"room": room}), "before").await?;
        read.messages.extend(messages.iter().map(|message| folded(room, message)));
    }
    reader.client.cut();
    Ok((read, reader.refused))
}

/// Takes down what these events say.
fn heard_again(read: &mut ReadBack, events: &[Value]) {
    for event in events {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        read.texts.entry(text(&event["id"])).or_default().insert(text(&event["body"]["text"]));
    }
}

fn folded(room: &str, message: &Value) -> Folded {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let deleted = message["deleted"] == true;
    Folded { room: room.to_owned(), id: text(&message["id"]), text: text(&message["body"]["text"]), deleted }
}

/// Reads pages of a hub.
struct Reader<'a> {
    client: Client,
    listen: &'a str,
    refused: Vec<String>,
}

impl Reader<'_> {
    /// Everything that this verb gives, page after page: `place` is the argument that says where the next one begins.
    async fn pages(&mut self, verb: &str, mut asked: Value, place: &str) -> Result<Vec<Value>> {
        let begun = Instant::now();
        let mut found = Vec::new();
        loop {
            match self.client.rpc(verb, asked.clone()).await? {
                Ok(mut page) => {
                    let list = if verb == "messages" { "messages" } else { "events" };
                    found.extend(page[list].as_array_mut().map(std::mem::take).into_iter().flatten());
                    match page.get("next").filter(|next| !next.is_null()) {
                        Some(next) => asked[place] = next.clone(),
                        None => return Ok(found),
                    }
                }
                Err(refusal) if refusal["temporary"] == true && begun.elapsed() < BEHIND => {
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
                Err(refusal) => {
                    self.refused.push(format!("{} refused {verb} {asked}: {refusal}", self.listen));
                    return Ok(found);
                }
            }
        }
    }
}

fn of_event(room: &str, event: &Value) -> Seen {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Seen {
        room: room.to_owned(),
        id: text(&event["id"]),
        cursor: cursor(event),
        sender: text(&event["sender"]["user"]),
        key: text(&event["key"]),
    }
}

fn cursor(value: &Value) -> Cursor {
    let epoch = value["epoch"].as_str().and_then(|epoch| epoch.parse().ok()).unwrap_or_default();
    Cursor { epoch, offset: value["offset"].as_u64().unwrap_or_default() }
}

/// What Redis holds.
struct Timeline {
    /// Its rooms.
    rooms: BTreeMap<String, Window>,
    /// Which events it holds as not journaled.
    pending: BTreeSet<String>,
}

/// Reads Redis. A room that nobody has spoken in since the last generation began is at its beginning.
async fn timeline(Services { redis, prefix, .. }: &Services) -> Result<Timeline> {
    let mut redis = redis::Client::open(redis.as_str())?.get_multiplexed_async_connection().await?;
    let mut pending = BTreeSet::new();
    for key in keys(&mut redis, prefix, "pending").await? {
        let entries: StreamRangeReply = redis.xrange_all(key).await?;
        for record in entries.ids.iter().filter_map(|entry| entry.get::<String>("record")) {
            let record: Value = serde_json::from_str(&record)?;
            pending.insert(record["id"].as_str().unwrap_or_default().to_owned());
        }
    }
    let mut rooms = BTreeMap::new();
    for key in keys(&mut redis, prefix, "room:*").await? {
        let (bucket, room) = key.split_once(":room:").context("a room's key names it")?;
        let generation: Option<u64> = redis.hget(format!("{bucket}:generation"), "generation").await?;
        let place: Vec<Option<u64>> = redis.hmget(&key, &["epoch", "offset"]).await?;
        let [Some(epoch), Some(offset)] = place[..] else { continue };
        let mut window = Window { top: Cursor::new(epoch, offset), events: Vec::new() };
        if generation.is_some_and(|generation| generation != epoch) {
            window.top = Cursor::new(generation.unwrap_or_default(), 0);
        } else {
            let entries: StreamRangeReply = redis.xrange_all(format!("{bucket}:window:{room}")).await?;
            for entry in entries.ids {
                let offset = entry.id.split('-').next().unwrap_or_default().parse()?;
                window.events.push((Cursor::new(epoch, offset), entry.get("id").unwrap_or_default()));
            }
        }
        rooms.insert(room.to_owned(), window);
    }
    Ok(Timeline { rooms, pending })
}

async fn keys(redis: &mut redis::aio::MultiplexedConnection, prefix: &str, what: &str) -> Result<Vec<String>> {
    Ok(redis::cmd("KEYS").arg(format!("{prefix}{{b*}}:{what}")).query_async(redis).await?)
}

/// Everything in the topic.
async fn journal(Services { kafka, prefix, .. }: &Services) -> Result<Vec<Kept>> {
    let (brokers, topic) = (kafka.clone(), format!("{prefix}-events"));
    let values = tokio::task::spawn_blocking(move || topic::values(&brokers, &topic)).await??;
    values.iter().map(|value| Ok(of_record(&Record::from_json(value)?))).collect()
}

fn of_record(Record { event, cursor, trail }: &Record) -> Kept {
    let seen = Seen {
        room: event.room.to_string(),
        id: event.id.to_string(),
        cursor: *cursor,
        sender: event.sender.user.to_string(),
        key: event.key.to_string(),
    };
    Kept { of: seen.id.clone(), seen, text: text_of(event.body.as_str()), judges: judges(trail), stands: true }
}

fn text_of(body: &str) -> String {
    let body: Value = serde_json::from_str(body).unwrap_or_default();
    body["text"].as_str().unwrap_or_default().to_owned()
}

/// The plugins that let it through.
fn judges(trail: &Trail) -> Vec<String> {
    let passed = |verdict| matches!(verdict, VerdictName::Accept | VerdictName::Replace);
    trail.steps.iter().filter(|step| passed(step.verdict) && !step.shadow).map(|step| step.plugin.clone()).collect()
}

/// The rows of `events` and of `messages`.
pub struct Rows {
    /// Of `events`.
    pub events: Vec<Kept>,
    /// Of `messages`.
    pub messages: Vec<Seen>,
}

/// How many rows PostgreSQL has of `events`.
async fn stored(services: &Services) -> Result<i64> {
    let mut postgres = sqlx::PgConnection::connect(&services.postgres).await?;
    Ok(sqlx::query_scalar("select count(*) from events").fetch_one(&mut postgres).await?)
}

/// Reads PostgreSQL.
async fn rows(services: &Services) -> Result<Rows> {
    let mut postgres = sqlx::PgConnection::connect(&services.postgres).await?;
    let events = "select room, epoch, seq, id::text as id, coalesce(duplicate_of, id)::text as whose, sender, key, body, \
                  trail, stands from events order by room, epoch, seq";
    let messages = "select room, epoch, seq, id::text as id, sender, key from messages where seq is not null";
    Ok(Rows {
        events: sqlx::query(events).fetch_all(&mut postgres).await?.iter().map(kept).collect::<Result<_>>()?,
        messages: sqlx::query(messages).fetch_all(&mut postgres).await?.iter().map(seen).collect::<Result<_>>()?,
    })
}

/// Reads the embedded hub's database.
pub async fn rows_of_file(database: &Path) -> Result<Rows> {
    let mut sqlite = sqlx::SqliteConnection::connect(&format!("sqlite://{}", database.display())).await?;
    let (id, whose) = (hyphenated("id"), hyphenated("coalesce(duplicate_of, id)"));
    let events = format!(
        "select room, epoch, seq, {id} as id, {whose} as whose, sender, key, body, trail, stands = 1 as stands from events \
         order by room, epoch, seq"
    );
    let messages = format!("select room, epoch, seq, {id} as id, sender, key from messages where seq is not null");
    let (events, messages) = (sqlx::query(sqlx::AssertSqlSafe(events)), sqlx::query(sqlx::AssertSqlSafe(messages)));
    Ok(Rows {
        events: events.fetch_all(&mut sqlite).await?.iter().map(kept).collect::<Result<_>>()?,
        messages: messages.fetch_all(&mut sqlite).await?.iter().map(seen).collect::<Result<_>>()?,
    })
}

/// An id as PostgreSQL writes it.
fn hyphenated(id: &str) -> String {
    let part = |from, length| format!("substr(hex({id}), {from}, {length})");
    let parts = [part(1, 8), part(9, 4), part(13, 4), part(17, 4), part(21, 12)];
    format!("lower({})", parts.join(" || '-' || "))
}

/// A row of `events`.
fn kept<'r, R>(row: &'r R) -> Result<Kept>
where
    R: Row,
    for<'a> &'a str: sqlx::ColumnIndex<R>,
    bool: sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>,
    i64: sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>,
    String: sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>,
    Option<String>: sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>,
{
    Ok(Kept {
        seen: seen(row)?,
        text: text_of(&row.try_get::<Option<String>, _>("body")?.unwrap_or_default()),
        judges: judges_of(row.try_get("trail")?),
        of: row.try_get("whose")?,
        stands: row.try_get("stands")?,
    })
}

/// What every row names.
fn seen<'r, R>(row: &'r R) -> Result<Seen>
where
    R: Row,
    for<'a> &'a str: sqlx::ColumnIndex<R>,
    i64: sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>,
    Option<String>: sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>,
{
    let text = |column: &str| row.try_get::<Option<String>, _>(column).map(Option::unwrap_or_default);
    let (epoch, seq): (i64, i64) = (row.try_get("epoch")?, row.try_get("seq")?);
    Ok(Seen {
        room: text("room")?,
        id: text("id")?,
        cursor: Cursor::new(epoch as u64, seq as u64),
        sender: text("sender")?,
        key: text("key")?,
    })
}

fn judges_of(trail: Option<String>) -> Vec<String> {
    trail.and_then(|trail| serde_json::from_str(&trail).ok()).map_or_else(Vec::new, |trail| judges(&trail))
}

/// Where everything stands.
pub async fn standing(sources: &Sources, rooms: &[String]) -> Result<Rest> {
    let tops = tops(sources, rooms).await?;
    let (stored, pending) = match &sources.services {
        Some(services) => (stored(services).await?, timeline(services).await?.pending),
        None => (0, BTreeSet::new()),
    };
    Ok(Rest { tops, stored, pending })
}

/// Takes into `run` where everything stood, what every hub gives to a reader, and what the services hold.
pub async fn evidence(run: &mut Run, rest: Rest, sources: &Sources, rooms: &[String], history: &History) -> Result<()> {
    run.timeline = rest.tops.into_iter().map(|(room, top)| (room, Window { top, events: Vec::new() })).collect();
    for (hub, listen) in sources.hubs.iter().enumerate() {
        let (read, refused) = read_back(listen, rooms).await?;
        refused.into_iter().for_each(|refusal| history.note(refusal));
        run.read_back.insert(format!("hub {hub}"), read);
    }
    if let Some(services) = &sources.services {
        let Timeline { rooms, pending } = timeline(services).await?;
        run.timeline.extend(rooms);
        run.pending = pending;
        run.journal = journal(services).await?;
        Rows { events: run.events, messages: run.messages } = rows(services).await?;
    }
    Ok(())
}

/// Where everything stood when it was looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rest {
    /// The rooms' last places.
    pub tops: BTreeMap<String, Cursor>,
    /// How many rows are stored.
    pub stored: i64,
    /// Which events wait to be journaled.
    pub pending: BTreeSet<String>,
}
