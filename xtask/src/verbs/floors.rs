//! The arrows inside the hub: every part stands on a floor and imports only from floors below it.

use anyhow::{Context, Result, bail};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use xtask::workspace;

/// The hub's parts, from the ground up. Parts of one floor do not know one another.
const FLOORS: [&[&str]; 15] = [
    &["background", "backoff", "clock", "log_limit", "pace", "private_file", "quoted", "tls"],
    &["actor", "journal", "outbox", "redis"],
    &["auth", "dialect", "kv", "timeline"],
    &["members", "people", "plugin", "room", "sanctions"],
    &["access", "telemetry"],
    &["admission", "audit", "limits", "presence", "signals"],
    &["deliver", "publish", "recover"],
    &["review"],
    &["verb"],
    &["hub", "session"],
    &["admin", "http"],
    &["backends"],
    &["serve"],
    &["cli"],
    &["main"],
];

/// Looks at every file of the hub.
pub fn check() -> Result<()> {
    let wrong = upward(&read(&workspace::root().join("hub/src"))?)?;
    if !wrong.is_empty() {
        bail!("{}", wrong.join("; "));
    }
    Ok(())
}

/// A source file: the part that it belongs to, its name for people, its text.
struct Source {
    part: String,
    name: String,
    text: String,
}

fn read(root: &Path) -> Result<Vec<Source>> {
    let mut sources = Vec::new();
    for path in rust_files(root)? {
        let inside = path.strip_prefix(root)?.with_extension("");
        let part = inside.iter().next().and_then(|part| part.to_str()).context("a file has no name")?;
        // Tests may look at anything.
        if part != "lib" && inside.file_name().is_none_or(|name| name != "tests") {
            let text = fs::read_to_string(&path).with_context(|| format!("could not read {}", path.display()))?;
            sources.push(Source { part: part.to_owned(), name: format!("{}.rs", inside.display()), text });
        }
    }
    Ok(sources)
}

fn rust_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("could not read {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(rust_files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// What is wrong: imports that do not go down, and parts that stand on no floor.
fn upward(sources: &[Source]) -> Result<Vec<String>> {
    let floor = |part: &str| FLOORS.iter().position(|parts| parts.contains(&part));
    let mut wrong = Vec::new();
    for Source { part, name, text } in sources {
        let Some(from) = floor(part) else {
            wrong.push(format!("hub/src/{name} stands on no floor (xtask/src/verbs/floors.rs)"));
            continue;
        };
        for used in parts_used(text).iter().filter(|used| *used != part) {
            match floor(used) {
                Some(to) if to < from => {}
                Some(_) => wrong.push(format!("hub/src/{name} imports `{used}`, which does not stand below `{part}`")),
                None => wrong.push(format!("hub/src/{name} imports `{used}`, which stands on no floor")),
            }
        }
    }
    Ok(wrong)
}

/// The parts of the hub that a file names in paths: `crate::part::…`, `confab_hub::part::…`, `use crate::{a, b::c}`. What
/// stands in comments, texts, and modules that only tests compile is passed over.
fn parts_used(text: &str) -> BTreeSet<String> {
    let code = without_tests(text);
    let mut used = BTreeSet::new();
    for root in ["crate::", "confab_hub::"] {
        let starts = code.match_indices(root).filter(|(at, _)| !code[..*at].ends_with(is_word));
        for (at, _) in starts {
            let rest = &code[at + root.len()..];
            match rest.strip_prefix('{') {
                Some(group) => used.extend(group_heads(group)),
                None => used.extend(word(rest)),
            }
        }
    }
    used
}

/// The first words of the members of a group, up to its closing brace.
fn group_heads(group: &str) -> Vec<String> {
    let mut heads = Vec::new();
    let mut depth = 0;
    let mut member = 0;
    for (at, letter) in group.char_indices() {
        match letter {
            '{' => depth += 1,
            ',' if depth == 0 => {
                heads.extend(word(group[member..at].trim_start()));
                member = at + 1;
            }
            '}' if depth == 0 => {
                heads.extend(word(group[member..at].trim_start()));
                return heads;
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
    heads
}

/// The name of a module, which begins with a small letter; types of the crate's root belong to no part.
fn word(text: &str) -> Option<String> {
    let word: String = text.chars().take_while(|letter| is_word(*letter)).collect();
    word.starts_with(|first: char| first.is_ascii_lowercase()).then_some(word)
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// The code up to the tests at its end, without comments and texts.
fn without_tests(text: &str) -> String {
    let mut code = String::new();
    for line in text.lines() {
        if line.starts_with("#[cfg(test)]") {
            break;
        }
        let line = line.split("//").next().unwrap_or_default();
        // A text's inside stands at the odd places between quotes.
        code.extend(line.split('"').step_by(2));
        code.push('\n');
    }
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(part: &str, text: &str) -> Source {
        Source { part: part.into(), name: format!("{part}.rs"), text: text.into() }
    }

    #[test]
    fn an_arrow_that_runs_up_or_across_is_found_wherever_it_is_written() {
        let texts = [
            "use crate::session::Services;",
            "fn f() { crate::session::run() }",
            "use crate::{outbox::Outbox, session::{self, Services}};",
            "use crate::{\n    outbox,\n    session,\n};",
            "fn f(one: &crate::people::People, two: confab_hub::session::Services) {}",
        ];
        for text in texts {
            let wrong = upward(&[source("room", text)]).unwrap();
            assert!(wrong.iter().any(|wrong| wrong.contains("room.rs imports `session`")), "{text}: {wrong:?}");
        }
        assert_eq!(upward(&[source("room", "use crate::people::People;")]).unwrap().len(), 1, "across");
        assert_eq!(upward(&[source("attic", "")]).unwrap().len(), 1, "a part that stands nowhere");
        assert_eq!(upward(&[source("room", "use crate::attic::Box;")]).unwrap().len(), 1);
    }

    #[test]
    fn what_stands_below_in_a_comment_a_text_or_a_test_is_no_arrow() {
        let text = "use crate::outbox::Outbox;\nuse crate::room::Rooms;\n// use crate::session;\nconst A: &str = \"crate::session::x\";\n\
                    #[cfg(test)]\nmod tests {\n    use crate::session::Services;\n}\n";
        assert_eq!(upward(&[source("room", text)]).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn the_hub_s_arrows_all_run_down() {
        check().unwrap();
    }
}
