//! What the consumer could not store, and what an operator does with it.

use anyhow::{Context, Result};
use confab_tests::client::Client;
use confab_tests::world::Cluster;
use confab_tests::{eventually, topic};
use serde_json::{Value, json};
use tokio::task::block_in_place;

/// A database that takes no message with a word in it, and says that the record is to blame.
const OBJECT: &str = "create function object() returns trigger language plpgsql as $$ begin
        raise exception 'a word that is not taken' using errcode = '22000'; end $$;
    create trigger object before insert on events for each row when (new.body like '%mischief%') execute function object()";

/// Runs `confab dead-letters` with `--json`: the exit code, and the letters.
fn letters(cluster: &Cluster, arguments: &[&str]) -> Result<(Option<i32>, Vec<Value>)> {
    let arguments = [&["dead-letters"], arguments, &["--json"]].concat();
    let (status, out, err) = block_in_place(|| cluster.hubs[0].verb(&arguments))?;
    let answer: Value = serde_json::from_str(&out).with_context(|| format!("{arguments:?}: {status} {out}{err}"))?;
    Ok((status.code(), answer["letters"].as_array().context("letters")?.clone()))
}

/// The texts of what the store has of the room, the oldest first.
async fn stored(cluster: &Cluster) -> Result<Vec<String>> {
    let texts = "select body from messages where room = 'lobby' and seq is not null order by epoch, seq";
    let bodies: Vec<String> = sqlx::query_scalar(texts).fetch_all(&mut cluster.sql().await?).await?;
    bodies
        .iter()
        .map(|body| Ok(serde_json::from_str::<Value>(body)?["text"].as_str().context("a text")?.to_owned()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_is_listed_and_stored_once_when_its_cause_is_mended_or_given_up() -> Result<()> {
    let cluster = Cluster::start("").await?;
    assert_eq!(letters(&cluster, &["list"])?, (Some(0), Vec::new()));
    sqlx::raw_sql(OBJECT).execute(&mut cluster.sql().await?).await?;
    let ada = Client::connect(&cluster.hubs[0].listen, "ada").await?;
    let mut ids = Vec::new();
    for (key, text) in [("k1", "one"), ("k2", "mischief"), ("k3", "three"), ("k4", "more mischief")] {
        ids.push(ada.say("lobby", key, text).await?.unwrap()["id"].clone());
    }
    let list = || letters(&cluster, &["list", "--room", "lobby"]).ok().filter(|(_, letters)| letters.len() == 2);
    let (_, waiting) = eventually("two letters are listed", async || list()).await;
    assert_eq!(stored(&cluster).await?, ["one", "three"]);
    assert_eq!([&waiting[0]["event"], &waiting[1]["event"]], [&ids[1], &ids[3]]);
    let reason = waiting[0]["reason"].as_str().context("a reason")?;
    assert!(reason.contains("a word that is not taken"), "{reason}");
    let (status, out, _) = block_in_place(|| cluster.hubs[0].verb(&["dead-letters", "list"]))?;
    assert!(status.success() && out.contains("room \"lobby\"") && out.contains("a word that is not taken"), "{out}");
    let [first, second] = [0, 1].map(|n: usize| waiting[n]["letter"].as_str().unwrap_or_default().to_owned());

    let (code, told) = letters(&cluster, &["retry", &first])?;
    assert_eq!((code, &told[0]["became"]), (Some(1), &Value::Null), "its cause is still there: {told:?}");
    assert_eq!(letters(&cluster, &["list"])?.1.len(), 2, "it still waits, and no letter was added");
    sqlx::raw_sql("drop trigger object on events").execute(&mut cluster.sql().await?).await?;
    let (code, told) = letters(&cluster, &["retry", &first])?;
    assert_eq!((code, &told[0]["became"]), (Some(0), &json!("stored")), "{told:?}");
    assert_eq!(stored(&cluster).await?, ["one", "mischief", "three"], "it is at its place");
    let page = ada.rpc("history", json!({"room": "lobby", "limit": 10})).await?.unwrap();
    assert_eq!(page["events"][1]["id"], ids[1], "{page}");

    let (status, _, err) = block_in_place(|| cluster.hubs[0].verb(&["dead-letters", "retry", &first]))?;
    assert!(status.code() == Some(1) && err.contains(&first), "what is settled is not there any more: {err}");
    let (code, told) = letters(&cluster, &["drop", &second, "--reason", "nobody wants it"])?;
    assert_eq!((code, &told[0]["became"]), (Some(0), &json!("dropped")), "{told:?}");
    assert_eq!(letters(&cluster, &["list"])?, (Some(0), Vec::new()));
    assert_eq!(stored(&cluster).await?, ["one", "mischief", "three"]);
    let name = format!("{}-dead-letters", cluster.prefix);
    let left = block_in_place(|| topic::values(&cluster.kafka, &name))?;
    assert_eq!(left.len(), 0, "what was given up is not in Kafka's topic of dead letters either");

    let audited = "select verb || ' ' || result from audit where said_by = 'local' order by id";
    let acts: Vec<String> = sqlx::query_scalar(audited).fetch_all(&mut cluster.sql().await?).await?;
    assert_eq!(acts.len(), 3, "{acts:?}");
    assert!(acts[0].starts_with("retry_dead_letter") && acts[0].contains("a word that is not taken"), "{acts:?}");
    assert_eq!(acts[1..], ["retry_dead_letter ok", "drop_dead_letter ok"]);
    cluster.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_embedded_hub_says_that_it_has_no_dead_letters() -> Result<()> {
    let embedded = confab_tests::world::Embedded::prepared("")?;
    let (status, _, err) = block_in_place(|| embedded.hub.verb(&["dead-letters", "list"]))?;
    assert!(status.code() == Some(78) && err.contains("embedded"), "{err}");
    Ok(())
}
