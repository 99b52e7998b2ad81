//! Reload under load. `CONFAB_TEST_RELOAD_LOAD=60x2000` runs it at full size: seconds × messages a second.

use anyhow::{Context, Result};
use confab_tests::client::Client;
use confab_tests::world::{Embedded, component};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// One session speaks in each room, another listens.
const ROOMS: usize = 8;
/// How often each session speaks.
const BEAT: Duration = Duration::from_millis(20);

/// A chain of two plugins that shows when they are of two versions: the first says `w<n> v<n>`, the second masks `w<n>`.
fn chain(n: usize) -> Result<String> {
    Ok(format!(
        "[plugin.first]\nmodule = \"{}\"\ncapabilities = {{ log = true }}\nisolation = \"worker\"\ntimeout = \"5s\"\n\
         settings = {{ mode = \"say\", say = \"w{n} v{n}\" }}\n\
         [plugin.second]\nmodule = \"{}\"\nisolation = \"worker\"\ntimeout = \"5s\"\nsettings = {{ words = [\"w{n}\"] }}\n\
         [[chain]]\nplugins = [\"first\", \"second\"]\n",
        component("misbehave")?.display(),
        component("word-filter")?.display()
    ))
}

fn size() -> Result<(Duration, usize)> {
    let text = std::env::var("CONFAB_TEST_RELOAD_LOAD").unwrap_or_else(|_| "4x160".into());
    let (seconds, rate) = text.split_once('x').context("write it like 60x2000")?;
    Ok((Duration::from_secs(seconds.parse()?), rate.parse()?))
}

#[tokio::test(flavor = "multi_thread")]
async fn reloads_under_load_lose_and_reorder_nothing_and_each_message_is_judged_by_one_chain() -> Result<()> {
    let (span, rate) = size()?;
    let mut world = Embedded::prepared("")?;
    let settings = std::fs::read_to_string(world.folder.path().join("hub.toml"))?;
    world.hub.rewrite(|_| format!("{settings}{}", chain(0).expect("the components are built")))?;
    world.hub.start().await?;

    let begun = Instant::now();
    let each = (rate as f64 * BEAT.as_secs_f64() / ROOMS as f64).max(1.0) as usize;
    let speaking: Vec<_> = (0..ROOMS)
        .map(|room| tokio::spawn(speak(world.hub.listen.clone(), format!("room:{room}"), span, each)))
        .collect();

    // Twice a second, another chain.
    let mut versions = BTreeMap::new();
    let mut took = Vec::new();
    for n in 0.. {
        world.hub.rewrite(|_| format!("{settings}{}", chain(n).expect("the components are built")))?;
        let (status, answer) = world.hub.admin_api().post("/api/v1/reload", &json!({})).await?;
        assert_eq!(status, 200, "{answer}");
        versions.insert(answer["to"].as_str().context("a version")?.to_owned(), n);
        took.push(answer["took_ms"].as_u64().unwrap_or_default());
        if begun.elapsed() >= span {
            break;
        }
        tokio::time::sleep_until((begun + Duration::from_millis(500) * (n + 1) as u32).into()).await;
    }

    let (mut sent, mut by_chain) = (0, BTreeMap::new());
    for (room, speaking) in speaking.into_iter().enumerate() {
        let said = speaking.await??;
        sent += said;
        judged_once(&world, &format!("room:{room}"), said, &versions, &mut by_chain).await?;
    }
    assert!(by_chain.len() > 1, "messages were judged by more than one chain: {by_chain:?}");
    took.sort_unstable();
    println!(
        "{sent} messages in {:?}, {} reloads (median {} ms, longest {} ms), {} chains judged",
        begun.elapsed(),
        took.len(),
        took[took.len() / 2],
        took[took.len() - 1],
        by_chain.len()
    );
    Ok(())
}

/// Speaks in a room for a while, `each` messages at each beat, and listens to it: every message stands, and is heard once, in
/// the order in which it was said. Returns how many.
async fn speak(listen: String, room: String, span: Duration, each: usize) -> Result<usize> {
    let mut listener = Client::connect(&listen, "listener").await?;
    listener.subscribe(&room, None).await?.unwrap();
    let speaker = Client::connect(&listen, &format!("speaker-{room}")).await?;
    let mut beat = tokio::time::interval(BEAT);
    let (begun, mut said, mut answers) = (Instant::now(), 0, Vec::new());
    while begun.elapsed() < span {
        beat.tick().await;
        for _ in 0..each {
            let body = json!({"room": room, "key": format!("k{said}"), "body": {"text": "hello"}});
            answers.push(tokio::spawn(speaker.begin_rpc("send", body)));
            said += 1;
        }
    }
    for answer in answers {
        let answer = answer.await??;
        assert!(answer.is_ok(), "{answer:?}");
    }
    for n in 0..said {
        let heard = listener.publication().await?;
        assert_eq!(heard["pub"]["offset"], n + 1, "{heard}");
        assert_eq!(heard["pub"]["tags"]["key"], format!("k{n}"), "{heard}");
    }
    Ok(said)
}

/// Every message of the room was judged by both plugins of the chain that its trail names.
async fn judged_once(
    world: &Embedded,
    room: &str,
    said: usize,
    versions: &BTreeMap<String, usize>,
    by_chain: &mut BTreeMap<String, usize>,
) -> Result<()> {
    let (mut found, mut before) = (0, String::new());
    loop {
        let path = format!("/api/v1/history?room={room}&limit=500{before}");
        let page: Value = serde_json::from_str(&world.hub.admin_api().get(&path).await?.1)?;
        for event in page["events"].as_array().context("a page has events")? {
            let chain = event["trail"]["chain"].as_str().context("a trail names its chain")?;
            let n = versions.get(chain).with_context(|| format!("{chain} was never in place"))?;
            let mask = "*".repeat(format!("w{n}").len());
            assert_eq!(event["body"]["text"], format!("{mask} v{n}"), "{event}");
            *by_chain.entry(chain.to_owned()).or_default() += 1;
            found += 1;
        }
        let (Some(epoch), Some(offset)) = (page["next"]["epoch"].as_str(), page["next"]["offset"].as_u64()) else {
            break;
        };
        before = format!("&epoch={epoch}&offset={offset}");
    }
    assert_eq!(found, said, "all of {room} can be read");
    Ok(())
}
