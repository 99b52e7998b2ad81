//! `confab plugin lock`: pins the plugins of hub.toml to the files that are there.

use super::args::Lock;
use super::candidate::Candidate;
use super::{Done, Failure, load};
use crate::cli::{Exit, Screen, SettingsArgs};
use crate::private_file;
use confab_config::{Diagnostic, Loaded};
use std::path::{Path, PathBuf};
use toml_edit::{DocumentMut, value};

pub(super) fn run(settings: &SettingsArgs, lock: &Lock, screen: &mut Screen<'_>) -> Done {
    let loaded = load(settings, screen)?;
    let file = file_of(&loaded)?;
    let mut document = read(&file)?;
    if let Some(name) = lock.names.iter().find(|name| !loaded.config.plugin.contains_key(*name)) {
        let known: Vec<&str> = loaded.config.plugin.keys().map(String::as_str).collect();
        return Err(Diagnostic::error(format!("hub.toml has no plugin `{name}`"))
            .help(format!("it has {}", known.join(", ")))
            .into());
    }
    let mut differ = 0;
    for (name, table) in &loaded.config.plugin {
        if !lock.names.is_empty() && !lock.names.contains(name) {
            continue;
        }
        let hash = Candidate::read(&loaded.base_dir.join(&table.module))?.hash;
        if table.blake3.as_ref() == Some(&hash) {
            writeln!(screen.out, "{name}: pinned to {}", &hash[..12])?;
            continue;
        }
        differ += 1;
        let was =
            table.blake3.as_ref().map_or("not pinned".into(), |was| format!("pinned to {}", &was[..12.min(was.len())]));
        if lock.check {
            writeln!(screen.out, "{name}: {was}, but the file is {}", &hash[..12])?;
            continue;
        }
        document["plugin"][name]["blake3"] = value(&hash);
        writeln!(screen.out, "{name}: was {was}, is now pinned to {}", &hash[..12])?;
    }
    if lock.check {
        return Ok(if differ == 0 { Exit::Done } else { Exit::Failed });
    }
    if differ > 0 {
        write(&file, &document)?;
    }
    Ok(Exit::Done)
}

/// The hub.toml that was read.
pub(super) fn file_of(loaded: &Loaded) -> Result<PathBuf, Failure> {
    loaded.file.clone().ok_or_else(|| {
        let found = Diagnostic::error("there is no hub.toml here")
            .help("name one with `--config FILE`, or make one: `confab config default > hub.toml`");
        Failure::Found(found.into(), Exit::Configuration)
    })
}

/// The text of hub.toml, to be changed in places.
pub(super) fn read(file: &Path) -> Result<DocumentMut, Failure> {
    let text = std::fs::read_to_string(file).map_err(|error| confab_plugin_kit::Error::file("read", file, &error))?;
    text.parse().map_err(|error: toml_edit::TomlError| {
        let found = Diagnostic::error(format!("could not understand {}", file.display()))
            .in_file(file.display().to_string(), &text, error.span().unwrap_or_default())
            .label(error.message().to_owned());
        Failure::Found(found.into(), Exit::Configuration)
    })
}

/// Writes it back, whole or not at all: a hub may be watching it.
pub(super) fn write(file: &Path, document: &DocumentMut) -> Result<(), Failure> {
    private_file::replace(file, document.to_string().as_bytes())
        .map_err(|error| confab_plugin_kit::Error::file("write", file, &error).into())
}
