//! The hub on its own: memory and SQLite, no service.

use anyhow::Result;
use confab_tests::client::Client;
use confab_tests::eventually;
use confab_tests::process::Running;
use confab_tests::world::{Embedded, plugin};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn two_people_talk_and_each_hears_the_other_once_and_in_order() -> Result<()> {
    let world = Embedded::start("").await?;
    let mut ada = Client::connect(&world.hub.listen, "ada").await?;
    let mut bob = Client::connect(&world.hub.listen, "bob").await?;
    for client in [&ada, &bob] {
        client.subscribe("lobby", None).await?.unwrap();
    }
    let receipt = ada.say("lobby", "k1", "hello").await?.unwrap();
    bob.ask("publish", json!({"channel": "lobby", "data": {"anything": [1, 2, 3]}})).await?.unwrap();
    for client in [&mut ada, &mut bob] {
        let hello = client.publication().await?;
        assert_eq!(hello["channel"], "lobby");
        assert_eq!(hello["pub"]["data"], json!({"text": "hello"}));
        assert_eq!(hello["pub"]["offset"], 1);
        assert_eq!(hello["pub"]["info"]["user"], "ada");
        assert_eq!(hello["pub"]["tags"]["type"], "message");
        assert_eq!(hello["pub"]["tags"]["id"], receipt["id"]);
        assert_eq!(hello["pub"]["time"], receipt["at"]);
        let other = client.publication().await?;
        assert_eq!(other["pub"]["data"], json!({"anything": [1, 2, 3]}));
        assert_eq!(other["pub"]["offset"], 2);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_keeps_what_was_acknowledged_and_the_order_goes_on_where_it_was() -> Result<()> {
    let mut world = Embedded::start("").await?;
    let ada = Client::connect(&world.hub.listen, "ada").await?;
    let joined = ada.subscribe("lobby", None).await?.unwrap();
    let epoch = joined["epoch"].as_str().unwrap().to_owned();
    let mut receipts = Vec::new();
    for n in 1..=20 {
        receipts.push(ada.say("lobby", &format!("k{n}"), &format!("message {n}")).await?.unwrap());
    }
    world.hub.kill()?;
    world.hub.start().await?;

    let mut ada = Client::connect(&world.hub.listen, "ada").await?;
    let joined = ada.subscribe("lobby", Some((&epoch, 5))).await?.unwrap();
    assert_eq!(joined["recovered"], true);
    let missed: Vec<u64> =
        joined["publications"].as_array().unwrap().iter().map(|p| p["offset"].as_u64().unwrap()).collect();
    assert_eq!(missed, (6..=20).collect::<Vec<_>>());
    let again = ada.say("lobby", "k7", "message 7").await?.unwrap();
    assert_eq!(again, receipts[6], "a retry gets the first receipt, also after a restart");
    ada.say("lobby", "k21", "message 21").await?.unwrap();
    let next = ada.publication().await?;
    assert_eq!(next["pub"]["offset"], 21);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_hub_on_the_same_folder_is_refused_and_the_first_does_not_notice() -> Result<()> {
    let world = Embedded::start("").await?;
    let data = world.folder.path().join("data");
    let second = Running::new(world.folder.path(), "second", "confab", |listen, admin| {
        format!("listen = \"{listen}\"\nadmin = \"{admin}\"\ndata = \"{}\"\n[auth]\ninsecure = true\n", data.display())
    })?;
    let ada = Client::connect(&world.hub.listen, "ada").await?;
    ada.say("lobby", "k1", "one").await?.unwrap();
    for verb in ["run", "migrate"] {
        let (status, out, err) = tokio::task::block_in_place(|| second.verb(&[verb]))?;
        assert_eq!(status.code(), Some(78), "{verb}: {out}{err}");
        assert!(err.contains(&data.display().to_string()) && err.contains("a folder of its own"), "{verb}: {err}");
    }
    let (status, out, _) = second.verb(&["migrate", "--check"])?;
    assert!(status.success() && out.contains("up to date"), "who only looks may: {out}");
    assert_eq!(ada.say("lobby", "k2", "two").await?.unwrap()["offset"], 2);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_whose_database_was_restored_gives_no_place_a_second_time() -> Result<()> {
    let mut world = Embedded::start("").await?;
    let database = world.folder.path().join("data/confab.db");
    let backup = world.folder.path().join("backup.db");
    let ada = Client::connect(&world.hub.listen, "ada").await?;
    let epoch = ada.subscribe("lobby", None).await?.unwrap()["epoch"].clone();
    ada.say("lobby", "k1", "one").await?.unwrap();
    tokio::task::block_in_place(|| world.hub.stop())?;
    std::fs::copy(&database, &backup)?;

    world.hub.start().await?;
    let ada = Client::connect(&world.hub.listen, "ada").await?;
    let lost = ada.say("lobby", "k2", "two").await?.unwrap();
    assert_eq!(lost["offset"], 2);
    world.hub.kill()?;
    std::fs::remove_file(database.with_extension("db-wal"))?;
    std::fs::copy(&backup, &database)?;

    world.hub.start().await?;
    let ada = Client::connect(&world.hub.listen, "ada").await?;
    let joined = ada.subscribe("lobby", Some((epoch.as_str().unwrap(), 2))).await?.unwrap();
    assert_ne!(joined["recovered"], true, "{joined}");
    assert_ne!(joined["epoch"], epoch);
    let another = ada.say("lobby", "k3", "three").await?.unwrap();
    assert_eq!(another["offset"], 1, "the first of a new epoch");
    let page = ada.rpc("history", json!({"room": "lobby", "limit": 10, "reverse": true})).await?.unwrap();
    let next = page["next"].clone();
    assert_eq!(page["events"][0]["id"], another["id"]);
    let before =
        ada.rpc("history", json!({"room": "lobby", "limit": 10, "reverse": true, "since": next})).await?.unwrap();
    assert_eq!(before["events"][0]["offset"], 1, "history leads on to what the copy holds: {before}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_disk_takes_no_more_nothing_is_shown_that_is_not_kept() -> Result<()> {
    let mut world = Embedded::prepared("")?;
    // No file may be larger than 2 MiB: to the hub, the disk is full then, and its writes fail.
    let small = "trap '' XFSZ; ulimit -f 4096; exec \"$0\" \"$@\"";
    world.hub.within(["sh", "-c", small].map(str::to_owned).into());
    world.hub.start().await?;
    let ada = Client::connect(&world.hub.listen, "ada").await?;
    let mut bob = Client::connect(&world.hub.listen, "bob").await?;
    bob.subscribe("lobby", None).await?.unwrap();
    let text = "all the world's a stage ".repeat(400);
    let (mut kept, mut refused) = (Vec::new(), 0);
    for n in 0..2000 {
        match ada.say("lobby", &format!("k{n}"), &text).await? {
            Ok(receipt) => kept.push(receipt["id"].clone()),
            Err(refusal) => {
                assert_eq!((&refusal["code"], &refusal["temporary"]), (&json!(203), &json!(true)), "{refusal}");
                refused += 1;
            }
        }
        if refused == 5 {
            break;
        }
    }
    assert_eq!(refused, 5, "the disk was full after {} messages", kept.len());
    assert!(kept.len() > 10, "{} were kept before", kept.len());
    for (n, id) in kept.iter().enumerate() {
        let heard = bob.publication().await?;
        assert_eq!((&heard["pub"]["tags"]["id"], &heard["pub"]["offset"]), (id, &json!(n + 1)));
    }
    assert!(bob.publication_now().is_none(), "what was refused is not shown");

    world.hub.kill()?;
    world.hub.within(Vec::new());
    world.hub.start().await?;
    let ada = Client::connect(&world.hub.listen, "ada").await?;
    let (mut found, mut asked) = (Vec::new(), json!({"room": "lobby", "limit": 100}));
    loop {
        let page = ada.rpc("history", asked.clone()).await?.unwrap();
        found.extend(page["events"].as_array().unwrap().iter().map(|event| event["id"].clone()));
        if page["next"].is_null() {
            break;
        }
        asked["since"] = page["next"].clone();
    }
    assert_eq!(found, kept, "what has a receipt is kept, and nothing else");
    let next = ada.say("lobby", "after", "there is room again").await?.unwrap();
    assert_eq!(next["offset"], json!(kept.len() + 1));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn history_reads_both_ways_from_memory_to_the_store_with_one_cursor() -> Result<()> {
    let rooms = "\n[[room]]\nmatch = [\"small:*\"]\nhot_window = { events = 10 }\n";
    let world = Embedded::start(rooms).await?;
    let ada = Client::connect(&world.hub.listen, "ada").await?;
    for n in 1..=35 {
        ada.say("small:1", &format!("k{n}"), &format!("message {n}")).await?.unwrap();
    }
    for reverse in [false, true] {
        let mut offsets = Vec::new();
        let mut since = serde_json::Value::Null;
        loop {
            let mut arguments = json!({"room": "small:1", "limit": 7, "reverse": reverse});
            if !since.is_null() {
                arguments["since"] = since;
            }
            let page = ada.rpc("history", arguments).await?.unwrap();
            offsets.extend(page["events"].as_array().unwrap().iter().map(|event| event["offset"].as_u64().unwrap()));
            since = page["next"].clone();
            if since.is_null() {
                break;
            }
        }
        if reverse {
            offsets.reverse();
        }
        assert_eq!(offsets, (1..=35).collect::<Vec<_>>(), "reverse: {reverse}");
    }
    let page = ada.ask("history", json!({"channel": "small:1", "limit": 3, "reverse": true})).await?.unwrap();
    assert_eq!(page["offset"], 35);
    assert_eq!(page["publications"][0]["offset"], 35);
    let page = ada.ask("history", json!({"channel": "small:1", "limit": 0})).await?.unwrap();
    assert_eq!(page["publications"], json!([]));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_changes_and_a_delete_blanks_for_everyone_who_reads_later() -> Result<()> {
    let world = Embedded::start("").await?;
    let mut ada = Client::connect(&world.hub.listen, "ada").await?;
    let bob = Client::connect(&world.hub.listen, "bob").await?;
    ada.subscribe("lobby", None).await?.unwrap();
    let hello = ada.say("lobby", "k1", "helo").await?.unwrap();
    let edit = |room: &str| json!({"room": room, "target": hello["id"], "body": {"text": "hello"}});
    assert_eq!(bob.rpc("edit", edit("lobby")).await?.unwrap_err()["code"], 103, "only one's own");
    assert_eq!(ada.rpc("edit", edit("elsewhere")).await?.unwrap_err()["code"], 209);
    ada.rpc("edit", edit("lobby")).await?.unwrap();
    bob.rpc("react", json!({"room": "lobby", "target": hello["id"], "reaction": "👍"})).await?.unwrap();
    ada.rpc("delete", json!({"room": "lobby", "target": hello["id"]})).await?.unwrap();
    let types = ["message", "edit", "reaction", "delete"];
    for (n, name) in types.into_iter().enumerate() {
        let heard = ada.publication().await?;
        assert_eq!(heard["pub"]["tags"]["type"], name);
        assert_eq!(heard["pub"]["offset"], n + 1);
        if n > 0 {
            assert_eq!(heard["pub"]["tags"]["target"], hello["id"]);
        }
    }
    let page = ada.rpc("history", json!({"room": "lobby"})).await?.unwrap();
    let events = page["events"].as_array().unwrap();
    assert_eq!(events.len(), 4, "every place is still there");
    assert_eq!(events[0]["body"], json!(null));
    assert_eq!(events[1]["body"], json!(null));
    assert_eq!(events[2]["body"], json!({"reaction": "👍"}));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_tells_clients_to_come_back_and_ends_in_order() -> Result<()> {
    let mut world = Embedded::start("").await?;
    let mut ada = Client::connect(&world.hub.listen, "ada").await?;
    ada.subscribe("lobby", None).await?.unwrap();
    ada.say("lobby", "k1", "last words").await?.unwrap();
    let status = world.hub.stop()?;
    assert!(status.success(), "{status}: {}", world.hub.said());
    assert_eq!(ada.publication().await?["pub"]["data"]["text"], "last words");
    assert_eq!(ada.close_code().await?, 3001);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_send_under_way_when_the_hub_drains_gets_its_receipt() -> Result<()> {
    let slow = plugin("slow", "misbehave", "timeout = \"5s\"\nsettings = { mode = \"spin\", n = 300 }")?;
    let mut world = Embedded::start(&format!("{slow}[[chain]]\nplugins = [\"slow\"]\n")).await?;
    let mut ada = Client::connect(&world.hub.listen, "ada").await?;
    let receipt = tokio::spawn(ada.begin_rpc("send", json!({"room": "lobby", "body": {"text": "just before"}})));
    eventually("the send is under way", async || {
        world.hub.metric("confab_sends_under_way").await.ok().filter(|sends| *sends > 0.0)
    })
    .await;
    let status = tokio::task::spawn_blocking(move || world.hub.stop()).await??;
    assert!(status.success(), "{status}");
    assert_eq!(receipt.await??.unwrap()["offset"], 1);
    assert_eq!(ada.close_code().await?, 3001);
    Ok(())
}
