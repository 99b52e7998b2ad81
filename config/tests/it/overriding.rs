//! Default, then file, then environment, then flag; and what the names in the environment mean.

use crate::{load, load_with, refusal};
use confab_config::{Origin, Path, Size};

const PLUGIN: &str = "[plugin.word-filter]\nmodule = 'w.wasm'\n[[chain]]\nplugins = ['word-filter']\n";

fn origin(loaded: &confab_config::Loaded, path: &str) -> Origin {
    loaded.sources.of(&Path::of(path))
}

#[test]
fn the_later_layer_wins_and_every_value_knows_where_it_came_from() {
    let text = "[limits]\nbody = '1 KiB'\nframe = '2 KiB'\noutbox = '1 MiB'\n";
    let env = [("CONFAB_LIMITS__FRAME", "4 KiB"), ("CONFAB_LIMITS__OUTBOX", "2 MiB")];
    let loaded = load_with(text, &env, &["limits.outbox=3 MiB"]).unwrap();
    let limits = &loaded.config.limits;
    assert_eq!((limits.body, limits.frame, limits.outbox), (Size::kib(1), Size::kib(4), Size::mib(3)));
    assert_eq!(limits.sessions, 100_000);
    assert!(matches!(origin(&loaded, "limits.body"), Origin::File { line: 2, .. }));
    assert_eq!(origin(&loaded, "limits.frame"), Origin::Environment { name: "CONFAB_LIMITS__FRAME".into() });
    assert_eq!(origin(&loaded, "limits.outbox"), Origin::Flag);
    assert_eq!(origin(&loaded, "limits.sessions"), Origin::Default);
}

#[test]
fn a_plugin_of_the_file_can_be_changed_in_the_environment() {
    let env = [
        ("CONFAB_PLUGIN__WORD_FILTER__TIMEOUT", "7ms"),
        ("CONFAB_PLUGIN__WORD_FILTER__CAPABILITIES__LOG", "true"),
        ("CONFAB_PLUGIN__WORD_FILTER__SETTINGS__WORDS", "['spam', 'scam']"),
    ];
    let loaded = load_with(PLUGIN, &env, &[]).unwrap();
    let plugin = &loaded.config.plugin["word-filter"];
    assert_eq!(plugin.timeout.as_millis(), 7);
    assert!(plugin.capabilities.log);
    assert_eq!(plugin.settings["words"].as_array().unwrap().len(), 2);
    let message = refusal(PLUGIN, &[("CONFAB_PLUGIN__WORD_FITLER__TIMEOUT", "7ms")], &[]);
    assert!(message.contains("did you mean `CONFAB_PLUGIN__WORD_FILTER__TIMEOUT`?"), "{message}");
}

#[test]
fn a_secret_of_digits_is_text_and_quotes_around_text_are_taken_off() {
    let digits = "12345678901234567890123456789012";
    let loaded = load_with("", &[("CONFAB_AUTH__HMAC_SECRET", digits)], &[]).unwrap();
    assert_eq!(loaded.config.hmac_secret().unwrap().unwrap().expose(), digits);
    let loaded = load_with("", &[("CONFAB_DATA", "\"/var/lib/confab\"")], &[]).unwrap();
    assert_eq!(loaded.config.data.to_str(), Some("/var/lib/confab"));
    let two_lines = "true\nlisten = '0.0.0.0:1'";
    let message = refusal("", &[("CONFAB_AUTH__INSECURE", two_lines)], &[]);
    assert!(message.contains("expected `true` or `false`"), "{message}");
}

#[test]
fn a_secret_in_the_environment_replaces_the_file_of_the_secret() {
    let secret = "0123456789abcdef0123456789abcdef";
    let text = "[auth]\nhmac_secret_file = '/no/such/file'\n";
    let loaded = load_with(text, &[("CONFAB_AUTH__HMAC_SECRET", secret)], &[]).unwrap();
    assert_eq!(loaded.config.hmac_secret().unwrap().unwrap().expose(), secret);
    let both = [("CONFAB_AUTH__HMAC_SECRET", secret), ("CONFAB_AUTH__HMAC_SECRET_FILE", "/x")];
    let message = refusal("", &both, &[]);
    assert!(message.contains("both `auth.hmac_secret` and `auth.hmac_secret_file` are given"), "{message}");
    assert!(!message.contains(secret), "{message}");
}

#[test]
fn the_whole_cluster_can_be_given_in_the_environment() {
    let env = [
        ("CONFAB_TIMELINE__REDIS__URL", "redis://127.0.0.1:6379"),
        ("CONFAB_JOURNAL__KAFKA__BROKERS", "[\"127.0.0.1:9092\"]"),
        ("CONFAB_JOURNAL__KAFKA__OPTIONS__SASL_PASSWORD", "x"),
        ("CONFAB_STORE__POSTGRES__URL", "postgres://127.0.0.1/confab"),
    ];
    let loaded = load_with("", &env, &[]).unwrap();
    assert_eq!(loaded.config.profile(), confab_config::Profile::Cluster);
    assert_eq!(loaded.config.journal.kafka.unwrap().options["sasl.password"], "x");
    let message = refusal("", &env[..1], &[]);
    assert!(message.contains("neither the embedded nor the cluster profile"), "{message}");
    assert!(message.contains("`timeline.redis.url` comes from env CONFAB_TIMELINE__REDIS__URL"), "{message}");
}

#[test]
fn an_unknown_name_is_an_error_with_a_suggestion() {
    let message = |name| refusal("", &[(name, "1")], &[]);
    assert!(message("CONFAB_LIMITS__FRAEM").contains("did you mean `CONFAB_LIMITS__FRAME`?"));
    assert!(message("CONFAB_LIMITS_FRAME").contains("did you mean `CONFAB_LIMITS__FRAME`?"));
    assert!(message("CONFAB_BANANA").contains("`confab config env` lists every name"));
    assert!(message("CONFAB_LIMITS").contains("names a table, not a setting"));
    assert!(message("CONFAB_ROOM").contains("`[[room]]` tables stand in hub.toml only"));
    assert!(message("CONFAB_CHAIN__0__ROOMS").contains("`[[chain]]` tables stand in hub.toml only"));
    assert!(message("CONFAB_PLUGIN__NEW__MODULE").contains("only if hub.toml has a `[plugin.…]` table"));
}

#[test]
fn names_for_tests_and_tools_are_no_settings() {
    let env = [("CONFAB_TEST_REDIS", "x"), ("CONFAB_LOG", "debug"), ("CONFAB_FAILPOINT_X", "1"), ("OTHER", "1")];
    assert!(load_with("", &env, &[]).is_ok());
}

/// Of a Service called `confab`, and of one called `confab-hub`, with a named port and over IPv6.
#[test]
fn what_kubernetes_sets_for_a_service_of_our_name_is_passed_over_in_one_line() {
    let env = [
        ("CONFAB_PORT", "tcp://10.96.3.7:8000"),
        ("CONFAB_PORT_8000_TCP", "tcp://10.96.3.7:8000"),
        ("CONFAB_PORT_8000_TCP_ADDR", "10.96.3.7"),
        ("CONFAB_PORT_8000_TCP_PORT", "8000"),
        ("CONFAB_PORT_8000_TCP_PROTO", "tcp"),
        ("CONFAB_SERVICE_HOST", "10.96.3.7"),
        ("CONFAB_SERVICE_PORT", "8000"),
        ("CONFAB_SERVICE_PORT_HTTP", "8000"),
        ("CONFAB_HUB_PORT", "udp://[fd00::7]:9000"),
        ("CONFAB_HUB_SERVICE_HOST", "fd00::7"),
        ("CONFAB_LIMITS__FRAME", "128 KiB"),
    ];
    let loaded = load_with("", &env, &[]).unwrap();
    assert_eq!(loaded.config.limits.frame, Size::kib(128));
    let said: Vec<String> = loaded.warnings.iter().map(|warning| warning.to_string()).collect();
    let of_them: Vec<&String> = said.iter().filter(|line| line.contains("Kubernetes")).collect();
    assert_eq!(of_them.len(), 1, "{said:?}");
    assert!(of_them[0].contains("`CONFAB_HUB_PORT` and 9 more"), "{of_them:?}");
}

#[test]
fn what_only_looks_like_it_is_still_an_error() {
    for (name, value) in [
        ("CONFAB_PORT", "8000"),
        ("CONFAB_PORT", "tcp://confab:8000"),
        ("CONFAB_SERVICE_HOST", "confab.example.com"),
        ("CONFAB_SERVICE_PORT", "http"),
        ("CONFAB_PORT_8000_TCP_PROTO", "http"),
        ("CONFAB_PORT_8000_TCP_NAME", "x"),
        ("CONFAB_LISTEN_PORT", "8000"),
    ] {
        let message = refusal("", &[(name, value)], &[]);
        assert!(message.contains(&format!("`{name}` names no setting")), "{name}={value}: {message}");
    }
}

#[test]
fn a_bad_value_from_the_environment_names_the_variable() {
    let message = refusal("", &[("CONFAB_LIMITS__FRAME", "64")], &[]);
    assert!(message.contains("bad value for `limits.frame`: `64` is not a size"), "{message}");
    assert!(message.contains("`CONFAB_LIMITS__FRAME`"), "{message}");
    let message = refusal("", &[("CONFAB_JOURNAL__KAFKA__BROKERS", "kafka:9092")], &[]);
    assert!(message.contains("write `[\"kafka:9092\"]`"), "{message}");
    let message = refusal("", &[], &["limits.frame=64"]);
    assert!(message.contains("set by a flag"), "{message}");
    let message = refusal("", &[], &["limits.fraem=64"]);
    assert!(message.contains("did you mean `limits.frame`?"), "{message}");
}

#[test]
fn paths_of_the_file_are_relative_to_its_folder() {
    let loaded = load_with(PLUGIN, &[("CONFAB_DATA", "elsewhere")], &[]).unwrap();
    assert_eq!(loaded.config.plugin["word-filter"].module, loaded.base_dir.join("w.wasm"));
    assert_eq!(loaded.config.data.to_str(), Some("elsewhere"));
    assert_eq!(load("").unwrap().config.data.file_name().unwrap(), "confab-data");
}

#[test]
fn a_secret_is_read_from_its_file_without_the_last_line_break() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("secret"), "0123456789abcdef0123456789abcdef\n").unwrap();
    let file = folder.path().join("hub.toml");
    std::fs::write(&file, "[auth]\nhmac_secret_file = 'secret'\n").unwrap();
    let loaded = crate::load_file(&file, &[], &[]).unwrap();
    assert_eq!(loaded.config.hmac_secret().unwrap().unwrap().expose(), "0123456789abcdef0123456789abcdef");
    assert!(loaded.check_serving().is_empty());
}

#[test]
fn the_variable_names_the_file_where_no_flag_does() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("other.toml");
    std::fs::write(&file, "data = 'here'").unwrap();
    let env = [("CONFAB_CONFIG".to_owned(), file.display().to_string())];
    let loaded = confab_config::load(None, env.into_iter(), Vec::new()).unwrap();
    assert_eq!(loaded.config.data, folder.path().join("here"));
    assert_eq!(loaded.file, Some(file));
}
