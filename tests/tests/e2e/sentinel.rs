//! A Redis that fails over, through Redis Sentinel, while people talk.

use crate::faults::own_redis;
use crate::redis_cluster::{each_stands_once, say};
use anyhow::Result;
use confab_tests::client::Client;
use confab_tests::eventually;
use confab_tests::world::{Cluster, Plan};
use std::collections::BTreeSet;
use std::process::Command;
use tempfile::TempDir;
use xtask::services::port::Port;
use xtask::services::{Life, Process, Redis, redis};

const MASTER: &str = "confab-primary";

/// A sentinel that watches the primary at this port; it is ended with us.
fn sentinel(folder: &TempDir, primary: u16) -> Result<(Process, Port)> {
    let port = Port::free()?;
    let config = folder.path().join("sentinel.conf");
    let text = format!(
        "port {}\nbind 127.0.0.1\ndir {}\nsentinel monitor {MASTER} 127.0.0.1 {primary} 1\n\
         sentinel down-after-milliseconds {MASTER} 1000\nsentinel failover-timeout {MASTER} 5000\n",
        port.number(),
        folder.path().display()
    );
    std::fs::write(&config, text)?;
    let mut command = Command::new("redis-server");
    command.arg(&config).arg("--sentinel");
    Ok((Process::spawn(command, &folder.path().join("sentinel.log"), Life::WithUs)?, port))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failover_while_people_talk_costs_no_acknowledged_message() -> Result<()> {
    let folder = TempDir::with_prefix("confab-sentinel-")?;
    let mut primary = own_redis(&folder).await?;
    let args = vec!["--replicaof".to_owned(), "127.0.0.1".to_owned(), primary.port().to_string()];
    let data = folder.path().join("replica");
    let options = redis::Options { args, ..redis::Options::default() };
    let mut replica = tokio::task::spawn_blocking(move || Redis::start(&data, options)).await??;
    let (mut watching, port) = sentinel(&folder, primary.port())?;
    let nodes = format!("sentinel = {{ master = \"{MASTER}\", nodes = [\"127.0.0.1:{}\"] }}", port.number());
    eventually("the sentinel knows the replica", async || {
        let said = std::fs::read_to_string(folder.path().join("sentinel.log")).ok()?;
        said.contains("+slave").then_some(())
    })
    .await;
    let plan = Plan {
        redis: Some("redis://not-used.invalid".to_owned()),
        timeline: nodes,
        more: "\n[limits]\nsend_deadline = \"3s\"\n".to_owned(),
        ..Plan::default()
    };
    let cluster = Cluster::planned(plan).await?;
    let speakers = [
        Client::connect(&cluster.hubs[0].listen, "ada").await?,
        Client::connect(&cluster.hubs[1].listen, "ada").await?,
    ];
    let mut receipts = BTreeSet::new();
    for n in 0..200 {
        if n == 100 {
            primary.kill()?;
        }
        receipts.insert(say(&speakers[n % 2], "lobby", n).await?);
    }
    each_stands_once(&cluster, &receipts).await?;
    assert_eq!(
        say(&speakers[0], "lobby", 50).await?,
        say(&speakers[1], "lobby", 50).await?,
        "a retry gets its first receipt"
    );
    cluster.end().await?;
    watching.kill()?;
    replica.kill().map(drop)
}
