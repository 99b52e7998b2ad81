//! Keeps people from posting too fast, from saying the same again and again, and crowds from storming a room.
//!
//! It counts in the plugin's own space (capability `kv`), so that it makes no difference which hub somebody is connected to, nor
//! whether anything survives in an instance.

mod count;
mod settings;

use confab_plugin_sdk::{Context, Event, Kind, Plugin, Verdict};
use count::{count, keep, moment};
pub use settings::{Action, Limit, Raid, Settings};
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
}

impl Flood {
    fn reason(self) -> &'static str {
        match self {
            Self::Rate => "you are sending too fast, wait a moment",
            Self::Repeats => "you have said this already",
            Self::Raid => "many people are new here at once, please come back later",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::Repeats => "repeats",
            Self::Raid => "raid",
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
        } else if over(settings.rate, "rate", (&event.room, &event.sender)) {
            Some(Flood::Rate)
        } else if self.says_it_again(event) {
            Some(Flood::Repeats)
        } else {
            None
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

    /// Whether the sender said the same often enough.
    fn says_it_again(&self, event: &Event) -> bool {
        let Some(text) = &event.text else { return false };
        // Another exclamation mark, or another space, does not make it another message.
        let said: String = text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
        said.chars().count() >= self.settings.repeats_least
            && over(self.settings.repeats, "same", (&event.sender, said))
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
        if came == now && count("new", room, per.as_ms()).is_some_and(|new| new == u64::from(people) + 1) {
            keep("raid", room, now, Some(lasts.as_ms()));
            begins = true;
        }
        let raided = moment("raid", room).is_some_and(|began| came + per.as_ms() > began);
        (raided, begins)
    }
}

/// Counts one more, and tells whether that is past the limit.
fn over(limit: Limit, about: &str, of: impl Hash) -> bool {
    limit.messages > 0 && count(about, of, limit.per.as_ms()).is_some_and(|count| count > u64::from(limit.messages))
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
    fn settings_that_cannot_work_are_refused() {
        let error = |settings| testing::configure::<FloodGuard>(&settings).unwrap_err();
        assert!(error(json!({ "rate": { "messages": 1, "per": "soon" } })).contains("rate.per"));
        assert!(error(json!({ "rate": { "messages": 1 } })).contains("per"));
        assert!(error(json!({ "code": 1 })).contains("400 to 1999"));
    }
}
