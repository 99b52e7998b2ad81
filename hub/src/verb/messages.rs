//! The verb `messages`: what was said in a room as it is now, page by page.

use super::history::{SinceIn, page_max, private};
use super::{Caller, Error, Services, Work, arguments};
use crate::access::Act;
use crate::dialect::command::Since;
use crate::recover::{Asked, Messages};
use confab_protocol::{Annotations, Body, Cursor, Epoch, EventId, Key, Millis, Refusal, Sender, UserId, VerbName};
use confab_store::Message;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The arguments. Without a place: the newest.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arguments {
    room: String,
    /// Messages before this place, from new to old.
    before: Option<SinceIn>,
    /// Messages after this place, from old to new.
    after: Option<SinceIn>,
    /// The most messages.
    limit: Option<usize>,
}

pub(super) fn begin(services: &Arc<Services>, caller: &Caller<'_>, data: Option<&Body>) -> Result<Work, Error> {
    let Arguments { room, before, after, limit } = arguments::read(VerbName::Messages, data)?;
    if before.is_some() && after.is_some() {
        return Err(bad("`messages`: give `before` or `after`, not both"));
    }
    if limit == Some(0) {
        return Err(bad("`messages`: `limit` is at least 1"));
    }
    let room = services.room(&room)?;
    let permit = services.access.may(caller.actor, Act::Read, &room, (caller.claim)(&room))?;
    let first = private(services, caller.actor, &room, VerbName::Messages);
    let reverse = after.is_none();
    let since = before.or(after).map(|SinceIn { epoch, offset }| Since { epoch, offset });
    let limit = limit.unwrap_or(services.limits.history_page).min(page_max(services, caller.actor));
    let bytes = caller.bytes_max;
    let actor = caller.actor.clone();
    let services = services.clone();
    Ok(Box::pin(async move {
        if let Some(act) = first {
            services.audit.first(act).await?;
        }
        let _reading = services.recoverer.reading.acquire().await;
        let page = services.recoverer.messages(&permit, Asked { since, reverse, limit, bytes }).await?;
        services.access.still_holds(&permit)?; // the read may have taken a while
        Ok(written(page, &actor.user, bytes))
    }))
}

fn bad(what: &'static str) -> Error {
    Error::Refused(Refusal::BadRequest(what.into()))
}

/// A message as it is written.
#[derive(Serialize)]
struct Written<'a> {
    id: EventId,
    sender: &'a Sender,
    key: &'a Key,
    epoch: Epoch,
    offset: u64,
    at: Millis,
    body: &'a Body,
    #[serde(skip_serializing_if = "Annotations::is_empty")]
    annotations: &'a Annotations,
    #[serde(skip_serializing_if = "Option::is_none")]
    thread: Option<EventId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    edited_at: Option<Millis>,
    deleted: bool,
    reactions: Vec<Reaction<'a>>,
}

/// How often a reaction stands, and whether it is (also) one's own.
#[derive(Serialize)]
struct Reaction<'a> {
    reaction: &'a str,
    count: usize,
    own: bool,
}

impl<'a> Written<'a> {
    fn of(message: &'a Message, reader: &UserId) -> Self {
        let reactions = message.reactions.iter().map(|(reaction, users)| Reaction {
            reaction,
            count: users.len(),
            own: users.contains(reader),
        });
        Self {
            id: message.id,
            sender: &message.sender,
            key: &message.key,
            epoch: message.cursor.epoch,
            offset: message.cursor.offset,
            at: message.at,
            body: &message.body,
            annotations: &message.annotations,
            thread: message.thread,
            edited_at: message.edited_at,
            deleted: message.deleted,
            reactions: reactions.collect(),
        }
    }
}

/// The result. A page that is larger than `bytes_max` ends earlier, but not before its first message: an edit may be larger than
/// the body that was counted.
fn written(mut page: Messages, reader: &UserId, bytes_max: usize) -> Body {
    #[derive(Serialize)]
    struct Page<'a> {
        messages: Vec<Written<'a>>,
        next: Option<Cursor>,
        epoch: Epoch,
        offset: u64,
        through: Option<Cursor>,
    }
    loop {
        let messages = page.messages.iter().map(|message| Written::of(message, reader)).collect();
        let Cursor { epoch, offset } = page.as_of;
        let body = Body::of(&Page { messages, next: page.next, epoch, offset, through: page.through });
        let (bytes, count) = (body.as_str().len(), page.messages.len());
        if bytes <= bytes_max || count < 2 {
            return body;
        }
        page.messages.truncate((count * bytes_max / bytes).clamp(1, count - 1));
        page.next = page.messages.last().map(|message| message.cursor);
    }
}
