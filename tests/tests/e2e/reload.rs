//! Reload: all of it or nothing, and nobody is disconnected.

use anyhow::{Context, Result};
use confab_tests::client::Client;
use confab_tests::eventually;
use confab_tests::world::{Embedded, component, plugin};
use serde_json::{Value, json};
use std::process::ExitStatus;

fn filter(word: &str) -> Result<String> {
    plugin("filter", "word-filter", &format!("timeout = \"2s\"\nsettings = {{ words = [\"{word}\"] }}"))
}

/// A hub that masks `spam` everywhere; `top` stands before the first table.
async fn world(top: &str) -> Result<Embedded> {
    let mut world = Embedded::prepared(&format!("{}[[chain]]\nplugins = [\"filter\"]\n", filter("spam")?))?;
    world.hub.rewrite(|old| format!("{top}\n{old}"))?;
    world.hub.start().await?;
    Ok(world)
}

fn reload(world: &Embedded, more: &[&str]) -> Result<(ExitStatus, String, String)> {
    world.hub.verb(&[&["reload"], more].concat())
}

fn reloaded(world: &Embedded) -> Result<Value> {
    let (status, out, err) = reload(world, &["--json"])?;
    anyhow::ensure!(status.success(), "{status}: {out}{err}");
    Ok(serde_json::from_str(&out)?)
}

/// What becomes of a text.
async fn heard(client: &mut Client, text: &str) -> Result<String> {
    client.rpc("send", json!({"room": "lobby", "body": {"text": text}})).await?.unwrap();
    let heard = client.publication().await?;
    Ok(heard["pub"]["data"]["text"].as_str().context("a text is heard")?.to_owned())
}

async fn listener(world: &Embedded) -> Result<Client> {
    let client = Client::connect(&world.hub.listen, "ada").await?;
    client.subscribe("lobby", None).await?.unwrap();
    Ok(client)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_swaps_the_chain_and_disconnects_nobody() -> Result<()> {
    let world = world("").await?;
    let mut ada = listener(&world).await?;
    assert_eq!(heard(&mut ada, "spam and ham").await?, "**** and ham");
    world.hub.rewrite(|old| old.replace("\"spam\"", "\"ham\""))?;
    let answer = reloaded(&world)?;
    assert_ne!(answer["from"], answer["to"]);
    assert_eq!(answer["plugins"], json!({"added": [], "changed": ["filter"], "removed": [], "kept": []}));
    assert_eq!(heard(&mut ada, "spam and ham").await?, "spam and ***");
    let (_, page) = world.hub.admin_api().get("/api/v1/history?room=lobby").await?;
    let page: Value = serde_json::from_str(&page)?;
    let trails: Vec<&Value> = page["events"].as_array().unwrap().iter().map(|event| &event["trail"]["chain"]).collect();
    assert_eq!(trails, [&answer["to"], &answer["from"]], "each event says which chain judged it");
    assert_eq!(world.hub.metric("confab_reloads_total{result=\"reloaded\"}").await?, 1.0);
    assert_eq!(reloaded(&world)?["plugins"]["kept"], json!(["filter"]));
    assert_eq!(world.hub.metric("confab_reloads_total{result=\"unchanged\"}").await?, 1.0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_refused_as_a_whole_and_shown_with_its_place() -> Result<()> {
    let world = world("").await?;
    let mut ada = listener(&world).await?;
    let good = "\"spam\"";
    let no_file = format!("[plugin.gone]\nmodule = \"{}.gone\"\n", component("word-filter")?.display());
    let test = "[[test]]\nroom = \"lobby\"\nsend = \"eggs\"\nexpect = { verdict = \"replace\", text = \"????\" }\n";
    let cases = [
        ("[[[", "is not written as TOML"),
        ("[limits]\nframe = \"a lot\"\n", "bad value for `limits.frame`"),
        (no_file.as_str(), "plugin `gone` has no module"),
        (test, "the new chain fails test 1 in `lobby`: \"eggs\""),
    ];
    for (broken, expected) in cases {
        world.hub.rewrite(|old| format!("{}{broken}", old.replace(good, "\"ham\"")))?;
        // Where hub.toml is no TOML, nobody finds the token through it.
        let token = world.folder.path().join("data/admin-tokens").display().to_string();
        let address = format!("http://{}", world.hub.admin);
        let (status, _, err) = reload(&world, &["--admin-url", &address, "--admin-token-file", &token])?;
        assert_eq!(status.code(), Some(78), "{err}");
        assert!(err.contains(expected) && err.contains("hub.toml:") && err.contains("nothing has changed"), "{err}");
        world.hub.rewrite(|old| old.replace(broken, "").replace("\"ham\"", good))?;
        assert_eq!(heard(&mut ada, "spam and ham").await?, "**** and ham", "{expected}");
    }
    assert_eq!(world.hub.metric("confab_reloads_total{result=\"refused\"}").await?, cases.len() as f64);
    assert!(world.hub.said().contains("reload refused, nothing changed"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_a_plugin_refuses_leave_the_old_chain_in_place() -> Result<()> {
    let world = world("").await?;
    let mut ada = listener(&world).await?;
    world.hub.rewrite(|old| old.replace("words =", "wrods ="))?;
    let (status, _, err) = reload(&world, &[])?;
    assert_eq!(status.code(), Some(78), "{err}");
    assert!(err.contains("plugin `filter`") && err.contains("wrods"), "{err}");
    assert_eq!(heard(&mut ada, "spam").await?, "****");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_tells_everything_and_changes_nothing() -> Result<()> {
    let world = world("").await?;
    let mut ada = listener(&world).await?;
    let test = "[[test]]\nroom = \"lobby\"\nsend = \"ham\"\nexpect = { verdict = \"replace\", text = \"***\" }\n";
    world.hub.rewrite(|old| format!("{}{test}", old.replace("\"spam\"", "\"ham\"")))?;
    let (status, out, err) = reload(&world, &["--dry-run"])?;
    assert!(status.success(), "{err}");
    assert!(out.contains("would replace the chain") && out.contains("changed  filter"), "{out}");
    assert!(out.contains("tests    1 passed"), "{out}");
    assert_eq!(heard(&mut ada, "spam and ham").await?, "**** and ham");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn rooms_are_taken_in_and_what_needs_a_restart_is_named() -> Result<()> {
    let world = world("").await?;
    let ada = Client::connect(&world.hub.listen, "ada").await?;
    ada.subscribe("closed:1", None).await?.unwrap();
    let more = "[limits]\nhistory_page = 7\n[[room]]\nmatch = [\"closed:**\"]\njoin = \"token\"\n";
    world.hub.rewrite(|old| format!("{old}{more}"))?;
    let answer = reloaded(&world)?;
    assert_eq!(answer["rooms_changed"], true);
    assert_eq!(answer["restart"], json!(["limits.history_page"]));
    assert_eq!(answer["plugins"]["kept"], json!(["filter"]));
    let bob = Client::connect(&world.hub.listen, "bob").await?;
    assert_eq!(bob.subscribe("closed:1", None).await?.unwrap_err()["code"], 103);
    let (_, _, err) = reload(&world, &[])?;
    assert!(err.contains("`limits.history_page` has changed: it holds after a restart"), "{err}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hangup_reloads() -> Result<()> {
    let world = world("").await?;
    let mut ada = listener(&world).await?;
    world.hub.rewrite(|old| old.replace("\"spam\"", "\"ham\""))?;
    world.hub.hang_up()?;
    let counted = "confab_reloads_total{result=\"reloaded\"}";
    eventually("the reload is counted", async || (world.hub.metric(counted).await.ok()? == 1.0).then_some(())).await;
    assert_eq!(heard(&mut ada, "spam and ham").await?, "spam and ***");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watched_file_that_changes_is_reloaded_and_a_broken_one_waits_for_the_next_change() -> Result<()> {
    let world = world("watch = true").await?;
    let mut ada = listener(&world).await?;
    let refused = "confab_reloads_total{result=\"refused\"}";
    world.hub.rewrite(|old| format!("{old}[[["))?;
    eventually("it is refused", async || (world.hub.metric(refused).await.ok()? >= 1.0).then_some(())).await;
    assert_eq!(heard(&mut ada, "spam and ham").await?, "**** and ham");
    world.hub.rewrite(|old| old.replace("[[[", "").replace("\"spam\"", "\"ham\""))?;
    let counted = "confab_reloads_total{result=\"reloaded\"}";
    eventually("it is reloaded", async || (world.hub.metric(counted).await.ok()? >= 1.0).then_some(())).await;
    assert_eq!(heard(&mut ada, "spam and ham").await?, "spam and ***");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watched_module_that_is_replaced_is_reloaded() -> Result<()> {
    let mut world = Embedded::prepared("[[chain]]\nplugins = [\"it\"]\n")?;
    let module = world.folder.path().join("modules").join("it.wasm");
    std::fs::create_dir(module.parent().context("it lies in a folder")?)?;
    let mut bytes = std::fs::read(component("word-filter")?)?;
    std::fs::write(&module, &bytes)?;
    world.hub.rewrite(|old| {
        let it = "[plugin.it]\nmodule = \"modules/it.wasm\"\ntimeout = \"2s\"\nsettings = { words = [] }\n";
        format!("watch = true\n{old}{it}")
    })?;
    world.hub.start().await?;
    // The same plugin with a custom section of no meaning: another file.
    bytes.extend_from_slice(&[0, 2, 1, b'x']);
    let beside = module.with_extension("new");
    std::fs::write(&beside, &bytes)?;
    std::fs::rename(&beside, &module)?;
    let counted = "confab_reloads_total{result=\"reloaded\"}";
    eventually("it is reloaded", async || (world.hub.metric(counted).await.ok()? >= 1.0).then_some(())).await;
    Ok(())
}
