//! `confab plugin add`: a plugin's tables in hub.toml, with what it asks for. Comments are kept.

use super::args::Add;
use super::candidate::{Candidate, grant};
use super::lock::{file_of, read, write};
use super::{Done, Failure};
use crate::cli::{Exit, Screen, SettingsArgs};
use confab_config::{Diagnostic, Isolation, human::duration};
use confab_plugin_kit::manifest::is_name;
use confab_plugin_kit::plain;
use std::io::IsTerminal;
use std::path::Path;
use toml_edit::{Array, ArrayOfTables, DocumentMut, InlineTable, Item, Table, Value, value};

pub(super) fn run(settings: &SettingsArgs, add: &Add, screen: &mut Screen<'_>) -> Done {
    let candidate = Candidate::read(&add.file)?;
    let name = add.name.clone().unwrap_or_else(|| candidate.name());
    if !is_name(&name) {
        return Err(Diagnostic::error(format!("{name:?} cannot be a plugin's name"))
            .help("give it one with `--name`: letters a–z, digits, `-` and `_`")
            .into());
    }
    let loaded = settings.load(Vec::new()).map_err(|errors| Failure::Found(errors, Exit::Configuration))?;
    let file = file_of(&loaded)?;
    let mut document = read(&file)?;
    if loaded.config.plugin.contains_key(&name) {
        return Err(Diagnostic::error(format!("{} has a plugin `{name}` already", file.display()))
            .help("change its `module` there, or add this one under another name with `--name`")
            .into());
    }
    candidate.check(&add.settings.iter().cloned().collect())?;
    let before = document.to_string();
    put(&mut document, &name, &candidate, add, &module(&candidate.file, &loaded.base_dir));
    let after = document.to_string();
    let added = added(&before, &after).join("\n");
    if add.dry_run {
        writeln!(screen.out, "{added}")?;
        return Ok(Exit::Done);
    }
    tell_grants(&candidate, screen)?;
    if !add.yes && !is_wanted(&file, &added, screen)? {
        writeln!(screen.err, "nothing was written")?;
        return Ok(Exit::Failed);
    }
    write(&file, &document)?;
    writeln!(screen.out, "added {name} to {}:\n\n{added}", file.display())?;
    writeln!(screen.err, "next: `confab config check`, then `confab reload`")?;
    Ok(Exit::Done)
}

/// What it is granted, and why it says it wants that.
fn tell_grants(candidate: &Candidate, screen: &mut Screen<'_>) -> std::io::Result<()> {
    for capability in &candidate.face.capabilities {
        let reasons = candidate.embedded.manifest.as_ref().map(|manifest| &manifest.capabilities);
        let why = reasons.and_then(|reasons| reasons.get(capability)).map_or("it does not say why", String::as_str);
        writeln!(screen.err, "note: `{capability}` is granted: {why}")?;
    }
    if candidate.face.capabilities.iter().any(|capability| capability == "http") {
        writeln!(screen.err, "note: put the servers that it may ask into `capabilities.http`")?;
    }
    Ok(())
}

/// Shows the lines, and asks whoever sits at the terminal whether they should be written: the plugin's author chose some of them.
fn is_wanted(file: &Path, added: &str, screen: &mut Screen<'_>) -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() {
        let found = format!("not writing to {} unasked: there is no terminal to ask at", file.display());
        return Err(Diagnostic::error(found)
            .help("look at the lines with `--dry-run`, and write them with `--yes`")
            .into());
    }
    write!(screen.out, "{added}\n\nwrite these lines to {}? [y/N] ", file.display())?;
    screen.out.flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

/// The path to write: relative to hub.toml's folder where the file lies below it, else absolute.
fn module(file: &Path, base: &Path) -> String {
    let absolute = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    absolute.strip_prefix(base).unwrap_or(&absolute).to_string_lossy().into_owned()
}

fn put(document: &mut DocumentMut, name: &str, candidate: &Candidate, add: &Add, module: &str) {
    let mut plugin = Table::new();
    if let Some(manifest) = &candidate.embedded.manifest {
        let description = plain::line(&manifest.description);
        plugin.decor_mut().set_prefix(format!("\n# {}.\n", description.trim_end_matches('.')));
    }
    plugin["module"] = value(module);
    if let Some(manifest) = &candidate.embedded.manifest {
        let needs = &manifest.needs;
        if let Some(timeout) = needs.timeout {
            plugin["timeout"] = value(duration::show(timeout));
        }
        if let Some(memory) = needs.memory {
            plugin["memory"] = value(memory.to_string());
        }
        if needs.isolation == Some(Isolation::Worker) {
            plugin["isolation"] = value("worker");
        }
    }
    if !candidate.face.capabilities.is_empty() {
        let mut granted = InlineTable::new();
        for capability in &candidate.face.capabilities {
            granted.insert(capability, edited(&grant(capability)));
        }
        plugin["capabilities"] = value(granted);
    }
    if !add.settings.is_empty() {
        let mut table = Table::new();
        for (key, setting) in &add.settings {
            table[key] = value(edited(setting));
        }
        plugin["settings"] = Item::Table(table);
    }
    let plugins = document.entry("plugin").or_insert_with(|| {
        let mut table = Table::new();
        table.set_implicit(true);
        Item::Table(table)
    });
    plugins[name] = Item::Table(plugin);
    chain(document, name, add);
}

/// A chain of its own: what stands in the file is left as it is.
fn chain(document: &mut DocumentMut, name: &str, add: &Add) {
    let mut chain = Table::new();
    chain["rooms"] = value(add.rooms.iter().map(String::as_str).collect::<Array>());
    let step = match add.shadow {
        false => Value::from(name),
        true => {
            let mut step = InlineTable::new();
            step.insert("use", name.into());
            step.insert("shadow", true.into());
            step.into()
        }
    };
    chain["plugins"] = value([step].into_iter().collect::<Array>());
    let chains = document.entry("chain").or_insert(Item::ArrayOfTables(ArrayOfTables::new()));
    match chains {
        Item::ArrayOfTables(chains) => chains.push(chain),
        // `chain = [{ … }]`, in one line.
        other => {
            if let Some(list) = other.as_array_mut() {
                list.push(chain.into_inline_table());
            }
        }
    }
}

fn edited(from: &toml::Value) -> Value {
    from.to_string().parse().unwrap_or_else(|_| from.to_string().into())
}

/// The lines that are new.
fn added<'t>(before: &str, after: &'t str) -> Vec<&'t str> {
    let mut old = before.lines().peekable();
    let mut lines = Vec::new();
    for line in after.lines() {
        if old.peek() == Some(&line) {
            old.next();
        } else {
            lines.push(line);
        }
    }
    lines
}
