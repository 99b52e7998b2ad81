//! Turns down shouting, towers of marks, floods of emoji and characters that go on and on.

mod noise;
mod settings;

use confab_plugin_sdk::{Context, Event, Kind, Plugin, Verdict};
pub use settings::{Noise, Settings, Shouting};

/// The plugin, ready to judge.
#[derive(Debug)]
pub struct CapsAndNoise {
    settings: Settings,
}

impl Plugin for CapsAndNoise {
    type Settings = Settings;

    fn configure(settings: Settings) -> Result<Self, String> {
        if !(0.0..=1.0).contains(&settings.shouting_share) {
            return Err(format!("`shouting_share` is {}: a share is 0 to 1", settings.shouting_share));
        }
        for (name, most) in [("marks_most", settings.marks_most), ("repeats_most", settings.repeats_most)] {
            if most == 0 {
                return Err(format!("`{name}` is 0: nothing could be said"));
            }
        }
        Ok(Self { settings })
    }

    fn judge(&self, event: &Event, _context: &Context) -> Verdict {
        if event.kind == Kind::Unreact {
            return Verdict::accept(); // whoever takes something back says nothing
        }
        let reject = |reason: &str| Verdict::reject(self.settings.code.get(), reason);
        let mut refused = None;
        let quiet = event.with_strings(|string| {
            // Beside a text stand addresses, names and data, which nobody shows as one and which would be other ones in small
            // letters. Where there is no text, any string may be shown.
            if event.text.is_some() && !string.is_text {
                return None;
            }
            self.quiet(&string.value).unwrap_or_else(|reason| {
                refused = Some(reason);
                None
            })
        });
        match (refused, quiet) {
            (Some(reason), _) => reject(reason),
            (None, None) => Verdict::accept(),
            (None, Some(_)) if event.kind == Kind::React => reject("please be quieter"), // half of a reaction is none
            (None, Some(quiet)) => Verdict::replace(quiet),
        }
    }
}

impl CapsAndNoise {
    /// The text without its noise, `None` where it has none; an error says why it is refused.
    fn quiet(&self, text: &str) -> Result<Option<String>, &'static str> {
        let s = &self.settings;
        let mut quiet = None;
        let mut turn_down = |refused: bool, reason, less: &dyn Fn(&str) -> Option<String>| {
            match less(quiet.as_deref().unwrap_or(text)) {
                Some(_) if refused => return Err(reason),
                Some(less) => quiet = Some(less),
                None => {}
            }
            Ok(())
        };
        // Marks come first: what remains is what the others count.
        if s.marks != Noise::Off {
            turn_down(s.marks == Noise::Reject, "too many marks on a letter", &|text| {
                noise::fewer_marks(text, s.marks_most)
            })?;
        }
        if s.repeats != Noise::Off {
            let reject = s.repeats == Noise::Reject;
            turn_down(reject, "a character goes on and on", &|text| noise::fewer_repeats(text, s.repeats_most))?;
        }
        if s.emoji != Noise::Off {
            turn_down(s.emoji == Noise::Reject, "too many emoji", &|text| noise::fewer_emoji(text, s.emoji_most))?;
        }
        if s.shouting != Shouting::Off {
            let reject = s.shouting == Shouting::Reject;
            turn_down(reject, "please do not shout", &|text| noise::lower(text, s.shouting_share, s.shouting_least))?;
        }
        Ok(quiet)
    }
}

confab_plugin_sdk::export_plugin!(CapsAndNoise);

#[cfg(test)]
mod tests {
    use super::*;
    use confab_plugin_sdk::testing::{self, golden};
    use serde_json::json;

    #[test]
    fn the_files_beside_the_code_say_the_truth() {
        golden::check::<CapsAndNoise>(env!("CARGO_MANIFEST_DIR"));
    }

    #[test]
    fn settings_that_cannot_work_are_refused() {
        let error = |settings| testing::configure::<CapsAndNoise>(&settings).unwrap_err();
        assert!(error(json!({ "shouting_share": 70 })).contains("0 to 1"));
        assert!(error(json!({ "repeats_most": 0 })).contains("repeats_most"));
        assert!(error(json!({ "shouting": "whisper" })).contains("shouting"));
    }
}
