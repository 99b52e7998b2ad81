//! What is looked up about a room is shared for a moment.

use super::*;
use crate::timeline::{Memory, MemoryOptions};
use confab_config::Config;
use confab_protocol::{Key, UserId};

fn room(name: &str) -> Room {
    Room::new(name).unwrap()
}

#[tokio::test]
async fn everybody_who_asks_in_the_same_moment_gets_the_same_look_and_rooms_are_forgotten() {
    let config: Config = toml::from_str("[[room]]\nmatch = [\"**\"]\npresence = true\n").unwrap();
    let (timeline, _) = Memory::empty(MemoryOptions::default());
    let (presence, _changes) = Presence::new(timeline, RoomRules::new(&config));
    for n in 0..20_u32 {
        let user = UserId::new(format!("user-{}", n % 5)).unwrap();
        let client = Key::fresh().to_string();
        presence.came(&room("lobby"), n.into(), Present { user, client, info: None });
    }
    let lobby = room("lobby");
    let now = Instant::now();
    let there = presence.look(&lobby).await.unwrap();
    assert_eq!((there.clients, there.users, there.some.len()), (20, 5, 20));
    let first = presence.shared(&lobby, now);
    assert!(Arc::ptr_eq(&first, &presence.shared(&lobby, now + SHARED_FOR / 2)), "it is looked up once");
    assert!(!Arc::ptr_eq(&first, &presence.shared(&lobby, now + SHARED_FOR)), "and again after a moment");
    for n in 0..2 * SNAPSHOTS_MAX {
        let later = now + SHARED_FOR * u32::try_from(n).unwrap();
        presence.shared(&room(&format!("room-{n}")), later);
    }
    assert!(presence.snapshots.lock().len() <= SNAPSHOTS_MAX, "rooms that nobody asks about any more are forgotten");
}
