//! What survives from one message to the next: nothing, or an instance that never failed.

use crate::support::{misbehave, world};

#[tokio::test]
async fn with_isolation_by_message_nothing_survives() {
    let world = world(&misbehave("counter", "isolation = 'message'")).await;
    for _ in 0..3 {
        assert_eq!(world.count("hi").await, 1);
    }
}

#[tokio::test]
async fn what_a_message_left_in_memory_is_gone_for_the_next() {
    let world = world(&misbehave("leak", "isolation = 'message'")).await;
    for _ in 0..300 {
        assert_eq!(world.count("hi").await, 1);
    }
    assert!(world.seen.faults().is_empty());
}

#[tokio::test]
async fn instances_that_start_configured_have_the_settings_of_their_own_plugin() {
    let with = |say: &str| misbehave("say", "isolation = 'message'").replace("n = 10000", &format!("say = '{say}'"));
    for _ in 0..2 {
        // The second time both come from the cache.
        for say in ["one", "two"] {
            assert_eq!(world(&with(say)).await.approved("a", "hi").await.body.text().as_deref(), Some(say));
        }
    }
}

#[tokio::test]
async fn a_worker_lives_on() {
    let world = world(&misbehave("counter", "isolation = 'worker'")).await;
    for n in 1..=3 {
        assert_eq!(world.count("hi").await, n);
    }
}

#[tokio::test]
async fn an_instance_that_failed_is_never_asked_again() {
    let world = world(&misbehave("by-text", "isolation = 'worker'\nmemory = '8 MiB'")).await;
    assert_eq!(world.count("counter").await, 1);
    for mode in ["trap", "memory", "invalid-utf8", "megabytes", "not-json", "bad-code"] {
        assert_eq!(world.count("counter").await, 2, "before {mode}");
        world.refused("a", mode).await;
        assert_eq!(world.count("counter").await, 1, "after {mode}");
    }
}

#[tokio::test]
async fn a_worker_that_hoards_is_replaced_before_it_runs_out() {
    let world = world(&misbehave("leak", "isolation = 'worker'\nmemory = '8 MiB'")).await;
    let mut counts = Vec::new();
    for _ in 0..500 {
        counts.push(world.count("hi").await);
    }
    let lives = counts.iter().filter(|count| **count == 1).count();
    assert!(lives > 5, "500 calls that keep 64 KiB each took {lives} instances");
    assert!(world.seen.faults().is_empty());
}

#[tokio::test]
async fn a_worker_is_replaced_after_ten_thousand_calls() {
    let world = world(&misbehave("counter", "isolation = 'worker'")).await;
    for n in 1..=10_000 {
        assert_eq!(world.count("hi").await, n);
    }
    assert_eq!(world.count("hi").await, 1);
}
