//! Masks or refuses messages that contain forbidden words.
//!
//! A word is found however it is written: upper or lower case, full-width letters, ligatures, accents as one character or
//! as two, invisible characters inside. Only whole words count: `ham` is not found in `hamster`.

mod words;

use confab_plugin_sdk::{Context, Event, Plugin, Verdict};
use serde::Deserialize;
use std::collections::HashSet;
use words::{fold, words};

/// The filter, ready to judge.
#[derive(Debug)]
pub struct WordFilter {
    words: HashSet<String>,
    action: Action,
    code: u16,
    reason: String,
}

/// `[plugin.<name>.settings]` in hub.toml.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The forbidden words.
    words: Vec<String>,
    /// What happens to a message that contains one.
    #[serde(default)]
    action: Action,
    /// The code of a refusal.
    #[serde(default = "default_code")]
    code: u16,
    /// What the sender of a refused message is told.
    #[serde(default = "default_reason")]
    reason: String,
}

/// What happens to a message that contains a forbidden word.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Each of the word's characters becomes a `*`.
    #[default]
    Mask,
    /// The message is refused.
    Reject,
}

fn default_code() -> u16 {
    460
}

fn default_reason() -> String {
    "the message contains a word that is not welcome here".into()
}

impl Plugin for WordFilter {
    type Settings = Settings;

    fn configure(settings: Settings) -> Result<Self, String> {
        if !(400..=1999).contains(&settings.code) {
            return Err(format!("`code` is {}: a plugin's codes are 400 to 1999", settings.code));
        }
        let words = settings.words.iter().map(|word| single(word)).collect::<Result<_, _>>()?;
        Ok(Self { words, action: settings.action, code: settings.code, reason: settings.reason })
    }

    fn judge(&self, event: &Event, _context: &Context) -> Verdict {
        let Some(text) = &event.text else { return Verdict::accept() };
        let found: Vec<_> =
            words(text).filter(|word| self.words.contains(&word.folded)).map(|word| word.place).collect();
        if found.is_empty() {
            return Verdict::accept();
        }
        match self.action {
            Action::Reject => Verdict::reject(self.code, &*self.reason),
            Action::Mask => match event.with_text(&mask(text, &found)) {
                Some(body) => Verdict::replace(body),
                None => Verdict::reject(self.code, &*self.reason),
            },
        }
    }
}

/// A setting's word, folded; an error if it would never be found.
fn single(word: &str) -> Result<String, String> {
    let mut parts = words(word);
    match (parts.next(), parts.next()) {
        (Some(only), None) if only.folded == fold(word) => Ok(only.folded),
        _ => Err(format!("`words`: {word:?} is not one word, it would never be found")),
    }
}

/// The text with a `*` for each character in one of the places, which are in order and apart.
fn mask(text: &str, places: &[std::ops::Range<usize>]) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut end = 0;
    for place in places {
        masked.push_str(&text[end..place.start]);
        masked.extend(text[place.clone()].chars().map(|_| '*'));
        end = place.end;
    }
    masked.push_str(&text[end..]);
    masked
}

confab_plugin_sdk::export_plugin!(WordFilter);

#[cfg(test)]
mod tests {
    use super::*;
    use confab_plugin_sdk::testing::{self, Trial};
    use serde_json::{Value, json};

    fn masking(words: Value) -> Trial<WordFilter> {
        testing::plugin(json!({ "words": words }))
    }

    #[test]
    fn a_forbidden_word_is_masked_and_nothing_else() {
        let filter = masking(json!(["spam", "naïve"]));
        for (said, heard) in [
            ("buy SPAM now", "buy **** now"),
            ("Spam, spam and spam!", "****, **** and ****!"),
            ("spamming antispam spam2", "spamming antispam spam2"),
            ("ｓｐａｍ", "****"),
            ("so nai\u{308}ve", "so ******"),
            ("so NAÏVE", "so *****"),
            ("s\u{200b}pam", "*****"),
            ("", ""),
        ] {
            assert_eq!(filter.text_after(said).as_deref(), Some(heard), "{said}");
        }
    }

    #[test]
    fn a_clean_message_is_accepted_and_not_rewritten() {
        assert_eq!(masking(json!(["spam"])).judge("hello"), Verdict::accept());
    }

    #[test]
    fn masking_keeps_the_rest_of_the_body_byte_for_byte() {
        let mut event = testing::event("spam");
        event.body = r#"{ "n": 1.00, "text": "sp\u0061m", "extra": {"text": "spam"} }"#.into();
        let expected = r#"{ "n": 1.00, "text": "****", "extra": {"text": "spam"} }"#;
        assert_eq!(masking(json!(["spam"])).judge_event(&event), Verdict::replace(expected));
    }

    #[test]
    fn a_refusal_has_the_code_and_reason_of_the_settings() {
        let filter: Trial<WordFilter> =
            testing::plugin(json!({ "words": ["Straße"], "action": "reject", "code": 499, "reason": "no streets" }));
        assert_eq!(filter.judge("in der STRASSE"), Verdict::reject(499, "no streets"));
    }

    #[test]
    fn settings_that_cannot_work_are_refused() {
        let error = |settings| testing::configure::<WordFilter>(&settings).unwrap_err();
        assert!(error(json!({ "words": ["two words"] })).contains("two words"));
        assert!(error(json!({ "words": ["..."] })).contains("not one word"));
        assert!(error(json!({ "words": [], "code": 200 })).contains("400 to 1999"));
        assert!(error(json!({ "words": [], "acton": "mask" })).contains("acton"));
    }
}
