//! The admin API's part about the audit log.

use super::{Shared, answer, problem};
use crate::review;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use confab_store::{Act, WhichActs};
use serde::{Deserialize, Serialize};

/// The most acts of one answer.
const LIST_MAX: usize = 1000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ActsQuery {
    since: Option<u64>,
    user: Option<String>,
    verb: Option<String>,
    by: Option<String>,
    room: Option<String>,
    before: Option<u64>,
    limit: Option<usize>,
}

#[derive(Serialize)]
struct ActsOut {
    acts: Vec<ActOut>,
    /// What to ask for as `before` to read on.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<u64>,
}

#[derive(Serialize)]
struct ActOut {
    id: u64,
    at: u64,
    by: String,
    via: String,
    verb: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    room: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    result: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<confab_protocol::Body>,
}

impl From<(u64, Act)> for ActOut {
    fn from((id, act): (u64, Act)) -> Self {
        let Act { at, by, via, verb, room, user, event, reason, result, details } = act;
        let details = details.and_then(|details| confab_protocol::Body::parse(details).ok());
        Self { id, at, by, via, verb, room, user, event, reason, result, details }
    }
}

/// What operators and moderators did, the newest first.
pub(super) async fn list(State(shared): State<Shared>, Query(query): Query<ActsQuery>) -> Response {
    let limit = query.limit.unwrap_or(100);
    if !(1..=LIST_MAX).contains(&limit) {
        return problem(StatusCode::BAD_REQUEST, format!("`limit` is from 1 to {LIST_MAX}"));
    }
    let store = shared.hub().store.clone();
    let work = async move {
        let ActsQuery { since, user, verb, by, room, before, .. } = &query;
        let which = WhichActs {
            before: *before,
            since: since.unwrap_or_default(),
            user: user.as_deref(),
            verb: verb.as_deref(),
            by: by.as_deref(),
            room: room.as_deref(),
        };
        let found = store.audited(which, limit).await.map_err(review::Error::Store)?;
        let next = found.last().map(|(id, _)| *id).filter(|_| found.len() == limit);
        Ok(ActsOut { acts: found.into_iter().map(ActOut::from).collect(), next })
    };
    answer::json(shared.on_main(work).await)
}
