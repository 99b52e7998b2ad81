//! From hub.toml to a chain: every plugin loaded and tried once, every rule read. Nothing of it is used until all of it is
//! ready, so a reload either succeeds or changes nothing.

use super::cache::Cache;
use super::chain::{Chain, Member, Rule};
use super::engine::Engine;
use super::module::{self, LoadError, Module};
use super::pool::{self, Pool};
use super::{Fault, Observer};
use confab_config::{ChainRule, Config, Isolation, Patterns, PluginConfig};
use confab_protocol::Body;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a client's body must pass; the text says why it does not.
pub type Check = dyn Fn(&Body) -> Result<(), String> + Send + Sync;

/// Why no chain can be made of hub.toml.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// WebAssembly does not work here at all.
    #[error("could not set up the WebAssembly engine")]
    Engine(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A chain names a plugin that is not there.
    #[error("chain {chain} uses plugin `{plugin}`, but there is no table [plugin.{plugin}]")]
    UnknownPlugin {
        /// Which `[[chain]]` of the file, counted from 1.
        chain: usize,
        /// The plugin's name.
        plugin: String,
    },
    /// A chain's patterns cannot be read.
    #[error("chain {chain}: {why}")]
    Patterns {
        /// Which `[[chain]]` of the file, counted from 1.
        chain: usize,
        /// What is wrong.
        why: String,
    },
    /// A module cannot be used.
    #[error("cannot load plugin `{plugin}` from {}", file.display())]
    Module {
        /// The plugin's name.
        plugin: String,
        /// Its file.
        file: PathBuf,
        /// Why.
        #[source]
        source: module::Error,
    },
    /// A plugin does not start, or does not accept its settings.
    #[error("plugin `{plugin}` from {} does not start", file.display())]
    Start {
        /// The plugin's name.
        plugin: String,
        /// Its file.
        file: PathBuf,
        /// How it failed.
        #[source]
        source: Fault,
    },
}

impl Chain {
    /// Loads every plugin that hub.toml names and tries each once. Paths are relative to `base_dir`; `check` is what a
    /// client's body must pass, and so must everything that a plugin says in JSON. Returns the chain and warnings for the
    /// operator.
    pub async fn build(
        config: &Config,
        base_dir: &Path,
        check: Arc<Check>,
        observer: Arc<dyn Observer>,
    ) -> Result<(Self, Vec<String>), Error> {
        // What costs nothing to check comes first.
        for (index, rule) in config.chain.iter().enumerate() {
            if let Some(step) = rule.plugins.iter().find(|step| !config.plugin.contains_key(step.name())) {
                return Err(Error::UnknownPlugin { chain: index + 1, plugin: step.name().into() });
            }
        }
        let patterns =
            config.chain.iter().enumerate().map(|(index, rule)| {
                Patterns::new(&rule.rooms).map_err(|why| Error::Patterns { chain: index + 1, why })
            });
        let patterns = patterns.collect::<Result<Vec<_>, _>>()?;
        let mut warnings = unused(config);
        let members = load_all(config, base_dir, &observer, &mut warnings).await?;
        let rules = config.chain.iter().zip(patterns).map(|(rule, patterns)| read_rule(rule, patterns, &members));
        let rules = rules.collect();
        Ok((Self::new(version(config, &members), rules, check, observer), warnings))
    }
}

async fn load_all(
    config: &Config,
    base_dir: &Path,
    observer: &Arc<dyn Observer>,
    warnings: &mut Vec<String>,
) -> Result<BTreeMap<String, Arc<Member>>, Error> {
    let mut members = BTreeMap::new();
    if config.plugin.is_empty() {
        return Ok(members);
    }
    // One more for each plugin than may run: the one that is about to take another's place.
    let instances = config.plugin.len() * (pool::places() + 1);
    let engine = Engine::new(instances).map_err(|error| Error::Engine(error.into()))?;
    let cache =
        Cache::open(config.plugin_cache.clone().map(|folder| base_dir.join(folder)).or_else(users_cache).as_deref());
    for (name, settings) in &config.plugin {
        let member = load(name, settings, base_dir, &engine, &cache, observer, warnings).await?;
        members.insert(name.clone(), Arc::new(member));
    }
    Ok(members)
}

async fn load(
    name: &str,
    config: &PluginConfig,
    base_dir: &Path,
    engine: &Engine,
    cache: &Cache,
    observer: &Arc<dyn Observer>,
    warnings: &mut Vec<String>,
) -> Result<Member, Error> {
    let file = base_dir.join(&config.module);
    let job = (name.to_owned(), file.clone(), config.clone(), engine.clone(), cache.clone());
    // Compiling takes a processor for tens of milliseconds: not on a thread that serves sessions.
    let runtime = tokio::runtime::Handle::current();
    let loading =
        tokio::task::spawn_blocking(move || runtime.block_on(Module::load(&job.0, &job.1, &job.2, job.3, &job.4)));
    let module = loading.await.expect("loading a module does not panic").map_err(|error| match error {
        LoadError::Module(source) => Error::Module { plugin: name.into(), file: file.clone(), source },
        LoadError::Start(source) => Error::Start { plugin: name.into(), file: file.clone(), source },
    })?;
    let opened = Pool::open(module, config.isolation, Arc::clone(observer)).await;
    let (pool, took) = opened.map_err(|source| Error::Start { plugin: name.into(), file, source })?;
    if config.isolation == Isolation::Message && took > config.timeout / 2 {
        warnings.push(format!(
            "plugin `{name}` took {took:?} to start, and starts for every message within its timeout of {:?}: \
             raise `timeout`, or set `isolation = \"worker\"`",
            config.timeout
        ));
    }
    Ok(Member { name: name.into(), pool, on_fault: config.on_fault })
}

/// Where compiled plugins are kept unless hub.toml says otherwise: the user's own folder for such things.
fn users_cache() -> Option<PathBuf> {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")))?;
    Some(base.join("confab/plugins"))
}

fn read_rule(rule: &ChainRule, patterns: Patterns, members: &BTreeMap<String, Arc<Member>>) -> Rule {
    let steps = rule.plugins.iter().map(|step| (Arc::clone(&members[step.name()]), step.shadow()));
    Rule { patterns, rooms: rule.rooms.clone(), on: rule.on.clone(), steps: steps.collect() }
}

/// A warning for each plugin that no chain uses.
fn unused(config: &Config) -> Vec<String> {
    let used: BTreeSet<&str> = config.chain.iter().flat_map(|rule| &rule.plugins).map(|step| step.name()).collect();
    let idle = config.plugin.keys().filter(|name| !used.contains(name.as_str()));
    idle.map(|name| format!("plugin `{name}` is in no chain: it judges nothing")).collect()
}

/// A digest of all that decides how this chain judges: rules, order, settings, limits and the modules themselves.
fn version(config: &Config, members: &BTreeMap<String, Arc<Member>>) -> String {
    let mut plugins = config.plugin.clone();
    for (name, plugin) in &mut plugins {
        // Where the file lies does not matter, what is in it does.
        plugin.module = PathBuf::new();
        plugin.blake3 = Some(members[name].pool.module().hash.clone());
    }
    let text = serde_json::to_string(&(&config.chain, plugins)).expect("settings have a JSON form");
    blake3::hash(text.as_bytes()).to_hex()[..16].to_owned()
}
