//! `confab room` and `confab member`: rooms that people made, and who belongs to them, through a running hub.

use super::remote::{ask, encoded, when, word};
use super::{AnswerArgs, Exit, Screen, SettingsArgs, user};
use clap::{Subcommand, ValueEnum};
use confab_plugin_kit::plain;
use confab_protocol::UserId;
use hyper::Method;
use serde_json::{Value, json};
use std::io;

/// Rooms that have members.
#[derive(Clone, Debug, Subcommand)]
pub enum RoomCommand {
    /// List the rooms that people and operators made, by name.
    List {
        /// Only those after this one.
        #[arg(long)]
        after: Option<String>,
        /// The most rooms.
        #[arg(long, default_value_t = 100)]
        limit: usize,
        /// Which hub to ask, and how to print its answer.
        #[command(flatten)]
        answer: AnswerArgs,
    },
    /// Make a room whose name `[[room]] join = "members"` matches. One that is there already is left as it is.
    Create {
        /// Its name.
        room: String,
        /// Who owns it. Without: operators decide about it.
        #[arg(long, value_parser = user)]
        owner: Option<UserId>,
        /// Who else belongs to it; may be given again.
        #[arg(long = "member", value_parser = user)]
        members: Vec<UserId>,
        /// What people call it.
        #[arg(long, default_value = "")]
        title: String,
        /// What it is about.
        #[arg(long, default_value = "")]
        topic: String,
        /// Which hub to ask, and how to print its answer.
        #[command(flatten)]
        answer: AnswerArgs,
    },
    /// Say what a room is, by which rules of hub.toml, and what somebody may do there, and why not.
    Explain {
        /// Its name.
        room: String,
        /// Who.
        #[arg(long, value_parser = user)]
        user: Option<UserId>,
        /// Which hub to ask, and how to print its answer.
        #[command(flatten)]
        answer: AnswerArgs,
    },
}

/// What a member is.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum RoleArg {
    /// One of those who belong to it.
    Member,
    /// Keeps order in it.
    Moderator,
    /// Decides about it.
    Owner,
}

impl RoleArg {
    fn name(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Moderator => "moderator",
            Self::Owner => "owner",
        }
    }
}

/// Who belongs to a room.
#[derive(Clone, Debug, Subcommand)]
pub enum MemberCommand {
    /// List the members of a room.
    List {
        /// The room's name.
        room: String,
        /// Only those after this one.
        #[arg(long)]
        after: Option<String>,
        /// The most members.
        #[arg(long, default_value_t = 100)]
        limit: usize,
        /// Which hub to ask, and how to print its answer.
        #[command(flatten)]
        answer: AnswerArgs,
    },
    /// Make somebody a member. Who is one keeps the role that they have.
    Add {
        /// The room's name.
        room: String,
        /// Who.
        #[arg(value_parser = user)]
        user: UserId,
        /// What they are there.
        #[arg(long, value_enum, default_value = "member")]
        role: RoleArg,
        /// Which hub to ask, and how to print its answer.
        #[command(flatten)]
        answer: AnswerArgs,
    },
    /// Make somebody a member no more: they hear nothing of the room from then on.
    Remove {
        /// The room's name.
        room: String,
        /// Who.
        #[arg(value_parser = user)]
        user: UserId,
        /// Why, for the audit log.
        #[arg(long)]
        reason: Option<String>,
        /// Which hub to ask, and how to print its answer.
        #[command(flatten)]
        answer: AnswerArgs,
    },
    /// Give a member another role.
    Role {
        /// The room's name.
        room: String,
        /// Who.
        #[arg(value_parser = user)]
        user: UserId,
        /// What they are from now on.
        #[arg(value_enum)]
        role: RoleArg,
        /// Which hub to ask, and how to print its answer.
        #[command(flatten)]
        answer: AnswerArgs,
    },
}

/// `confab room`.
pub fn room(settings: &SettingsArgs, command: &RoomCommand, screen: &mut Screen<'_>) -> io::Result<Exit> {
    match command {
        RoomCommand::List { after, limit, answer } => {
            let path = format!("/api/v1/rooms?limit={limit}{}", after_query(after.as_deref()));
            ask(settings, answer, Method::GET, &path, None, screen, |page, screen| {
                writeln!(screen.out, "{:<44} {:>7}  {:<20}  title", "room", "members", "made")?;
                for room in page["rooms"].as_array().into_iter().flatten() {
                    let title = plain::escaped(word(&room["title"]));
                    let made = when(&room["created_at"]);
                    writeln!(screen.out, "{:<44} {:>7}  {made:<20}  {title}", word(&room["room"]), room["members"])?;
                }
                next(page, screen)
            })
        }
        RoomCommand::Create { room, owner, members, title, topic, answer } => {
            let body = json!({"room": room, "owner": owner, "members": members, "title": title, "topic": topic});
            ask(settings, answer, Method::POST, "/api/v1/rooms", Some(body), screen, |room, screen| {
                writeln!(screen.out, "{} has {}", word(&room["room"]), counted(&room["members"]))
            })
        }
        RoomCommand::Explain { room, user, answer } => {
            let of = user.as_ref().map(|user| format!("&user={}", encoded(user.as_str()))).unwrap_or_default();
            let path = format!("/api/v1/rooms/explain?room={}{of}", encoded(room));
            ask(settings, answer, Method::GET, &path, None, screen, explained)
        }
    }
}

fn explained(answer: &Value, screen: &mut Screen<'_>) -> io::Result<()> {
    let who = match (answer["personal"] == true, word(&answer["join"])) {
        (true, _) => "the users that its name gives",
        (_, "members") => "its members; for everybody else there is no such room",
        (_, "token") => "whoever brings a token for it",
        _ => "whoever is connected",
    };
    writeln!(screen.out, "{} is for {who}", plain::escaped(word(&answer["room"])))?;
    for rule in answer["rules"].as_array().into_iter().flatten() {
        writeln!(screen.out, "  by [[room]] number {}, match = {}", rule["rule"], rule["match"])?;
    }
    match answer["made"].as_object() {
        Some(made) => {
            let by = plain::escaped(word(&made["created_by"]));
            writeln!(screen.out, "  made by {by}, {}; {}", when(&made["created_at"]), counted(&made["members"]))?;
        }
        None if answer["join"] == "members" => writeln!(screen.out, "  nobody has made it yet")?,
        None => {}
    }
    let Some(user) = answer["user"].as_str() else { return Ok(()) };
    let role = answer["role"].as_str().unwrap_or("no member");
    writeln!(screen.out, "{} is {role} there, and without a token may:", plain::escaped(user))?;
    for act in answer["acts"].as_array().into_iter().flatten() {
        let why = act["why"].as_str().map(|why| format!("  ({})", plain::escaped(why))).unwrap_or_default();
        let may = if act["may"] == true { "yes" } else { "no" };
        writeln!(screen.out, "  {:<24} {may}{why}", word(&act["act"]))?;
    }
    Ok(())
}

/// `confab member`.
pub fn member(settings: &SettingsArgs, command: &MemberCommand, screen: &mut Screen<'_>) -> io::Result<Exit> {
    match command {
        MemberCommand::List { room, after, limit, answer } => {
            let path = format!("/api/v1/members?room={}&limit={limit}{}", encoded(room), after_query(after.as_deref()));
            ask(settings, answer, Method::GET, &path, None, screen, |page, screen| {
                for member in page["members"].as_array().into_iter().flatten() {
                    writeln!(screen.out, "{:<9}  {}", word(&member["role"]), plain::escaped(word(&member["user"])))?;
                }
                next(page, screen)
            })
        }
        MemberCommand::Add { room, user, role, answer } => {
            let body = json!({"room": room, "user": user, "role": role.name()});
            ask(settings, answer, Method::POST, "/api/v1/members", Some(body), screen, done)
        }
        MemberCommand::Remove { room, user, reason, answer } => {
            let body = json!({"room": room, "user": user, "reason": reason});
            ask(settings, answer, Method::POST, "/api/v1/members/remove", Some(body), screen, done)
        }
        MemberCommand::Role { room, user, role, answer } => {
            let body = json!({"room": room, "user": user, "role": role.name()});
            ask(settings, answer, Method::POST, "/api/v1/members/role", Some(body), screen, done)
        }
    }
}

fn done(answer: &Value, screen: &mut Screen<'_>) -> io::Result<()> {
    let who = plain::escaped(word(&answer["user"]));
    let room = plain::escaped(word(&answer["room"]));
    match (answer["changed"] == true, answer["role"].as_str()) {
        (false, _) => writeln!(screen.out, "{who} was that in {room} already: nothing has changed"),
        (true, Some(role)) => writeln!(screen.out, "{who} is {role} in {room} now"),
        (true, None) => writeln!(screen.out, "{who} is no member of {room} any more"),
    }
}

fn counted(count: &Value) -> String {
    format!("{count} member{}", if count == 1 { "" } else { "s" })
}

fn after_query(after: Option<&str>) -> String {
    after.map(|after| format!("&after={}", encoded(after))).unwrap_or_default()
}

fn next(page: &Value, screen: &mut Screen<'_>) -> io::Result<()> {
    match page["next"].as_str() {
        Some(next) => writeln!(screen.err, "more: --after {}", plain::escaped(next)),
        None => Ok(()),
    }
}
