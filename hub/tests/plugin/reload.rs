//! A reload builds the whole new chain beside the old; what has not changed is handed on.

use crate::support::{message, plugins, whole, world};
use confab_config::{Config, JudgedKind};
use confab_hub::plugin::{Chain, Error, Judged};

const COUNTER: &str = "[plugin.counter]\nmodule = 'misbehave.wasm'\ntimeout = '5s'\nisolation = 'worker'\n\
    capabilities = { log = true }\nsettings = { mode = 'counter' }\n";
const NOTES: &str = "[plugin.notes]\nmodule = 'link-notes.wasm'\ntimeout = '5s'\n";
const CHAIN: &str = "[[chain]]\nplugins = ['counter']\n";

async fn rebuilt(chain: &Chain, toml: &str) -> Result<Chain, Error> {
    let config: Config = toml::from_str(toml).expect("the test's hub.toml is well-formed");
    Ok(chain.rebuild(&config, plugins()).await?.0)
}

async fn count(chain: &Chain) -> u64 {
    let Judged::Approved(approved) = chain.judge(message("a", "hi"), JudgedKind::Send).await else {
        panic!("approved")
    };
    approved.event.annotations["counter.calls"].read().unwrap()
}

#[tokio::test]
async fn a_plugin_that_has_not_changed_goes_on_with_its_instances() {
    let old = world(&format!("{COUNTER}{CHAIN}")).await.chain;
    assert_eq!((count(&old).await, count(&old).await), (1, 2));
    let new = rebuilt(&old, &format!("{COUNTER}{NOTES}[[chain]]\nplugins = ['notes', 'counter']\n")).await.unwrap();
    assert_eq!(count(&new).await, 3, "it remembers what it did in the old chain");
    let changes = new.changes_since(&old);
    assert_eq!((changes.kept, changes.added), (vec!["counter".into()], vec!["notes".into()]));
    assert_ne!(new.version(), old.version());
    let back = rebuilt(&new, &format!("{COUNTER}{CHAIN}")).await.unwrap();
    assert_eq!(back.changes_since(&new).removed, ["notes"]);
    assert_eq!(back.version(), old.version());
}

#[tokio::test]
async fn a_plugin_with_other_settings_limits_or_bytes_begins_anew() {
    let old = world(&format!("{COUNTER}{CHAIN}")).await.chain;
    count(&old).await;
    for (from, to) in
        [("'5s'", "'4s'"), ("'worker'", "'worker'\non_fault = 'pass'"), ("'counter' }", "'counter', n = 1 }")]
    {
        let new = rebuilt(&old, &format!("{}{CHAIN}", COUNTER.replacen(from, to, 1))).await.unwrap();
        assert_eq!(count(&new).await, 1, "{to}");
        assert_eq!(new.changes_since(&old).changed, ["counter"], "{to}");
    }
    let other = COUNTER.replace("misbehave", "word-filter").replace("mode = 'counter'", "words = []");
    let new = rebuilt(&old, &format!("{other}{CHAIN}")).await.unwrap();
    assert_eq!(new.changes_since(&old).changed, ["counter"]);
}

#[tokio::test]
async fn a_chain_that_cannot_be_made_takes_nothing_from_the_old_one() {
    let old = world(&format!("{COUNTER}{CHAIN}")).await.chain;
    count(&old).await;
    let broken = format!("{COUNTER}{NOTES}[plugin.no]\nmodule = 'no.wasm'\n[[chain]]\nplugins = ['notes', 'no']\n");
    let error = rebuilt(&old, &broken).await.err().expect("there is no such file");
    assert!(whole(&error).contains("cannot load plugin `no`"), "{}", whole(&error));
    assert_eq!(count(&old).await, 2);
}

#[tokio::test]
async fn a_rehearsal_is_not_counted() {
    let world = world(&format!("{COUNTER}{CHAIN}")).await;
    let _ = world.chain.dry_run(message("a", "hi"), JudgedKind::Send).await;
    assert!(world.seen.judged.lock().unwrap().is_empty());
}
