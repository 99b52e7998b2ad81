//! The manifest, `plugin.toml`: what a plugin is, and what it asks for and why.

use crate::{Error, Result, plain};
use confab_config::Isolation;
use confab_config::human::{self, Size};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// The capabilities that the contract knows, each with the world that imports it.
pub const CAPABILITIES: [(&str, &str); 6] = [
    ("log", "logging"),
    ("clock", "timing"),
    ("random", "chance"),
    ("kv", "memory"),
    ("http", "asking"),
    ("emit", "speaking"),
];

/// What a plugin is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Its name: letters, digits, `-` and `_`.
    pub name: String,
    /// Its version, such as `1.2.0`.
    pub version: String,
    /// What it does, in a sentence for an operator.
    pub description: String,
    /// Its licence, as SPDX writes it.
    pub license: String,
    /// Where to read more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub homepage: Option<String>,
    /// What it asks for besides judging, each with the reason that an operator is shown.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub capabilities: BTreeMap<String, String>,
    /// The limits that it needs where hub.toml's defaults are too tight.
    #[serde(default, skip_serializing_if = "Needs::is_empty")]
    pub needs: Needs,
}

/// The limits that a plugin needs. What is not said is as hub.toml's defaults.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Needs {
    /// The longest a call may take.
    #[serde(with = "human::optional_duration", skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// The most memory of one instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<Size>,
    /// Whether an instance should live on from one message to the next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub isolation: Option<Isolation>,
}

impl Needs {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Manifest {
    /// Reads a plugin.toml.
    pub fn read(file: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(file).map_err(|error| {
            Error::file("read", file, &error).help("`confab plugin new NAME` makes a plugin with a plugin.toml")
        })?;
        Self::parse(file, &text)
    }

    /// Reads the text of a plugin.toml; `file` is what errors call it.
    pub fn parse(file: &Path, text: &str) -> Result<Self> {
        let manifest: Self = toml::from_str(text).map_err(|error| {
            Error::toml(file, text, &error).help("a manifest has `name`, `version`, `description` and `license`")
        })?;
        let at = |key: &str, message: String| {
            let start = line_of(text, key);
            let end = text[start..].find('\n').map_or(text.len(), |line| start + line);
            Error::at(file, text, start..end, message)
        };
        if !is_name(&manifest.name) {
            return Err(at("name", format!("{:?} cannot be a plugin's name", manifest.name))
                .help("use letters a–z, digits, `-` and `_`"));
        }
        if !is_version(&manifest.version) {
            return Err(at("version", format!("{:?} is not a version", manifest.version)).help("write it like `1.2.0`"));
        }
        if let Err((key, why)) = manifest.check_words() {
            return Err(at(key, format!("`{key}` is not plain text: {why}")).help(
                "write it in one line, without control characters: it stands in hub.toml, in logs and on terminals",
            ));
        }
        for (key, reason) in &manifest.capabilities {
            if !CAPABILITIES.iter().any(|(known, _)| known == key) {
                let known: Vec<&str> = CAPABILITIES.iter().map(|(known, _)| *known).collect();
                return Err(at(key, format!("there is no capability `{key}`"))
                    .help(format!("the contract knows {}", known.join(", "))));
            }
            if reason.trim().is_empty() {
                return Err(at(key, format!("capability `{key}` has no reason"))
                    .help("say in a sentence why: the operator who grants it reads this"));
            }
        }
        Ok(manifest)
    }

    /// The manifest as it travels in a component.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a manifest has a JSON form")
    }

    /// Reads the manifest of a component. What a newer kit has added is passed over.
    pub fn from_json(text: &str) -> std::result::Result<Self, String> {
        let mut value: serde_json::Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let mut keep = |pointer: &str, known: &[&str]| {
            if let Some(table) = value.pointer_mut(pointer).and_then(serde_json::Value::as_object_mut) {
                table.retain(|key, _| known.contains(&key.as_str()));
            }
        };
        keep("", &["name", "version", "description", "license", "homepage", "capabilities", "needs"]);
        keep("/needs", &["timeout", "memory", "isolation"]);
        let manifest: Self = serde_json::from_value(value).map_err(|error| error.to_string())?;
        manifest.check_words().map_err(|(key, why)| format!("`{key}` is not plain text: {why}"))?;
        if !is_name(&manifest.name) {
            return Err(format!("{:?} cannot be a plugin's name", manifest.name));
        }
        Ok(manifest)
    }

    /// Sees to it that every text is plain; an error names the field. Whoever makes a plugin writes these, and they come to stand
    /// in hub.toml, in logs and on the terminals of others.
    fn check_words(&self) -> std::result::Result<(), (&'static str, String)> {
        let words = [
            ("name", Some(&self.name)),
            ("version", Some(&self.version)),
            ("description", Some(&self.description)),
            ("license", Some(&self.license)),
            ("homepage", self.homepage.as_ref()),
        ];
        let reasons = self.capabilities.iter().flat_map(|(key, reason)| [key, reason]);
        let reasons = reasons.map(|text| ("capabilities", Some(text)));
        for (key, text) in words.into_iter().chain(reasons) {
            text.map_or(Ok(()), |text| plain::check(text)).map_err(|why| (key, why))?;
        }
        Ok(())
    }
}

/// Whether hub.toml could call a plugin so.
pub fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
}

fn is_version(version: &str) -> bool {
    let numbers = version.split(['-', '+']).next().unwrap_or_default();
    let parts: Vec<&str> = numbers.split('.').collect();
    parts.len() == 3 && parts.iter().all(|part| part.parse::<u64>().is_ok())
}

/// Where the line that sets `key` begins; the start of the text if there is none.
fn line_of(text: &str, key: &str) -> usize {
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let rest = line.trim_start().strip_prefix(key).map(str::trim_start);
        if rest.is_some_and(|rest| rest.starts_with('=')) {
            return start;
        }
        start += line.len();
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
name = "flood"
version = "1.0.0"
description = "Slows people down"
license = "MIT"
[capabilities]
kv = "counts what a person says"
[needs]
memory = "64 MiB"
timeout = "50ms"
isolation = "worker"
"#;

    fn refused(text: &str) -> String {
        Manifest::parse(Path::new("plugin.toml"), text).unwrap_err().to_string()
    }

    #[test]
    fn a_manifest_comes_back_from_a_component_as_it_was_written() {
        let manifest = Manifest::parse(Path::new("plugin.toml"), GOOD).unwrap();
        assert_eq!(manifest.capabilities["kv"], "counts what a person says");
        assert_eq!(manifest.needs.isolation, Some(Isolation::Worker));
        assert_eq!(Manifest::from_json(&manifest.to_json()).unwrap(), manifest);
    }

    #[test]
    fn what_a_newer_kit_adds_to_a_manifest_is_passed_over() {
        let manifest = Manifest::parse(Path::new("plugin.toml"), GOOD).unwrap();
        let newer =
            manifest.to_json().replacen('{', r#"{"colour":"blue","#, 1).replace(r#""needs":{"#, r#""needs":{"x":1,"#);
        assert!(newer.contains("colour") && newer.contains("\"x\":1"));
        assert_eq!(Manifest::from_json(&newer).unwrap(), manifest);
    }

    /// Puts a text into a field.
    type Put = fn(&mut Manifest, String);

    #[test]
    fn a_manifest_is_plain_text_in_every_field_whether_it_is_written_or_travels() {
        let good = Manifest::parse(Path::new("plugin.toml"), GOOD).unwrap();
        let planted = "x\n[[room]]\njoin = \"anyone\" #";
        let evil: [(&str, Put); 6] = [
            ("version", |manifest, text| manifest.version = text),
            ("description", |manifest, text| manifest.description = text),
            ("license", |manifest, text| manifest.license = text),
            ("homepage", |manifest, text| manifest.homepage = Some(text)),
            ("capabilities", |manifest, text| manifest.capabilities = [("kv".to_owned(), text)].into()),
            ("capabilities", |manifest, text| manifest.capabilities = [(text, "why".to_owned())].into()),
        ];
        for text in [planted, "\u{1b}[31m", "a\u{2028}b", "a\rb", "a\u{202e}b"] {
            for (field, put) in evil {
                let mut manifest = good.clone();
                put(&mut manifest, text.to_owned());
                let wrong = Manifest::from_json(&manifest.to_json()).unwrap_err();
                assert!(wrong.starts_with(&format!("`{field}` is not plain text")), "{wrong}");
                assert!(!wrong.chars().any(char::is_control), "{wrong:?}");
            }
            let wrong = refused(&GOOD.replace("\"Slows people down\"", &format!("{}", serde_json::Value::from(text))));
            assert!(wrong.contains("`description` is not plain text") && wrong.contains("plugin.toml:4:1"), "{wrong}");
        }
        let mut manifest = good;
        manifest.name = "a b".into();
        assert!(Manifest::from_json(&manifest.to_json()).unwrap_err().contains("cannot be a plugin's name"));
    }

    #[test]
    fn an_error_in_a_manifest_has_its_line_and_what_to_do() {
        let wrong = refused(&GOOD.replace("kv =", "kvv ="));
        assert!(wrong.contains("plugin.toml:7:1") && wrong.contains("the contract knows log, clock"), "{wrong}");
        let wrong = refused(&GOOD.replace("counts what a person says", " "));
        assert!(wrong.contains("has no reason"), "{wrong}");
        let wrong = refused(&GOOD.replace("1.0.0", "one"));
        assert!(wrong.contains("plugin.toml:3:1") && wrong.contains("1.2.0"), "{wrong}");
        let wrong = refused(&GOOD.replace("flood", "flood guard"));
        assert!(wrong.contains("cannot be a plugin's name"), "{wrong}");
        let wrong = refused(&GOOD.replace("license", "licence"));
        assert!(wrong.contains("licence") && wrong.contains("plugin.toml:5:1"), "{wrong}");
        assert!(refused("name = \"a\"").contains("missing field `version`"));
    }
}
