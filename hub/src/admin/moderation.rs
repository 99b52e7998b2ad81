//! The admin API's part about flags, mutes, bans and revoked tokens.

use super::gate::Operator;
use super::held::{audited, decide, event_act, on_main};
use super::{Shared, act, problem};
use crate::review::Sentence;
use crate::signals::Disconnected;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use confab_protocol::{EventId, Millis, Room, UserId};
use confab_store::{Act, Keeps, Which};
use serde::Deserialize;
use serde_json::json;

/// The most that is listed at once.
const LIST_MAX: usize = 1000;

#[derive(Deserialize)]
pub(super) struct ListQuery {
    state: Option<String>,
    room: Option<String>,
    user: Option<String>,
    limit: Option<usize>,
}

impl ListQuery {
    fn limit(&self) -> usize {
        self.limit.unwrap_or(100).min(LIST_MAX)
    }
}

/// Flagged events.
pub(super) async fn flags(
    State(shared): State<Shared>,
    Extension(operator): Extension<Operator>,
    Query(query): Query<ListQuery>,
) -> Response {
    let open = match query.state.as_deref() {
        None | Some("open") => true,
        Some("closed") => false,
        Some(name) => return problem(StatusCode::BAD_REQUEST, format!("`{name}` is no state: open or closed")),
    };
    let reviewer = shared.hub().reviewer().clone();
    on_main(
        &shared,
        async move { reviewer.flags(&operator.moderator(), open, query.room.as_deref(), query.limit()).await },
    )
    .await
}

/// Closes the flags of an event.
pub(super) async fn close(
    State(shared): State<Shared>,
    Extension(operator): Extension<Operator>,
    Path(id): Path<EventId>,
    decision: Bytes,
) -> Response {
    let by = operator.clone();
    decide(shared, event_act(&operator, "close_flags", id), &decision, async move |reviewer, reason| {
        let closed = reviewer.close_flags(id, &by.moderator(), reason.as_deref()).await?;
        Ok(json!({ "id": id, "closed": closed }))
    })
    .await
}

/// Who is kept from what.
async fn sanctioned(shared: Shared, operator: Operator, query: ListQuery, keeps: Keeps) -> Response {
    let reviewer = shared.hub().reviewer().clone();
    on_main(&shared, async move {
        let which = Which { room: query.room.as_deref(), user: query.user.as_deref() };
        reviewer.sanctioned(&operator.moderator(), keeps, which, query.limit()).await
    })
    .await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SentenceIn {
    room: Option<Room>,
    user: UserId,
    seconds: Option<u64>,
    reason: Option<String>,
}

async fn sentence(shared: Shared, operator: Operator, sentence: SentenceIn, keeps: Keeps) -> Response {
    let SentenceIn { room, user, seconds, reason } = sentence;
    let verb = match keeps {
        Keeps::FromSpeaking => "mute",
        Keeps::Out => "ban",
    };
    let act = Act {
        room: room.as_ref().map(ToString::to_string),
        user: Some(user.to_string()),
        reason: reason.clone(),
        details: seconds.map(|seconds| json!({ "seconds": seconds }).to_string()),
        ..act(&operator, verb)
    };
    let sentence = Sentence { keeps, room, user, seconds, reason };
    let reviewer = shared.hub().reviewer().clone();
    audited(&shared, act, async move { reviewer.sentence(sentence, &operator.moderator()).await }).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LiftIn {
    room: Option<Room>,
    user: UserId,
}

async fn lifted(shared: Shared, operator: Operator, LiftIn { room, user }: LiftIn, keeps: Keeps) -> Response {
    let verb = match keeps {
        Keeps::FromSpeaking => "unmute",
        Keeps::Out => "unban",
    };
    let (room_name, user_name) = (room.as_ref().map(ToString::to_string), Some(user.to_string()));
    let act = Act { room: room_name, user: user_name, ..act(&operator, verb) };
    let reviewer = shared.hub().reviewer().clone();
    audited(&shared, act, async move {
        reviewer.lift(keeps, room.as_ref(), &user, &operator.moderator()).await?;
        Ok(json!({ "room": room, "user": user, "state": "lifted" }))
    })
    .await
}

/// Who may not speak.
pub(super) async fn mutes(
    State(shared): State<Shared>,
    Extension(operator): Extension<Operator>,
    Query(query): Query<ListQuery>,
) -> Response {
    sanctioned(shared, operator, query, Keeps::FromSpeaking).await
}

/// Mutes somebody.
pub(super) async fn mute(
    State(shared): State<Shared>,
    Extension(operator): Extension<Operator>,
    Json(mute): Json<SentenceIn>,
) -> Response {
    sentence(shared, operator, mute, Keeps::FromSpeaking).await
}

/// Lets somebody speak again.
pub(super) async fn lift_mute(
    State(shared): State<Shared>,
    Extension(operator): Extension<Operator>,
    Json(lift): Json<LiftIn>,
) -> Response {
    lifted(shared, operator, lift, Keeps::FromSpeaking).await
}

/// Who may not be where.
pub(super) async fn bans(
    State(shared): State<Shared>,
    Extension(operator): Extension<Operator>,
    Query(query): Query<ListQuery>,
) -> Response {
    sanctioned(shared, operator, query, Keeps::Out).await
}

/// Bans somebody.
pub(super) async fn ban(
    State(shared): State<Shared>,
    Extension(operator): Extension<Operator>,
    Json(ban): Json<SentenceIn>,
) -> Response {
    sentence(shared, operator, ban, Keeps::Out).await
}

/// Lets somebody be there again.
pub(super) async fn lift_ban(
    State(shared): State<Shared>,
    Extension(operator): Extension<Operator>,
    Json(lift): Json<LiftIn>,
) -> Response {
    lifted(shared, operator, lift, Keeps::Out).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RevokeIn {
    user: UserId,
    /// In milliseconds since 1970.
    before: Option<Millis>,
}

/// Revokes a user's tokens of before a time.
pub(super) async fn revoke_tokens(
    State(shared): State<Shared>,
    Extension(operator): Extension<Operator>,
    Json(revoke): Json<RevokeIn>,
) -> Response {
    let RevokeIn { user, before } = revoke;
    let details = before.map(|before| json!({ "before": before }).to_string());
    let act = Act { user: Some(user.to_string()), details, ..act(&operator, "revoke_tokens") };
    let reviewer = shared.hub().reviewer().clone();
    audited(&shared, act, async move { reviewer.revoke_tokens(user, before, &operator.moderator()).await }).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DisconnectIn {
    user: UserId,
    /// The session, as `sender.client` and presence name it; all of them where it is left out.
    session: Option<String>,
    /// Whether the client is to come back; it is, where nothing is said.
    reconnect: Option<bool>,
    reason: Option<String>,
}

/// Ends somebody's sessions on every hub.
pub(super) async fn disconnect(
    State(shared): State<Shared>,
    Extension(operator): Extension<Operator>,
    Json(asked): Json<DisconnectIn>,
) -> Response {
    let DisconnectIn { user, session, reconnect, reason } = asked;
    let reconnect = reconnect.unwrap_or(true);
    let details = json!({ "session": session, "reconnect": reconnect }).to_string();
    let act = Act { user: Some(user.to_string()), reason, details: Some(details), ..act(&operator, "disconnect") };
    let signals = shared.hub().signals().clone();
    let done = shared.main.spawn({
        let (user, session) = (user.clone(), session.clone());
        async move { signals.disconnect(user, session, reconnect).await }
    });
    let (answer, outcome) = match done.await {
        Ok(Disconnected { here, told: Ok(()) }) => {
            let answer = json!({ "user": user, "session": session, "reconnect": reconnect, "here": here });
            (Json(answer).into_response(), Ok(()))
        }
        Ok(Disconnected { here, told: Err(error) }) => {
            let why = format!("{here} sessions ended on this hub; the others could not be told: {error}; ask again");
            (problem(StatusCode::SERVICE_UNAVAILABLE, why.as_str()), Err(why))
        }
        Err(error) => (problem(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()), Err(error.to_string())),
    };
    shared.audit(act, outcome).await;
    answer
}
