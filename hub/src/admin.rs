//! The admin port, on a runtime thread of its own: it answers even while the hub's threads are busy.

use crate::dialect::command::Since;
use crate::hub::Hub;
use crate::plugin::Origin;
use crate::publish::{Sending, Turn};
use crate::recover::Asked;
use crate::session::verb;
use crate::timeline::WaitsFor;
use axum::extract::{Query, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use confab_protocol::{Draft, Epoch, Key, Kind, Refusal, Room, Sender, UserId};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, OnceLock};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

mod chain;
mod held;
mod moderation;

/// A hub on its way: until it is there, only its health can be asked for, and what it waits for. Cheap to clone.
#[derive(Clone, Default)]
pub struct Opening {
    hub: Arc<OnceLock<Arc<Hub>>>,
    /// Where the parts say what they wait for.
    pub waits_for: WaitsFor,
}

impl Opening {
    /// The hub is there.
    pub fn opened(&self, hub: Arc<Hub>) {
        let _ = self.hub.set(hub); // a hub opens once
    }
}

/// Serves the admin port from a thread of its own until `stop`.
pub fn spawn(
    listener: std::net::TcpListener,
    opening: Opening,
    stop: CancellationToken,
) -> std::io::Result<std::thread::JoinHandle<()>> {
    let main = Handle::current();
    std::thread::Builder::new().name("admin".into()).spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let served = runtime.and_then(|runtime| {
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener)?;
                axum::serve(listener, router(opening, main)).with_graceful_shutdown(stop.cancelled_owned()).await
            })
        });
        if let Err(error) = served {
            tracing::error!(%error, "the admin port ended");
        }
    })
}

#[derive(Clone)]
struct Shared {
    opening: Opening,
    main: Handle,
}

impl Shared {
    fn hub(&self) -> &Arc<Hub> {
        self.opening.hub.get().expect("what needs the hub is not asked before it is there")
    }
}

fn router(opening: Opening, main: Handle) -> Router {
    let shared = Shared { opening, main };
    Router::new()
        .route("/metrics", get(metrics))
        .route("/readyz", get(ready))
        .route("/api/v1/held", get(held::list))
        .route("/api/v1/held/{id}/approve", post(held::approve))
        .route("/api/v1/held/{id}/deny", post(held::deny))
        .route("/api/v1/flags", get(moderation::flags))
        .route("/api/v1/flags/{id}/close", post(moderation::close))
        .route("/api/v1/mutes", get(moderation::mutes).post(moderation::mute))
        .route("/api/v1/mutes/lift", post(moderation::lift_mute))
        .route("/api/v1/bans", get(moderation::bans).post(moderation::ban))
        .route("/api/v1/bans/lift", post(moderation::lift_ban))
        .route("/api/v1/tokens/revoke", post(moderation::revoke_tokens))
        .route("/api/v1/chain", get(chain::status))
        .route("/api/v1/reload", post(chain::reload))
        .route("/api/v1/send", post(send))
        .route("/api/v1/history", get(history))
        .route_layer(middleware::from_fn_with_state(shared.clone(), once_opened))
        .route("/healthz", get(|| async { "ok\n" }))
        .with_state(shared)
}

/// Nothing but health is answered before the hub is there.
async fn once_opened(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    if shared.opening.hub.get().is_some() {
        return next.run(request).await;
    }
    let why = match shared.opening.waits_for.say() {
        Some(what) => format!("starting: {what}"),
        None => "starting".to_owned(),
    };
    if request.uri().path().starts_with("/api/") {
        return problem(StatusCode::SERVICE_UNAVAILABLE, why);
    }
    (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response()
}

async fn metrics(State(shared): State<Shared>) -> Response {
    let text = shared.hub().exposition();
    ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text).into_response()
}

async fn ready(State(shared): State<Shared>) -> Response {
    match shared.hub().ready() {
        Ok(()) => "ready\n".into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}

#[derive(Serialize)]
struct Problem {
    error: String,
}

fn problem(status: StatusCode, error: impl Into<String>) -> Response {
    (status, Json(Problem { error: error.into() })).into_response()
}

/// Reads a body that may be left out, whatever the request calls it.
fn optional<T: for<'a> Deserialize<'a> + Default>(body: &[u8]) -> Result<T, Box<Response>> {
    if body.is_empty() {
        return Ok(T::default());
    }
    serde_json::from_slice(body).map_err(|error| Box::new(problem(StatusCode::BAD_REQUEST, error.to_string())))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SendIn {
    room: Room,
    user: UserId,
    key: Option<Key>,
    body: confab_protocol::Body,
}

/// An operator speaks in a room: the same way in as every client's, plugins included.
async fn send(State(shared): State<Shared>, Json(send): Json<SendIn>) -> Response {
    let (keyed, key) = (send.key.is_some(), send.key.unwrap_or_else(Key::fresh));
    let draft = Draft { kind: Kind::Message, room: send.room, key, body: send.body, target: None, thread: None };
    let sender = Sender { user: send.user, client: None, info: None };
    let publisher = shared.hub().publisher().clone();
    let sending = Sending { sender, draft, keyed, origin: Origin::default() };
    answer(shared.main.spawn(async move { publisher.publish(sending, Turn::free()).await }).await, |receipt| {
        Json(receipt).into_response()
    })
}

#[derive(Deserialize)]
struct HistoryQuery {
    room: Room,
    limit: Option<usize>,
    epoch: Option<Epoch>,
    offset: Option<u64>,
}

/// The newest events of a room, or those before a place.
async fn history(State(shared): State<Shared>, Query(query): Query<HistoryQuery>) -> Response {
    let since = query.offset.map(|offset| Since { epoch: query.epoch, offset });
    let asked = Asked { since, reverse: true, limit: query.limit.unwrap_or(50).min(1000) };
    let recoverer = shared.hub().recoverer().clone();
    answer(shared.main.spawn(async move { recoverer.history(&query.room, asked).await }).await, |page| {
        Json(verb::history(&page)).into_response()
    })
}

fn answer<T>(done: Result<Result<T, Refusal>, tokio::task::JoinError>, tell: impl FnOnce(T) -> Response) -> Response {
    match done {
        Ok(Ok(value)) => tell(value),
        Ok(Err(refusal)) => {
            let status =
                if refusal.temporary() { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::UNPROCESSABLE_ENTITY };
            problem(status, format!("{} ({})", refusal.message(), refusal.code()))
        }
        Err(error) => problem(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}
