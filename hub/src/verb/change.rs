//! The verbs `edit` and `delete`: what becomes of a message that was said.

use super::send::{Drafted, Drafts};
use crate::dialect::command;
use confab_config::Limits;
use confab_protocol::{Body, EventId, Key, Kind, Refusal, VerbName};
use serde::Deserialize;

/// The arguments of `edit`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edit {
    room: String,
    key: Option<Key>,
    target: EventId,
    body: Body,
}

/// The arguments of `delete`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delete {
    room: String,
    key: Option<Key>,
    target: EventId,
}

impl Drafts for Edit {
    fn draft(self, _: VerbName, limits: &Limits) -> Result<Drafted, Refusal> {
        let mut drafted = Drafted::new(Kind::Edit, command::room(&self.room, limits.room_name_bytes)?, self.key);
        drafted.draft.target = Some(self.target);
        drafted.draft.body = self.body;
        Ok(drafted)
    }
}

impl Drafts for Delete {
    fn draft(self, _: VerbName, limits: &Limits) -> Result<Drafted, Refusal> {
        let mut drafted = Drafted::new(Kind::Delete, command::room(&self.room, limits.room_name_bytes)?, self.key);
        drafted.draft.target = Some(self.target);
        Ok(drafted)
    }
}
