//! Which settings a running hub cannot take in without a restart.

use crate::path::Path;
use crate::settings::Config;

/// What a reload takes in, or what is none of the hub's business.
const TAKEN_IN: [&str; 6] = ["room", "plugin", "plugin_cache", "chain", "test", "consumer"];

impl Config {
    /// The settings that are others in `new`, and hold only after a restart: everything but rooms, plugins, chains and
    /// their tests. A file that a setting names (a secret, a certificate) is not looked into.
    pub fn needs_restart(&self, new: &Self) -> Vec<Path> {
        let table = |config: &Self| toml::Table::try_from(config).unwrap_or_default();
        let mut found = Vec::new();
        let old = table(self);
        let new = table(new);
        differences(&Path::root(), &old, &new, &mut found);
        // With the rules of rooms comes what holds where none of them says anything.
        found.retain(|path| path.to_string() != "store.retention");
        found.retain(|path| path.keys().next().is_some_and(|top| !TAKEN_IN.contains(&top)));
        found
    }
}

fn differences(here: &Path, old: &toml::Table, new: &toml::Table, found: &mut Vec<Path>) {
    let added = new.keys().filter(|key| !old.contains_key(*key));
    for key in old.keys().chain(added) {
        match (old.get(key), new.get(key)) {
            (Some(toml::Value::Table(old)), Some(toml::Value::Table(new))) => {
                differences(&here.key(key.as_str()), old, new, found);
            }
            (old, new) if old != new => found.push(here.key(key.as_str())),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_reload_cannot_take_in_needs_a_restart() {
        let read = |text: &str| toml::from_str::<Config>(text).unwrap();
        let old = read("[limits]\nframe = '64 KiB'\n[auth]\nhmac_secret = 'a'");
        let new = read(
            "watch = true\n[limits]\nframe = '32 KiB'\n[auth]\nhmac_secret = 'b'\n[timeline.redis]\nurl = 'redis://x'\n\
             [[room]]\nmatch = ['a']\n[plugin.x]\nmodule = 'x.wasm'\n[[chain]]\nplugins = ['x']\n[consumer]\nadmin = '127.0.0.1:1'",
        );
        let mut found: Vec<String> = old.needs_restart(&new).iter().map(ToString::to_string).collect();
        found.sort();
        assert_eq!(found, ["auth.hmac_secret", "limits.frame", "timeline.redis", "watch"]);
        assert!(old.needs_restart(&old.clone()).is_empty());
    }
}
