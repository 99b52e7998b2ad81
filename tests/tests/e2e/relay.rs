//! Connections between a hub and Redis that go deaf, break or slow down while people talk.

use anyhow::{Context, Result};
use confab_tests::client::Client;
use confab_tests::proxy::{Fault, Proxy};
use confab_tests::world::{Cluster, Plan, service};
use confab_tests::{eventually, say_many};

/// A cluster whose second hub reaches Redis over a wire.
async fn wired() -> Result<(Cluster, Proxy)> {
    let redis = service("CONFAB_TEST_REDIS")?;
    let proxy = Proxy::to(redis.strip_prefix("redis://").context("an address")?).await?;
    proxy.set_for("SSUBSCRIBE", Fault::None);
    let redis_of = vec![(1, format!("redis://{}", proxy.address))];
    Ok((Cluster::planned(Plan { redis_of, ..Plan::default() }).await?, proxy))
}

async fn hears(client: &mut Client, offsets: std::ops::RangeInclusive<u64>) -> Result<()> {
    for offset in offsets {
        assert_eq!(client.publication().await?["pub"]["offset"], offset);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_whose_relay_goes_deaf_notices_and_gives_its_listeners_what_they_missed() -> Result<()> {
    let (cluster, proxy) = wired().await?;
    let ada = Client::connect(&cluster.hubs[0].listen, "ada").await?;
    let mut bob = Client::connect(&cluster.hubs[1].listen, "bob").await?;
    for room in ["lobby", "silent", "other"] {
        bob.subscribe(room, None).await?.unwrap();
    }
    say_many(&ada, "lobby", 1..=3).await?;
    hears(&mut bob, 1..=3).await?;

    proxy.set_for("SSUBSCRIBE", Fault::BlackHole);
    say_many(&ada, "lobby", 4..=8).await?;
    eventually("the metric shows it", async || {
        cluster.hubs[1].metric("confab_relay_stale_seconds").await.ok().filter(|stale| *stale > 1.5).map(drop)
    })
    .await;
    // The hub gives the deaf connection up; only then may the wire hear again.
    eventually("the hub notices", async || cluster.hubs[1].said().contains("the connection is deaf").then_some(()))
        .await;
    proxy.set_for("SSUBSCRIBE", Fault::None);
    hears(&mut bob, 4..=8).await?;
    say_many(&ada, "lobby", 9..=10).await?;
    hears(&mut bob, 9..=10).await?;
    assert_eq!(cluster.hubs[1].metric("confab_rooms_started_over_total").await?, 0.0);
    assert!(cluster.hubs[1].metric("confab_gaps_repaired_total").await? >= 1.0);
    assert!(cluster.hubs[1].metric("confab_relay_stale_seconds").await? < 2.9);
    cluster.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_to_redis_that_breaks_again_and_again_costs_no_listener_a_message() -> Result<()> {
    let (cluster, proxy) = wired().await?;
    let ada = Client::connect(&cluster.hubs[0].listen, "ada").await?;
    let mut bob = Client::connect(&cluster.hubs[1].listen, "bob").await?;
    bob.subscribe("lobby", None).await?.unwrap();
    for round in 0..5 {
        let said = say_many(&ada, "lobby", round * 40 + 1..=round * 40 + 40);
        let cut = async { bob.publication().await.inspect(|_| proxy.cut_once()) };
        let (said, first) = tokio::join!(said, cut);
        said?;
        assert_eq!(first?["pub"]["offset"], round * 40 + 1);
        hears(&mut bob, round * 40 + 2..=round * 40 + 40).await?;
    }
    cluster.end().await
}
