//! `[plugin.NAME.settings]` of hub.toml against the schema that the plugin's file carries.

use confab_config::{Config, Path, Problem};
use confab_plugin_kit::embed;
use confab_plugin_kit::schema::{self, Step, Violation};
use confab_plugin_kit::settings::table_to_json;
use serde_json::Value;

/// Findings for every plugin whose file can be read and carries a schema. A file that is missing or no plugin is somebody
/// else's finding.
pub fn problems(config: &Config) -> Vec<Problem> {
    let mut found = Vec::new();
    for (name, plugin) in &config.plugin {
        let Some(schema) = std::fs::read(&plugin.module).ok().and_then(|bytes| embed::read(&bytes).ok()?.schema) else {
            continue;
        };
        let here = Path::of("plugin").key(name.as_str()).key("settings");
        let violations = schema::violations(&schema, &table_to_json(&plugin.settings));
        found.extend(violations.iter().map(|violation| problem(name, &here, violation, &schema)));
    }
    found
}

fn problem(name: &str, here: &Path, violation: &Violation, schema: &Value) -> Problem {
    let at = violation.path.iter().fold(here.clone(), |path, step| match step {
        Step::Key(key) => path.key(key.as_str()),
        Step::Index(index) => path.index(*index),
    });
    let problem = Problem::error(&at, format!("plugin `{name}` does not take this setting")).label(&violation.message);
    let known: Vec<&str> =
        schema["properties"].as_object().into_iter().flatten().map(|(known, _)| known.as_str()).collect();
    let first = match violation.path.first() {
        Some(Step::Key(first)) => Some(first),
        _ => None,
    };
    match first.and_then(|first| Some((first, schema["properties"][first]["description"].as_str()?))) {
        Some((first, words)) => problem.help(format!("`{first}`: {words}")),
        None if known.is_empty() => problem,
        None => problem.help(format!("its settings are {}", known.join(", "))),
    }
}
