//! The settings in force, as `confab config show` prints them: without secrets, and with the origin of each value.

use crate::document::Document;
use crate::load::Loaded;
use crate::origin::Origin;
use crate::path::Path;
use crate::secret::hide_table;
use crate::settings::Config;

/// A setting in force.
#[derive(Clone, Debug, PartialEq)]
pub struct Effective {
    /// Which one.
    pub path: Path,
    /// Its value; stars where it is a secret.
    pub value: toml::Value,
    /// Where it came from.
    pub origin: Origin,
}

impl Config {
    /// The same settings with stars in place of secrets.
    #[must_use]
    pub fn hide_secrets(&self) -> Self {
        // Through a table, so that every setting is looked at, also those that nobody thought of here: a secret is known by its
        // key, and a url with a password by what it is.
        let Ok(mut table) = toml::Table::try_from(self) else { return Self::default() };
        hide_table(&mut table);
        table.try_into().unwrap_or_default()
    }

    /// The settings as TOML, without secrets.
    pub fn show(&self) -> Result<String, toml::ser::Error> {
        toml::to_string(&self.hide_secrets())
    }
}

impl Loaded {
    /// Every setting in force with its origin, in the order in which [`Config::show`] writes them.
    pub fn effective(&self) -> Result<Vec<Effective>, toml::ser::Error> {
        Ok(self.read_back()?.1.into_iter().map(|(effective, _)| effective).collect())
    }

    /// The settings as TOML, without secrets, each line with a comment that says where its value came from.
    pub fn show_sources(&self) -> Result<String, toml::ser::Error> {
        let (text, settings) = self.read_back()?;
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let width = lines.iter().map(|line| line.chars().count()).filter(|width| *width <= 56).max().unwrap_or(0);
        for (Effective { origin, .. }, line) in settings {
            if let Some(line) = lines.get_mut(line - 1) {
                *line = format!("{line:width$}  # {origin}");
            }
        }
        Ok(lines.join("\n") + "\n")
    }

    /// Writes the settings and reads the text again, so that every setting has its line.
    fn read_back(&self) -> Result<(String, Vec<(Effective, usize)>), toml::ser::Error> {
        let text = self.config.show()?;
        // What the serializer has just written can be read.
        let Ok((document, table)) = Document::parse("effective settings", &text) else { return Ok((text, Vec::new())) };
        let effective = |(path, line): (Path, usize)| {
            let value = path.find(&table)?.clone();
            Some((Effective { origin: self.sources.of(&path), value, path }, line))
        };
        let settings = document.leaves().into_iter().filter_map(effective).collect();
        Ok((text, settings))
    }
}
