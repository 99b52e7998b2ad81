//! A plugin's folder: its manifest, its settings schema, and the language it is written in.

use crate::manifest::Manifest;
use crate::{Error, Result};
use serde_json::Value;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// The manifest's name in a plugin's folder.
pub const MANIFEST: &str = "plugin.toml";

/// The settings schema's name in a plugin's folder.
pub const SCHEMA: &str = "settings.schema.json";

/// The golden cases' name in a plugin's folder.
pub const GOLDEN: &str = "golden.toml";

/// The languages with a toolchain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// By cargo, for `wasm32-unknown-unknown`. The folder has a `Cargo.toml`.
    Rust,
    /// By componentize-js, with Node.js. The folder has a `src/plugin.js`.
    JavaScript,
    /// By componentize-py. The folder has a `src/plugin.py`.
    Python,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Rust, Self::JavaScript, Self::Python];

    /// The file by which a folder of this language is known.
    pub fn mark(self) -> &'static str {
        match self {
            Self::Rust => "Cargo.toml",
            Self::JavaScript => "src/plugin.js",
            Self::Python => "src/plugin.py",
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rust => "Rust",
            Self::JavaScript => "JavaScript",
            Self::Python => "Python",
        })
    }
}

/// A plugin's folder.
#[derive(Clone, Debug)]
pub struct Project {
    /// The folder.
    pub root: PathBuf,
    /// What it is written in.
    pub language: Language,
    /// Its manifest, if it has one: what only tests load needs none.
    pub manifest: Option<Manifest>,
    /// The JSON Schema of its settings, if it has one.
    pub schema: Option<Value>,
}

impl Project {
    /// Reads the folder of a plugin that has a manifest.
    pub fn open(root: &Path) -> Result<Self> {
        let manifest = Manifest::read(&root.join(MANIFEST))?;
        Self::with(root, Some(manifest))
    }

    /// Reads a folder that may lack a manifest.
    pub fn open_plain(root: &Path) -> Result<Self> {
        let file = root.join(MANIFEST);
        let manifest = if file.exists() { Some(Manifest::read(&file)?) } else { None };
        Self::with(root, manifest)
    }

    fn with(root: &Path, manifest: Option<Manifest>) -> Result<Self> {
        let language = Language::ALL.into_iter().find(|language| root.join(language.mark()).is_file());
        let language = language.ok_or_else(|| {
            let marks: Vec<&str> = Language::ALL.iter().map(|language| language.mark()).collect();
            Error::new(format!("{} holds no plugin that can be built", root.display()))
                .note(format!("it has none of {}", marks.join(", ")))
                .help("`confab plugin new NAME --lang rust|js|python` makes one")
        })?;
        let schema = schema(&root.join(SCHEMA))?;
        let unknown = schema.as_ref().map(crate::schema::unknown).unwrap_or_default();
        if !unknown.is_empty() {
            return Err(Error::new(format!("{} cannot be checked", root.join(SCHEMA).display()))
                .note(format!("nobody checks {}", unknown.join(", ")))
                .help("use type, enum, const, properties, required, additionalProperties, items, and bounds; leave the rest to `configure`"));
        }
        Ok(Self { root: root.to_owned(), language, manifest, schema })
    }

    /// The plugin's name: that of its manifest, else of its folder.
    pub fn name(&self) -> String {
        let folder =
            || self.root.file_name().map_or_else(|| "plugin".into(), |name| name.to_string_lossy().into_owned());
        self.manifest.as_ref().map_or_else(folder, |manifest| manifest.name.clone())
    }

    /// Where `build` puts the component if nothing else is said.
    pub fn component(&self) -> PathBuf {
        self.root.join(format!("{}.wasm", self.name()))
    }

    /// Every file that decides what the component is, in a fixed order.
    pub fn sources(&self) -> Result<Vec<PathBuf>> {
        let mut files: Vec<PathBuf> = [MANIFEST, SCHEMA, "Cargo.toml"]
            .iter()
            .map(|name| self.root.join(name))
            .filter(|file| file.is_file())
            .collect();
        for folder in ["src", "sdk"] {
            walk(&self.root.join(folder), &mut files).map_err(|error| Error::file("read", &self.root, &error))?;
        }
        files.sort();
        Ok(files)
    }
}

/// Reads a settings schema; one that is no JSON is an error with its place.
fn schema(file: &Path) -> Result<Option<Value>> {
    let text = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::file("read", file, &error)),
    };
    serde_json::from_str(&text).map(Some).map_err(|error| {
        let start: usize = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
        let at = (start + error.column().saturating_sub(1)).min(text.len());
        Error::at(file, &text, at..at, format!("could not understand {}", file.display())).note(error.to_string())
    })
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    if !folder.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name() == "__pycache__" {
            continue;
        }
        if entry.file_type()?.is_dir() {
            walk(&entry.path(), files)?;
        } else {
            files.push(entry.path());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_no_plugin_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let wrong = Project::open(folder.path()).unwrap_err().to_string();
        assert!(wrong.contains("could not read") && wrong.contains("confab plugin new"), "{wrong}");
        let wrong = Project::open_plain(folder.path()).unwrap_err().to_string();
        assert!(wrong.contains("Cargo.toml, src/plugin.js, src/plugin.py"), "{wrong}");
    }

    #[test]
    fn a_schema_that_is_no_json_has_its_place() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("Cargo.toml"), "").unwrap();
        fs::write(folder.path().join(SCHEMA), "{\n  \"type\": object\n}").unwrap();
        let wrong = Project::open_plain(folder.path()).unwrap_err().to_string();
        assert!(wrong.contains("settings.schema.json:2:11"), "{wrong}");
    }
}
