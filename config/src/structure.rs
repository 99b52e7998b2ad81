//! From a table to [`Config`], with every unknown key and every unreadable value named, not only the first.

use crate::path::{Path, Step};
use crate::problem::Problem;
use crate::secret::is_secret_key;
use crate::settings::Config;
use crate::suggest::{listed, nearest};

/// The most mistakes that are named in one pass.
const MISTAKES_MAX: usize = 50;

/// What could be read, and what could not.
pub(crate) struct Structure {
    /// The settings, with the default in place of whatever could not be read.
    pub config: Config,
    /// One for each mistake.
    pub problems: Vec<Problem>,
    /// The places that were left out.
    pub unreadable: Vec<Path>,
}

/// Reads the table. Serde stops at the first mistake; so each one found is taken out of the table and the rest is
/// read again.
pub(crate) fn read(mut table: toml::Table) -> Structure {
    let mut problems = Vec::new();
    let mut unreadable = Vec::new();
    for _ in 0..MISTAKES_MAX {
        let error = match serde_path_to_error::deserialize(toml::Value::Table(table.clone())) {
            Ok(config) => return Structure { config, problems, unreadable },
            Err(error) => error,
        };
        let path = Path::from(error.path());
        problems.push(problem(&path, error.inner().message(), &table));
        match path.take(&mut table) {
            Some(place) => unreadable.push(place),
            None => break,
        }
    }
    // Not even without them: nothing more can be said about the settings.
    unreadable.push(Path::root());
    Structure { config: Config::default(), problems, unreadable }
}

fn problem(path: &Path, message: &str, table: &toml::Table) -> Problem {
    if let Some(expected) = message.strip_prefix("unknown field ") {
        return unknown_key(path, expected);
    }
    if let Some(key) = message.strip_prefix("missing field ") {
        return Problem::error(path, format!("the table has no {key}")).label(format!("{key} is missing"));
    }
    let bad = Problem::error(path, format!("bad value for `{path}`"));
    if let Some(expected) = message.strip_prefix("unknown variant ") {
        let words = quoted(expected);
        let Some((written, words)) = words.split_first() else { return bad.label(message) };
        let bad = bad.label(format!("expected {}", listed(words.iter().copied(), "or")));
        return match nearest(written, words.iter().copied()) {
            Some(word) => bad.help(format!("did you mean `\"{word}\"`?")),
            None => bad,
        };
    }
    let mismatch = message.strip_prefix("invalid type: ").or_else(|| message.strip_prefix("invalid value: "));
    match mismatch.and_then(|text| text.split_once(", expected ")) {
        Some((found, expected)) => wrong_type(bad, path, found, expected, table),
        None => bad.label(message),
    }
}

fn unknown_key(path: &Path, expected: &str) -> Problem {
    let words = quoted(expected);
    let (written, known) = words.split_first().map_or(("", &[][..]), |(written, known)| (*written, known));
    let place = path.parent().filter(|parent| !parent.steps().is_empty());
    let place = place.map_or_else(String::new, |parent| format!(" in `{parent}`"));
    let problem =
        Problem::error(path, format!("unknown key `{written}`{place}")).at_name().label("no setting has this name");
    match nearest(written, known.iter().copied()) {
        Some(word) => problem.help(format!("did you mean `{word}`?")),
        None => problem.help(format!("the keys here are {}", listed(known.iter().copied(), "and"))),
    }
}

fn wrong_type(bad: Problem, path: &Path, found: &str, expected: &str, table: &toml::Table) -> Problem {
    let secret = path.last_key().is_some_and(is_secret_key);
    let expected = match expected {
        "a boolean" => "`true` or `false`".to_owned(),
        "a sequence" => "an array".to_owned(),
        "a map" => "a table".to_owned(),
        "path string" => "a path in quotes".to_owned(),
        "a string" => "text in quotes".to_owned(),
        "u16" => format!("a whole number from 0 to {}", u16::MAX),
        "u32" | "u64" | "usize" => "a whole number, zero or more".to_owned(),
        "i32" => "a whole number".to_owned(),
        other if other.starts_with("struct ") => "a table".to_owned(),
        other => other.to_owned(),
    };
    let shown = match found {
        _ if secret => "something else".to_owned(),
        "map" => "a table".to_owned(),
        "sequence" => "an array".to_owned(),
        other => other.to_owned(),
    };
    let bad = bad.label(format!("expected {expected}, found {shown}"));
    let value = path.find(table);
    match (expected.as_str(), value) {
        ("text in quotes" | "a path in quotes", Some(value)) if !secret && !value.is_table() && !value.is_array() => {
            bad.help(format!("write `\"{}\"`", value.to_string().trim_matches('"')))
        }
        ("an array", Some(toml::Value::Table(_))) if matches!(path.steps(), [Step::Key(_)]) => {
            bad.help(format!("write `[[{path}]]` with two brackets: there may be several"))
        }
        ("an array", Some(value)) if !value.is_table() => bad.help(format!("write `[{value}]`")),
        (expected, Some(toml::Value::Integer(number))) if expected.starts_with("a duration") => {
            bad.help(format!("write it with its unit, such as `\"{number}ms\"` or `\"{number}s\"`"))
        }
        (expected, Some(toml::Value::Integer(number))) if expected.starts_with("a size") => {
            bad.help(format!("write it with its unit, such as `\"{number} B\"` or `\"{number} KiB\"`"))
        }
        _ => bad,
    }
}

/// The words between backticks, in order.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}
