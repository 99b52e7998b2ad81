//! The admin API's part about held events.

use super::gate::Operator;
use super::{Shared, act, optional, problem};
use crate::review::{Error, Reviewer};
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use confab_protocol::{EventId, HeldState};
use confab_store::Act;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

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
    let state = match query.state.as_deref() {
        None => Some(HeldState::Waiting),
        Some("all") => None,
        Some(name) => match HeldState::from_name(name) {
            Some(state) => Some(state),
            None => {
                let why = format!("`{name}` is no state: waiting, approved, denied or all");
                return problem(StatusCode::BAD_REQUEST, why);
            }
        },
    };
    let limit = query.limit.unwrap_or(100).min(1000);
    let reviewer = shared.hub().reviewer().clone();
    on_main(&shared, async move { reviewer.list(&operator.moderator(), state, query.room.as_deref(), limit).await })
        .await
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Decision {
    reason: Option<String>,
}

/// Lets an event through.
pub(super) async fn approve(
    State(shared): State<Shared>,
    Extension(operator): Extension<Operator>,
    Path(id): Path<EventId>,
    decision: Bytes,
) -> Response {
    let by = operator.clone();
    decide(shared, event_act(&operator, "approve", id), &decision, async move |reviewer, reason| {
        reviewer.approve(id, &by.moderator(), reason.as_deref()).await
    })
    .await
}

/// Refuses an event for ever.
pub(super) async fn deny(
    State(shared): State<Shared>,
    Extension(operator): Extension<Operator>,
    Path(id): Path<EventId>,
    decision: Bytes,
) -> Response {
    let by = operator.clone();
    decide(shared, event_act(&operator, "deny", id), &decision, async move |reviewer, reason| {
        reviewer.deny(id, &by.moderator(), reason.as_deref()).await
    })
    .await
}

/// What an operator does about an event.
pub(super) fn event_act(operator: &Operator, verb: &str, id: EventId) -> Act {
    Act { event: Some(id.to_string()), ..act(operator, verb) }
}

/// Does what was decided, for the reason that the request gives, and writes it down.
pub(super) async fn decide<T, W>(
    shared: Shared,
    act: Act,
    decision: &Bytes,
    work: impl FnOnce(Arc<Reviewer>, Option<String>) -> W,
) -> Response
where
    T: Serialize + Send + 'static,
    W: Future<Output = Result<T, Error>> + Send + 'static,
{
    match optional(decision) {
        Ok(Decision { reason }) => {
            let act = Act { reason: reason.clone(), ..act };
            let work = work(shared.hub().reviewer().clone(), reason);
            audited(&shared, act, work).await
        }
        Err(refused) => *refused,
    }
}

/// Does something, writes down what became of it, and answers.
pub(super) async fn audited<T: Serialize + Send + 'static>(
    shared: &Shared,
    act: Act,
    work: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Response {
    let done = shared.main.spawn(work).await;
    let outcome = match &done {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    shared.audit(act, outcome).await;
    respond(done)
}

/// The store's connections belong to the hub's runtime: the work is done there, and the answer given here.
pub(super) async fn on_main<T: Serialize + Send + 'static>(
    shared: &Shared,
    work: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Response {
    respond(shared.main.spawn(work).await)
}

fn respond<T: Serialize>(done: Result<Result<T, Error>, tokio::task::JoinError>) -> Response {
    match done {
        Ok(Ok(value)) => Json(value).into_response(),
        Ok(Err(error)) => {
            let status = match &error {
                Error::Missing(_) | Error::NotFlagged(_) | Error::NotSanctioned(_) => StatusCode::NOT_FOUND,
                Error::Decided { .. } => StatusCode::CONFLICT,
                Error::Reason | Error::Sentence(_) => StatusCode::BAD_REQUEST,
                Error::Refused(_) | Error::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
            };
            problem(status, error.to_string())
        }
        Err(error) => problem(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}
