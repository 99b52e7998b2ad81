//! The admin API's part about held events.

use super::gate::Operator;
use super::{Shared, answer, optional};
use crate::verb::review::{self, Answer, Arguments, Op};
use axum::Extension;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use confab_protocol::EventId;
use serde::Deserialize;
use serde_json::{Value, json};

/// Does what an operator asks for by the verb `review`.
pub(super) async fn review(shared: &Shared, operator: Operator, asked: Arguments) -> Result<Answer, Box<Response>> {
    let services = shared.hub().services().clone();
    shared.on_main(async move { review::review(&services, &operator.actor()?, asked).await }).await
}

#[derive(Deserialize)]
pub(super) struct HeldQuery {
    state: Option<String>,
    room: Option<String>,
    limit: Option<usize>,
}

/// The oldest held events.
pub(super) async fn list(
    State(shared): State<Shared>,
    Extension(operator): Extension<Operator>,
    Query(query): Query<HeldQuery>,
) -> Response {
    let HeldQuery { state, room, limit } = query;
    let asked = Arguments { state, room, limit, ..Arguments::of(Op::List) };
    answer::json(review(&shared, operator, asked).await.map(written))
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct DecisionIn {
    reason: Option<String>,
}

/// Lets an event through.
pub(super) async fn approve(
    State(shared): State<Shared>,
    Extension(operator): Extension<Operator>,
    Path(id): Path<EventId>,
    decision: Bytes,
) -> Response {
    answer::json(decide(&shared, operator, Op::Approve, id, &decision).await.map(written))
}

/// Refuses an event for ever.
pub(super) async fn deny(
    State(shared): State<Shared>,
    Extension(operator): Extension<Operator>,
    Path(id): Path<EventId>,
    decision: Bytes,
) -> Response {
    answer::json(decide(&shared, operator, Op::Deny, id, &decision).await.map(written))
}

/// Decides about an event, for the reason that the request gives.
pub(super) async fn decide(
    shared: &Shared,
    operator: Operator,
    op: Op,
    id: EventId,
    decision: &Bytes,
) -> Result<Answer, Box<Response>> {
    let DecisionIn { reason } = optional(decision)?;
    review(shared, operator, Arguments { id: Some(id), reason, ..Arguments::of(op) }).await
}

/// What came of it, as the admin API writes it: what is listed stands by itself.
pub(super) fn written(answer: Answer) -> Value {
    match answer {
        Answer::Held(held) => json!(held),
        Answer::Flags(flags) => json!(flags),
        Answer::Mutes(sanctioned) | Answer::Bans(sanctioned) => json!(sanctioned),
        Answer::Approved(receipt) => json!(receipt),
        Answer::Denied(listed) => json!(listed),
        Answer::Sanctioned(sanctioned) => json!(sanctioned),
        Answer::Closed { id, closed } => json!({ "id": id, "closed": closed }),
        Answer::Lifted { room, user } => json!({ "room": room, "user": user, "state": "lifted" }),
    }
}
