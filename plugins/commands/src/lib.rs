//! Commands that people type: `/roll 2d6`, `/shrug`, `/tableflip`, `/me waves`, `/help`, and an operator's own.
//!
//! What a command makes of a message is a replacement; what it has to say to its sender alone is a notice, and the command
//! itself goes no further; what dice show is said to the room by the plugin itself.

mod dice;

use confab_plugin_sdk::settings::Code;
use confab_plugin_sdk::{Context, Event, Kind, Plugin, Verdict, emit};
use dice::Dice;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The commands that are there from the beginning, with what they do.
const COMMANDS: &[(&str, &str)] = &[
    ("help", "tells which commands there are"),
    ("me", "says what you do: /me waves"),
    ("roll", "throws dice: /roll 2d6+1"),
];

/// Commands that put something after what is said.
const TEXTS: &[(&str, &str)] =
    &[("shrug", r"¯\_(ツ)_/¯"), ("tableflip", "(╯°□°)╯︵ ┻━┻"), ("unflip", "┬─┬ノ( º _ ºノ)")];

/// The plugin, ready to judge.
#[derive(Debug)]
pub struct Commands {
    texts: BTreeMap<String, String>,
    settings: Settings,
}

/// `[plugin.<name>.settings]` in hub.toml.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Commands of your own: each puts its text after what is said.
    texts: BTreeMap<String, String>,
    /// Commands that there shall not be.
    off: Vec<String>,
    /// What happens to a command that there is not.
    unknown: Unknown,
    /// The code with which a command that was only for the sender goes no further.
    code: Code,
}

/// What happens to a command that there is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Unknown {
    /// The sender is told, and the message goes no further.
    Notice,
    /// It is a message like others.
    Pass,
}

impl Default for Settings {
    fn default() -> Self {
        let code = Code::new(463).expect("a plugin's code");
        Self { texts: BTreeMap::new(), off: Vec::new(), unknown: Unknown::Notice, code }
    }
}

impl Plugin for Commands {
    type Settings = Settings;

    fn configure(settings: Settings) -> Result<Self, String> {
        let mut texts: BTreeMap<String, String> =
            TEXTS.iter().map(|(name, text)| ((*name).into(), (*text).into())).collect();
        for (name, text) in &settings.texts {
            if split(&format!("/{name}")) != Some((name, "")) || name.to_ascii_lowercase() != *name {
                return Err(format!("`texts`: {name:?} is no name: write small letters, digits and -"));
            }
            texts.insert(name.clone(), text.clone());
        }
        if let Some(name) = settings.off.iter().find(|name| !is_known(name, &texts)) {
            return Err(format!("`off`: there is no command {name:?}"));
        }
        texts.retain(|name, _| !settings.off.contains(name));
        Ok(Self { texts, settings })
    }

    fn judge(&self, event: &Event, context: &Context) -> Verdict {
        let text = event.text.as_deref().filter(|_| event.kind == Kind::Send && context.hops == 0);
        let Some(text) = text else { return Verdict::accept() };
        // `//roll` is how to say `/roll`.
        if let Some(said) = text.strip_prefix('/').filter(|said| split(said).is_some()) {
            return replace(event, said);
        }
        match split(text) {
            Some((name, rest)) => self.obey(&name.to_ascii_lowercase(), rest, event, context),
            None => Verdict::accept(),
        }
    }
}

impl Commands {
    fn obey(&self, name: &str, rest: &str, event: &Event, context: &Context) -> Verdict {
        if let Some(text) = self.texts.get(name) {
            return replace(event, format!("{rest} {text}").trim_start());
        }
        match name {
            _ if self.settings.off.iter().any(|off| off == name) => self.unknown(name),
            "help" => self.tell(&self.help()),
            "me" if rest.is_empty() => self.tell("say what you do: /me waves"),
            "me" => replace(event, rest).annotate("act", &"me"),
            "roll" => match Dice::read(rest) {
                Ok(dice) => roll(&dice, event, context),
                Err(wrong) => self.tell(&wrong),
            },
            _ => self.unknown(name),
        }
    }

    fn unknown(&self, name: &str) -> Verdict {
        match self.settings.unknown {
            Unknown::Notice => self.tell(&format!("there is no command /{name}; /help tells which there are")),
            Unknown::Pass => Verdict::accept(),
        }
    }

    /// Answers the sender alone; the command goes no further.
    fn tell(&self, sentence: &str) -> Verdict {
        Verdict::reject(self.settings.code.get(), "this was a command").notice(sentence)
    }

    fn help(&self) -> String {
        let off = |name: &str| self.settings.off.iter().any(|off| off == name);
        let commands = COMMANDS.iter().filter(|(name, _)| !off(name)).map(|(name, does)| format!("/{name} {does}"));
        let texts = self.texts.iter().map(|(name, text)| format!("/{name} adds {text}"));
        let mut lines: Vec<String> = commands.chain(texts).collect();
        lines.push("// says a message that begins with /".into());
        lines.join("\n")
    }
}

/// Throws dice and says to the room what they show; where nothing may be said, to the sender.
fn roll(dice: &Dice, event: &Event, context: &Context) -> Verdict {
    let shown = format!("{} rolls {}", name(event, context), dice.throw());
    match emit::say(&shown) {
        Ok(()) => Verdict::accept(),
        Err(_) => Verdict::accept().notice(shown),
    }
}

/// What the sender is called: what their token says should be shown, else their id.
fn name(event: &Event, context: &Context) -> String {
    #[derive(Deserialize)]
    struct Shown {
        name: String,
    }
    let shown = context.info.as_deref().and_then(|info| serde_json::from_str::<Shown>(info).ok());
    shown.map_or_else(|| event.sender.clone(), |shown| shown.name)
}

/// A command's name and what follows it; `None` for what is none, such as `/usr/bin` and `/ 2`.
fn split(text: &str) -> Option<(&str, &str)> {
    let command = text.strip_prefix('/')?;
    let (name, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
    let fits = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    fits.then_some((name, rest.trim()))
}

fn is_known(name: &str, texts: &BTreeMap<String, String>) -> bool {
    texts.contains_key(name) || COMMANDS.iter().any(|(known, _)| *known == name)
}

fn replace(event: &Event, text: &str) -> Verdict {
    event.with_text(text).map_or_else(Verdict::accept, Verdict::replace)
}

confab_plugin_sdk::export_plugin!(Commands);

#[cfg(test)]
mod tests {
    use super::*;
    use confab_plugin_sdk::testing::{self, golden};
    use serde_json::json;

    #[test]
    fn the_files_beside_the_code_say_the_truth() {
        golden::check::<Commands>(env!("CARGO_MANIFEST_DIR"));
    }

    #[test]
    fn what_dice_show_is_said_to_the_room_and_differs_from_throw_to_throw() {
        let plugin = testing::plugin::<Commands>(json!({}));
        let shown: std::collections::BTreeSet<String> = (0..20)
            .map(|_| {
                assert_eq!(plugin.judge("/roll d1000"), Verdict::accept());
                emit::emitted().pop().expect("something is said").body
            })
            .collect();
        assert!(shown.len() > 10, "{shown:?}");
    }

    #[test]
    fn help_tells_of_every_command_and_of_none_that_is_off() {
        let plugin = testing::plugin::<Commands>(json!({ "texts": { "wave": "👋" }, "off": ["roll", "unflip"] }));
        let help = format!("{:?}", plugin.judge("/help"));
        for (name, told) in [("/me", true), ("/shrug", true), ("/wave", true), ("/roll", false), ("/unflip", false)] {
            assert_eq!(help.contains(name), told, "{help}");
        }
    }

    #[test]
    fn settings_that_cannot_work_are_refused() {
        let error = |settings| testing::configure::<Commands>(&settings).unwrap_err();
        assert!(error(json!({ "texts": { "Wave!": "👋" } })).contains("Wave!"));
        assert!(error(json!({ "off": ["rol"] })).contains("rol"));
        assert!(error(json!({ "unknown": "shout" })).contains("unknown"));
    }
}
