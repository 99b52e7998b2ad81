//! PostgreSQL away for a while under load, seen by stock clients: they notice nothing, and in the end everybody has heard
//! each message once, in order.
//!
//! `CONFAB_TEST_AWAY="CLIENTS ROOMS RATE SECONDS"` makes it as large as one likes; the seconds are how long it is away.

use anyhow::{Context, Result, ensure};
use confab_tests::world::{Cluster, Plan};
use confab_tests::{eventually, stock};
use serde_json::Value;
use std::time::Duration;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use xtask::services::{Postgres, postgres};

/// How long people talk before and after.
const AROUND: u64 = 3;

/// Who talks, and how long a service is away.
struct Size {
    clients: String,
    rooms: String,
    rate: String,
    away: u64,
}

impl Size {
    fn given() -> Result<Self> {
        let size = std::env::var("CONFAB_TEST_AWAY").unwrap_or_else(|_| "12 3 60 3".to_owned());
        let size: Vec<&str> = size.split(' ').collect();
        let [clients, rooms, rate, away] = size[..] else { anyhow::bail!("CONFAB_TEST_AWAY has four numbers") };
        Ok(Self { clients: clients.into(), rooms: rooms.into(), rate: rate.into(), away: away.parse()? })
    }

    /// People talk, each with at most four messages that have no receipt.
    fn talk(&self, cluster: &Cluster) -> JoinHandle<Result<String>> {
        let hubs: Vec<String> = cluster.hubs.iter().map(|hub| hub.listen.clone()).collect();
        let (seconds, patience) = ((self.away + 2 * AROUND).to_string(), (self.away + 60).to_string());
        let flags = ["--clients", &self.clients, "--rooms", &self.rooms, "--rate", &self.rate, "--seconds", &seconds];
        let more = ["--window", "4", "--patience", &patience];
        let flags: Vec<String> = flags.iter().chain(&more).map(|flag| (*flag).to_owned()).collect();
        tokio::spawn(async move {
            let (hubs, flags): (Vec<&str>, Vec<&str>) =
                (hubs.iter().map(String::as_str).collect(), flags.iter().map(String::as_str).collect());
            stock::node_with("rolling-restart.mjs", &hubs, &flags).await
        })
    }

    /// How long it is away, and a little less: what a latency shows of it.
    fn away(&self) -> (Duration, f64) {
        (Duration::from_secs(self.away), self.away as f64 * 800.0)
    }
}

/// Waits until people talk.
async fn talking(cluster: &Cluster) {
    eventually("people talk", async || {
        let delivered = cluster.hubs[0].metric("confab_delivered_events_total").await.ok()?;
        (delivered > 50.0).then_some(())
    })
    .await;
}

/// What the clients found.
async fn told(talking: JoinHandle<Result<String>>) -> Result<Value> {
    let said = talking.await??;
    let summary: Value = serde_json::from_str(said.lines().last().context("a summary")?)?;
    println!("{summary}");
    ensure!(summary["ok"] == true, "{summary}");
    Ok(summary)
}

fn number(summary: &Value, pointer: &str) -> Result<f64> {
    summary.pointer(pointer).and_then(Value::as_f64).with_context(|| format!("{pointer} in {summary}"))
}

/// Waits until each message is stored, once.
async fn stored(cluster: &Cluster, summary: &Value) -> Result<()> {
    let sent = number(summary, "/sent")? as usize;
    eventually("each is stored", async || cluster.messages().await.ok().filter(|rows| rows.len() >= sent).map(drop))
        .await;
    ensure!(cluster.messages().await?.len() == sent, "each is stored once");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn while_postgres_is_away_people_under_load_notice_nothing() -> Result<()> {
    let (size, folder) = (Size::given()?, TempDir::with_prefix("confab-postgres-")?);
    let data = folder.path().join("postgres");
    let started = tokio::task::spawn_blocking(move || Postgres::start(&data, postgres::Options::for_tests()));
    let mut postgres = started.await??;
    let cluster = Cluster::planned(Plan { postgres: Some(postgres.address()), ..Plan::default() }).await?;
    let people = size.talk(&cluster);
    talking(&cluster).await;
    postgres.pause()?;
    tokio::time::sleep(size.away().0).await; // an outage of this length is what is shown
    postgres.resume()?;
    let summary = told(people).await?;
    assert_eq!(number(&summary, "/comebacks")?, 0.0, "nobody lost a link: {summary}");
    assert!(number(&summary, "/receipt_ms/p99")? < size.away().1, "nobody waits for it: {summary}");
    stored(&cluster, &summary).await?;
    cluster.end().await?;
    postgres.stop()
}
