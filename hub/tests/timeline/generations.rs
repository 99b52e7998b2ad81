//! A Redis that lost what it knew: no offset twice under an epoch, and retries still get their first receipts.

use crate::ledger::Ledger;
use crate::proxy::Proxy;
use crate::server::{RedisServer, connection};
use crate::world::{
    World, act, entry, eventually, hub_id, journaled, key, now_ms, options_for, pending, redis_options, room, user,
};
use confab_hub::timeline::{Appended, Entry, Error, RedisOptions, Relay, Settled};
use confab_protocol::{Cursor, Key, Kind};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Makes the generation unknown while everything else survives, as a failover to a replica does.
pub async fn lose_the_generation(options: &RedisOptions) {
    let mut redis = connection(&options.url).await;
    let mut lose = redis::cmd("DEL");
    lose.arg(format!("{}:generation", options.prefix));
    for bucket in 0..options.buckets {
        lose.arg(format!("{}{{b{bucket}}}:generation", options.prefix));
    }
    lose.exec_async(&mut redis).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_comes_back_empty_gets_one_generation_and_retries_get_their_first_receipts() {
    let mut server = RedisServer::start().await;
    let options = options_for(&server.url());
    let ledger = Arc::<Ledger>::default();
    let mut a = World::redis_with(options.clone(), ledger.clone()).await;
    let b = World::redis_with(RedisOptions { hub_id: hub_id(), ..options }, ledger.clone()).await;
    assert_eq!(ledger.opened(), 1, "the second hub adopts what the first opened");
    a.timeline.subscribe(&room("team")).await.unwrap();
    let first = b.publish(&entry("team", "1", "hi")).await;
    let in_flight = entry("team", "2", "hi");
    let placed = b.place(&in_flight).await;
    assert_eq!((placed.record.cursor.epoch, placed.record.cursor.offset), (first.cursor.epoch, 2));

    server.stop();
    server.start_again().await;

    for world in [&a, &b] {
        world.until_taking().await;
        let again = world.known(&entry("team", "1", "hi")).await;
        assert_eq!(journaled(&again), (first.event.id, first.cursor));
    }
    assert_eq!(ledger.opened(), 2, "two hubs opened one generation");
    let opened = [&a, &b].map(|world| world.timeline.counters().generations_opened.load(Ordering::Relaxed));
    assert_eq!(opened.iter().sum::<u64>(), 2);

    let settled = b.timeline.settle(placed.pending.as_ref().unwrap()).await.unwrap();
    assert_eq!(settled, Settled::Stale, "the event must be appended again");
    a.resubscribes(1).await;
    a.hears_compare().await;
    let again = b.place(&in_flight).await.record;
    assert_eq!((again.event.id, again.cursor.offset), (placed.record.event.id, 1));
    assert!(again.cursor.epoch > first.cursor.epoch);
    let heard = loop {
        if let Relay::Event(record) = a.relayed().await {
            break record;
        }
    };
    assert_eq!(heard, again, "what was in flight is heard after all");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_a_lost_generation_left_pending_keeps_its_first_id() {
    let options = redis_options();
    let mut world = World::redis_with(options.clone(), Arc::default()).await;
    let before = world.publish(&entry("team", "0", "hi")).await;
    let first = world.place(&entry("team", "1", "hi")).await;
    world.place(&entry("team", "2", "hi")).await;
    lose_the_generation(&options).await;
    world.until_taking().await;
    world.hears_compare().await;

    let seen = world.timeline.lookup(&room("team"), &user("ada"), &key("1")).await.unwrap();
    assert_eq!(seen, None, "it counts as new");
    let empty = world.read("team", None, false, 10).await;
    assert_eq!((empty.top.offset, empty.records.len()), (0, 0), "the room begins anew");
    assert!(empty.top.epoch > before.cursor.epoch);

    let conflict = world.known(&entry("team", "1", "another draft")).await;
    assert_eq!(pending(&conflict), (first.record.event.id, first.record.cursor), "another draft is no new one");
    let again = world.place(&entry("team", "1", "hi")).await;
    assert_eq!(again.record.event.id, first.record.event.id);
    assert_eq!((again.record.cursor.epoch, again.record.cursor.offset), (empty.top.epoch, 1));
    let found = world.timeline.find(&room("team"), first.record.event.id).await.unwrap();
    assert_eq!(found, Some(again.record.clone()), "the window has it under that id");
    let kept = world.known(&entry("team", "0", "hi")).await;
    assert_eq!(journaled(&kept), (before.event.id, before.cursor), "what was journaled stays known");

    assert_eq!(world.timeline.settle(&first.pending.unwrap()).await.unwrap(), Settled::Stale);
    assert_eq!(pending(&world.known(&entry("team", "1", "hi")).await).1, again.record.cursor);
    assert_eq!(world.timeline.settle(&again.pending.unwrap()).await.unwrap(), Settled::Done);
    assert_eq!(journaled(&world.known(&entry("team", "1", "hi")).await).1, again.record.cursor);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_generation_gets_its_keys_back_only_younger_keys_are_taken() {
    let options = redis_options();
    let world = World::redis_with(options.clone(), Arc::default()).await;
    let first = world.publish(&entry("team", "1", "hi")).await;
    let old_key = Key::fresh();
    world.ledger.tail_is_away.store(true, Ordering::SeqCst);
    // The journal's tail is all that knows of the key.
    let mut redis = connection(&options.url).await;
    let keys: Vec<String> =
        redis::cmd("KEYS").arg(format!("{}*key:*", options.prefix)).query_async(&mut redis).await.unwrap();
    assert_eq!(keys.len(), 1);
    redis::cmd("DEL").arg(keys).exec_async(&mut redis).await.unwrap();
    lose_the_generation(&options).await;

    for old in [entry("team", "1", "hi"), entry("team", "2", "hi"), entry("team", old_key.as_str(), "hi")] {
        let refused = world.timeline.append(&old).await;
        assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
        let unsure = world.timeline.lookup(&room("team"), &user("ada"), &old.event.key).await;
        assert!(matches!(unsure, Err(Error::Unavailable(_))), "{unsure:?}");
        let refusal = confab_protocol::Refusal::PluginFault { plugin: "p".into() };
        let unsure = world.timeline.remember(&room("team"), &user("ada"), &old.event.key, "d", &refusal).await;
        assert!(matches!(unsure, Err(Error::Unavailable(_))), "{unsure:?}");
    }
    assert_eq!(world.publish(&entry("team", Key::fresh().as_str(), "hi")).await.cursor.offset, 1);

    world.ledger.tail_is_away.store(false, Ordering::SeqCst);
    world.until_taking().await;
    assert_eq!(journaled(&world.known(&entry("team", "1", "hi")).await), (first.event.id, first.cursor));
    assert_eq!(world.publish(&entry("team", "2", "hi")).await.cursor.offset, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_generation_gets_its_keys_back_a_place_is_given_to_what_had_one_and_not_to_what_says_it_is_young() {
    let options = redis_options();
    let world = World::redis_with(options.clone(), Arc::default()).await;
    let had = world.place(&entry("team", "had a place", "hi")).await.record;
    world.ledger.keep(&had);
    world.ledger.tail_is_away.store(true, Ordering::SeqCst);
    lose_the_generation(&options).await;
    // As a client would make it whose clock is a minute ahead.
    let soon = uuid::Timestamp::from_unix(uuid::NoContext, now_ms() / 1000 + 60, 0);
    let young = uuid::Uuid::new_v7(soon).to_string();
    for key in [young.as_str(), "new"] {
        let refused = world.timeline.append(&entry("team", key, "hi")).await;
        assert!(matches!(refused, Err(Error::Unavailable(_))), "{key}: {refused:?}");
    }
    let again = Entry { event: had.event.clone(), ..entry("team", "had a place", "hi") };
    let Appended::Placed(placed) = world.timeline.append_again(&again).await.unwrap() else { panic!("it is known") };
    assert_eq!(placed.record.event.id, had.event.id);
    assert!(placed.record.cursor.epoch > had.cursor.epoch && placed.record.cursor.offset == 1);
    let unsure = world.timeline.lookup(&room("team"), &user("ada"), &had.event.key).await;
    assert!(
        matches!(unsure, Err(Error::Unavailable(_))),
        "which of its places a receipt names is not known: {unsure:?}"
    );
    world.ledger.tail_is_away.store(false, Ordering::SeqCst);
    world.until_taking().await;
    let known = world.known(&entry("team", "had a place", "hi")).await;
    assert_eq!(
        pending(&known),
        (had.event.id, had.cursor),
        "it is not journaled there, and the receipt is the first one"
    );
    world.ledger.keep(&placed.record);
    assert_eq!(world.timeline.settle(placed.pending.as_ref().unwrap()).await.unwrap(), Settled::Done);
    let known = world.known(&entry("team", "had a place", "hi")).await;
    assert_eq!(journaled(&known), (had.event.id, had.cursor), "a retry gets the receipt that names its first place");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_placed_again_and_is_not_in_the_journal_with_its_first_place_is_known_by_its_second() {
    let options = redis_options();
    let world = World::redis_with(options.clone(), Arc::default()).await;
    let had = world.place(&entry("team", "heard", "hi")).await.record;
    world.ledger.tail_is_away.store(true, Ordering::SeqCst);
    lose_the_generation(&options).await;
    let again = Entry { event: had.event.clone(), ..entry("team", "heard", "hi") };
    let placed = eventually("it has a place", async || match world.timeline.append_again(&again).await {
        Ok(Appended::Placed(placed)) => Some(placed),
        _ => None,
    })
    .await;
    world.ledger.tail_is_away.store(false, Ordering::SeqCst);
    world.until_taking().await;
    let known = world.known(&entry("team", "heard", "hi")).await;
    assert_eq!(pending(&known), (had.event.id, placed.record.cursor));
    assert!(placed.record.cursor.epoch > had.cursor.epoch);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_failover_to_a_stale_replica_no_offset_is_given_twice() {
    let (mut primary, replica) = (RedisServer::start().await, RedisServer::start().await);
    let proxy = Proxy::to(primary.port).await;
    let world = World::redis_with(options_for(&proxy.url()), Arc::default()).await;
    let mut to_replica = replica.connection().await;
    let follow = async |connection: &mut redis::aio::MultiplexedConnection, whom: [String; 2]| {
        redis::cmd("REPLICAOF").arg(&whom).exec_async(connection).await.unwrap();
    };
    follow(&mut to_replica, ["127.0.0.1".into(), primary.port.to_string()]).await;
    // The first replica gives the primary another replication id: that is another generation already.
    let copied = eventually("the replica has a copy", async || {
        let entry = entry("team", Key::fresh().as_str(), "copied");
        let Ok(Appended::Placed(placed)) = world.timeline.append(&entry).await else { return None };
        let mut to_primary = primary.connection().await;
        let acknowledged: u64 = redis::cmd("WAIT").arg(1).arg(100).query_async(&mut to_primary).await.unwrap();
        (acknowledged == 1 && placed.record.cursor.epoch.0 == 2).then_some(placed)
    })
    .await;
    world.until_taking().await;
    follow(&mut to_replica, ["NO".into(), "ONE".into()]).await;
    let lost = world.publish(&entry("team", "journaled", "hi")).await;
    assert_eq!(lost.cursor.offset, copied.record.cursor.offset + 1, "the replica does not know of it");

    proxy.lead_to(replica.port);
    primary.stop();
    world.until_taking().await;
    let next = world.publish(&entry("team", "next", "hi")).await;
    assert!(next.cursor.epoch > lost.cursor.epoch, "{} after {}", next.cursor, lost.cursor);
    assert_eq!(next.cursor.offset, 1);
    let again = world.known(&entry("team", "journaled", "hi")).await;
    assert_eq!(journaled(&again), (lost.event.id, lost.cursor), "a retry gets its first receipt");
    let settled = world.timeline.settle(copied.pending.as_ref().unwrap()).await.unwrap();
    assert_eq!(settled, Settled::Stale);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_named_again_after_another_had_its_turn_begins_a_new_generation() {
    let (one, other) = (RedisServer::start().await, RedisServer::start().await);
    let proxy = Proxy::to(one.port).await;
    let world = World::redis_with(options_for(&proxy.url()), Arc::default()).await;
    world.publish(&entry("team", "1", "hi")).await;
    let hang_up = async |server: &RedisServer| {
        for kind in ["normal", "pubsub"] {
            let mut kill = redis::cmd("CLIENT");
            kill.arg("KILL").arg("TYPE").arg(kind).arg("SKIPME").arg("yes");
            kill.exec_async(&mut server.connection().await).await.unwrap();
        }
    };
    proxy.lead_to(other.port);
    hang_up(&one).await;
    world.until_taking().await;
    let there = world.publish(&entry("team", "2", "hi")).await;
    // The first one still runs, and its generation stands in it.
    proxy.lead_to(one.port);
    hang_up(&other).await;
    world.until_taking().await;
    let again = world.known(&entry("team", "2", "hi")).await;
    assert_eq!(journaled(&again), (there.event.id, there.cursor), "a retry gets its first receipt");
    let next = world.publish(&entry("team", "3", "hi")).await;
    assert!(next.cursor.epoch > there.cursor.epoch, "{} after {}", next.cursor, there.cursor);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_lives_goes_above_the_generation_it_knows_when_redis_and_journal_are_new() {
    let (one, other) = (RedisServer::start().await, RedisServer::start().await);
    let proxy = Proxy::to(one.port).await;
    let ledger = Arc::<Ledger>::default();
    ledger.generations.store(40, Ordering::SeqCst);
    let world = World::redis_with(options_for(&proxy.url()), Arc::clone(&ledger)).await;
    let before = world.publish(&entry("team", "1", "hi")).await;
    assert_eq!(before.cursor.epoch.0, 40);
    ledger.generations.store(1, Ordering::SeqCst);
    proxy.lead_to(other.port);
    for kind in ["normal", "pubsub"] {
        let mut kill = redis::cmd("CLIENT");
        kill.arg("KILL").arg("TYPE").arg(kind).arg("SKIPME").arg("yes");
        kill.exec_async(&mut one.connection().await).await.unwrap();
    }
    world.until_taking().await;
    let after = world.publish(&entry("team", "2", "hi")).await;
    assert!(after.cursor.epoch > before.cursor.epoch, "{} after {}", after.cursor, before.cursor);
}

/// Options of one deployment, wherever its primary is.
fn at(server: &RedisServer) -> RedisOptions {
    RedisOptions { prefix: "deployment".into(), ..options_for(&server.url()) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_starts_at_a_server_of_yesterday_begins_a_new_generation() {
    let (one, other) = (RedisServer::start().await, RedisServer::start().await);
    let ledger = Arc::<Ledger>::default();
    let world = World::redis_with(at(&one), Arc::clone(&ledger)).await;
    world.publish(&entry("team", "1", "hi")).await;
    world.timeline.close().await;
    let world = World::redis_with(at(&other), Arc::clone(&ledger)).await;
    let there = world.publish(&entry("team", "2", "hi")).await;
    world.timeline.close().await;
    // Nobody who saw the second one still runs, and in the first one its generation stands.
    let world = World::redis_with(at(&one), Arc::clone(&ledger)).await;
    let again = world.known(&entry("team", "2", "hi")).await;
    assert_eq!(journaled(&again), (there.event.id, there.cursor), "a retry gets its first receipt");
    let next = world.publish(&entry("team", "3", "hi")).await;
    assert!(next.cursor.epoch > there.cursor.epoch, "{} after {}", next.cursor, there.cursor);
    assert_eq!(ledger.opened(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_at_a_primary_of_yesterday_is_known_at_the_new_one() {
    let (old, new) = (RedisServer::start().await, RedisServer::start().await);
    let ledger = Arc::<Ledger>::default();
    let behind = World::redis_with(at(&old), Arc::clone(&ledger)).await;
    // One hub stays at the old primary and goes on, while another begins a generation at the new one.
    let talking = async {
        let mut acknowledged = Vec::new();
        for n in 0.. {
            let entry = entry("team", &format!("key {n}"), "hi");
            let Ok(Appended::Placed(placed)) = behind.timeline.append(&entry).await else { break };
            ledger.keep(&placed.record);
            let Ok(Settled::Done) = behind.timeline.settle(placed.pending.as_ref().unwrap()).await else { break };
            acknowledged.push((entry, placed.record));
        }
        behind.timeline.close().await;
        acknowledged
    };
    let (ahead, acknowledged) = tokio::join!(World::redis_with(at(&new), Arc::clone(&ledger)), talking);
    assert!(!acknowledged.is_empty());
    for (entry, record) in acknowledged {
        assert_eq!(journaled(&ahead.known(&entry).await), (record.event.id, record.cursor), "one receipt");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_generation_is_always_above_every_one_that_redis_knows() {
    let options = redis_options();
    let world = World::redis_with(options.clone(), Arc::default()).await;
    let mut redis = connection(&options.url).await;
    let bucket = format!("{}{{b3}}:generation", options.prefix);
    let mut other = redis::cmd("HSET");
    other.arg(&bucket).arg("generation").arg(9).arg("identity").arg("another server");
    other.exec_async(&mut redis).await.unwrap();
    let epoch = eventually("every room has a place to begin", async || {
        let mut epochs = Vec::new();
        for n in 0..32 {
            let entry = entry(&format!("room {n}"), Key::fresh().as_str(), "hi");
            let Ok(Appended::Placed(placed)) = world.timeline.append(&entry).await else { return None };
            epochs.push(placed.record.cursor.epoch.0);
        }
        (epochs.iter().min() == epochs.iter().max()).then(|| epochs[0])
    })
    .await;
    assert_eq!(epoch, 10);
}

/// The hash that the append script has in the server at the other end.
async fn append_hash(redis: &mut redis::aio::MultiplexedConnection) -> String {
    let info: String = redis::cmd("INFO").arg(&["server", "replication"]).query_async(redis).await.unwrap();
    let said = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)).unwrap().to_owned();
    let source = include_str!("../../src/timeline/redis/append.lua");
    let text = format!("-- only for {}/{}\n{source}", said("run_id:"), said("master_replid:"));
    let mut shared = connection(&redis_options().url).await;
    redis::cmd("SCRIPT").arg("LOAD").arg(text).query_async(&mut shared).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_is_known_only_to_the_server_that_its_text_names() {
    let (one, two) = (RedisServer::start().await, RedisServer::start().await);
    let _at_one = World::redis_with(options_for(&one.url()), Arc::default()).await;
    let _at_two = World::redis_with(options_for(&two.url()), Arc::default()).await;
    let (mut one, mut two) = (one.connection().await, two.connection().await);
    let hash = append_hash(&mut one).await;
    let exists = async |redis: &mut redis::aio::MultiplexedConnection| {
        let there: Vec<bool> = redis::cmd("SCRIPT").arg("EXISTS").arg(&hash).query_async(redis).await.unwrap();
        there[0]
    };
    assert!(exists(&mut one).await);
    assert!(!exists(&mut two).await, "a hub that still asks for it there is told that it asks the wrong server");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_forgot_the_scripts_keeps_its_generation() {
    let server = RedisServer::start().await;
    let world = World::redis_with(options_for(&server.url()), Arc::default()).await;
    let before = world.publish(&entry("team", "1", "hi")).await;
    redis::cmd("SCRIPT").arg("FLUSH").exec_async(&mut server.connection().await).await.unwrap();
    let after = world.publish(&entry("team", "2", "hi")).await;
    assert_eq!((after.cursor.epoch, after.cursor.offset), (before.cursor.epoch, 2));
    assert!(world.timeline.counters().stale_appends.load(Ordering::Relaxed) > 0, "the script was not known");
}

#[tokio::test(flavor = "multi_thread")]
async fn positions_of_older_generations_go_when_a_new_one_is_complete() {
    let options = redis_options();
    let world = World::redis_with(options.clone(), Arc::default()).await;
    for n in 0..30 {
        world.publish(&entry(&format!("idle {n}"), "1", "hi")).await;
    }
    lose_the_generation(&options).await;
    let next = eventually("the next generation takes events", async || {
        match world.timeline.append(&entry("idle 7", "2", "hi")).await {
            Ok(Appended::Placed(placed)) => Some(placed.record.cursor),
            _ => None,
        }
    })
    .await;
    let mut redis = connection(&options.url).await;
    eventually("only the room in which somebody spoke has a position", async || {
        let mut ask = redis::cmd("KEYS");
        ask.arg(format!("{}{{b*}}:room:*", options.prefix));
        let names: Vec<String> = ask.query_async(&mut redis).await.unwrap();
        (names.len() == 1 && names[0].ends_with(":room:idle 7")).then_some(())
    })
    .await;
    assert_eq!(world.read("idle 7", None, false, 10).await.top, next);
    assert_eq!(world.publish(&entry("idle 8", "2", "hi")).await.cursor, Cursor { offset: 1, ..next });
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_of_an_event_that_was_journaled_long_after_it_was_stamped_is_given_back() {
    let options = redis_options();
    let world = World::redis_with(options.clone(), Arc::default()).await;
    let mut approved = entry("team", "approved:1", "held for an hour");
    approved.event.at = now_ms() - 3_600_000;
    let placed = world.place(&approved).await;
    world.ledger.late.lock().unwrap().push((*placed.record).clone());
    assert_eq!(world.timeline.settle(placed.pending.as_ref().unwrap()).await.unwrap(), Settled::Done);
    let mut redis = connection(&options.url).await;
    let names: Vec<String> =
        redis::cmd("KEYS").arg(format!("{}{{b*}}:*", options.prefix)).query_async(&mut redis).await.unwrap();
    redis::cmd("DEL").arg(names).exec_async(&mut redis).await.unwrap();
    lose_the_generation(&options).await;
    let known =
        eventually("the next generation knows the key", async || match world.timeline.append(&approved).await {
            Ok(Appended::Known(known)) => Some(known),
            Ok(Appended::Placed(twice)) => panic!("published a second time: {twice:?}"),
            Err(_) => None,
        })
        .await;
    assert_eq!(journaled(&known), (placed.record.event.id, placed.record.cursor));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_deleted_in_a_lost_generation_stays_deleted_while_the_store_does_not_know_it() {
    let options = redis_options();
    let world = World::redis_with(options.clone(), Arc::default()).await;
    let said = world.publish(&entry("team", "1", "secret")).await;
    world.publish(&act(Kind::Delete, "team", "2", said.event.id)).await;
    lose_the_generation(&options).await;
    eventually("the room goes on", async || match world.timeline.append(&entry("team", "3", "hi")).await {
        Ok(Appended::Placed(placed)) => (placed.record.cursor.epoch > said.cursor.epoch).then_some(()),
        _ => None,
    })
    .await;
    let mut stored = [(*said).clone()];
    world.timeline.blank_deleted(&room("team"), &mut stored).await.unwrap();
    assert!(stored[0].event.body.is_null());
}
