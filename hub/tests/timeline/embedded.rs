//! What only the embedded timeline promises: commit first, and go on after a restart.

use crate::ledger::Ledger;
use crate::world::{World, act, entry, eventually, journaled, key, offsets, room, user};
use confab_hub::journal;
use confab_hub::timeline::{Appended, Error, MemoryOptions, Outcome};
use confab_protocol::{Kind, Refusal};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::task::JoinSet;

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_goes_on_with_epoch_offsets_window_and_keys() {
    let ledger = Arc::<Ledger>::default();
    let first = World::memory_with(MemoryOptions { epoch: 3, ..MemoryOptions::default() }, ledger.clone()).await;
    let kept = first.publish(&entry("team", "1", "hi")).await;
    let gone = first.publish(&entry("team", "2", "secret")).await;
    first.publish(&act(Kind::Delete, "team", "3", gone.event.id)).await;
    first.timeline.close().await;

    let second = World::memory_with(MemoryOptions { epoch: 3, ..MemoryOptions::default() }, ledger).await;
    let window = second.read("team", None, false, 10).await;
    assert_eq!((window.top.epoch.0, offsets(&window)), (3, vec![1, 2, 3]));
    assert!(window.records[1].event.body.is_null(), "what was deleted stays deleted");
    let again = second.known(&entry("team", "1", "hi")).await;
    assert_eq!(journaled(&again), (kept.event.id, kept.cursor));
    assert_eq!(second.publish(&entry("team", "4", "hi")).await.cursor.offset, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_generation_begins_every_room_anew_and_knows_the_keys_of_the_old() {
    let ledger = Arc::<Ledger>::default();
    let first = World::memory_with(MemoryOptions { epoch: 3, ..MemoryOptions::default() }, ledger.clone()).await;
    let kept = first.publish(&entry("team", "1", "hi")).await;
    first.timeline.close().await;

    let second = World::memory_with(MemoryOptions { epoch: 4, ..MemoryOptions::default() }, ledger).await;
    assert_eq!(second.read("team", None, false, 10).await.top, confab_protocol::Cursor::new(4, 0));
    assert_eq!(journaled(&second.known(&entry("team", "1", "hi")).await), (kept.event.id, kept.cursor));
    assert_eq!(second.publish(&entry("team", "2", "hi")).await.cursor, confab_protocol::Cursor::new(4, 1));
    assert_eq!(second.publish(&entry("new", "1", "hi")).await.cursor, confab_protocol::Cursor::new(4, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_seen_or_answered_before_it_is_committed() {
    let ledger = Ledger::that_waits();
    let mut world = World::memory_with(MemoryOptions::default(), ledger.clone()).await;
    world.timeline.subscribe(&room("team")).await.unwrap();
    let timeline = world.timeline.clone();
    let send = tokio::spawn(async move { timeline.append(&entry("team", "1", "hi")).await });
    tokio::task::yield_now().await;
    assert_eq!(world.read("team", None, false, 10).await.top.offset, 0);
    assert!(world.heard.try_recv().is_err());
    assert!(world.timeline.lookup(&room("team"), &user("ada"), &key("1")).await.unwrap().is_none());
    assert!(!send.is_finished());
    ledger.commits.add_permits(1);
    let Appended::Placed(placed) = send.await.unwrap().unwrap() else { panic!("the key is new") };
    assert_eq!(world.hears().await, placed.record);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_commit_uses_up_no_offset() {
    let world = World::memory().await;
    world.publish(&entry("team", "1", "hi")).await;
    world.ledger.refuse(Some(journal::Error::Refused("disk full".into())));
    let refused = world.timeline.append(&entry("team", "2", "hi")).await;
    assert!(matches!(refused, Err(Error::Journal(_))), "{refused:?}");
    assert_eq!(world.read("team", None, false, 10).await.top.offset, 1);
    assert!(world.timeline.lookup(&room("team"), &user("ada"), &key("2")).await.unwrap().is_none());
    assert_eq!(world.publish(&entry("team", "2", "hi")).await.cursor.offset, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_commit_of_unknown_outcome_the_past_decides() {
    let world = World::memory().await;
    let first = entry("team", "1", "hi");
    world.ledger.refuse(Some(journal::Error::Unknown("no answer".into())));
    let unknown = world.timeline.append(&first).await;
    assert!(matches!(unknown, Err(Error::Unknown(_))), "{unknown:?}");
    // It was committed after all.
    let record = confab_protocol::Record {
        event: first.event.clone(),
        cursor: confab_protocol::Cursor::new(1, 1),
        trail: first.trail.clone(),
    };
    world.ledger.keep(&record);
    assert_eq!(journaled(&world.known(&first).await), (first.event.id, record.cursor));
    assert_eq!(world.publish(&entry("team", "2", "hi")).await.cursor.offset, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_together_is_committed_together() {
    let ledger = Ledger::that_waits();
    let world = World::memory_with(MemoryOptions { batch_max: 8, ..MemoryOptions::default() }, ledger.clone()).await;
    let mut sends = JoinSet::new();
    for n in 0..16 {
        let timeline = world.timeline.clone();
        sends.spawn(async move { timeline.append(&entry("team", &n.to_string(), "hi")).await });
    }
    eventually("all but one wait for the first commit", async || {
        ledger.commits.add_permits(1);
        (ledger.records().len() == 16).then_some(())
    })
    .await;
    while let Some(sent) = sends.join_next().await {
        assert!(matches!(sent.unwrap().unwrap(), Appended::Placed(_)));
    }
    let batches = ledger.batches();
    assert!(batches.len() < 16 && batches.iter().all(|batch| *batch <= 8), "{batches:?}");
    assert_eq!(offsets(&world.read("team", None, false, 99).await), (1..=16).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_has_its_turn_before_it_is_committed() {
    let ledger = Ledger::that_waits();
    let world = World::memory_with(MemoryOptions::default(), ledger.clone()).await;
    let (timeline, (entered, told)) = (world.timeline.clone(), tokio::sync::oneshot::channel());
    let first = tokio::spawn(async move {
        timeline
            .append_in_turn(&entry("team", "1", "hi"), None, || entered.send(()).expect("somebody waits for it"))
            .await
    });
    told.await.unwrap();
    assert!(!first.is_finished(), "nothing is committed");
    let timeline = world.timeline.clone();
    let second = tokio::spawn(async move { timeline.append(&entry("team", "2", "hi")).await });
    ledger.commits.add_permits(2);
    for (sent, offset) in [(first, 1), (second, 2)] {
        let Appended::Placed(placed) = sent.await.unwrap().unwrap() else { panic!("the key is new") };
        assert_eq!(placed.record.cursor.offset, offset);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rooms_that_were_let_go_come_back_as_they_were() {
    let world = World::memory_with(MemoryOptions { rooms_max: 4, ..MemoryOptions::default() }, Arc::default()).await;
    let refusal = Refusal::PluginFault { plugin: "p".into() };
    world.timeline.remember(&room("room 0"), &user("ada"), &key("refused"), "d", &refusal).await.unwrap();
    for round in 1..=3 {
        for name in 0..20 {
            let record = world.publish(&entry(&format!("room {name}"), &format!("round {round}"), "hi")).await;
            assert_eq!((record.cursor.epoch.0, record.cursor.offset), (1, round));
        }
    }
    assert_eq!(journaled(&world.known(&entry("room 0", "round 1", "hi")).await).1.offset, 1);
    let refused = world.known(&entry("room 0", "refused", "hi")).await;
    assert_eq!(refused.outcome, Outcome::Refused(refusal), "a refusal outlives its room's eviction");
}

#[tokio::test(flavor = "multi_thread")]
async fn rooms_are_let_go_when_all_windows_together_take_too_much_and_brought_back_when_they_are_read() {
    let options = MemoryOptions { windows_bytes: 100_000, ..MemoryOptions::default() };
    let world = World::memory_with(options, Arc::default()).await;
    let text = "x".repeat(10_000);
    for n in 1..=50 {
        world.publish(&entry(&format!("room {n}"), "1", &text)).await;
        let held = world.timeline.counters().window_bytes.load(Ordering::Relaxed);
        assert!(held <= 100_000 + 2 * 11_000, "{held} bytes after room {n}");
    }
    assert_eq!(offsets(&world.read("room 1", None, false, 10).await), [1], "what was let go is brought back");
}
