//! The newcomer's path, as the guide tells it: from `confab plugin new` to a running hub that judges by the new plugin.

use anyhow::{Context, Result};
use confab_tests::client::Client;
use confab_tests::process::program;
use confab_tests::world::Embedded;
use serde_json::json;
use std::path::Path;

/// Cargo must find all that a plugin needs where this workspace has it: nothing is fetched. Its work is kept for the next time.
pub fn as_an_author(world: &mut Embedded) {
    let target = program("").ancestors().nth(1).expect("programs lie in target/<profile>").to_owned();
    world.hub.set("CARGO_TARGET_DIR", &target.to_string_lossy());
    world.hub.set("CARGO_NET_OFFLINE", "true");
}

/// Runs a verb that must end well, and gives what it printed.
pub fn confab(world: &Embedded, arguments: &[&str]) -> Result<String> {
    let (status, out, err) = world.hub.verb(arguments)?;
    anyhow::ensure!(status.success(), "confab {arguments:?}: {status}\n{out}{err}");
    Ok(out)
}

/// Changes a file as an editor does.
pub fn edit(file: &Path, old: &str, new: &str) -> Result<()> {
    let text = std::fs::read_to_string(file)?;
    anyhow::ensure!(text.contains(old), "{} has no {old:?}", file.display());
    Ok(std::fs::write(file, text.replacen(old, new, 1))?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomers_plugin_judges_the_next_message_of_a_running_hub_and_nobody_is_disconnected() -> Result<()> {
    let mut world = Embedded::start("").await?;
    as_an_author(&mut world);
    let mut ada = Client::connect(&world.hub.listen, "ada").await?;
    ada.subscribe("lobby", None).await?.unwrap();
    ada.say("lobby", "k1", "HELLO, IS ANYBODY THERE?").await?.unwrap();
    assert_eq!(ada.publication().await?["pub"]["data"]["text"], "HELLO, IS ANYBODY THERE?");

    let folder = world.folder.path().join("indoor-voice");
    let place = folder.to_str().context("a path is text")?;
    let made = confab(&world, &["plugin", "new", "indoor-voice", "--path", place])?;
    assert!(made.contains("confab plugin test"), "{made}");
    assert!(confab(&world, &["plugin", "test", place])?.contains("4 passed, 0 failed"));

    // First what it should say, then what makes it say so.
    let golden = folder.join("golden.toml");
    let wish = "[[case]]\nname = \"shouting is refused\"\nsettings = { most = 100 }\nevent = { text = \"HELLO\" }\n\
                expect = { verdict = \"reject\", code = 422, reason = \"not so loud\" }\n\n[[case]]";
    edit(&golden, "[[case]]", wish)?;
    let (status, out, _) = world.hub.verb(&["plugin", "test", place])?;
    assert!(!status.success() && out.contains("FAIL  shouting is refused"), "{out}");
    assert!(out.contains("expected  reject\n        found     accept"), "{out}");
    let code = "Some(text) if text.chars().any(char::is_uppercase) && !text.chars().any(char::is_lowercase) => {\n\
                Verdict::reject(422, \"not so loud\")\n}\n            _ => Verdict::accept(),";
    edit(&folder.join("src/lib.rs"), "_ => Verdict::accept(),", code)?;
    assert!(confab(&world, &["plugin", "test", place])?.contains("5 passed, 0 failed"));

    confab(&world, &["plugin", "build", place])?;
    let component = folder.join("indoor-voice.wasm");
    let component = component.to_str().context("a path is text")?;
    let added = confab(&world, &["plugin", "add", component, "-s", "most=100", "--yes"])?;
    assert!(added.contains("[plugin.indoor-voice]") && added.contains("most = 100"), "{added}");
    confab(&world, &["config", "check"])?;
    ada.say("lobby", "k2", "STILL THERE?").await?.unwrap();
    assert_eq!(ada.publication().await?["pub"]["data"]["text"], "STILL THERE?", "nothing holds before the reload");
    let reloaded = confab(&world, &["reload"])?;
    assert!(reloaded.contains("indoor-voice"), "{reloaded}");

    let refused = ada.say("lobby", "k3", "CAN YOU HEAR ME?").await?.unwrap_err();
    assert_eq!((refused["code"].clone(), refused["message"].clone()), (json!(422), json!("not so loud")));
    ada.say("lobby", "k4", "I can hear you").await?.unwrap();
    assert_eq!(ada.publication().await?["pub"]["data"]["text"], "I can hear you");
    assert_eq!(world.hub.metric("confab_sessions_opened_total").await?, 1.0, "it is the same session");
    assert_eq!(world.hub.metric("confab_sessions").await?, 1.0);
    Ok(())
}

/// One part of the tutorial that does something.
enum Part<'t> {
    /// Commands, each with what it prints.
    Console(&'t str),
    /// The whole text of a file.
    Write(&'t str, &'t str),
    /// More text for a file.
    Append(&'t str, &'t str),
    /// The hub is started.
    Hub,
}

/// What the tutorial tells its reader to do, in order.
fn parts(page: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut pieces = page.split("```");
    let mut before = pieces.next().unwrap_or_default();
    while let (Some(block), Some(after)) = (pieces.next(), pieces.next()) {
        let (language, text) = block.split_once('\n').unwrap_or_default();
        let said = before.trim_end().lines().last().unwrap_or_default();
        let said = said.strip_prefix("<!-- ").and_then(|said| said.strip_suffix(" -->"));
        match said.map(|said| said.split_once(": ").unwrap_or((said, ""))) {
            Some(("write", file)) => parts.push(Part::Write(file, text)),
            Some(("append", file)) => parts.push(Part::Append(file, text)),
            Some(("hub", _)) => parts.push(Part::Hub),
            _ if language == "console" => parts.push(Part::Console(text)),
            _ => {}
        }
        before = after;
    }
    parts
}

/// A text with what differs from machine to machine taken out: times, sizes, hashes and ids.
fn regardless(text: &str) -> Vec<String> {
    const UNITS: [&str; 6] = ["µs", "ms", "s", "KiB", "MiB", "files"];
    let bare = |word: &str| word.trim_matches(|c: char| "(),;:".contains(c)).to_owned();
    let is_number = |word: &str| word.starts_with(|c: char| c.is_ascii_digit()) && word.parse::<f64>().is_ok();
    let is_hash = |word: &str| {
        word.len() >= 12
            && word.chars().all(|c| c.is_ascii_hexdigit() || c == '-')
            && word.contains(|c: char| c.is_ascii_digit())
    };
    let lines = text.lines().map(str::trim_end).filter(|line| !line.is_empty());
    let line = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let next = |at: usize| words.get(at + 1).map(|word| bare(word)).unwrap_or_default();
        let word = |(at, word): (usize, &&str)| match bare(word) {
            plain if is_number(&plain) && UNITS.contains(&&*next(at)) => word.replace(&plain, "#"),
            plain if is_hash(&plain) => word.replace(&plain, "#"),
            _ => (*word).to_owned(),
        };
        words.iter().enumerate().map(word).collect::<Vec<_>>().join(" ")
    };
    lines.map(line).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tutorial_is_true_command_by_command() -> Result<()> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/guide/write-a-plugin.md");
    let page = std::fs::read_to_string(page)?;
    let mut world = Embedded::prepared("")?;
    let chat = world.folder.path().join("chat");
    std::fs::create_dir(&chat)?;
    as_an_author(&mut world);
    let programs = program("");
    let path = format!("{}:{}", programs.display(), std::env::var("PATH")?);
    let ports = [("CONFAB_LISTEN", world.hub.listen.clone()), ("CONFAB_ADMIN", world.hub.admin.clone())];
    let (mut ran, mut hub) = (0, false);
    for part in parts(&page) {
        match part {
            Part::Write(file, text) => {
                std::fs::write(chat.join(file), text)?;
                if file == "hub.toml" {
                    world.hub.read(&chat.join(file));
                    ports.iter().for_each(|(name, value)| world.hub.set(name, value));
                }
            }
            Part::Append(file, text) => {
                let old = std::fs::read_to_string(chat.join(file))?;
                std::fs::write(chat.join(file), old + text)?;
            }
            Part::Hub => {
                world.hub.start().await?;
                hub = true;
            }
            Part::Console(text) => {
                for told in text.split("$ ").skip(1) {
                    let (command, expected) = told.split_once('\n').context("a command ends")?;
                    let mut shell = world.hub.plain("bash");
                    shell.current_dir(&chat).env("PATH", &path).envs(ports.clone()).args(["-c", command]);
                    let output = shell.output()?;
                    let found =
                        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
                    // What a verb tells beside its answer is not shown there.
                    let printed = if output.status.success() || !found[0].is_empty() { &found[0] } else { &found[1] };
                    assert_eq!(regardless(printed), regardless(expected), "$ {command}\n{}\n{}", found[0], found[1]);
                    ran += 1;
                }
            }
        }
    }
    assert!(hub && ran >= 12, "{ran} commands were run");
    Ok(())
}
