//! What `confab plugin …` takes.

use crate::cli::HubArgs;
use clap::{Args, Subcommand, ValueEnum};
use confab_plugin_kit::project::Language;
use std::path::PathBuf;

/// Make, build, test, try and install plugins. All but `dev` need no running hub.
#[derive(Clone, Debug, Subcommand)]
pub enum PluginCommand {
    /// Make a folder with a plugin that builds and passes its tests as it is.
    New(New),
    /// Build the plugin of a folder into one file, with its manifest and settings schema inside.
    Build(Build),
    /// Run the golden cases of a plugin, in the sandbox and limits of a hub.
    Test(Test),
    /// Say what a plugin is, what it asks for and why, and which settings it takes.
    Inspect(Inspect),
    /// Let a plugin judge one message: verdict, what is left of the text, time, memory, and its log.
    Run(Run),
    /// Measure a plugin: microseconds a call under both isolations, and memory.
    Bench(Bench),
    /// Watch a plugin's folder: rebuild, test, and swap it into a local hub at every change.
    Dev(Dev),
    /// Let a plugin judge what was said in a room, and show which verdicts would have been others.
    Replay(Replay),
    /// Pin the plugins of hub.toml to the files that are there now (`blake3`).
    Lock(Lock),
    /// Add a plugin to hub.toml, with the capabilities and limits that it asks for. Comments are kept.
    Add(Add),
}

/// The languages, as the command line calls them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Lang {
    /// Rust: the smallest and fastest plugins.
    #[default]
    Rust,
    /// JavaScript: 12 MB a plugin.
    Js,
    /// Python: 18 MB a plugin.
    Python,
}

impl From<Lang> for Language {
    fn from(lang: Lang) -> Self {
        match lang {
            Lang::Rust => Self::Rust,
            Lang::Js => Self::JavaScript,
            Lang::Python => Self::Python,
        }
    }
}

/// Make a folder with a plugin.
#[derive(Args, Clone, Debug)]
pub struct New {
    /// The plugin's name: letters, digits, `-` and `_`.
    pub name: String,
    /// The language.
    #[arg(long, value_enum, default_value_t)]
    pub lang: Lang,
    /// The folder [default: one of the plugin's name, here].
    #[arg(long, value_name = "FOLDER")]
    pub path: Option<PathBuf>,
    /// Take the Rust SDK from this folder instead of a copy beside the plugin.
    #[arg(long, value_name = "FOLDER")]
    pub sdk: Option<PathBuf>,
}

/// Build a plugin.
#[derive(Args, Clone, Debug)]
pub struct Build {
    /// The plugin's folder.
    #[arg(default_value = ".")]
    pub folder: PathBuf,
    /// The file to write [default: `NAME.wasm` in the folder].
    #[arg(short, long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Run golden cases.
#[derive(Args, Clone, Debug)]
pub struct Test {
    /// The plugin: its folder, which is built first, or a built file.
    #[arg(default_value = ".")]
    pub plugin: PathBuf,
    /// The file of cases [default: `golden.toml` in the folder, or beside the file].
    #[arg(long, value_name = "FILE")]
    pub cases: Option<PathBuf>,
    /// Only cases whose name contains this.
    #[arg(long, value_name = "TEXT")]
    pub only: Option<String>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Say what a plugin is.
#[derive(Args, Clone, Debug)]
pub struct Inspect {
    /// The plugin: its folder, which is built first, or a built file.
    #[arg(default_value = ".")]
    pub plugin: PathBuf,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// What a plugin is tried with.
#[derive(Args, Clone, Debug, Default)]
pub struct With {
    /// One of its settings, as hub.toml writes it: `most=280`, `words=["spam"]`. May be repeated.
    #[arg(short, long = "setting", value_name = "KEY=VALUE", value_parser = setting)]
    pub settings: Vec<(String, toml::Value)>,
    /// Take the settings and limits of this plugin of hub.toml.
    #[arg(long, value_name = "NAME")]
    pub like: Option<String>,
    /// What other servers answer: a file of `[[http]]`, as golden cases write them. All others are away.
    #[arg(long, value_name = "FILE")]
    pub answers: Option<PathBuf>,
}

/// Let a plugin judge one message.
#[derive(Args, Clone, Debug)]
pub struct Run {
    /// The plugin: its folder, which is built first, or a built file.
    #[arg(default_value = ".")]
    pub plugin: PathBuf,
    /// The text of the message.
    #[arg(short, long, value_name = "TEXT", required_unless_present = "event")]
    pub message: Option<String>,
    /// The event instead, as golden cases write it: `{ kind = "edit", text = "hi" }`.
    #[arg(long, value_name = "TOML", conflicts_with = "message")]
    pub event: Option<String>,
    /// What it is tried with.
    #[command(flatten)]
    pub with: With,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Measure a plugin.
#[derive(Args, Clone, Debug)]
pub struct Bench {
    /// The plugin: its folder, which is built first, or a built file.
    #[arg(default_value = ".")]
    pub plugin: PathBuf,
    /// The text of the message.
    #[arg(
        short,
        long,
        value_name = "TEXT",
        default_value = "The quick brown fox jumps over the lazy dog, and nobody minds."
    )]
    pub message: String,
    /// How many calls are measured under each isolation.
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(10..=10_000_000))]
    pub calls: u32,
    /// What it is tried with.
    #[command(flatten)]
    pub with: With,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Watch a plugin's folder.
#[derive(Args, Clone, Debug)]
pub struct Dev {
    /// The plugin's folder.
    #[arg(default_value = ".")]
    pub folder: PathBuf,
    /// The file to write: what hub.toml of the local hub names [default: `NAME.wasm` in the folder].
    #[arg(short, long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Build and test only; leave every hub alone.
    #[arg(long)]
    pub no_reload: bool,
    /// End after so many builds.
    #[arg(long, value_name = "NUMBER")]
    pub builds: Option<u32>,
    /// Which hub to swap it into.
    #[command(flatten)]
    pub hub: HubArgs,
}

/// Where the past comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Past {
    /// The journal of hub.toml: Kafka, or the embedded hub's SQLite.
    Journal,
    /// The store of hub.toml: PostgreSQL or SQLite.
    Store,
    /// A file of events, one JSON object a line, or the JSON of `confab history --json`.
    File(PathBuf),
}

impl std::str::FromStr for Past {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "journal" => Self::Journal,
            "store" => Self::Store,
            file => Self::File(file.into()),
        })
    }
}

/// Let a plugin judge the past.
#[derive(Args, Clone, Debug)]
pub struct Replay {
    /// The plugin: its folder, which is built first, or a built file.
    #[arg(default_value = ".")]
    pub plugin: PathBuf,
    /// Where the past comes from: `journal`, `store`, or a file of events.
    #[arg(long, value_name = "journal|store|FILE", default_value = "store")]
    pub from: Past,
    /// The room.
    #[arg(long)]
    pub room: String,
    /// Compare with this older build, and not with what was said at the time.
    #[arg(long, value_name = "FILE")]
    pub against: Option<PathBuf>,
    /// The most events, counted from the newest.
    #[arg(long, default_value_t = 10_000)]
    pub limit: usize,
    /// What it is tried with.
    #[command(flatten)]
    pub with: With,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Pin plugins.
#[derive(Args, Clone, Debug)]
pub struct Lock {
    /// Only these plugins of hub.toml.
    pub names: Vec<String>,
    /// Change nothing; fail if a pin is missing or another.
    #[arg(long)]
    pub check: bool,
}

/// Add a plugin to hub.toml: what would be written is shown, and asked about.
#[derive(Args, Clone, Debug)]
pub struct Add {
    /// The built file.
    pub file: PathBuf,
    /// Its name in hub.toml [default: that of its manifest].
    #[arg(long)]
    pub name: Option<String>,
    /// The rooms that it judges, as `[[chain]]` writes them. May be repeated.
    #[arg(long = "room", value_name = "PATTERN", default_value = "**")]
    pub rooms: Vec<String>,
    /// One of its settings, as hub.toml writes it: `most=280`, `words=["spam"]`. May be repeated.
    #[arg(short, long = "setting", value_name = "KEY=VALUE", value_parser = setting)]
    pub settings: Vec<(String, toml::Value)>,
    /// Let it judge without effect at first.
    #[arg(long)]
    pub shadow: bool,
    /// Print what would be written, and write nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Write without asking: for scripts.
    #[arg(short, long, conflicts_with = "dry_run")]
    pub yes: bool,
}

/// Reads a setting like `most=280`. What is not written as TOML is text.
fn setting(text: &str) -> Result<(String, toml::Value), String> {
    let (key, value) = text.split_once('=').ok_or("write it like `most=280`")?;
    let read = format!("v = {value}").parse::<toml::Table>().ok().and_then(|mut table| table.remove("v"));
    Ok((key.trim().to_owned(), read.unwrap_or_else(|| value.into())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_toml_or_else_text() {
        assert_eq!(setting("most=280").unwrap(), ("most".into(), 280.into()));
        assert_eq!(setting("words=[\"a=b\"]").unwrap().1, toml::Value::from(vec!["a=b"]));
        assert_eq!(setting("reason=please be brief").unwrap().1, "please be brief".into());
        assert!(setting("most").is_err());
    }
}
