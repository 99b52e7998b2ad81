//! Plugins that speak in a name of their own.

use anyhow::{Context, Result};
use confab_tests::client::Client;
use confab_tests::eventually;
use confab_tests::world::{Cluster, Embedded, Plan, component, plugin};
use serde_json::{Value, json};

fn asks(name: &str, emit: &str, settings: &str) -> Result<String> {
    plugin(name, "asks", &format!("timeout = \"2s\"\ncapabilities = {{ emit = {emit} }}\nsettings = {{ {settings} }}"))
}

fn annotations(publication: &Value) -> Result<Value> {
    Ok(serde_json::from_str(publication["pub"]["tags"]["annotations"].as_str().context("annotations")?)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_hears_what_the_dice_show_after_the_throw_on_every_hub() -> Result<()> {
    let commands = "timeout = \"2s\"\ncapabilities = { emit = true, random = true }";
    let more = format!("{}[[chain]]\nplugins = [\"commands\"]\n", plugin("commands", "commands", commands)?);
    let world = Cluster::planned(Plan { more, ..Plan::default() }).await?;
    let mut ada = Client::connect(&world.hubs[0].listen, "ada").await?;
    let mut bob = Client::connect(&world.hubs[1].listen, "bob").await?;
    for client in [&ada, &bob] {
        client.subscribe("lobby", None).await?.unwrap();
    }
    ada.say("lobby", "k1", "/roll 3d1+2").await?.unwrap();
    for client in [&mut ada, &mut bob] {
        let (threw, shown) = (client.publication().await?, client.publication().await?);
        assert_eq!((&threw["pub"]["data"]["text"], &threw["pub"]["offset"]), (&json!("/roll 3d1+2"), &json!(1)));
        assert_eq!(shown["pub"]["data"]["text"], "ada rolls 3d1+2: 1 + 1 + 1 + 2 = 5");
        assert_eq!((&shown["pub"]["info"]["user"], &shown["pub"]["offset"]), (&json!("plugin:commands"), &json!(2)));
    }
    ada.say("lobby", "k1", "/roll 3d1+2").await?.unwrap(); // a retry throws nothing
    ada.say("lobby", "k2", "and now?").await?.unwrap();
    assert_eq!(bob.publication().await?["pub"]["data"]["text"], "and now?");
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_plugin_says_is_judged_by_all_the_others_and_only_said_where_it_may() -> Result<()> {
    let speaks = asks("speaks", "[\"log:*\"]", "")?;
    let filter = "timeout = \"2s\"\nsettings = { words = [\"spam\"], action = \"mask\" }";
    let filter = plugin("filter", "word-filter", filter)?;
    let world = Embedded::start(&format!("{speaks}{filter}[[chain]]\nplugins = [\"speaks\", \"filter\"]\n")).await?;
    let mut ada = Client::connect(&world.hub.listen, "ada").await?;
    let mut log = Client::connect(&world.hub.listen, "bob").await?;
    ada.subscribe("lobby", None).await?.unwrap();
    log.subscribe("log:1", None).await?.unwrap();
    ada.say("lobby", "k", "say buy spam; say-in log:1 noted; say-in elsewhere no; say ={; say =\"x\"").await?.unwrap();
    let heard = ada.publication().await?;
    let said = &annotations(&heard)?["speaks.said"];
    assert_eq!(*said, json!(["ok", "ok", "forbidden", "invalid", "ok"]));
    let echoed = ada.publication().await?;
    assert_eq!(echoed["pub"]["data"]["text"], "buy ****");
    assert_eq!(echoed["pub"]["info"]["user"], "plugin:speaks");
    assert!(annotations(&echoed).is_err(), "a plugin does not judge its own words: {echoed}");
    assert_eq!(ada.publication().await?["pub"]["data"], "x");
    assert_eq!(log.publication().await?["pub"]["data"]["text"], "noted");
    let history = ada.rpc("history", json!({"room": "elsewhere"})).await?.unwrap();
    assert_eq!(history["events"], json!([]));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_said_of_what_came_to_nothing_nor_by_whoever_only_watches() -> Result<()> {
    let (speaks, watches) = (asks("speaks", "true", "")?, asks("watches", "true", "")?);
    let chain = "[[chain]]\nplugins = [{ use = \"watches\", shadow = true }, \"speaks\"]\n";
    let world = Embedded::start(&format!("{speaks}{watches}{chain}")).await?;
    let mut ada = Client::connect(&world.hub.listen, "ada").await?;
    ada.subscribe("lobby", None).await?.unwrap();
    assert_eq!(ada.say("lobby", "k1", "say never; reject 460 no").await?.unwrap_err()["code"], 460);
    assert_eq!(ada.say("lobby", "k2", "say not yet; hold look").await?.unwrap_err()["code"], 206);
    ada.say("lobby", "k3", "say once; say twice; say thrice; say four; say five").await?.unwrap();
    let heard = ada.publication().await?;
    assert_eq!(annotations(&heard)?["speaks.said"], json!(["ok", "ok", "ok", "ok", "too many"]));
    for expected in ["once", "twice", "thrice", "four"] {
        assert_eq!(ada.publication().await?["pub"]["data"]["text"], expected, "in the order in which it was said");
    }
    ada.say("lobby", "k4", "the end").await?.unwrap();
    assert_eq!(ada.publication().await?["pub"]["data"]["text"], "the end");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_plugin_says_of_a_held_event_is_said_once_that_is_approved_and_never_when_it_is_denied() -> Result<()> {
    let speaks = asks("speaks", "true", "")?;
    let mut world = Embedded::start(&format!("{speaks}[[chain]]\nplugins = [\"speaks\"]\n")).await?;
    let ada = Client::connect(&world.hub.listen, "ada").await?;
    for (key, text) in [("k1", "say noted; say twice; notice wait; hold look"), ("k2", "say never; hold look")] {
        assert_eq!(ada.say("lobby", key, text).await?.unwrap_err()["code"], 206);
    }
    world.hub.kill()?;
    world.hub.start().await?;
    let mut ada = Client::connect(&world.hub.listen, "ada").await?;
    ada.subscribe("lobby", None).await?.unwrap();
    let (_, out, _) = world.hub.verb(&["held", "list", "--json"])?;
    let held: Value = serde_json::from_str(&out)?;
    let says: Vec<&Value> = held[0]["says"].as_array().context("it says what will be said")?.iter().collect();
    assert_eq!((says.len(), &says[0]["plugin"], &says[0]["body"]), (2, &json!("speaks"), &json!({"text": "noted"})));
    let [first, second] = [0, 1].map(|n: usize| held[n]["id"].as_str().unwrap_or_default().to_owned());
    for (verb, id) in [("deny", &second), ("approve", &first), ("approve", &first)] {
        let (status, _, err) = world.hub.verb(&["held", verb, id])?;
        assert!(status.success(), "{err}");
    }
    let approved = ada.publication().await?;
    assert_eq!(approved["pub"]["tags"]["id"], first.as_str());
    for expected in ["noted", "twice"] {
        let said = ada.publication().await?;
        assert_eq!(said["pub"]["data"]["text"], expected);
        assert_eq!(said["pub"]["info"]["user"], "plugin:speaks");
    }
    ada.say("lobby", "k3", "the end").await?.unwrap();
    assert_eq!(ada.publication().await?["pub"]["data"]["text"], "the end");
    let dropped = "confab_plugin_effects_total{plugin=\"speaks\",effect=\"say\",result=\"dropped\"}";
    assert_eq!(world.hub.metric(dropped).await?, 1.0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn plugins_that_answer_one_another_come_to_an_end() -> Result<()> {
    let chatter = "send = \"says 9 again\"";
    let (one, two) = (asks("one", "true", chatter)?, asks("two", "true", chatter)?);
    let more = format!("\n[limits]\nplugin_hops = 2\n{one}{two}[[chain]]\nplugins = [\"one\", \"two\"]\n");
    let world = Embedded::start(&more).await?;
    let mut ada = Client::connect(&world.hub.listen, "ada").await?;
    let bob = Client::connect(&world.hub.listen, "bob").await?;
    ada.subscribe("lobby", None).await?.unwrap();
    bob.subscribe("quiet", None).await?.unwrap();
    ada.say("lobby", "k", "hello").await?.unwrap();
    // Both say four things of hers, and the other says four of each of those; of those nothing may be said.
    let expected = 1 + 2 * 4 + 2 * 4 * 4;
    let mut deepest = 0;
    for _ in 0..expected {
        let heard = ada.publication().await?;
        let notes = annotations(&heard)?;
        let hops = ["one.hops", "two.hops"].iter().filter_map(|key| notes[*key].as_u64()).max().unwrap_or_default();
        deepest = deepest.max(hops);
        if hops == 2 {
            let said = notes.get("one.said").or(notes.get("two.said")).context("somebody judged it")?;
            assert_eq!(*said, json!(vec!["too deep"; 9]));
        }
    }
    assert_eq!(deepest, 2);
    let done =
        |plugin: &str| format!("confab_plugin_effects_total{{plugin=\"{plugin}\",effect=\"say\",result=\"done\"}}");
    eventually("all is said", async || {
        let both = world.hub.metric(&done("one")).await.ok()? + world.hub.metric(&done("two")).await.ok()?;
        (both == f64::from(expected - 1)).then_some(())
    })
    .await;
    let history = ada.rpc("history", json!({"room": "lobby"})).await?.unwrap();
    assert_eq!(history["offset"], expected);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_passes_for_a_plugin_and_a_plugin_that_may_not_speak_does_not_load() -> Result<()> {
    let world = Embedded::start("").await?;
    let client = Client::open(&world.hub.listen).await?;
    let refused = client.ask("connect", json!({"data": {"user": "plugin:commands"}})).await;
    assert!(!matches!(refused, Ok(Ok(_))), "it is refused: {refused:?}");
    let module = component("asks")?;
    let toml = format!("\n[plugin.mute]\nmodule = \"{}\"\n[[chain]]\nplugins = [\"mute\"]\n", module.display());
    let silent = Embedded::prepared(&toml)?;
    let (status, _, err) = silent.hub.verb(&["chain", "explain", "lobby"])?;
    assert!(!status.success() && err.contains("capabilities = { emit = true }"), "{err}");
    Ok(())
}
