//! Plugins in the send path, from the outside.

use anyhow::Result;
use confab_tests::client::Client;
use confab_tests::world::{Embedded, plugin};
use serde_json::json;
use std::time::Instant;

#[tokio::test(flavor = "multi_thread")]
async fn a_rewrite_hides_nothing_from_the_next_plugin() -> Result<()> {
    let a = plugin("a", "misbehave", "timeout = \"1s\"\nsettings = { mode = \"say\", say = \"buy spam\" }")?;
    let b = "settings = { words = [\"spam\"], action = \"reject\", code = 477, reason = \"B says no\" }";
    let b = plugin("b", "word-filter", &format!("timeout = \"1s\"\n{b}"))?;
    let world = Embedded::start(&format!("{a}{b}[[chain]]\nplugins = [\"a\", \"b\"]\n")).await?;
    let ada = Client::connect(&world.hub.listen, "ada").await?;
    let refused = ada.say("lobby", "k1", "harmless").await?.unwrap_err();
    assert_eq!(refused["code"], 477);
    assert!(refused["message"].as_str().unwrap().contains("B says no"), "{refused}");
    assert_eq!(ada.rpc("history", json!({"room": "lobby"})).await?.unwrap()["events"], json!([]));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn links_are_annotated_beside_the_body_not_in_it() -> Result<()> {
    let notes = plugin("link-notes", "link-notes", "on_fault = \"pass\"")?;
    let world = Embedded::start(&format!("{notes}[[chain]]\nplugins = [\"link-notes\"]\n")).await?;
    let mut ada = Client::connect(&world.hub.listen, "ada").await?;
    ada.subscribe("lobby", None).await?.unwrap();
    let body = json!({"text": "see https://example.com/a?b=c", "extra": {"n": 1}});
    ada.rpc("send", json!({"room": "lobby", "body": body})).await?.unwrap();
    let heard = ada.publication().await?;
    assert_eq!(heard["pub"]["data"], body);
    let annotations: serde_json::Value = serde_json::from_str(heard["pub"]["tags"]["annotations"].as_str().unwrap())?;
    let links = &annotations["link-notes.links"];
    assert_eq!(links[0]["host"], "example.com", "{annotations}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_misbehaves_hurts_only_its_own_message() -> Result<()> {
    let mut toml = String::new();
    let modes = ["loop", "memory", "trap", "panic", "stack", "invalid-utf8", "megabytes", "not-json", "bad-code"];
    for mode in modes {
        let more = format!("timeout = \"400ms\"\nsettings = {{ mode = \"{mode}\" }}");
        toml += &plugin(mode, "misbehave", &more)?;
        toml += &format!("[[chain]]\nrooms = [\"bad:{mode}\"]\nplugins = [\"{mode}\"]\n");
    }
    let world = Embedded::start(&toml).await?;
    let ada = Client::connect(&world.hub.listen, "ada").await?;
    let bob = Client::connect(&world.hub.listen, "bob").await?;
    for mode in modes {
        let begun = Instant::now();
        let bad = ada.begin_rpc("send", json!({"room": format!("bad:{mode}"), "body": {"text": "x"}}));
        let good = bob.begin_rpc("send", json!({"room": "good", "body": {"text": mode}}));
        let bad = tokio::spawn(bad);
        good.await?.unwrap();
        if mode == "loop" {
            assert!(!bad.is_finished(), "the other room's receipt comes before the fault");
        }
        let refused = bad.await??.unwrap_err();
        assert_eq!(refused["code"], 207, "{mode}: {refused}");
        assert!(begun.elapsed().as_secs_f64() < 5.0, "{mode} was answered after {:?}", begun.elapsed());
    }
    let (_, metrics) = world.hub.admin_api().get("/metrics").await?;
    for mode in modes {
        let counted = metrics.lines().any(|line| {
            line.starts_with("confab_plugin_faults_total{")
                && line.contains(&format!("plugin=\"{mode}\""))
                && line.ends_with(" 1")
        });
        assert!(counted, "the fault of {mode} is counted:\n{metrics}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_when_a_plugin_fails_is_the_operators_choice() -> Result<()> {
    let mut toml = String::new();
    for policy in ["reject", "pass", "hold"] {
        toml += &plugin(policy, "misbehave", &format!("on_fault = \"{policy}\"\nsettings = {{ mode = \"trap\" }}"))?;
        toml += &format!("[[chain]]\nrooms = [\"{policy}\"]\nplugins = [\"{policy}\"]\n");
    }
    let world = Embedded::start(&toml).await?;
    let ada = Client::connect(&world.hub.listen, "ada").await?;
    assert_eq!(ada.say("reject", "k", "x").await?.unwrap_err()["code"], 207);
    assert_eq!(ada.say("pass", "k", "x").await?.unwrap()["offset"], 1);
    assert_eq!(ada.say("hold", "k", "x").await?.unwrap_err()["code"], 206);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_message_waits_through_a_restart_and_is_published_when_approved() -> Result<()> {
    let holds = plugin("holds", "misbehave", "settings = { mode = \"hold\" }")?;
    let mut world = Embedded::start(&format!("{holds}[[chain]]\nrooms = [\"held\"]\nplugins = [\"holds\"]\n")).await?;
    let ada = Client::connect(&world.hub.listen, "ada").await?;
    for n in 1..=2 {
        let held = ada.say("held", &format!("k{n}"), &format!("message {n}")).await?.unwrap_err();
        assert_eq!(held["code"], 206);
    }
    assert!(world.hub.stop()?.success());
    world.hub.start().await?;
    let mut bob = Client::connect(&world.hub.listen, "bob").await?;
    bob.subscribe("held", None).await?.unwrap();
    let listed = confab(&world, &["held", "list", "--json"])?;
    let ids: Vec<&str> = listed.as_array().unwrap().iter().map(|held| held["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 2, "{listed}");
    let find =
        |text: &str| listed.as_array().unwrap().iter().find(|held| held["event"]["body"]["text"] == text).unwrap();
    let (first, second) = (find("message 1"), find("message 2"));
    let receipt = confab(&world, &["held", "approve", first["id"].as_str().unwrap(), "--json"])?;
    confab(&world, &["held", "deny", second["id"].as_str().unwrap(), "--json"])?;
    let heard = bob.publication().await?;
    assert_eq!(heard["pub"]["data"]["text"], "message 1");
    assert_eq!(heard["pub"]["tags"]["id"], first["id"]);
    assert_eq!(heard["pub"]["time"], first["event"]["at"], "the original time is kept");
    assert_eq!(receipt["offset"], 1);
    let (status, _, err) = world.hub.verb(&["held", "approve", second["id"].as_str().unwrap()])?;
    assert!(!status.success() && err.contains("denied"), "{err}");
    assert_eq!(confab(&world, &["held", "list", "--json"])?, json!([]));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_advertisement_is_no_reaction_and_a_room_may_want_a_text_of_every_body() -> Result<()> {
    let world = Embedded::start(
        "[[room]]\nmatch = [\"free\"]\nreactions = \"any\"\n[[room]]\nmatch = [\"texts\"]\nbody = \"text\"\n",
    )
    .await?;
    let ada = Client::connect(&world.hub.listen, "ada").await?;
    for (room, reaction, stands) in [
        ("lobby", "👍🏽", true),
        ("lobby", ":tada:", true),
        ("lobby", "buy at spam.example", false),
        ("free", "buy at spam.example", true),
    ] {
        let message = ada.say(room, &format!("{room}{reaction}"), "hello").await?.unwrap();
        let react = json!({"room": room, "target": message["id"], "reaction": reaction});
        assert_eq!(ada.rpc("react", react).await?.is_ok(), stands, "{reaction}");
    }
    for (body, stands) in [(json!({"text": "hi"}), true), (json!("hi"), false), (json!({"message": "hi"}), false)] {
        assert_eq!(ada.rpc("send", json!({"room": "texts", "body": body})).await?.is_ok(), stands, "{body}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn senders_hear_neutral_words_where_a_plugin_failed() -> Result<()> {
    let mut toml = String::new();
    for policy in ["reject", "hold"] {
        toml += &plugin(policy, "misbehave", &format!("on_fault = \"{policy}\"\nsettings = {{ mode = \"trap\" }}"))?;
        toml += &format!("[[chain]]\nrooms = [\"{policy}\"]\nplugins = [\"{policy}\"]\n");
    }
    let world = Embedded::start(&toml).await?;
    let ada = Client::connect(&world.hub.listen, "ada").await?;
    for room in ["reject", "hold"] {
        let told = ada.say(room, "k", "x").await?.unwrap_err().to_string();
        assert!(!["plugin", "crash", "trap", "wasm"].iter().any(|word| told.contains(word)), "{told}");
    }
    let held = confab(&world, &["held", "list", "--json"])?;
    assert!(held[0]["reason"].as_str().unwrap().contains("it crashed"), "moderators have the cause: {held}");
    assert!(world.hub.said().contains("it crashed"), "and the log");
    Ok(())
}

fn confab(world: &Embedded, arguments: &[&str]) -> Result<serde_json::Value> {
    let (status, out, err) = world.hub.verb(arguments)?;
    anyhow::ensure!(status.success(), "confab {arguments:?}: {status}\n{out}{err}");
    Ok(serde_json::from_str(&out)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_debians_compiler_made_judges_like_any_other() -> Result<()> {
    // Set by `cargo xtask test` wherever there is such a compiler: on Debian, on x86_64.
    let Ok(folder) = std::env::var("CONFAB_TEST_PLUGINS_DEBIAN") else {
        anyhow::ensure!(!std::path::Path::new("/etc/debian_version").exists(), "run `cargo xtask test`");
        return Ok(());
    };
    let filter = format!(
        "[plugin.filter]\nmodule = \"{folder}/word-filter.wasm\"\ntimeout = \"1s\"\n\
         settings = {{ words = [\"spam\"], action = \"mask\" }}\n[[chain]]\nplugins = [\"filter\"]\n"
    );
    let world = Embedded::start(&filter).await?;
    let mut ada = Client::connect(&world.hub.listen, "ada").await?;
    ada.subscribe("lobby", None).await?.unwrap();
    assert_eq!(ada.say("lobby", "k", "spam").await?.unwrap()["verdict"], "replace");
    assert_eq!(ada.publication().await?["pub"]["data"]["text"], "****");
    Ok(())
}
