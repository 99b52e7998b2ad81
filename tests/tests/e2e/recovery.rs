//! Coming back: large catch-ups that arrive in pages, and many clients that come back at once.

use anyhow::{Context, Result};
use confab_tests::client::Client;
use confab_tests::stock;
use confab_tests::world::{Cluster, Embedded, UNLIMITED};
use confab_tests::{eventually, say_many};
use serde_json::Value;

/// The offsets that a client is given: those of its reply, then those that follow, up to `last`.
async fn given(client: &mut Client, joined: &Value, last: u64) -> Result<Vec<u64>> {
    let offset = |publication: &Value| publication["offset"].as_u64().context("a publication has an offset");
    let first = joined["publications"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut offsets = first.iter().map(offset).collect::<Result<Vec<_>>>()?;
    while offsets.last().is_none_or(|offset| *offset < last) {
        offsets.push(offset(&client.publication().await?["pub"])?);
    }
    Ok(offsets)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_catch_up_begins_in_the_reply_and_follows_in_order_while_the_room_goes_on() -> Result<()> {
    let rooms = "\n[[room]]\nmatch = [\"**\"]\nhot_window = { events = 500 }\n";
    let world = Embedded::start(&format!("{UNLIMITED}{rooms}")).await?;
    let ada = Client::connect(&world.hub.listen, "ada").await?;
    let epoch = ada.subscribe("lobby", None).await?.unwrap()["epoch"].as_str().unwrap().to_owned();
    say_many(&ada, "lobby", 1..=3000).await?;
    let mut back = Client::connect(&world.hub.listen, "bob").await?;
    let goes_on = say_many(&ada, "lobby", 3001..=3500);
    let recovers = async {
        let joined = back.subscribe("lobby", Some((&epoch, 10))).await?.unwrap();
        assert_eq!(joined["recovered"], true);
        let first = joined["publications"].as_array().context("a first page")?;
        assert!(first.len() < 1000, "{} events in one reply", first.len());
        assert_eq!(joined["offset"], first.last().context("not empty")?["offset"]);
        given(&mut back, &joined, 3500).await
    };
    let (said, offsets) = tokio::join!(goes_on, recovers);
    said?;
    assert_eq!(offsets?, (11..=3500).collect::<Vec<_>>());
    ada.say("lobby", "last", "live").await?.unwrap();
    assert_eq!(back.publication().await?["pub"]["offset"], 3501);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn stock_clients_of_both_encodings_and_of_socket_io_are_given_a_large_catch_up() -> Result<()> {
    let world = Embedded::start("").await?;
    let hub: [&str; 1] = [&world.hub.listen];
    stock::node("long-catch-up.mjs", &hub).await.context("JSON")?;
    stock::node_protobuf("long-catch-up.mjs", &hub).await.context("Protobuf")?;
    stock::node("socketio-long-catch-up.mjs", &hub).await.context("Socket.IO").map(drop)
}

const COMING_BACK: usize = 300;

#[tokio::test(flavor = "multi_thread")]
async fn hundreds_of_clients_that_come_back_have_each_page_read_once() -> Result<()> {
    let rooms = "\n[[room]]\nmatch = [\"**\"]\nhot_window = { events = 400 }\n";
    let cluster = Cluster::start(rooms).await?;
    let ada = Client::connect(&cluster.hubs[0].listen, "ada").await?;
    let epoch = ada.subscribe("lobby", None).await?.unwrap()["epoch"].as_str().unwrap().to_owned();
    say_many(&ada, "lobby", 1..=1000).await?;
    eventually("everything is stored", async || {
        cluster.messages().await.ok().filter(|rows| rows.len() >= 1000).map(drop)
    })
    .await;
    let hub = &cluster.hubs[1];
    let mut clients = Vec::new();
    for n in 0..COMING_BACK {
        let (listen, epoch) = (hub.listen.clone(), epoch.clone());
        clients.push(tokio::spawn(async move {
            let mut client = Client::connect(&listen, &format!("back-{n}")).await?;
            let joined = client.subscribe("lobby", Some((&epoch, n as u64))).await?.unwrap();
            assert_eq!(joined["recovered"], true);
            let offsets = given(&mut client, &joined, 1020).await?;
            assert_eq!(offsets, (n as u64 + 1..=1020).collect::<Vec<_>>());
            anyhow::Ok(())
        }));
    }
    say_many(&ada, "lobby", 1001..=1020).await?;
    for client in clients {
        client.await??;
    }
    let metric = async |name: &str| hub.metric(name).await;
    let (window, store) = (metric("confab_window_reads_total").await?, metric("confab_store_reads_total").await?);
    let shared = metric("confab_shared_pages_total").await?;
    // Six blocks of 200 places; the store has those before the window. Pages stay two seconds, so a slow machine reads
    // some of them again.
    assert!(window < 100.0 && store < 50.0, "{window} reads of the window and {store} of the store");
    assert!(shared > 500.0, "{shared} pages were shared");
    println!("{COMING_BACK} clients: {window} reads of the window, {store} of the store, {shared} pages shared");
    cluster.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn too_far_back_is_said_with_the_oldest_place_and_a_place_from_before_the_first_event_works() -> Result<()> {
    let world = Embedded::start("\n[limits]\nrecover_events = 100\n").await?;
    let early = Client::connect(&world.hub.listen, "early").await?;
    let held = early.subscribe("lobby", None).await?.unwrap();
    assert_eq!(held["offset"].as_u64().unwrap_or_default(), 0, "it has never received anything: {held}");
    let epoch = held["epoch"].as_str().unwrap();
    let ada = Client::connect(&world.hub.listen, "ada").await?;
    say_many(&ada, "lobby", 1..=100).await?;
    let mut back = Client::connect(&world.hub.listen, "early").await?;
    let joined = back.subscribe("lobby", Some((epoch, 0))).await?.unwrap();
    assert_eq!(joined["recovered"], true);
    assert_eq!(given(&mut back, &joined, 100).await?, (1..=100).collect::<Vec<_>>());
    say_many(&ada, "lobby", 101..=101).await?;
    let late = Client::connect(&world.hub.listen, "early").await?;
    let joined = late.subscribe("lobby", Some((epoch, 0))).await?.unwrap();
    assert_eq!((joined.get("recovered"), &joined["offset"]), (None, &101.into()));
    assert_eq!(joined["data"]["oldest"]["offset"], 1);
    Ok(())
}
