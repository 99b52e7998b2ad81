//! The verb `history`: what was said in a room, page by page.

use super::{Caller, Error, Services, Work, arguments};
use crate::access::Act;
use crate::actor::{Actor, MODERATOR};
use crate::audit;
use crate::dialect::command::{Since, nullable};
use crate::recover::{Asked, History};
use confab_config::JoinRule;
use confab_protocol::{Body, Cursor, Epoch, Record, Room, VerbName};
use confab_store::Act as Audited;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The most events of a page that an operator reads.
const OPERATORS_PAGE: usize = 1000;

/// The arguments.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arguments {
    /// Where.
    pub room: String,
    /// Read from here, this place not included.
    pub since: Option<SinceIn>,
    /// From new to old.
    #[serde(default, deserialize_with = "nullable")]
    pub reverse: bool,
    /// The most events.
    pub limit: Option<usize>,
}

/// A place; without an epoch it is in the present one.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SinceIn {
    /// Which numbering.
    pub epoch: Option<Epoch>,
    /// Which number.
    pub offset: u64,
}

pub(super) fn begin(services: &Arc<Services>, caller: &Caller<'_>, data: Option<&Body>) -> Result<Work, Error> {
    read(services, caller, arguments::read(VerbName::History, data)?)
}

/// Reads a page. Where an operator reads what not everybody may, it is written down first who did.
///
/// # Errors
/// [`Error::Refused`]: at once, or from the work.
pub fn read(services: &Arc<Services>, caller: &Caller<'_>, arguments: Arguments) -> Result<Work, Error> {
    let Arguments { room, since, reverse, limit } = arguments;
    let room = services.room(&room)?;
    let permit = services.access.may(caller.actor, Act::Read, &room, (caller.claim)(&room))?;
    let first = private(services, caller.actor, &room, VerbName::History);
    let since = since.map(|SinceIn { epoch, offset }| Since { epoch, offset });
    let limit = limit.unwrap_or(services.limits.history_page).min(page_max(services, caller.actor));
    let trails = sees_trails(caller.actor);
    let bytes_max = caller.bytes_max;
    let services = services.clone();
    Ok(Box::pin(async move {
        if let Some(act) = first {
            services.audit.first(act).await?;
        }
        let _reading = services.recoverer.reading.acquire().await;
        let page = services.recoverer.history(&permit, Asked { since, reverse, limit, bytes: bytes_max }).await?;
        services.access.still_holds(&permit)?; // the read may have taken a while
        Ok(written(page, trails, bytes_max))
    }))
}

/// What is written down before an operator reads a room that not everybody may read.
pub(super) fn private(services: &Services, actor: &Actor, room: &Room, verb: VerbName) -> Option<Audited> {
    if !actor.is_operator() {
        return None;
    }
    let open = room.users().is_none() && services.rules.settings(room.as_str()).join == JoinRule::Anyone;
    let act = Audited { room: Some(room.to_string()), result: audit::OK.into(), ..Services::act(actor, verb.as_str()) };
    (!open).then_some(act)
}

pub(super) fn page_max(services: &Services, actor: &Actor) -> usize {
    if actor.is_operator() { OPERATORS_PAGE } else { services.limits.history_page }
}

/// Whether it stands beside each event how it was judged.
fn sees_trails(actor: &Actor) -> bool {
    actor.is_operator() || actor.roles.iter().any(|role| role == MODERATOR)
}

/// The result: events as JSON objects, where to go on, and the room's last place. A page that is larger than `bytes_max` ends earlier,
/// but not before its first event.
fn written(mut page: History, trails: bool, bytes_max: usize) -> Body {
    #[derive(Serialize)]
    struct Page<R> {
        events: Vec<R>,
        next: Option<Cursor>,
        epoch: Epoch,
        offset: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        oldest: Option<Cursor>,
    }
    page.shorten_to_bytes(bytes_max);
    loop {
        let count = page.records.len();
        let next = page.next;
        let Cursor { epoch, offset } = page.top;
        let oldest = page.oldest;
        let body = if trails {
            let events: Vec<&Record> = page.records.iter().map(Arc::as_ref).collect();
            Body::of(&Page { events, next, epoch, offset, oldest })
        } else {
            let events = page.records.iter().map(|record| record.public()).collect();
            Body::of(&Page { events, next, epoch, offset, oldest })
        };
        let bytes = body.as_str().len();
        if bytes <= bytes_max || count < 2 {
            return body;
        }
        page.shorten((count * bytes_max / bytes).clamp(1, count - 1));
    }
}
