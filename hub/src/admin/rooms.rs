//! The admin API's part about what is said in rooms.

use super::gate::Operator;
use super::{Shared, answer};
use crate::access::Claim;
use crate::verb::history::{self, SinceIn};
use crate::verb::{Caller, send};
use axum::extract::{Query, State};
use axum::response::Response;
use axum::{Extension, Json};
use confab_protocol::{Epoch, Key, Room, UserId};
use serde::Deserialize;

/// The most bytes of a page of history.
const PAGE_BYTES_MAX: usize = 16 * 1024 * 1024;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SendIn {
    room: Room,
    user: UserId,
    key: Option<Key>,
    body: confab_protocol::Body,
}

/// An operator speaks in a room, in the name of a user.
pub(super) async fn send(
    State(shared): State<Shared>,
    Extension(operator): Extension<Operator>,
    Json(asked): Json<SendIn>,
) -> Response {
    let SendIn { room, user, key, body } = asked;
    let said = send::Arguments { room: room.to_string(), key, body, thread: None };
    let services = shared.hub().services().clone();
    let work = async move { send::as_operator(&services, &operator.speaking_as(user), said).await };
    answer::json(shared.on_main(work).await)
}

#[derive(Deserialize)]
pub(super) struct HistoryQuery {
    room: Room,
    limit: Option<usize>,
    epoch: Option<Epoch>,
    offset: Option<u64>,
}

/// The newest events of a room, or those before a place. Where not everybody may read, it is written down first who did.
pub(super) async fn history(
    State(shared): State<Shared>,
    Extension(operator): Extension<Operator>,
    Query(query): Query<HistoryQuery>,
) -> Response {
    let HistoryQuery { room, limit, epoch, offset } = query;
    let since = offset.map(|offset| SinceIn { epoch, offset });
    let limit = Some(limit.unwrap_or(50));
    let asked = history::Arguments { room: room.to_string(), since, reverse: true, limit };
    let services = shared.hub().services().clone();
    let work = async move {
        let actor = operator.actor()?;
        let caller = Caller { actor: &actor, claim: &|_| Claim::None, bytes_max: PAGE_BYTES_MAX };
        history::read(&services, &caller, asked)?.await
    };
    answer::body(shared.on_main(work).await)
}
