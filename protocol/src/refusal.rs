//! Why the answer to a command is no: the public list of refusal codes.
//!
//! 100–199 are the Centrifugo client protocol's own and mean what they mean there; 200–299 are Confab's;
//! 400–1999 belong to plugins, which choose their own.

use crate::{Body, Cursor, EventId};
use std::borrow::Cow;

/// The answer to one command is no. A temporary refusal may be tried again, with the same key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Something failed in the hub; the id finds the log line.
    Internal {
        /// What to quote to the operator.
        incident: String,
    },
    /// The session has not shown who it is.
    Unauthorized,
    /// There is no such room, or its name cannot be one.
    UnknownRoom,
    /// This user may not do that here; why, where that tells nothing that they must not know.
    PermissionDenied(Cow<'static, str>),
    /// The hub does not know this command.
    MethodNotFound,
    /// The session is in that room already.
    AlreadyJoined,
    /// A limit of the hub is reached (rooms per session, size of a body …).
    LimitExceeded(Cow<'static, str>),
    /// The command makes no sense as it is.
    BadRequest(Cow<'static, str>),
    /// What was asked for does not exist here (an unknown rpc, a switched-off feature).
    NotAvailable,
    /// The token ran out: get another.
    TokenExpired,
    /// The token for a room, brought to refresh a membership, ran out itself: bring another.
    Expired,
    /// Too fast, or too many: a limit of the user's or the session's own is reached.
    TooManyRequests {
        /// After so many milliseconds it may be tried again.
        retry_after_ms: u64,
    },
    /// The place to read from is not in this timeline; page with the rpc `history` from the oldest place given.
    UnrecoverablePosition,
    /// The store has not caught up to where the hot window begins: ask again.
    HistoryBehind,
    /// The same key came before with another draft.
    KeyConflict,
    /// The send was started and its fate is not known: ask again with the same key.
    Unknown,
    /// The journal takes nothing at the moment; nothing was started.
    JournalUnavailable,
    /// The timeline takes nothing at the moment; nothing was started.
    TimelineUnavailable,
    /// The store cannot answer at the moment.
    StoreUnavailable,
    /// A plugin set the event aside for a moderator. The event's id finds it.
    Held {
        /// The held event.
        id: EventId,
        /// What the plugin said; empty where it failed.
        reason: String,
    },
    /// A plugin that must judge failed, and its policy is to refuse.
    PluginFault {
        /// The plugin's name.
        plugin: String,
    },
    /// The hub is draining: ask another.
    Draining,
    /// The event to act on is not in this room, or not any more.
    UnknownTarget {
        /// It was there, and was deleted.
        deleted: bool,
    },
    /// The user may not speak in this room for a while.
    Muted {
        /// For so many more seconds.
        seconds: u64,
        /// What whoever said so gave for it.
        reason: String,
    },
    /// The user may not be in this room, or not on this hub at all.
    Banned {
        /// For so many more seconds; `None` is for good.
        seconds: Option<u64>,
        /// What whoever said so gave for it.
        reason: String,
    },
    /// The keys that could check the token cannot be read at the moment.
    KeysUnavailable,
    /// A plugin refused the event, with a code of its own (400–1999).
    Plugin {
        /// The plugin's code.
        code: u32,
        /// What it said to the sender.
        reason: String,
        /// What else it said, as JSON.
        details: Option<Body>,
    },
}

/// The codes that belong to plugins.
pub const PLUGIN_CODES: std::ops::RangeInclusive<u32> = 400..=1999;

impl Refusal {
    /// The number that clients see.
    pub fn code(&self) -> u32 {
        match self {
            Self::Internal { .. } => 100,
            Self::Unauthorized => 101,
            Self::UnknownRoom => 102,
            Self::PermissionDenied(_) => 103,
            Self::MethodNotFound => 104,
            Self::AlreadyJoined => 105,
            Self::LimitExceeded(_) => 106,
            Self::BadRequest(_) => 107,
            Self::NotAvailable => 108,
            Self::TokenExpired => 109,
            Self::Expired => 110,
            Self::TooManyRequests { .. } => 111,
            Self::UnrecoverablePosition => 112,
            Self::HistoryBehind => 200,
            Self::KeyConflict => 201,
            Self::Unknown => 202,
            Self::JournalUnavailable => 203,
            Self::TimelineUnavailable => 204,
            Self::StoreUnavailable => 205,
            Self::Held { .. } => 206,
            Self::PluginFault { .. } => 207,
            Self::Draining => 208,
            Self::UnknownTarget { .. } => 209,
            Self::Muted { .. } => 210,
            Self::Banned { .. } => 211,
            Self::KeysUnavailable => 212,
            Self::Plugin { code, .. } => *code,
        }
    }

    /// Whether asking again, with the same key, may be answered otherwise.
    pub fn temporary(&self) -> bool {
        matches!(
            self,
            Self::Internal { .. }
                | Self::Expired
                | Self::TooManyRequests { .. }
                | Self::HistoryBehind
                | Self::Unknown
                | Self::JournalUnavailable
                | Self::TimelineUnavailable
                | Self::StoreUnavailable
                | Self::PluginFault { .. }
                | Self::Draining
                | Self::KeysUnavailable
        )
    }

    /// A stable name for metrics and documents.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Internal { .. } => "internal",
            Self::Unauthorized => "unauthorized",
            Self::UnknownRoom => "unknown_room",
            Self::PermissionDenied(_) => "permission_denied",
            Self::MethodNotFound => "method_not_found",
            Self::AlreadyJoined => "already_joined",
            Self::LimitExceeded(_) => "limit_exceeded",
            Self::BadRequest(_) => "bad_request",
            Self::NotAvailable => "not_available",
            Self::TokenExpired => "token_expired",
            Self::Expired => "expired",
            Self::TooManyRequests { .. } => "too_many_requests",
            Self::UnrecoverablePosition => "unrecoverable_position",
            Self::HistoryBehind => "history_behind",
            Self::KeyConflict => "key_conflict",
            Self::Unknown => "unknown",
            Self::JournalUnavailable => "journal_unavailable",
            Self::TimelineUnavailable => "timeline_unavailable",
            Self::StoreUnavailable => "store_unavailable",
            Self::Held { .. } => "held",
            Self::PluginFault { .. } => "plugin_fault",
            Self::Draining => "draining",
            Self::UnknownTarget { .. } => "unknown_target",
            Self::Muted { .. } => "muted",
            Self::Banned { .. } => "banned",
            Self::KeysUnavailable => "keys_unavailable",
            Self::Plugin { .. } => "plugin",
        }
    }

    /// The sentence that clients see.
    pub fn message(&self) -> Cow<'_, str> {
        match self {
            Self::Internal { incident } => format!("internal server error (quote {incident})").into(),
            Self::Unauthorized => "unauthorized".into(),
            Self::UnknownRoom => "unknown channel".into(),
            Self::PermissionDenied(why) => format!("permission denied: {why}").into(),
            Self::MethodNotFound => "method not found".into(),
            Self::AlreadyJoined => "already subscribed".into(),
            Self::LimitExceeded(what) => format!("limit exceeded: {what}").into(),
            Self::BadRequest(what) => format!("bad request: {what}").into(),
            Self::NotAvailable => "not available".into(),
            Self::TokenExpired => "token expired".into(),
            Self::Expired => "expired".into(),
            Self::TooManyRequests { retry_after_ms } => {
                format!("too many requests: try again in {retry_after_ms} ms").into()
            }
            Self::UnrecoverablePosition => "unrecoverable position".into(),
            Self::HistoryBehind => "history_behind: the store is catching up, ask again".into(),
            Self::KeyConflict => "the same key came before with another draft".into(),
            Self::Unknown => "outcome unknown: ask again with the same key".into(),
            Self::JournalUnavailable => "the journal is unavailable: nothing was sent, ask again".into(),
            Self::TimelineUnavailable => "the timeline is unavailable: nothing was sent, ask again".into(),
            Self::StoreUnavailable => "the store is unavailable: ask again".into(),
            Self::Held { id, reason } if reason.is_empty() => format!("held for review as {id}").into(),
            Self::Held { id, reason } => format!("held for review as {id}: {reason}").into(),
            // Which plugin, and why, is in the log: whoever says something can do nothing about it.
            Self::PluginFault { .. } => "this could not be checked now".into(),
            Self::Draining => "this hub is draining: ask another".into(),
            Self::UnknownTarget { deleted: false } => "the event to act on is not in this room".into(),
            Self::UnknownTarget { deleted: true } => "the message to act on was deleted".into(),
            Self::Muted { seconds, reason } => format!("muted here for {seconds} s more: {reason}").into(),
            Self::Banned { seconds: Some(seconds), reason } => format!("banned for {seconds} s more: {reason}").into(),
            Self::Banned { seconds: None, reason } => format!("banned: {reason}").into(),
            Self::KeysUnavailable => "the keys to check the token with are unavailable: ask again".into(),
            Self::Plugin { reason, .. } => reason.as_str().into(),
        }
    }
}

/// Where a room's oldest served event stands; told to a client that cannot be given all it missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Oldest {
    /// The oldest cursor that can be read.
    pub oldest: Cursor,
}
