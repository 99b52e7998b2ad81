//! `[plugin.NAME.settings]` of hub.toml against the schema that the plugin's file carries.

use confab_config::{Path, Problem};
use confab_plugin_kit::schema::{self, Step, Violation};
use confab_plugin_kit::settings::table_to_json;
use confab_plugin_kit::{embed, plain};
use serde_json::Value;
use std::fmt;

/// Settings that the schema does not allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// What is wrong, at least one.
    wrong: Vec<(Violation, Option<String>)>,
}

/// Holds settings against the schema in a component; a file that has none, or is no component, refuses nothing here.
///
/// # Errors
/// [`Refused`]: everything that the schema does not allow.
pub fn check(component: &[u8], settings: &toml::Table) -> Result<(), Refused> {
    match embed::read(component).ok().and_then(|embedded| embedded.schema) {
        Some(schema) => check_against(&schema, settings),
        None => Ok(()),
    }
}

/// Holds settings against a schema.
///
/// # Errors
/// [`Refused`]: everything that the schema does not allow.
pub fn check_against(schema: &Value, settings: &toml::Table) -> Result<(), Refused> {
    let told = |wrong: Violation| {
        let advice = advice(&wrong, schema);
        (wrong, advice)
    };
    let wrong: Vec<_> = schema::violations(schema, &table_to_json(settings)).into_iter().map(told).collect();
    if wrong.is_empty() { Ok(()) } else { Err(Refused { wrong }) }
}

impl Refused {
    /// What is wrong, each in a line.
    pub fn lines(&self) -> impl Iterator<Item = String> + '_ {
        self.wrong.iter().map(|(violation, _)| violation.to_string())
    }

    /// Whether only the whole is wrong, as when something is missing, and not a setting that is there.
    pub fn is_of_the_whole(&self) -> bool {
        self.wrong.iter().all(|(violation, _)| violation.path.is_empty())
    }

    /// A finding for each, at its place in hub.toml.
    pub fn problems(&self, plugin: &str) -> Vec<Problem> {
        let here = Path::of("plugin").key(plugin).key("settings");
        let problem = |(violation, advice): &(Violation, Option<String>)| {
            let at = violation.path.iter().fold(here.clone(), |path, step| match step {
                Step::Key(key) => path.key(key.as_str()),
                Step::Index(index) => path.index(*index),
            });
            let message = format!("plugin `{plugin}` does not take this setting");
            let problem = Problem::error(&at, message).label(&violation.message);
            advice.iter().fold(problem, |problem, advice| problem.help(advice))
        };
        self.wrong.iter().map(problem).collect()
    }
}

/// What to do: what the setting means, or which there are.
fn advice(violation: &Violation, schema: &Value) -> Option<String> {
    let known: Vec<&str> = schema["properties"].as_object().into_iter().flatten().map(|(name, _)| &**name).collect();
    let described = violation.path.first().and_then(|first| match first {
        Step::Key(first) => Some((first, schema["properties"][first]["description"].as_str()?)),
        Step::Index(_) => None,
    });
    match described {
        Some((first, words)) => Some(format!("`{first}`: {}", plain::line(words))),
        None if known.is_empty() => None,
        None => Some(format!("its settings are {}", known.join(", "))),
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wrong: Vec<String> = self.lines().collect();
        write!(f, "its settings are not as it wants them: {}", wrong.join("; "))?;
        match self.wrong.iter().find_map(|(_, advice)| advice.as_ref()) {
            Some(advice) => write!(f, " ({advice})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Refused {}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_refused_is_told_with_its_key_and_what_there_is() {
        let schema = json!({
            "properties": { "most": { "type": "integer", "description": "The most characters." }, "why": {} },
            "additionalProperties": false,
        });
        let component = embed::embed(b"\0asm\x0d\0\x01\0", None, Some(&schema)).unwrap();
        let refused = |text: &str| check(&component, &toml::from_str(text).unwrap()).unwrap_err().to_string();
        let wanted = "its settings are not as it wants them: ";
        assert_eq!(
            refused("moost = 3"),
            format!("{wanted}`moost`: there is no such setting (its settings are most, why)")
        );
        let told = format!("{wanted}`most`: expected integer, found string (`most`: The most characters.)");
        assert_eq!(refused("most = 'x'"), told);
        assert_eq!(check(&component, &toml::Table::new()), Ok(()));
        assert_eq!(check(b"no component", &toml::Table::new()), Ok(()));
    }
}
