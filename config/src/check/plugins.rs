//! Checks of plugins, of the chains they stand in, and of the chains' tests.

use super::Findings;
use super::rooms::patterns;
use crate::environment::spelled;
use crate::human::{Size, duration};
use crate::path::Path;
use crate::pattern::Patterns;
use crate::problem::Problem;
use crate::settings::{BreakerConfig, ChainTest, Config, PluginConfig};
use crate::suggest::nearest;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What a test may expect.
const VERDICTS: [&str; 4] = ["accept", "replace", "reject", "hold"];
/// What plugins may ask for besides.
const EFFECTS: [&str; 4] = ["notice", "mute", "flag", "say"];
/// The codes that plugins may refuse with.
const CODES: std::ops::RangeInclusive<u32> = 400..=1999;

pub(super) fn check(config: &Config, found: &mut Findings) {
    let mut spellings = BTreeMap::new();
    for (name, plugin) in &config.plugin {
        let here = Path::of("plugin").key(name.as_str());
        one(&here, name, plugin, config.limits.send_deadline, found);
        if let Some(other) = spellings.insert(spelled(name), name) {
            found.add(
                Problem::error(&here, format!("plugins `{other}` and `{name}` have the same name in the environment"))
                    .at_name()
                    .help("give one of them another name"),
            );
        }
    }
    let chains = chains(config, found);
    twice(config, &chains, found);
    let used: BTreeSet<&str> = config.chain.iter().flat_map(|chain| &chain.plugins).map(|step| step.name()).collect();
    for name in config.plugin.keys().filter(|name| !used.contains(name.as_str())) {
        found.add(
            Problem::warning(&Path::of("plugin").key(name.as_str()), format!("plugin `{name}` judges nothing"))
                .at_name()
                .label("no chain names it")
                .help(format!("add a chain: `[[chain]]` with `rooms = [\"**\"]` and `plugins = [\"{name}\"]`"))
                .rests_on(&Path::of("chain")),
        );
    }
    config.test.iter().enumerate().for_each(|(at, test)| tests(&Path::of("test").index(at), test, found));
}

fn one(here: &Path, name: &str, plugin: &PluginConfig, send_deadline: Duration, found: &mut Findings) {
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c)) {
        found.add(
            Problem::error(here, format!("`{name}` cannot be a plugin's name"))
                .at_name()
                .label("letters a–z, digits, `-` and `_` only"),
        );
    }
    if plugin.module.as_os_str().is_empty() {
        found.add(
            Problem::error(&here.key("module"), format!("plugin `{name}` has no `module`"))
                .label("which file is it?")
                .help(format!("add `module = \"plugins/{name}.wasm\"`")),
        );
    }
    if let Some(pin) = &plugin.blake3
        && !(pin.len() == 64 && pin.chars().all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c)))
    {
        found.add(
            Problem::error(&here.key("blake3"), "the pin is not a BLAKE3 hash")
                .label(format!("expected 64 digits 0–9, a–f, found {} characters", pin.chars().count()))
                .help(format!("`b3sum {}` prints it", plugin.module.display())),
        );
    }
    let timeout = here.key("timeout");
    if plugin.timeout.is_zero() {
        found.add(
            Problem::error(&timeout, format!("plugin `{name}` has no time to answer"))
                .label("every call would be a fault")
                .help("write `timeout = \"5ms\"`, the default"),
        );
    } else if plugin.timeout >= send_deadline {
        found.add(
            Problem::error(&timeout, format!("plugin `{name}` may take longer than a send"))
                .label(format!("`limits.send_deadline` is \"{}\"", duration::show(send_deadline)))
                .rests_on(&Path::of("limits.send_deadline")),
        );
    }
    // A page of WebAssembly memory has 64 KiB, and 32-bit memories end at 4 GiB.
    found.size(&here.key("memory"), plugin.memory, Size::kib(64), Size::mib(4096));
    found.size(&here.key("output"), plugin.output, Size(64), Size::mib(16));
    super::capabilities::check(here, name, plugin, found);
    breaker(&here.key("breaker"), &plugin.breaker, found);
}

fn breaker(here: &Path, breaker: &BreakerConfig, found: &mut Findings) {
    let short = Duration::from_millis(10);
    let day = Duration::from_secs(24 * 3600);
    found.range(&here.key("share"), breaker.share, 0.0, 1.0, f64::to_string);
    found.duration(&here.key("within"), breaker.within, short, day);
    found.duration(&here.key("pause"), breaker.pause, short, day);
    found.duration(&here.key("pause_max"), breaker.pause_max, breaker.pause.clamp(short, day), day);
}

/// Checks every chain by itself; gives each one's patterns where they can be read.
fn chains(config: &Config, found: &mut Findings) -> Vec<Option<Patterns>> {
    let mut all = Vec::new();
    for (at, chain) in config.chain.iter().enumerate() {
        let here = Path::of("chain").index(at);
        all.push(patterns(&here, "rooms", &chain.rooms, found));
        if chain.on.is_empty() {
            found.add(
                Problem::error(&here.key("on"), "the chain judges nothing")
                    .label("`on` is empty")
                    .help("write `on = [\"send\", \"edit\"]`, the default"),
            );
        }
        if chain.plugins.is_empty() {
            found.add(
                Problem::error(&here.key("plugins"), "the chain has no plugins")
                    .label("nobody judges here")
                    .help("name some, such as `plugins = [\"word-filter\"]`, or take the chain out"),
            );
        }
        for (at, step) in chain.plugins.iter().enumerate() {
            let place = here.key("plugins").index(at);
            if !config.plugin.contains_key(step.name()) {
                found.add(dangling(config, &place, step.name()));
            }
            if let Some(sample) = step.sample() {
                found.range(&place.key("sample"), sample, 0.0, 100.0, f64::to_string);
            }
        }
        let longest: Duration =
            chain.plugins.iter().filter_map(|step| config.plugin.get(step.name())).map(|p| p.timeout).sum();
        if longest >= config.limits.send_deadline {
            found.add(
                Problem::warning(&here.key("plugins"), "the chain may take longer than a send")
                    .label(format!("the timeouts add up to \"{}\"", duration::show(longest)))
                    .note(format!("`limits.send_deadline` is \"{}\"", duration::show(config.limits.send_deadline))),
            );
        }
    }
    all
}

fn dangling(config: &Config, place: &Path, name: &str) -> Problem {
    let problem = Problem::error(place, format!("the chain names plugin `{name}`, which is not defined"))
        .label("no `[plugin.…]` table has this name")
        .rests_on(&Path::of("plugin"))
        .rests_on(&Path::of("plugin").key(name));
    match nearest(name, config.plugin.keys().map(String::as_str)) {
        Some(near) => problem.help(format!("did you mean `{near}`?")),
        None => problem.help(format!("add `[plugin.{name}]` with `module = \"plugins/{name}.wasm\"`")),
    }
}

/// Warns of every plugin that judges the same event twice, in one chain or in two that share a room.
fn twice(config: &Config, patterns: &[Option<Patterns>], found: &mut Findings) {
    let steps: Vec<(usize, usize, &str)> = config
        .chain
        .iter()
        .enumerate()
        .flat_map(|(at, chain)| chain.plugins.iter().enumerate().map(move |(step, plugin)| (at, step, plugin.name())))
        .collect();
    for (later, &(chain, step, name)) in steps.iter().enumerate() {
        let place = Path::of("chain").index(chain).key("plugins").index(step);
        for &(before, _, _) in steps[..later].iter().filter(|(_, _, earlier)| *earlier == name) {
            let one = &config.chain[before];
            let two = &config.chain[chain];
            let (Some(mine), Some(theirs)) = (&patterns[before], &patterns[chain]) else { continue };
            let Some(room) = mine.in_both(theirs) else { continue };
            if !one.on.iter().any(|kind| two.on.contains(kind)) {
                continue;
            }
            let where_else =
                if before == chain { "earlier in this chain".into() } else { format!("in `chain[{before}]`") };
            found.add(
                Problem::warning(&place, format!("plugin `{name}` judges some events twice"))
                    .label(format!("already called {where_else}"))
                    .note(format!("for example in room `{room}`: all chains that match a room apply, in file order")),
            );
            break;
        }
    }
}

fn tests(here: &Path, test: &ChainTest, found: &mut Findings) {
    if test.room.is_empty() {
        found.add(Problem::error(&here.key("room"), "the test has no `room`").help("add `room = \"lobby\"`"));
    }
    let expect = here.key("expect");
    let verdict = test.expect.verdict.as_str();
    if !VERDICTS.contains(&verdict) {
        let problem = Problem::error(&expect.key("verdict"), "the test expects no verdict that there is")
            .label("expected `accept`, `replace`, `reject` or `hold`");
        found.add(match nearest(verdict, VERDICTS) {
            Some(near) => problem.help(format!("did you mean `\"{near}\"`?")),
            None => problem.help("write `expect = { verdict = \"accept\" }`"),
        });
    }
    if test.expect.text.is_some() && matches!(verdict, "reject" | "hold") {
        found.add(
            Problem::error(&expect.key("text"), "the test expects a text that nobody hears")
                .label(format!("after `{verdict}` there is none")),
        );
    }
    if matches!(verdict, "replace" | "hold") && !test.on.has_body() {
        found.add(
            Problem::error(&expect.key("verdict"), format!("no plugin can {verdict} a {}", test.on.as_str()))
                .label("only a send or an edit can be replaced or held")
                .rests_on(&here.key("on")),
        );
    }
    for (at, effect) in test.expect.effects.iter().flatten().enumerate() {
        if !EFFECTS.contains(&effect.as_str()) {
            found.add(
                Problem::error(&expect.key("effects").index(at), "the test expects an effect that there is not")
                    .label("expected `notice`, `mute`, `flag` or `say`"),
            );
        }
    }
    match test.expect.code {
        Some(_) if matches!(verdict, "accept" | "replace" | "hold") => found.add(
            Problem::error(&expect.key("code"), "the test expects a code without a refusal")
                .label(format!("`{verdict}` has none")),
        ),
        Some(code) if !CODES.contains(&code) => found.add(
            Problem::error(&expect.key("code"), "the test expects a code that no plugin may use").label(format!(
                "plugins refuse with {} to {}",
                CODES.start(),
                CODES.end()
            )),
        ),
        _ => {}
    }
}

/// The plugins' files must be there.
pub(super) fn modules(config: &Config, found: &mut Findings) {
    for (name, plugin) in &config.plugin {
        if plugin.module.is_file() {
            continue;
        }
        let shown = plugin.module.display();
        let label =
            if plugin.module.exists() { format!("{shown} is no file") } else { format!("there is no file {shown}") };
        found.add(
            Problem::error(
                &Path::of("plugin").key(name.as_str()).key("module"),
                format!("plugin `{name}` has no module"),
            )
            .label(label)
            .note("a path in the file is relative to the file's folder"),
        );
    }
}
