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

#[test]
fn a_room_keeps_its_events_as_long_as_its_rules_say_or_else_the_store() {
    let rules = "
        [[room]]
        match = ['support:**']
        retention = '30d'
        [[room]]
        match = ['support:law']
        retention = '0s'
    ";
    let days = |text: &str, room: &str| {
        Rooms::new(&load(text).unwrap().config).settings(room).retention.as_secs() / (24 * 3600)
    };
    let kept = format!("[store]\nretention = '365d'\n{rules}");
    assert_eq!(["lobby", "support:1", "support:law"].map(|room| days(&kept, room)), [365, 30, 0]);
    assert_eq!(["lobby", "support:1"].map(|room| days(rules, room)), [0, 30], "by default for ever");
    let shortest = |text: &str| Rooms::new(&load(text).unwrap().config).shortest_retention();
    assert_eq!((shortest(""), shortest(&kept)), (None, Some(Duration::from_secs(30 * 24 * 3600))));
    for wrong in ["[store]\nretention = '10ms'", "[[room]]\nmatch = ['a']\nretention = '10ms'"] {
        let said = load(wrong).unwrap_err().render(false);
        assert!(said.contains("retention` is too small") && said.contains("\"1s\""), "{said}");
    }
}
