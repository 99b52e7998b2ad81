//! What is not loaded, and what the operator is told.

use crate::support::{misbehave, plugins, try_world, whole, world};
use std::io::Write;

/// What the operator is told of a hub.toml that cannot work.
async fn told(toml: &str) -> String {
    match try_world(toml).await {
        Ok(_) => panic!("it was loaded"),
        Err(error) => whole(&error),
    }
}

/// What the operator is told of a module with this text.
async fn told_of(wat: &str) -> String {
    let mut file = tempfile::Builder::new().suffix(".wat").tempfile().unwrap();
    file.write_all(wat.as_bytes()).unwrap();
    told(&format!("[plugin.it]\nmodule = '{}'", file.path().display())).await
}

#[tokio::test]
async fn a_capability_that_is_not_granted_is_refused_by_name() {
    let told = told(&misbehave("counter", "").replace("log = true", "log = false")).await;
    assert!(told.contains("plugin `it`") && told.contains("misbehave.wasm"), "{told}");
    assert!(told.contains("`confab:plugin/host-log@1.0.0`"), "{told}");
    assert!(told.contains("capabilities = { log = true }"), "{told}");
}

#[tokio::test]
async fn a_plugin_without_capabilities_needs_none() {
    let toml = "[plugin.it]\nmodule = 'word-filter.wasm'\ntimeout = '5s'\nsettings = { words = ['\"\"'] }";
    // The settings have quotes in them, which must reach the plugin as they are.
    let told = told(toml).await;
    assert!(told.contains("has no letter, it would never be found"), "{told}");
    world(&toml.replace("\"\"", "a\"b")).await;
}

#[tokio::test]
async fn a_plugin_for_another_contract_is_refused_by_its_version() {
    let told = told_of(r#"(component (import "confab:plugin/types@2.0.0" (instance)))"#).await;
    assert!(told.contains("version 2.0.0 of `confab:plugin`, this hub speaks 1.0"), "{told}");
}

#[tokio::test]
async fn what_is_no_plugin_is_refused() {
    assert!(told_of("(component)").await.contains("not a plugin"));
    assert!(told_of("(module)").await.contains("not a WebAssembly component"));
    assert!(told_of("gibberish").await.contains("not a WebAssembly component"));
    let no_exports = told_of(r#"(component (import "confab:plugin/types@1.0.0" (instance)))"#).await;
    assert!(no_exports.contains("exports"), "{no_exports}");
    let missing = told("[plugin.it]\nmodule = 'nowhere.wasm'").await;
    assert!(missing.contains("nowhere.wasm") && missing.contains("could not read"), "{missing}");
}

#[tokio::test]
async fn the_system_is_given_to_no_plugin() {
    let wasi = r#"(component
        (import "confab:plugin/types@1.0.0" (instance))
        (import "wasi:clocks/monotonic-clock@0.2.0" (instance)))"#;
    assert!(told_of(wasi).await.contains("`wasi:clocks/monotonic-clock@0.2.0`, which this hub gives to no plugin"));
}

#[tokio::test]
async fn a_pinned_module_is_that_one_or_none() {
    let hash = blake3::hash(&std::fs::read(plugins().join("link-notes.wasm")).unwrap()).to_hex().to_uppercase();
    let toml = |hash: &str| format!("[plugin.it]\nmodule = 'link-notes.wasm'\ntimeout = '5s'\nblake3 = '{hash}'");
    world(&toml(&hash)).await;
    let told = told(&toml(&"0".repeat(64))).await;
    assert!(told.contains(&hash.to_lowercase()) && told.contains(&"0".repeat(64)), "{told}");
}

#[tokio::test]
async fn a_plugin_that_does_not_start_is_not_loaded() {
    let refuses = told(&misbehave("configure-error", "")).await;
    assert!(refuses.contains("plugin `it`") && refuses.contains("these settings cannot work"), "{refuses}");
    let loops = told(&misbehave("configure-loop", "")).await;
    assert!(loops.contains("did not answer within 1s"), "{loops}");
    let large = told(&misbehave("counter", "memory = '64 KiB'")).await;
    assert!(large.contains("more than its 65536 bytes of memory"), "{large}");
    let unknown = told(&misbehave("sing", "")).await;
    assert!(unknown.contains("`mode`: unknown variant `sing`"), "{unknown}");
}

#[tokio::test]
async fn a_plugin_that_no_chain_uses_is_loaded_with_a_warning() {
    let world = world("[plugin.it]\nmodule = 'link-notes.wasm'\ntimeout = '5s'").await;
    assert_eq!(world.warnings, ["plugin `it` is in no chain: it judges nothing"]);
}

#[tokio::test]
async fn a_chain_that_cannot_be_is_told_by_its_number() {
    let unknown = told("[[chain]]\n[[chain]]\nplugins = ['ghost']").await;
    assert_eq!(unknown, "chain 2 uses plugin `ghost`, but there is no table [plugin.ghost]");
    let pattern = told("[[chain]]\nrooms = ['te*m']").await;
    assert!(pattern.starts_with("chain 1: ") && pattern.contains("te*m"), "{pattern}");
}
