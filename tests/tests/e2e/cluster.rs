//! Two hubs on the real services: one message's whole walk, and a load that a checker judges from the outside.

use anyhow::{Context, Result};
use confab_protocol::Cursor;
use confab_tests::checker::{Allowed, Observed, Seen, check};
use confab_tests::client::Client;
use confab_tests::world::{Cluster, plugin};
use confab_tests::{eventually, topic};
use serde_json::{Value, json};
use std::time::Duration;

/// What a publication, or an event of `history`, says of itself.
fn seen_in(room: &str, publication: &Value) -> Result<Seen> {
    let tag = |name: &str| publication["tags"][name].as_str().map(str::to_owned).context("a publication has its tags");
    let epoch = tag("epoch")?.parse()?;
    let offset = publication["offset"].as_u64().context("a publication has an offset")?;
    let sender = publication["info"]["user"].as_str().context("a publication has a sender")?.to_owned();
    Ok(Seen { room: room.to_owned(), id: tag("id")?, cursor: Cursor { epoch, offset }, sender, key: tag("key")? })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_sent_on_one_hub_is_judged_heard_on_both_kept_and_read_back_with_the_same_cursor() -> Result<()> {
    let filter = plugin("word-filter", "word-filter", "settings = { words = [\"spam\"], action = \"mask\" }")?;
    let chain = "[[chain]]\nrooms = [\"**\"]\nplugins = [\"word-filter\"]\n";
    let cluster = Cluster::start(&format!("{filter}{chain}")).await?;
    let mut ada = Client::connect(&cluster.hubs[0].listen, "ada").await?;
    let mut bob = Client::connect(&cluster.hubs[1].listen, "bob").await?;
    for client in [&ada, &bob] {
        client.subscribe("team:1", None).await?.unwrap();
    }
    let receipt = ada.say("team:1", "k1", "no spam here").await?.unwrap();
    assert_eq!(receipt["verdict"], "replace");
    for client in [&mut ada, &mut bob] {
        let heard = client.publication().await?;
        assert_eq!(heard["pub"]["data"]["text"], "no **** here");
        assert_eq!(heard["pub"]["tags"]["id"], receipt["id"]);
        assert_eq!(heard["pub"]["offset"], 1);
    }
    let records = topic::records(&cluster.kafka, &format!("{}-events", cluster.prefix)).await?;
    assert_eq!(records.iter().map(|record| record.id.as_str()).collect::<Vec<_>>(), [receipt["id"].as_str().unwrap()]);
    let stored =
        eventually("the row is stored", async || cluster.messages().await.ok().filter(|rows| !rows.is_empty())).await;
    assert_eq!(stored, records);
    assert_eq!(cluster.events().await?, records);

    let from_window = ada.rpc("history", json!({"room": "team:1"})).await?.unwrap();
    for key in cluster.keys("team:1").await? {
        if key.contains("win") {
            cluster.redis(&["DEL", &key]).await?;
        }
    }
    for client in [&ada, &bob] {
        let from_store = client.rpc("history", json!({"room": "team:1"})).await?.unwrap();
        assert_eq!(from_store["events"], from_window["events"]);
        assert_eq!(from_store["events"][0]["epoch"], receipt["epoch"]);
    }
    assert!(ada.publication_now().is_none() && bob.publication_now().is_none(), "heard once");
    cluster.end().await
}

const SENDERS: usize = 50;
const ROOMS: usize = 20;
const EACH: usize = 400;

#[tokio::test(flavor = "multi_thread")]
async fn twenty_thousand_messages_over_two_hubs_are_kept_once_and_heard_in_one_order() -> Result<()> {
    let cluster = Cluster::start("").await?;
    let mut listeners = Vec::new();
    for n in 0..4 {
        let hub = &cluster.hubs[n % 2];
        let listener = Client::connect(&hub.listen, &format!("listener-{n}")).await?;
        for room in 0..ROOMS {
            listener.subscribe(&format!("load:{room}"), None).await?.unwrap();
        }
        let hears = tokio::spawn(hear(listener, SENDERS * EACH));
        listeners.push((format!("listener {n}"), hears));
    }
    let mut senders = Vec::new();
    for n in 0..SENDERS {
        let client = Client::connect(&cluster.hubs[n % 2].listen, &format!("sender-{n}")).await?;
        senders.push(tokio::spawn(send(client, n)));
    }
    let mut observed = Observed::default();
    for sender in senders {
        observed.receipts.extend(sender.await??);
    }
    assert_eq!(observed.receipts.len(), SENDERS * EACH);
    for (name, hears) in listeners {
        observed.heard.insert(name, hears.await??);
    }
    observed.journal = topic::records(&cluster.kafka, &format!("{}-events", cluster.prefix)).await?;
    eventually("everything is stored", async || {
        cluster.messages().await.ok().filter(|rows| rows.len() >= SENDERS * EACH)
    })
    .await;
    observed.events = cluster.events().await?;
    observed.messages = cluster.messages().await?;
    let violations = check(&observed, Allowed { copies: false });
    assert!(violations.is_empty(), "{} violations, the first: {}", violations.len(), violations[0]);
    assert_eq!(observed.events.len(), SENDERS * EACH);
    cluster.end().await
}

/// Sends with several in flight; the receipts in the order in which they were sent.
async fn send(client: Client, sender: usize) -> Result<Vec<Seen>> {
    let mut receipts = Vec::new();
    let mut waiting = std::collections::VecDeque::new();
    for n in 0..EACH {
        let (room, key) = (format!("load:{}", (sender + n / 20) % ROOMS), format!("{sender}-{n}"));
        let body = json!({"text": format!("message {n} of {sender}")});
        let answer = client.begin_rpc("send", json!({"room": room, "key": key, "body": body}));
        waiting.push_back((room, key, answer));
        if waiting.len() >= 8 || n + 1 == EACH {
            let enough = if n + 1 == EACH { waiting.len() } else { 1 };
            for (room, key, answer) in waiting.drain(..enough) {
                let receipt = answer.await?.map_err(|refusal| anyhow::anyhow!("refused: {refusal}"))?;
                let text = |name: &str| receipt[name].as_str().context("a receipt is whole").map(str::to_owned);
                let cursor =
                    Cursor { epoch: text("epoch")?.parse()?, offset: receipt["offset"].as_u64().context("offset")? };
                receipts.push(Seen { room, id: text("id")?, cursor, sender: format!("sender-{sender}"), key });
            }
        }
    }
    Ok(receipts)
}

/// Everything that a listener hears until it has heard `n`, and whatever comes in the moment after.
async fn hear(mut listener: Client, n: usize) -> Result<Vec<Seen>> {
    let mut heard = Vec::new();
    while heard.len() < n {
        let push = listener.publication().await?;
        heard.push(seen_in(push["channel"].as_str().context("a push has a channel")?, &push["pub"])?);
    }
    while let Ok(Ok(push)) = tokio::time::timeout(Duration::from_millis(300), listener.publication()).await {
        heard.push(seen_in(push["channel"].as_str().context("a push has a channel")?, &push["pub"])?);
    }
    Ok(heard)
}
