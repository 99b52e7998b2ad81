//! A world of a test's own: hubs, a consumer, and its share of the real services.

use crate::checker::Seen;
use crate::gather::{Services, Sources};
use crate::process::Running;
use anyhow::{Context, Result, bail};
use confab_protocol::Cursor;
use sqlx::{Connection, PgConnection, Row};
use std::path::PathBuf;
use tempfile::TempDir;

/// Where the shared services are, as `cargo xtask test` says.
pub fn service(variable: &str) -> Result<String> {
    std::env::var(variable)
        .with_context(|| format!("{variable} is not set: run `cargo xtask test`, which starts the services"))
}

/// What a cluster is made of.
pub struct Plan {
    /// How many hubs.
    pub hubs: usize,
    /// More of `[auth]`.
    pub auth: String,
    /// More of hub.toml, after the services.
    pub more: String,
    /// Its own Redis and Kafka, by address, instead of the shared ones.
    pub redis: Option<String>,
    /// See `redis`.
    pub kafka: Option<String>,
    /// Other addresses of Redis for single hubs, such as a wire's.
    pub redis_of: Vec<(usize, String)>,
    /// A PostgreSQL of its own, with its database.
    pub postgres: Option<String>,
    /// Other addresses (`host:port`) of PostgreSQL for single hubs, such as a wire's.
    pub postgres_of: Vec<(usize, String)>,
    /// `journal.kafka.delivery_timeout`.
    pub delivery_timeout: &'static str,
    /// More of `[timeline.redis]`.
    pub timeline: String,
    /// More of `[journal.kafka]`.
    pub journal: String,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            hubs: 2,
            auth: String::new(),
            more: String::new(),
            redis: None,
            kafka: None,
            redis_of: Vec::new(),
            postgres: None,
            postgres_of: Vec::new(),
            delivery_timeout: "30s",
            timeline: String::new(),
            journal: String::new(),
        }
    }
}

/// The `host:port` of an address of PostgreSQL.
pub fn authority(address: &str) -> String {
    let (_, behind) = address.rsplit_once('@').unwrap_or(("", address));
    behind.split('/').next().unwrap_or(behind).to_owned()
}

/// A cluster: Redis, Kafka and PostgreSQL with names of its own in them, hubs, and a consumer.
pub struct Cluster {
    /// The hubs, all ready.
    pub hubs: Vec<Running>,
    /// The consumer, running.
    pub consumer: Running,
    /// What every key and topic begins with.
    pub prefix: String,
    /// Where Redis is.
    pub redis: String,
    /// Where Kafka is.
    pub kafka: String,
    /// The test's database.
    pub postgres: String,
    admin: String,
    /// The test's folder.
    pub folder: TempDir,
}

impl Cluster {
    /// Starts a cluster of two hubs with `more` in their hub.toml.
    pub async fn start(more: &str) -> Result<Self> {
        Self::planned(Plan { more: more.to_owned(), ..Plan::default() }).await
    }

    /// Starts a cluster as planned.
    pub async fn planned(plan: Plan) -> Result<Self> {
        let prefix = format!("t{}", &uuid::Uuid::now_v7().simple().to_string()[18..30]);
        let redis = plan.redis.map_or_else(|| service("CONFAB_TEST_REDIS"), Ok)?;
        let kafka = plan.kafka.map_or_else(|| service("CONFAB_TEST_KAFKA"), Ok)?;
        let admin = plan.postgres.map_or_else(|| service("CONFAB_TEST_POSTGRES"), Ok)?;
        let mut connection = PgConnection::connect(&admin).await?;
        sqlx::raw_sql(sqlx::AssertSqlSafe(format!("create database {prefix}"))).execute(&mut connection).await?;
        let (base, _) = admin.rsplit_once('/').context("the address of PostgreSQL names a database")?;
        let postgres = format!("{base}/{prefix}");
        let folder = TempDir::with_prefix("confab-")?;
        let text = |redis: &str, postgres: &str, listen: &str, admin: &str| {
            format!(
                "listen = \"{listen}\"\nadmin = \"{admin}\"\n{ROOT}\n[auth]\ninsecure = true\n{}\n\
                 [timeline.redis]\nurl = \"{redis}\"\nprefix = \"{prefix}\"\nbuckets = 8\ntimeout = \"1s\"\nhub_lease = \"2s\"\n{}\n\
                 [journal.kafka]\nbrokers = [\"{kafka}\"]\ntopic_prefix = \"{prefix}\"\npartitions = 4\nreplication = 1\n\
                 delivery_timeout = \"{}\"\n{}\n[store.postgres]\nurl = \"{postgres}\"\ntimeout = \"2s\"\n[consumer]\nadmin = \"{admin}\"\n{}",
                plan.auth, plan.timeline, plan.delivery_timeout, plan.journal, plan.more
            )
        };
        let mut hubs = Vec::new();
        for n in 0..plan.hubs {
            let own = plan.redis_of.iter().find(|(hub, _)| *hub == n).map_or(&redis, |(_, address)| address);
            let store = match plan.postgres_of.iter().find(|(hub, _)| *hub == n) {
                Some((_, address)) => postgres.replace(&authority(&postgres), address),
                None => postgres.clone(),
            };
            let free = |listen: &str, admin: &str| {
                let written = text(own, &store, listen, admin);
                written.replace(&format!("[consumer]\nadmin = \"{admin}\"\n"), "")
            };
            hubs.push(Running::new(folder.path(), &format!("hub-{n}"), "confab", free)?);
        }
        let consumer = Running::new(folder.path(), "consumer", "confab-consumer", |listen, admin| {
            text(&redis, &postgres, listen, admin).replacen(&format!("admin = \"{admin}\"\n"), "", 1)
        })?;
        let mut cluster = Self { hubs, consumer, prefix, redis, kafka, postgres, admin, folder };
        let (status, out, err) = cluster.hubs[0].verb(&["migrate"])?;
        if !status.success() {
            bail!("confab migrate: {status}\n{out}{err}");
        }
        cluster.consumer.launch()?;
        for hub in &mut cluster.hubs {
            hub.launch()?;
        }
        cluster.consumer.ready().await?;
        for hub in &mut cluster.hubs {
            hub.ready().await?;
        }
        Ok(cluster)
    }

    /// Where everything can be looked at.
    pub fn sources(&self) -> Sources {
        let services = Services {
            redis: self.redis.clone(),
            kafka: self.kafka.clone(),
            postgres: self.postgres.clone(),
            prefix: self.prefix.clone(),
        };
        Sources { hubs: self.hubs.iter().map(|hub| hub.listen.clone()).collect(), services: Some(services) }
    }

    /// Asks PostgreSQL.
    pub async fn sql(&self) -> Result<PgConnection> {
        Ok(PgConnection::connect(&self.postgres).await?)
    }

    /// The rows of `events` (without `messages`' columns) in the order of their places.
    pub async fn events(&self) -> Result<Vec<Seen>> {
        self.seen("select room, epoch, seq, id::text as id, sender, key from events order by room, epoch, seq").await
    }

    /// The rows of `messages`.
    pub async fn messages(&self) -> Result<Vec<Seen>> {
        self.seen("select room, epoch, seq, id::text as id, sender, key from messages where seq is not null order by room, epoch, seq").await
    }

    async fn seen(&self, query: &'static str) -> Result<Vec<Seen>> {
        let rows = sqlx::query(query).fetch_all(&mut self.sql().await?).await?;
        rows.iter()
            .map(|row| {
                let (epoch, seq): (i64, i64) = (row.try_get("epoch")?, row.try_get("seq")?);
                let cursor = Cursor::new(epoch as u64, seq as u64);
                let [room, id, sender, key] =
                    ["room", "id", "sender", "key"].map(|column| row.try_get::<String, _>(column));
                Ok(Seen { room: room?, id: id?, cursor, sender: sender?, key: key? })
            })
            .collect()
    }

    /// Runs a command of Redis.
    pub async fn redis(&self, command: &[&str]) -> Result<redis::Value> {
        let mut connection = redis::Client::open(self.redis.as_str())?.get_multiplexed_async_connection().await?;
        let (name, arguments) = command.split_first().context("a command has a name")?;
        Ok(redis::cmd(name).arg(arguments).query_async(&mut connection).await?)
    }

    /// The keys of Redis that hold rooms' hot windows.
    pub async fn keys(&self, pattern: &str) -> Result<Vec<String>> {
        let mut connection = redis::Client::open(self.redis.as_str())?.get_multiplexed_async_connection().await?;
        Ok(redis::cmd("KEYS").arg(format!("{}*{pattern}*", self.prefix)).query_async(&mut connection).await?)
    }

    /// Ends everything in order and drops the database.
    pub async fn end(mut self) -> Result<()> {
        for hub in &mut self.hubs {
            if hub.pid().is_some() {
                let status = hub.stop()?;
                if !status.success() {
                    bail!("a hub ended with {status}:\n{}", hub.said());
                }
            }
        }
        if self.consumer.pid().is_some() {
            let status = self.consumer.stop()?;
            if !status.success() {
                bail!("the consumer ended with {status}:\n{}", self.consumer.said());
            }
        }
        let mut connection = PgConnection::connect(&self.admin).await?;
        let drop = format!("drop database {} with (force)", self.prefix);
        sqlx::raw_sql(sqlx::AssertSqlSafe(drop)).execute(&mut connection).await?;
        Ok(())
    }
}

/// The limits of users, out of the way: for tests in which one user stands for a crowd.
pub const UNLIMITED: &str = "\n[limits]\nuser_sessions = 1000000\nuser_commands_per_second = 10000000\n\
    user_commands_burst = 10000000\nuser_new_rooms_per_minute = 10000000\nuser_new_rooms_burst = 10000000\n";

/// Settings of every hub of a test, before the first table.
const ROOT: &str = "drain_timeout = \"20s\"";

/// An embedded hub.
pub struct Embedded {
    /// The hub, ready.
    pub hub: Running,
    /// The test's folder.
    pub folder: TempDir,
}

impl Embedded {
    /// Starts one, with `more` at the end of its hub.toml.
    pub async fn start(more: &str) -> Result<Self> {
        let mut embedded = Self::prepared(more)?;
        embedded.hub.start().await?;
        Ok(embedded)
    }

    /// Prepares one and does not start it.
    pub fn prepared(more: &str) -> Result<Self> {
        let folder = TempDir::with_prefix("confab-")?;
        let data = folder.path().join("data");
        let hub = Running::new(folder.path(), "hub", "confab", |listen, admin| {
            format!(
                "listen = \"{listen}\"\nadmin = \"{admin}\"\ndata = \"{}\"\n{ROOT}\n[auth]\ninsecure = true\n{more}",
                data.display()
            )
        })?;
        Ok(Self { hub, folder })
    }
}

/// A plugin's component, built by `cargo xtask test`.
pub fn component(name: &str) -> Result<PathBuf> {
    Ok(PathBuf::from(service("CONFAB_TEST_PLUGINS")?).join(format!("{name}.wasm")))
}

/// A `[plugin.NAME]` table for hub.toml, from a built component, with more settings after it.
pub fn plugin(name: &str, module: &str, more: &str) -> Result<String> {
    let log = if module == "misbehave" { "capabilities = { log = true }\n" } else { "" };
    Ok(format!("\n[plugin.{name}]\nmodule = \"{}\"\n{log}{more}\n", component(module)?.display()))
}
