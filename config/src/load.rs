//! The loader: default, then file, then environment, then flags; the later wins.

use crate::diagnostic::{Diagnostic, Diagnostics, Severity};
use crate::document::Document;
use crate::origin::{Origin, Sources};
use crate::path::Path as Place;
use crate::problem::Problem;
use crate::schema;
use crate::settings::Config;
use crate::suggest::nearest;
use crate::{environment, structure};
use std::path::{Path, PathBuf};

/// The file that is read when none is named, if it stands in the working directory.
pub const FILE: &str = "hub.toml";

/// Settings that can be given as they are or as the name of a file that holds them.
const TWINS: [(&str, &str); 5] = [
    ("admin_token", "admin_token_file"),
    ("auth.hmac_secret", "auth.hmac_secret_file"),
    ("auth.hmac_secret_previous", "auth.hmac_secret_previous_file"),
    ("timeline.redis.url", "timeline.redis.url_file"),
    ("store.postgres.url", "store.postgres.url_file"),
];

/// The settings in force, and what is known about them.
#[derive(Debug)]
pub struct Loaded {
    /// The settings. Paths from the file are absolute: they were relative to the file's folder.
    pub config: Config,
    /// Where every value came from.
    pub sources: Sources,
    /// What works, and is hardly what was meant.
    pub warnings: Vec<Diagnostic>,
    /// The folder of the file, or the working directory where there is none.
    pub base_dir: PathBuf,
    /// The file, if one was read.
    pub file: Option<PathBuf>,
    /// How they were read, to read them again.
    pub recipe: Recipe,
}

/// What settings are read from: a file, the environment and flags, as they were when the process started.
#[derive(Clone)]
pub struct Recipe {
    path: Option<PathBuf>,
    env: Vec<(String, String)>,
    flags: Vec<(String, toml::Value)>,
}

impl Recipe {
    /// Reads the settings again: the file as it is now, under the same environment and flags.
    ///
    /// # Errors
    /// Everything that is wrong with them, as [`load`].
    pub fn load(&self) -> Result<Loaded, Diagnostics> {
        load(self.path.as_deref(), self.env.iter().cloned(), self.flags.clone())
    }
}

// Environment and flags may hold secrets.
impl std::fmt::Debug for Recipe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recipe").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Reads the settings: the file at `path` (else the one that `CONFAB_CONFIG` names, else `./hub.toml` if it exists),
/// then the variables of `env` that begin with `CONFAB_`, then the flags (a setting's path and its value). All mistakes
/// that can be found are returned together, in the order of the file.
pub fn load(
    path: Option<&Path>,
    env: impl Iterator<Item = (String, String)>,
    flags: Vec<(String, toml::Value)>,
) -> Result<Loaded, Diagnostics> {
    let env: Vec<(String, String)> = env.filter(|(name, _)| name.starts_with(environment::PREFIX)).collect();
    let recipe = Recipe { path: path.map(Path::to_owned), env: env.clone(), flags: flags.clone() };
    let file = file_of(path, &env);
    let (document, table) = match &file {
        Some(path) => read_file(path).map(|(document, table)| (Some(document), table))?,
        None => (None, toml::Table::new()),
    };
    assemble(document, table, recipe, file)
}

/// Reads only the settings at the top that have these names. `broken_file`: a file that is no TOML is as good as none.
pub(crate) fn load_only(
    names: &[&str],
    path: Option<&Path>,
    mut env: Vec<(String, String)>,
    mut flags: Vec<(String, toml::Value)>,
    broken_file: bool,
) -> Option<Loaded> {
    let file = file_of(path, &env);
    let mut table = match file.as_deref().map(read_file) {
        Some(Ok((_, table))) => table,
        Some(Err(_)) if !broken_file => return None,
        Some(Err(_)) | None => toml::Table::new(),
    };
    table.retain(|name, _| names.contains(&name));
    env.retain(|(variable, _)| names.iter().any(|name| *variable == environment::name_of(&[name])));
    flags.retain(|(setting, _)| names.contains(&setting.as_str()));
    let recipe = Recipe { path: path.map(Path::to_owned), env, flags };
    assemble(None, table, recipe, file).ok()
}

/// The file that is read.
fn file_of(path: Option<&Path>, env: &[(String, String)]) -> Option<PathBuf> {
    let named = env.iter().find(|(name, value)| name == "CONFAB_CONFIG" && !value.is_empty());
    match (path, named) {
        (Some(path), _) => Some(path.to_owned()),
        (None, Some((_, path))) => Some(PathBuf::from(path)),
        (None, None) => Some(PathBuf::from(FILE)).filter(|path| path.exists()),
    }
}

/// Reads settings from a text, as if it were the only thing that says any.
///
/// # Errors
/// Everything that is wrong with them, as [`load`].
pub fn load_text(name: &str, text: &str) -> Result<Loaded, Diagnostics> {
    let (document, table) = Document::parse(name, text).map_err(Diagnostic::from)?;
    let recipe = Recipe { path: None, env: Vec::new(), flags: Vec::new() };
    assemble(Some(document), table, recipe, Some(PathBuf::from(name)))
}

fn assemble(
    document: Option<Document>,
    mut table: toml::Table,
    recipe: Recipe,
    file: Option<PathBuf>,
) -> Result<Loaded, Diagnostics> {
    let Recipe { env, flags, .. } = recipe.clone();
    let mut sources = Sources { document, overrides: Vec::new() };
    let (found, mut errors) = environment::read(env.into_iter(), &table);
    let variables = found.into_iter().map(|found| (found.path, found.value, Origin::Environment { name: found.name }));
    overlay(&mut table, &mut sources, variables.collect());
    let mut known = Vec::new();
    for (text, value) in flags {
        match flag(&text) {
            Ok(path) => known.push((path, value, Origin::Flag)),
            Err(error) => errors.push(*error),
        }
    }
    overlay(&mut table, &mut sources, known);

    let structure = structure::read(table);
    // Where a default stands for something that could not be read, there is nothing to be said about it.
    let is_sound = |problem: &Problem| {
        !structure.unreadable.iter().any(|unreadable| {
            unreadable.touches(&problem.path) || problem.rests_on.iter().any(|path| unreadable.covers(path))
        })
    };
    let sound = structure.config.validate().into_iter().filter(is_sound);
    let problems: Vec<Problem> = structure.problems.into_iter().chain(sound).collect();
    let all = errors.into_iter().chain(problems.into_iter().map(|problem| sources.place(problem)));
    let all = Diagnostics(all.collect()).sorted();
    if all.errors() > 0 {
        return Err(all);
    }
    let base_dir = base_dir(file.as_deref());
    let mut loaded = Loaded { config: structure.config, sources, warnings: all.0, base_dir, file, recipe };
    loaded.resolve_paths();
    Ok(loaded)
}

/// The environment of this process, without variables that are no text.
pub fn process_environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

impl Loaded {
    /// Gives problems that were found elsewhere (a module that does not compile, say) their place in the file.
    pub fn place(&self, problems: impl IntoIterator<Item = Problem>) -> Diagnostics {
        Diagnostics(problems.into_iter().map(|problem| self.sources.place(problem)).collect()).sorted()
    }

    /// What only a process that serves clients needs: somebody can connect, secrets can be read, and the plugins' files
    /// stand where they should. Reads files.
    pub fn check_serving(&self) -> Diagnostics {
        let found = self.place(crate::check::serving(&self.config));
        if self.file.is_some() {
            return found;
        }
        let advice = "there is no hub.toml here: `confab config default > hub.toml` writes one with every default";
        let advise = |found: Diagnostic| if found.severity() == Severity::Error { found.help(advice) } else { found };
        Diagnostics(found.0.into_iter().map(advise).collect())
    }

    /// Paths of the file are relative to its folder; those from elsewhere to the working directory, as in any shell.
    fn resolve_paths(&mut self) {
        let base = &self.base_dir;
        let sources = &self.sources;
        let resolve = |place: Place, path: &mut PathBuf| {
            if !matches!(sources.of(&place), Origin::Environment { .. } | Origin::Flag) && !path.as_os_str().is_empty()
            {
                *path = base.join(&*path);
            }
        };
        let config = &mut self.config;
        if self.file.is_none() {
            return;
        }
        resolve(Place::of("data"), &mut config.data);
        config.admin_token_file.iter_mut().for_each(|path| resolve(Place::of("admin_token_file"), path));
        let auth = &mut config.auth;
        auth.hmac_secret_file.iter_mut().for_each(|path| resolve(Place::of("auth.hmac_secret_file"), path));
        let previous = Place::of("auth.hmac_secret_previous_file");
        auth.hmac_secret_previous_file.iter_mut().for_each(|path| resolve(previous.clone(), path));
        auth.jwks_ca_file.iter_mut().for_each(|path| resolve(Place::of("auth.jwks_ca_file"), path));
        for (at, path) in auth.public_key_files.iter_mut().enumerate() {
            resolve(Place::of("auth.public_key_files").index(at), path);
        }
        if let Some(redis) = &mut config.timeline.redis {
            redis.url_file.iter_mut().for_each(|path| resolve(Place::of("timeline.redis.url_file"), path));
            redis.ca_file.iter_mut().for_each(|path| resolve(Place::of("timeline.redis.ca_file"), path));
        }
        if let Some(postgres) = &mut config.store.postgres {
            postgres.url_file.iter_mut().for_each(|path| resolve(Place::of("store.postgres.url_file"), path));
            postgres.ca_file.iter_mut().for_each(|path| resolve(Place::of("store.postgres.ca_file"), path));
        }
        for (name, plugin) in &mut config.plugin {
            resolve(Place::of("plugin").key(name.as_str()).key("module"), &mut plugin.module);
        }
    }
}

fn base_dir(file: Option<&Path>) -> PathBuf {
    let folder = file.and_then(Path::parent).unwrap_or(Path::new("")).to_owned();
    // Only an empty path, or a working directory that is gone, has no absolute form.
    std::path::absolute(if folder.as_os_str().is_empty() { Path::new(".") } else { &folder }).unwrap_or(folder)
}

fn read_file(path: &Path) -> Result<(Document, toml::Table), Diagnostics> {
    let shown = path.display().to_string();
    let text = match std::fs::read(path).map(String::from_utf8) {
        Ok(Ok(text)) => text,
        Ok(Err(_)) => return Err(Diagnostic::error(format!("{shown} is not UTF-8 text")).into()),
        Err(error) => {
            let found = Diagnostic::error(format!("could not read {shown}")).note(error.to_string());
            return Err(match error.kind() {
                std::io::ErrorKind::NotFound => {
                    found.help(format!("`confab config default > {shown}` writes one with every default"))
                }
                _ => found,
            }
            .into());
        }
    };
    Document::parse(&shown, &text).map_err(|error| Diagnostic::from(error).into())
}

/// Sets values over those of the table. A secret set here replaces the file's, in whichever form that was given.
fn overlay(table: &mut toml::Table, sources: &mut Sources, values: Vec<(Place, toml::Value, Origin)>) {
    let set: Vec<Place> = values.iter().map(|(path, ..)| path.clone()).collect();
    for (plain, file) in TWINS.map(|(plain, file)| (Place::of(plain), Place::of(file))) {
        match (set.contains(&plain), set.contains(&file)) {
            (true, false) => _ = file.take(table),
            (false, true) => _ = plain.take(table),
            // Both at once is for the check to refuse.
            _ => {}
        }
    }
    for (path, value, origin) in values {
        // If something else than a table stands in the way, reading the table says so.
        path.put(table, value);
        sources.overrides.push((path, origin));
    }
}

/// Reads a flag like `limits.frame=64 KiB` into the setting's path and its value. Where the setting is text, the value
/// needs no quotes; elsewhere it is read as TOML.
pub fn assignment(text: &str) -> Result<(String, toml::Value), String> {
    let (path, value) = text.split_once('=').ok_or("write it like `limits.frame=64 KiB`")?;
    let path = Place::parse(path)?;
    let kind = schema::kind(&path.keys().collect::<Vec<_>>()).unwrap_or(schema::Kind::Any);
    Ok((path.to_string(), environment::value(kind, value.trim())))
}

/// Which setting a flag means.
fn flag(text: &str) -> Result<Place, Box<Diagnostic>> {
    let path = Place::parse(text).map_err(|why| Box::new(Diagnostic::error(why)))?;
    match schema::kind(&path.keys().collect::<Vec<_>>()) {
        Some(schema::Kind::Table(_)) | None => {
            let error = Diagnostic::error(format!("`{path}` names no setting"));
            let known: Vec<String> = schema::leaves().into_iter().map(|(path, _)| path.join(".")).collect();
            let error = match nearest(&path.to_string(), known.iter().map(String::as_str)) {
                Some(near) => error.help(format!("did you mean `{near}`?")),
                None => error.help("`confab config default` lists every setting"),
            };
            Err(error.into())
        }
        Some(_) => Ok(path),
    }
}
