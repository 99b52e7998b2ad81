//! The back-ends of a profile: opens timeline, journal and store, and ties them together, since they do not know one another.

mod data_folder;
mod journaled;

pub use data_folder::{DataFolder, Restored};

use crate::journal::{self, Journal, Kafka, Sqlite};
use crate::kv::{self, Kv};
use crate::private_file;
use crate::redis::{Dialer, SentinelOptions};
use crate::timeline::{
    self, BoxError, Commit, Memory, MemoryOptions, Past, Redis, RedisOptions, Relay, Timeline, WINDOW_BYTES_MAX,
    WaitsFor, WindowOf,
};
use confab_config::{Config, KafkaConfig, OnOutage, PostgresConfig, Profile, RedisConfig, Rooms as RoomRules};
use confab_protocol::{Cursor, Millis, Record, Room};
use confab_store::{KeyUse, PostgresOptions, Query, Store};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use journaled::Journaled;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use uuid::Uuid;

/// Why a back-end could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder for the embedded hub's files cannot be used.
    #[error("could not use the folder {path} (`data`)")]
    Data {
        /// Where.
        path: std::path::PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Another process uses the folder for the embedded hub's files.
    #[error("the folder {path} (`data`) is used by another hub: end that one, or give each a folder of its own")]
    InUse {
        /// Where.
        path: std::path::PathBuf,
    },
    /// A database is there already.
    #[error("the folder {path} (`data`) has a database: `--force` moves it aside and keeps it")]
    Occupied {
        /// Where.
        path: std::path::PathBuf,
    },
    /// A setting cannot be used.
    #[error("{0}")]
    Setting(String),
    /// The store cannot be opened.
    #[error("could not open the store")]
    Store(#[from] confab_store::Error),
    /// The timeline cannot be opened.
    #[error("could not open the timeline")]
    Timeline(#[from] crate::timeline::Error),
    /// The journal cannot be opened.
    #[error("could not open the journal")]
    Journal(#[from] journal::Error),
}

/// What an embedded hub writes down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeping {
    /// Every event, before anyone hears it.
    Everything,
    /// Nothing, and receipts mean nothing: what is left is measured (`examples/unjournaled.rs`).
    Nothing,
}

/// The three back-ends of a profile, and what is heard from the timeline.
pub struct Backends {
    /// Order, hot window, relay.
    pub timeline: Timeline,
    /// What the timeline relays to this hub.
    pub relay: mpsc::Receiver<Relay>,
    /// The durable truth.
    pub journal: Journal,
    /// The searchable past.
    pub store: Store,
    /// The embedded hub's folder, which is its own until this is closed.
    pub folder: Option<DataFolder>,
}

/// How long a hub that starts waits for the brokers to say how large a record may be.
const LIMITS_PATIENCE: Duration = Duration::from_secs(3);
/// How long after the last moment at which its own hub may journal it an event is journaled by another.
const SWEEP_MARGIN: Duration = Duration::from_secs(5);

/// Opens what the profile asks for; `waits_for` says meanwhile what is waited for.
///
/// # Errors
/// [`Error`].
pub async fn open(config: &Config, keeping: Keeping, waits_for: &WaitsFor) -> Result<Backends, Error> {
    match config.profile() {
        Profile::Embedded => embedded(config, keeping).await,
        Profile::Cluster => cluster(config, waits_for.clone()).await,
    }
}

/// Opens the store of the profile to read in it, also while a hub uses it; in the cluster it connects when it is first asked.
///
/// # Errors
/// [`Error`].
pub async fn store(config: &Config) -> Result<Store, Error> {
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

async fn embedded(config: &Config, keeping: Keeping) -> Result<Backends, Error> {
    let (folder, store) = DataFolder::open(&config.data).await?;
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
    Ok(Backends { timeline, relay, journal: Journal::Sqlite(sqlite), store, folder: Some(folder) })
}

async fn cluster(config: &Config, waits_for: WaitsFor) -> Result<Backends, Error> {
    let missing = |what: &str| Error::Setting(format!("the cluster profile needs `{what}`"));
    let redis = config.timeline.redis.as_ref().ok_or_else(|| missing("timeline.redis"))?;
    let kafka = &config.kafka().ok_or_else(|| missing("journal.kafka"))?;
    let store = store(config).await?;
    check_schema(&store).await?;
    let journal = Kafka::connect(kafka.clone())?;
    journal.learn_limits(LIMITS_PATIENCE).await;
    let hub_id = Uuid::now_v7().to_string();
    let options = RedisOptions {
        prefix: redis.prefix.clone(),
        buckets: redis.buckets,
        hub_lease: redis.hub_lease,
        dedupe_window: config.limits.dedupe_window,
        delivery_timeout: kafka.delivery_timeout,
        waits_for,
        sweep_margin: SWEEP_MARGIN + patience(kafka),
        window_of: window_of(config),
        ..reach(redis, &hub_id)?
    };
    let access = Arc::new(Journaled::new(journal.clone(), store.clone(), hub_id, kafka.events_topic()));
    let (timeline, relay) = Redis::connect(options, access).await?;
    Ok(Backends { timeline, relay, journal: Journal::Kafka(journal), store, folder: None })
}

/// Where plugins remember: in this process, or in Redis. Nobody waits for Redis here.
///
/// # Errors
/// [`Error::Setting`], [`Error::Timeline`].
pub fn kv(config: &Config) -> Result<Kv, Error> {
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

/// How much of a room is kept at hand, by the rules that the hub started with.
fn window_of(config: &Config) -> WindowOf {
    let rules = RoomRules::new(config);
    WindowOf::new(move |room| {
        let window = rules.settings(room.as_str()).hot_window;
        (window.events, window.age)
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
            let query = Query { since: None, reverse: true, limit: count, bytes: WINDOW_BYTES_MAX, stored_before: 0 };
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

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
}
