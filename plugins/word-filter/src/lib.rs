//! Masks, refuses, holds or flags messages that contain unwelcome words, however they are written.
//!
//! Everything that does not depend on the message is made in `configure`: a tree of letters. A search walks the text once,
//! and the tree from each place where a word begins; where no word begins like one of the list, that is one look at a
//! table.

mod letters;
mod lexicon;
mod search;
mod settings;

use confab_plugin_sdk::{Context, Event, Plugin, Verdict};
use lexicon::Lexicon;
use search::{Reading, find};
pub use settings::{Action, Settings};
use std::ops::Range;

/// The filter, ready to judge.
#[derive(Debug)]
pub struct WordFilter {
    words: Lexicon,
    allowed: Lexicon,
    reading: Reading,
    settings: Settings,
}

impl Plugin for WordFilter {
    type Settings = Settings;

    fn configure(settings: Settings) -> Result<Self, String> {
        let Settings { leetspeak, repeats, split, .. } = settings;
        Ok(Self {
            words: Lexicon::read("words", &settings.words, leetspeak)?,
            allowed: Lexicon::read("allow", &settings.allow, false)?,
            reading: Reading { look_alikes: true, leetspeak, repeats, split },
            settings,
        })
    }

    fn judge(&self, event: &Event, _context: &Context) -> Verdict {
        let Some(text) = &event.text else { return Verdict::accept() };
        let found = self.unwelcome(text);
        if found.is_empty() {
            return Verdict::accept();
        }
        let Settings { action, mask, code, reason, .. } = &self.settings;
        let reject = || Verdict::reject(code.get(), reason);
        match action {
            Action::Mask => event.with_text(&masked(text, &found, *mask)).map_or_else(reject, Verdict::replace),
            Action::Reject => reject(),
            Action::Hold => Verdict::hold(reason),
            Action::Flag => Verdict::accept().flag(reason),
        }
    }
}

impl WordFilter {
    /// The places of unwelcome words, in order and apart.
    fn unwelcome(&self, text: &str) -> Vec<Range<usize>> {
        let mut found = find(&self.words, self.reading, text);
        if !found.is_empty() {
            // Nobody disguises a welcome word, so these are read as they stand.
            let allowed = find(&self.allowed, Reading::default(), text);
            found.retain(|place| !allowed.iter().any(|good| good.start <= place.start && place.end <= good.end));
        }
        found
    }
}

/// The text with `mask` for each character that can be seen in one of the places, which are in order and apart. Spaces stay.
fn masked(text: &str, places: &[Range<usize>], mask: char) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut end = 0;
    for place in places {
        masked.push_str(&text[end..place.start]);
        let seen = text[place.clone()].chars().filter(|c| !letters::is_decoration(*c) && !letters::is_invisible(*c));
        masked.extend(seen.map(|c| if c.is_whitespace() { c } else { mask }));
        end = place.end;
    }
    masked.push_str(&text[end..]);
    masked
}

confab_plugin_sdk::export_plugin!(WordFilter);

#[cfg(test)]
mod tests;
