//! A new plugin: one that builds and passes its tests as it is, to be changed from there.

use crate::manifest::is_name;
use crate::project::{GOLDEN, Language, MANIFEST, SCHEMA};
use crate::{Error, Result};
use std::fs;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

include!(concat!(env!("OUT_DIR"), "/sdk.rs"));

/// The workspace's Cargo.toml, for the versions that the SDK is built with.
const WORKSPACE: &str = include_str!("../../Cargo.toml");
const SDK_CARGO: &str = include_str!("../../plugin-sdk/Cargo.toml");
const SDK_README: &str = include_str!("../../plugin-sdk/README.md");

const RUST: [(&str, &str); 2] = [
    ("Cargo.toml", include_str!("../templates/rust/Cargo.toml.txt")),
    ("src/lib.rs", include_str!("../templates/rust/lib.rs.txt")),
];
const JAVASCRIPT: [(&str, &str); 2] = [
    ("src/plugin.js", include_str!("../templates/javascript/plugin.js.txt")),
    ("src/confab.js", include_str!("../../plugins/word-filter-js/src/confab.js")),
];
const PYTHON: [(&str, &str); 2] = [
    ("src/plugin.py", include_str!("../templates/python/plugin.py.txt")),
    ("src/confab.py", include_str!("../../plugins/word-filter-py/src/confab.py")),
];
const COMMON: [(&str, &str); 5] = [
    (MANIFEST, include_str!("../templates/plugin.toml.txt")),
    (SCHEMA, include_str!("../templates/settings.schema.json")),
    (GOLDEN, include_str!("../templates/golden.toml.txt")),
    ("README.md", include_str!("../templates/README.md.txt")),
    (".gitignore", include_str!("../templates/gitignore.txt")),
];
const NEEDS: &str = include_str!("../templates/needs.toml.txt");

/// Writes a new plugin into `folder`, which must not exist or be empty; returns the files, relative to it. A Rust plugin
/// takes the SDK from `sdk` if one is given, else from a copy that is written beside it.
pub fn write(folder: &Path, name: &str, language: Language, sdk: Option<&Path>) -> Result<Vec<PathBuf>> {
    if !is_name(name) || !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return Err(Error::new(format!("{name:?} cannot be a plugin's name"))
            .help("begin with a letter, and use letters a–z, digits, `-` and `_`"));
    }
    if fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(Error::new(format!("{} is not empty", folder.display()))
            .help("choose another name, or another folder with `--path`"));
    }
    let mut files: Vec<(PathBuf, String)> = Vec::new();
    let own: &[(&str, &str)] = match language {
        Language::Rust => &RUST,
        Language::JavaScript => &JAVASCRIPT,
        Language::Python => &PYTHON,
    };
    for (path, text) in own.iter().chain(&COMMON) {
        let mut text = (*text).to_owned();
        if *path == MANIFEST && language != Language::Rust {
            text.push_str(NEEDS);
        }
        files.push((path.into(), fill(&text, name, language)));
    }
    if language == Language::Rust {
        match sdk {
            Some(sdk) => {
                let sdk = std::path::absolute(sdk).map_err(|error| Error::file("find", sdk, &error))?;
                let at = Value::String(sdk.to_string_lossy().into_owned()).to_string();
                files[0].1 = files[0].1.replace("path = \"sdk\"", &format!("path = {at}"));
            }
            None => files.extend(sdk_files()),
        }
    }
    for (path, text) in &files {
        let file = folder.join(path);
        let parent = file.parent().unwrap_or(folder);
        fs::create_dir_all(parent)
            .and_then(|()| fs::write(&file, text))
            .map_err(|error| Error::file("write", &file, &error))?;
    }
    Ok(files.into_iter().map(|(path, _)| path).collect())
}

fn fill(text: &str, name: &str, language: Language) -> String {
    let mut kind = String::new();
    for part in name.split(['-', '_']).filter(|part| !part.is_empty()) {
        kind.push_str(&part[..1].to_ascii_uppercase());
        kind.push_str(&part[1..]);
    }
    let source = match language {
        Language::Rust => "src/lib.rs",
        other => other.mark(),
    };
    text.replace("{{name}}", name)
        .replace("{{Type}}", &kind)
        .replace("{{Language}}", &language.to_string())
        .replace("{{source}}", source)
}

/// The SDK as a crate of its own.
fn sdk_files() -> Vec<(PathBuf, String)> {
    let folder = Path::new("sdk");
    let mut files = vec![
        (folder.join("Cargo.toml"), sdk_manifest()),
        // The readme points into the repository, which is not here.
        (
            folder.join("README.md"),
            SDK_README.replace("](../plugins/", "](https://github.com/confab/confab/tree/main/plugins/"),
        ),
    ];
    files.extend(SDK.iter().map(|(path, text)| (folder.join(path), (*text).to_owned())));
    files
}

/// The SDK's Cargo.toml with everything that it takes from the workspace written out.
fn sdk_manifest() -> String {
    let read = |text: &str| text.parse::<Table>().expect("the repository's manifests are TOML");
    let (workspace, mut manifest) = (read(WORKSPACE), read(SDK_CARGO));
    manifest.remove("lints");
    manifest.remove("dev-dependencies");
    let inherits = |value: &Value| value.get("workspace").and_then(Value::as_bool) == Some(true);
    for (key, from) in [("package", "package"), ("dependencies", "dependencies")] {
        let Some(table) = manifest.get_mut(key).and_then(Value::as_table_mut) else { continue };
        for (name, value) in table.iter_mut().filter(|(_, value)| inherits(value)) {
            let whole = workspace["workspace"][from][name.as_str()].clone();
            let own = value.as_table().cloned().unwrap_or_default();
            *value = whole;
            for (more, wanted) in own.into_iter().filter(|(more, _)| more != "workspace") {
                let version = Value::Table([("version".to_owned(), value.clone())].into_iter().collect());
                if value.is_str() {
                    *value = version;
                }
                if let Some(table) = value.as_table_mut() {
                    table.insert(more, wanted);
                }
            }
        }
    }
    format!("# A copy of Confab's SDK for plugins. A newer `confab plugin new` brings a newer one.\n{manifest}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::Golden;
    use crate::project::Project;

    #[test]
    fn a_new_plugin_in_every_language_is_a_project_with_cases() {
        for language in Language::ALL {
            let folder = tempfile::tempdir().unwrap();
            let root = folder.path().join("my-plugin");
            let files = write(&root, "my-plugin", language, None).unwrap();
            // The copy of the SDK is source, not a template: its doubled braces are Rust's own.
            for file in files.iter().filter(|file| !file.starts_with("sdk")) {
                let text = fs::read_to_string(root.join(file)).unwrap();
                assert!(!text.contains("{{"), "{language}: {} is not filled in", file.display());
            }
            let project = Project::open(&root).unwrap();
            assert_eq!((project.language, project.name().as_str()), (language, "my-plugin"));
            assert!(project.schema.is_some());
            assert_eq!(project.manifest.unwrap().needs.memory.is_some(), language != Language::Rust);
            Golden::read(&root.join(GOLDEN)).unwrap();
        }
    }

    #[test]
    fn what_is_there_already_is_not_overwritten_and_a_bad_name_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("mine"), "").unwrap();
        assert!(write(folder.path(), "a", Language::Rust, None).unwrap_err().to_string().contains("is not empty"));
        for name in ["", "1st", "a b", "../up"] {
            assert!(write(&folder.path().join("new"), name, Language::Rust, None).is_err(), "{name}");
        }
    }

    #[test]
    fn the_copy_of_the_sdk_stands_alone() {
        let manifest = sdk_manifest();
        assert!(!manifest.contains("workspace"), "{manifest}");
        let read: Table = manifest.parse().unwrap();
        assert_eq!(read["package"]["edition"].as_str(), Some("2024"));
        assert!(read["dependencies"]["wit-bindgen"]["version"].is_str());
        let files = sdk_files();
        for file in ["sdk/src/lib.rs", "sdk/wit/plugin.wit"] {
            assert!(files.iter().any(|(path, _)| path == Path::new(file)), "{file}");
        }
    }
}
