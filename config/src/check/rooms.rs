//! Checks of what rooms are.

use super::Findings;
use crate::path::Path;
use crate::pattern::Patterns;
use crate::problem::Problem;
use crate::settings::{Config, JoinRule, RoomRule};
use std::time::Duration;

pub(super) fn check(config: &Config, found: &mut Findings) {
    for (at, rule) in config.room.iter().enumerate() {
        let here = Path::of("room").index(at);
        patterns(&here, "match", &rule.r#match, found);
        if *rule == (RoomRule { r#match: rule.r#match.clone(), ..RoomRule::default() }) {
            found.add(Problem::warning(&here, "the rule changes nothing").label("it has nothing but `match`"));
        }
        if rule.join == Some(JoinRule::Token) && !config.auth.has_keys() {
            found.add(
                Problem::warning(&here.key("join"), "nobody can join these rooms")
                    .label("tokens cannot be checked without a key")
                    .help("set `auth.hmac_secret_file`"),
            );
        }
        if let Some(kept) = rule.retention {
            retention(&here.key("retention"), kept, found);
        }
        if let Some(most) = rule.max_members {
            found.range(&here.key("max_members"), most, 1, 1_000_000, |most| most.to_string());
        }
        let Some(window) = &rule.hot_window else { continue };
        if let Some(events) = window.events {
            let path = here.key("hot_window").key("events");
            found.range(&path, events, 1, 100_000, |events| events.to_string());
        }
        if let Some(age) = window.age {
            let second = Duration::from_secs(1);
            let year = Duration::from_secs(365 * 24 * 3600);
            found.duration(&here.key("hot_window").key("age"), age, second, year);
        }
    }
}

/// How long events are kept: zero, which is for ever, or a second at least.
pub(super) fn retention(path: &Path, kept: Duration, found: &mut Findings) {
    if !kept.is_zero() {
        let century = Duration::from_secs(100 * 365 * 24 * 3600);
        found.duration(path, kept, Duration::from_secs(1), century);
    }
}

/// Reads a list of patterns and says which one cannot be read. `None` if nothing can be matched with it.
pub(super) fn patterns(table: &Path, key: &str, list: &[String], found: &mut Findings) -> Option<Patterns> {
    let here = table.key(key);
    let mut readable = true;
    for (at, pattern) in list.iter().enumerate() {
        if let Err(why) = Patterns::new(&[pattern]) {
            found.add(
                Problem::error(&here.index(at), "the pattern cannot be read")
                    .label(why)
                    .note("`*` is one segment, `**` any depth, a leading `!` excludes; segments are divided by `:`"),
            );
            readable = false;
        }
    }
    let patterns = Patterns::new(list).ok().filter(|_| readable)?;
    if patterns.includes_any() {
        return Some(patterns);
    }
    let problem = match list {
        [] => Problem::error(&here, format!("`{key}` names no rooms")).label("which rooms are meant?"),
        _ => Problem::error(&here, "the patterns only exclude, so no room matches").label("no pattern without `!`"),
    };
    found.add(problem.help(format!("write `{key} = [\"**\"]` for every room")));
    None
}
