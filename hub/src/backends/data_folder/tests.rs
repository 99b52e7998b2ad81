//! A data folder that somebody else uses, that was killed over, and that was restored.

use super::*;
use confab_protocol::{Annotations, Body, Cursor, Event, EventId, Key, Kind, Record, Room, Sender, Trail, UserId};
use confab_store::Entry;
use std::sync::Arc;

/// Says something at a place, as an embedded hub does.
async fn say(store: &Store, epoch: u64, offset: u64) {
    let event = Event {
        kind: Kind::Message,
        id: EventId::fresh(),
        room: Room::new("lobby").unwrap(),
        sender: Sender { user: UserId::new("ada").unwrap(), client: None, info: None },
        key: Key::new(format!("{epoch}:{offset}")).unwrap(),
        digest: "digest".into(),
        at: 1,
        body: Body::null(),
        target: None,
        thread: None,
        annotations: Annotations::new(),
    };
    let record = Record { event, cursor: Cursor::new(epoch, offset), trail: Trail::default() };
    store.apply(&[Entry::Record(Arc::new(record))], &[]).await.unwrap();
}

/// A place with a folder `data` in which something was said in the first generation, closed in order.
async fn used() -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    let (folder, store) = DataFolder::open(&place.path().join("data")).await.unwrap();
    say(&store, 1, 1).await;
    folder.close(&store).await;
    place
}

/// The generation with which a hub goes on here.
async fn generation(data: &Path) -> u64 {
    let (folder, store) = DataFolder::open(data).await.unwrap();
    let generation = store.generation().await.unwrap();
    folder.close(&store).await;
    generation
}

/// A folder as a process that is killed leaves it: its files are copied while it runs, and brought back in place.
async fn killed(data: &Path, kept: &Path) {
    let (folder, store) = DataFolder::open(data).await.unwrap();
    say(&store, 1, 2).await;
    let files = ["confab.db", "confab.db-wal", NOTE];
    for file in files {
        fs::copy(data.join(file), kept.join(file)).unwrap();
    }
    folder.close(&store).await;
    for file in files {
        fs::copy(kept.join(file), data.join(file)).unwrap(); // over the file that is there, which stays the same file
    }
}

#[tokio::test]
async fn a_second_process_is_refused_the_folder_until_the_first_has_ended() {
    let place = tempfile::tempdir().unwrap();
    let data = place.path().join("data");
    let (folder, store) = DataFolder::open(&data).await.unwrap();
    let refused = DataFolder::open(&data).await.unwrap_err();
    assert!(matches!(&refused, Error::InUse { path } if *path == data), "{refused}");
    folder.close(&store).await;
    DataFolder::open(&data).await.unwrap();
}

#[tokio::test]
async fn a_folder_that_is_as_it_was_left_keeps_its_generation() {
    let place = used().await;
    let data = place.path().join("data");
    assert_eq!(generation(&data).await, 1);
    let moved = place.path().join("moved");
    fs::rename(&data, &moved).unwrap();
    assert_eq!(generation(&moved).await, 1, "also where it is called otherwise");
}

#[tokio::test]
async fn what_a_killed_process_leaves_keeps_its_generation_unless_the_log_is_gone() {
    let place = used().await;
    let data = place.path().join("data");
    killed(&data, place.path()).await;
    assert_eq!(generation(&data).await, 1);
    killed(&data, place.path()).await;
    fs::remove_file(data.join("confab.db-wal")).unwrap();
    assert!(generation(&data).await > 1, "what was in the log may have been heard");
}

#[tokio::test]
async fn a_database_restored_in_place_over_a_newer_one_begins_a_generation() {
    let place = used().await;
    let data = place.path().join("data");
    let backup = place.path().join("backup.db");
    fs::copy(data.join("confab.db"), &backup).unwrap();
    let (folder, store) = DataFolder::open(&data).await.unwrap();
    say(&store, 1, 2).await;
    folder.close(&store).await;
    fs::copy(&backup, data.join("confab.db")).unwrap();
    assert!(generation(&data).await > 1, "place 2 was heard");
}

#[tokio::test]
async fn a_folder_restored_whole_begins_a_generation_numbered_by_its_time() {
    let place = used().await;
    let backup = place.path().join("data");
    let mut begun = Vec::new();
    for n in 0..2 {
        let restored = place.path().join(format!("restored {n}"));
        fs::create_dir(&restored).unwrap();
        for file in ["confab.db", NOTE] {
            fs::copy(backup.join(file), restored.join(file)).unwrap();
        }
        let (folder, store) = DataFolder::open(&restored).await.unwrap();
        begun.push(store.generation().await.unwrap());
        say(&store, begun[n], 1).await;
        folder.close(&store).await;
        assert_eq!(generation(&restored).await, begun[n], "and goes on in it");
    }
    let now = seconds_since_1970();
    assert!(begun.iter().all(|number| (now - 600..=now).contains(number)), "{begun:?}: numbers of their time");
}
