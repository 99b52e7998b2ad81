//! Services that were lost for good, and made anew beside those that were not.

use anyhow::Result;
use confab_tests::client::Client;
use confab_tests::eventually;
use confab_tests::process::Running;
use confab_tests::world::{Cluster, Plan};
use serde_json::json;

/// Gives a program other names in Kafka and Redis, as if both were new; its database stays.
fn made_anew(program: &Running, prefix: &str) -> Result<()> {
    let text = std::fs::read_to_string(program.config())?;
    let (before, after) = (format!("prefix = \"{prefix}\""), format!("prefix = \"{prefix}n\""));
    Ok(std::fs::write(program.config(), text.replace(&before, &after))?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_kafka_and_redis_beside_the_old_postgres_go_on_above_every_place_it_knows() -> Result<()> {
    let mut cluster = Cluster::planned(Plan { hubs: 1, ..Plan::default() }).await?;
    let ada = Client::connect(&cluster.hubs[0].listen, "ada").await?;
    let mut before = Vec::new();
    for n in 1..=3 {
        before.push(ada.say("lobby", &format!("old {n}"), "said before").await?.unwrap());
    }
    eventually("all are stored", async || cluster.events().await.ok().filter(|rows| rows.len() == 3)).await;
    tokio::task::block_in_place(|| cluster.hubs[0].stop())?;
    tokio::task::block_in_place(|| cluster.consumer.stop())?;
    for program in [&cluster.hubs[0], &cluster.consumer] {
        made_anew(program, &cluster.prefix)?;
    }
    let (status, out, err) = tokio::task::block_in_place(|| cluster.hubs[0].verb(&["migrate"]))?;
    assert!(status.success(), "{out}{err}");
    cluster.consumer.launch()?;
    cluster.hubs[0].start().await?;

    let ada = Client::connect(&cluster.hubs[0].listen, "ada").await?;
    let after = eventually("the new generation takes keys", async || {
        ada.say("lobby", "new", "said afterwards").await.ok()?.ok()
    })
    .await;
    assert!(after["epoch"].as_str() > before[0]["epoch"].as_str(), "{after} after {}", before[0]);
    eventually("it is stored", async || cluster.events().await.ok().filter(|rows| rows.len() == 4)).await;
    let page = ada.rpc("history", json!({"room": "lobby", "limit": 10})).await?.unwrap();
    let ids: Vec<_> = page["events"].as_array().unwrap().iter().map(|event| event["id"].clone()).collect();
    assert_eq!(ids, before.iter().map(|receipt| receipt["id"].clone()).collect::<Vec<_>>(), "{page}");
    let page = ada.rpc("history", json!({"room": "lobby", "limit": 10, "since": page["next"]})).await?.unwrap();
    assert_eq!(page["events"][0]["id"], after["id"], "{page}");
    cluster.end().await
}
