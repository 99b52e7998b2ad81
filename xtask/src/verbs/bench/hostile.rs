//! `cargo xtask bench hostile`: rooms without plugins, while a plugin beside them misbehaves a hundred times a second.
#![expect(clippy::print_stdout, reason = "the table is what the command is for")]

use super::measure::generator;
use super::own::Own;
use super::report::report_of;
use super::serving::Programs;
use crate::{cargo, cli};
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::net::TcpListener;
use std::path::Path;
use xtask::progress::Progress;
use xtask::wasm;

/// The number of the first fixture's room; those that are measured come before.
const ROOM: usize = 10_000;
/// How much later a hundredth of the others' messages may be heard, in microseconds.
const GOAL: f64 = 5000.0;

/// Two plugins that answer each message, and one another's, with as many as they may.
const FORK: &str = "fork";

/// A plugin that misbehaves: what it is called, its component, and what its messages say.
struct Fixture {
    name: &'static str,
    component: &'static str,
    text: String,
}

/// The ways to misbehave. `misbehave` goes by its settings, `reach` by what it is told.
fn fixtures(silent: &str) -> Vec<Fixture> {
    let misbehave = |name| Fixture { name, component: "misbehave", text: "hello".into() };
    let reach = |name, text| Fixture { name, component: "reach", text };
    let modes = ["loop", "stack", "memory", "trap", "megabytes", "invalid-utf8", "log-flood"];
    let mut all: Vec<Fixture> = modes.into_iter().map(misbehave).collect();
    all.push(reach("kv-flood", "kv-flood".into()));
    all.push(reach("silent-server", format!("ask GET {silent}")));
    all.push(reach("http-flood", format!("http-flood {silent}")));
    all.push(Fixture { name: FORK, component: "asks", text: "hello".into() });
    all
}

/// Measures, and gives all of it.
pub fn measure(programs: &Programs, folder: &Path, arguments: &cli::Bench) -> Result<Value> {
    let components = cargo::target_folder()?.join("test-plugins");
    wasm::build(&["misbehave", "reach", "asks"], &components)?;
    // It takes connections, and that is all that it does.
    let silent = TcpListener::bind("127.0.0.1:0")?;
    let origin = format!("http://{}", silent.local_addr()?);
    let fixtures = fixtures(&format!("{origin}/"));
    let folder = folder.join("hostile");
    std::fs::create_dir(&folder)?;
    let hub = Own::start(programs, &folder, &hub_toml(&fixtures, &components, &origin), true)?;
    let run = |fixture: Option<(usize, &Fixture)>| -> Result<Value> {
        let mut command = generator("paced", "native", programs, arguments);
        command.args(["--token", &hub.token, "--target", &hub.address, "--pid", &hub.pid().to_string()]);
        if let Some((n, fixture)) = fixture {
            command.args(["--feed-room", &(ROOM + n).to_string(), "--feed-text", &fixture.text]);
        }
        report_of(&mut command)
    };
    let count = arguments.rounds * (fixtures.len() + 1);
    let progress = Progress::start(format!("{count} runs of {} s beside plugins that misbehave", arguments.seconds));
    let (mut base, mut runs) = (Vec::new(), vec![Vec::new(); fixtures.len()]);
    for _ in 0..arguments.rounds {
        base.push(run(None)?);
        for (n, fixture) in fixtures.iter().enumerate() {
            progress.note(fixture.name);
            runs[n].push(run(Some((n, fixture))).with_context(|| format!("beside {}", fixture.name))?);
        }
    }
    let status = hub.ask(&["chain", "status"])?;
    progress.done("measured");
    let faults = |name: &str| {
        let plugins = status["plugins"].as_array().into_iter().flatten();
        plugins.filter(|plugin| plugin["plugin"] == name).find_map(|plugin| plugin["faults"].as_u64())
    };
    let beside = fixtures.iter().zip(&runs).map(
        |(fixture, runs)| json!({ "fixture": fixture.name, "faults": faults(fixture.name), "found": found(runs) }),
    );
    let beside: Vec<Value> = beside.collect();
    Ok(json!({ "scenario": "hostile", "base": found(&base), "beside": beside }))
}

/// The breaker would take them out: here each is asked again and again.
fn hub_toml(fixtures: &[Fixture], components: &Path, origin: &str) -> String {
    let table = |(n, fixture): (usize, &Fixture)| {
        let Fixture { name, component, .. } = fixture;
        let more = match *component {
            "reach" => format!(
                "capabilities = {{ log = true, clock = true, random = true, kv = true, \
                 http = {{ allow = [\"{origin}\"], private = true }} }}"
            ),
            "asks" => "capabilities = { emit = true }\nsettings = { send = \"says 9 again\" }".to_owned(),
            _ => format!("capabilities = {{ log = true }}\nsettings = {{ mode = \"{name}\", n = 1000 }}"),
        };
        let (module, room) = (components.join(format!("{component}.wasm")), ROOM + n);
        let mut judges = vec![(*name).to_owned()];
        if *name == FORK {
            judges.push(format!("{FORK}-too"));
        }
        let table =
            |name: &String| format!("[plugin.{name}]\nmodule = {module:?}\nbreaker = {{ faults = 0 }}\n{more}\n");
        let tables: String = judges.iter().map(table).collect();
        format!("{tables}[[chain]]\nrooms = [\"bench:{room}\"]\nplugins = {judges:?}\n")
    };
    fixtures.iter().enumerate().map(table).collect()
}

/// Medians of the rounds.
fn found(runs: &[Value]) -> Value {
    let median = |pointer: &str| {
        let mut values: Vec<f64> = runs.iter().filter_map(|run| run.pointer(pointer)?.as_f64()).collect();
        values.sort_unstable_by(f64::total_cmp);
        values.get(values.len() / 2).copied()
    };
    json!({
        "acknowledged_p50": median("/acknowledged/p50"), "acknowledged_p99": median("/acknowledged/p99"),
        "fed": median("/fed/answered"), "refused": median("/fed/refused"),
        "fed_p50": median("/fed/took/p50"), "fed_p99": median("/fed/took/p99"), "fed_max": median("/fed/took/max"),
        "resident_kib": median("/resident_kib"), "cpu_seconds": median("/cpu_seconds"), "seconds": median("/seconds"),
        "others": median("/others"),
    })
}

/// Prints the table, as a page in Markdown.
pub fn print(all: &Value) {
    println!("\n### hostile: rooms without plugins, while one beside them misbehaves 100 times a second\n");
    println!(
        "| beside | acknowledged p50 / p99 | p99 past base | | its answers p50 / p99 / max | refused | faults | hub | cpu | others |"
    );
    println!("|---|--:|--:|---|--:|--:|--:|--:|--:|--:|");
    let number = |of: &Value, name: &str| of[name].as_f64().unwrap_or_default();
    let ms = |of: &Value, name: &str| format!("{:.2}", number(of, name) / 1000.0);
    let line = |name: &str, found: &Value, past: &str, reached: &str, answers: &str, faults: &str| {
        let (p50, p99) = (ms(found, "acknowledged_p50"), ms(found, "acknowledged_p99"));
        let (hub, cpu) =
            (number(found, "resident_kib") / 1024.0, number(found, "cpu_seconds") / number(found, "seconds"));
        let others = number(found, "others");
        println!(
            "| {name} | {p50} / {p99} | {past} | {reached} | {answers} | {faults} | {hub:.0} MiB | {cpu:.2} | {others:.2} |"
        );
    };
    let base = &all["base"];
    line("nothing", base, "", "", "", " | ");
    for one in all["beside"].as_array().into_iter().flatten() {
        let found = &one["found"];
        let past = number(found, "acknowledged_p99") - number(base, "acknowledged_p99");
        let answers = format!("{} / {} / {}", ms(found, "fed_p50"), ms(found, "fed_p99"), ms(found, "fed_max"));
        let refused = format!("{:.0} of {:.0}", number(found, "refused"), number(found, "fed"));
        let faults = format!("{refused} | {}", one["faults"]);
        let reached = if past <= GOAL { "✓" } else { "missed" };
        let name = one["fixture"].as_str().unwrap_or_default();
        line(name, found, &format!("{:+.2}", past / 1000.0), reached, &answers, &faults);
    }
    println!(
        "\nMilliseconds; medians of the rounds. The hub has one processor; a thousand messages a second of fifty senders, each \
         alone in its room, are measured. To reach: p99 within 5 ms of base. A fixture's `timeout` is 5 ms, and its breaker is \
         off."
    );
}
