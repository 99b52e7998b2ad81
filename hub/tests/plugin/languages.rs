//! Plugins in other languages than Rust: they load, and judge, within the bounds that their manifests name.

use crate::support::{component, try_world, whole, world};
use confab_protocol::Refusal;

/// A hub.toml with the word filter of a language, and with what its manifest says that it needs.
fn filter(name: &str, settings: &str) -> String {
    let file = component(name);
    let needs = "memory = '64 MiB'\ntimeout = '5s'\nisolation = 'worker'";
    format!(
        "[plugin.it]\nmodule = '{}'\n{needs}\nsettings = {{ {settings} }}\n[[chain]]\nplugins = ['it']",
        file.display()
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_in_any_language_judges() {
    for name in xtask::wasm::SCRIPTS {
        let masks = world(&filter(name, "words = ['spam']")).await;
        assert_eq!(masks.approved("a", "buy SPAM now").await.body.text().as_deref(), Some("buy **** now"), "{name}");
        assert_eq!(masks.approved("a", "hello").await.body.text().as_deref(), Some("hello"), "{name}");
        let refuses = world(&filter(name, "words = ['spam'], action = 'reject', code = 499, reason = 'no'")).await;
        let refusal = refuses.refused("a", "spam").await;
        assert_eq!(refusal, Refusal::Plugin { code: 499, reason: "no".into(), details: None }, "{name}");
        assert!(masks.seen.faults().is_empty() && refuses.seen.faults().is_empty(), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_its_schema_does_not_allow_are_refused_before_it_is_asked() {
    for name in xtask::wasm::SCRIPTS {
        let error = try_world(&filter(name, "wrods = ['spam']")).await.err().map(|error| whole(&error));
        let told = error.unwrap_or_else(|| panic!("{name} takes a setting that is none"));
        assert!(told.contains("`wrods`: there is no such setting (its settings are action, code, "), "{told}");
        assert!(told.contains(&format!("{name}.wasm")), "{told}");
    }
}
