//! Rooms that the server joins a user to, and rooms in which everybody is told who comes and goes.

use anyhow::{Context, Result};
use confab_tests::client::Client;
use confab_tests::polling::Polling;
use confab_tests::stock;
use confab_tests::world::Embedded;
use serde_json::json;

const SETTINGS: &str = "personal_room = \"#{user}\"\n[[room]]\nmatch = [\"team:**\"]\njoin_leave = \"everyone\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn stock_clients_are_in_their_own_room_and_are_told_who_comes_and_goes_without_asking() -> Result<()> {
    let world = Embedded::start(SETTINGS).await?;
    stock::node("personal-room.mjs", &[&world.hub.listen]).await.context("JSON")?;
    stock::node_protobuf("personal-room.mjs", &[&world.hub.listen]).await.context("Protobuf").map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_in_a_users_own_room_reaches_that_user_alone_in_each_dialect() -> Result<()> {
    let world = Embedded::start(SETTINGS).await?;
    let listen = &world.hub.listen;
    let mut ada = Client::open(listen).await?;
    let joined = ada.ask("connect", json!({"data": {"user": "ada"}})).await?.unwrap();
    assert!(joined["subs"].get("#ada").is_some(), "{joined}");
    let mut polling = Polling::connect(listen, "ada").await?;
    for (user, has) in [("bob", true), ("a,ada", false), ("x#ada", false)] {
        let other = Client::open(listen).await?;
        let joined = other.ask("connect", json!({"data": {"user": user}})).await?.unwrap();
        assert_eq!(joined.get("subs").is_some_and(|subs| subs.as_object().is_some_and(|subs| !subs.is_empty())), has);
        let refused = other.subscribe("#ada", None).await?.unwrap_err();
        assert_eq!(refused["code"], 103, "{user}: {refused}");
    }
    ada.say("#ada", "k", "mine").await?.unwrap();
    assert_eq!(ada.publication().await?["channel"], "#ada");
    assert_eq!(polling.heard("event").await?["body"]["text"], "mine");
    let guest = Client::open(listen).await?;
    let joined = guest.ask("connect", json!({})).await?.unwrap();
    assert!(joined.get("subs").is_none_or(|subs| subs.as_object().is_none_or(serde_json::Map::is_empty)), "{joined}");
    Ok(())
}
