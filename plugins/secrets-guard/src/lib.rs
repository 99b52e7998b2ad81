//! Masks, refuses or holds messages that give away cards, keys, tokens, addresses or phone numbers.
//!
//! It guards people from their own slips, not against those who want to get a secret through. No reason and no detail that it
//! gives contains the secret.

mod card;
mod contact;
mod settings;
mod token;

use confab_plugin_sdk::{Context, Event, Kind as EventKind, Plugin, Verdict};
pub use settings::{Action, Settings};
use std::ops::Range;

/// The guard, ready to judge.
#[derive(Debug)]
pub struct SecretsGuard {
    settings: Settings,
}

/// A kind of secret: what it is called, how it is found, and what happens to a message with one.
struct Kind {
    name: &'static str,
    find: fn(&str) -> Vec<Range<usize>>,
    action: Action,
}

/// A secret in a text.
struct Secret {
    kind: &'static str,
    place: Range<usize>,
}

impl Plugin for SecretsGuard {
    type Settings = Settings;

    fn configure(settings: Settings) -> Result<Self, String> {
        Ok(Self { settings })
    }

    fn judge(&self, event: &Event, _context: &Context) -> Verdict {
        if event.kind == EventKind::Unreact {
            return Verdict::accept(); // whoever takes something back says nothing
        }
        let mut strictest = Action::Off;
        let mut told = Vec::new();
        let masked = event.with_strings(|string| {
            let mut secrets = self.secrets(&string.value, &mut strictest);
            told.extend(secrets.iter().map(|secret| secret.kind));
            (!secrets.is_empty()).then(|| self.masked(&string.value, &mut secrets))
        });
        match strictest {
            Action::Off => Verdict::accept(),
            Action::Mask => match masked.filter(|_| event.kind != EventKind::React) {
                Some(body) => Verdict::replace(body).notice(format!("masked in your message: {}", names(told))),
                None => self.reject(told),
            },
            Action::Hold if event.kind != EventKind::React => {
                Verdict::hold(format!("it may give away: {}", names(told)))
            }
            Action::Hold | Action::Reject => self.reject(told),
        }
    }
}

impl SecretsGuard {
    /// The kinds that are looked for. Where two find the same place, the first is named.
    fn kinds(&self) -> [Kind; 6] {
        let Settings { private_key, jwt, api_key, card, email, phone, .. } = self.settings;
        [
            Kind { name: "private key", find: token::private_keys, action: private_key },
            Kind { name: "token", find: token::jwts, action: jwt },
            Kind { name: "API key", find: token::keys, action: api_key },
            Kind { name: "card number", find: card::find, action: card },
            Kind { name: "e-mail address", find: contact::emails, action: email },
            Kind { name: "phone number", find: contact::phones, action: phone },
        ]
    }

    /// The secrets of a text. What happens to a message with the worst of them is the strictest of all.
    fn secrets(&self, text: &str, strictest: &mut Action) -> Vec<Secret> {
        let mut secrets = Vec::new();
        for kind in self.kinds().into_iter().filter(|kind| kind.action != Action::Off) {
            let found = (kind.find)(text);
            if !found.is_empty() {
                *strictest = (*strictest).max(kind.action);
                secrets.extend(found.into_iter().map(|place| Secret { kind: kind.name, place }));
            }
        }
        secrets
    }

    fn reject(&self, told: Vec<&str>) -> Verdict {
        let reason = format!("the message would give away: {}", names(told));
        Verdict::reject(self.settings.code.get(), reason)
    }

    /// The text with a `*` for each letter and digit of a secret, but for the last few of it.
    fn masked(&self, text: &str, secrets: &mut [Secret]) -> String {
        secrets.sort_by_key(|secret| secret.place.start);
        let mut masked = String::with_capacity(text.len());
        let mut end = 0;
        for secret in secrets {
            let place = secret.place.start.max(end)..secret.place.end.max(end);
            masked.push_str(&text[end..place.start]);
            let hidden = text[place.clone()].chars().filter(|c| c.is_alphanumeric()).count();
            let keep = if matches!(secret.kind, "private key" | "e-mail address") { 0 } else { self.settings.keep };
            let mut left = hidden - keep.min(hidden / 2);
            masked.extend(text[place.clone()].chars().map(|c| match left {
                1.. if c.is_alphanumeric() => {
                    left -= 1;
                    '*'
                }
                _ => c,
            }));
            end = place.end;
        }
        masked.push_str(&text[end..]);
        masked
    }
}

/// The kinds of some secrets, each once.
fn names(mut kinds: Vec<&str>) -> String {
    kinds.sort_unstable();
    kinds.dedup();
    kinds.join(", ")
}

confab_plugin_sdk::export_plugin!(SecretsGuard);

#[cfg(test)]
mod tests {
    use super::*;
    use confab_plugin_sdk::testing::{self, golden};
    use serde_json::json;

    #[test]
    fn the_files_beside_the_code_say_the_truth() {
        golden::check::<SecretsGuard>(env!("CARGO_MANIFEST_DIR"));
    }

    #[test]
    fn secrets_that_lie_in_one_another_are_masked_once() {
        let guard = testing::plugin::<SecretsGuard>(json!({ "private_key": "mask", "phone": "mask" }));
        let text = "é -----BEGIN PRIVATE KEY-----\nAKIAIOSFODNN7EXAMPLE +49 30 901820\n-----END PRIVATE KEY----- é";
        let heard = guard.text_after(text).unwrap();
        assert!(!heard.contains("EXAMPLE") && !heard.contains("820"), "{heard}");
        assert_eq!(heard.chars().count(), text.chars().count());
    }

    #[test]
    fn settings_that_cannot_work_are_refused() {
        let error = |settings| testing::configure::<SecretsGuard>(&settings).unwrap_err();
        assert!(error(json!({ "card": "burn" })).contains("`card`"));
        assert!(error(json!({ "iban": "mask" })).contains("iban"));
    }
}
