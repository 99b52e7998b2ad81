//! The chain: who is asked, in which order, and what follows.

use crate::support::{World, message, world};
use confab_config::JudgedKind;
use confab_hub::plugin::Judged;
use confab_protocol::{Body, Refusal, VerdictName};

const FILTERS: &str = r#"
[plugin.first]
module = "misbehave.wasm"
timeout = "5s"
capabilities = { log = true }
settings = { mode = "say", say = "this is spam" }
[plugin.filter]
module = "word-filter.wasm"
timeout = "5s"
settings = { words = ["spam"], action = "reject", code = 477, reason = "no spam" }
[plugin.mask]
module = "word-filter.wasm"
timeout = "5s"
settings = { words = ["spam", "scam"] }
[plugin.notes]
module = "link-notes.wasm"
timeout = "5s"
"#;

async fn filters(chains: &str) -> World {
    world(&format!("{FILTERS}\n{chains}")).await
}

#[tokio::test]
async fn a_rewrite_hides_nothing_from_the_plugins_after_it() {
    let world = filters("[[chain]]\nplugins = ['first', 'filter']").await;
    let refusal = world.refused("a", "all is well").await;
    assert_eq!(refusal, Refusal::Plugin { code: 477, reason: "no spam".into(), details: None });
}

#[tokio::test]
async fn a_masked_word_is_replaced_wherever_it_stands_and_nothing_else_of_the_body_changes() {
    let world = filters("[[chain]]\nplugins = ['mask']").await;
    let mut event = message("a", "");
    event.body = Body::parse(r#"{ "n": 1.50, "text": "buy SPAM now", "extra": ["spam"] }"#).unwrap();
    let Judged::Approved(approved) = world.chain.judge(event, JudgedKind::Send).await else { panic!("approved") };
    assert_eq!(approved.event.body.as_str(), r#"{ "n": 1.50, "text": "buy **** now", "extra": ["****"] }"#);
    assert_eq!(approved.trail.steps[0].verdict, VerdictName::Replace);
}

#[tokio::test]
async fn annotations_carry_the_plugins_name_and_leave_the_body_alone() {
    let world = filters("[[chain]]\nplugins = ['notes']").await;
    let event = world.approved("a", "see https://user@Example.com/x").await;
    let links: serde_json::Value = event.annotations["notes.links"].read().unwrap();
    let expected = serde_json::json!([{ "host": "example.com", "path": "/x", "display": "example.com/x" }]);
    assert_eq!(links, expected);
    assert_eq!(event.body.as_str(), r#"{"text":"see https://user@Example.com/x"}"#);
}

#[tokio::test]
async fn a_shadow_judges_and_nothing_follows() {
    let world =
        filters("[[chain]]\nplugins = [{ use = 'filter', shadow = true }, { use = 'first', shadow = true }]").await;
    let Judged::Approved(approved) = world.send("a", "spam").await else { panic!("approved") };
    assert_eq!(approved.event.body.text().as_deref(), Some("spam"));
    let steps: Vec<_> = approved.trail.steps.iter().map(|step| (step.verdict, step.shadow)).collect();
    assert_eq!(steps, [(VerdictName::Reject, true), (VerdictName::Replace, true)]);
    assert!(world.seen.judged.lock().unwrap().iter().all(|(_, _, shadow)| *shadow));
}

#[tokio::test]
async fn all_matching_chains_apply_in_file_order_to_what_they_judge() {
    let chains = "
        [[chain]]
        rooms = ['team:**']
        on = ['edit']
        plugins = ['filter']
        [[chain]]
        rooms = ['team:*', '!team:x']
        plugins = ['notes']
        [[chain]]
        plugins = ['mask']";
    let world = filters(chains).await;
    let asked = async |room: &str, kind: JudgedKind| match world.chain.judge(message(room, "hi"), kind).await {
        Judged::Approved(approved) => approved.trail.steps.iter().map(|step| step.plugin.clone()).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    assert_eq!(asked("team:1", JudgedKind::Edit).await, ["filter", "notes", "mask"]);
    assert_eq!(asked("team:1", JudgedKind::Send).await, ["notes", "mask"]);
    assert_eq!(asked("team:x", JudgedKind::Send).await, ["mask"]);
    assert_eq!(
        asked("team:1", JudgedKind::React).await,
        ["notes", "mask"],
        "a reaction is judged unless `on` says otherwise"
    );

    let explained = world.chain.explain("team:1");
    let who: Vec<_> = explained.iter().map(|applies| (applies.chain, applies.plugin.as_str())).collect();
    assert_eq!(who, [(1, "filter"), (2, "notes"), (3, "mask")]);
    assert_eq!(explained[0].on, [JudgedKind::Edit]);
    assert_eq!(world.chain.explain("lobby").len(), 1);
}

#[tokio::test]
async fn a_rejection_ends_the_chain() {
    let world = filters("[[chain]]\nplugins = ['filter', 'notes']").await;
    let Judged::Refused(_, trail, _) = world.send("a", "spam").await else { panic!("refused") };
    assert_eq!(trail.steps.len(), 1);
    assert_eq!(trail.chain, world.chain.version());
    assert_eq!(trail.steps[0].hash.len(), 64);
}

#[tokio::test]
async fn a_held_event_is_held_as_it_stood() {
    let chains = "[[chain]]\nplugins = ['mask', 'notes', 'holds']";
    let holds = "[plugin.holds]\nmodule = 'misbehave.wasm'\ntimeout = '5s'\ncapabilities = { log = true }\n\
                 settings = { mode = 'hold' }\n";
    let world = filters(&format!("{holds}{chains}")).await;
    let Judged::Held { event, plugin, reason, trail, .. } = world.send("a", "spam at a.example").await else {
        panic!("held")
    };
    assert_eq!(event.body.text().as_deref(), Some("**** at a.example"));
    assert!(event.annotations.contains_key("notes.links"));
    assert_eq!((plugin.as_str(), reason.as_str(), trail.steps.len()), ("holds", "because the fixture holds", 3));
}

#[tokio::test]
async fn the_version_tells_chains_apart_by_what_they_do() {
    let version = async |chains: &str| filters(chains).await.chain.version().to_owned();
    let one = version("[[chain]]\nplugins = ['mask', 'notes']").await;
    assert_eq!(one, version("[[chain]]\nplugins = ['mask', 'notes']").await);
    assert_ne!(one, version("[[chain]]\nplugins = ['notes', 'mask']").await);
    assert_ne!(one, version("[[chain]]\nplugins = ['mask', { use = 'notes', shadow = true }]").await);
    let other = FILTERS.replace("\"scam\"", "\"scum\"");
    let other = world(&format!("{other}\n[[chain]]\nplugins = ['mask', 'notes']")).await;
    assert_ne!(one, other.chain.version());
}

#[tokio::test]
async fn without_plugins_everything_is_approved() {
    let world = world("").await;
    assert_eq!(world.approved("a", "hi").await.body.text().as_deref(), Some("hi"));
}
