//! The verbs `react` and `unreact`.

use super::arguments::bad;
use super::send::{Drafted, Drafts};
use crate::dialect::command;
use confab_config::Limits;
use confab_protocol::{Body, EventId, Key, Kind, Refusal, VerbName};
use serde::{Deserialize, Serialize};

/// The longest reaction, in bytes: an emoji with all its modifiers, or a short name.
const REACTION_BYTES_MAX: usize = 64;

/// The arguments of both.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arguments {
    room: String,
    key: Option<Key>,
    target: EventId,
    reaction: String,
}

/// The body of the event.
#[derive(Serialize)]
struct Reaction<'a> {
    reaction: &'a str,
}

impl Drafts for Arguments {
    fn draft(self, verb: VerbName, limits: &Limits) -> Result<Drafted, Refusal> {
        if self.reaction.is_empty() || self.reaction.len() > REACTION_BYTES_MAX {
            return Err(bad(format!("a reaction has 1 to {REACTION_BYTES_MAX} bytes")));
        }
        let kind = if verb == VerbName::Unreact { Kind::Unreaction } else { Kind::Reaction };
        let mut drafted = Drafted::new(kind, command::room(&self.room, limits.room_name_bytes)?, self.key);
        drafted.draft.target = Some(self.target);
        drafted.draft.body = Body::of(&Reaction { reaction: &self.reaction });
        Ok(drafted)
    }
}
