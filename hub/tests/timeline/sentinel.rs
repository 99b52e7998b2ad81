//! Redis Sentinel: a primary, a replica and a sentinel as processes of their own, and what a failover does.

use crate::server::RedisServer;
use crate::world::{DEADLINE, World, entry, eventually, journaled, options_for, room};
use confab_hub::redis::SentinelOptions;
use confab_hub::timeline::{Appended, RedisOptions, Relay};
use confab_protocol::{Key, Record};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use tempfile::TempDir;

const MASTER: &str = "confab-primary";

/// A sentinel that watches a primary.
struct Sentinel {
    child: Child,
    port: u16,
    _folder: TempDir,
}

impl Sentinel {
    async fn watching(primary: u16) -> Self {
        for _ in 0..5 {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let folder = tempfile::tempdir().unwrap();
            let config = folder.path().join("sentinel.conf");
            let text = format!(
                "port {port}\nbind 127.0.0.1\ndir {}\nsentinel monitor {MASTER} 127.0.0.1 {primary} 1\n\
                 sentinel down-after-milliseconds {MASTER} 1000\nsentinel failover-timeout {MASTER} 5000\n",
                folder.path().display()
            );
            std::fs::write(&config, text).unwrap();
            let mut command = Command::new("redis-server");
            command.arg(&config).arg("--sentinel").stdout(Stdio::null()).stderr(Stdio::null());
            let mut sentinel = Self { child: command.spawn().unwrap(), port, _folder: folder };
            if sentinel.is_up().await {
                return sentinel;
            }
        }
        panic!("no sentinel came up");
    }

    async fn is_up(&mut self) -> bool {
        let deadline = std::time::Instant::now() + DEADLINE;
        while std::time::Instant::now() < deadline && self.child.try_wait().unwrap().is_none() {
            if tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.is_ok() {
                return true;
            }
            tokio::task::yield_now().await;
        }
        false
    }

    async fn connection(&self) -> redis::aio::MultiplexedConnection {
        crate::server::connection(&format!("redis://127.0.0.1:{}", self.port)).await
    }

    /// How many replicas it knows and would promote.
    async fn replicas(&self) -> usize {
        let mut ask = redis::cmd("SENTINEL");
        ask.arg("REPLICAS").arg(MASTER);
        let found: redis::RedisResult<Vec<std::collections::HashMap<String, String>>> =
            ask.query_async(&mut self.connection().await).await;
        let good = |one: &&std::collections::HashMap<String, String>| one["flags"] == "slave";
        found.map_or(0, |found| found.iter().filter(good).count())
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A primary with a replica that has everything, watched by a sentinel; and a hub that knows only the sentinel.
struct Trio {
    primary: RedisServer,
    replica: RedisServer,
    sentinel: Sentinel,
}

impl Trio {
    async fn start() -> Self {
        let (primary, replica) = (RedisServer::start().await, RedisServer::start().await);
        let mut follow = redis::cmd("REPLICAOF");
        follow.arg("127.0.0.1").arg(primary.port).exec_async(&mut replica.connection().await).await.unwrap();
        eventually("the replica follows", async || {
            let mut wait = redis::cmd("WAIT");
            wait.arg(1).arg(100);
            let mut connection = primary.connection().await;
            redis::cmd("SET").arg("touch").arg(1).exec_async(&mut connection).await.ok()?;
            (wait.query_async::<u64>(&mut connection).await.ok()? == 1).then_some(())
        })
        .await;
        let sentinel = Sentinel::watching(primary.port).await;
        eventually("the sentinel knows the replica", async || (sentinel.replicas().await == 1).then_some(())).await;
        Self { primary, replica, sentinel }
    }

    fn options(&self) -> RedisOptions {
        // The first sentinel does not exist: the next is asked.
        let nodes = vec!["127.0.0.1:1".to_owned(), format!("127.0.0.1:{}", self.sentinel.port)];
        let sentinel = Some(SentinelOptions { master: MASTER.into(), nodes });
        RedisOptions { sentinel, ..options_for("redis://not-used.invalid") }
    }

    /// Waits until the sentinel names the former replica.
    async fn until_failed_over(&self) {
        let mut ask = redis::cmd("SENTINEL");
        ask.arg("GET-MASTER-ADDR-BY-NAME").arg(MASTER);
        eventually("the sentinel fails over", async || {
            let found = ask.query_async::<(String, u16)>(&mut self.sentinel.connection().await).await.ok()?;
            (found.1 == self.replica.port).then_some(())
        })
        .await;
    }
}

/// Publishes as soon as the hub can.
async fn published(world: &World, name: &str) -> Arc<Record> {
    let entry = entry(name, Key::fresh().as_str(), "hi");
    let placed = eventually("an event finds its place", async || match world.timeline.append(&entry).await {
        Ok(Appended::Placed(placed)) => Some(placed),
        _ => None,
    })
    .await;
    world.ledger.keep(&placed.record);
    if let Some(pending) = &placed.pending {
        eventually("it is settled", async || world.timeline.settle(pending).await.ok()).await;
    }
    placed.record
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_failover_to_a_stale_replica_no_offset_is_given_twice_and_the_hub_finds_the_new_primary() {
    let mut trio = Trio::start().await;
    let mut world = World::redis_with(trio.options(), Arc::default()).await;
    world.timeline.subscribe(&room("team")).await.unwrap();
    let copied = world.publish(&entry("team", "copied", "hi")).await;
    assert_eq!(world.hears().await, copied);
    let mut to_primary = trio.primary.connection().await;
    eventually("the replica has it", async || {
        redis::cmd("WAIT").arg(1).arg(100).query_async::<u64>(&mut to_primary).await.ok().filter(|count| *count == 1)
    })
    .await;

    // From here on the replica hears nothing more of its primary.
    let mut deny = redis::cmd("ACL");
    deny.arg("SETUSER").arg("default").arg("-psync").arg("-sync").exec_async(&mut to_primary).await.unwrap();
    redis::cmd("CLIENT").arg("KILL").arg("TYPE").arg("replica").exec_async(&mut to_primary).await.unwrap();
    let lost = world.publish(&entry("team", "journaled", "hi")).await;
    assert_eq!((lost.cursor.epoch, lost.cursor.offset), (copied.cursor.epoch, copied.cursor.offset + 1));
    assert_eq!(world.hears().await, lost);

    trio.primary.stop();
    trio.until_failed_over().await;
    let next = published(&world, "team").await;
    assert!(next.cursor.epoch > lost.cursor.epoch, "{} after {}", next.cursor, lost.cursor);
    assert_eq!(next.cursor.offset, 1);
    world.until_taking().await;
    let again = world.known(&entry("team", "journaled", "hi")).await;
    assert_eq!(journaled(&again), (lost.event.id, lost.cursor), "a retry gets its first receipt");
    world.resubscribes(1).await;
    let after = published(&world, "team").await;
    let heard = loop {
        match world.relayed().await {
            Relay::Event(record) if record.cursor == after.cursor => break record,
            _ => {}
        }
    };
    assert_eq!(heard, after, "the relay has found the new primary, too");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_was_replaced_and_does_not_know_it_is_left() {
    let trio = Trio::start().await;
    let mut world = World::redis_with(trio.options(), Arc::default()).await;
    world.timeline.subscribe(&room("team")).await.unwrap();
    let before = world.publish(&entry("team", "1", "hi")).await;
    let mut failover = redis::cmd("SENTINEL");
    failover.arg("FAILOVER").arg(MASTER).exec_async(&mut trio.sentinel.connection().await).await.unwrap();
    trio.until_failed_over().await;
    let after = eventually("a place in the new order", async || {
        Some(published(&world, "team").await).filter(|record| record.cursor.epoch > before.cursor.epoch)
    })
    .await;
    let heard = loop {
        match world.relayed().await {
            Relay::Event(record) if record.cursor >= after.cursor => break record,
            Relay::Compare if world.read("team", None, false, 10).await.top >= after.cursor => break after.clone(),
            _ => {}
        }
    };
    assert!(heard.cursor >= after.cursor);
}
