//! Keeps people from posting too fast, from saying the same again and again, and crowds from storming a room.
//!
//! It counts in the plugin's own space (capability `kv`), so that it makes no difference which hub somebody is connected to, nor
//! whether anything survives in an instance.

mod count;
mod settings;

use confab_plugin_sdk::{Context, Event, Kind, Plugin, Verdict};
use count::{Count, count, keep, moment};
pub use settings::{Action, Limit, Raid, Settings, Unavailable};
use std::hash::Hash;

/// The guard, ready to judge.
#[derive(Debug)]
pub struct FloodGuard {
    settings: Settings,
}

/// Why a message goes no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flood {
    Rate,
    Repeats,
    Raid,
    /// It cannot be told, and the settings say that this is too much.
    Uncounted,
}

impl Flood {
    fn reason(self) -> &'static str {
        match self {
            Self::Rate => "you are sending too fast, wait a moment",
            Self::Repeats => "you have said this already",
            Self::Uncounted => "messages cannot be counted now, please try again later",
            Self::Raid => "many people are new here at once, please come back later",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::Repeats => "repeats",
            Self::Raid => "raid",
            Self::Uncounted => "uncounted",
        }
    }
}

impl Plugin for FloodGuard {
    type Settings = Settings;

    fn configure(settings: Settings) -> Result<Self, String> {
        Ok(Self { settings })
    }

    fn judge(&self, event: &Event, context: &Context) -> Verdict {
        let settings = &self.settings;
        if context.roles.iter().any(|role| settings.exempt_roles.contains(role)) {
            return Verdict::accept();
        }
        let (raid, begins) = match event.kind {
            Kind::Send | Kind::Edit | Kind::React | Kind::Join => self.is_raid(event),
            // Taking something back, leaving and typing are no flood.
            Kind::Unreact | Kind::Delete | Kind::Leave | Kind::Typing => return Verdict::accept(),
        };
        let flood = if raid {
            Some(Flood::Raid)
        } else if event.kind == Kind::Join {
            None
        } else {
            let rate = self.over(settings.rate, Flood::Rate, "rate", (&event.room, &event.sender));
            rate.or_else(|| self.says_it_again(event))
        };
        let verdict = flood.map_or_else(Verdict::accept, |flood| self.stop(flood, event.kind));
        if begins { verdict.flag("many people are new in the room at once: it may be a raid") } else { verdict }
    }
}

impl FloodGuard {
    /// What becomes of an event that is part of a flood.
    fn stop(&self, flood: Flood, kind: Kind) -> Verdict {
        let Settings { action, mute, code, .. } = &self.settings;
        let rejected = Verdict::reject(code.get(), flood.reason()).details(&flood.name());
        match action {
            Action::Mute => rejected.mute(mute.as_seconds(), flood.reason()),
            Action::Hold if matches!(kind, Kind::Send | Kind::Edit) => Verdict::hold(flood.reason()),
            // Only what is said can wait for a moderator.
            Action::Hold | Action::Reject => rejected,
        }
    }

    /// Counts one more, and tells whether that is past the limit.
    fn over(&self, limit: Limit, flood: Flood, about: &str, of: impl Hash) -> Option<Flood> {
        if limit.messages == 0 {
            return None;
        }
        match count(about, of, limit.per.as_ms()) {
            Count::Is(count) => (count > u64::from(limit.messages)).then_some(flood),
            // Whoever said so much that no more of it can be counted said too much.
            Count::Full => Some(Flood::Rate),
            Count::Unavailable => (self.settings.unavailable == Unavailable::Reject).then_some(Flood::Uncounted),
        }
    }

    /// Whether the sender said the same often enough.
    fn says_it_again(&self, event: &Event) -> Option<Flood> {
        let strings = event.strings();
        // Another exclamation mark, or another space, does not make it another message, nor does another shape of the body.
        let chars = strings.iter().flat_map(|string| string.value.chars());
        let said: String = chars.filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
        match said.chars().count() >= self.settings.repeats_least {
            true => self.over(self.settings.repeats, Flood::Repeats, "same", (&event.sender, said)),
            false => None,
        }
    }

    /// Whether the room is being raided and the sender came with the crowd; and whether it begins with this very event.
    fn is_raid(&self, event: &Event) -> (bool, bool) {
        let Raid { people, per, lasts } = self.settings.raid;
        if people == 0 {
            return (false, false);
        }
        let (room, now) = (&event.room, event.at);
        let came = moment("known", (room, &event.sender)).unwrap_or_else(|| {
            keep("known", (room, &event.sender), now, None);
            now
        });
        let mut begins = false;
        if came == now {
            match count("new", room, per.as_ms()) {
                Count::Is(new) if new == u64::from(people) + 1 => {
                    keep("raid", room, now, Some(lasts.as_ms()));
                    begins = true;
                }
                Count::Full => return (true, false),
                Count::Is(_) | Count::Unavailable => {}
            }
        }
        let raided = moment("raid", room).is_some_and(|began| came + per.as_ms() > began);
        (raided, begins)
    }
}

confab_plugin_sdk::export_plugin!(FloodGuard);

#[cfg(test)]
mod tests {
    use super::*;
    use confab_plugin_sdk::testing::{self, golden};
    use confab_plugin_sdk::{Decision, kv};
    use serde_json::json;

    #[test]
    fn the_files_beside_the_code_say_the_truth() {
        golden::check::<FloodGuard>(env!("CARGO_MANIFEST_DIR"));
    }

    #[test]
    fn names_longer_than_a_key_are_counted_too() {
        let guard = testing::plugin::<FloodGuard>(json!({ "rate": { "messages": 1, "per": "1s" } }));
        let mut event = testing::event("hi");
        (event.room, event.sender) = ("r".repeat(255), "s".repeat(255));
        assert_eq!(guard.judge_event(&event), Verdict::accept());
        assert!(matches!(guard.judge_event(&event).decision, Decision::Reject(_)));
        kv::pass(1000);
        assert_eq!(guard.judge_event(&event), Verdict::accept());
    }

    #[test]
    fn what_cannot_be_counted_for_want_of_room_is_too_much_and_what_is_away_is_as_configured() {
        let refused = |settings, error: Option<kv::Error>| {
            kv::fail_with(error);
            let verdict = testing::plugin::<FloodGuard>(settings).judge("hello, everybody");
            kv::fail_with(None);
            matches!(verdict.decision, Decision::Reject(_))
        };
        let away = || Some(kv::Error::Unavailable("away".into()));
        assert!(refused(json!({}), Some(kv::Error::Full)));
        assert!(refused(json!({ "rate": { "messages": 0, "per": "1s" } }), Some(kv::Error::Full)), "the same again");
        assert!(refused(json!({ "unavailable": "reject" }), away()));
        assert!(!refused(json!({}), away()));
        assert!(!refused(json!({}), None));
    }

    #[test]
    fn settings_that_cannot_work_are_refused() {
        let error = |settings| testing::configure::<FloodGuard>(&settings).unwrap_err();
        assert!(error(json!({ "rate": { "messages": 1, "per": "soon" } })).contains("rate.per"));
        assert!(error(json!({ "rate": { "messages": 1 } })).contains("per"));
        assert!(error(json!({ "code": 1 })).contains("400 to 1999"));
    }
}
