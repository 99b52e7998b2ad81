//! The plugin that a verb is about: found, built if need be, and told its settings and limits.

use super::args::With;
use super::{Failure, say};
use crate::cli::{Exit, SettingsArgs};
use crate::plugin::{SettingsRefused, check_settings_against};
use confab_config::{Capabilities, Diagnostic, Isolation, PluginConfig};
use confab_plugin_kit::build::Builder;
use confab_plugin_kit::component::{Face, face};
use confab_plugin_kit::embed::{self, Embedded};
use confab_plugin_kit::golden::{Recorded, read_answers};
use confab_plugin_kit::project::{MANIFEST, Project};
use std::path::{Path, PathBuf};

/// A built plugin.
pub(super) struct Candidate {
    /// The file.
    pub file: PathBuf,
    /// The folder it was built from, if it was.
    pub folder: Option<PathBuf>,
    /// How large the file is, in bytes.
    pub bytes: usize,
    /// The BLAKE3 hash of the file.
    pub hash: String,
    /// What travels in it.
    pub embedded: Embedded,
    /// What it imports.
    pub face: Face,
}

impl Candidate {
    /// The plugin of a folder, built first, or of a file.
    pub fn find(place: &Path) -> Result<Self, Failure> {
        if place.is_dir() {
            let project = Project::open(place)?;
            let built = Builder::new(&say).build(&project, &project.component())?;
            return Ok(Self { folder: Some(place.to_owned()), ..Self::read(&built.file)? });
        }
        if place.file_name().is_some_and(|name| name == MANIFEST) {
            let folder = place.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            return Self::find(folder);
        }
        Self::read(place)
    }

    /// The plugin of a built file.
    pub fn read(file: &Path) -> Result<Self, Failure> {
        let bytes = std::fs::read(file).map_err(|error| {
            Diagnostic::error(format!("could not read {}", file.display()))
                .note(error.to_string())
                .help("name a plugin's folder, or a file that `confab plugin build` made")
        })?;
        let wrong = |why: embed::Unreadable| {
            Diagnostic::error(format!("{} is no plugin", file.display()))
                .note(why.0)
                .help("a plugin is a WebAssembly component: `confab plugin build` makes one")
        };
        let embedded = embed::read(&bytes).map_err(wrong)?;
        let face = face(&bytes).map_err(wrong)?;
        let hash = blake3::hash(&bytes).to_hex().to_string();
        Ok(Self { file: file.to_owned(), folder: None, bytes: bytes.len(), hash, embedded, face })
    }

    /// The plugin's name: that of its manifest, else of its file.
    pub fn name(&self) -> String {
        let stem = || self.file.file_stem().map_or_else(|| "plugin".into(), |stem| stem.to_string_lossy().into_owned());
        self.embedded.manifest.as_ref().map_or_else(stem, |manifest| manifest.name.clone())
    }

    /// A file beside the plugin: in its folder, or in that of the built file.
    pub fn beside(&self, name: &str) -> PathBuf {
        match &self.folder {
            Some(folder) => folder.join(name),
            None => self.file.parent().unwrap_or(Path::new("")).join(name),
        }
    }

    /// Its table in hub.toml, as it would stand there: everything that it imports is granted, and what its manifest says
    /// that it needs holds.
    pub fn table(&self) -> Result<PluginConfig, Failure> {
        let needs = self.embedded.manifest.as_ref().map(|manifest| manifest.needs.clone()).unwrap_or_default();
        let default = PluginConfig::default();
        Ok(PluginConfig {
            module: std::path::absolute(&self.file).unwrap_or_else(|_| self.file.clone()),
            timeout: needs.timeout.unwrap_or(default.timeout),
            memory: needs.memory.unwrap_or(default.memory),
            isolation: needs.isolation.unwrap_or(Isolation::Message),
            capabilities: self.grants()?,
            ..default
        })
    }

    /// Everything that it imports.
    fn grants(&self) -> Result<Capabilities, Failure> {
        let grants: toml::Table =
            self.face.capabilities.iter().map(|capability| (capability.clone(), grant(capability))).collect();
        toml::Value::Table(grants).try_into().map_err(|error: toml::de::Error| {
            Diagnostic::error(format!("{} asks for what this hub cannot give", self.file.display()))
                .note(error.message().to_owned())
                .into()
        })
    }

    /// Its table with the settings and limits that the command line names.
    pub fn table_with(&self, settings: &SettingsArgs, with: &With) -> Result<PluginConfig, Failure> {
        let mut table = self.table()?;
        if let Some(like) = &with.like {
            let loaded = settings.load(Vec::new()).map_err(|errors| Failure::Found(errors, Exit::Configuration))?;
            let Some(known) = loaded.config.plugin.get(like) else {
                return Err(Diagnostic::error(format!("hub.toml has no plugin `{like}`")).into());
            };
            let granted = table.capabilities;
            table = PluginConfig { module: table.module, blake3: None, ..known.clone() };
            table.capabilities = granted;
        }
        table.settings.extend(with.settings.iter().cloned());
        self.check(&table.settings)?;
        Ok(table)
    }

    /// Refuses settings that the plugin's own schema refuses.
    pub fn check(&self, settings: &toml::Table) -> Result<(), Failure> {
        let Some(refused) = self.refused(settings) else { return Ok(()) };
        let found = Diagnostic::error(format!("the settings of `{}` are not as it wants them", self.name()));
        let found = refused.lines().fold(found, Diagnostic::note);
        let help = match refused.is_of_the_whole() {
            true => "give its settings with `-s KEY=VALUE`, or take those of hub.toml with `--like NAME`".to_owned(),
            false => format!("`confab plugin inspect {}` lists its settings", self.file.display()),
        };
        Err(found.help(help).into())
    }

    /// What the plugin's schema does not allow of these settings.
    pub fn refused(&self, settings: &toml::Table) -> Option<SettingsRefused> {
        check_settings_against(self.embedded.schema.as_ref()?, settings).err()
    }
}

impl With {
    /// What other servers answer.
    pub(super) fn answers(&self) -> Result<Vec<Recorded>, Failure> {
        Ok(self.answers.as_deref().map(read_answers).transpose()?.unwrap_or_default())
    }
}

/// What hub.toml says to grant a capability; of `http`, one origin that nobody has.
pub(super) fn grant(capability: &str) -> toml::Value {
    match capability {
        "http" => vec!["https://host.example"].into(),
        _ => true.into(),
    }
}
