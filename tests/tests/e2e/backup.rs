//! A backup that is made while people talk, and what comes of it elsewhere.

use anyhow::{Context, Result};
use confab_tests::client::Client;
use confab_tests::eventually;
use confab_tests::world::Embedded;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The keys of a room's events, and their places.
async fn said(client: &Client, room: &str) -> Result<(BTreeSet<String>, BTreeSet<(String, u64)>)> {
    let (mut keys, mut places) = (BTreeSet::new(), BTreeSet::new());
    let mut before = Value::Null;
    loop {
        let page = client
            .rpc("history", json!({"room": room, "limit": 200, "reverse": true, "since": before}))
            .await?
            .unwrap();
        for event in page["events"].as_array().context("events")? {
            keys.insert(event["key"].as_str().context("a key")?.to_owned());
            let place = (
                event["epoch"].as_str().context("an epoch")?.to_owned(),
                event["offset"].as_u64().context("an offset")?,
            );
            assert!(places.insert(place), "no place is given twice");
        }
        before = page["next"].clone();
        if before.is_null() {
            return Ok((keys, places));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_made_while_people_talk_has_all_that_was_acknowledged_and_goes_on_elsewhere_without_a_place_twice()
-> Result<()> {
    let mut from = Embedded::start("").await?;
    let ada = Arc::new(Client::connect(&from.hub.listen, "ada").await?);
    let epoch = ada.subscribe("lobby", None).await?.unwrap()["epoch"].as_str().context("an epoch")?.to_owned();
    let acknowledged = Arc::new(AtomicU64::new(0));
    let stop = Arc::new(AtomicBool::new(false));
    let talking = tokio::spawn({
        let (ada, acknowledged, stop) = (ada.clone(), acknowledged.clone(), stop.clone());
        async move {
            let mut n = 0;
            while !stop.load(Ordering::SeqCst)
                && ada.say("lobby", &format!("k{n}"), "talk").await.is_ok_and(|said| said.is_ok())
            {
                n += 1;
                acknowledged.store(n, Ordering::SeqCst);
            }
        }
    });
    eventually("people talk", async || (acknowledged.load(Ordering::SeqCst) > 50).then_some(())).await;
    let file = from.folder.path().join("backup.db");
    let path = file.to_str().context("a path")?;
    let before = acknowledged.load(Ordering::SeqCst);
    let (status, out, err) = from.hub.verb(&["backup", path])?;
    assert!(status.success() && out.contains("events"), "{out}{err}");
    let (status, _, err) = from.hub.verb(&["backup", path])?;
    assert!(status.code() == Some(1) && err.contains("--force"), "a file that is there stays: {err}");
    let (status, _, err) = from.hub.verb(&["restore", path, "--force"])?;
    assert!(status.code() == Some(78) && err.contains("used by another hub"), "not under a hub that runs: {err}");
    stop.store(true, Ordering::SeqCst);
    talking.await?;
    let (_, places_before) = said(&ada, "lobby").await?;
    from.hub.kill()?;

    let mut to = Embedded::prepared("")?;
    let (status, out, err) = to.hub.verb(&["restore", path, "--json"])?;
    assert!(status.success(), "{err}");
    let restored: Value = serde_json::from_str(&out)?;
    assert!(restored["events"].as_u64().context("a number")? >= before);
    to.hub.start().await?;
    let bob = Client::connect(&to.hub.listen, "bob").await?;
    let back = bob.subscribe("lobby", Some((&epoch, before))).await?.unwrap();
    assert_ne!(back["recovered"], true, "nobody is told that nothing is missing: {back}");
    for n in 0..20 {
        bob.say("lobby", &format!("new{n}"), "after").await?.unwrap();
    }
    let (keys, places) = said(&bob, "lobby").await?;
    let missing: Vec<_> = (0..before).map(|n| format!("k{n}")).filter(|key| !keys.contains(key)).collect();
    assert_eq!(missing, Vec::<String>::new(), "all that was acknowledged before the backup began is there");
    let new: Vec<_> = places.iter().filter(|(of, _)| *of != epoch).collect();
    assert!(new.len() == 20 && new.iter().all(|place| !places_before.contains(place)), "{new:?}");
    to.hub.stop()?;

    let (status, _, err) = to.hub.verb(&["restore", path])?;
    assert!(status.code() == Some(1) && err.contains("--force"), "a database that is there stays: {err}");
    let broken = to.folder.path().join("broken.db");
    std::fs::write(&broken, "this is no database, and long enough to be taken for one by whoever does not look")?;
    let (status, _, err) = to.hub.verb(&["restore", broken.to_str().context("a path")?, "--force"])?;
    assert_eq!(status.code(), Some(1), "{err}");
    to.hub.start().await?;
    let bob = Client::connect(&to.hub.listen, "bob").await?;
    assert_eq!(said(&bob, "lobby").await?.0, keys, "what could not be restored has changed nothing");
    to.hub.stop()?;
    let (status, out, err) = to.hub.verb(&["restore", path, "--force"])?;
    assert!(status.success() && out.contains("before-restore"), "{out}{err}");
    to.hub.start().await?;
    let bob = Client::connect(&to.hub.listen, "bob").await?;
    let (keys, _) = said(&bob, "lobby").await?;
    assert!(!keys.contains("new0") && keys.contains("k0"), "it is as it was");
    Ok(())
}
