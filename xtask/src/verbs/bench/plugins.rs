//! `cargo xtask bench plugins`: what plugins cost, beside what they should.
#![expect(clippy::print_stdout, reason = "the table is what the command is for")]

use super::own::Own;
use super::report::report_of;
use super::serving::Programs;
use crate::cli;
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use xtask::wasm::PLUGINS;
use xtask::workspace;

/// How long ten plugins may take to be taken in, in milliseconds: compiled before, and never seen.
const WARM_GOAL: f64 = 100.0;
const COLD_GOAL: f64 = 2000.0;
/// How often a reload from the cache is measured.
const RELOADS: usize = 5;

/// Measures, and gives all of it.
pub fn measure(programs: &Programs, folder: &Path, arguments: &cli::Bench) -> Result<Value> {
    let components = workspace::root().join("plugins");
    let mut command = Command::new(&programs.bench);
    command.arg("plugins").arg(&components).args(["--seconds", &arguments.seconds.to_string()]);
    let mut all = report_of(&mut command).context("could not measure the plugins")?;
    let reloads = reloads(programs, folder, &components).context("could not measure reloads")?;
    all["figures"].as_array_mut().context("the figures are a list")?.extend(reloads);
    all["scenario"] = "plugins".into();
    Ok(all)
}

/// Reloads of a running hub from no plugin to ten and back.
fn reloads(programs: &Programs, folder: &Path, components: &Path) -> Result<Vec<Value>> {
    let folder = folder.join("reloads");
    std::fs::create_dir(&folder)?;
    let hub = Own::start(programs, &folder, "", false)?;
    let ten = ten(components);
    let took = |plugins: &str| -> Result<f64> {
        hub.rewrite(plugins)?;
        hub.ask(&["reload"])?["took_ms"].as_f64().context("a reload tells how long it took")
    };
    let cold = took(&ten)?;
    let mut warm = Vec::new();
    for _ in 0..RELOADS {
        took("")?;
        warm.push(took(&ten)?);
    }
    warm.sort_unstable_by(f64::total_cmp);
    let figure = |what: &str, value: f64, goal: f64, besides: &str| json!({ "what": what, "value": value, "unit": "ms", "goal": goal, "more_is_better": false, "besides": besides });
    let all: Vec<String> = warm.iter().map(|took| format!("{took:.0}")).collect();
    Ok(vec![
        figure(
            "reload of ten plugins, compiled before",
            warm[RELOADS / 2],
            WARM_GOAL,
            &format!("{} ms", all.join(", ")),
        ),
        figure("reload of ten plugins, never seen", cold, COLD_GOAL, ""),
    ])
}

/// The plugins of this repository, and the word filter again and again with other words: ten.
fn ten(components: &Path) -> String {
    let table = |name: &str, module: &str, more: &str| {
        let module = components.join(format!("{module}.wasm"));
        format!("[plugin.{name}]\nmodule = {module:?}\n{more}\n")
    };
    let grants = |name: &str| match name {
        "flood-guard" => "capabilities = { kv = true }",
        "commands" => "capabilities = { emit = true, random = true }",
        "link-preview" => "timeout = \"2s\"\ncapabilities = { http = [\"https://example.com\"] }",
        _ => "",
    };
    let mut all: Vec<String> = PLUGINS.iter().map(|name| table(name, name, grants(name))).collect();
    for n in all.len()..10 {
        all.push(table(&format!("words-{n}"), "word-filter", &format!("settings = {{ words = [\"spam{n}\"] }}")));
    }
    all.concat()
}

/// Prints the table, as a page in Markdown.
pub fn print(all: &Value) {
    println!("\n### plugins: what they cost\n");
    println!("| | reached | to reach | | besides |");
    println!("|---|--:|--:|---|---|");
    for figure in all["figures"].as_array().into_iter().flatten() {
        let word = |name: &str| figure[name].as_str().unwrap_or_default();
        let value = figure["value"].as_f64().unwrap_or_default();
        let more = figure["more_is_better"] == true;
        let (goal, reached) = match figure["goal"].as_f64() {
            None => (String::new(), ""),
            Some(goal) => {
                let reached = if more { value >= goal } else { value <= goal };
                (
                    format!("{} {goal} {}", if more { "≥" } else { "≤" }, word("unit")),
                    if reached { "✓" } else { "missed" },
                )
            }
        };
        println!("| {} | {value:.1} {} | {goal} | {reached} | {} |", word("what"), word("unit"), word("besides"));
    }
    for line in all["skipped"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        println!("\nskipped: {line}");
    }
    println!(
        "\nA call is the whole of judging, as the hub does it. Others took {:.2} processors meanwhile: the more, the less the \
         figures say.",
        all["others"].as_f64().unwrap_or_default()
    );
}
