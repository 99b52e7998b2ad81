//! `cargo xtask types`: what clients in TypeScript know of the hub's verbs, events and codes, written from the hub's own source.

mod source;
mod typescript;

use anyhow::{Context, Result, bail};
use source::Verb;
use std::fmt::Write;
use std::path::PathBuf;
use xtask::progress::say;
use xtask::workspace;

/// Writes the file.
pub fn types() -> Result<()> {
    let path = path();
    std::fs::write(&path, generated()?).with_context(|| format!("could not write {}", path.display()))?;
    say(&format!("✓ {}", path.display()));
    Ok(())
}

/// Fails where the file says something else than the hub.
pub fn check() -> Result<()> {
    let path = path();
    let found = std::fs::read_to_string(&path).with_context(|| format!("could not read {}", path.display()))?;
    if found != generated()? {
        bail!("{} is not what the hub has now: type `cargo xtask types`", path.display());
    }
    Ok(())
}

fn path() -> PathBuf {
    workspace::root().join("clients/js/src/generated.ts")
}

fn generated() -> Result<String> {
    let verbs = source::verbs()?;
    let codes = read("docs/reference/codes.md")?;
    let mut out = String::from(
        "// What the hub's verbs, events and codes are. Written by `cargo xtask types` from the hub's source: do not change it here.\n",
    );
    let results = verbs.iter().map(|verb| verb.result.as_str()).collect::<std::collections::BTreeSet<_>>();
    let results = results.into_iter().collect::<Vec<_>>().join(", ");
    writeln!(out, "import type {{ Json }} from \"./event.js\";")?;
    writeln!(out, "import type {{ {results} }} from \"./results.js\";\n")?;
    writeln!(out, "export type {{ {results} }};\n")?;
    for verb in &verbs {
        out.push_str(&typescript::arguments(verb)?);
    }
    out.push_str(&table("The arguments of each verb.", "Arguments", &verbs, |verb| verb.arguments_name()));
    out.push_str(&table("What each verb answers with.", "Results", &verbs, |verb| verb.result.clone()));
    writeln!(out, "/** A verb. */\nexport type Verb = keyof Arguments;\n")?;
    let kinds = source::kinds()?.iter().map(|kind| format!("\"{kind}\"")).collect::<Vec<_>>().join(", ");
    writeln!(out, "/** The types of events that take a place. Others change nothing. */")?;
    writeln!(out, "export const EVENT_TYPES = [{kinds}] as const;\n")?;
    out.push_str(&numbers("The refusals, by their codes.", "REFUSALS", &rows(&codes, "## Refusals")?));
    writeln!(
        out,
        "/** What a refusal is called. */\nexport type RefusalName = (typeof REFUSALS)[keyof typeof REFUSALS];\n"
    )?;
    out.push_str(&numbers("Why a session ended, by the codes of its close.", "CLOSES", &rows(&codes, "## Closes")?));
    Ok(format!("{}\n", out.trim_end()))
}

fn table(doc: &str, name: &str, verbs: &[Verb], value: impl Fn(&Verb) -> String) -> String {
    let rows: String = verbs.iter().map(|verb| format!("  {}: {};\n", property(&verb.name), value(verb))).collect();
    format!("/** {doc} */\nexport interface {name} {{\n{rows}}}\n\n")
}

/// A name as a property: `room.create` has to be quoted.
fn property(name: &str) -> String {
    let plain = name.chars().all(|char| char.is_ascii_alphanumeric() || char == '_');
    if plain { name.to_owned() } else { format!("\"{name}\"") }
}

fn numbers(doc: &str, name: &str, rows: &[(u32, String)]) -> String {
    let rows: String = rows.iter().map(|(code, name)| format!("  {code}: \"{name}\",\n")).collect();
    format!("/** {doc} */\nexport const {name} = {{\n{rows}}} as const;\n\n")
}

/// The codes and names of a table of `codes.md`, which a test keeps equal to the protocol's own lists.
fn rows(codes: &str, heading: &str) -> Result<Vec<(u32, String)>> {
    let part = codes.split(heading).nth(1).with_context(|| format!("docs/reference/codes.md has no `{heading}`"))?;
    let part = part.split("\n## ").next().unwrap_or(part);
    let row = |line: &str| {
        let mut cells = line.strip_prefix('|')?.split('|');
        let code = cells.next()?.trim().parse().ok()?;
        Some((code, cells.next()?.trim().trim_matches('`').to_owned()))
    };
    let rows: Vec<_> = part.lines().filter_map(row).collect();
    if rows.is_empty() {
        bail!("docs/reference/codes.md has no rows under `{heading}`");
    }
    Ok(rows)
}

fn read(path: &str) -> Result<String> {
    std::fs::read_to_string(workspace::root().join(path)).with_context(|| format!("could not read {path}"))
}
