//! Redis Cluster: rooms on three primaries, slots that move, a primary that is lost with what its replica lacks.

use crate::ledger::Ledger;
use crate::server::connection;
use crate::world::{
    DEADLINE, World, cluster_options, entry, eventually, hub_id, journaled, options_for, options_in, redis_options,
    room,
};
use confab_hub::timeline::{Appended, Entry, Error, Range, Redis, RedisOptions, Relay, Settled, Timeline};
use confab_protocol::{Cursor, EventId, Key, Record};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{sleep, timeout};
use xtask::services::{RedisCluster, redis_cluster};

/// A cluster of the test's own.
struct Own {
    cluster: Arc<RedisCluster>,
    _folder: TempDir,
}

impl Own {
    async fn start(options: redis_cluster::Options) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_owned();
        let started = spawn_blocking(move || RedisCluster::start(&path, &options)).await.unwrap();
        Self { cluster: Arc::new(started.expect("a cluster")), _folder: folder }
    }

    /// Does something that blocks.
    async fn with<T: Send + 'static>(&self, work: impl FnOnce(&RedisCluster) -> T + Send + 'static) -> T {
        let cluster = self.cluster.clone();
        spawn_blocking(move || work(&cluster)).await.unwrap()
    }

    fn options(&self) -> RedisOptions {
        options_in(self.cluster.addresses())
    }

    /// The slot of a room's bucket; there are eight.
    async fn slot_of(&self, name: &str) -> u16 {
        let hash = blake3::hash(name.as_bytes());
        let head = u64::from_le_bytes(hash.as_bytes()[..8].try_into().unwrap());
        self.slot((head % 8) as u16).await
    }

    /// The slot of a bucket.
    async fn slot(&self, bucket: u16) -> u16 {
        self.with(move |cluster| cluster.slot(&format!("{{b{bucket}}}")).unwrap()).await
    }
}

/// Two hubs over these servers and one journal.
async fn pair(options: RedisOptions) -> (World, World) {
    crate::hubs::pair(options).await
}

/// Appends until there is a place, as a sender with a key does; journals and settles it.
async fn sent(timeline: &Timeline, ledger: &Ledger, entry: &Entry) -> Cursor {
    let begun = Instant::now();
    loop {
        assert!(begun.elapsed() < 2 * DEADLINE, "no place for {}", entry.event.key);
        let placed = match timeline.append(entry).await {
            Ok(Appended::Placed(placed)) => placed,
            Ok(Appended::Known(known)) => panic!("its own traces are no other's: {known:?}"),
            Err(Error::Unavailable(_) | Error::Unknown(_)) => {
                sleep(Duration::from_millis(5)).await;
                continue;
            }
            Err(error) => panic!("{error}"),
        };
        ledger.keep(&placed.record);
        let settled = loop {
            match timeline.settle(placed.pending.as_ref().unwrap()).await {
                Ok(settled) => break settled,
                Err(_) => sleep(Duration::from_millis(5)).await,
            }
        };
        if settled == Settled::Done {
            return placed.record.cursor;
        }
    }
}

/// What a hub gives its listeners: every room's events in order, with what was lost on the way fetched.
#[derive(Default)]
struct Given {
    rooms: HashMap<String, Vec<(Cursor, EventId)>>,
}

impl Given {
    fn give(&mut self, record: &Record) {
        self.rooms.entry(record.event.room.to_string()).or_default().push((record.cursor, record.event.id));
    }

    fn top(&self, name: &str) -> Cursor {
        self.rooms.get(name).and_then(|events| events.last()).map_or(Cursor::new(0, 0), |(cursor, _)| *cursor)
    }

    async fn fetch(&mut self, timeline: &Timeline, name: &str) {
        let top = self.top(name);
        let range = Range { since: None, reverse: false, limit: 10_000, bytes: usize::MAX };
        // Nothing is lost by a read that fails: whatever comes next finds the same gap.
        let Ok(window) = timeline.read(&room(name), range).await else { return };
        for record in window.records.iter().filter(|record| record.cursor > top) {
            self.give(record);
        }
    }

    async fn hear(&mut self, timeline: &Timeline, relay: Relay, rooms: &[String]) {
        match relay {
            Relay::Event(record) => {
                let (name, top) = (record.event.room.to_string(), self.top(record.event.room.as_str()));
                if record.cursor.epoch != top.epoch || record.cursor.offset > top.offset + 1 {
                    self.fetch(timeline, &name).await;
                } else if record.cursor.offset == top.offset + 1 {
                    self.give(&record);
                }
            }
            Relay::Compare => {
                for name in rooms {
                    self.fetch(timeline, name).await;
                }
            }
            Relay::Signal(_) => {}
        }
    }
}

const ROOMS: usize = 16;
const SENDERS: usize = 8;

fn names() -> Vec<String> {
    (0..ROOMS).map(|n| format!("room {n}")).collect()
}

fn wide(room: &str, key: &str) -> Entry {
    Entry { window_events: 100_000, ..entry(room, key, "hi") }
}

#[tokio::test(flavor = "multi_thread")]
async fn slots_that_move_under_load_lose_double_and_reorder_nothing() {
    let own = Own::start(redis_cluster::Options::default()).await;
    let (a, b) = pair(own.options()).await;
    let ledger = a.ledger.clone();
    for world in [&a, &b] {
        for name in names() {
            world.timeline.subscribe(&room(&name)).await.unwrap();
        }
    }
    let timelines = [a.timeline.clone(), b.timeline.clone()];
    let moving = Arc::new(AtomicBool::new(true));
    let mut senders = JoinSet::new();
    for sender in 0..SENDERS {
        let (timelines, ledger, moving) = (timelines.clone(), ledger.clone(), moving.clone());
        senders.spawn(async move {
            let mut places = Vec::new();
            for n in 0.. {
                let name = format!("room {}", (n + sender) % ROOMS);
                let said = wide(&name, &format!("{sender}/{n}"));
                let cursor = sent(&timelines[n % 2], &ledger, &said).await;
                places.push((name, cursor, said.event.id));
                if !moving.load(Ordering::Relaxed) {
                    return places;
                }
            }
            unreachable!()
        });
    }
    let listeners = [a, b].map(|mut world| {
        tokio::spawn(async move {
            let mut given = Given::default();
            while let Ok(Some(relay)) = timeout(Duration::from_secs(3), world.heard.recv()).await {
                given.hear(&world.timeline, relay, &names()).await;
            }
            given
        })
    });
    for round in 1..=2 {
        for bucket in 0..8 {
            let slot = own.slot(bucket).await;
            own.with(move |cluster| cluster.move_slot(slot, (usize::from(bucket) + round) % 3).unwrap()).await;
        }
    }
    moving.store(false, Ordering::Relaxed);
    let mut said: HashMap<String, Vec<(Cursor, EventId)>> = HashMap::new();
    while let Some(places) = senders.join_next().await {
        for (name, cursor, id) in places.unwrap() {
            said.entry(name).or_default().push((cursor, id));
        }
    }
    assert_eq!(ledger.opened(), 1, "slots that move take their generation with them");
    let sent: usize = said.values().map(Vec::len).sum();
    for (name, places) in &mut said {
        places.sort();
        let expected = (1..=places.len() as u64).collect::<Vec<_>>();
        let offsets = places.iter().map(|(cursor, _)| cursor.offset).collect::<Vec<_>>();
        assert_eq!(offsets, expected, "{name} has each place once");
    }
    for listener in listeners {
        let given = listener.await.unwrap();
        assert_eq!(given.rooms.values().map(Vec::len).sum::<usize>(), sent);
        for (name, heard) in given.rooms {
            assert_eq!(&heard, &said[&name], "{name} is heard whole and in order");
        }
    }
    let moved = timelines.each_ref().map(|timeline| timeline.counters().resubscriptions.load(Ordering::Relaxed));
    assert!(moved.iter().all(|times| *times > 0), "rooms were subscribed where they went: {moved:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_on_its_way_is_waited_for_and_what_waits_too_long_has_done_nothing() {
    let own = Own::start(redis_cluster::Options::default()).await;
    let options = RedisOptions { timeout: Duration::from_millis(700), ..own.options() };
    let mut world = World::redis_with(options, Arc::default()).await;
    world.timeline.subscribe(&room("team")).await.unwrap();
    let first = world.publish(&entry("team", "1", "hi")).await;
    assert_eq!(world.hears().await, first);

    let slot = own.slot_of("team").await;
    let (from, to) =
        own.with(move |cluster| (cluster.owner(slot).unwrap(), (cluster.owner(slot).unwrap() + 1) % 3)).await;
    own.with(move |cluster| cluster.begin_move(slot, from, to).unwrap()).await;
    let sent = entry("team", "2", "hi");
    let refused = world.timeline.append(&sent).await;
    assert!(matches!(refused, Err(Error::Unavailable(_))), "nothing was done: {refused:?}");

    let timeline = world.timeline.clone();
    let waiting = tokio::spawn(async move { (timeline.append(&sent).await, sent.event.id) });
    own.with(move |cluster| {
        cluster.move_keys(slot, from, to).unwrap();
        cluster.end_move(slot, to).unwrap();
    })
    .await;
    let (placed, id) = waiting.await.unwrap();
    let Ok(Appended::Placed(placed)) = placed else { panic!("{placed:?}") };
    assert_eq!((placed.record.cursor.epoch, placed.record.cursor.offset), (first.cursor.epoch, 2));
    assert_eq!(placed.record.event.id, id);
    let compared = eventually("the room is heard where it is now, or compared", async || {
        world.heard.try_recv().ok().map(|relay| matches!(relay, Relay::Compare))
    })
    .await;
    world.resubscribes(1).await;
    if !compared {
        world.hears_compare().await;
    }
    let third = world.publish(&entry("team", "3", "hi")).await;
    let heard = loop {
        if let Relay::Event(record) = world.relayed().await {
            break record;
        }
    };
    assert_eq!(heard, third);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_primary_and_its_stale_replica_begin_a_generation_and_no_offset_is_given_twice() {
    let options = redis_cluster::Options {
        replicas: true,
        node_timeout: Duration::from_secs(1),
        ..redis_cluster::Options::default()
    };
    let mut own = Own::start(options).await;
    let slot = own.slot_of("team").await;
    let lost = own.with(move |cluster| cluster.owner(slot).unwrap()).await;
    let (mut world, other) = pair(own.options()).await;
    world.timeline.subscribe(&room("team")).await.unwrap();
    let copied = world.publish(&entry("team", "copied", "hi")).await;
    assert_eq!(world.hears().await, copied);
    own.with(move |cluster| {
        cluster.run(lost, &["WAIT", "1", "5000"]).unwrap();
        cluster.cut_off(lost).unwrap();
    })
    .await;
    let journaled_only = other.publish(&entry("team", "journaled", "hi")).await;
    assert_eq!(journaled_only.cursor.offset, 2, "the replica does not know of it");
    let in_flight = entry("team", "in flight", "hi");
    let placed = other.place(&in_flight).await;
    let elsewhere = world.publish(&entry("elsewhere", "1", "hi")).await;

    Arc::get_mut(&mut own.cluster).expect("nobody else has it").node(lost).kill().unwrap();
    let fresh = entry("team", Key::fresh().as_str(), "hi");
    let cursor = sent(&world.timeline, &world.ledger, &fresh).await;
    assert!(cursor.epoch > journaled_only.cursor.epoch, "{cursor} after {}", journaled_only.cursor);
    for hub in [&world, &other] {
        hub.until_taking().await;
        let again = hub.known(&entry("team", "journaled", "hi")).await;
        assert_eq!(
            journaled(&again),
            (journaled_only.event.id, journaled_only.cursor),
            "a retry gets its first receipt"
        );
    }
    assert_eq!(other.timeline.settle(placed.pending.as_ref().unwrap()).await.unwrap(), Settled::Stale);
    let again = other.place(&in_flight).await.record;
    assert_eq!((again.event.id, again.cursor.epoch), (placed.record.event.id, cursor.epoch), "heard after all");
    let next = world.publish(&entry("elsewhere", "2", "hi")).await;
    assert_eq!(
        (next.cursor.epoch, next.cursor.offset),
        (cursor.epoch, 1),
        "rooms of the other primaries begin anew, too"
    );
    assert!(elsewhere.cursor.epoch < next.cursor.epoch);
    let mut places = HashSet::new();
    assert!(world.ledger.records().iter().all(|record| places.insert((record.event.room.clone(), record.cursor))));
    let heard = async {
        loop {
            match world.relayed().await {
                Relay::Event(record) if record.cursor == again.cursor => return,
                Relay::Compare if world.read("team", None, false, 10).await.top >= again.cursor => return,
                _ => {}
            }
        }
    };
    timeout(DEADLINE, heard).await.expect("the relay finds the new primary");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_whose_position_is_lost_does_not_begin_twice_in_a_generation() {
    let options = redis_options();
    let world = World::redis_with(options.clone(), Arc::default()).await;
    for key in ["1", "2"] {
        world.publish(&entry("team", key, "hi")).await;
    }
    let mut redis = connection(&options.url).await;
    let keys: Vec<String> =
        redis::cmd("KEYS").arg(format!("{}*:room:team", options.prefix)).query_async(&mut redis).await.unwrap();
    assert_eq!(keys.len(), 1);
    redis::cmd("DEL").arg(keys).exec_async(&mut redis).await.unwrap();
    let next = sent(&world.timeline, &world.ledger, &entry("team", Key::fresh().as_str(), "hi")).await;
    assert_eq!((next.offset, world.ledger.opened()), (1, 2), "the first place of another generation");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_and_a_single_server_are_not_taken_for_one_another() {
    let refused = async |options: RedisOptions| {
        let connecting = Redis::connect(RedisOptions { hub_id: hub_id(), ..options }, Arc::<Ledger>::default());
        match timeout(DEADLINE, connecting).await.expect("a refusal does not wait") {
            Err(Error::Refused(reason)) => reason,
            _ => panic!("not refused"),
        }
    };
    let node = cluster_options().cluster[0].clone();
    let reason = refused(options_for(&format!("redis://{node}"))).await;
    assert!(reason.contains("timeline.redis.cluster.nodes"), "{reason}");
    let single = redis_options().url.trim_start_matches("redis://").to_owned();
    let reason = refused(options_in(vec![single])).await;
    assert!(reason.contains("is no node of a Redis Cluster"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_node_that_answers_is_enough_to_find_the_others() {
    let mut options = cluster_options();
    options.cluster.truncate(1);
    options.cluster.insert(0, "127.0.0.1:1".into());
    let world = World::redis_with(options, Arc::default()).await;
    for n in 0..16 {
        assert_eq!(world.publish(&entry(&format!("room {n}"), "1", "hi")).await.cursor.offset, 1);
    }
}
