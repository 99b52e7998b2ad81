//! `confab flag` and `confab mute`: what plugins want looked at, and who may not speak, through a running hub.

use super::remote::{ask, encoded, when};
use super::{Exit, HubArgs, Screen, SettingsArgs, user};
use clap::Subcommand;
use confab_protocol::UserId;
use hyper::Method;
use serde_json::{Value, json};
use std::io;
use std::time::Duration;

/// Look at what plugins flagged.
#[derive(Clone, Debug, Subcommand)]
pub enum FlagCommand {
    /// List flagged events that nobody has looked at, the oldest first.
    List {
        /// Only those of this room.
        #[arg(long)]
        room: Option<String>,
        /// Those that somebody has looked at, the last one first.
        #[arg(long)]
        closed: bool,
        /// The most to list.
        #[arg(long, default_value_t = 50)]
        limit: usize,
        /// Print JSON.
        #[arg(long)]
        json: bool,
        /// Which hub to ask.
        #[command(flatten)]
        hub: HubArgs,
    },
    /// Say that an event was looked at: all of its flags are closed.
    Close {
        /// The event's id.
        id: String,
        /// What came of it; kept beside the flag.
        #[arg(long)]
        reason: Option<String>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
        /// Which hub to ask.
        #[command(flatten)]
        hub: HubArgs,
    },
}

/// Say who may not speak.
#[derive(Clone, Debug, Subcommand)]
pub enum MuteCommand {
    /// List who may not speak at the moment; those whose mute ends first come first.
    List {
        /// Only in this room.
        #[arg(long)]
        room: Option<String>,
        /// The most to list.
        #[arg(long, default_value_t = 50)]
        limit: usize,
        /// Print JSON.
        #[arg(long)]
        json: bool,
        /// Which hub to ask.
        #[command(flatten)]
        hub: HubArgs,
    },
    /// Keep somebody from speaking in a room for a while, in place of any mute before.
    Set {
        /// The room's name.
        room: String,
        /// Who.
        #[arg(value_parser = user)]
        user: UserId,
        /// For how long, such as `10m` or `7d`: up to a year.
        #[arg(long = "for", default_value = "1h", value_name = "DURATION", value_parser = confab_config::human::duration::parse)]
        how_long: Duration,
        /// What they are told.
        #[arg(long)]
        reason: Option<String>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
        /// Which hub to ask.
        #[command(flatten)]
        hub: HubArgs,
    },
    /// Let somebody speak again.
    Lift {
        /// The room's name.
        room: String,
        /// Who.
        #[arg(value_parser = user)]
        user: UserId,
        /// Print JSON.
        #[arg(long)]
        json: bool,
        /// Which hub to ask.
        #[command(flatten)]
        hub: HubArgs,
    },
}

/// `confab flag …`.
pub fn flag(settings: &SettingsArgs, command: &FlagCommand, screen: &mut Screen<'_>) -> io::Result<Exit> {
    let (hub, as_json, method, path, body) = match command {
        FlagCommand::List { room, closed, limit, json, hub } => {
            let state = if *closed { "closed" } else { "open" };
            (hub, *json, Method::GET, format!("/api/v1/flags?state={state}&limit={limit}{}", of(room.as_ref())), None)
        }
        FlagCommand::Close { id, reason, json, hub } => {
            let body = Some(json!({ "reason": reason }));
            (hub, *json, Method::POST, format!("/api/v1/flags/{}/close", encoded(id)), body)
        }
    };
    ask(settings, hub, method, &path, body, screen, |answer, screen| match (as_json, command) {
        (true, _) => screen.json(answer),
        (false, FlagCommand::List { .. }) => flags(answer, screen),
        (false, FlagCommand::Close { id, .. }) => writeln!(screen.out, "closed {} of {id}", answer["closed"]),
    })
}

fn flags(answer: &Value, screen: &mut Screen<'_>) -> io::Result<()> {
    let flags = answer.as_array().map(Vec::as_slice).unwrap_or_default();
    if flags.is_empty() {
        return writeln!(screen.out, "nothing is flagged");
    }
    for flag in flags {
        let body = &flag["event"]["body"];
        let text = body["text"].as_str().map_or_else(|| body.to_string(), str::to_owned);
        writeln!(
            screen.out,
            "{}  {}  {} in {}: {text}\n    flagged by {}: {}",
            word(&flag["id"]),
            when(&flag["at"]),
            word(&flag["sender"]),
            word(&flag["room"]),
            word(&flag["plugin"]),
            word(&flag["reason"])
        )?;
        if let Some(by) = flag["closed_by"].as_str() {
            let why = flag["closed_why"].as_str().map(|why| format!(": {why}")).unwrap_or_default();
            writeln!(screen.out, "    closed by {by}{why}")?;
        }
    }
    Ok(())
}

/// `confab mute …`.
pub fn mute(settings: &SettingsArgs, command: &MuteCommand, screen: &mut Screen<'_>) -> io::Result<Exit> {
    let (hub, as_json, method, path, body) = match command {
        MuteCommand::List { room, limit, json, hub } => {
            (hub, *json, Method::GET, format!("/api/v1/mutes?limit={limit}{}", of(room.as_ref())), None)
        }
        MuteCommand::Set { room, user, how_long, reason, json, hub } => {
            let body = json!({ "room": room, "user": user, "seconds": how_long.as_secs(), "reason": reason });
            (hub, *json, Method::POST, "/api/v1/mutes".to_owned(), Some(body))
        }
        MuteCommand::Lift { room, user, json, hub } => {
            let body = json!({ "room": room, "user": user });
            (hub, *json, Method::POST, "/api/v1/mutes/lift".to_owned(), Some(body))
        }
    };
    ask(settings, hub, method, &path, body, screen, |answer, screen| match (as_json, command) {
        (true, _) => screen.json(answer),
        (false, MuteCommand::List { .. }) => {
            let mutes = answer.as_array().map(Vec::as_slice).unwrap_or_default();
            if mutes.is_empty() {
                return writeln!(screen.out, "nobody is muted");
            }
            mutes.iter().try_for_each(|mute| line(mute, screen))
        }
        (false, MuteCommand::Set { .. }) => line(answer, screen),
        (false, MuteCommand::Lift { room, user, .. }) => writeln!(screen.out, "{user} may speak in {room} again"),
    })
}

fn line(mute: &Value, screen: &mut Screen<'_>) -> io::Result<()> {
    let until = when(&mute["until"]);
    let [user, room, by, reason] = ["user", "room", "by", "reason"].map(|key| word(&mute[key]));
    writeln!(screen.out, "{user} in {room} until {until}, by {by}: {reason}")
}

fn of(room: Option<&String>) -> String {
    room.map(|room| format!("&room={}", encoded(room))).unwrap_or_default()
}

fn word(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
