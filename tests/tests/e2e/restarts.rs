//! Hubs that are restarted while people talk, and hubs that wait for a service.

use crate::faults::own_redis;
use anyhow::{Context, Result};
use confab_tests::process::get;
use confab_tests::world::{Cluster, Plan};
use confab_tests::{eventually, stock};
use serde_json::Value;
use tempfile::TempDir;

/// `CONFAB_TEST_ROLLING="CLIENTS ROOMS RATE SECONDS"` makes it as large as one likes.
const SIZE: &str = "CONFAB_TEST_ROLLING";

#[tokio::test(flavor = "multi_thread")]
async fn three_hubs_restarted_one_by_one_under_load_lose_and_double_nothing() -> Result<()> {
    let size = std::env::var(SIZE).unwrap_or_else(|_| "30 3 100 20".to_owned());
    let size: Vec<&str> = size.split(' ').collect();
    let [clients, rooms, rate, seconds] = size[..] else { anyhow::bail!("{SIZE} has four numbers") };
    let mut cluster = Cluster::planned(Plan { hubs: 3, ..Plan::default() }).await?;
    let hubs: Vec<String> = cluster.hubs.iter().map(|hub| hub.listen.clone()).collect();
    let flags = ["--clients", clients, "--rooms", rooms, "--rate", rate, "--seconds", seconds];
    let flags: Vec<String> = flags.iter().map(|flag| (*flag).to_owned()).collect();
    let talking = tokio::spawn(async move {
        let (hubs, flags): (Vec<&str>, Vec<&str>) =
            (hubs.iter().map(String::as_str).collect(), flags.iter().map(String::as_str).collect());
        stock::node_with("rolling-restart.mjs", &hubs, &flags).await
    });
    eventually("people talk", async || {
        let mut sessions = 0.0;
        for hub in &cluster.hubs {
            sessions += hub.metric("confab_delivered_events_total").await.ok()?;
        }
        (sessions > 100.0).then_some(())
    })
    .await;
    for hub in &mut cluster.hubs {
        assert!(hub.stop()?.success(), "a drained hub exits with 0:\n{}", hub.said());
        hub.start().await?;
    }
    let said = talking.await??;
    let summary: Value = serde_json::from_str(said.lines().last().context("a summary")?)?;
    println!("{summary}");
    assert!(summary["comebacks"].as_u64() > Some(10), "hubs were restarted under them: {summary}");
    cluster.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_waits_for_redis_says_so_and_is_not_ready_when_redis_goes() -> Result<()> {
    let folder = TempDir::with_prefix("confab-redis-")?;
    let mut redis = own_redis(&folder).await?;
    let mut cluster = Cluster::planned(Plan { redis: Some(redis.address()), hubs: 1, ..Plan::default() }).await?;
    let url = |cluster: &Cluster, page: &str| format!("http://{}/{page}", cluster.hubs[0].admin);
    redis.kill()?;
    eventually("it is not ready without Redis", async || {
        let (status, why) = get(&url(&cluster, "readyz")).await.ok()?;
        (status == 503 && why.contains("timeline")).then_some(())
    })
    .await;
    cluster.hubs[0].kill()?;
    cluster.hubs[0].launch()?;
    eventually("it says what it waits for", async || {
        let (status, why) = get(&url(&cluster, "readyz")).await.ok()?;
        (status == 503 && why.starts_with("starting: could not reach the timeline")).then_some(())
    })
    .await;
    assert_eq!(get(&url(&cluster, "healthz")).await?.0, 200);
    assert_eq!(cluster.hubs[0].admin_api().get("/metrics").await?.0, 503);
    redis.restart_empty()?;
    cluster.hubs[0].ready().await?;
    assert_eq!(cluster.hubs[0].admin_api().get("/metrics").await?.0, 200);
    cluster.end().await?;
    redis.kill().map(drop)
}
