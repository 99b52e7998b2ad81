//! The chains and the messages that are measured.

use anyhow::Result;
use confab_config::Config;
use confab_hub::hub::build_chain;
use confab_hub::kv::Kv;
use confab_hub::plugin::Chain;
use confab_hub::telemetry::Telemetry;
use confab_protocol::{Annotations, Body, Event, EventId, Key, Kind, Room, Sender, UserId};
use std::path::{Path, PathBuf};

/// How many words the filter looks for.
pub const WORDS: usize = 200;
/// The length of the body, in bytes.
pub const BODY_BYTES: usize = 100;
/// What is said. None of the words is in it.
const TEXT: &str = "the quick brown fox jumps over the lazy dog and the dog does not mind it at all, says she";

/// Where the components lie, and where compiled ones are kept while this runs.
pub struct Surroundings {
    /// The folder of components.
    pub components: PathBuf,
    cache: tempfile::TempDir,
}

impl Surroundings {
    /// Components of this folder, and an empty cache.
    pub fn new(components: &Path) -> Result<Self> {
        Ok(Self { components: components.to_owned(), cache: tempfile::tempdir()? })
    }

    /// The chain that this hub.toml describes, counted as in a hub.
    pub async fn chain(&self, toml: &str) -> Result<Chain> {
        let mut config: Config = toml::from_str(toml)?;
        config.plugin_cache = Some(self.cache.path().to_owned());
        let observer = Telemetry::new().plugins.clone();
        Ok(build_chain(&config, &self.components, observer, &Kv::default()).await?.0)
    }
}

/// The words that the filter looks for, with all kinds of first letters.
pub fn words() -> Vec<String> {
    const CONSONANTS: &[u8; 20] = b"bcdfghjklmnpqrstvwxz";
    const VOWELS: &[u8; 5] = b"aeiou";
    let consonant = |n: usize| char::from(CONSONANTS[n % CONSONANTS.len()]);
    let vowel = |n: usize| char::from(VOWELS[n % VOWELS.len()]);
    let word = |n: usize| [consonant(n), vowel(n / 20), consonant(n / 100 + 3), vowel(n), consonant(7 * n)];
    (0..WORDS).map(|n| word(n).iter().collect()).collect()
}

/// The word filter alone in its chain; `more` are lines of its table.
pub fn filter(module: &str, more: &str) -> String {
    let words = serde_json::to_string(&words()).expect("words have a JSON form, which TOML shares");
    format!(
        "[plugin.filter]\nmodule = '{module}'\ntimeout = '1s'\n{more}\nsettings = {{ words = {words} }}\n\
         [[chain]]\nplugins = ['filter']\n"
    )
}

/// A message whose body takes [`BODY_BYTES`].
pub fn event() -> Event {
    said_by("ada", TEXT)
}

/// A message of `n`'s, whose body takes [`BODY_BYTES`] and is no other's.
pub fn event_of(n: usize) -> Event {
    said_by(&format!("user-{n}"), &format!("{}{n:05}", &TEXT[..TEXT.len() - 5]))
}

fn said_by(user: &str, text: &str) -> Event {
    Event {
        kind: Kind::Message,
        id: EventId::fresh(),
        room: Room::new("bench").expect("a name"),
        sender: Sender { user: UserId::new(user).expect("a name"), client: None, info: None },
        key: Key::fresh(),
        digest: String::new(),
        at: 1_700_000_000_000,
        body: Body::of(&serde_json::json!({ "text": text })),
        target: None,
        thread: None,
        annotations: Annotations::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn the_words_are_as_many_as_is_said_and_none_is_in_the_message() {
        let words = words();
        assert_eq!(words.iter().collect::<HashSet<_>>().len(), WORDS);
        assert!(words.iter().all(|word| !TEXT.contains(word.as_str())));
        let firsts: HashSet<_> = words.iter().filter_map(|word| word.chars().next()).collect();
        assert!(firsts.len() >= 20);
    }

    #[test]
    fn a_body_has_the_length_that_is_said() {
        assert_eq!(event().body.as_str().len(), BODY_BYTES);
        assert_eq!(event_of(12_345).body.as_str().len(), BODY_BYTES);
    }
}
