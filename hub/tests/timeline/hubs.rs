//! Several hubs over one Redis.

use crate::generations::lose_the_generation;
use crate::ledger::Ledger;
use crate::server::connection;
use crate::world::{World, entry, eventually, hub_id, journaled, pending, redis_options, room};
use confab_hub::timeline::{RedisOptions, Relay, Settled};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Two hubs over one server and one journal.
pub async fn pair(options: RedisOptions) -> (World, World) {
    let ledger = Arc::<Ledger>::default();
    let other = RedisOptions { hub_id: hub_id(), ..options.clone() };
    (World::redis_with(options, ledger.clone()).await, World::redis_with(other, ledger).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hubs_hear_each_other_and_themselves_in_one_order() {
    let (mut a, mut b) = pair(redis_options()).await;
    for world in [&a, &b] {
        world.timeline.subscribe(&room("team")).await.unwrap();
    }
    for n in 0..10 {
        let from = if n % 2 == 0 { &a } else { &b };
        from.publish(&entry("team", &n.to_string(), &format!("text {n}"))).await;
    }
    for n in 0..10 {
        let (at_a, at_b) = (a.hears().await, b.hears().await);
        assert_eq!(at_a, at_b);
        assert_eq!((at_a.cursor.offset, at_a.event.body.text()), (n + 1, Some(format!("text {n}"))));
    }
    let known = b.known(&entry("team", "0", "text 0")).await;
    assert_eq!(journaled(&known).1.offset, 1, "a retry on another hub gets the first place");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_hub_left_pending_is_journaled_by_another() {
    let options = RedisOptions { hub_lease: Duration::from_secs(1), ..redis_options() };
    let (a, b) = pair(options.clone()).await;
    let mine = b.place(&entry("team", "mine", "hi")).await;
    let left = a.place(&entry("team", "left", "hi")).await.record;
    assert_eq!(pending(&b.known(&entry("team", "left", "hi")).await).1, left.cursor);

    let killed = Instant::now();
    drop(a);
    eventually("the event is journaled", async || b.ledger.records().contains(&left).then_some(())).await;
    assert!(killed.elapsed() < options.hub_lease + Duration::from_secs(4), "{:?}", killed.elapsed());
    eventually("the key is journaled", async || {
        let known = b.known(&entry("team", "left", "hi")).await;
        matches!(known.outcome, confab_hub::timeline::Outcome::Journaled { .. }).then_some(())
    })
    .await;
    let counters = b.timeline.counters();
    eventually("it is counted", async || (counters.swept.load(Ordering::Relaxed) == 1).then_some(())).await;
    assert_eq!(b.ledger.records(), [(*left).clone()], "what a living hub has in flight is left alone");
    assert_eq!(b.timeline.settle(&mine.pending.unwrap()).await.unwrap(), Settled::Done);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_hub_left_in_a_generation_that_is_lost_is_journaled_there_and_heard_in_the_next() {
    let options = RedisOptions { hub_lease: Duration::from_secs(1), ..redis_options() };
    let (a, mut b) = pair(options.clone()).await;
    b.timeline.subscribe(&room("team")).await.unwrap();
    let left = a.place(&entry("team", "left", "hi")).await.record;
    assert_eq!(b.hears().await, left);
    drop(a);
    // Its pending entry survives, as it does in a failover to a replica that had it.
    lose_the_generation(&options).await;
    b.until_taking().await;
    let next = b.publish(&entry("team", "next", "what comes next")).await;
    assert!(next.cursor.epoch > left.cursor.epoch);

    let again = loop {
        if let Relay::Event(record) = b.relayed().await
            && record.event.id == left.event.id
        {
            break record;
        }
    };
    assert_eq!(again.cursor.epoch, next.cursor.epoch, "who listens now hears it now");
    let known = eventually("the key is journaled", async || {
        let known = b.known(&entry("team", "left", "hi")).await;
        matches!(known.outcome, confab_hub::timeline::Outcome::Journaled { .. }).then_some(known)
    })
    .await;
    assert_eq!(journaled(&known), (left.event.id, again.cursor), "a retry gets the place that was heard");
    eventually("the journal has both of its places", async || {
        let kept = b.ledger.records();
        (kept.contains(&left) && kept.contains(&again)).then_some(())
    })
    .await;
    nothing_is_pending(&options).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_been_pending_for_too_long_is_journaled_even_if_its_hub_lives() {
    let short = Duration::from_millis(200);
    let options = RedisOptions { delivery_timeout: short, sweep_margin: short, ..redis_options() };
    let (a, _b) = pair(options.clone()).await;
    let stuck = a.place(&entry("team", "stuck", "hi")).await.record;
    eventually("the event is journaled", async || a.ledger.records().contains(&stuck).then_some(())).await;
    nothing_is_pending(&options).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_hub_of_another_version_left_pending_is_journaled_as_it_is() {
    let options = RedisOptions { hub_lease: Duration::from_secs(1), ..redis_options() };
    let world = World::redis_with(options.clone(), Arc::default()).await;
    let placed = world.publish(&entry("team", "1", "hi")).await;
    let id = confab_protocol::EventId::fresh();
    let text = format!(r#"{{"v":99,"type":"hologram","id":"{id}","room":"team","sender":{{"user":"ada"}},"key":"2"}}"#);
    let mut redis = connection(&options.url).await;
    let mut left = redis::cmd("XADD");
    left.arg(format!("{}{{b0}}:pending", options.prefix)).arg("*").arg("hub").arg("dead");
    left.arg("generation").arg(placed.cursor.epoch.0).arg("offset").arg(2).arg("record").arg(&text);
    left.exec_async(&mut redis).await.unwrap();

    let (room, of, written) =
        eventually("it is journaled", async || world.ledger.texts.lock().unwrap().first().cloned()).await;
    assert_eq!((room.as_str(), of), ("team", id));
    let written: serde_json::Value = serde_json::from_str(&written).unwrap();
    assert_eq!(
        (&written["offset"], &written["type"]),
        (&2.into(), &"hologram".into()),
        "with its place, and as it was"
    );
    nothing_is_pending(&options).await;
}

async fn nothing_is_pending(options: &RedisOptions) {
    eventually("nothing is pending", async || {
        let mut redis = connection(&options.url).await;
        for bucket in 0..options.buckets {
            let name = format!("{}{{b{bucket}}}:pending", options.prefix);
            let left: u64 = redis::cmd("XLEN").arg(name).query_async(&mut redis).await.unwrap();
            if left > 0 {
                return None;
            }
        }
        Some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_hub_gives_its_lease_back() {
    let options = redis_options();
    let world = World::redis_with(options.clone(), Arc::default()).await;
    let mut redis = connection(&options.url).await;
    let name = format!("{}:hub:{}", options.prefix, options.hub_id);
    let mut there = async || redis::cmd("EXISTS").arg(&name).query_async::<bool>(&mut redis).await.unwrap();
    assert!(there().await);
    world.timeline.close().await;
    assert!(!there().await);
}
