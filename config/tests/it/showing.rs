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

/// By what a value is: the key of a url need not be called `url`.
#[test]
fn a_url_with_a_password_is_hidden_wherever_it_stands() {
    let text = r#"
admin_token = "hunter2-hunter2-hunter2"
[timeline.redis]
url = "redis://a"
sentinel = { master = "m", nodes = ["redis://confab:hunter2@one:26379"] }
[journal.kafka]
brokers = ["kafka:9092"]
options = { "sasl.oauthbearer.token.endpoint.url" = "https://me:hunter2@idp/", "client.id" = "https://h/?access_token=hunter2" }
[store.postgres]
url = "postgres://a"
[plugin.score]
module = "/score.wasm"
settings = { webhook = "https://hunter2@hooks.example.com/x", list = [{ to = "amqp://u:hunter2@mq" }] }
"#;
    let config: confab_config::Config = toml::from_str(text).unwrap();
    let shown = config.show().unwrap();
    assert!(!shown.contains("hunter2"), "{shown}");
    for kept in ["redis://confab:********@one:26379", "amqp://u:********@mq", "https://********@hooks.example.com/x"] {
        assert!(shown.contains(kept), "{kept}: {shown}");
    }
    let plain: confab_config::Config = toml::from_str("admin_hosts = ['a']\n[[room]]\nmatch = ['x']").unwrap();
    assert_eq!(plain.hide_secrets(), plain, "nothing else changes");
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
