//! The admin API's part about held events.

use super::{Shared, optional, problem};
use crate::review::{Error, Reviewer};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use confab_protocol::{EventId, HeldState};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Who decides through this port, as the store keeps it.
pub(super) const OPERATOR: &str = "admin";

#[derive(Deserialize)]
pub(super) struct HeldQuery {
    state: Option<String>,
    room: Option<String>,
    limit: Option<usize>,
}

/// The oldest held events.
pub(super) async fn list(State(shared): State<Shared>, Query(query): Query<HeldQuery>) -> Response {
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
    on_main(&shared, async move { reviewer.list(state, query.room.as_deref(), limit).await }).await
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Decision {
    reason: Option<String>,
}

/// Lets an event through.
pub(super) async fn approve(State(shared): State<Shared>, Path(id): Path<EventId>, decision: Bytes) -> Response {
    decide(shared, &decision, async move |reviewer, reason| reviewer.approve(id, OPERATOR, reason.as_deref()).await)
        .await
}

/// Refuses an event for ever.
pub(super) async fn deny(State(shared): State<Shared>, Path(id): Path<EventId>, decision: Bytes) -> Response {
    decide(shared, &decision, async move |reviewer, reason| reviewer.deny(id, OPERATOR, reason.as_deref()).await).await
}

/// Does what was decided, for the reason that the request gives.
pub(super) async fn decide<T, W>(
    shared: Shared,
    decision: &Bytes,
    act: impl FnOnce(Arc<Reviewer>, Option<String>) -> W,
) -> Response
where
    T: Serialize + Send + 'static,
    W: Future<Output = Result<T, Error>> + Send + 'static,
{
    match optional(decision) {
        Ok(Decision { reason }) => {
            let work = act(shared.hub().reviewer().clone(), reason);
            on_main(&shared, work).await
        }
        Err(refused) => *refused,
    }
}

/// The store's connections belong to the hub's runtime: the work is done there, and the answer given here.
pub(super) async fn on_main<T: Serialize + Send + 'static>(
    shared: &Shared,
    work: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Response {
    match shared.main.spawn(work).await {
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
