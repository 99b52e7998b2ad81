//! Verbs: what clients call in any dialect, and operators over the admin API. One table names them all; each is a file.
//!
//! A verb reads its arguments, asks [`Access`] whether that may be, and does its work with the permit. The doors know the table, and
//! not the verbs: a verb more is a file, its name in `protocol`, and a row here.

pub mod change;
pub mod direct;
pub mod history;
pub mod member;
pub mod messages;
pub mod operator;
pub mod react;
pub mod review;
pub mod room;
pub mod send;
pub mod typing;

mod arguments;
mod audited;

pub use arguments::ArgumentType;
pub use send::Drafted;

use crate::access::{Access, Act, Claim};
use crate::actor::Actor;
use crate::audit::Audit;
use crate::dialect::command;
use crate::members::Members;
use crate::presence::Presence;
use crate::publish::Publisher;
use crate::recover::Recoverer;
use crate::review::Reviewer;
use crate::signals::Signals;
use crate::telemetry::Telemetry;
use crate::timeline;
use confab_config::{Limits, Rooms as RoomRules};
use confab_protocol::{Body, Refusal, Room, VerbName};
use confab_store::Store;
use futures_util::future::BoxFuture;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use tokio_util::task::TaskTracker;

/// What verbs call on.
pub struct Services {
    /// Who may do what, where.
    pub access: Arc<Access>,
    /// Who belongs to rooms that have members.
    pub members: Arc<Members>,
    /// What people call these rooms.
    pub store: Store,
    /// The way in.
    pub publisher: Arc<Publisher>,
    /// The way back.
    pub recoverer: Arc<Recoverer>,
    /// Who listens.
    pub presence: Arc<Presence>,
    /// What moderators can do.
    pub reviewer: Arc<Reviewer>,
    /// What tells users something, or ends their sessions.
    pub signals: Arc<Signals>,
    /// Where it is written down what operators and moderators do.
    pub audit: Arc<Audit>,
    /// What rooms are.
    pub rules: RoomRules,
    /// How large, how long.
    pub limits: Limits,
    /// Counts.
    pub telemetry: Arc<Telemetry>,
    /// What is under way: a drain waits for it.
    pub tasks: TaskTracker,
}

impl Services {
    /// The room of that name, if there can be one.
    fn room(&self, name: &str) -> Result<Room, Refusal> {
        command::room(name, self.limits.room_name_bytes)
    }
}

/// Who calls a verb.
pub struct Caller<'a> {
    /// Who.
    pub actor: &'a Arc<Actor>,
    /// What they have to show for a room.
    pub claim: &'a (dyn Fn(&Room) -> Claim + Sync),
    /// The most bytes of an answer.
    pub bytes_max: usize,
}

/// Why a verb came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is refused.
    #[error("{}", .0.message())]
    Refused(Refusal),
    /// What a moderator asked for cannot be done.
    #[error(transparent)]
    Review(#[from] crate::review::Error),
    /// Sessions of this hub ended, and the other hubs were perhaps not told.
    #[error("{here} sessions ended on this hub; the others could not be told: {error}; ask again")]
    Untold {
        /// How many ended here.
        here: usize,
        /// Why the others were not told.
        error: timeline::Error,
    },
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl Error {
    /// The number of what a session is told.
    pub fn code(&self) -> u32 {
        match self {
            Self::Refused(refusal) => refusal.code(),
            Self::Review(error) => error.code(),
            Self::Untold { .. } => Refusal::TimelineUnavailable.code(),
        }
    }

    /// What a session is told.
    pub fn refusal(self) -> Refusal {
        match self {
            Self::Refused(refusal) => refusal,
            Self::Review(error) => error.refusal(),
            Self::Untold { .. } => Refusal::TimelineUnavailable,
        }
    }
}

/// Whom a verb is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Whoever may do this in the room that the arguments name.
    Room(Act),
    /// Moderators.
    Moderator,
    /// Whoever is connected: what they may is asked of what the arguments say.
    Anybody,
}

/// A verb's work, once it has begun.
pub type Work = BoxFuture<'static, Result<Body, Error>>;

/// What begins a verb's work.
pub type Begin = fn(&Arc<Services>, &Caller<'_>, Option<&Body>) -> Result<Work, Error>;

/// How a verb is done.
#[derive(Clone, Copy)]
pub enum How {
    /// Its arguments are a draft, which is carried in: in its sender's turn, where the sender has one.
    Draft(fn(VerbName, Option<&Body>, &Limits) -> Result<Drafted, Refusal>),
    /// It is asked for, and answers. What is refused at once does not begin.
    Work(Begin),
}

/// A row of the table.
pub struct Verb {
    /// What it is called.
    pub name: VerbName,
    /// Whom it is for.
    pub needs: Needs,
    /// Whether it may change something. What operators and moderators change is written down.
    pub changes: bool,
    /// Whether its answer is a page, which is read when the client has room for it.
    pub pages: bool,
    /// Its arguments.
    pub arguments: ArgumentType,
    /// The type of its result.
    pub result: &'static str,
    /// Where the admin API has it, behind `/api/v1/`.
    pub admin: &'static [&'static str],
    /// How it is done.
    pub how: How,
}

/// All verbs, in the order of [`VerbName::ALL`].
pub static TABLE: [Verb; VerbName::ALL.len()] = [
    Verb { admin: &["send"], ..drafted::<send::Arguments>(VerbName::Send, Act::Speak) },
    drafted::<change::Edit>(VerbName::Edit, Act::Speak),
    drafted::<change::Delete>(VerbName::Delete, Act::TakeBack),
    drafted::<react::Arguments>(VerbName::React, Act::React),
    drafted::<react::Arguments>(VerbName::Unreact, Act::TakeBack),
    Verb {
        name: VerbName::History,
        needs: Needs::Room(Act::Read),
        changes: false,
        pages: true,
        arguments: ArgumentType::of::<history::Arguments>(),
        result: "Page",
        admin: &["history"],
        how: How::Work(history::begin),
    },
    Verb {
        name: VerbName::Messages,
        needs: Needs::Room(Act::Read),
        changes: false,
        pages: true,
        arguments: ArgumentType::of::<messages::Arguments>(),
        result: "Messages",
        admin: &[],
        how: How::Work(messages::begin),
    },
    Verb {
        name: VerbName::Typing,
        needs: Needs::Room(Act::Type),
        changes: false,
        pages: false,
        arguments: ArgumentType::of::<typing::Arguments>(),
        result: "Nothing",
        admin: &[],
        how: How::Work(typing::begin),
    },
    Verb {
        name: VerbName::Review,
        needs: Needs::Moderator,
        changes: true,
        pages: false,
        arguments: ArgumentType::of::<review::Arguments>(),
        result: "Answer",
        admin: &[
            "held",
            "held/{id}/approve",
            "held/{id}/deny",
            "flags",
            "flags/{id}/close",
            "mutes",
            "mutes/lift",
            "bans",
            "bans/lift",
        ],
        how: How::Work(review::begin),
    },
    Verb { result: "Room", ..asked_for::<room::Create>(VerbName::CreateRoom, Needs::Anybody, room::create) },
    Verb {
        changes: false,
        pages: true,
        result: "Rooms",
        ..asked_for::<room::List>(VerbName::Rooms, Needs::Anybody, room::list)
    },
    Verb {
        changes: false,
        result: "Room",
        ..asked_for::<room::Get>(VerbName::GetRoom, Needs::Room(Act::SeeMembers), room::get)
    },
    Verb {
        admin: &["rooms/update"],
        result: "Room",
        ..asked_for::<room::Update>(VerbName::UpdateRoom, Needs::Room(Act::Manage), room::update)
    },
    Verb {
        admin: &["members"],
        changes: false,
        pages: true,
        result: "Members",
        ..asked_for::<member::List>(VerbName::Members, Needs::Room(Act::SeeMembers), member::list)
    },
    Verb { result: "Member", ..asked_for::<member::Add>(VerbName::AddMember, Needs::Room(Act::Invite), member::add) },
    Verb {
        admin: &["members/remove"],
        result: "Member",
        ..asked_for::<member::Remove>(VerbName::RemoveMember, Needs::Room(Act::Remove), member::remove)
    },
    Verb {
        admin: &["members/role"],
        result: "Member",
        ..asked_for::<member::SetRole>(VerbName::SetRole, Needs::Room(Act::SetRoles), member::set_role)
    },
    Verb { result: "Room", ..asked_for::<direct::Arguments>(VerbName::Direct, Needs::Anybody, direct::begin) },
];

/// The row of a verb that is asked for, and changes something.
const fn asked_for<A: DeserializeOwned>(name: VerbName, needs: Needs, begin: Begin) -> Verb {
    Verb {
        name,
        needs,
        changes: true,
        pages: false,
        arguments: ArgumentType::of::<A>(),
        result: "",
        admin: &[],
        how: How::Work(begin),
    }
}

/// The row of a verb whose arguments are a draft.
const fn drafted<A: send::Drafts>(name: VerbName, act: Act) -> Verb {
    Verb {
        name,
        needs: Needs::Room(act),
        changes: true,
        pages: false,
        arguments: ArgumentType::of::<A>(),
        result: "Receipt",
        admin: &[],
        how: How::Draft(send::read::<A>),
    }
}

/// The verb of that name.
///
/// # Errors
/// [`Refusal::NotAvailable`]: there is none.
pub fn named(name: &str) -> Result<&'static Verb, Refusal> {
    let name = VerbName::from_name(name).ok_or(Refusal::NotAvailable)?;
    TABLE.iter().find(|verb| verb.name == name).ok_or(Refusal::NotAvailable)
}

#[cfg(test)]
mod tests;
