//! Opens timeline, journal and store, and introduces them: they do not know one another.

use super::{Error, Keeping};
use crate::journal::{self, Journal, Kafka, Sqlite};
use crate::kv::{self, Kv};
use crate::people::{Here, People};
use crate::private_file;
use crate::redis::{Dialer, SentinelOptions};
use crate::room::Rooms;
use crate::sanctions::{PutOut, Sanctions};
use crate::timeline::{
    self, BoxError, Commit, JournalAccess, Memory, MemoryOptions, Past, Redis, RedisOptions, Relay, Timeline, WaitsFor,
};
use confab_config::{Config, KafkaConfig, Limits, OnOutage, PostgresConfig, Profile, RedisConfig};
use confab_protocol::{Body, Close, Cursor, Millis, Record, Room};
use confab_store::{Change, KeyUse, PostgresOptions, Query, Revocation, Sanction, Store};
use futures_util::FutureExt;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use uuid::Uuid;

/// The three back-ends of a profile, and what is heard from the timeline.
pub(super) struct Parts {
    pub timeline: Timeline,
    pub relay: mpsc::Receiver<Relay>,
    pub journal: Journal,
    pub store: Store,
}

/// How long reading the journal's tail may take when a generation is opened.
const TAIL_DEADLINE: Duration = Duration::from_secs(600);
/// How long after the last moment at which its own hub may journal it an event is journaled by another.
const SWEEP_MARGIN: Duration = Duration::from_secs(5);
/// How long the start waits for the store to say who is muted or banned.
const SANCTIONS_DEADLINE: Duration = Duration::from_secs(5);
/// How many of the tail's keys may wait for the timeline to take them.
const TAIL_QUEUE: usize = 1024;

/// Opens what the profile asks for.
pub(super) async fn open(config: &Config, keeping: Keeping, waits_for: &WaitsFor) -> Result<Parts, Error> {
    match config.profile() {
        Profile::Embedded => embedded(config, keeping).await,
        Profile::Cluster => cluster(config, waits_for.clone()).await,
    }
}

/// Opens the store of the profile; in the cluster it connects when it is first asked.
pub(super) async fn store(config: &Config) -> Result<Store, Error> {
    match &config.store.postgres {
        Some(postgres) => Ok(Store::postgres(&postgres_options(postgres)?)?),
        None => Ok(Store::sqlite(&database(&config.data)?).await?),
    }
}

/// Where the embedded store's file is. What people said is in it, and in the files that SQLite makes beside it, which get
/// its permissions; those of an earlier hub may have wider ones.
fn database(data: &Path) -> Result<PathBuf, Error> {
    let failed = |source| Error::Data { path: data.to_owned(), source };
    private_file::folder(data).map_err(failed)?;
    let file = data.join("confab.db");
    private_file::open(&file).map_err(failed)?;
    for beside in ["confab.db-wal", "confab.db-shm", "confab.db-journal"] {
        private_file::tighten(&data.join(beside));
    }
    Ok(file)
}

fn postgres_options(postgres: &PostgresConfig) -> Result<PostgresOptions, Error> {
    let url = postgres.read_url().map_err(|error| Error::Setting(error.to_string()))?;
    Ok(PostgresOptions {
        url: url.expose().to_owned(),
        ca_file: postgres.ca_file.clone(),
        connections: postgres.connections,
        timeout: postgres.timeout,
    })
}

async fn embedded(config: &Config, keeping: Keeping) -> Result<Parts, Error> {
    let store = store(config).await?;
    store.migrate().await?;
    let sqlite = Sqlite::new(store.clone());
    let options = MemoryOptions {
        epoch: store.generation().await?,
        dedupe_window: config.limits.dedupe_window,
        window_events: config.limits.history_page.max(1000),
        ..MemoryOptions::default()
    };
    let commit: Arc<dyn Commit> = match keeping {
        Keeping::Everything => Arc::new(Committer(sqlite.clone())),
        Keeping::Nothing => Arc::new(Forgetful),
    };
    let (timeline, relay) = Memory::open(options, commit, Arc::new(Stored(store.clone())));
    Ok(Parts { timeline, relay, journal: Journal::Sqlite(sqlite), store })
}

async fn cluster(config: &Config, waits_for: WaitsFor) -> Result<Parts, Error> {
    let missing = |what: &str| Error::Setting(format!("the cluster profile needs `{what}`"));
    let redis = config.timeline.redis.as_ref().ok_or_else(|| missing("timeline.redis"))?;
    let kafka = config.journal.kafka.as_ref().ok_or_else(|| missing("journal.kafka"))?;
    let store = store(config).await?;
    check_schema(&store).await?;
    let journal = Kafka::connect(kafka.clone())?;
    let hub_id = Uuid::now_v7().to_string();
    let options = RedisOptions {
        prefix: redis.prefix.clone(),
        buckets: redis.buckets,
        hub_lease: redis.hub_lease,
        dedupe_window: config.limits.dedupe_window,
        delivery_timeout: kafka.delivery_timeout,
        waits_for,
        sweep_margin: SWEEP_MARGIN + patience(kafka),
        ..reach(redis, &hub_id)?
    };
    let access = Arc::new(Journaled { kafka: journal.clone(), hub_id });
    let (timeline, relay) = Redis::connect(options, access).await?;
    Ok(Parts { timeline, relay, journal: Journal::Kafka(journal), store })
}

/// Where plugins remember: in this process, or in Redis. Nobody waits for Redis here.
pub(super) fn kv(config: &Config) -> Result<Kv, Error> {
    let Some(redis) = &config.timeline.redis else { return Ok(Kv::default()) };
    let dialer = Dialer::new(&reach(redis, "plugins")?.servers()).map_err(timeline::Error::from)?;
    let dial = move || {
        let dialer = dialer.clone();
        async move { dialer.connect("kv").await.map_err(|error| error.to_string()) }.boxed()
    };
    Ok(Kv::Redis(kv::Redis::new(Arc::new(dial), &redis.prefix)))
}

/// How Redis is reached.
fn reach(redis: &RedisConfig, hub_id: &str) -> Result<RedisOptions, Error> {
    let url = redis.read_url().map_err(|error| Error::Setting(error.to_string()))?;
    let confab_config::SentinelConfig { master, nodes } = redis.sentinel.clone();
    Ok(RedisOptions {
        ca_file: redis.ca_file.clone(),
        sentinel: (!nodes.is_empty()).then_some(SentinelOptions { master, nodes }),
        cluster: redis.cluster.nodes.clone(),
        timeout: redis.timeout,
        ..RedisOptions::new(url.expose(), hub_id)
    })
}

/// How long a hub that lives goes on trying to journal what it has buffered: the sweep does not come before that.
fn patience(kafka: &KafkaConfig) -> Duration {
    match kafka.on_outage {
        OnOutage::Refuse => Duration::ZERO,
        OnOutage::Buffer => kafka.outage_buffer.time,
    }
}

/// A schema that is not ours is found at the start, if the store can be asked; if not, live chat does without it.
async fn check_schema(store: &Store) -> Result<(), Error> {
    match store.pending_migrations().await {
        Ok(pending) if pending.is_empty() => Ok(()),
        Ok(pending) => Err(Error::Setting(format!(
            "the store lacks {}: run `confab migrate`, then start the hub",
            pending.join(", ")
        ))),
        Err(confab_store::Error::Unavailable(error)) => {
            tracing::warn!(%error, "the store is unavailable, its schema was not checked");
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

/// Asks who is muted or banned before anyone may come, for as long as that may hold up the start; live chat does without
/// the store.
pub(super) async fn who_is_kept_out(sanctions: &Sanctions) {
    match tokio::time::timeout(SANCTIONS_DEADLINE, sanctions.look()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "could not ask who is muted or banned, trying again"),
        Err(_) => tracing::warn!("the store does not say who is muted or banned, trying again"),
    }
}

/// What somebody is told who is banned while they are here.
#[derive(serde::Serialize)]
struct BanOut<'a> {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    room: Option<&'a Room>,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Millis>,
    reason: &'a str,
}

/// Takes whoever is banned out of the room, or off the hub: from here on they hear nothing more there, whatever their
/// sessions are busy with; those leave as soon as they look up. Sessions of users whose tokens were revoked look at theirs.
pub(super) fn doorkeeper(people: Arc<People>, rooms: Arc<Rooms>) -> PutOut {
    Box::new(move |change| {
        let (Change::Sanction(Sanction { user, .. }) | Change::Revocation(Revocation { user, .. })) = change;
        let sessions = people.of(user);
        if sessions.is_empty() {
            return;
        }
        let Change::Sanction(Sanction { room, until, reason, .. }) = change else {
            return sessions.iter().for_each(|(_, here)| here.outbox.summon());
        };
        let room = room.as_ref();
        let message = Body::of(&BanOut { r#type: "ban", room, until: *until, reason });
        for (session, Here { outbox, dialect, .. }) in &sessions {
            if let Some(room) = room.and_then(|room| rooms.get(room)) {
                room.leave(*session);
            }
            outbox.push(dialect.message(&message));
            match room {
                Some(_) => outbox.summon(),
                None => outbox.close(Close::ForceDisconnect),
            }
        }
        let room = room.map(tracing::field::display);
        tracing::info!(room, %user, sessions = sessions.len(), "somebody who is banned was put out");
    })
}

/// The embedded timeline commits into the journal.
struct Committer(Sqlite);

impl Commit for Committer {
    fn commit(&self, records: Vec<Arc<Record>>) -> BoxFuture<'_, Result<(), Arc<journal::Error>>> {
        Box::pin(async move { self.0.append_all(&records).await.map_err(Arc::new) })
    }
}

/// Says that everything is committed, and keeps nothing.
struct Forgetful;

impl Commit for Forgetful {
    fn commit(&self, _: Vec<Arc<Record>>) -> BoxFuture<'_, Result<(), Arc<journal::Error>>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// The embedded timeline goes on where the store ends.
struct Stored(Store);

impl Past for Stored {
    fn top<'a>(&'a self, room: &'a Room) -> BoxFuture<'a, Result<Option<Cursor>, BoxError>> {
        Box::pin(async move { Ok(self.0.tops(room).await?) })
    }

    fn window<'a>(&'a self, room: &'a Room, count: usize) -> BoxFuture<'a, Result<Vec<Record>, BoxError>> {
        Box::pin(async move {
            let query = Query { since: None, reverse: true, limit: count };
            let mut records = self.0.page(room, query).await?.records;
            records.reverse();
            Ok(records)
        })
    }

    fn keys<'a>(&'a self, room: &'a Room, since: Millis) -> BoxFuture<'a, Result<Vec<KeyUse>, BoxError>> {
        Box::pin(async move {
            let used = self.0.recent_keys(Some(room), since).await?;
            Ok(used.into_iter().map(|(_, key)| key).collect())
        })
    }
}

/// The timeline in Redis opens its generations in the journal, refills from it, and sweeps into it.
struct Journaled {
    kafka: Kafka,
    hub_id: String,
}

impl JournalAccess for Journaled {
    fn open_generation(&self) -> BoxFuture<'_, Result<u64, BoxError>> {
        Box::pin(async move { Ok(self.kafka.open_generation(&self.hub_id).await?) })
    }

    fn newest_generation(&self) -> BoxFuture<'_, Result<u64, BoxError>> {
        Box::pin(async move { Ok(self.kafka.newest_generation().await?) })
    }

    fn tail(&self, since: Millis) -> BoxStream<'_, Result<(Room, KeyUse), BoxError>> {
        let (keys, read) = mpsc::channel(TAIL_QUEUE);
        let (kafka, last) = (self.kafka.clone(), keys.clone());
        tokio::spawn(async move {
            // Called on a thread that may block: a full queue holds up the reading, which is the bound.
            let each = move |record: Record| drop(keys.blocking_send(Ok(key_use(record))));
            if let Err(error) = kafka.tail(since, TAIL_DEADLINE, each).await {
                drop(last.send(Err(error.into())).await);
            }
        });
        futures_util::stream::unfold(read, |mut read| async move { read.recv().await.map(|next| (next, read)) }).boxed()
    }

    fn append<'a>(&'a self, record: &'a Record) -> BoxFuture<'a, Result<(), BoxError>> {
        Box::pin(async move { Ok(self.kafka.append(record).await?) })
    }
}

fn key_use(record: Record) -> (Room, KeyUse) {
    let Record { event, cursor, .. } = record;
    let key =
        KeyUse { sender: event.sender.user, key: event.key, id: event.id, cursor, digest: event.digest, at: event.at };
    (event.room, key)
}

/// The limits that decide how a chain checks what plugins say.
pub(super) fn checker(limits: &Limits) -> Arc<crate::plugin::Check> {
    let (depth, bytes_max) = (limits.json_depth, limits.body.bytes());
    Arc::new(move |body| {
        if body.as_str().len() > bytes_max {
            return Err(format!("it has more than {bytes_max} bytes"));
        }
        crate::publish::check_json(body, depth)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::Dialect;
    use crate::outbox::{Drained, Frame, Outbox};
    use crate::room::{Newcomer, Standing};
    use confab_protocol::UserId;
    use confab_store::Keeps;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    fn queued(outbox: &Outbox) -> Vec<String> {
        let mut frames = Vec::new();
        assert!(matches!(outbox.drain(&mut frames), Drained::Frames));
        let text = |frame| if let Frame::Text(text) = frame { text.to_string() } else { panic!("JSON is text") };
        frames.into_iter().map(text).collect()
    }

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[tokio::test]
    async fn other_users_cannot_read_what_an_embedded_hub_keeps_nor_what_an_earlier_one_left_open() {
        let place = tempfile::tempdir().unwrap();
        let data = place.path().join("confab-data");
        let config = Config { data: data.clone(), ..Config::default() };
        for _new_then_old in 0..2 {
            let store = store(&config).await.unwrap();
            store.migrate().await.unwrap();
            let files = ["confab.db", "confab.db-wal", "confab.db-shm"].map(|name| data.join(name));
            let modes = files.each_ref().map(|file| mode(file));
            assert_eq!((mode(&data), modes), (0o700, [0o600; 3]));
            store.close().await;
            // As hubs made them until now, with what one that died leaves beside the file.
            std::fs::set_permissions(&data, Permissions::from_mode(0o755)).unwrap();
            for file in &files {
                let file = std::fs::File::options().write(true).create(true).truncate(false).open(file).unwrap();
                file.set_permissions(Permissions::from_mode(0o644)).unwrap();
            }
        }
    }

    /// Whatever the session is busy with, such as a client that reads slowly: it is not asked.
    #[test]
    fn who_is_banned_hears_nothing_more_before_their_session_has_looked_up() {
        let (people, rooms) = (Arc::new(People::default()), Arc::new(Rooms::default()));
        let (ada, lobby, client) = (UserId::new("ada").unwrap(), Room::new("lobby").unwrap(), Uuid::nil());
        let (outbox, dialect) = (Arc::new(Outbox::new(10_000)), Dialect::NativeJson);
        let here = Here { client: "c".into(), outbox: outbox.clone(), dialect: dialect.clone() };
        assert!(people.came(&ada, 1, here, 1));
        let local = rooms.enter(&lobby);
        let place = Cursor::new(1, 0);
        let newcomer =
            Newcomer { session: 1, client, outbox: outbox.clone(), dialect, join_leave: false, given: false };
        let ticket = local.join(newcomer);
        local.begin_at(place);
        assert_eq!(local.go_live(1, ticket, place, None), Standing::Live);

        let put_out = doorkeeper(people, rooms);
        let (reason, by) = ("enough".to_owned(), "mia".to_owned());
        let ban = Sanction { keeps: Keeps::Out, room: Some(lobby), user: ada, until: Some(9), reason, by, at: 0 };
        put_out(&Change::Sanction(ban.clone()));
        assert!(!local.knows(1) && local.listeners() == 0);
        assert!(outbox.summoned() && !outbox.summoned());
        let told = queued(&outbox);
        let message = r#"{"type":"ban","room":"lobby","until":9,"reason":"enough"}"#;
        assert!(told.len() == 1 && told[0].contains(message), "{told:?}");

        put_out(&Change::Sanction(Sanction { room: None, until: None, ..ban }));
        outbox.push("anything".to_owned().into());
        assert!(queued(&outbox)[0].contains(r#"{"type":"ban","reason":"enough"}"#));
        assert!(matches!(outbox.drain(&mut Vec::new()), Drained::Close(Close::ForceDisconnect)));
    }
}
