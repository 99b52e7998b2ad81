//! The reference says what the code says: hub.toml, the documentation and `Default` cannot drift apart.

use confab_config::reference::{self, EXAMPLES, TEXT};
use confab_config::{
    Capabilities, ChainRule, Config, HttpGrant, KafkaConfig, KvGrant, PluginConfig, PostgresConfig, RedisConfig,
    SocketIoEvent,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The reference with every setting on.
fn all_on() -> toml::Table {
    let on = |line: &str| match line.strip_prefix('#') {
        Some(rest) if !rest.starts_with(' ') => rest.to_owned(),
        _ => line.to_owned(),
    };
    TEXT.lines().map(on).collect::<Vec<_>>().join("\n").parse().unwrap()
}

/// Every value with its path, without positions and with `<name>` for the plugin's name.
fn flat(table: &toml::Table) -> BTreeMap<String, toml::Value> {
    fn walk(path: String, value: &toml::Value, found: &mut BTreeMap<String, toml::Value>) {
        let open = ["options", "settings", "expect", "hot_window", "fields"];
        match value {
            toml::Value::Table(table) if !open.iter().any(|key| path.ends_with(key)) => {
                table.iter().for_each(|(key, value)| walk(format!("{path}.{key}"), value, found));
            }
            toml::Value::Array(array) if array.iter().any(toml::Value::is_table) => walk(path, &array[0], found),
            value => _ = found.insert(path[1..].replace("word-filter", "<name>"), value.clone()),
        }
    }
    let mut found = BTreeMap::new();
    walk(String::new(), &toml::Value::Table(table.clone()), &mut found);
    found
}

#[test]
fn the_reference_has_every_setting_with_its_default() {
    let mut config = Config::default();
    config.timeline.redis = Some(RedisConfig::default());
    config.journal.kafka = Some(KafkaConfig::default());
    config.store.postgres = Some(PostgresConfig::default());
    config.plugin.insert("word-filter".into(), PluginConfig::default());
    config.chain.push(ChainRule::default());
    config.socketio.push(SocketIoEvent::default());
    let defaults = flat(&toml::Table::try_from(&config).unwrap());
    let written = flat(&all_on());
    for (path, default) in &defaults {
        // What is empty here are lists of tables, and settings that have no default.
        if EXAMPLES.contains(&path.as_str()) || ["room", "test"].contains(&path.as_str()) {
            continue;
        }
        assert_eq!(written.get(path), Some(default), "`{path}` in reference.toml");
    }
    let window = &written["room.hot_window"];
    let default = confab_config::HotWindow::default();
    assert_eq!(window["events"].as_integer(), Some(default.events as i64));
    assert_eq!(window["age"].as_str(), Some("24h"));
    assert_eq!(default.age.as_secs(), 24 * 3600);
    let without_default: Vec<&str> =
        written.keys().map(String::as_str).filter(|path| !defaults.contains_key(*path)).collect();
    for path in without_default {
        assert!(EXAMPLES.contains(&path) || path.starts_with("room."), "`{path}` has no default in the code");
    }
}

#[test]
fn the_limits_of_a_grant_are_those_that_the_words_name() {
    let words = |name: &str| {
        let variable = reference::variables().into_iter().find(|variable| variable.name.ends_with(name)).unwrap();
        let (_, rest) = variable.words.split_once('{').unwrap();
        format!("{{{}}}", rest.split_once('}').unwrap().0)
    };
    let (kv, http) = (words("CAPABILITIES__KV"), words("CAPABILITIES__HTTP").replace("\"…\"", ""));
    let read: Capabilities = toml::from_str(&format!("kv = {kv}\nhttp = {http}")).unwrap();
    assert_eq!(read.kv, Some(KvGrant::default()));
    assert_eq!(read.http, Some(HttpGrant::default()));
    let fields = |grant: toml::Value| grant.as_table().unwrap().len();
    assert_eq!(kv.matches('=').count(), fields(toml::Value::try_from(KvGrant::default()).unwrap()));
    assert_eq!(http.matches('=').count(), fields(toml::Value::try_from(HttpGrant::default()).unwrap()));
}

#[test]
fn the_reference_has_every_field_of_every_struct() {
    let names: Vec<String> = reference::variables().into_iter().map(|variable| variable.name).collect();
    for (path, name) in confab_config::environment::settings() {
        assert!(names.contains(&name), "{}", path.join("."));
    }
    for (path, words) in [
        (
            "room",
            "match hot_window deep_recovery retention join create max_members permissions begin presence join_leave body reactions",
        ),
        ("chain", "rooms on plugins"),
        ("socketio", "on room emit shape fields"),
        ("test", "room send on roles expect"),
    ] {
        let fields: Vec<&str> = words.split(' ').collect();
        let sections = reference::sections();
        let section = sections.iter().find(|section| section.header == format!("[[{path}]]")).unwrap();
        assert_eq!(section.settings.iter().map(|setting| setting.key).collect::<Vec<_>>(), fields);
    }
}

#[test]
fn every_setting_and_every_table_has_its_words() {
    for section in reference::sections().into_iter().skip(1) {
        assert!(section.words.ends_with('.'), "{}", section.header);
        for setting in section.settings {
            assert!(setting.words.ends_with('.'), "{}.{}", section.header, setting.key);
        }
    }
}

#[test]
fn the_reference_as_it_stands_is_the_default() {
    let config: Config = toml::from_str(TEXT).unwrap();
    assert_eq!(config, Config::default());
}

#[test]
fn hub_toml_is_the_reference_opened_for_development_with_an_example() {
    same_as_file("hub.toml", &reference::development());
    let config: Config = toml::from_str(&reference::development()).unwrap();
    let example: Config = toml::from_str(reference::EXAMPLE).unwrap();
    let mut expected = example;
    expected.auth.insecure = true;
    assert_eq!(config, expected);
    let loaded = confab_config::load(Some(&root().join("hub.toml")), std::iter::empty(), Vec::new()).unwrap();
    assert_eq!(loaded.config.profile(), confab_config::Profile::Embedded);
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
}

#[test]
fn the_documentation_is_made_from_the_reference() {
    same_as_file("docs/reference/configuration.md", &reference::markdown());
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Compares with a file of the repository; `CONFAB_BLESS=1` writes it anew.
fn same_as_file(path: &str, expected: &str) {
    let path = root().join(path);
    if std::env::var_os("CONFAB_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, expected).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == expected, "{} is out of date: run `CONFAB_BLESS=1 cargo test -p confab-config`", path.display());
}
