//! The admin API's part about flags and mutes.

use super::held::{OPERATOR, decide, on_main};
use super::{Shared, problem};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use confab_protocol::{EventId, Room, UserId};
use serde::Deserialize;
use serde_json::json;

/// The most that is listed at once.
const LIST_MAX: usize = 1000;

#[derive(Deserialize)]
pub(super) struct ListQuery {
    state: Option<String>,
    room: Option<String>,
    limit: Option<usize>,
}

impl ListQuery {
    fn limit(&self) -> usize {
        self.limit.unwrap_or(100).min(LIST_MAX)
    }
}

/// Flagged events.
pub(super) async fn flags(State(shared): State<Shared>, Query(query): Query<ListQuery>) -> Response {
    let open = match query.state.as_deref() {
        None | Some("open") => true,
        Some("closed") => false,
        Some(name) => return problem(StatusCode::BAD_REQUEST, format!("`{name}` is no state: open or closed")),
    };
    let reviewer = shared.hub().reviewer().clone();
    on_main(&shared, async move { reviewer.flags(open, query.room.as_deref(), query.limit()).await }).await
}

/// Closes the flags of an event.
pub(super) async fn close(State(shared): State<Shared>, Path(id): Path<EventId>, decision: Bytes) -> Response {
    decide(shared, &decision, async move |reviewer, reason| {
        let closed = reviewer.close_flags(id, OPERATOR, reason.as_deref()).await?;
        Ok(json!({ "id": id, "closed": closed }))
    })
    .await
}

/// Who may not speak.
pub(super) async fn mutes(State(shared): State<Shared>, Query(query): Query<ListQuery>) -> Response {
    let reviewer = shared.hub().reviewer().clone();
    on_main(&shared, async move { reviewer.muted(query.room.as_deref(), query.limit()).await }).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MuteIn {
    room: Room,
    user: UserId,
    seconds: u64,
    reason: Option<String>,
}

/// Mutes somebody.
pub(super) async fn mute(State(shared): State<Shared>, Json(mute): Json<MuteIn>) -> Response {
    let reviewer = shared.hub().reviewer().clone();
    let MuteIn { room, user, seconds, reason } = mute;
    on_main(&shared, async move { reviewer.mute(room, user, seconds, OPERATOR, reason.as_deref()).await }).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LiftIn {
    room: Room,
    user: UserId,
}

/// Lets somebody speak again.
pub(super) async fn lift(State(shared): State<Shared>, Json(LiftIn { room, user }): Json<LiftIn>) -> Response {
    let reviewer = shared.hub().reviewer().clone();
    on_main(&shared, async move {
        reviewer.lift(&room, &user, OPERATOR).await?;
        Ok(json!({ "room": room, "user": user, "state": "lifted" }))
    })
    .await
}
