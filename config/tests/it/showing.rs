//! What `confab config show` prints.

use crate::{load, load_with};

const CLUSTER: &str = r#"
[auth]
hmac_secret = "hunter2-hunter2-hunter2-hunter2-"
[timeline.redis]
url = "redis://confab:hunter2@127.0.0.1:6379"
[journal.kafka]
brokers = ["kafka:9092"]
options = { "sasl.password" = "hunter2", "sasl.username" = "confab" }
[store.postgres]
url = "postgres://confab:hunter2@127.0.0.1/confab"
[plugin.score]
module = "/score.wasm"
settings = { api_key = "hunter2", threshold = 0.8 }
[[chain]]
plugins = ["score"]
"#;

#[test]
fn secrets_are_stars_and_the_rest_stands() {
    let loaded = load(CLUSTER).unwrap();
    for text in
        [loaded.config.show().unwrap(), loaded.show_sources().unwrap(), format!("{:?}", loaded.effective().unwrap())]
    {
        assert!(!text.contains("hunter2"), "{text}");
        for kept in ["redis://confab:********@127.0.0.1:6379", "kafka:9092", "sasl.username", "0.8"] {
            assert!(text.contains(kept), "{kept}: {text}");
        }
    }
}

#[test]
fn every_line_says_where_its_value_came_from() {
    let env = [("CONFAB_LIMITS__FRAME", "128 KiB")];
    let loaded = load_with(
        "data = '/data'\n[limits]\nbody = '1 KiB'\n[[room]]\nmatch = ['a']\ndeep_recovery = false\n",
        &env,
        &[],
    )
    .unwrap();
    let folder = format!("{}/", loaded.base_dir.display());
    insta::assert_snapshot!(loaded.show_sources().unwrap().replace(&folder, ""));
}

#[test]
fn what_is_shown_can_be_loaded_again() {
    let shown =
        load("[limits]\nbody = '1 KiB'\n[[room]]\nmatch = ['a']\nhot_window = { events = 5 }\n").unwrap().config;
    assert_eq!(load(&shown.show().unwrap()).unwrap().config, shown);
}
