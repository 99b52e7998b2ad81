//! What plugins remember: one contract for every memory, and what a plugin that floods them cannot do.

use crate::servers::{nobody_at, silent};
use crate::support::{World, reach, try_world_with, whole};
use crate::waiting;
use confab_hub::kv::{Error, Kv, Owner, Redis, Space};
use confab_hub::redis::Dialer;
use confab_hub::timeline::RedisOptions;
use futures_util::FutureExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_secs(30);

fn redis_at(url: &str, prefix: &str) -> Kv {
    redis_with(&RedisOptions::new(url, "test"), prefix)
}

fn redis_with(options: &RedisOptions, prefix: &str) -> Kv {
    let dialer = Dialer::new(&options.servers()).unwrap();
    let dial = move || {
        let dialer = dialer.clone();
        async move { dialer.connect("kv").await.map_err(|error| error.to_string()) }.boxed()
    };
    Kv::Redis(Redis::new(Arc::new(dial), prefix))
}

fn test_redis() -> String {
    std::env::var("CONFAB_TEST_REDIS").expect("run `cargo xtask test`, which starts the services")
}

fn fresh_prefix() -> String {
    format!("test-{}", uuid::Uuid::now_v7().simple())
}

/// In the shared Redis Cluster.
fn redis_cluster() -> Kv {
    let nodes = std::env::var("CONFAB_TEST_REDIS_CLUSTER").expect("run `cargo xtask test`, which starts the services");
    let cluster = nodes.split(',').map(str::to_owned).collect();
    let options = RedisOptions { cluster, ..RedisOptions::new("redis://not-used.invalid", "test") };
    redis_with(&options, &fresh_prefix())
}

/// Each memory, empty.
fn each() -> [(&'static str, Kv); 3] {
    [("memory", Kv::default()), ("redis", redis_at(&test_redis(), &fresh_prefix())), ("redis cluster", redis_cluster())]
}

fn space(keys: usize, bytes: usize) -> Space {
    Space { name: "it".into(), keys, bytes, owner: Owner::default() }
}

fn space_with_room() -> Space {
    space(1000, 1 << 20)
}

async fn eventually(what: &str, mut ask: impl AsyncFnMut() -> bool) {
    waiting::until(what, DEADLINE, async || ask().await.then_some(())).await;
}

#[tokio::test]
async fn a_value_is_what_was_put_there_until_it_is_deleted() {
    for (name, kv) in each() {
        let space = space_with_room();
        assert_eq!(kv.get(&space, "a").await, Ok(None), "{name}");
        for value in [&b""[..], b"\0\xff\r\n", &[7; 64 << 10]] {
            kv.set(&space, "a", value.to_vec(), None).await.unwrap();
            assert_eq!(kv.get(&space, "a").await.unwrap().as_deref(), Some(value), "{name}");
        }
        kv.delete(&space, "a").await.unwrap();
        kv.delete(&space, "a").await.unwrap();
        assert_eq!(kv.get(&space, "a").await, Ok(None), "{name}");
        let odd = "{x}:*\n ключ";
        kv.set(&space, odd, b"1".to_vec(), None).await.unwrap();
        assert_eq!(kv.get(&space, odd).await.unwrap().as_deref(), Some(&b"1"[..]), "{name}");
    }
}

#[tokio::test]
async fn keys_and_values_have_a_largest_size() {
    for (name, kv) in each() {
        let space = space_with_room();
        let long = "k".repeat(257);
        for key in ["", &long] {
            assert_eq!(kv.get(&space, key).await, Err(Error::TooLarge), "{name}");
            assert_eq!(kv.set(&space, key, Vec::new(), None).await, Err(Error::TooLarge), "{name}");
            assert_eq!(kv.delete(&space, key).await, Err(Error::TooLarge), "{name}");
            assert_eq!(kv.increment(&space, key, 1, None).await, Err(Error::TooLarge), "{name}");
        }
        assert_eq!(kv.set(&space, "a", vec![0; (64 << 10) + 1], None).await, Err(Error::TooLarge), "{name}");
        kv.set(&space, &long[..256], vec![0; 64 << 10], None).await.unwrap();
    }
}

#[tokio::test]
async fn a_counter_counts_exactly_and_only_what_is_a_counter() {
    for (name, kv) in each() {
        let space = space_with_room();
        let add = async |key: &str, by: i64| kv.increment(&space, key, by, None).await;
        assert_eq!((add("n", 5).await, add("n", -7).await, add("n", 0).await), (Ok(5), Ok(-2), Ok(-2)), "{name}");
        assert_eq!(kv.get(&space, "n").await.unwrap().as_deref(), Some(&b"-2"[..]), "{name}");
        assert_eq!(add("big", i64::MAX - 1).await, Ok(i64::MAX - 1), "{name}");
        assert_eq!(add("big", 1).await, Ok(i64::MAX), "{name}");
        assert_eq!(add("big", 1).await, Err(Error::NotANumber), "{name}");
        assert_eq!(add("small", i64::MIN).await, Ok(i64::MIN), "{name}");
        assert_eq!(add("small", -1).await, Err(Error::NotANumber), "{name}");
        for text in ["", "one", "1.5", "01", "+1", " 1", "9223372036854775808"] {
            kv.set(&space, "text", text.as_bytes().to_vec(), None).await.unwrap();
            assert_eq!(add("text", 1).await, Err(Error::NotANumber), "{name}: {text:?}");
            assert_eq!(kv.get(&space, "text").await.unwrap().as_deref(), Some(text.as_bytes()), "{name}");
        }
        kv.set(&space, "text", b"41".to_vec(), None).await.unwrap();
        assert_eq!(add("text", 1).await, Ok(42), "{name}");
    }
}

#[tokio::test]
async fn nobody_s_addition_comes_between() {
    for (name, kv) in each() {
        let adding = (0..20).map(|_| {
            let kv = kv.clone();
            tokio::spawn(async move {
                for _ in 0..50 {
                    kv.increment(&space_with_room(), "n", 1, None).await.unwrap();
                }
            })
        });
        for task in adding.collect::<Vec<_>>() {
            task.await.unwrap();
        }
        assert_eq!(kv.increment(&space_with_room(), "n", 0, None).await, Ok(1000), "{name}");
    }
}

#[tokio::test]
async fn whatever_is_kept_expires_and_a_counter_counts_from_its_first_addition() {
    for (name, kv) in each() {
        let space = space_with_room();
        kv.set(&space, "a", b"1".to_vec(), Some(50)).await.unwrap();
        let begin = Instant::now();
        kv.increment(&space, "n", 1, Some(300)).await.unwrap();
        eventually("the value expires", async || kv.get(&space, "a").await == Ok(None)).await;
        // However often it is added to, it ends when it would have ended.
        eventually("the counter begins again", async || kv.increment(&space, "n", 1, Some(60_000)).await == Ok(1))
            .await;
        assert!(begin.elapsed() >= Duration::from_millis(300), "{name}");
        for ttl in [0, u64::MAX] {
            kv.set(&space, "b", b"1".to_vec(), Some(ttl)).await.unwrap();
        }
        assert!(kv.get(&space, "b").await.unwrap().is_some(), "{name}");
    }
}

#[tokio::test]
async fn a_full_space_says_so_keeps_what_it_has_and_takes_more_when_there_is_room() {
    for (name, kv) in each() {
        let space = space(3, 1000);
        for key in ["a", "b"] {
            kv.set(&space, key, b"1".to_vec(), None).await.unwrap();
        }
        kv.increment(&space, "c", 1, Some(200)).await.unwrap();
        assert_eq!(kv.set(&space, "d", b"1".to_vec(), None).await, Err(Error::Full), "{name}");
        assert_eq!(kv.increment(&space, "d", 1, None).await, Err(Error::Full), "{name}");
        // What is there can still be counted and replaced.
        assert!(matches!(kv.increment(&space, "c", 1, None).await, Ok(1 | 2)), "{name}");
        kv.set(&space, "a", b"2".to_vec(), None).await.unwrap();
        // Room comes back by expiry and by deletion.
        eventually("there is room again", async || kv.set(&space, "d", b"1".to_vec(), None).await.is_ok()).await;
        kv.delete(&space, "b").await.unwrap();
        kv.set(&space, "e", b"1".to_vec(), None).await.unwrap();

        // 3 keys of one byte, 3 values of one, and what may be added to that.
        assert_eq!(kv.set(&space, "a", vec![0; 996], None).await, Err(Error::Full), "{name}");
        kv.set(&space, "a", vec![0; 995], None).await.unwrap();
        assert_eq!(kv.set(&space, "d", b"12".to_vec(), None).await, Err(Error::Full), "{name}");
        kv.set(&space, "a", b"1".to_vec(), None).await.unwrap();
        kv.set(&space, "d", b"12".to_vec(), None).await.unwrap();
    }
}

#[tokio::test]
async fn one_sender_can_fill_their_own_part_of_a_space_and_not_that_of_others() {
    for (name, kv) in each() {
        let of = |user: &str| Space { owner: Owner::of(user), ..space(5000, 16 << 20) };
        let (mallory, ada) = (of("mallory"), of("ada"));
        let mut kept = 0;
        for n in 0..300 {
            kept += usize::from(kv.increment(&mallory, &format!("m{n}"), 1, Some(400)).await.is_ok());
        }
        assert_eq!(kept, 100, "{name}: a fiftieth of the keys");
        assert_eq!(kv.set(&mallory, "more", b"1".to_vec(), None).await, Err(Error::Full), "{name}");
        assert_eq!(kv.increment(&mallory, "m0", 1, None).await, Ok(2), "{name}: what is there is still counted");
        for n in 0..100 {
            assert_eq!(kv.increment(&ada, &format!("a{n}"), 1, None).await, Ok(1), "{name}: {n}");
        }
        // A key stays whose it is, whoever writes to it.
        assert_eq!(kv.increment(&mallory, "a0", 1, None).await, Ok(2), "{name}");
        kv.delete(&ada, "a0").await.unwrap();
        assert_eq!(kv.increment(&ada, "a100", 1, None).await, Ok(1), "{name}");
        assert_eq!(kv.increment(&ada, "a101", 1, None).await, Err(Error::Full), "{name}");
        // Room comes back as keys expire.
        eventually("there is room again", async || kv.set(&mallory, "more", b"1".to_vec(), None).await.is_ok()).await;

        let large = of("large");
        let mut kept = 0;
        for n in 0..10 {
            kept += usize::from(kv.set(&large, &format!("l{n}"), vec![0; 60 << 10], None).await.is_ok());
        }
        assert_eq!(kept, 5, "{name}: a fiftieth of the bytes");
    }
}

#[tokio::test]
async fn plugins_do_not_see_one_another_s_keys() {
    for (name, kv) in each() {
        let other = Space { name: "it-2".into(), ..space_with_room() };
        kv.set(&space_with_room(), "a", b"1".to_vec(), None).await.unwrap();
        assert_eq!(kv.get(&other, "a").await, Ok(None), "{name}");
        assert_eq!(kv.increment(&other, "a", 1, None).await, Ok(1), "{name}");
        kv.delete(&other, "a").await.unwrap();
        assert_eq!(kv.get(&space_with_room(), "a").await.unwrap().as_deref(), Some(&b"1"[..]), "{name}");
    }
}

#[tokio::test]
async fn every_name_in_redis_expires_shares_the_plugin_s_hash_tag_and_goes_when_the_last_key_goes() {
    let prefix = fresh_prefix();
    let kv = redis_at(&test_redis(), &prefix);
    kv.set(&space_with_room(), "a", b"1".to_vec(), Some(60_000)).await.unwrap();
    kv.increment(&space_with_room(), "n", 1, Some(100_000)).await.unwrap();
    kv.set(&space_with_room(), "b", b"1".to_vec(), Some(50)).await.unwrap();
    let mut connection = redis::Client::open(test_redis()).unwrap().get_multiplexed_async_connection().await.unwrap();
    let pattern = format!("{prefix}*");
    eventually("what is short-lived is gone", async || kv.get(&space_with_room(), "b").await == Ok(None)).await;
    let mut names: Vec<String> = redis::cmd("KEYS").arg(&pattern).query_async(&mut connection).await.unwrap();
    names.sort();
    let own = ["ends", "key:a", "key:n", "owners", "sizes"].map(|rest| format!("{prefix}:kv:{{it}}:{rest}"));
    assert_eq!(names, own);
    for name in &names {
        let ttl: i64 = redis::cmd("PTTL").arg(name).query_async(&mut connection).await.unwrap();
        assert!((1..=100_000).contains(&ttl), "{name}: {ttl}");
    }
    for key in ["a", "b", "n"] {
        kv.delete(&space_with_room(), key).await.unwrap();
    }
    let sizes: Vec<String> =
        redis::cmd("HGETALL").arg(format!("{prefix}:kv:{{it}}:sizes")).query_async(&mut connection).await.unwrap();
    assert_eq!(sizes, ["", "0"]);
    let owners: Vec<String> =
        redis::cmd("HGETALL").arg(format!("{prefix}:kv:{{it}}:owners")).query_async(&mut connection).await.unwrap();
    assert!(owners.is_empty(), "{owners:?}");
}

#[tokio::test]
async fn hubs_of_a_cluster_share_a_space() {
    let prefix = fresh_prefix();
    let (one, two) = (redis_at(&test_redis(), &prefix), redis_at(&test_redis(), &prefix));
    one.increment(&space_with_room(), "n", 1, None).await.unwrap();
    assert_eq!(two.increment(&space_with_room(), "n", 1, None).await, Ok(2));
}

/// A chain with the fixture, over a memory of this kind.
async fn world_over(kv: &Kv, toml: &str) -> World {
    try_world_with(toml, kv).await.unwrap_or_else(|error| panic!("{}", whole(&error)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_remembers_over_messages_and_over_chains() {
    for (name, kv) in each() {
        let toml = reach("kv = true, http = ['https://a.example']", "isolation = 'message'");
        let world = world_over(&kv, &toml).await;
        assert_eq!(world.said("add n 5").await, "5", "{name}");
        assert_eq!(world.said("add n -2 60000").await, "3", "{name}");
        assert_eq!(world.said("set a word").await, "ok", "{name}");
        // Another chain, as after a reload.
        let world = world_over(&kv, &toml).await;
        assert_eq!(world.said("get a").await, "word", "{name}");
        assert_eq!(world.said("add a 1").await, "not a number", "{name}");
        assert_eq!(world.said("delete a").await, "ok", "{name}");
        assert_eq!(world.said("get a").await, "none", "{name}");
        assert_eq!((world.seen.host("kv", "ok"), world.seen.host("kv", "not_a_number")), (3, 1), "{name}");
        assert_eq!(world.seen.waits.lock().unwrap()["kv"], 4, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_keys_of_bytes_or_of_calls_fills_nothing_but_its_own_space() {
    for (name, kv) in each() {
        let limits = "kv = { keys = 20, bytes = '200 KiB', calls = 40 }, http = ['https://a.example']";
        let world = world_over(&kv, &reach(limits, "")).await;
        assert_eq!(world.said("keys 100").await, "20 ok, 80 full", "{name}");
        assert_eq!((world.seen.host("kv", "ok"), world.seen.host("kv", "full")), (20, 80), "{name}");
        // The first keys become large ones, for as long as there is room.
        assert_eq!(world.said("values 10").await, "3 ok, 7 full", "{name}");
        assert_eq!(world.said("get flood-0").await, "65536 bytes", "{name}");
        // One argument larger than any may be does not even reach the host.
        world.refused("a", "huge").await;
        assert_eq!(world.seen.faults(), ["output"], "{name}");
        // Asking for ever is bounded by the call's time, and most of it is answered without asking anybody.
        let toml = reach(limits, "").replace("'5s'", "'300ms'");
        let impatient = world_over(&kv, &toml).await;
        impatient.refused("a", "kv-flood").await;
        assert_eq!(impatient.seen.faults(), ["timeout"], "{name}");
        assert_eq!(impatient.seen.host("kv", "ok"), 40, "{name}");
        assert!(impatient.seen.host("kv", "full") > 40, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_is_away_or_silent_is_told_in_the_time_of_the_call() {
    let silent = silent().await;
    let gone = nobody_at().await;
    for address in [gone, silent.address] {
        let kv = redis_at(&format!("redis://{address}"), "test");
        let world =
            world_over(&kv, &reach("kv = true, http = ['https://a.example']", "").replace("'5s'", "'1s'")).await;
        let said = world.said("add n 1").await;
        assert_eq!(said, "unavailable: what is remembered cannot be reached now");
        assert_eq!(world.seen.host("kv", "unavailable"), 1);
        assert!(world.seen.faults().is_empty(), "{:?}", world.seen.faults());
    }
}
