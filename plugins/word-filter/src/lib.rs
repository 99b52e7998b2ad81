//! Masks, refuses, holds or flags messages that contain unwelcome words, however they are written.
//!
//! Everything that does not depend on the message is made in `configure`: a tree of letters. A search walks each string of the
//! body once, and the tree from each place where a word begins; where no word begins like one of the list, that is one look at
//! a table. All searches of one message together take a bounded number of steps; a message made to take more counts as one
//! with an unwelcome word.

mod letters;
mod lexicon;
mod looks;
mod search;
mod settings;

use confab_plugin_sdk::{BodyString, Context, Event, Kind, Plugin, Verdict};
use lexicon::Lexicon;
use search::{Effort, Reading, Unreadable, find};
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
        let Settings { action, code, reason, .. } = &self.settings;
        let found = match (event.kind, action) {
            (Kind::Unreact, _) => return Verdict::accept(), // whoever takes something back says nothing
            // Half of a reaction is none.
            (Kind::Send | Kind::Edit, Action::Mask) => match self.masked(event) {
                Ok(Some(body)) => return Verdict::replace(body),
                Ok(None) => false,
                Err(Unreadable) => true,
            },
            _ => self.is_unwelcome(event),
        };
        if !found {
            return Verdict::accept();
        }
        match action {
            // Only what is said can wait for a moderator.
            Action::Hold if event.kind != Kind::React => Verdict::hold(reason),
            Action::Mask | Action::Hold | Action::Reject => Verdict::reject(code.get(), reason),
            Action::Flag => Verdict::accept().flag(reason),
        }
    }
}

impl WordFilter {
    /// Whether an unwelcome word stands anywhere in the body, or cannot be looked for.
    fn is_unwelcome(&self, event: &Event) -> bool {
        let effort = Effort::default();
        let welcome =
            |string: &BodyString<'_>| self.unwelcome(&string.value, &effort).is_ok_and(|found| found.is_empty());
        !event.strings().iter().all(welcome)
    }

    /// The body with all unwelcome words masked where they stand; `None` where there are none.
    fn masked(&self, event: &Event) -> Result<Option<String>, Unreadable> {
        let effort = Effort::default();
        let mut readable = Ok(());
        let body = event.with_strings(|string| match self.unwelcome(&string.value, &effort) {
            Ok(places) if places.is_empty() => None,
            Ok(places) => Some(masked(&string.value, &places, self.settings.mask)),
            Err(unreadable) => {
                readable = Err(unreadable);
                None
            }
        });
        readable.map(|()| body)
    }

    /// The places of unwelcome words, in order and apart.
    fn unwelcome(&self, text: &str, effort: &Effort) -> Result<Vec<Range<usize>>, Unreadable> {
        let mut found = find(&self.words, self.reading, text, effort)?;
        if !found.is_empty() {
            // Nobody disguises a welcome word, so these are read as they stand.
            let allowed = find(&self.allowed, Reading::default(), text, effort)?;
            found.retain(|place| {
                let next = allowed.partition_point(|good| good.end < place.end);
                allowed.get(next).is_none_or(|good| place.start < good.start)
            });
        }
        Ok(found)
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
