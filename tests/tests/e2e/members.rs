//! Rooms that people make: they are their members', and for everybody else they are not there.

use anyhow::{Context, Result};
use confab_tests::client::{Answer, Client, say_many};
use confab_tests::polling::Polling;
use confab_tests::world::{Cluster, Embedded, Plan, UNLIMITED, plugin};
use confab_tests::{eventually, within};
use serde_json::{Value, json};
use std::time::Duration;
use tempfile::TempDir;
use xtask::services::{Postgres, postgres};

const RULES: &str = "\n[[room]]\nmatch = [\"team:**\"]\njoin = \"members\"\npresence = true\n";

async fn create(client: &Client, key: &str) -> Result<String> {
    let made = client.rpc("room.create", json!({"prefix": "team:", "key": key, "title": "The team"})).await?.unwrap();
    Ok(made["room"].as_str().context("a room has a name")?.to_owned())
}

async fn change(client: &Client, verb: &str, room: &str, user: &str) -> Result<Answer> {
    client.rpc(verb, json!({"room": room, "user": user})).await
}

fn code(answer: &Answer) -> u64 {
    answer.as_ref().err().and_then(|refusal| refusal["code"].as_u64()).unwrap_or_default()
}

/// The next push of this kind; what comes before is passed over.
async fn told(client: &mut Client, kind: &str) -> Result<Value> {
    loop {
        let push = client.push().await?;
        if push["message"]["data"]["type"] == kind {
            return Ok(push["message"]["data"].clone());
        }
        if !push[kind].is_null() {
            return Ok(push[kind].clone());
        }
    }
}

/// Every door to a room, as this client finds it, with the room's name left out.
async fn doors(client: &Client, room: &str, id: &str) -> Result<Vec<String>> {
    let mut answers = Vec::new();
    for (verb, more) in [
        ("send", json!({"key": "k", "body": {"text": "hello?"}})),
        ("edit", json!({"key": "e", "target": id, "body": {"text": "hello?"}})),
        ("delete", json!({"key": "d", "target": id})),
        ("react", json!({"key": "r", "target": id, "reaction": "+1"})),
        ("history", json!({})),
        ("messages", json!({})),
        ("typing", json!({})),
        ("room", json!({})),
        ("room.update", json!({"title": "Mine"})),
        ("members", json!({})),
        ("member.add", json!({"user": "eve"})),
        ("member.remove", json!({"user": "ada"})),
        ("member.remove", json!({"user": "eve"})),
        ("member.role", json!({"user": "eve", "role": "owner"})),
    ] {
        let mut arguments = more;
        arguments["room"] = room.into();
        answers.push(format!("{verb}: {:?}", client.rpc(verb, arguments).await?));
    }
    for command in ["subscribe", "history", "presence", "presence_stats"] {
        answers.push(format!("{command}: {:?}", client.ask(command, json!({"channel": room})).await?));
    }
    answers.push(format!("publish: {:?}", client.ask("publish", json!({"channel": room, "data": {}})).await?));
    Ok(answers.into_iter().map(|answer| answer.replace(room, "ROOM")).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_of_members_is_there_for_them_alone() -> Result<()> {
    let world = Embedded::start(RULES).await?;
    let ada = Client::connect(&world.hub.listen, "ada").await?;
    let mut bob = Client::connect(&world.hub.listen, "bob").await?;
    let eve = Client::connect(&world.hub.listen, "eve").await?;
    let room = create(&ada, "first").await?;
    assert!(room.starts_with("team:") && room.len() > 20, "{room}");
    assert_eq!(create(&ada, "first").await?, room, "asked for again, it is the same room");
    assert_ne!(create(&ada, "second").await?, room);
    let said = ada.say(&room, "k1", "welcome").await?.unwrap();
    let id = said["id"].as_str().context("an id")?;

    let absent = format!("team:{}", "0".repeat(32));
    assert_eq!(doors(&eve, &room, id).await?, doors(&eve, &absent, id).await?, "nobody can tell them apart");
    for answer in doors(&eve, &room, id).await? {
        assert!(answer.contains("103") || answer.contains("\"code\": Number(103)"), "{answer}");
    }
    let mut polling = Polling::connect(&world.hub.listen, "eve").await?;
    for room in [&room, &absent] {
        let refused = polling.ask("join", json!({"room": room})).await?;
        assert_eq!(refused["error"]["code"], 103, "{refused}");
        assert_eq!(refused["error"]["message"], "permission denied: there is no such room, or you are not in it");
    }

    assert_eq!(change(&ada, "member.add", &room, "bob").await?.unwrap()["changed"], true);
    assert_eq!(told(&mut bob, "rooms").await?, json!({"type": "rooms", "room": room, "role": "member"}));
    assert_eq!(change(&ada, "member.add", &room, "bob").await?.unwrap()["changed"], false, "once is enough");
    let epoch = bob.subscribe(&room, None).await?.unwrap();
    assert_eq!(epoch["offset"], 1);
    let thanks = bob.say(&room, "k2", "thank you").await?.unwrap();
    let page = bob.rpc("messages", json!({"room": room})).await?.unwrap();
    assert_eq!(page["messages"].as_array().map(Vec::len), Some(2), "what was said before is there as well");
    let mine = bob.rpc("rooms", json!({})).await?.unwrap();
    assert_eq!(mine["rooms"][0]["title"], "The team");
    assert_eq!((&mine["rooms"][0]["role"], &mine["rooms"][0]["members"]), (&json!("member"), &json!(2)));
    assert_eq!(ada.rpc("rooms", json!({})).await?.unwrap()["rooms"].as_array().map(Vec::len), Some(2));
    let members = bob.rpc("members", json!({"room": room})).await?.unwrap();
    let expected = json!([{"user": "ada", "role": "owner"}, {"user": "bob", "role": "member"}]);
    assert_eq!((&members["members"], &members["next"]), (&expected, &Value::Null));

    assert_eq!(code(&change(&bob, "member.remove", &room, "ada").await?), 103, "a member removes nobody");
    assert_eq!(code(&change(&ada, "member.remove", &room, "ada").await?), 103, "the last owner stays");
    change(&ada, "member.remove", &room, "bob").await?.unwrap();
    assert_eq!(told(&mut bob, "rooms").await?, json!({"type": "rooms", "room": room}));
    let out = told(&mut bob, "unsubscribe").await?;
    assert_eq!(out, json!({"code": 2101, "reason": "removed"}));
    ada.say(&room, "k3", "about bob").await?.unwrap();
    assert_eq!(code(&bob.say(&room, "k4", "may I?").await?), 103);
    assert_eq!(bob.say(&room, "k2", "thank you").await?.unwrap(), thanks, "what stands stays, and so does its receipt");
    assert_eq!(doors(&bob, &room, id).await?, doors(&bob, &absent, id).await?, "it is gone for them");
    assert!(bob.publication_now().is_none_or(|push| push["pub"]["data"]["text"] != "about bob"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_room_is_called_is_judged_and_told_and_ranks_decide_who_may_what() -> Result<()> {
    let filter =
        plugin("no-spam", "word-filter", "settings = { words = [\"spam\"], action = \"reject\", code = 455 }")?;
    let rules = format!(
        "{filter}[[chain]]\nplugins = [\"no-spam\"]\n[[room]]\nmatch = [\"team:**\"]\njoin = \"members\"\nmax_members = 3\n\
         permissions = {{ send = \"moderator\", invite = \"moderator\" }}\n"
    );
    let world = Embedded::start(&rules).await?;
    let ada = Client::connect(&world.hub.listen, "ada").await?;
    let mut bob = Client::connect(&world.hub.listen, "bob").await?;
    let spam = json!({"prefix": "team:", "key": "k", "title": "All spam"});
    assert_eq!(code(&ada.rpc("room.create", spam).await?), 455);
    assert_eq!(code(&ada.rpc("room.create", json!({"prefix": "open:", "key": "k"})).await?), 107);
    let room = create(&ada, "k").await?;
    change(&ada, "member.add", &room, "bob").await?.unwrap();
    bob.subscribe(&room, None).await?.unwrap();
    assert_eq!(code(&bob.say(&room, "k1", "hello").await?), 103, "only moderators speak here");
    assert_eq!(code(&change(&bob, "member.add", &room, "cem").await?), 103, "or invite");
    let title = |title: &str| json!({"room": room, "title": title});
    assert_eq!(code(&bob.rpc("room.update", title("Ours")).await?), 103);
    let role = json!({"room": room, "user": "bob", "role": "moderator"});
    assert_eq!(code(&bob.rpc("member.role", role.clone()).await?), 103, "nobody raises themselves");
    ada.rpc("member.role", role).await?.unwrap();
    bob.say(&room, "k1", "hello").await?.unwrap();
    assert_eq!(code(&bob.rpc("room.update", title("more spam")).await?), 455);
    bob.rpc("room.update", title("Ours")).await?.unwrap();
    assert_eq!(told(&mut bob, "room").await?["title"], "Ours");
    assert_eq!(bob.rpc("room", json!({"room": room})).await?.unwrap()["title"], "Ours");
    change(&bob, "member.add", &room, "cem").await?.unwrap();
    assert_eq!(code(&change(&ada, "member.add", &room, "dan").await?), 106, "three are all that it may have");
    assert_eq!(code(&change(&bob, "member.remove", &room, "ada").await?), 103, "nobody removes a higher rank");
    change(&bob, "member.remove", &room, "cem").await?.unwrap();
    let (status, out, err) = world.hub.verb(&["room", "create", "team:staff", "--owner", "ada", "--title", "Staff"])?;
    assert!(status.success() && out.contains("team:staff has 1 member"), "{out}{err}");
    let (_, out, _) = world.hub.verb(&["member", "add", "team:staff", "bob"])?;
    assert_eq!(out.trim(), "bob is member in team:staff now");
    let (_, out, _) = world.hub.verb(&["member", "list", "team:staff"])?;
    assert_eq!(out.lines().collect::<Vec<_>>(), ["owner      ada", "member     bob"]);
    let (_, out, _) = world.hub.verb(&["room", "list"])?;
    assert!(out.contains("team:staff") && out.contains("Staff") && out.contains("Ours"), "{out}");
    let (_, out, _) = world.hub.verb(&["room", "explain", "team:staff", "--user", "bob"])?;
    let yes = |act: &str| out.lines().any(|line| line.trim().starts_with(act) && line.contains(" yes"));
    assert!(yes("read") && yes("react") && !yes("send and edit") && !yes("set roles"), "{out}");
    assert!(out.contains("[[room]] number 1") && out.contains("this needs the rank `moderator` here"), "{out}");
    let (_, out, _) = world.hub.verb(&["room", "explain", "team:staff", "--user", "eve"])?;
    assert!(out.contains("eve is no member there") && !out.contains(" yes"), "{out}");
    let (status, _, err) = world.hub.verb(&["room", "create", "lobby"])?;
    assert!(!status.success() && err.contains("`[[room]]` says which have members"), "{err}");
    let (_, audit, _) = world.hub.verb(&["audit", "--json"])?;
    assert!(
        audit.contains("create_room")
            && audit.contains("remove_member")
            && audit.contains("set_role")
            && audit.contains("\"cem\""),
        "{audit}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn memberships_survive_a_kill_and_a_room_that_closes_puts_out_who_is_no_member() -> Result<()> {
    let mut world = Embedded::start(RULES).await?;
    let ada = Client::connect(&world.hub.listen, "ada").await?;
    let room = create(&ada, "k").await?;
    change(&ada, "member.add", &room, "bob").await?.unwrap();
    let mut eve = Client::connect(&world.hub.listen, "eve").await?;
    eve.subscribe("hall:1", None).await?.unwrap();
    world.hub.rewrite(|old| format!("{old}\n[[room]]\nmatch = [\"hall:**\"]\njoin = \"members\"\n"))?;
    let (status, _, err) = world.hub.verb(&["reload"])?;
    assert!(status.success(), "{err}");
    assert_eq!(told(&mut eve, "unsubscribe").await?["code"], 2101, "the room has closed");
    world.hub.kill()?;
    world.hub.start().await?;
    let bob = Client::connect(&world.hub.listen, "bob").await?;
    bob.subscribe(&room, None).await?.unwrap();
    bob.say(&room, "k", "still here").await?.unwrap();
    let direct = bob.rpc("direct", json!({"user": "ada"})).await?.unwrap();
    assert_eq!(
        (&direct["kind"], &direct["with"], &direct["role"]),
        (&json!("direct"), &json!("ada"), &json!("member"))
    );
    let ada = Client::connect(&world.hub.listen, "ada").await?;
    assert_eq!(ada.rpc("direct", json!({"user": "bob"})).await?.unwrap()["room"], direct["room"]);
    let mine = ada.rpc("rooms", json!({})).await?.unwrap();
    assert_eq!((&mine["rooms"][0]["kind"], &mine["rooms"][0]["with"]), (&json!("direct"), &json!("bob")));
    let two = direct["room"].as_str().context("a name")?;
    ada.say(two, "k", "just us").await?.unwrap();
    assert_eq!(code(&change(&ada, "member.add", two, "eve").await?), 103, "nobody joins two");
    assert_eq!(code(&change(&ada, "member.remove", two, "ada").await?), 103, "nor leaves");
    let eve = Client::connect(&world.hub.listen, "eve").await?;
    assert_eq!(code(&eve.say(two, "k", "and me").await?), 103);
    assert_eq!(code(&eve.rpc("direct", json!({"user": "plugin:x"})).await?), 107);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn on_every_hub_a_member_comes_within_moments_and_whoever_is_removed_hears_nothing_more() -> Result<()> {
    let cluster = Cluster::start(&format!("{UNLIMITED}{RULES}")).await?;
    let ada = Client::connect(&cluster.hubs[0].listen, "ada").await?;
    let mut bob = Client::connect(&cluster.hubs[1].listen, "bob").await?;
    let room = create(&ada, "k").await?;
    assert_eq!(code(&bob.subscribe(&room, None).await?), 103);
    change(&ada, "member.add", &room, "bob").await?.unwrap();
    assert_eq!(told(&mut bob, "rooms").await?["role"], "member", "the other hub tells them");
    let joined = bob.subscribe(&room, None).await?.unwrap();
    let epoch = joined["epoch"].as_str().context("an epoch")?.to_owned();
    say_many(&ada, &room, 1..=3000).await?;
    bob.cut();

    // A large catch-up is under way to them when they are removed on the other hub.
    let mut bob = Client::connect(&cluster.hubs[1].listen, "bob").await?;
    let catching_up = bob.begin("subscribe", json!({"channel": room, "recover": true, "epoch": epoch, "offset": 0}));
    change(&ada, "member.remove", &room, "bob").await?.unwrap();
    let _ = catching_up.await?;
    let gone = |push: &Value| push["message"]["data"] == json!({"type": "rooms", "room": room});
    while !gone(&bob.push().await?) {}
    ada.say(&room, "after", "about bob").await?.unwrap();
    // What comes behind the word that they are out is nothing of that room.
    assert_eq!(code(&bob.say(&room, "k", "may I?").await?), 103);
    assert_eq!(bob.publication_now(), None);
    assert_eq!(code(&bob.subscribe(&room, Some((&epoch, 0))).await?), 103);
    cluster.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_two_hubs_change_at_once_comes_out_as_one() -> Result<()> {
    let cluster = Cluster::start(RULES).await?;
    for n in 0..10 {
        let [one, other] = ["one", "other"].map(|who| format!("{who}{n}"));
        let here = Client::connect(&cluster.hubs[0].listen, &one).await?;
        let there = Client::connect(&cluster.hubs[1].listen, &other).await?;
        let both = tokio::join!(here.rpc("direct", json!({"user": other})), there.rpc("direct", json!({"user": one})));
        let rooms = [both.0?.unwrap(), both.1?.unwrap()];
        assert_eq!(rooms[0]["room"], rooms[1]["room"]);
        let direct = rooms[0]["room"].as_str().context("a name")?;
        there.subscribe(direct, None).await?.unwrap();
        here.say(direct, "k", "hello").await?.unwrap();

        let room = create(&here, "k").await?;
        let owner = json!({"room": room, "user": other, "role": "owner"});
        here.rpc("member.add", owner).await?.unwrap();
        eventually("the other hub knows", async || there.subscribe(&room, None).await.ok()?.ok()).await;
        let leave = |client: &Client, who: &str| client.begin_rpc("member.remove", json!({"room": room, "user": who}));
        let (first, second) = tokio::join!(leave(&here, &one), leave(&there, &other));
        let left = [first?, second?].iter().filter(|answer| answer.is_ok()).count();
        assert_eq!(left, 1, "one owner stays");
    }
    cluster.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_store_is_away_open_rooms_go_on_and_only_private_doors_are_closed() -> Result<()> {
    let folder = TempDir::with_prefix("confab-postgres-")?;
    let data = folder.path().join("postgres");
    let started = tokio::task::spawn_blocking(move || Postgres::start(&data, postgres::Options::for_tests()));
    let postgres = started.await??;
    let plan = Plan { postgres: Some(postgres.address()), more: RULES.to_owned(), ..Plan::default() };
    let cluster = Cluster::planned(plan).await?;
    let ada = Client::connect(&cluster.hubs[0].listen, "ada").await?;
    let room = create(&ada, "k").await?;
    change(&ada, "member.add", &room, "bob").await?.unwrap();
    let bob = Client::connect(&cluster.hubs[1].listen, "bob").await?;
    within(Duration::from_secs(20), "bob is in", async || bob.subscribe(&room, None).await.ok()?.ok()).await;

    postgres.pause()?;
    ada.say(&room, "k1", "who is known goes on").await?.unwrap();
    bob.say(&room, "k2", "so do I").await?.unwrap();
    let new = Client::connect(&cluster.hubs[0].listen, "cem").await?;
    new.say("lobby", "k", "open rooms go on").await?.unwrap();
    let absent = format!("team:{}", "0".repeat(32));
    for room in [&room, &absent] {
        let refused = new.say(room, "k", "am I in?").await?.unwrap_err();
        assert_eq!((&refused["code"], &refused["temporary"]), (&json!(205), &json!(true)), "nobody can tell yet");
    }
    let refused = change(&ada, "member.add", &room, "cem").await?.unwrap_err();
    assert_eq!((&refused["code"], &refused["temporary"]), (&json!(205), &json!(true)));

    postgres.resume()?;
    within(Duration::from_secs(60), "it is known who is out", async || {
        let answer = new.say(&room, "k", "am I in?").await.ok()?;
        (code(&answer) == 103).then_some(())
    })
    .await;
    cluster.end().await
}
