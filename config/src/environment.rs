//! Settings from the environment: `CONFAB_` and the path, `__` between its keys, `-` and `.` written as `_`.

mod service;

use crate::diagnostic::Diagnostic;
use crate::path::Path;
use crate::schema::{self, ANY_KEY, ELEMENT, Kind};
use crate::suggest::nearest;

/// What every name of ours begins with.
pub const PREFIX: &str = "CONFAB_";

/// Names with our prefix that are no settings: the name (a `*` at its end stands for any rest), and what it is for.
pub const RESERVED: &[(&str, &str)] = &[
    (
        "CONFAB_ADMIN_URL",
        "The admin API of the hub that operators' verbs ask, such as `confab ban` and `confab history`.",
    ),
    ("CONFAB_CONFIG", "The path of hub.toml, where no `--config` is given."),
    ("CONFAB_LOG", "Which log lines are written, such as `info` or `info,confab_hub::session=debug`."),
    ("CONFAB_BENCH_*", "Benchmarks: where their peers are."),
    ("CONFAB_BLESS", "Tests: write the expected files anew."),
    ("CONFAB_FAILPOINT*", "Tests: where a process should fail."),
    ("CONFAB_TEST_*", "Tests: where the services are."),
    ("CONFAB_WASM*", "Tests: where the built plugins are."),
];

/// A setting that was found in the environment.
#[derive(Debug)]
pub(crate) struct Found {
    pub name: String,
    pub path: Path,
    pub value: toml::Value,
}

/// Reads every variable that begins with our prefix. The table is what the file says: it knows the names of the plugins.
pub(crate) fn read(
    variables: impl Iterator<Item = (String, String)>,
    table: &toml::Table,
) -> (Vec<Found>, Vec<Diagnostic>) {
    let mut found = Vec::new();
    let mut errors = Vec::new();
    let mut ours: Vec<(String, String)> = variables.filter(|(name, _)| name.starts_with(PREFIX)).collect();
    ours.sort();
    let (services, ours): (Vec<_>, Vec<_>) = ours.into_iter().partition(|(name, text)| service::sets(name, text));
    for (name, text) in ours {
        if is_reserved(&name) {
            continue;
        }
        match resolve(&name, table) {
            Ok((path, kind)) => found.push(Found { value: value(kind, &text), name, path }),
            Err(error) => errors.push(*error),
        }
    }
    errors.extend(service::passed_over(&services));
    (found, errors)
}

fn is_reserved(name: &str) -> bool {
    RESERVED.iter().any(|(reserved, _)| match reserved.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == *reserved,
    })
}

/// Which setting a name means.
fn resolve(name: &str, table: &toml::Table) -> Result<(Path, Kind), Box<Diagnostic>> {
    let mut path = Path::root();
    let mut keys: Vec<String> = Vec::new();
    let mut kind = kind_at(&keys);
    for part in name[PREFIX.len()..].split("__") {
        let key = match kind {
            Some(Kind::Table(known)) => known.iter().find(|key| spelled(key) == part).map(|key| (*key).to_owned()),
            Some(Kind::Map) => known_key(&path, part, table),
            Some(Kind::List) => return Err(file_only(name, &path).into()),
            _ => None,
        };
        let Some(key) = key else { return Err(unknown(name, table).into()) };
        path = path.key(key.as_str());
        keys.push(key);
        kind = kind_at(&keys);
    }
    match kind {
        Some(Kind::List) if has_tables(&keys) => Err(file_only(name, &path).into()),
        Some(Kind::Map) if keys.len() == 1 => Err(a_table(name, table).into()),
        Some(Kind::Table(_)) | None => Err(a_table(name, table).into()),
        Some(kind) => Ok((path, kind)),
    }
}

fn kind_at(keys: &[String]) -> Option<Kind> {
    schema::kind(&keys.iter().map(String::as_str).collect::<Vec<_>>())
}

fn has_tables(keys: &[String]) -> bool {
    let mut below: Vec<&str> = keys.iter().map(String::as_str).collect();
    below.push(ELEMENT);
    matches!(schema::kind(&below), Some(Kind::Table(_)))
}

/// The key of a free table: one that the file has, or a new one. A plugin can not be new: it would have no module.
fn known_key(path: &Path, part: &str, table: &toml::Table) -> Option<String> {
    let known = path.find(table).and_then(toml::Value::as_table);
    if let Some(key) = known.into_iter().flat_map(|table| table.keys()).find(|key| spelled(key) == part) {
        return Some(key.clone());
    }
    match path.last_key() {
        Some("plugin") => None,
        // librdkafka's properties are written with dots, and none has an underscore where we could be wrong.
        Some("options") => Some(part.to_ascii_lowercase().replace('_', ".")),
        _ => Some(part.to_ascii_lowercase()),
    }
}

/// A key as it is spelled in a name.
pub(crate) fn spelled(key: &str) -> String {
    key.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}

/// The name of the setting with these keys.
pub(crate) fn name_of(keys: &[&str]) -> String {
    let spell = |key: &&str| if *key == ANY_KEY { ANY_KEY.to_ascii_uppercase() } else { spelled(key) };
    format!("{PREFIX}{}", keys.iter().map(spell).collect::<Vec<_>>().join("__"))
}

/// Every setting that the environment can give: its keys (`<name>` stands for any), and its name.
pub fn settings() -> Vec<(Vec<&'static str>, String)> {
    let leaves = schema::leaves().into_iter().filter(|(path, _)| !path.contains(&ELEMENT));
    leaves
        .map(|(path, _)| {
            let name = name_of(&path);
            (path, name)
        })
        .collect()
}

/// Every name that could be meant, given the plugins of the file.
fn names(table: &toml::Table) -> Vec<String> {
    let plugins: Vec<&str> = match table.get("plugin") {
        Some(toml::Value::Table(plugins)) => plugins.keys().map(String::as_str).collect(),
        _ => Vec::new(),
    };
    let mut names: Vec<String> = settings()
        .into_iter()
        .flat_map(|(path, _)| {
            let with = |plugin: &&str| {
                name_of(&path.iter().map(|key| if *key == ANY_KEY { plugin } else { key }).copied().collect::<Vec<_>>())
            };
            if path.contains(&ANY_KEY) { plugins.iter().map(with).collect() } else { vec![name_of(&path)] }
        })
        .collect();
    names.extend(RESERVED.iter().map(|(name, _)| (*name).to_owned()).filter(|name| !name.ends_with('*')));
    names
}

fn unknown(name: &str, table: &toml::Table) -> Diagnostic {
    let error = Diagnostic::error(format!("the environment variable `{name}` names no setting"));
    let names = names(table);
    let error = match nearest(name, names.iter().map(String::as_str)) {
        Some(near) => error.help(format!("did you mean `{near}`?")),
        None => error.help("`confab config env` lists every name"),
    };
    if name.starts_with("CONFAB_PLUGIN__") {
        error.note("a plugin's settings can be changed here only if hub.toml has a `[plugin.…]` table of that name")
    } else {
        error
    }
}

fn file_only(name: &str, path: &Path) -> Diagnostic {
    let list = path.last_key().unwrap_or_default();
    Diagnostic::error(format!(
        "the environment variable `{name}` cannot be used: `[[{list}]]` tables stand in hub.toml only"
    ))
    .note("they are a list in which the order counts, and a variable could not say where it belongs")
    .help(format!("write a `[[{list}]]` table in hub.toml"))
}

fn a_table(name: &str, table: &toml::Table) -> Diagnostic {
    let error = Diagnostic::error(format!("the environment variable `{name}` names a table, not a setting"));
    let names = names(table);
    match names.iter().find(|other| other.starts_with(&format!("{name}__"))) {
        Some(example) => error.help(format!("name one of its settings, such as `{example}`")),
        None => error.help("`confab config env` lists every name"),
    }
}

/// The text as a value. Where the setting is text, it is taken as it stands (quotes around all of it are taken off):
/// a secret of digits is no number. Elsewhere it is read as TOML, and if it is none, as text.
pub(crate) fn value(kind: Kind, text: &str) -> toml::Value {
    let parsed = toml::from_str::<toml::Table>(&format!("v = {text}"));
    // A line break in the text could add keys; then it is no single value.
    let parsed = parsed.ok().filter(|table| table.len() == 1).and_then(|mut table| table.remove("v"));
    match (kind, parsed) {
        (Kind::Text | Kind::Choice(_), Some(toml::Value::String(inner))) => inner.into(),
        (Kind::Text | Kind::Choice(_), _) | (_, None) => text.into(),
        (_, Some(value)) => value,
    }
}
