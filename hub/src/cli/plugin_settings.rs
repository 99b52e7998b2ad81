//! The settings of every plugin of hub.toml against the schema that its file carries.

use crate::plugin::check_settings;
use confab_config::{Config, Problem};

/// Findings for every plugin whose file can be read and carries a schema. A file that is missing or no plugin is somebody
/// else's finding.
pub fn problems(config: &Config) -> Vec<Problem> {
    let found = config.plugin.iter().filter_map(|(name, plugin)| {
        let bytes = std::fs::read(&plugin.module).ok()?;
        Some(check_settings(&bytes, &plugin.settings).err()?.problems(name))
    });
    found.flatten().collect()
}
