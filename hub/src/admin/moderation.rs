//! The admin API's part about flags, mutes, bans, revoked tokens and sessions.

use super::gate::Operator;
use super::held::{decide, review, written};
use super::{Shared, answer};
use crate::verb::operator::{self, Disconnect, Revoke};
use crate::verb::review::{Arguments, Op};
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use axum::{Extension, Json};
use confab_protocol::{EventId, Room, UserId};
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
pub(super) struct ListQuery {
    state: Option<String>,
    room: Option<String>,
    user: Option<UserId>,
    limit: Option<usize>,
}

/// Flagged events.
pub(super) async fn flags(
    State(shared): State<Shared>,
    Extension(operator): Extension<Operator>,
    Query(query): Query<ListQuery>,
) -> Response {
    let ListQuery { state, room, limit, .. } = query;
    let asked = Arguments { state, room, limit, ..Arguments::of(Op::Flags) };
    answer::json(review(&shared, operator, asked).await.map(written))
}

/// Closes the flags of an event.
pub(super) async fn close(
    State(shared): State<Shared>,
    Extension(operator): Extension<Operator>,
    Path(id): Path<EventId>,
    decision: Bytes,
) -> Response {
    answer::json(decide(&shared, operator, Op::Close, id, &decision).await.map(written))
}

/// Who is kept from what.
async fn sanctioned(shared: &Shared, operator: Operator, op: Op, query: ListQuery) -> Response {
    let ListQuery { room, user, limit, .. } = query;
    let asked = Arguments { room, user, limit, ..Arguments::of(op) };
    answer::json(review(shared, operator, asked).await.map(written))
}

/// Who may not speak.
pub(super) async fn mutes(
    State(shared): State<Shared>,
    Extension(operator): Extension<Operator>,
    Query(query): Query<ListQuery>,
) -> Response {
    sanctioned(&shared, operator, Op::Mutes, query).await
}

/// Who may not be where.
pub(super) async fn bans(
    State(shared): State<Shared>,
    Extension(operator): Extension<Operator>,
    Query(query): Query<ListQuery>,
) -> Response {
    sanctioned(&shared, operator, Op::Bans, query).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SanctionIn {
    room: Option<Room>,
    user: UserId,
    seconds: Option<u64>,
    reason: Option<String>,
}

async fn sanction(shared: &Shared, operator: Operator, op: Op, asked: SanctionIn) -> Response {
    let SanctionIn { room, user, seconds, reason } = asked;
    let room = room.map(|room| room.to_string());
    let asked = Arguments { room, user: Some(user), seconds, reason, ..Arguments::of(op) };
    answer::json(review(shared, operator, asked).await.map(written))
}

/// Mutes somebody.
pub(super) async fn mute(
    State(shared): State<Shared>,
    Extension(operator): Extension<Operator>,
    Json(mute): Json<SanctionIn>,
) -> Response {
    sanction(&shared, operator, Op::Mute, mute).await
}

/// Bans somebody.
pub(super) async fn ban(
    State(shared): State<Shared>,
    Extension(operator): Extension<Operator>,
    Json(ban): Json<SanctionIn>,
) -> Response {
    sanction(&shared, operator, Op::Ban, ban).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LiftIn {
    room: Option<Room>,
    user: UserId,
}

async fn lifted(shared: &Shared, operator: Operator, op: Op, LiftIn { room, user }: LiftIn) -> Response {
    let room = room.map(|room| room.to_string());
    let asked = Arguments { room, user: Some(user), ..Arguments::of(op) };
    answer::json(review(shared, operator, asked).await.map(written))
}

/// Lets somebody speak again.
pub(super) async fn lift_mute(
    State(shared): State<Shared>,
    Extension(operator): Extension<Operator>,
    Json(lift): Json<LiftIn>,
) -> Response {
    lifted(&shared, operator, Op::Lift, lift).await
}

/// Lets somebody be there again.
pub(super) async fn lift_ban(
    State(shared): State<Shared>,
    Extension(operator): Extension<Operator>,
    Json(lift): Json<LiftIn>,
) -> Response {
    lifted(&shared, operator, Op::Unban, lift).await
}

/// Revokes a user's tokens of before a time.
pub(super) async fn revoke_tokens(
    State(shared): State<Shared>,
    Extension(operator): Extension<Operator>,
    Json(revoke): Json<Revoke>,
) -> Response {
    let services = shared.hub().services().clone();
    let work = async move { operator::revoke_tokens(&services, &operator.actor()?, revoke).await };
    answer::json(shared.on_main(work).await)
}

/// Ends somebody's sessions on every hub.
pub(super) async fn disconnect(
    State(shared): State<Shared>,
    Extension(operator): Extension<Operator>,
    Json(asked): Json<Disconnect>,
) -> Response {
    let services = shared.hub().services().clone();
    let wanted = asked.clone();
    let work = async move { operator::disconnect(&services, &operator.actor()?, asked).await };
    let reconnect = wanted.reconnect();
    let Disconnect { user, session, .. } = wanted;
    let ended = shared.on_main(work).await;
    answer::json(ended.map(|here| json!({ "user": user, "session": session, "reconnect": reconnect, "here": here })))
}
