//! Bans: who may not be in a room, or on the hub at all, stays out, until somebody lifts it.

use anyhow::{Context, Result, ensure};
use confab_tests::client::{Answer, Client};
use confab_tests::eventually;
use confab_tests::polling::Polling;
use confab_tests::process::Running;
use confab_tests::stock;
use confab_tests::world::{Cluster, Embedded, Plan};
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};
use std::time::Instant;
use tempfile::TempDir;
use xtask::services::{Postgres, postgres};

const SECRET: &str = "a secret of the tests, long enough";

async fn world(more: &str) -> Result<Embedded> {
    Embedded::start(&format!("hmac_secret = \"{SECRET}\"\n{more}")).await
}

fn token(claims: &Value) -> Result<String> {
    Ok(jsonwebtoken::encode(&Header::default(), claims, &EncodingKey::from_secret(SECRET.as_bytes()))?)
}

async fn connect(hub: &str, claims: Value) -> Result<(Client, Answer)> {
    let client = Client::open(hub).await?;
    let answer = client.ask("connect", json!({"token": token(&claims)?})).await?;
    Ok((client, answer))
}

fn confab(hub: &Running, arguments: &[&str]) -> Result<Value> {
    let (status, out, err) = hub.verb(arguments)?;
    ensure!(status.success(), "confab {arguments:?}: {status}\n{out}{err}");
    Ok(serde_json::from_str(&out)?)
}

fn code(answer: Answer) -> Value {
    answer.unwrap_err()["code"].take()
}

/// Everything that a client hears up to its being taken out of this room, that included.
async fn put_out(client: &mut Client, room: &str) -> Result<Vec<Value>> {
    let mut heard = Vec::new();
    loop {
        let push = client.push().await?;
        ensure!(push.get("close").is_none(), "closed: {push}");
        let last = push["channel"] == room && push.get("unsubscribe").is_some();
        heard.push(push);
        if last {
            return Ok(heard);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_banned_from_a_room_is_taken_out_and_can_do_nothing_there_until_it_is_lifted() -> Result<()> {
    let mut world = world("[[room]]\nmatch = [\"**\"]\npresence = true\n").await?;
    let mut ada = Client::connect(&world.hub.listen, "ada").await?;
    let bob = Client::connect(&world.hub.listen, "bob").await?;
    for room in ["lobby", "garden"] {
        ada.subscribe(room, None).await?.unwrap();
    }
    let first = ada.say("lobby", "k1", "hello").await?.unwrap();
    let ban = ["ban", "set", "ada", "--room", "lobby", "--for", "2h", "--reason", "enough of that", "--json"];
    let banned = confab(&world.hub, &ban)?;
    assert_eq!((&banned["user"], &banned["room"], &banned["by"]), (&json!("ada"), &json!("lobby"), &json!("admin")));

    let heard = put_out(&mut ada, "lobby").await?;
    let told = heard.iter().find_map(|push| push.get("message")).context("she is told")?;
    let expected = json!({"type": "ban", "room": "lobby", "until": banned["until"], "reason": "enough of that"});
    assert_eq!(told["data"], expected);
    assert_eq!(heard.last().unwrap()["unsubscribe"], json!({"code": 2100, "reason": "banned"}));
    bob.say("lobby", "k", "she is gone").await?.unwrap();
    bob.say("garden", "k", "here she is").await?.unwrap();
    assert_eq!(ada.publication().await?["channel"], "garden", "she hears nothing of the lobby");

    let refused = ada.subscribe("lobby", None).await?.unwrap_err();
    assert_eq!((&refused["code"], refused.get("temporary")), (&json!(211), None));
    let said = refused["message"].as_str().context("a refusal says why")?;
    assert!(said.starts_with("banned for 7") && said.ends_with(" s more: enough of that"), "{said}");
    let here = json!({"channel": "lobby"});
    for method in ["presence", "presence_stats", "history"] {
        assert_eq!(code(ada.ask(method, here.clone()).await?), 211, "{method}");
    }
    assert_eq!(code(ada.ask("publish", json!({"channel": "lobby", "data": {}})).await?), 211);
    let target = &first["id"];
    for (verb, data) in [
        ("send", json!({"room": "lobby", "key": "k2", "body": {"text": "but I"}})),
        ("edit", json!({"room": "lobby", "target": target, "body": {"text": "x"}})),
        ("delete", json!({"room": "lobby", "target": target})),
        ("react", json!({"room": "lobby", "target": target, "reaction": "👍"})),
        ("unreact", json!({"room": "lobby", "target": target, "reaction": "👍"})),
        ("history", json!({"room": "lobby"})),
        ("typing", json!({"room": "lobby"})),
    ] {
        assert_eq!(code(ada.rpc(verb, data).await?), 211, "{verb}");
    }
    assert_eq!(ada.say("lobby", "k1", "hello").await?.unwrap(), first, "what was said before stands");
    ada.say("garden", "k3", "here I may").await?.unwrap();
    let present = bob.ask("presence", here.clone()).await?.unwrap();
    assert_eq!(present["presence"].as_object().map_or(0, serde_json::Map::len), 0, "{present}");

    assert!(world.hub.stop()?.success());
    world.hub.start().await?;
    let ada = Client::connect(&world.hub.listen, "ada").await?;
    assert_eq!(code(ada.subscribe("lobby", None).await?), 211);
    let (_, out, _) = world.hub.verb(&["ban", "list", "--user", "ada"])?;
    assert!(out.starts_with("ada in lobby until ") && out.ends_with(", by admin: enough of that\n"), "{out}");
    assert_eq!(confab(&world.hub, &["ban", "list", "--user", "bob", "--json"])?, json!([]));
    let (status, _, err) = world.hub.verb(&["ban", "lift", "ada", "--everywhere"])?;
    assert!(!status.success() && err.contains("not banned"), "a ban from everywhere is another: {err}");
    confab(&world.hub, &["ban", "lift", "ada", "--room", "lobby", "--json"])?;
    ada.subscribe("lobby", None).await?.unwrap();
    ada.say("lobby", "k2", "but I").await?.unwrap();
    assert_eq!(world.hub.metric("confab_reviews_total{decision=\"unbanned\"}").await?, 1.0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_banned_everywhere_is_disconnected_for_good_and_not_let_in() -> Result<()> {
    let world = world("").await?;
    let mut sessions =
        [Client::connect(&world.hub.listen, "ada").await?, Client::connect(&world.hub.listen, "ada").await?];
    let mut polling = Polling::connect(&world.hub.listen, "ada").await?;
    let bob = Client::connect(&world.hub.listen, "bob").await?;
    let (status, _, err) = world.hub.verb(&["ban", "set", "ada"])?;
    assert!(!status.success() && err.contains("--everywhere"), "nobody is banned everywhere by an omission: {err}");
    let banned = confab(&world.hub, &["ban", "set", "ada", "--everywhere", "--json"])?;
    assert_eq!((banned.get("room"), banned.get("until")), (None, None), "{banned}");
    for session in &mut sessions {
        assert_eq!(session.close_code().await?, 3503);
    }
    assert_eq!(polling.heard("ban").await?["reason"], "a moderator said so");
    let closing = polling.heard("closing").await?;
    assert_eq!((&closing["code"], &closing["reconnect"]), (&json!(3503), &json!(false)));
    bob.say("lobby", "k", "hello").await?.unwrap();

    let again = Client::open(&world.hub.listen).await?;
    let refused = again.ask("connect", json!({"data": {"user": "ada"}})).await?.unwrap_err();
    assert_eq!(refused, json!({"code": 211, "message": "banned: a moderator said so"}));
    let refused = Polling::connect(&world.hub.listen, "ada").await.err().context("she is let in")?.to_string();
    assert!(refused.contains("banned: a moderator said so"), "{refused}");
    confab(&world.hub, &["ban", "lift", "ada", "--everywhere", "--json"])?;
    Client::connect(&world.hub.listen, "ada").await?.subscribe("lobby", None).await?.unwrap();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_token_opens_a_room_to_those_who_are_banned_from_it_and_the_rest_of_a_token_holds() -> Result<()> {
    let world = world("[[room]]\nmatch = [\"closed:**\"]\njoin = \"token\"\n").await?;
    let claims = json!({"sub": "ada", "channels": ["lobby", "garden"]});
    let (mut ada, connected) = connect(&world.hub.listen, claims.clone()).await?;
    assert_eq!(connected.unwrap()["subs"].as_object().map(serde_json::Map::len), Some(2));
    let of_a_room = json!({"channel": "closed:1", "token": token(&json!({"sub": "ada", "channel": "closed:1"}))?});
    ada.ask("subscribe", of_a_room.clone()).await?.unwrap();
    for room in ["lobby", "closed:1"] {
        confab(&world.hub, &["ban", "set", "ada", "--room", room, "--json"])?;
        put_out(&mut ada, room).await?;
    }
    assert_eq!(code(ada.ask("subscribe", of_a_room.clone()).await?), 211);
    assert_eq!(code(ada.ask("sub_refresh", of_a_room.clone()).await?), 211);
    let (ada, connected) = connect(&world.hub.listen, claims).await?;
    let subs = connected.unwrap()["subs"].take();
    assert!(subs.get("garden").is_some() && subs.get("lobby").is_none(), "{subs}");
    confab(&world.hub, &["ban", "lift", "ada", "--room", "closed:1", "--json"])?;
    assert_eq!(code(ada.rpc("history", json!({"room": "closed:1"})).await?), 103, "it is no right to be there");
    ada.ask("subscribe", of_a_room).await?.unwrap();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn moderators_ban_from_their_client_and_a_ban_with_an_end_ends_by_itself() -> Result<()> {
    let world = world("").await?;
    let (mia, _) = connect(&world.hub.listen, json!({"sub": "mia", "roles": ["moderator"]})).await?;
    let mut ada = Polling::connect(&world.hub.listen, "ada").await?;
    assert_eq!(ada.ask("join", json!({"room": "lobby"})).await?["ok"], true);
    let ban = json!({"op": "ban", "room": "lobby", "user": "ada", "seconds": 1, "reason": "calm down"});
    assert_eq!(ada.ask("review", ban.clone()).await?["error"]["code"], 103);
    let banned = mia.rpc("review", ban).await?.unwrap();
    assert_eq!((&banned["by"], &banned["reason"]), (&json!("mia"), &json!("calm down")));
    assert_eq!(ada.heard("removed").await?, json!({"room": "lobby", "reason": "banned"}));
    eventually("she may come back", async || {
        (ada.ask("join", json!({"room": "lobby"})).await.ok()?["ok"] == true).then_some(())
    })
    .await;
    mia.rpc("review", json!({"op": "ban", "user": "bob"})).await?.unwrap();
    let bans = mia.rpc("review", json!({"op": "bans", "user": "bob"})).await?.unwrap();
    assert_eq!((&bans["bans"][0]["user"], bans["bans"].as_array().map(Vec::len)), (&json!("bob"), Some(1)));
    for wrong in [
        json!({"op": "ban", "room": "lobby"}),
        json!({"op": "ban", "room": "lobby", "user": "ada", "seconds": 0}),
        json!({"op": "unban", "room": "lobby", "user": "bob"}),
        json!({"op": "mute", "user": "ada", "seconds": 60}),
    ] {
        assert_eq!(code(mia.rpc("review", wrong.clone()).await?), 107, "{wrong}");
    }
    mia.rpc("review", json!({"op": "unban", "user": "bob"})).await?.unwrap();
    Client::connect(&world.hub.listen, "bob").await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stock_client_that_is_banned_neither_joins_nor_connects_again_by_itself() -> Result<()> {
    let world = world("").await?;
    let [ada, mia] =
        [json!({"sub": "ada"}), json!({"sub": "mia", "roles": ["moderator"]})].map(|claims| token(&claims));
    let (ada, mia) = (ada?, mia?);
    let flags = ["--token", &ada, "--moderator", &mia, "--protobuf"];
    for flags in [&flags[..4], &flags] {
        stock::node_with("banned.mjs", &[&world.hub.listen], flags).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_front_end_that_is_banned_from_its_mapped_room_hears_nothing_of_it_and_keeps_the_rest() -> Result<()> {
    let world =
        Embedded::start("\n[[socketio]]\non = \"say\"\nroom = \"lobby\"\nemit = \"said\"\nshape = \"text\"\n").await?;
    let bob = Client::connect(&world.hub.listen, "bob").await?;
    let mut ada = Polling::connect(&world.hub.listen, "ada").await?;
    bob.say("lobby", "k1", "hello").await?.unwrap();
    assert_eq!(ada.heard("said").await?, "hello");
    confab(&world.hub, &["ban", "set", "ada", "--room", "lobby", "--json"])?;
    assert_eq!(ada.heard("removed").await?["room"], "lobby");
    for mut ada in [ada, Polling::connect(&world.hub.listen, "ada").await?] {
        bob.say("lobby", &uuid::Uuid::now_v7().to_string(), "not for ada").await?.unwrap();
        assert_eq!(ada.ask("join", json!({"room": "garden"})).await?["ok"], true);
        bob.say("garden", &uuid::Uuid::now_v7().to_string(), "for ada").await?.unwrap();
        loop {
            let packet = ada.packet().await?;
            ensure!(!packet.contains("not for ada"), "heard: {packet}");
            if packet.contains("for ada") {
                break;
            }
        }
        ada.emit("say", json!("let me in")).await?;
        assert_eq!(ada.heard("refused").await?["code"], 211);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_starts_while_postgres_is_away_puts_out_whoever_is_banned_as_soon_as_it_answers() -> Result<()> {
    let folder = TempDir::with_prefix("confab-postgres-")?;
    let data = folder.path().join("postgres");
    let started = tokio::task::spawn_blocking(move || Postgres::start(&data, postgres::Options::for_tests()));
    let mut postgres = started.await??;
    let plan = Plan { hubs: 1, postgres: Some(postgres.address()), ..Plan::default() };
    let mut world = Cluster::planned(plan).await?;
    confab(&world.hubs[0], &["ban", "set", "ada", "--room", "lobby", "--json"])?;
    confab(&world.hubs[0], &["ban", "set", "carl", "--everywhere", "--json"])?;
    world.hubs[0].kill()?;
    postgres.pause()?;
    world.hubs[0].start().await?;
    let hub = world.hubs[0].listen.clone();
    let (mut ada, mut carl) = (Client::connect(&hub, "ada").await?, Client::connect(&hub, "carl").await?);
    ada.subscribe("lobby", None).await?.unwrap();
    ada.say("lobby", "k", "live chat goes on").await?.unwrap();
    let (status, _, err) = world.hubs[0].verb(&["ban", "set", "bob", "--everywhere"])?;
    assert!(!status.success(), "{err}");
    Client::connect(&hub, "bob").await?.subscribe("lobby", None).await?.unwrap();

    postgres.resume()?;
    put_out(&mut ada, "lobby").await?;
    assert_eq!(carl.close_code().await?, 3503);
    assert_eq!(code(ada.subscribe("lobby", None).await?), 211);
    world.end().await?;
    postgres.stop()
}

#[tokio::test(flavor = "multi_thread")]
async fn hubs_go_by_the_database_that_took_the_place_of_another() -> Result<()> {
    let world = Cluster::start("").await?;
    for room in ["lobby", "garden"] {
        confab(&world.hubs[0], &["ban", "set", "ada", "--room", room, "--json"])?;
    }
    let [here, there] = [0, 1].map(|n| world.hubs[n].listen.clone());
    let (ada, again) = (Client::connect(&here, "ada").await?, Client::connect(&there, "ada").await?);
    let refused = async |client: &Client| {
        client
            .rpc("history", json!({"room": "lobby"}))
            .await
            .is_ok_and(|answer| answer.is_err_and(|no| no["code"] == 211))
    };
    eventually("both hubs know", async || (refused(&ada).await && refused(&again).await).then_some(())).await;
    let restored = "delete from bans; update mute_versions set current = 0";
    sqlx::raw_sql(restored).execute(&mut world.sql().await?).await?;
    for ada in [&ada, &again] {
        eventually("it knows of no ban", async || ada.subscribe("lobby", None).await.ok()?.ok()).await;
    }
    confab(&world.hubs[0], &["ban", "set", "ada", "--everywhere", "--json"])?;
    for mut session in [ada, again] {
        assert_eq!(session.close_code().await?, 3503, "the first that it knows is news");
    }
    world.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn hubs_go_by_a_database_that_lost_the_last_bans_and_gave_their_numbers_to_others() -> Result<()> {
    let world = Cluster::start("").await?;
    for room in ["lobby", "garden"] {
        confab(&world.hubs[0], &["ban", "set", "ada", "--room", room, "--json"])?;
    }
    let there = world.hubs[1].listen.clone();
    let ada = Client::connect(&there, "ada").await?;
    eventually("the other hub knows both", async || {
        let lobby = ada.subscribe("lobby", None).await.ok()?.is_err();
        (lobby && ada.subscribe("garden", None).await.ok()?.is_err()).then_some(())
    })
    .await;
    // A replica that had none of them took the place of the primary, and two bans were said there: they have the numbers 1 and 2.
    let failover = "begin; delete from bans; delete from sanction_marks;
        insert into bans (room, person, until, reason, said_by, at, version)
            values ('garden', 'bob', 9000000000000000, 'no', 'mia', 1, 1), ('lobby', 'carl', 9000000000000000, 'no', 'mia', 1, 2);
        insert into sanction_marks (version, mark) values (1, 'one'), (2, 'two'); commit";
    sqlx::raw_sql(failover).execute(&mut world.sql().await?).await?;
    eventually("what was lost does not stand", async || ada.subscribe("lobby", None).await.ok()?.ok()).await;
    let carl = Client::connect(&there, "carl").await?;
    eventually("what was said there does", async || carl.subscribe("lobby", None).await.ok()?.err()).await;
    world.end().await
}

/// Schedule 13.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_banned_stays_out_of_every_hub_also_after_hubs_and_consumer_began_anew() -> Result<()> {
    let mut world = Cluster::start("").await?;
    let [a, b] = [0, 1].map(|n| world.hubs[n].listen.clone());
    let mut ada = Client::connect(&b, "ada").await?;
    let mut carl = Client::connect(&b, "carl").await?;
    let bob = Client::connect(&a, "bob").await?;
    ada.subscribe("lobby", None).await?.unwrap();

    // Said on one hub, and on the other they are out.
    let begun = Instant::now();
    confab(&world.hubs[0], &["ban", "set", "ada", "--room", "lobby", "--json"])?;
    confab(&world.hubs[0], &["ban", "set", "carl", "--everywhere", "--json"])?;
    put_out(&mut ada, "lobby").await?;
    assert_eq!(carl.close_code().await?, 3503);
    println!("both were out on the other hub {:?} after the command for the first began", begun.elapsed());
    bob.say("lobby", "k", "they are gone").await?.unwrap();

    for hub in &mut world.hubs {
        hub.kill()?;
    }
    world.consumer.kill()?;
    world.consumer.start().await?;
    for hub in &mut world.hubs {
        hub.start().await?;
    }
    for hub in [&a, &b] {
        let ada = Client::connect(hub, "ada").await?;
        assert_eq!(code(ada.subscribe("lobby", None).await?), 211);
        assert_eq!(code(ada.say("lobby", "k1", "let me in").await?), 211);
        assert_eq!(code(ada.rpc("history", json!({"room": "lobby"})).await?), 211);
        let carl = Client::open(hub).await?;
        assert_eq!(code(carl.ask("connect", json!({"data": {"user": "carl"}})).await?), 211);
        Client::connect(hub, "bob").await?.say("lobby", "k2", "all is well").await?.unwrap();
    }

    confab(&world.hubs[1], &["ban", "lift", "ada", "--room", "lobby", "--json"])?;
    Client::connect(&b, "ada").await?.subscribe("lobby", None).await?.unwrap();
    let ada = Client::connect(&a, "ada").await?;
    eventually("the first hub hears of it", async || ada.subscribe("lobby", None).await.ok()?.ok()).await;
    ada.say("lobby", "k3", "thank you").await?.unwrap();
    world.end().await
}
