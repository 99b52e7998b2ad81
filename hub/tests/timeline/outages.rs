//! Connections that break, go deaf or lose an answer.

use crate::proxy::{Proxy, Wire};
use crate::server::{RedisServer, connection};
use crate::world::{World, entry, eventually, hub_id, offsets, options_for, redis_options, room};
use confab_hub::timeline::{Appended, Error, Range, RedisOptions, Relay};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// The ids of the connections that a hub has made for a purpose.
async fn connections(url: &str, hub: &str, purpose: &str) -> Vec<String> {
    let mut redis = connection(url).await;
    let clients: String = redis::cmd("CLIENT").arg("LIST").query_async(&mut redis).await.unwrap();
    let named = format!("name=confab-{hub}-{purpose} ");
    let ours = clients.lines().filter(|line| line.contains(&named));
    ours.filter_map(|line| line.split(' ').next()?.strip_prefix("id=").map(str::to_owned)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_relay_connection_is_made_again_and_every_room_is_compared() {
    let options = redis_options();
    let mut world = World::redis_with(options.clone(), Arc::default()).await;
    for name in ["team", "other"] {
        world.timeline.subscribe(&room(name)).await.unwrap();
    }
    world.publish(&entry("team", "1", "hi")).await;
    assert_eq!(world.hears().await.cursor.offset, 1);

    let relay = connections(&options.url, &options.hub_id, "relay").await;
    assert_eq!(relay.len(), 1);
    let mut redis = connection(&options.url).await;
    redis::cmd("CLIENT").arg("KILL").arg("ID").arg(&relay[0]).exec_async(&mut redis).await.unwrap();
    world.hears_compare().await;

    assert_eq!(world.timeline.counters().resubscriptions.load(Ordering::Relaxed), 1);
    for (name, key) in [("team", "2"), ("other", "3")] {
        let published = world.publish(&entry(name, key, "hi")).await;
        assert_eq!(world.hears().await, published, "after the comparison every room is live");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deaf_relay_connection_is_noticed_within_seconds() {
    let server = RedisServer::start().await;
    let proxy = Proxy::to(server.port).await;
    let mut world = World::redis_with(options_for(&proxy.url()), Arc::default()).await;
    world.timeline.subscribe(&room("team")).await.unwrap();
    let deaf = Instant::now();
    proxy.set(Wire::Freeze);
    world.hears_compare().await;
    assert!(deaf.elapsed() < Duration::from_secs(8), "{:?}", deaf.elapsed());
    eventually("the commands pass again", async || {
        let key = confab_protocol::Key::fresh();
        world.timeline.append(&entry("team", key.as_str(), "hi")).await.ok()
    })
    .await;
    assert_eq!(world.hears().await.cursor.offset, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_whose_answer_is_lost_finds_its_own_traces() {
    let server = RedisServer::start().await;
    let proxy = Proxy::to(server.port).await;
    let world = World::redis_with(options_for(&proxy.url()), Arc::default()).await;
    let mut expected = 0;
    eventually("the answer of an append is what was lost", async || {
        expected += 1;
        proxy.lost.lock().unwrap().clear();
        proxy.set(Wire::CutAnswer);
        let placed = world.place(&entry("team", &expected.to_string(), "hi")).await;
        assert_eq!(placed.record.cursor.offset, expected, "one place, whatever was lost");
        proxy.lost.lock().unwrap().windows(6).any(|word| word == b"placed").then_some(())
    })
    .await;
    assert_eq!(world.read("team", None, false, 0).await.top.offset, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_that_times_out_is_unknown_and_its_retry_gets_the_first_place() {
    let server = RedisServer::start().await;
    let options = RedisOptions { timeout: Duration::from_millis(500), ..options_for(&server.url()) };
    let world = World::redis_with(options, Arc::default()).await;
    world.publish(&entry("team", "0", "hi")).await;
    let mut redis = server.connection().await;
    redis::cmd("CLIENT").arg("PAUSE").arg(3000).arg("WRITE").exec_async(&mut redis).await.unwrap();
    let sent = entry("team", "1", "hi");
    let late = world.timeline.append(&sent).await;
    assert!(matches!(late, Err(Error::Unknown(_))), "{late:?}");
    redis::cmd("CLIENT").arg("UNPAUSE").exec_async(&mut redis).await.unwrap();
    let placed = eventually("the retry is answered", async || match world.timeline.append(&sent).await {
        Ok(Appended::Placed(placed)) => Some(placed),
        Ok(Appended::Known(known)) => panic!("its own traces are no other's: {known:?}"),
        Err(_) => None,
    })
    .await;
    assert_eq!((placed.record.event.id, placed.record.cursor.offset), (sent.event.id, 2));
    assert_eq!(world.read("team", None, false, 0).await.top.offset, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_redis_is_away_nothing_is_started_and_afterwards_everything_goes_on() {
    let mut server = RedisServer::start().await;
    let options = RedisOptions { timeout: Duration::from_millis(300), ..options_for(&server.url()) };
    let mut world = World::redis_with(options, Arc::default()).await;
    world.timeline.subscribe(&room("team")).await.unwrap();
    server.stop();
    eventually("the outage is noticed", async || {
        let sent = world.timeline.append(&entry("team", "1", "hi")).await;
        matches!(sent, Err(Error::Unavailable(_))).then_some(())
    })
    .await;
    let read = world.timeline.find(&room("team"), confab_protocol::EventId::fresh()).await;
    assert!(matches!(read, Err(Error::Unavailable(_))), "{read:?}");
    let joined = world.timeline.subscribe(&room("other")).await;
    assert!(matches!(joined, Err(Error::Unavailable(_))), "{joined:?}");
    server.start_again().await;
    world.until_taking().await;
    world.resubscribes(1).await;
    world.hears_compare().await;
    let published = world.publish(&entry("team", "2", "hi")).await;
    let heard = loop {
        if let Relay::Event(record) = world.relayed().await {
            break record;
        }
    };
    assert_eq!(heard, published);
}

/// Makes the server refuse to write, and returns what makes it write again.
async fn refuse_writes(redis: &mut redis::aio::MultiplexedConnection, why: &str) -> [&'static str; 2] {
    let mut set = async |name: &str, value: &str| {
        redis::cmd("CONFIG").arg("SET").arg(name).arg(value).exec_async(redis).await.unwrap();
    };
    match why {
        "OOM" => {
            set("maxmemory", "1").await;
            ["maxmemory", "0"]
        }
        "NOREPLICAS" => {
            set("min-replicas-to-write", "1").await;
            ["min-replicas-to-write", "0"]
        }
        _ => {
            let gone = tempfile::tempdir().unwrap();
            set("save", "3600 1").await;
            set("dir", gone.path().to_str().unwrap()).await;
            drop(gone);
            redis::cmd("BGSAVE").exec_async(redis).await.unwrap();
            ["stop-writes-on-bgsave-error", "no"]
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_refuses_to_write_is_read_and_joined_and_goes_on_in_its_generation() {
    for why in ["OOM", "NOREPLICAS", "MISCONF"] {
        let server = RedisServer::start_with(&["--enable-protected-configs", "yes"], false).await;
        let options = options_for(&server.url());
        let world = World::redis_with(options.clone(), Arc::default()).await;
        world.publish(&entry("team", "1", "hi")).await;
        let placed = world.place(&entry("team", "2", "hi")).await;
        let mut redis = server.connection().await;
        let [name, value] = refuse_writes(&mut redis, why).await;
        eventually("the hub has noticed", async || {
            world.timeline.counters().refuses_writes.load(Ordering::Relaxed).then_some(())
        })
        .await;
        let refused = world.timeline.append(&entry("team", "3", "hi")).await;
        assert!(matches!(refused, Err(Error::Unavailable(_))), "{why}: {refused:?}");

        for id in connections(&options.url, &options.hub_id, "commands").await {
            redis::cmd("CLIENT").arg("KILL").arg("ID").arg(&id).exec_async(&mut redis).await.unwrap();
        }
        let begun = RedisOptions { hub_id: hub_id(), ..options.clone() };
        let other = World::redis_with(begun, world.ledger.clone()).await;
        for world in [&world, &other] {
            world.timeline.subscribe(&room("other")).await.unwrap();
            let window = eventually("the room is read", async || {
                let range = Range { since: None, reverse: false, limit: 10, bytes: usize::MAX };
                world.timeline.read(&room("team"), range).await.ok()
            })
            .await;
            assert_eq!(offsets(&window), [1, 2], "{why}");
        }
        // Where memory is what is missing, what is pending drains.
        world.ledger.keep(&placed.record);
        let settled = world.timeline.settle(placed.pending.as_ref().unwrap()).await;
        assert_eq!(settled.is_ok(), why == "OOM", "{why}: {settled:?}");

        redis::cmd("CONFIG").arg("SET").arg(name).arg(value).exec_async(&mut redis).await.unwrap();
        let after =
            eventually("the room goes on", async || world.timeline.append(&entry("team", "3", "hi")).await.ok()).await;
        let Appended::Placed(after) = after else { panic!("{why}: {after:?}") };
        assert_eq!((after.record.cursor.epoch, after.record.cursor.offset), (placed.record.cursor.epoch, 3), "{why}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn how_full_redis_is_can_be_seen() {
    let server = RedisServer::start_with(&["--maxmemory", "64mb"], false).await;
    let world = World::redis_with(options_for(&server.url()), Arc::default()).await;
    let counters = world.timeline.counters();
    eventually("it was asked", async || (counters.redis_used_memory.load(Ordering::Relaxed) > 0).then_some(())).await;
    assert_eq!(counters.redis_max_memory.load(Ordering::Relaxed), 64 << 20);
    assert!(counters.redis_used_memory.load(Ordering::Relaxed) < 64 << 20);
}
