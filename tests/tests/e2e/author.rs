//! The author's loop: what `confab plugin …` does, as an author and an operator see it.

use crate::newcomer::{as_an_author, confab, edit};
use anyhow::{Context, Result};
use confab_tests::client::Client;
use confab_tests::eventually;
use confab_tests::process::program;
use confab_tests::world::{Embedded, component};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use xtask::services::{Life, Process};

/// A folder of this repository's plugins.
fn sources(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins").join(name)
}

/// Runs a verb and reads its JSON, however it ends.
fn asked(world: &Embedded, arguments: &[&str]) -> Result<Value> {
    let (status, out, err) = world.hub.verb(&[arguments, &["--json"]].concat())?;
    serde_json::from_str(&out).with_context(|| format!("confab {arguments:?}: {status}\n{out}{err}"))
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path is text")
}

/// Holds a built plugin to a file of cases, and gives how many passed.
fn passes(world: &Embedded, name: &str, cases: &Path) -> Result<u64> {
    let module = component(name)?;
    let done = asked(world, &["plugin", "test", text(&module), "--cases", text(cases)])?;
    let failed: Vec<&Value> =
        done["cases"].as_array().context("cases")?.iter().filter(|case| case["ok"] != true).collect();
    anyhow::ensure!(failed.is_empty(), "{name}: {failed:#?}");
    done["passed"].as_u64().context("a number of cases")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_golden_cases_pass_for_a_filter_in_every_language() -> Result<()> {
    let world = Embedded::prepared("")?;
    let cases = sources("word-filter/shared.golden.toml");
    for name in ["word-filter", "word-filter-js", "word-filter-py"] {
        assert_eq!(passes(&world, name, &cases)?, 13, "{name}");
    }
    for name in ["word-filter-js", "word-filter-py"] {
        let own = std::fs::canonicalize(sources(name).join("golden.toml"))?;
        assert_eq!(own, std::fs::canonicalize(&cases)?, "{name} has cases of its own");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_plugin_of_this_repository_passes_its_golden_cases_in_the_sandbox() -> Result<()> {
    let world = Embedded::prepared("")?;
    for name in xtask::wasm::PLUGINS {
        assert!(passes(&world, name, &sources(name).join("golden.toml"))? > 0, "{name}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_a_case_does_not_list_fails_the_case_and_names_the_address() -> Result<()> {
    let world = Embedded::prepared("")?;
    let module = component("link-preview")?;
    let cases = world.folder.path().join("cases.toml");
    std::fs::write(
        &cases,
        "[[case]]\nname = \"asks\"\nevent = { text = \"https://a.example/\" }\nexpect = { verdict = \"accept\" }\n\
         http = [{ url = \"https://b.example/\" }]\n",
    )?;
    let (status, out, _) = world.hub.verb(&["plugin", "test", text(&module), "--cases", text(&cases)])?;
    assert!(!status.success(), "{out}");
    assert!(out.contains("http\n        expected  requests to addresses that the case's `http` lists"), "{out}");
    assert!(out.contains("found     https://a.example/"), "{out}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_message_is_tried_with_its_verdict_time_and_memory() -> Result<()> {
    let world = Embedded::prepared("")?;
    let module = component("word-filter")?;
    let out = confab(&world, &["plugin", "run", text(&module), "-m", "buy spam now", "-s", "words=[\"spam\"]"])?;
    assert!(out.starts_with("replace   (") && out.contains("- {\"text\":\"buy spam now\"}"), "{out}");
    assert!(out.contains("+ {\"text\":\"buy **** now\"}") && out.contains("memory ") && out.contains("of 16"), "{out}");
    let tried = asked(&world, &["plugin", "run", text(&module), "-m", "spam", "-s", "words=[\"spam\"]"])?;
    assert_eq!(tried["outcome"]["body"], json!("{\"text\":\"****\"}"), "{tried}");
    let memory = tried["memory_bytes"].as_u64().context("memory")?;
    assert!((64 << 10..16 << 20).contains(&memory), "{tried}");
    let (status, _, err) = world.hub.verb(&["plugin", "run", text(&module), "-m", "x", "-s", "wrods=[]"])?;
    assert!(!status.success() && err.contains("`wrods`: there is no such setting") && err.contains("inspect"), "{err}");
    let flood = component("flood-guard")?;
    let rate = "rate={ messages = 1, per = \"10s\" }";
    assert!(confab(&world, &["plugin", "run", text(&flood), "-m", "x", "-s", rate])?.starts_with("accept"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bench_tells_time_and_memory_under_both_isolations() -> Result<()> {
    let world = Embedded::prepared("")?;
    let module = component("word-filter")?;
    let words = ["-s", "words=[\"spam\"]"];
    let done = asked(&world, &[&["plugin", "bench", text(&module), "--calls", "20"], &words[..]].concat())?;
    let costs = done["costs"].as_array().context("costs")?;
    assert_eq!(costs.iter().map(|cost| &cost["isolation"]).collect::<Vec<_>>(), ["worker", "message"]);
    for cost in costs {
        assert_eq!((&cost["calls"], &cost["faults"]), (&json!(20), &json!(0)));
        assert!(cost["memory_bytes"].as_u64().is_some_and(|bytes| (64 << 10..16 << 20).contains(&bytes)), "{cost}");
        assert!(cost["p50_us"].as_f64() <= cost["p99_us"].as_f64(), "{cost}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_says_what_it_is_asks_for_and_takes() -> Result<()> {
    let world = Embedded::prepared("")?;
    let out = confab(&world, &["plugin", "inspect", text(&component("flood-guard")?)])?;
    for line in [
        "flood-guard 1.0.0  Keeps people from posting too fast",
        "contract   confab:plugin 1.0.0",
        "asks for   kv: counts how often somebody posts, over all hubs",
        "size       ",
        "\nsettings\n",
    ] {
        assert!(out.contains(line), "{line}: {out}");
    }
    let said = asked(&world, &["plugin", "inspect", text(&component("word-filter-py")?)])?;
    assert_eq!((&said["imports"], &said["foreign_imports"]), (&json!([]), &json!([])), "{said}");
    assert_eq!(said["manifest"]["needs"]["isolation"], "worker");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_saved_is_built_tested_and_swapped_into_the_hub_and_what_fails_is_not() -> Result<()> {
    let mut world = Embedded::start("").await?;
    as_an_author(&mut world);
    let folder = world.folder.path().join("swapped");
    confab(&world, &["plugin", "new", "swapped", "--path", text(&folder)])?;
    confab(&world, &["plugin", "build", text(&folder)])?;
    confab(&world, &["plugin", "add", text(&folder.join("swapped.wasm")), "-s", "most=5", "--yes"])?;
    confab(&world, &["reload"])?;
    let ada = Client::connect(&world.hub.listen, "ada").await?;
    let log = world.folder.path().join("dev.log");
    let mut dev = world.hub.plain(program("confab"));
    dev.args(["plugin", "dev", text(&folder), "--builds", "3", "--config"]).arg(world.hub.config());
    let mut dev = Process::spawn(dev, &log, Life::WithUs)?;
    let says = async |words: &str| {
        let said = async || std::fs::read_to_string(&log).ok().filter(|said| said.contains(words));
        eventually(&format!("it says {words:?}"), said).await
    };
    // As it is, it is what the hub has already.
    says("nothing has changed about the chain").await;
    assert_eq!(ada.say("lobby", "k1", "a long story").await?.unwrap_err()["message"], "please be brief");
    // Its cases say otherwise: the hub never gets it.
    edit(&folder.join("src/lib.rs"), "\"please be brief\"),\n            _", "\"too long\"),\n            _")?;
    let said = says("3 passed, 1 failed").await;
    assert!(said.contains("FAIL  a long message is refused") && said.contains("found     too long"), "{said}");
    assert_eq!(ada.say("lobby", "k2", "a long story").await?.unwrap_err()["message"], "please be brief");
    edit(&folder.join("golden.toml"), "please be brief", "too long")?;
    says("changed  swapped").await;
    assert_eq!(ada.say("lobby", "k3", "a long story").await?.unwrap_err()["message"], "too long");
    let status = eventually("it ends after three builds", async || dev.exited().expect("it can be asked")).await;
    assert!(status.success(), "{status}");
    assert_eq!(world.hub.metric("confab_sessions_opened_total").await?, 1.0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_is_added_only_when_somebody_said_so_and_writes_nothing_but_itself() -> Result<()> {
    let world = Embedded::prepared("")?;
    let before = std::fs::read_to_string(world.hub.config())?;
    let module = component("word-filter")?;
    let (status, _, err) = world.hub.verb(&["plugin", "add", text(&module)])?;
    assert!(!status.success() && err.contains("no terminal to ask at") && err.contains("--yes"), "{err}");
    // A manifest that would begin a table of its own, or steer the terminal, or turn its text around.
    let bytes = std::fs::read(&module)?;
    let good = confab_plugin_kit::embed::read(&bytes).map_err(|why| anyhow::anyhow!(why.0))?;
    for planted in ["x\n[[room]]\njoin = \"anyone\" #", "\u{1b}[2J", "a\u{2028}[auth]", "a\u{202e}b", "\r[auth]"] {
        let mut manifest = good.manifest.clone().context("a manifest")?;
        manifest.description = planted.into();
        let evil = confab_plugin_kit::embed::embed(&bytes, Some(&manifest), good.schema.as_ref());
        let file = world.folder.path().join("evil.wasm");
        std::fs::write(&file, evil.map_err(|why| anyhow::anyhow!(why.0))?)?;
        for verb in [&["plugin", "add", text(&file), "--yes"][..], &["plugin", "inspect", text(&file)]] {
            let (status, out, err) = world.hub.verb(verb)?;
            assert!(!status.success() && err.contains("`description` is not plain text"), "{planted:?}: {out}{err}");
            assert!(!out.contains(planted) && !err.contains(planted), "{planted:?}: {out}{err}");
        }
        assert_eq!(std::fs::read_to_string(world.hub.config())?, before);
        let table = format!("[plugin.evil]\nmodule = {:?}\n[[chain]]\nplugins = [\"evil\"]\n", text(&file));
        let mut hub = Embedded::prepared(&table)?;
        assert!(hub.hub.start().await.is_err(), "{planted:?}: it loads");
        assert!(hub.hub.said().contains("`description` is not plain text"), "{}", hub.hub.said());
    }
    // What is plain and only looks like TOML stays in its one line.
    let mut manifest = good.manifest.context("a manifest")?;
    manifest.description = "it's \"quoted\" [[room]] join = 'anyone' # \\".into();
    let odd = confab_plugin_kit::embed::embed(&bytes, Some(&manifest), None);
    let file = world.folder.path().join("odd.wasm");
    std::fs::write(&file, odd.map_err(|why| anyhow::anyhow!(why.0))?)?;
    confab(&world, &["plugin", "add", text(&file), "--name", "odd", "--yes", "-s", "reason=\"\"\"a\n[auth]\"\"\""])?;
    let after: toml::Table = std::fs::read_to_string(world.hub.config())?.parse()?;
    assert_eq!(after["plugin"]["odd"]["settings"]["reason"].as_str(), Some("a\n[auth]"));
    assert!(!after.contains_key("room"), "{after}");
    Ok(())
}

/// What people say in the test of shadow, enforcement and replay, with the verdict that the filter should give.
const TRAFFIC: [(&str, &str); 8] = [
    ("hello there", "accept"),
    ("buy spam now", "replace"),
    ("SPAM and ham", "replace"),
    ("nothing to see", "accept"),
    ("ｓｐａｍ in disguise", "replace"),
    ("spamming is another word", "accept"),
    ("s.p.a.m", "accept"),
    ("the last word", "accept"),
];

/// A hub that judges by the word filter, as `confab plugin add` puts it into hub.toml.
async fn filtered(action: &str, more: &[&str]) -> Result<Embedded> {
    let mut world = Embedded::prepared("# a comment that stays\n")?;
    let module = component("word-filter")?;
    let action = format!("action={action}");
    let add = ["plugin", "add", text(&module), "-s", "words=[\"spam\"]", "-s", &action, "--yes"];
    let added = confab(&world, &[&add, more].concat())?;
    assert!(added.contains("[plugin.word-filter]"), "{added}");
    world.hub.rewrite(|old| {
        assert!(old.contains("# a comment that stays"));
        old.replace("[plugin.word-filter]\n", "[plugin.word-filter]\ntimeout = \"2s\"\n")
    })?;
    world.hub.start().await?;
    Ok(world)
}

/// Says everything, in order, and gives the verdict that each sender was told.
async fn say_all(world: &Embedded) -> Result<Vec<String>> {
    let ada = Client::connect(&world.hub.listen, "ada").await?;
    let mut told = Vec::new();
    for (n, (text, _)) in TRAFFIC.iter().enumerate() {
        told.push(match ada.say("lobby", &format!("k{n}"), text).await? {
            Ok(receipt) => receipt["verdict"].as_str().context("a verdict")?.to_owned(),
            Err(refusal) if refusal["code"] == 460 => "reject".to_owned(),
            Err(refusal) => format!("{refusal}"),
        });
    }
    Ok(told)
}

/// The verdicts of the trails, in the order of the room.
fn trails(world: &Embedded) -> Result<Vec<String>> {
    let page = asked(world, &["history", "lobby"])?;
    let mut events = page["events"].as_array().context("events")?.clone();
    events.sort_by_key(|event| event["offset"].as_u64());
    let step = |event: &Value| {
        let step = &event["trail"]["steps"][0];
        assert_eq!(step["shadow"], true, "{event}");
        step["verdict"].as_str().unwrap_or_default().to_owned()
    };
    Ok(events.iter().map(step).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn shadow_mode_and_replay_agree_with_enforcement_on_the_same_traffic() -> Result<()> {
    for action in ["mask", "reject"] {
        let enforced = say_all(&filtered(action, &[]).await?).await?;
        let named = if action == "mask" { "replace" } else { "reject" };
        let expected: Vec<&str> = TRAFFIC.iter().map(|(_, v)| if *v == "replace" { named } else { v }).collect();
        assert_eq!(enforced, expected, "what senders were told");

        let shadow = filtered(action, &["--shadow"]).await?;
        assert_eq!(say_all(&shadow).await?, ["accept"; TRAFFIC.len()], "a shadow changes nothing");
        assert_eq!(trails(&shadow)?, enforced, "the shadow's trail");

        let module = component("word-filter")?;
        let of = |from: &str, more: &[&str]| {
            let replay =
                ["plugin", "replay", text(&module), "--room", "lobby", "--like", "word-filter", "--from", from];
            asked(&shadow, &[&replay, more].concat())
        };
        let mut counted = BTreeMap::<&str, u64>::new();
        enforced.iter().for_each(|verdict| *counted.entry(verdict).or_default() += 1);
        let file = shadow.folder.path().join("history.json");
        std::fs::write(&file, confab(&shadow, &["history", "lobby", "--json"])?)?;
        for from in ["store", "journal", text(&file)] {
            let replayed = of(from, &[])?;
            assert_eq!(replayed["changed"], json!([]), "{from}: {replayed}");
            assert_eq!(replayed["verdicts"], json!(counted), "{from}");
        }
        // Other settings, other verdicts: each that would have been another is named.
        let other = of("store", &["-s", "split=true"])?;
        assert_eq!(other["changed"].as_array().map(Vec::len), Some(1), "{other}");
        assert_eq!(
            (&other["changed"][0]["was"], &other["changed"][0]["now"]["verdict"]),
            (&json!("accept"), &json!(named))
        );
        assert_eq!(other["changed"][0]["body"]["text"], "s.p.a.m");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_is_held_against_an_older_build_and_the_differences_are_a_table() -> Result<()> {
    let world = filtered("mask", &["--shadow"]).await?;
    say_all(&world).await?;
    let (old, new) = (component("word-filter")?, component("word-filter-py")?);
    let replay = ["plugin", "replay", text(&new), "--room", "lobby", "--against", text(&old), "-s", "words=[\"spam\"]"];
    let same = confab(&world, &replay)?;
    assert!(same.contains("8 events judged (5 accept, 3 replace), 0 verdicts changed"), "{same}");
    let (old, new) = (component("word-filter")?, component("word-filter-js")?);
    let replay = ["plugin", "replay", text(&new), "--room", "lobby", "--against", text(&old), "-s", "words=[\"spam\"]"];
    let out = confab(&world, &replay)?;
    let lines: Vec<&str> = out.lines().collect();
    assert!(lines[0].starts_with("place") && lines[0].ends_with("text"), "{out}");
    assert!(lines[1].contains("replace") && lines[1].contains("accept") && lines[1].contains("ｓｐａｍ"), "{out}");
    assert_eq!(lines[2], "8 events judged (6 accept, 2 replace), 1 verdicts changed", "{out}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_setting_that_the_plugin_does_not_know_ends_the_start_with_its_place_and_what_there_is() -> Result<()> {
    let module = component("word-filter")?;
    let table = format!("[plugin.filter]\nmodule = \"{}\"\nsettings = {{ wrods = [\"spam\"] }}\n", text(&module));
    let mut world = Embedded::prepared(&table)?;
    world.hub.launch()?;
    assert_eq!(world.hub.ended().await.code(), Some(78));
    let said = world.hub.said();
    for words in
        ["plugin `filter` does not take this setting", "hub.toml:", "there is no such setting", "its settings are"]
    {
        assert!(said.contains(words), "{words}: {said}");
    }
    Ok(())
}
