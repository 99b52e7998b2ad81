//! Disconnecting a user, or one of their sessions, without a ban.

use anyhow::{Context, Result, ensure};
use confab_tests::client::Client;
use confab_tests::polling::Polling;
use confab_tests::stock;
use confab_tests::world::{Cluster, Embedded};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn one_session_or_all_of_a_user_end_and_nobody_elses_and_they_may_come_back() -> Result<()> {
    let world = Embedded::start("").await?;
    let mut first = Client::connect(&world.hub.listen, "ada").await?;
    let second = Client::open(&world.hub.listen).await?;
    let connected = second.ask("connect", json!({"data": {"user": "ada"}})).await?.unwrap();
    let session = connected["client"].as_str().context("a session has an id")?.to_owned();
    let mut second = second;
    let mut polling = Polling::connect(&world.hub.listen, "ada").await?;
    let bob = Client::connect(&world.hub.listen, "bob").await?;
    let (status, out, err) = world.hub.verb(&["disconnect", "ada", "--session", &session])?;
    ensure!(status.success() && out.contains("1 on this hub"), "{out}{err}");
    assert_eq!(second.close_code().await?, 3011, "come back");
    let (status, out, err) =
        world.hub.verb(&["disconnect", "ada", "--reconnect", "no", "--reason", "lost phone", "--json"])?;
    ensure!(status.success(), "{out}{err}");
    assert!(serde_json::from_str::<Value>(&out)?["here"].as_u64() >= Some(2), "{out}");
    assert_eq!(first.close_code().await?, 3503, "stay away");
    let closing = polling.heard("closing").await?;
    assert_eq!((&closing["code"], &closing["reconnect"]), (&json!(3503), &json!(false)));
    bob.say("lobby", "k", "hello").await?.unwrap();
    Client::connect(&world.hub.listen, "ada").await?.say("lobby", "k", "back again").await?.unwrap();
    let (_, out, _) = world.hub.verb(&["audit", "--verb", "disconnect", "--user", "ada"])?;
    assert!(out.contains("\"reconnect\":false") && out.contains("\"lost phone\"") && out.contains(&session), "{out}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_hub_of_a_cluster_ends_them_whichever_is_asked() -> Result<()> {
    let cluster = Cluster::start("").await?;
    let mut sessions = Vec::new();
    for hub in &cluster.hubs {
        sessions.push(Client::connect(&hub.listen, "ada").await?);
    }
    let bob = Client::connect(&cluster.hubs[1].listen, "bob").await?;
    let (status, out, err) = cluster.hubs[0].verb(&["disconnect", "ada"])?;
    ensure!(status.success(), "{out}{err}");
    for session in &mut sessions {
        assert_eq!(session.close_code().await?, 3011);
    }
    bob.say("lobby", "k", "hello").await?.unwrap();
    drop((sessions, bob));
    cluster.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn stock_clients_come_back_where_they_are_to_and_stay_away_where_they_are_not() -> Result<()> {
    let world = Embedded::start("").await?;
    let admin = world.hub.admin_api();
    let token = admin.token.context("the hub made a token")?;
    for encoding in [&[][..], &["--protobuf"]] {
        let flags = [&["--admin", &admin.address, "--admin-token", &token], encoding].concat();
        stock::node_with("disconnected.mjs", &[&world.hub.listen], &flags).await?;
    }
    Ok(())
}
