//! Notes which language a message is in, and keeps to the languages of a room where it is asked to.
//!
//! The annotation `language` is `{"code", "confidence"}`: an ISO 639 code, and 0 to 1. It is a guess from the frequencies of
//! letters, so nothing is noted of short texts, and nothing follows from a guess below the confidence of the settings.

mod code;

use confab_plugin_sdk::settings::Code;
use confab_plugin_sdk::{Context, Event, Kind, Plugin, Verdict};
use serde::{Deserialize, Serialize};
use whatlang::{Detector, Lang};

/// The plugin, ready to judge.
#[derive(Debug)]
pub struct LanguageTag {
    detector: Detector,
    languages: Vec<Lang>,
    settings: Settings,
}

/// `[plugin.<name>.settings]` in hub.toml.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Nothing is said of texts with fewer letters.
    least: usize,
    /// How sure a guess must be, 0 to 1, for it to be noted and for anything to follow.
    confidence: f64,
    /// The languages that messages may come in, as ISO 639 codes; empty: all of them.
    languages: Vec<String>,
    /// The languages that are thought of at all, which makes guesses among them surer; empty: all of them.
    among: Vec<String>,
    /// What happens to a message in a language that is not one of `languages`.
    otherwise: Otherwise,
    /// The code of a refusal.
    code: Code,
}

/// What happens to a message in another language.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Otherwise {
    /// It is refused.
    Reject,
    /// It waits for a moderator.
    Hold,
    /// It goes out, and moderators are told.
    Flag,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            least: 20,
            confidence: 0.8,
            languages: Vec::new(),
            among: Vec::new(),
            otherwise: Otherwise::Flag,
            code: Code::new(462).expect("a plugin's code"),
        }
    }
}

/// What is noted of a message.
#[derive(Debug, Serialize)]
struct Note {
    code: &'static str,
    confidence: f64,
}

impl Plugin for LanguageTag {
    type Settings = Settings;

    fn configure(settings: Settings) -> Result<Self, String> {
        if !(0.0..=1.0).contains(&settings.confidence) {
            return Err(format!("`confidence` is {}: it is 0 to 1", settings.confidence));
        }
        let among = languages("among", &settings.among)?;
        let detector = if among.is_empty() { Detector::new() } else { Detector::with_allowlist(among) };
        Ok(Self { detector, languages: languages("languages", &settings.languages)?, settings })
    }

    fn judge(&self, event: &Event, _context: &Context) -> Verdict {
        if !matches!(event.kind, Kind::Send | Kind::Edit) {
            return Verdict::accept();
        }
        // Where there is no text, any string may be shown.
        let text = event.text.clone().unwrap_or_else(|| {
            let strings = event.strings();
            strings.iter().map(|string| &*string.value).collect::<Vec<_>>().join("\n")
        });
        if text.chars().filter(|c| c.is_alphabetic()).take(self.settings.least).count() < self.settings.least {
            return Verdict::accept();
        }
        let Some(guess) = self.detector.detect(&text).filter(|guess| guess.confidence() >= self.settings.confidence)
        else {
            return Verdict::accept();
        };
        let note = Note { code: code::of(guess.lang()), confidence: (guess.confidence() * 100.0).round() / 100.0 };
        let accept = Verdict::accept().annotate("language", &note);
        if self.languages.is_empty() || self.languages.contains(&guess.lang()) {
            return accept;
        }
        let spoken: Vec<&str> = self.languages.iter().map(|language| language.eng_name()).collect();
        let reason = format!("this room speaks {}", spoken.join(", "));
        match self.settings.otherwise {
            Otherwise::Reject => Verdict::reject(self.settings.code.get(), reason).details(&note),
            Otherwise::Hold => Verdict::hold(format!("it seems to be {}, and {reason}", guess.lang().eng_name())),
            Otherwise::Flag => accept.flag(format!("it seems to be {}, and {reason}", guess.lang().eng_name())),
        }
    }
}

/// The languages that a setting's codes mean.
fn languages(setting: &str, codes: &[String]) -> Result<Vec<Lang>, String> {
    let known = |code: &String| {
        code::read(code).ok_or_else(|| format!("`{setting}`: {code:?} is no language that can be told"))
    };
    codes.iter().map(known).collect()
}

confab_plugin_sdk::export_plugin!(LanguageTag);

#[cfg(test)]
mod tests {
    use super::*;
    use confab_plugin_sdk::testing::{self, golden};
    use serde_json::json;

    #[test]
    fn the_files_beside_the_code_say_the_truth() {
        golden::check::<LanguageTag>(env!("CARGO_MANIFEST_DIR"));
    }

    #[test]
    fn a_guess_that_is_not_sure_enough_is_not_spoken_of() {
        let plugin = testing::plugin::<LanguageTag>(json!({ "confidence": 1.0, "least": 1, "languages": ["en"] }));
        assert_eq!(plugin.judge("hallo"), Verdict::accept());
    }

    #[test]
    fn settings_that_cannot_work_are_refused() {
        let error = |settings| testing::configure::<LanguageTag>(&settings).unwrap_err();
        assert!(error(json!({ "languages": ["klingon"] })).contains("klingon"));
        assert!(error(json!({ "confidence": 90 })).contains("0 to 1"));
        assert!(error(json!({ "otherwise": "shrug" })).contains("otherwise"));
    }
}
