//! From hub.toml to a chain: every plugin loaded and tried once, every rule read. Nothing of it is used until all of it is
//! ready, so a reload either succeeds or changes nothing.

use super::breaker::Breaker;
use super::cache::Cache;
use super::capability::{EmitRules, Grants};
use super::chain::{Chain, ChainStep, Member, Members, Rule};
use super::engine::Engine;
use super::module::{self, LoadError, Module};
use super::pool::{self, Pool};
use super::{FakeHost, Fault, Observer};
use crate::kv::Kv;
use crate::log_limit::LogLimit;
use confab_config::{ChainRule, Config, Isolation, OnFault, Patterns, PluginConfig};
use confab_protocol::Body;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use std::collections::BTreeSet;
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
    /// client's body must pass, and so must everything that a plugin says in JSON; `kv` is where plugins remember. Returns the
    /// chain and warnings for the operator.
    pub async fn build(
        config: &Config,
        base_dir: &Path,
        check: Arc<Check>,
        observer: Arc<dyn Observer>,
        kv: &Kv,
    ) -> Result<(Self, Vec<String>), Error> {
        let outside = Outside { kv, fake: None };
        assemble(config, base_dir, check, observer, outside, &Members::new()).await
    }

    /// The same for a trial: what its plugins do reaches nothing but the fake host.
    pub async fn build_on(
        fake: &Arc<FakeHost>,
        config: &Config,
        base_dir: &Path,
        check: Arc<Check>,
        observer: Arc<dyn Observer>,
    ) -> Result<(Self, Vec<String>), Error> {
        let outside = Outside { kv: fake.kv(), fake: Some(fake) };
        assemble(config, base_dir, check, observer, outside, &Members::new()).await
    }

    /// Builds the chain that takes this one's place, beside it. Plugins whose module, settings and limits are the same are
    /// handed on with their instances; all others are loaded and tried like at the start.
    pub async fn rebuild(&self, config: &Config, base_dir: &Path) -> Result<(Self, Vec<String>), Error> {
        let check = Arc::clone(&self.check);
        let observer = Arc::clone(&self.observer);
        assemble(config, base_dir, check, observer, Outside { kv: &self.kv, fake: None }, &self.members).await
    }

    /// Which plugins are others than in `old`.
    pub fn changes_since(&self, old: &Self) -> Changes {
        let mut changes = Changes::default();
        for (name, member) in &self.members {
            let list = match old.members.get(name) {
                None => &mut changes.added,
                Some(before) if Arc::ptr_eq(before, member) => &mut changes.kept,
                Some(_) => &mut changes.changed,
            };
            list.push(name.clone());
        }
        changes.removed = old.members.keys().filter(|name| !self.members.contains_key(*name)).cloned().collect();
        changes
    }
}

/// What a reload does to the plugins, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Changes {
    /// Were not there before.
    pub added: Vec<String>,
    /// Have another module, other settings or other limits.
    pub changed: Vec<String>,
    /// Are gone.
    pub removed: Vec<String>,
    /// Go on as they are, with their instances.
    pub kept: Vec<String>,
}

/// What is outside of a chain.
#[derive(Clone, Copy)]
struct Outside<'a> {
    /// Where plugins remember.
    kv: &'a Kv,
    /// What stands for the rest of the world, in a trial.
    fake: Option<&'a Arc<FakeHost>>,
}

async fn assemble(
    config: &Config,
    base_dir: &Path,
    check: Arc<Check>,
    observer: Arc<dyn Observer>,
    outside: Outside<'_>,
    before: &Members,
) -> Result<(Chain, Vec<String>), Error> {
    // What costs nothing to check comes first.
    for (index, rule) in config.chain.iter().enumerate() {
        if let Some(step) = rule.plugins.iter().find(|step| !config.plugin.contains_key(step.name())) {
            return Err(Error::UnknownPlugin { chain: index + 1, plugin: step.name().into() });
        }
    }
    let patterns = config
        .chain
        .iter()
        .enumerate()
        .map(|(index, rule)| Patterns::new(&rule.rooms).map_err(|why| Error::Patterns { chain: index + 1, why }));
    let patterns = patterns.collect::<Result<Vec<_>, _>>()?;
    let mut warnings = unused(config);
    let members = load_all(config, base_dir, &observer, outside, &check, before, &mut warnings).await?;
    let rules = config.chain.iter().zip(patterns).map(|(rule, patterns)| read_rule(rule, patterns, &members));
    let rules = rules.collect();
    Ok((Chain::new(version(config, &members), members, rules, check, observer, outside.kv.clone()), warnings))
}

async fn load_all(
    config: &Config,
    base_dir: &Path,
    observer: &Arc<dyn Observer>,
    outside: Outside<'_>,
    check: &Arc<Check>,
    before: &Members,
    warnings: &mut Vec<String>,
) -> Result<Members, Error> {
    let mut members = Members::new();
    for (name, settings) in &config.plugin {
        if let Some(member) = unchanged(before.get(name), settings, base_dir).await {
            members.insert(name.clone(), member);
        }
    }
    if members.len() == config.plugin.len() {
        return Ok(members);
    }
    // One more for each plugin than may run: the one that is about to take another's place. What is handed on stays on
    // the engine that it was loaded for, which goes with the last plugin on it.
    let of_one = |plugin: &PluginConfig| pool::permits() + Grants::waiting_max(&plugin.capabilities) + 1;
    let fresh = config.plugin.iter().filter(|(name, _)| !members.contains_key(*name));
    let engine =
        Engine::new(fresh.map(|(_, plugin)| of_one(plugin)).sum()).map_err(|error| Error::Engine(error.into()))?;
    let folder = config.plugin_cache.as_ref().map(|folder| base_dir.join(folder)).or_else(users_cache);
    let cache = Cache::open(folder.as_deref());
    let emit_rules = EmitRules { check, hops_max: config.limits.plugin_hops };
    let with = Surroundings { base_dir, engine: &engine, cache: &cache, observer, outside, emit_rules };
    // Only a part of compiling is spread over processors: while one plugin is read, another is optimised.
    let fresh = config.plugin.iter().filter(|(name, _)| !members.contains_key(*name));
    let loading: Vec<_> = fresh.map(|(name, settings)| load(name, settings, &with)).collect();
    let at_once = std::thread::available_parallelism().map_or(1, usize::from);
    let loaded: Vec<_> = stream::iter(loading).buffered(at_once).try_collect().await?;
    for (member, warning) in loaded {
        warnings.extend(warning);
        members.insert(member.name.clone(), Arc::new(member));
    }
    Ok(members)
}

/// The plugin as it was, if nothing about it has changed.
async fn unchanged(before: Option<&Arc<Member>>, config: &PluginConfig, base_dir: &Path) -> Option<Arc<Member>> {
    let before = before?;
    let hash = before.pool.module().hash.clone();
    let pinned = config.blake3.as_ref().is_none_or(|pin| pin.eq_ignore_ascii_case(&hash));
    if !pinned || terms(config, hash.clone()) != before.terms {
        return None;
    }
    let bytes = tokio::fs::read(base_dir.join(&config.module)).await.ok()?;
    (blake3::hash(&bytes).to_hex().as_str() == hash).then(|| Arc::clone(before))
}

/// Where the file lies does not matter, what is in it does.
fn terms(config: &PluginConfig, hash: String) -> PluginConfig {
    PluginConfig { module: PathBuf::new(), blake3: Some(hash), ..config.clone() }
}

/// What every plugin of a chain is loaded with.
struct Surroundings<'a> {
    base_dir: &'a Path,
    engine: &'a Engine,
    cache: &'a Cache,
    observer: &'a Arc<dyn Observer>,
    outside: Outside<'a>,
    emit_rules: EmitRules<'a>,
}

/// Loads one plugin, and perhaps has a warning for the operator.
async fn load(name: &str, config: &PluginConfig, with: &Surroundings<'_>) -> Result<(Member, Option<String>), Error> {
    let file = with.base_dir.join(&config.module);
    let job = (name.to_owned(), file.clone(), config.clone(), with.engine.clone(), with.cache.clone());
    let kv = with.outside.kv;
    let fake = with.outside.fake;
    let grants = Grants::new(name, &config.capabilities, kv, &with.emit_rules, fake);
    // Compiling takes a processor for tens of milliseconds: not on a thread that serves sessions.
    let runtime = tokio::runtime::Handle::current();
    let loading = tokio::task::spawn_blocking(move || {
        runtime.block_on(Module::load(&job.0, &job.1, &job.2, job.3, &job.4, grants))
    });
    let module = loading.await.expect("loading a module does not panic").map_err(|error| match error {
        LoadError::Module(source) => Error::Module { plugin: name.into(), file: file.clone(), source },
        LoadError::Start(source) => Error::Start { plugin: name.into(), file: file.clone(), source },
    })?;
    let terms = terms(config, module.hash.clone());
    let opened = Pool::open(module, config.isolation, Arc::clone(with.observer)).await;
    let (pool, took) = opened.map_err(|source| Error::Start { plugin: name.into(), file, source })?;
    let slow = config.isolation == Isolation::Message && took > config.timeout / 2;
    let warning = slow.then(|| {
        format!(
            "plugin `{name}` took {took:?} to start, and starts for every message within its timeout of {:?}: \
             raise `timeout`, or set `isolation = \"worker\"`",
            config.timeout
        )
    });
    let breaker = Breaker::new(config.breaker.clone(), config.on_fault != OnFault::Pass);
    let member =
        Member { name: name.into(), pool, on_fault: config.on_fault, terms, breaker, log_limit: LogLimit::default() };
    Ok((member, warning))
}

/// Where compiled plugins are kept unless hub.toml says otherwise: the user's own folder for such things.
fn users_cache() -> Option<PathBuf> {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")))?;
    Some(base.join("confab/plugins"))
}

fn read_rule(rule: &ChainRule, patterns: Patterns, members: &Members) -> Rule {
    let steps = rule.plugins.iter().map(|step| ChainStep {
        member: Arc::clone(&members[step.name()]),
        shadow: step.shadow(),
        sample: step.sample(),
    });
    Rule { patterns, rooms: rule.rooms.clone(), on: rule.on.clone(), steps: steps.collect() }
}

/// A warning for each plugin that no chain uses.
fn unused(config: &Config) -> Vec<String> {
    let used: BTreeSet<&str> = config.chain.iter().flat_map(|rule| &rule.plugins).map(|step| step.name()).collect();
    let idle = config.plugin.keys().filter(|name| !used.contains(name.as_str()));
    idle.map(|name| format!("plugin `{name}` is in no chain: it judges nothing")).collect()
}

/// A digest of all that decides how this chain judges: rules, order, settings, limits and the modules themselves.
fn version(config: &Config, members: &Members) -> String {
    let terms: Vec<_> = members.iter().map(|(name, member)| (name, &member.terms)).collect();
    let text = serde_json::to_string(&(&config.chain, terms)).expect("settings have a JSON form");
    blake3::hash(text.as_bytes()).to_hex()[..16].to_owned()
}
