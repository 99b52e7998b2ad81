//! A plugin's module: its file, checked, compiled and linked to what it is granted.

use super::budget::Bounds;
use super::cache::{Cache, Entry, Key};
use super::capability::{self, Capability, Grants};
use super::contract::{PACKAGE, VERSION};
use super::guest::Guest;
use super::linked::Linked;
use super::settings::{self, Refused};
use super::{Fault, engine::Engine, snapshot, tally::Tally};
use confab_config::{Isolation, PluginConfig};
use confab_plugin_kit::embed;
use confab_plugin_kit::settings::table_to_json;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tracing::debug;
use wasmtime::component::{Component, Linker, types::ComponentItem};

/// Why a module cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file cannot be read.
    #[error("could not read the file")]
    Read(#[source] std::io::Error),
    /// It is not the file that hub.toml asks for.
    #[error("the file's BLAKE3 hash is {found}, hub.toml asks for {expected}")]
    Pin {
        /// What the file has.
        found: String,
        /// What hub.toml says.
        expected: String,
    },
    /// It is no component, or one that this hub cannot compile.
    #[error("not a WebAssembly component that this hub can run")]
    Compile(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It is a component, but not a plugin.
    #[error("a component, but not a plugin: it knows nothing of `{PACKAGE}`")]
    NotAPlugin,
    /// The schema that it carries does not allow its settings.
    #[error("{0}")]
    Settings(Refused),
    /// It was built for another contract.
    #[error("built for version {found} of `{PACKAGE}`, this hub speaks {}.0 to {}.{}", VERSION.0, VERSION.0, VERSION.1)]
    Version {
        /// What it was built for.
        found: String,
    },
    /// It wants capabilities that hub.toml does not grant.
    #[error(
        "it imports {interfaces}, not granted: if it should have that, write `{line}` under [plugin.{plugin}] in hub.toml"
    )]
    NotGranted {
        /// The plugin's name.
        plugin: String,
        /// The interfaces.
        interfaces: String,
        /// The line of hub.toml that grants them, beside what is granted now.
        line: String,
    },
    /// It wants something that no plugin can have.
    #[error("it imports `{0}`, which this hub gives to no plugin")]
    UnknownImport(String),
    /// What travels in it, its manifest or the schema of its settings, is not what any plugin may bring along.
    #[error("{0}")]
    Embedded(String),
    /// It does not export what the contract asks for.
    #[error("its exports are not those of the contract")]
    Exports(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Why a plugin cannot be loaded.
#[derive(Debug)]
pub enum LoadError {
    /// Its module cannot be used.
    Module(Error),
    /// It does not start, or does not accept its settings.
    Start(Fault),
}

impl From<Error> for LoadError {
    fn from(error: Error) -> Self {
        Self::Module(error)
    }
}

/// A module, ready to be instantiated.
pub struct Module {
    /// The plugin's name in hub.toml.
    pub name: Arc<str>,
    /// The BLAKE3 hash of the file.
    pub hash: String,
    /// The component, compiled and linked.
    pub linked: Linked,
    /// Its instances start configured: it is a snapshot of one that was.
    pub configured: bool,
    /// The engine it was compiled for.
    pub engine: Engine,
    /// Its settings, as JSON.
    pub settings: String,
    /// How much one instance may take, and say.
    pub bounds: Bounds,
    /// What it may ask the host for.
    pub grants: Grants,
    /// How many of its calls may wait for others, beside those that work.
    pub waiting: usize,
    /// The longest a call may take.
    pub timeout: Duration,
    /// What it did so far.
    pub tally: Arc<Tally>,
}

impl Module {
    /// Reads, checks, compiles and links a module; where that pays, it becomes a snapshot of a configured instance first. Takes
    /// tens of milliseconds of a processor, or a few seconds for a scripting language, unless the cache
    /// knows it.
    pub async fn load(
        name: &str,
        file: &Path,
        config: &PluginConfig,
        engine: Engine,
        cache: &Cache,
        grants: Grants,
    ) -> Result<Self, LoadError> {
        let bytes = std::fs::read(file).map_err(Error::Read)?;
        let hash = blake3::hash(&bytes).to_hex().to_string();
        match &config.blake3 {
            Some(expected) if !expected.eq_ignore_ascii_case(&hash) => {
                return Err(Error::Pin { found: hash, expected: expected.clone() }.into());
            }
            _ => {}
        }
        // In a trial it is the plugin's own word on them that is wanted; whoever tries it looks at the schema.
        if !grants.is_trial() {
            settings::check(&bytes, &config.settings).map_err(Error::Settings)?;
        }
        let name = Arc::<str>::from(name);
        let settings = table_to_json(&config.settings).to_string();
        let pictured = is_pictured(config, bytes.len());
        let key = Key::new(&hash, pictured.then_some((&*settings, config.memory.bytes())), &engine);
        let entry = match cache.get(&key, &engine) {
            Some(entry) => entry,
            None => {
                let entry = compile(&bytes, &name, &settings, config, &engine).await?;
                cache.put(&key, &entry);
                entry
            }
        };
        // The text form, which is for tests, has no manifest that anybody reads.
        if bytes.starts_with(b"\0asm") {
            embed::read(&bytes).map_err(|why| Error::Embedded(why.0))?;
        }
        check_imports(&entry.component, engine.wasmtime(), &name, config)?;
        let mut linker = Linker::new(engine.wasmtime());
        let linked = capability::link(&mut linker, &config.capabilities, Guest::host)
            .and_then(|()| linker.instantiate_pre(&entry.component))
            .and_then(Linked::new);
        Ok(Self {
            name,
            hash,
            linked: linked.map_err(|error| Error::Exports(error.into()))?,
            configured: entry.configured,
            engine,
            settings,
            bounds: bounds(config),
            grants,
            waiting: Grants::waiting_max(&config.capabilities),
            timeout: config.timeout,
            tally: Arc::default(),
        })
    }
}

/// The bounds that hub.toml sets for each instance.
pub fn bounds(config: &PluginConfig) -> Bounds {
    let output = config.output.bytes();
    let handed = output.max(Grants::arguments_max(&config.capabilities));
    Bounds { memory: config.memory.bytes(), output, handed }
}

/// The largest component that is made a snapshot although its instances live on. For a plugin in Rust that takes milliseconds,
/// and its instances share what they only read; for a scripting language's runtime it takes seconds.
const PICTURE_BYTES_MAX: usize = 4 << 20;

/// Whether instances start from a snapshot of a configured one: where every message gets an instance of its own, and where a
/// snapshot is cheap.
fn is_pictured(config: &PluginConfig, bytes: usize) -> bool {
    config.isolation == Isolation::Message || bytes <= PICTURE_BYTES_MAX
}

/// Compiles a component, into one whose instances start configured where that pays and can be.
async fn compile(
    bytes: &[u8],
    name: &Arc<str>,
    settings: &str,
    config: &PluginConfig,
    engine: &Engine,
) -> Result<Entry, LoadError> {
    let compiled = |bytes: &[u8], configured| {
        let component = Component::new(engine.wasmtime(), bytes).map_err(|error| Error::Compile(error.into()))?;
        Ok(Entry { component, configured })
    };
    if !is_pictured(config, bytes.len()) {
        return compiled(bytes, false);
    }
    match snapshot::take(bytes, name, settings, config, &snapshot_engine(bytes.len(), engine)).await {
        Ok(snapshot) => compiled(&snapshot, true),
        Err(snapshot::Error::Module(error)) => Err(error.into()),
        Err(snapshot::Error::Fault(fault)) => Err(LoadError::Start(fault)),
        Err(snapshot::Error::Unsuitable(why)) => {
            // What is no component at all is told so here.
            let entry = compiled(bytes, false)?;
            debug!(plugin = &**name, why, "no snapshot can be taken of a configured instance: each is configured");
            Ok(entry)
        }
    }
}

/// The engine that a plugin runs on for its snapshot. It runs once, so code that is quickly compiled will do; a scripting
/// language's runtime does so much when it starts that it needs better code to be in time.
fn snapshot_engine(bytes: usize, engine: &Engine) -> Engine {
    let draft = (bytes <= PICTURE_BYTES_MAX).then(Engine::for_drafts).and_then(Result::ok);
    draft.unwrap_or_else(|| engine.clone())
}

/// Refuses a component of another contract, and one that wants what it may not have.
pub fn check_imports(
    component: &Component,
    engine: &wasmtime::Engine,
    name: &str,
    config: &PluginConfig,
) -> Result<(), Error> {
    let ty = component.component_type();
    let names: Vec<&str> = ty.imports(engine).map(|(name, _)| name).chain(ty.exports(engine).map(|(n, _)| n)).collect();
    let ours = |name: &str| Some(name.strip_prefix(PACKAGE)?.strip_prefix('/')?.to_owned());
    let mut versions = names.iter().filter_map(|name| ours(name)).peekable();
    if versions.peek().is_none() {
        return Err(Error::NotAPlugin);
    }
    for import in versions {
        let version = import.split_once('@').map_or("none", |(_, version)| version);
        if !speaks(version) {
            return Err(Error::Version { found: version.into() });
        }
    }
    let mut missing = Vec::new();
    let mut interfaces = Vec::new();
    for (import, item) in ty.imports(engine) {
        let interface = ours(import).and_then(|rest| rest.split('@').next().map(str::to_owned));
        if interface.as_deref() == Some("types") {
            continue;
        }
        match interface.as_deref().and_then(Capability::of) {
            Some(capability) if capability.is_in(&config.capabilities) => {}
            // To know an interface's words is to ask for nothing.
            Some(_) if only_types(&item.ty, engine) => {}
            Some(capability) => {
                missing.push(capability);
                interfaces.push(format!("`{import}`"));
            }
            None => return Err(Error::UnknownImport(import.escape_debug().to_string())),
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let interfaces = interfaces.join(", ");
    let line = capability::line(&config.capabilities, &missing);
    Err(Error::NotGranted { plugin: name.into(), interfaces, line })
}

/// Whether nothing of an interface is imported but its types.
fn only_types(item: &ComponentItem, engine: &wasmtime::Engine) -> bool {
    let ComponentItem::ComponentInstance(interface) = item else { return false };
    let mut exports = interface.exports(engine);
    exports.all(|(_, item)| matches!(item.ty, ComponentItem::Type(_)))
}

/// Whether a contract's version is one that this hub speaks: the same major number, and no newer minor one.
fn speaks(version: &str) -> bool {
    let mut numbers = version.split('.').map(|number| number.parse::<u64>().ok());
    matches!((numbers.next(), numbers.next()), (Some(Some(major)), Some(Some(minor)))
        if major == VERSION.0 && minor <= VERSION.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_minor_version_and_any_other_major_one_are_another_contract() {
        assert!(speaks("1.0.0") && speaks("1.0.9"));
        assert!(!speaks("1.1.0") && !speaks("2.0.0") && !speaks("0.1.0") && !speaks("none"));
    }
}
