//! The command line, `confab`: its verbs and what they take. What a verb does stands in a file of its own.

pub mod admin_token;
pub mod audit;
pub mod backup;
pub mod chain;
pub mod config_commands;
pub mod dead_letters;
pub mod descriptors;
mod exit;
pub mod lost;
pub mod members;
pub mod migrate;
pub mod moderate;
pub mod plugin;
pub mod plugin_settings;
pub mod reload;
pub mod remote;
pub mod run;
pub mod screen;
#[cfg(test)]
mod tests_support;
pub mod token;

pub use audit::Audit;
pub use exit::Exit;
pub use moderate::{BanCommand, Disconnect, FlagCommand, HeldCommand, MuteCommand};
pub use screen::Screen;

use clap::{Args, CommandFactory, Parser, Subcommand};
use confab_config::{AdminAccess, Diagnostic, Diagnostics, JudgedKind, Loaded};
use confab_protocol::UserId;
use std::fmt::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

const AFTER_HELP: &str = "\
Settings come from hub.toml, from variables that begin with CONFAB_, and from --set; the later wins.
CONFAB_LOG says which log lines are written, such as `info` or `info,confab_hub::session=debug`.

First steps:
  confab config default > hub.toml     every setting with its default
  confab config check                  is it right?
  confab run                           start

Exit codes: 0 done, 1 a check failed, 2 wrong usage, 69 a service cannot be reached, 78 wrong configuration.";

/// A chat hub that people extend with WebAssembly plugins.
///
/// Without a verb it runs the hub: on its own, on SQLite, or, with Redis, Kafka and PostgreSQL configured, as one of many.
#[derive(Debug, Parser)]
#[command(name = "confab", version, after_long_help = AFTER_HELP)]
pub struct Cli {
    /// Which settings hold.
    #[command(flatten)]
    pub settings: SettingsArgs,
    /// What to do; `run` if nothing is said.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Which settings hold.
#[derive(Args, Clone, Debug, Default)]
pub struct SettingsArgs {
    /// The file of settings [default: ./hub.toml, if it exists].
    #[arg(short, long, global = true, value_name = "FILE", env = "CONFAB_CONFIG", hide_env_values = true)]
    pub config: Option<PathBuf>,
    /// Set one setting over file and environment, such as `limits.frame='64 KiB'`. May be repeated.
    #[arg(long = "set", global = true, value_name = "KEY=VALUE", value_parser = confab_config::assignment)]
    pub set: Vec<(String, toml::Value)>,
}

impl SettingsArgs {
    /// How to ask the hub of these settings; `address_known`: its address is not needed.
    pub fn admin_access(&self, address_known: bool) -> Result<AdminAccess, Diagnostics> {
        let environment = confab_config::process_environment();
        confab_config::admin_access(self.config.as_deref(), environment, self.set.clone(), address_known)
    }

    /// Loads the settings, with those of a verb's own flags over all others.
    pub fn load(&self, flags: Vec<(String, toml::Value)>) -> Result<Loaded, Diagnostics> {
        let flags = self.set.iter().cloned().chain(flags).collect();
        confab_config::load(self.config.as_deref(), confab_config::process_environment(), flags)
    }
}

/// The verbs.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Start the hub (the default).
    Run(Run),
    /// Check the settings, show them, or print the reference.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// See which plugins judge a room, how they are, try them, and run the tests of hub.toml.
    #[command(subcommand)]
    Chain(ChainCommand),
    /// Make, build, test, try and install plugins.
    #[command(subcommand)]
    Plugin(plugin::PluginCommand),
    /// Make, check and revoke the tokens that clients connect with.
    #[command(subcommand)]
    Token(TokenCommand),
    /// Create or update tables, topics and whatever else the services need. Safe to repeat.
    Migrate(Migrate),
    /// Copy the embedded hub's database into a file, also while the hub runs. (A cluster's is PostgreSQL, with tools of its own.)
    Backup(Backup),
    /// Put such a copy into the data folder of an embedded hub that is not running. A new generation begins: clients that come
    /// back are told that they may have missed something, and no place is given twice.
    Restore(Restore),
    /// Look after what a cluster's consumer could not store: see why, put it back, or give it up.
    #[command(subcommand)]
    DeadLetters(dead_letters::DeadLettersCommand),
    /// See where a cluster's rooms miss places whose records never came, and close them.
    #[command(subcommand)]
    Lost(lost::LostCommand),
    /// Moderate: see what plugins have set aside, let it through or refuse it.
    #[command(subcommand)]
    Held(HeldCommand),
    /// Moderate: see what plugins want looked at.
    #[command(subcommand)]
    Flag(FlagCommand),
    /// Moderate: see who may not speak in which room, and change it.
    #[command(subcommand)]
    Mute(MuteCommand),
    /// Moderate: see who may not be in which room, or on the hub at all, and change it.
    #[command(subcommand)]
    Ban(BanCommand),
    /// Rooms that have members: list them, make one, or see why somebody may do what there.
    #[command(subcommand)]
    Room(members::RoomCommand),
    /// Who belongs to a room: list, add and remove members, and change what they are.
    #[command(subcommand)]
    Member(members::MemberCommand),
    /// Let a running hub read hub.toml and its plugins again: all of it, or, where anything is wrong, nothing.
    Reload(Reload),
    /// Moderate: end a user's sessions, or one of them, on every hub, without a ban.
    Disconnect(Disconnect),
    /// See what operators and moderators did, and what they were refused.
    Audit(Audit),
    /// Make, list and revoke the tokens with which operators come in at the admin port.
    #[command(subcommand)]
    AdminToken(admin_token::AdminTokenCommand),
    /// Say something in a room, as any client would, through a running hub.
    Send(Send),
    /// Read what was said in a room, through a running hub.
    History(History),
}

impl Default for Command {
    fn default() -> Self {
        Self::Run(Run::default())
    }
}

/// Start the hub.
#[derive(Args, Clone, Debug, Default)]
pub struct Run {
    /// Where clients connect, over `listen` of the settings.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<SocketAddr>,
    /// Where operators connect, over `admin` of the settings.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub admin: Option<SocketAddr>,
}

impl Run {
    /// The settings that the flags stand for.
    pub fn flags(&self) -> Vec<(String, toml::Value)> {
        let flag = |key: &str, address: Option<SocketAddr>| Some((key.to_owned(), address?.to_string().into()));
        [flag("listen", self.listen), flag("admin", self.admin)].into_iter().flatten().collect()
    }
}

/// Check the settings, show them, or print the reference.
#[derive(Clone, Debug, Subcommand)]
pub enum ConfigCommand {
    /// Say everything that is wrong with the settings, with its place and what to type.
    Check {
        /// Fail on warnings, too.
        #[arg(long)]
        deny_warnings: bool,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print the settings in force. Secrets are stars.
    Show {
        /// Say where each value came from: default, file and line, variable, or flag.
        #[arg(long)]
        sources: bool,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print a hub.toml with every setting, its default and what it means.
    Default,
    /// Print every variable that the environment can set, with its default and what it means.
    Env {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

/// See which plugins judge a room, how they are, try them, and run the tests of hub.toml.
#[derive(Clone, Debug, Subcommand)]
pub enum ChainCommand {
    /// Print which plugins judge a room, in order, and which `[[chain]]` of hub.toml says so.
    Explain {
        /// The room's name.
        room: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Let the plugins judge a text here, without a running hub: each verdict, what is left of the text, and the time.
    Try(TryChain),
    /// Say how the plugins of a running hub are: calls, faults, times, memory, and whether one is taken out.
    Status(AnswerArgs),
    /// Run every `[[test]]` of hub.toml against the chains.
    Test {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

/// Let the plugins judge a text.
#[derive(Args, Clone, Debug)]
pub struct TryChain {
    /// The room's name.
    pub room: String,
    /// The text of the message.
    #[arg(default_value = "")]
    pub text: String,
    /// Who says it.
    #[arg(long = "as", value_name = "USER", default_value = "someone", value_parser = user)]
    pub user: UserId,
    /// What happens, as the chains' `on` calls it.
    #[arg(long, value_name = "KIND", default_value = "send", value_parser = judged)]
    pub on: JudgedKind,
    /// A role of theirs; may be repeated.
    #[arg(long = "role", value_name = "ROLE")]
    pub roles: Vec<String>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Make, check and revoke the tokens that clients connect with.
#[derive(Clone, Debug, Subcommand)]
pub enum TokenCommand {
    /// Make a token with the secret of the settings, and print it.
    Create(CreateToken),
    /// Say whether a token is valid now, for whom, and until when; or at which claim it fails, and why. What was revoked, only a
    /// running hub knows.
    Verify {
        /// The token; `-` reads it from standard input, where no list of processes shows it.
        token: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Revoke a user's tokens that were issued before a time, on every hub: their sessions end, and come back only with a newer
    /// token. Those that do not say when they were issued (the claim `iat`) are revoked, too.
    Revoke {
        /// The user's id (the claim `sub`).
        #[arg(value_parser = user)]
        user: UserId,
        /// Those issued before this time, such as `2030-01-31T12:00:00Z` [default: now].
        #[arg(long, value_name = "TIME")]
        before: Option<jiff::Timestamp>,
        /// Which hub to ask, and how to print its answer.
        #[command(flatten)]
        answer: AnswerArgs,
    },
}

/// Make a token.
#[derive(Args, Clone, Debug)]
pub struct CreateToken {
    /// The user's id (the claim `sub`).
    #[arg(value_parser = user)]
    pub user: UserId,
    /// How long it is valid, such as `1h` or `30d`.
    #[arg(long, default_value = "1h", value_name = "DURATION", value_parser = confab_config::human::duration::parse)]
    pub ttl: Duration,
    /// Until when it is valid, such as `2030-01-31T12:00:00Z`, in place of `--ttl`.
    #[arg(long, value_name = "TIME", conflicts_with = "ttl")]
    pub expires: Option<jiff::Timestamp>,
    /// What others are shown of the user (the claim `info`), such as `{"name": "Ann"}`.
    #[arg(long, value_name = "JSON", value_parser = json)]
    pub info: Option<serde_json::Value>,
    /// Print JSON: the token and its claims.
    #[arg(long)]
    pub json: bool,
}

/// Create or update what the services need.
#[derive(Args, Clone, Debug)]
pub struct Migrate {
    /// Apply nothing; say which migrations of the tables are due, and fail if there are any.
    #[arg(long)]
    pub check: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Copy the embedded hub's database.
#[derive(Args, Clone, Debug)]
pub struct Backup {
    /// The file to write. It gets its name when the copy is whole and was checked.
    pub file: PathBuf,
    /// Replace a file that is there.
    #[arg(long)]
    pub force: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Put a copy in the place of the database.
#[derive(Args, Clone, Debug)]
pub struct Restore {
    /// The file that `confab backup` wrote.
    pub file: PathBuf,
    /// Move a database that is there aside. It is kept.
    #[arg(long)]
    pub force: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Which running hub to ask.
#[derive(Args, Clone, Debug, Default)]
pub struct HubArgs {
    /// The hub's admin API [default: `http://` and `admin` of the settings].
    #[arg(long, value_name = "URL", env = "CONFAB_ADMIN_URL", hide_env_values = true)]
    pub admin_url: Option<String>,
    /// A file with the admin token to bring [default: `admin_token` or `admin_token_file` of the settings, else the token that
    /// the hub of these settings made for this machine].
    #[arg(long, value_name = "FILE")]
    pub admin_token_file: Option<PathBuf>,
}

/// Which running hub to ask, and how to print what it answers.
#[derive(Args, Clone, Debug)]
pub struct AnswerArgs {
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    /// Which hub to ask.
    #[command(flatten)]
    pub hub: HubArgs,
}

/// Let a running hub read hub.toml and its plugins again.
#[derive(Args, Clone, Debug)]
pub struct Reload {
    /// Build the new chain and run its tests, and leave everything as it is.
    #[arg(long)]
    pub dry_run: bool,
    /// Which hub to ask, and how to print its answer.
    #[command(flatten)]
    pub answer: AnswerArgs,
}

/// Say something in a room.
#[derive(Args, Clone, Debug)]
pub struct Send {
    /// The room's name.
    pub room: String,
    /// The text of the message.
    pub text: String,
    /// Who says it.
    #[arg(long = "as", value_name = "USER", default_value = "operator", value_parser = user)]
    pub user: UserId,
    /// The key: sent twice with the same key, it is said once [default: a fresh one].
    #[arg(long)]
    pub key: Option<String>,
    /// Which hub to ask, and how to print its answer.
    #[command(flatten)]
    pub answer: AnswerArgs,
}

/// Read what was said in a room.
#[derive(Args, Clone, Debug)]
pub struct History {
    /// The room's name.
    pub room: String,
    /// The most events, counted from the newest.
    #[arg(long, default_value_t = 50)]
    pub limit: usize,
    /// Only events before this place, as an earlier page printed it.
    #[arg(long, value_name = "CURSOR")]
    pub before: Option<String>,
    /// Which hub to ask, and how to print its answer.
    #[command(flatten)]
    pub answer: AnswerArgs,
}

/// Reads the command line of this process; prints help or usage and ends the process where that was asked for or is due.
pub fn parse() -> (SettingsArgs, Command) {
    let Cli { settings, command } = Cli::parse();
    (settings, command.unwrap_or_default())
}

/// Which log lines are written: `CONFAB_LOG`, or the given default where it is not set.
pub fn log_filter(default: &str) -> Result<tracing_subscriber::EnvFilter, Diagnostics> {
    let text = std::env::var("CONFAB_LOG").ok().filter(|text| !text.is_empty()).unwrap_or_else(|| default.to_owned());
    tracing_subscriber::EnvFilter::try_new(&text).map_err(|error| {
        Diagnostic::error("`CONFAB_LOG` cannot be read")
            .note(error.to_string())
            .help("write it like `info` or `info,confab_hub::session=debug`")
            .into()
    })
}

/// The page of the documentation about the command line, made from the help texts.
pub fn reference() -> String {
    let mut page = String::from(
        "# The command line\n\nThis page is made from the help texts (`CONFAB_BLESS=1 cargo test -p confab-hub cli`).\n\
         Exit codes: [exit-codes.md](exit-codes.md). Settings: [configuration.md](configuration.md).\n",
    );
    let mut command = Cli::command().term_width(100).disable_help_subcommand(true);
    command.build();
    describe(&mut command, 2, &mut page);
    page
}

fn describe(command: &mut clap::Command, depth: usize, page: &mut String) {
    let name = command.get_bin_name().unwrap_or_else(|| command.get_name()).to_owned();
    let help = command.render_long_help().to_string();
    let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
    // Writing into a string cannot fail.
    let _ = write!(page, "\n{} `{name}`\n\n```text\n{}\n```\n", "#".repeat(depth), lines.join("\n").trim_end());
    for verb in command.get_subcommands_mut() {
        describe(verb, depth + 1, page);
    }
}

fn user(text: &str) -> Result<UserId, String> {
    UserId::new(text).map_err(|error| error.to_string())
}

fn judged(text: &str) -> Result<JudgedKind, String> {
    let kind = JudgedKind::ALL.into_iter().find(|kind| kind.as_str() == text);
    kind.ok_or_else(|| format!("it is one of {}", JudgedKind::ALL.map(JudgedKind::as_str).join(", ")))
}

fn json(text: &str) -> Result<serde_json::Value, String> {
    serde_json::from_str(text).map_err(|error| format!("it is not JSON: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn the_definition_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn without_a_verb_it_runs() {
        let cli = Cli::try_parse_from(["confab", "--set", "limits.frame=64 KiB"]).unwrap();
        assert!(matches!(cli.command.unwrap_or_default(), Command::Run(_)));
        assert_eq!(cli.settings.set, [("limits.frame".to_owned(), "64 KiB".into())]);
    }

    #[test]
    fn the_flags_of_run_are_settings() {
        let cli = Cli::try_parse_from(["confab", "run", "--listen", "127.0.0.1:0"]).unwrap();
        let Some(Command::Run(run)) = cli.command else { panic!("{:?}", cli.command) };
        assert_eq!(run.flags(), [("listen".to_owned(), "127.0.0.1:0".into())]);
    }

    #[test]
    fn the_documentation_is_made_from_the_help_texts() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/cli.md");
        if std::env::var_os("CONFAB_BLESS").is_some() {
            std::fs::write(&path, reference()).unwrap();
        }
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            found == reference(),
            "docs/reference/cli.md is out of date: run `CONFAB_BLESS=1 cargo test -p confab-hub cli`"
        );
    }
}
