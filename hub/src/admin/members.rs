//! The admin API's part about rooms that people made, and who belongs to them.

use super::gate::Operator;
use super::{Shared, answer};
use crate::access::Claim;
use crate::verb::operator::{self, NewRoomIn};
use crate::verb::{self, Caller, How};
use axum::extract::{Query, State};
use axum::response::Response;
use axum::{Extension, Json};
use confab_protocol::{Body, Refusal, UserId};
use serde::Deserialize;
use serde_json::{Value, json};

/// The most bytes of an answer.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

#[derive(Deserialize)]
pub(super) struct RoomsQuery {
    after: Option<String>,
    limit: Option<usize>,
}

/// All rooms that people made.
pub(super) async fn rooms(
    State(shared): State<Shared>,
    Extension(operator): Extension<Operator>,
    Query(query): Query<RoomsQuery>,
) -> Response {
    let services = shared.hub().services().clone();
    let work = async move {
        let (actor, after) = (operator.actor()?, query.after.unwrap_or_default());
        operator::list_rooms(&services, &actor, &after, query.limit.unwrap_or(100)).await
    };
    answer::body(shared.on_main(work).await)
}

/// Makes a room.
pub(super) async fn create(
    State(shared): State<Shared>,
    Extension(operator): Extension<Operator>,
    Json(asked): Json<NewRoomIn>,
) -> Response {
    let services = shared.hub().services().clone();
    let work = async move { operator::create_room(&services, &operator.actor()?, asked).await };
    answer::body(shared.on_main(work).await)
}

#[derive(Deserialize)]
pub(super) struct ExplainQuery {
    room: String,
    user: Option<UserId>,
}

/// What a room is, and what a user may do there.
pub(super) async fn explain(
    State(shared): State<Shared>,
    Extension(operator): Extension<Operator>,
    Query(query): Query<ExplainQuery>,
) -> Response {
    let services = shared.hub().services().clone();
    let work =
        async move { operator::explain_room(&services, &operator.actor()?, &query.room, query.user.as_ref()).await };
    answer::body(shared.on_main(work).await)
}

#[derive(Deserialize)]
pub(super) struct MembersQuery {
    room: String,
    after: Option<String>,
    limit: Option<usize>,
}

/// Who belongs to a room.
pub(super) async fn list(
    State(shared): State<Shared>,
    Extension(operator): Extension<Operator>,
    Query(query): Query<MembersQuery>,
) -> Response {
    let MembersQuery { room, after, limit } = query;
    called(shared, operator, "members", json!({"room": room, "after": after, "limit": limit})).await
}

/// Calls a room something else.
pub(super) async fn update(
    State(shared): State<Shared>,
    Extension(operator): Extension<Operator>,
    Json(asked): Json<Value>,
) -> Response {
    called(shared, operator, "room.update", asked).await
}

/// Makes somebody a member.
pub(super) async fn add(
    State(shared): State<Shared>,
    Extension(operator): Extension<Operator>,
    Json(asked): Json<Value>,
) -> Response {
    called(shared, operator, "member.add", asked).await
}

/// Makes somebody a member no more.
pub(super) async fn remove(
    State(shared): State<Shared>,
    Extension(operator): Extension<Operator>,
    Json(asked): Json<Value>,
) -> Response {
    called(shared, operator, "member.remove", asked).await
}

/// Gives a member another role.
pub(super) async fn role(
    State(shared): State<Shared>,
    Extension(operator): Extension<Operator>,
    Json(asked): Json<Value>,
) -> Response {
    called(shared, operator, "member.role", asked).await
}

/// What comes of a verb that an operator calls by their own name.
async fn called(shared: Shared, operator: Operator, name: &'static str, arguments: Value) -> Response {
    let services = shared.hub().services().clone();
    let work = async move {
        let actor = operator.actor()?;
        let caller = Caller { actor: &actor, claim: &|_| Claim::None, bytes_max: ANSWER_BYTES_MAX };
        let How::Work(begin) = verb::named(name)?.how else { return Err(Refusal::NotAvailable.into()) };
        begin(&services, &caller, Some(&Body::of(&arguments)))?.await
    };
    answer::body(shared.on_main(work).await)
}
