//! Every way to fail has its name, ends in time, is answered by `on_fault`, and hurts nobody else.

use crate::support::{misbehave, world};
use confab_hub::plugin::Judged;
use confab_protocol::{Refusal, VerdictName};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Far longer than anything here takes, far shorter than for ever.
const SOON: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_way_to_fail_has_its_name_and_refuses_by_default() {
    let world = world(&misbehave("by-text", "")).await;
    for (mode, fault) in [
        ("memory", "memory"),
        ("trap", "trap"),
        ("panic", "trap"),
        ("stack", "stack"),
        ("invalid-utf8", "nonsense"),
        ("megabytes", "output"),
        ("not-json", "nonsense"),
        ("deep-json", "nonsense"),
        ("bad-code", "nonsense"),
        ("bad-annotation", "nonsense"),
    ] {
        let begin = Instant::now();
        let refusal = world.refused("a", mode).await;
        assert_eq!(refusal, Refusal::PluginFault { plugin: "it".into() }, "{mode}");
        assert_eq!(world.seen.faults().last(), Some(&fault), "{mode}");
        assert!(begin.elapsed() < SOON, "{mode} took {:?}", begin.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endless_loop_ends_at_its_timeout() {
    let world = world(&misbehave("loop", "").replace("'5s'", "'50ms'")).await;
    let begin = Instant::now();
    world.refused("a", "hi").await;
    assert_eq!(world.seen.faults(), ["timeout"]);
    assert!(begin.elapsed() >= Duration::from_millis(50) && begin.elapsed() < SOON, "{:?}", begin.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_follows_from_a_fault_is_for_the_operator_to_say() {
    let pass = world(&misbehave("trap", "on_fault = 'pass'")).await;
    let Judged::Approved(approved) = pass.send("a", "hi").await else { panic!("passed") };
    assert_eq!(approved.event.body.text().as_deref(), Some("hi"));
    assert_eq!(approved.trail.steps[0].verdict, VerdictName::Fault);
    assert_eq!(pass.seen.faults(), ["trap"]);

    let hold = world(&misbehave("bad-code", "on_fault = 'hold'")).await;
    let Judged::Held { plugin, reason, trail, event, .. } = hold.send("a", "hi").await else { panic!("held") };
    assert_eq!((plugin.as_str(), trail.steps.len()), ("it", 1));
    assert!(reason.contains("400 to 1999"), "{reason}");
    assert_eq!(event.body.text().as_deref(), Some("hi"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_that_is_slow_but_in_time_is_no_fault() {
    let world = world(&misbehave("spin", "").replace("n = 10000", "n = 5")).await;
    world.approved("a", "hi").await;
    assert!(world.seen.faults().is_empty());
}

/// Longer than a plugin may take in the tests in which others are at work.
const OTHERS: Duration = Duration::from_millis(60);

/// The one thread of the runtime is taken so often.
fn others_take_the_processor(times: usize) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        for _ in 0..times {
            std::thread::sleep(OTHERS);
            tokio::task::yield_now().await;
        }
    })
}

#[tokio::test]
async fn what_others_take_of_the_processor_is_not_the_plugins_time() {
    let toml = misbehave("spin", "isolation = 'worker'").replace("'5s'", "'50ms'");
    let world = world(&toml.replace("n = 10000", "n = 4")).await;
    let others = others_take_the_processor(5); // less than the second that a call waits for others
    let begin = Instant::now();
    world.approved("a", "hi").await;
    assert!(begin.elapsed() > OTHERS, "it had to wait in between");
    others.abort();
}

#[tokio::test]
async fn a_plugin_that_loops_among_others_ends_as_well() {
    let world = world(&misbehave("loop", "isolation = 'worker'").replace("'5s'", "'50ms'")).await;
    let others = others_take_the_processor(usize::MAX);
    let begin = Instant::now();
    world.refused("a", "hi").await;
    assert_eq!(world.seen.faults(), ["timeout"]);
    assert!(begin.elapsed() < SOON, "{:?}", begin.elapsed());
    others.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_plugins_that_loop_on_two_cores_do_not_stop_another_room() {
    let plugins = [("x", "loop"), ("y", "loop"), ("z", "counter")].map(|(name, mode)| {
        format!(
            "[plugin.{name}]\nmodule = 'misbehave.wasm'\ntimeout = '3s'\ncapabilities = {{ log = true }}\n\
             settings = {{ mode = '{mode}' }}\n[[chain]]\nrooms = ['{name}']\nplugins = ['{name}']\n"
        )
    });
    let world = Arc::new(world(&plugins.concat()).await);

    let mut loops = Vec::new();
    for room in ["x", "y", "x", "y"] {
        let world = Arc::clone(&world);
        loops.push(tokio::spawn(async move { world.refused(room, "hi").await }));
    }
    for _ in 0..50 {
        world.approved("z", "hi").await;
    }
    assert!(loops.iter().all(|running| !running.is_finished()), "the loops were over before the others were judged");
    assert!(world.seen.faults().is_empty());
    for running in loops {
        assert!(matches!(running.await.unwrap(), Refusal::PluginFault { .. }));
    }
    assert_eq!(world.seen.faults(), ["timeout"; 4]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_all_places_are_taken_a_call_waits_for_a_moment_and_is_then_refused() {
    let world = Arc::new(world(&misbehave("by-text", "")).await);
    let places = (2 * std::thread::available_parallelism().unwrap().get()).max(4);
    let loops: Vec<_> = (0..places)
        .map(|_| {
            let world = Arc::clone(&world);
            tokio::spawn(async move { world.send("a", "loop").await })
        })
        .collect();
    // The places are given in the order in which they are asked for; wait until nobody else asks.
    let deadline = Instant::now() + SOON;
    while world.seen.faults().is_empty() {
        assert!(Instant::now() < deadline);
        let _ = world.send("a", "hello").await;
    }
    assert_eq!(world.seen.faults()[0], "busy");
    for running in &loops {
        running.abort();
    }
    for running in loops {
        let _ = running.await;
    }
    // Nothing is left of the calls whose callers went away.
    world.approved("a", "hello").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_its_memory_cannot_take_is_not_even_handed_to_it() {
    let world = world(&misbehave("counter", "memory = '2 MiB'")).await;
    world.refused("a", &"x".repeat(700 << 10)).await;
    assert_eq!(world.seen.faults(), ["input"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_call_may_write_to_the_log_is_bounded_and_the_rest_is_counted() {
    let world = world(&misbehave("log-flood", "")).await;
    world.approved("a", "hi").await;
    let lines: u64 = (0..10_000).map(|line| format!("line {line} of far too many").len() as u64).sum();
    let cut = *world.seen.log_cut.lock().unwrap();
    assert!(cut < lines && cut > lines - (9 << 10), "{cut} of {lines} bytes were dropped");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_memory_bombs_leave_nothing_behind() {
    let world = world(&misbehave("memory", "memory = '4 MiB'")).await;
    world.refused("a", "hi").await;
    let before = resident_bytes();
    for _ in 0..1000 {
        world.refused("a", "hi").await;
    }
    let grown = resident_bytes().saturating_sub(before);
    // Other tests run meanwhile; what leaked would be four gigabytes.
    assert!(grown < 400 << 20, "{grown} bytes more");
    assert_eq!(world.seen.faults(), ["memory"; 1001]);
}

fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}
