//! The admin API's part about what is said in rooms.

use super::gate::Operator;
use super::{Shared, act, answer, problem};
use crate::access::{self, Claim};
use crate::actor::Actor;
use crate::audit;
use crate::dialect::command::Since;
use crate::publish::{Sending, Turn};
use crate::recover::Asked;
use crate::session::verb;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use confab_config::JoinRule;
use confab_protocol::{Draft, Epoch, Key, Kind, Refusal, Room, UserId};
use confab_store::Act;
use serde::Deserialize;
use std::sync::Arc;

/// How ids of users begin that nobody is: what begins so is said by a plugin, or over an API.
const NOBODYS: [&str; 2] = ["plugin:", "api:"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SendIn {
    room: Room,
    user: UserId,
    key: Option<Key>,
    body: confab_protocol::Body,
}

/// An operator speaks in a room: the same way in as every client's, plugins included.
pub(super) async fn send(
    State(shared): State<Shared>,
    Extension(operator): Extension<Operator>,
    Json(send): Json<SendIn>,
) -> Response {
    let SendIn { room, user, key, body } = send;
    let act = Act { room: Some(room.to_string()), user: Some(user.to_string()), ..act(&operator, "send") };
    if NOBODYS.iter().any(|beginning| user.as_str().starts_with(beginning)) {
        let refusal = Refusal::BadRequest(format!("nobody is called `{user}`: the name is kept for programs").into());
        shared.audit(act, Err(audit::refused(&refusal))).await;
        return problem(StatusCode::UNPROCESSABLE_ENTITY, format!("{} ({})", refusal.message(), refusal.code()));
    }
    let (keyed, key) = (key.is_some(), key.unwrap_or_else(Key::fresh));
    let draft = Draft { kind: Kind::Message, room, key, body, target: None, thread: None };
    let actor = Arc::new(Actor::operator(user));
    let publisher = shared.hub().publisher().clone();
    let sent = shared.main.spawn(async move {
        match publisher.access.may(&actor, access::Act::of(draft.kind), &draft.room, Claim::None) {
            Ok(permit) => publisher.publish(Sending { permit, draft, keyed }, Turn::free()).await,
            Err(refusal) => publisher.refuse(&actor, draft, keyed, refusal).await,
        }
    });
    let sent = sent.await;
    let event = sent.as_ref().ok().and_then(|sent| sent.as_ref().ok()).map(|receipt| receipt.id.to_string());
    shared.audit(Act { event, ..act }, outcome(&sent)).await;
    answer(sent, |receipt| Json(receipt).into_response())
}

/// What the audit log says of what was done.
pub(super) fn outcome<T>(done: &Result<Result<T, Refusal>, tokio::task::JoinError>) -> Result<(), String> {
    match done {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(refusal)) => Err(audit::refused(refusal)),
        Err(error) => Err(error.to_string()),
    }
}

#[derive(Deserialize)]
pub(super) struct HistoryQuery {
    room: Room,
    limit: Option<usize>,
    epoch: Option<Epoch>,
    offset: Option<u64>,
}

/// The most bytes of a page of history.
const PAGE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The newest events of a room, or those before a place. Where not everybody may read, it is written down first who did.
pub(super) async fn history(
    State(shared): State<Shared>,
    Extension(operator): Extension<Operator>,
    Query(query): Query<HistoryQuery>,
) -> Response {
    let since = query.offset.map(|offset| Since { epoch: query.epoch, offset });
    let asked = Asked { since, reverse: true, limit: query.limit.unwrap_or(50).min(1000), bytes: PAGE_BYTES_MAX };
    let recoverer = shared.hub().recoverer().clone();
    let access = shared.hub().publisher().access.clone();
    let audit = shared.hub().audit().clone();
    let room = query.room;
    let act = Act { room: Some(room.to_string()), result: audit::OK.into(), ..act(&operator, "history") };
    let read = shared.main.spawn(async move {
        let open = room.users().is_none() && recoverer.rules.settings(room.as_str()).join == JoinRule::Anyone;
        if !open {
            audit.first(act).await?;
        }
        let reader = UserId::new(&*operator.0).map_err(|error| Refusal::BadRequest(error.to_string().into()))?;
        let permit = access.may(&Arc::new(Actor::operator(reader)), access::Act::Read, &room, Claim::None)?;
        recoverer.history(&permit, asked).await
    });
    answer(read.await, |page| Json(verb::history(page, true, PAGE_BYTES_MAX)).into_response())
}
