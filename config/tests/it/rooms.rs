//! What a room is when several rules match it.

use crate::load;
use confab_config::{RoomSettings, Rooms};
use std::time::Duration;

#[test]
fn the_later_rule_wins_key_by_key() {
    let text = "
        [[room]]
        match = ['team:**']
        hot_window = { events = 50, age = '1h' }
        [[room]]
        match = ['team:*:archive', '!team:x:archive']
        hot_window = { age = '7d' }
        deep_recovery = false
    ";
    let config = load(text).unwrap().config;
    let rooms = Rooms::new(&config);
    let seen = |room: &str| {
        let RoomSettings { hot_window, deep_recovery, .. } = rooms.settings(room);
        (hot_window.events, hot_window.age.as_secs() / 3600, deep_recovery)
    };
    assert_eq!(seen("lobby"), (1000, 24, true));
    assert_eq!(seen("team:a"), (50, 1, true));
    assert_eq!(seen("team:a:archive"), (50, 7 * 24, false));
    assert_eq!(seen("team:x:archive"), (50, 1, true));
    assert_eq!(config.room("team:a").hot_window.age, Duration::from_secs(3600));
}
