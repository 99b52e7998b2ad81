//! The world of a run in the cluster profile: who is in it, how it is started, and how all of it is made well again.

use super::brokers::{BROKERS, Brokers};
use super::redis::{MASTER, Trio};
use super::schedule::{HUBS_MAX, Shape, hub_name};
use super::words;
use crate::eventually;
use crate::gather::Services;
use crate::process::Running;
use crate::proxy::{Fault, Proxy};
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::sync::Arc;
use tokio::sync::Mutex;
use tokio::task::block_in_place;
use xtask::services::{Postgres, postgres};

/// What keys and topics begin with.
const PREFIX: &str = "chaos";
/// Into how many partitions and buckets rooms fall.
const PARTS: usize = 4;

/// PostgreSQL and the wire to it.
pub struct Database {
    /// The server.
    pub server: Postgres,
    /// The wire that hubs and consumers go through.
    pub wire: Arc<Proxy>,
}

/// Everybody. What a fault befalls is behind a lock of its own, so that faults on different parts do not wait for each other.
pub struct Cluster {
    /// The hubs.
    pub hubs: Vec<Mutex<Running>>,
    /// The consumers.
    pub consumers: Vec<Mutex<Running>>,
    /// Redis.
    pub redis: Mutex<Trio>,
    /// Kafka.
    pub kafka: Mutex<Brokers>,
    /// PostgreSQL.
    pub postgres: Mutex<Database>,
    /// The wires to each of these services, in this order, for faults that befall one of those who use them.
    pub wires: [Vec<Arc<Proxy>>; 3],
}

impl Cluster {
    /// Starts everybody and waits until they are ready.
    pub async fn start(folder: &Path, shape: &Shape) -> Result<Self> {
        let (redis, kafka, postgres) =
            tokio::try_join!(Trio::start(folder, shape.redis_keeps), Brokers::start(folder), database(folder))?;
        let mut hubs = Vec::new();
        for n in 0..shape.hubs {
            let settings = settings(&hub_name(n), &redis, &kafka, &postgres, shape)?;
            let text = |listen: &str, admin: &str| format!("listen = \"{listen}\"\nadmin = \"{admin}\"\n{settings}");
            hubs.push(Running::new(folder, &format!("hub-{n}"), "confab", text)?);
        }
        let mut consumers = Vec::new();
        for n in 0..shape.consumers {
            let settings = settings("consumer", &redis, &kafka, &postgres, shape)?;
            let text = |_: &str, admin: &str| format!("{settings}\n[consumer]\nadmin = \"{admin}\"\n");
            consumers.push(Running::new(folder, &format!("consumer-{n}"), "confab-consumer", text)?);
        }
        let (status, out, err) = block_in_place(|| hubs[0].verb(&["migrate"]))?;
        if !status.success() {
            bail!("confab migrate: {status}\n{out}{err}");
        }
        for program in consumers.iter_mut().chain(&mut hubs) {
            program.launch()?;
        }
        for program in consumers.iter_mut().chain(&mut hubs) {
            program.ready().await?;
        }
        Ok(Self {
            wires: [redis.wires(), kafka.wires(), vec![postgres.wire.clone()]],
            hubs: hubs.into_iter().map(Mutex::new).collect(),
            consumers: consumers.into_iter().map(Mutex::new).collect(),
            redis: Mutex::new(redis),
            kafka: Mutex::new(kafka),
            postgres: Mutex::new(postgres),
        })
    }

    /// Ends every fault, and waits until everybody is ready.
    pub async fn heal(&self) -> Result<()> {
        self.redis.lock().await.heal().await?;
        self.kafka.lock().await.heal()?;
        let mut postgres = self.postgres.lock().await;
        postgres.wire.set(Fault::None);
        (0..HUBS_MAX).for_each(|hub| postgres.wire.set_for(&hub_name(hub), Fault::None));
        if postgres.server.is_running()? {
            block_in_place(|| postgres.server.resume())?;
        } else {
            block_in_place(|| postgres.server.restart())?;
        }
        drop(postgres);
        for program in self.hubs.iter().chain(&self.consumers) {
            let mut program = program.lock().await;
            match program.pid() {
                Some(_) => program.pause(false)?,
                None => program.launch()?,
            }
        }
        for program in self.hubs.iter().chain(&self.consumers) {
            program.lock().await.ready().await?;
        }
        Ok(())
    }

    /// Where the services are, past the wires.
    pub async fn services(&self) -> Services {
        Services {
            redis: self.redis.lock().await.primary_url().await,
            kafka: self.kafka.lock().await.direct(),
            postgres: self.postgres.lock().await.server.address(),
            prefix: PREFIX.to_owned(),
        }
    }

    /// Ends hubs and consumers in order.
    pub async fn end(&self) -> Result<()> {
        for program in self.hubs.iter().chain(&self.consumers) {
            let mut program = program.lock().await;
            if program.pid().is_some() {
                let status = block_in_place(|| program.stop())?;
                if !status.success() {
                    bail!("a program ended with {status} when it was told to end");
                }
            }
        }
        Ok(())
    }
}

async fn database(folder: &Path) -> Result<Database> {
    let folder = folder.join("postgres");
    let start = move || Postgres::start(&folder, postgres::Options::for_tests());
    let server = tokio::task::spawn_blocking(start).await?.context("could not start PostgreSQL")?;
    let wire = Arc::new(Proxy::to(&format!("127.0.0.1:{}", server.port())).await?);
    (0..HUBS_MAX).for_each(|hub| wire.set_for(&hub_name(hub), Fault::None));
    eventually("PostgreSQL lets us in", async || server.serves().then_some(())).await;
    Ok(Database { server, wire })
}

/// What all hub.toml have in common, but for the name under which services know the program.
fn settings(name: &str, redis: &Trio, kafka: &Brokers, postgres: &Database, shape: &Shape) -> Result<String> {
    let brokers: Vec<String> = kafka.addresses().iter().map(|wire| format!("\"{wire}\"")).collect();
    // The consumer asks nothing of Redis that one of its own name would have to be let do.
    let user = if name.starts_with("hub-") { format!("{name}:none@") } else { String::new() };
    let on_outage = if shape.buffer { "buffer" } else { "refuse" };
    Ok(format!(
        "drain_timeout = \"10s\"\n[auth]\ninsecure = true\n[limits]\nsend_deadline = \"5s\"\n\
         [timeline.redis]\nurl = \"redis://{user}not-used.invalid\"\nprefix = \"{PREFIX}\"\nbuckets = {PARTS}\ntimeout = \"1s\"\n\
         hub_lease = \"2s\"\nsentinel = {{ master = \"{MASTER}\", nodes = [\"{}\"] }}\n\
         [journal.kafka]\nbrokers = [{}]\ntopic_prefix = \"{PREFIX}\"\npartitions = {PARTS}\nreplication = {BROKERS}\n\
         min_insync = 2\ndelivery_timeout = \"10s\"\non_outage = \"{on_outage}\"\n\
         outage_buffer = {{ time = \"15s\" }}\noptions = {{ \"client.id\" = \"{name}\" }}\n\
         [store.postgres]\nurl = \"postgres://postgres@{}/postgres?options=-c%20chaos.name={name}\"\ntimeout = \"2s\"\n\
         [[room]]\nmatch = [\"**\"]\nhot_window = {{ events = 300 }}\n{}",
        redis.sentinel_address(),
        brokers.join(", "),
        postgres.wire.address,
        words::chain(false)?,
    ))
}
