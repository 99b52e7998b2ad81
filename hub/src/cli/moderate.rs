//! `confab held`, `flag`, `mute` and `ban`: what plugins have set aside, what they want looked at, and who may not speak or be
//! where, through a running hub.

use super::remote::{ask, encoded, said, when, word};
use super::{AnswerArgs, Exit, Screen, SettingsArgs, user};
use clap::{Args, Subcommand};
use confab_protocol::UserId;
use hyper::Method;
use serde_json::{Value, json};
use std::io;
use std::time::Duration;

/// What to list.
#[derive(Args, Clone, Debug)]
pub struct ListArgs {
    /// Only what belongs to this room.
    #[arg(long)]
    room: Option<String>,
    /// The most to list.
    #[arg(long, default_value_t = 50)]
    limit: usize,
    /// Which hub to ask, and how to print its answer.
    #[command(flatten)]
    answer: AnswerArgs,
}

impl ListArgs {
    /// What a request's address ends with.
    fn query(&self) -> String {
        let room = self.room.as_ref().map(|room| format!("&room={}", encoded(room)));
        format!("limit={}{}", self.limit, room.unwrap_or_default())
    }
}

/// Moderate what plugins have set aside.
#[derive(Clone, Debug, Subcommand)]
pub enum HeldCommand {
    /// List the events that wait, the oldest first.
    List(ListArgs),
    /// Let an event through: it is published now.
    Approve {
        /// The event's id.
        id: String,
        /// Which hub to ask, and how to print its answer.
        #[command(flatten)]
        answer: AnswerArgs,
    },
    /// Refuse an event: it is never published.
    Deny {
        /// The event's id.
        id: String,
        /// Why; kept beside the decision.
        #[arg(long)]
        reason: Option<String>,
        /// Which hub to ask, and how to print its answer.
        #[command(flatten)]
        answer: AnswerArgs,
    },
}

/// Look at what plugins flagged.
#[derive(Clone, Debug, Subcommand)]
pub enum FlagCommand {
    /// List flagged events that nobody has looked at, the oldest first.
    List {
        /// Those that somebody has looked at, the last one first.
        #[arg(long)]
        closed: bool,
        /// What to list.
        #[command(flatten)]
        list: ListArgs,
    },
    /// Say that an event was looked at: all of its flags are closed.
    Close {
        /// The event's id.
        id: String,
        /// What came of it; kept beside the flag.
        #[arg(long)]
        reason: Option<String>,
        /// Which hub to ask, and how to print its answer.
        #[command(flatten)]
        answer: AnswerArgs,
    },
}

/// Say who may not speak.
#[derive(Clone, Debug, Subcommand)]
pub enum MuteCommand {
    /// List who may not speak at the moment; those whose mute ends first come first.
    List(ListArgs),
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
        /// Which hub to ask, and how to print its answer.
        #[command(flatten)]
        answer: AnswerArgs,
    },
    /// Let somebody speak again.
    Lift {
        /// The room's name.
        room: String,
        /// Who.
        #[arg(value_parser = user)]
        user: UserId,
        /// Which hub to ask, and how to print its answer.
        #[command(flatten)]
        answer: AnswerArgs,
    },
}

/// Say who may not be there.
#[derive(Clone, Debug, Subcommand)]
pub enum BanCommand {
    /// List who may not be where at the moment; those whose ban ends first come first.
    List {
        /// Only where this user may not be.
        #[arg(long, value_parser = user)]
        user: Option<UserId>,
        /// What to list.
        #[command(flatten)]
        list: ListArgs,
    },
    /// Keep somebody out of a room or off the hub, in place of any such ban before; where they are, they are put out.
    Set {
        /// Who.
        #[arg(value_parser = user)]
        user: UserId,
        /// Where from.
        #[command(flatten)]
        place: PlaceArgs,
        /// For how long, such as `10m` or `7d`: up to a year. Without it: for good.
        #[arg(long = "for", value_name = "DURATION", value_parser = confab_config::human::duration::parse)]
        how_long: Option<Duration>,
        /// What they are told.
        #[arg(long)]
        reason: Option<String>,
        /// Which hub to ask, and how to print its answer.
        #[command(flatten)]
        answer: AnswerArgs,
    },
    /// Let somebody be there again. A ban from one room and one from everywhere are lifted each by itself.
    Lift {
        /// Who.
        #[arg(value_parser = user)]
        user: UserId,
        /// Where.
        #[command(flatten)]
        place: PlaceArgs,
        /// Which hub to ask, and how to print its answer.
        #[command(flatten)]
        answer: AnswerArgs,
    },
}

/// A room, or all of them.
#[derive(Args, Clone, Debug)]
#[group(required = true, multiple = false)]
pub struct PlaceArgs {
    /// In this room.
    #[arg(long)]
    room: Option<String>,
    /// On the whole hub, and every other of the cluster.
    #[arg(long)]
    everywhere: bool,
}

/// `confab held …`.
pub fn held(settings: &SettingsArgs, command: &HeldCommand, screen: &mut Screen<'_>) -> io::Result<Exit> {
    let (how, method, path, body) = match command {
        HeldCommand::List(list) => (&list.answer, Method::GET, format!("/api/v1/held?{}", list.query()), None),
        HeldCommand::Approve { id, answer } => {
            (answer, Method::POST, format!("/api/v1/held/{}/approve", encoded(id)), None)
        }
        HeldCommand::Deny { id, reason, answer } => {
            let body = Some(json!({ "reason": reason }));
            (answer, Method::POST, format!("/api/v1/held/{}/deny", encoded(id)), body)
        }
    };
    ask(settings, how, method, &path, body, screen, |answer, screen| match command {
        HeldCommand::List { .. } => waiting(answer, screen),
        HeldCommand::Approve { id, .. } => {
            writeln!(screen.out, "approved {id}: published at offset {}", answer["offset"])
        }
        HeldCommand::Deny { id, .. } => writeln!(screen.out, "denied {id}"),
    })
}

fn waiting(answer: &Value, screen: &mut Screen<'_>) -> io::Result<()> {
    let held = answer.as_array().map(Vec::as_slice).unwrap_or_default();
    if held.is_empty() {
        return writeln!(screen.out, "nothing is held");
    }
    for held in held {
        let event = &held["event"];
        writeln!(
            screen.out,
            "{}  {}  {} in {}: {}\n    held by {}: {}",
            word(&held["id"]),
            when(&held["held_at"]),
            word(&event["sender"]["user"]),
            word(&event["room"]),
            said(&event["body"]),
            word(&held["plugin"]),
            word(&held["reason"])
        )?;
        for words in held["says"].as_array().into_iter().flatten() {
            writeln!(screen.out, "    once approved, {} says: {}", word(&words["plugin"]), said(&words["body"]))?;
        }
    }
    Ok(())
}

/// `confab flag …`.
pub fn flag(settings: &SettingsArgs, command: &FlagCommand, screen: &mut Screen<'_>) -> io::Result<Exit> {
    let (how, method, path, body) = match command {
        FlagCommand::List { closed, list } => {
            let state = if *closed { "closed" } else { "open" };
            (&list.answer, Method::GET, format!("/api/v1/flags?state={state}&{}", list.query()), None)
        }
        FlagCommand::Close { id, reason, answer } => {
            let body = Some(json!({ "reason": reason }));
            (answer, Method::POST, format!("/api/v1/flags/{}/close", encoded(id)), body)
        }
    };
    ask(settings, how, method, &path, body, screen, |answer, screen| match command {
        FlagCommand::List { .. } => flags(answer, screen),
        FlagCommand::Close { id, .. } => writeln!(screen.out, "closed {} of {id}", answer["closed"]),
    })
}

fn flags(answer: &Value, screen: &mut Screen<'_>) -> io::Result<()> {
    let flags = answer.as_array().map(Vec::as_slice).unwrap_or_default();
    if flags.is_empty() {
        return writeln!(screen.out, "nothing is flagged");
    }
    for flag in flags {
        writeln!(
            screen.out,
            "{}  {}  {} in {}: {}\n    flagged by {}: {}",
            word(&flag["id"]),
            when(&flag["at"]),
            word(&flag["sender"]),
            word(&flag["room"]),
            said(&flag["event"]["body"]),
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
    let (how, method, path, body) = match command {
        MuteCommand::List(list) => (&list.answer, Method::GET, format!("/api/v1/mutes?{}", list.query()), None),
        MuteCommand::Set { room, user, how_long, reason, answer } => {
            let body = json!({ "room": room, "user": user, "seconds": how_long.as_secs(), "reason": reason });
            (answer, Method::POST, "/api/v1/mutes".to_owned(), Some(body))
        }
        MuteCommand::Lift { room, user, answer } => {
            let body = json!({ "room": room, "user": user });
            (answer, Method::POST, "/api/v1/mutes/lift".to_owned(), Some(body))
        }
    };
    ask(settings, how, method, &path, body, screen, |answer, screen| match command {
        MuteCommand::List { .. } => lines(answer, "nobody is muted", screen),
        MuteCommand::Set { .. } => line(answer, screen),
        MuteCommand::Lift { room, user, .. } => writeln!(screen.out, "{user} may speak in {room} again"),
    })
}

/// `confab ban …`.
pub fn ban(settings: &SettingsArgs, command: &BanCommand, screen: &mut Screen<'_>) -> io::Result<Exit> {
    let (how, method, path, body) = match command {
        BanCommand::List { user, list } => {
            let user = user.as_ref().map(|user| format!("&user={}", encoded(user.as_str()))).unwrap_or_default();
            (&list.answer, Method::GET, format!("/api/v1/bans?{}{user}", list.query()), None)
        }
        BanCommand::Set { user, place, how_long, reason, answer } => {
            let seconds = how_long.map(|how_long| how_long.as_secs());
            let body = json!({ "room": place.room, "user": user, "seconds": seconds, "reason": reason });
            (answer, Method::POST, "/api/v1/bans".to_owned(), Some(body))
        }
        BanCommand::Lift { user, place, answer } => {
            let body = json!({ "room": place.room, "user": user });
            (answer, Method::POST, "/api/v1/bans/lift".to_owned(), Some(body))
        }
    };
    ask(settings, how, method, &path, body, screen, |answer, screen| match command {
        BanCommand::List { .. } => lines(answer, "nobody is banned", screen),
        BanCommand::Set { .. } => line(answer, screen),
        BanCommand::Lift { user, place, .. } => {
            let place = place.room.as_deref().unwrap_or("every room");
            writeln!(screen.out, "{user} may come to {place} again")
        }
    })
}

/// End somebody's sessions.
#[derive(Args, Clone, Debug)]
pub struct Disconnect {
    /// Whose.
    #[arg(value_parser = user)]
    user: UserId,
    /// Only this session, as events (`sender.client`) and presence name it.
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    /// Whether their clients are to come back.
    #[arg(long, value_name = "yes|no", default_value = "yes")]
    reconnect: YesNo,
    /// Why; kept in the audit log.
    #[arg(long)]
    reason: Option<String>,
    /// Which hub to ask, and how to print its answer.
    #[command(flatten)]
    answer: AnswerArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum YesNo {
    Yes,
    No,
}

/// `confab disconnect`.
pub fn disconnect(settings: &SettingsArgs, asked: &Disconnect, screen: &mut Screen<'_>) -> io::Result<Exit> {
    let Disconnect { user, session, reconnect, reason, answer } = asked;
    let reconnect = *reconnect == YesNo::Yes;
    let body = json!({ "user": user, "session": session, "reconnect": reconnect, "reason": reason });
    ask(settings, answer, Method::POST, "/api/v1/disconnect", Some(body), screen, |answer, screen| {
        writeln!(screen.out, "disconnected {user}: {} on this hub, and those of all others", answer["here"])
    })
}

fn lines(answer: &Value, none: &str, screen: &mut Screen<'_>) -> io::Result<()> {
    let all = answer.as_array().map(Vec::as_slice).unwrap_or_default();
    if all.is_empty() {
        return writeln!(screen.out, "{none}");
    }
    all.iter().try_for_each(|one| line(one, screen))
}

fn line(one: &Value, screen: &mut Screen<'_>) -> io::Result<()> {
    let [user, by, reason] = ["user", "by", "reason"].map(|key| word(&one[key]));
    let place = one["room"].as_str().map_or_else(|| "everywhere".to_owned(), |room| format!("in {room}"));
    let until = if one["until"].is_null() { "for good".to_owned() } else { format!("until {}", when(&one["until"])) };
    writeln!(screen.out, "{user} {place} {until}, by {by}: {reason}")
}
