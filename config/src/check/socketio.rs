//! Checks of the events of Socket.IO front ends.

use super::Findings;
use crate::path::Path;
use crate::problem::Problem;
use crate::settings::{Config, Shape};
use confab_protocol::{SOCKET_IO_COMMANDS, VerbName};
use std::collections::BTreeSet;

/// Events that mean something in every Socket.IO client, or that the hub emits; besides them verbs and commands are taken.
const RESERVED: [&str; 12] = [
    "closing",
    "connect",
    "connect_error",
    "disconnect",
    "disconnecting",
    "error",
    "event",
    "joined",
    "newListener",
    "refused",
    "rejoin",
    "removeListener",
];

fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name) || SOCKET_IO_COMMANDS.contains(&name) || VerbName::from_name(name).is_some()
}

pub(super) fn check(config: &Config, found: &mut Findings) {
    let mut heard = BTreeSet::new();
    let mut rooms = BTreeSet::new();
    for (at, event) in config.socketio.iter().enumerate() {
        let here = Path::of("socketio").index(at);
        for (key, name) in [("on", &event.on), ("emit", &event.emit)] {
            if name.is_empty() {
                found.add(
                    Problem::error(&here, format!("the event has no `{key}`"))
                        .help(format!("add `{key} = \"message\"`")),
                );
            } else if is_reserved(name) {
                found.add(
                    Problem::error(&here.key(key), format!("`{name}` means something else"))
                        .label("choose another name"),
                );
            }
        }
        if let Err(why) = confab_protocol::Room::new(&event.room) {
            found.add(
                Problem::error(&here, "the event has no room").label(why.to_string()).help("add `room = \"lobby\"`"),
            );
        }
        if !heard.insert(&event.on) && !event.on.is_empty() {
            found.add(
                Problem::error(&here.key("on"), format!("`{}` goes into two rooms", event.on))
                    .label("it is given before"),
            );
        }
        if !rooms.insert(&event.room) && !event.room.is_empty() {
            found.add(
                Problem::error(&here.key("room"), format!("two events lead into `{}`", event.room))
                    .label("by which of them would its messages be heard?"),
            );
        }
        let texts = event.fields.values().filter(|part| **part == crate::settings::Part::Text).count();
        if event.shape != Shape::Text && texts != 1 {
            found.add(
                Problem::error(&here, "exactly one field must hold the text")
                    .label(format!("{texts} of `fields` do"))
                    .help("write `fields = { message = \"text\" }`"),
            );
        }
    }
    if config.socketio.len() > config.limits.rooms_per_session {
        found.add(
            Problem::error(&Path::of("socketio"), "more rooms than one session may be in")
                .rests_on(&Path::of("limits.rooms_per_session")),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_event_shadows_a_verb_or_a_command() {
        for name in VerbName::ALL.map(VerbName::as_str).into_iter().chain(SOCKET_IO_COMMANDS).chain(RESERVED) {
            assert!(is_reserved(name), "{name}");
        }
        assert!(["review", "presence", "presence_stats"].into_iter().all(is_reserved));
        assert!(!is_reserved("chat message"));
    }
}
