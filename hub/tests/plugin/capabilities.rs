//! What a plugin may do besides judging: only what is granted, only while it judges, and within bounds.

use crate::support::{BOTH, plugins, reach, try_world, whole, world};
use confab_protocol::Refusal;
use std::collections::BTreeSet;
use std::io::Write;

/// What the operator is told of a hub.toml that cannot work.
async fn told(toml: &str) -> String {
    match try_world(toml).await {
        Ok(_) => panic!("it was loaded"),
        Err(error) => whole(&error),
    }
}

/// A component with this text, as a hub.toml that grants it `capabilities`.
fn component(wat: &str, capabilities: &str) -> (tempfile::NamedTempFile, String) {
    let mut file = tempfile::Builder::new().suffix(".wat").tempfile().unwrap();
    file.write_all(wat.as_bytes()).unwrap();
    let toml = format!("[plugin.it]\nmodule = '{}'\ncapabilities = {{ {capabilities} }}", file.path().display());
    (file, toml)
}

/// An interface with a function.
const CALLED: &str = r#"(instance (export "now" (func)))"#;

#[tokio::test]
async fn each_capability_that_is_asked_for_and_not_granted_is_refused_with_the_line_that_grants_it() {
    let granted = "log = true";
    for (interface, line) in [
        ("host-clock", "capabilities = { clock = true, log = true }"),
        ("host-random", "capabilities = { log = true, random = true }"),
        ("host-kv", "capabilities = { kv = true, log = true }"),
        ("host-http", "capabilities = { http = [\"https://host.example\"], log = true }"),
        ("host-emit", "capabilities = { emit = true, log = true }"),
    ] {
        let wat = format!(r#"(component (import "confab:plugin/{interface}@1.0.0" {CALLED}))"#);
        let (file, toml) = component(&wat, granted);
        let expected = format!(
            "cannot load plugin `it` from {}: it imports `confab:plugin/{interface}@1.0.0`, not granted: if it should have \
             that, write `{line}` under [plugin.it] in hub.toml",
            file.path().display()
        );
        assert_eq!(told(&toml).await, expected);
    }
    let wat = format!(r#"(component (import "confab:plugin/host-log@1.0.0" {CALLED}))"#);
    let (_file, toml) = component(&wat, "clock = true");
    assert!(told(&toml).await.contains("write `capabilities = { clock = true, log = true }`"));
}

#[tokio::test]
async fn an_interface_of_which_only_the_types_are_used_needs_no_grant() {
    let level = r#"(instance (type $level (enum "debug" "info" "warn")) (export "level" (type (eq $level))))"#;
    let (_file, toml) = component(&format!(r#"(component (import "confab:plugin/host-log@1.0.0" {level}))"#), "");
    // It gets as far as to what it does not export.
    assert!(told(&toml).await.contains("its exports are not those of the contract"));
}

#[tokio::test]
async fn all_that_is_missing_is_named_at_once() {
    let toml = reach(BOTH, "").replace("clock = true, random = true, kv = true", "kv = false");
    let told = told(&toml).await;
    for interface in ["host-clock", "host-random", "host-kv"] {
        assert!(told.contains(&format!("`confab:plugin/{interface}@1.0.0`")), "{told}");
    }
    let line = "{ clock = true, http = [\"https://a.example\"], kv = true, log = true, random = true }";
    assert!(told.contains(line), "{told}");
}

/// A component has no other way out than its imports: code inside that calls what the component does not import makes no
/// component. The hub looks at the imports; that there is nothing beside them is for the validation of WebAssembly.
#[tokio::test]
async fn what_is_not_imported_cannot_be_used_even_if_it_is_granted() {
    let (_file, toml) = component(
        r#"(component
            (import "confab:plugin/types@1.0.0" (instance))
            (core module $m
                (import "confab:plugin/host-clock@1.0.0" "now" (func $now (result i64)))
                (func (export "steal") (result i64) (call $now)))
            (core instance (instantiate $m)))"#,
        "clock = true",
    );
    let told = told(&toml).await;
    assert!(told.contains("not a WebAssembly component that this hub can run"), "{told}");
    assert!(told.contains("missing module instantiation argument"), "{told}");
}

#[tokio::test]
async fn an_interface_of_the_host_that_nobody_knows_is_given_to_no_plugin() {
    let (_file, toml) = component(r#"(component (import "confab:plugin/host-gold@1.0.0" (instance)))"#, BOTH);
    assert!(told(&toml).await.contains("`confab:plugin/host-gold@1.0.0`, which this hub gives to no plugin"));
}

#[tokio::test]
async fn a_plugin_that_is_granted_everything_and_wants_nothing_judges_as_before() {
    let toml = "[plugin.it]\nmodule = 'word-filter.wasm'\ntimeout = '5s'\nsettings = { words = ['spam'] }\n\
                capabilities = { log = true, clock = true, random = true, kv = true, http = ['https://a.example'] }\n\
                [[chain]]\nplugins = ['it']";
    let world = world(toml).await;
    assert_eq!(world.approved("a", "spam").await.body.text().as_deref(), Some("****"));
    assert!(world.seen.host.lock().unwrap().is_empty());
    assert!(plugins().join("reach.wasm").is_file());
}

#[tokio::test]
async fn whoever_asks_while_it_is_configured_is_not_loaded() {
    for isolation in ["message", "worker"] {
        for early in ["log", "clock", "random", "kv", "http"] {
            let toml = reach(BOTH, &format!("isolation = '{isolation}'\nsettings = {{ configure = '{early}' }}"));
            let told = told(&toml).await;
            assert!(told.contains("plugin `it`") && told.contains("while it was configured"), "{early}: {told}");
            assert!(told.contains(if early == "log" { "too early" } else { early }), "{early}: {told}");
        }
    }
}

#[tokio::test]
async fn the_clock_tells_the_time_and_its_other_hand_never_goes_back() {
    let world = world(&reach(BOTH, "")).await;
    let before = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis();
    let said = world.said("clock").await;
    let after = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis();
    let numbers: Vec<u128> = said.split(' ').map(|number| number.parse().unwrap()).collect();
    assert!((before..=after).contains(&numbers[0]), "{before} {said} {after}");
    assert!(numbers[1] <= numbers[2], "{said}");
    assert_eq!(world.seen.host("clock", "ok"), 3);
}

#[tokio::test]
async fn dice_fall_differently_each_time_and_bytes_are_spread() {
    let world = world(&reach(BOTH, "")).await;
    let mut thrown = BTreeSet::new();
    for _ in 0..10 {
        let said = world.said("dice").await;
        thrown.extend(said.split(' ').map(|number| number.parse::<u64>().unwrap()));
    }
    assert_eq!(thrown.len(), 20);
    assert_eq!(world.said("random 0").await, "0 0");
    // Of 4096 fair bytes, that one of 256 values is missing happens about once in 34 000 runs; that ten are, never.
    let (bytes, kinds) =
        world.said("random 4096").await.split_once(' ').map(|(b, k)| (b.to_owned(), k.parse::<u32>())).unwrap();
    assert_eq!(bytes, "4096");
    assert!(kinds.unwrap() > 246);
}

#[tokio::test]
async fn more_randomness_than_the_contract_allows_is_a_fault() {
    let world = world(&reach(BOTH, "isolation = 'worker'")).await;
    for length in ["4097", "4294967295"] {
        assert_eq!(world.refused("a", &format!("random {length}")).await, Refusal::PluginFault { plugin: "it".into() });
    }
    assert_eq!(world.seen.faults(), ["misuse"; 2]);
    assert_eq!(world.seen.host("random", "misuse"), 2);
    world.said("dice").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_randomness_ends_with_the_call_and_is_counted() {
    let world = world(&reach(BOTH, "").replace("'5s'", "'200ms'")).await;
    world.refused("a", "random-flood").await;
    assert_eq!(world.seen.faults(), ["timeout"]);
    assert!(world.seen.host("random", "ok") > 10);
}
