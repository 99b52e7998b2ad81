//! A plugin that keeps failing for everybody is taken out, and brought back carefully; one that fails for somebody is not asked
//! about them. All of it is told.

use crate::support::{World, message_of, misbehave, world};
use confab_hub::plugin::{BreakerState, EventContext, Judged, Origin};
use confab_protocol::{Kind, Refusal, UserId, VerdictName};
use std::time::{Duration, Instant};

/// Traps by text; three faults open it, for a moment.
fn plugin(more: &str) -> String {
    let breaker = "breaker = { faults = 3, share = 0.5, within = '60s', pause = '50ms', pause_max = '100ms' }";
    misbehave("by-text", &format!("{breaker}\n{more}"))
}

async fn open(toml: &str) -> World {
    let world = world(toml).await;
    for user in ["u1", "u2", "u3"] {
        let _ = world.send_as(user, "a", "trap").await;
    }
    assert_eq!(world.chain.status().plugins[0].breaker, BreakerState::Open);
    world
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_that_is_taken_out_is_not_asked_and_its_on_fault_decides() {
    let world = open(&plugin("").replace("'50ms'", "'60s'").replace("'100ms'", "'60s'")).await;
    assert_eq!(world.refused("a", "hello").await, Refusal::PluginFault { plugin: "it".into() });
    assert_eq!(world.seen.faults(), ["trap"; 3], "it was asked three times");
    let status = &world.chain.status().plugins[0];
    assert_eq!((status.tallied.calls, status.tallied.faults, status.tallied.skipped), (3, 3, 1));

    let passes = open(&plugin("on_fault = 'pass'").replace("'50ms'", "'60s'").replace("'100ms'", "'60s'")).await;
    let Judged::Approved(approved) = passes.send("a", "hello").await else { panic!("passed") };
    assert_eq!(approved.trail.steps[0].verdict, VerdictName::Fault, "the trail says that it did not judge");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_comes_back_once_it_is_well_and_every_change_is_told() {
    let world = open(&plugin("")).await;
    let deadline = Instant::now() + Duration::from_secs(60);
    while world.chain.status().plugins[0].breaker != BreakerState::Closed {
        assert!(Instant::now() < deadline, "it does not come back");
        let _ = world.send("a", "hello").await;
        tokio::task::yield_now().await;
    }
    world.approved("a", "hello").await;
    assert_eq!(*world.seen.breaker.lock().unwrap(), [BreakerState::Open, BreakerState::HalfOpen, BreakerState::Closed]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_stays_out_while_it_is_ill() {
    let world = open(&plugin("")).await;
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut others = 0;
    while world.seen.faults().len() < 6 {
        assert!(Instant::now() < deadline, "it is never tried again");
        others += 1;
        let _ = world.send_as(&format!("other-{others}"), "a", "trap").await;
        tokio::task::yield_now().await;
    }
    let changes = world.seen.breaker.lock().unwrap().clone();
    assert!(!changes.contains(&BreakerState::Closed), "{changes:?}");
    assert_eq!(changes.iter().filter(|state| **state == BreakerState::HalfOpen).count(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_whose_messages_make_it_fail_is_not_asked_about_and_nobody_else_notices() {
    for (on_fault, isolation) in [("reject", "message"), ("hold", "worker")] {
        let more = format!("on_fault = '{on_fault}'\nisolation = '{isolation}'");
        let world = world(&plugin(&more).replace("'50ms'", "'60s'").replace("'100ms'", "'60s'")).await;
        for _ in 0..20 {
            assert!(!matches!(world.send_as("mallory", "a", "trap").await, Judged::Approved(_)));
            world.approved("b", "hello").await;
        }
        // It said nothing of these, and so they do not pass.
        assert!(!matches!(world.send_as("mallory", "a", "hello").await, Judged::Approved(_)));
        let status = &world.chain.status().plugins[0];
        assert_eq!((status.breaker, status.senders_paused), (BreakerState::Closed, 1));
        assert_eq!((status.tallied.faults, status.tallied.skipped), (3, 18), "{on_fault}");
        assert!(world.seen.breaker.lock().unwrap().is_empty(), "nothing has changed for all");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_a_failure_lets_pass_making_it_fail_gives_nobody_a_pause_to_speak_unjudged_in() {
    let toml = plugin("on_fault = 'pass'").replace("'50ms'", "'60s'").replace("'100ms'", "'60s'");
    let world = world(&toml).await;
    for _ in 0..20 {
        assert!(matches!(world.send_as("mallory", "a", "trap").await, Judged::Approved(_)));
    }
    assert!(matches!(world.send_as("mallory", "a", "hold").await, Judged::Held { .. }), "it is asked all the same");
    assert_eq!(world.chain.status().plugins[0].tallied.skipped, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_follows_from_a_person_is_theirs_to_answer_for() {
    let world = world(&plugin("").replace("'50ms'", "'60s'").replace("'100ms'", "'60s'")).await;
    let says = |cause: &str| Origin { hops: 1, cause: Some(UserId::new(cause).unwrap()), ..Origin::default() };
    let judge = async |cause: &str, text: &str| {
        let event = message_of("plugin:echo", "a", text);
        world.chain.judge(event, EventContext::of(Kind::Message, says(cause))).await
    };
    for _ in 0..5 {
        assert!(matches!(judge("mallory", "trap").await, Judged::Refused(..)));
    }
    assert!(matches!(judge("ada", "hello").await, Judged::Approved(_)), "the plugin may still answer others");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kept_plugin_keeps_its_breaker_through_a_reload() {
    let toml = plugin("").replace("'50ms'", "'60s'").replace("'100ms'", "'60s'");
    let world = open(&toml).await;
    let config = toml::from_str(&format!("{toml}\n[[chain]]\nrooms = ['b']\nplugins = ['it']")).unwrap();
    let (new, _) = world.chain.rebuild(&config, crate::support::plugins()).await.unwrap();
    assert_eq!(new.status().plugins[0].breaker, BreakerState::Open);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn how_a_plugin_is_can_be_asked() {
    let world = world(&misbehave("counter", "isolation = 'worker'")).await;
    for _ in 0..20 {
        world.approved("a", "hi").await;
    }
    let status = world.chain.status();
    let (plugin, tallied) = (&status.plugins[0], status.plugins[0].tallied);
    assert_eq!((plugin.plugin.as_str(), plugin.hash.len(), status.version.as_str()), ("it", 64, world.chain.version()));
    assert_eq!((tallied.calls, tallied.faults, tallied.skipped), (20, 0, 0));
    assert!(tallied.p50_us > 0 && tallied.p50_us <= tallied.p99_us, "{tallied:?}");
    assert!(tallied.memory_bytes > 64 << 10 && tallied.memory_bytes <= plugin.memory_limit_bytes, "{tallied:?}");
}
