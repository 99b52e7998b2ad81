//! The admin port, on a runtime thread of its own: it answers even while the hub's threads are busy.

use crate::hub::Hub;
use crate::telemetry::Telemetry;
use crate::timeline::WaitsFor;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use confab_config::Config;
use gate::Gate;
use serde::{Deserialize, Serialize};
use std::sync::{Arc, OnceLock};
use tokens::Tokens;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

mod acts;
mod answer;
mod chain;
mod gate;
mod held;
mod members;
mod moderation;
mod rooms;
mod serve;
mod tokens;

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

/// Where operators, and what watches the hub, connect.
pub struct Listeners {
    /// The admin port: everything, for whoever has a token.
    pub admin: std::net::TcpListener,
    /// Health and metrics alone, for anybody who reaches it.
    pub metrics: Option<std::net::TcpListener>,
}

/// Serves them from a thread of its own until `stop`. Reads the operators' tokens, or makes the first one.
///
/// # Errors
/// The system's: no thread, or a listener that has no address.
pub fn spawn(
    listeners: Listeners,
    config: &Config,
    opening: Opening,
    telemetry: Arc<Telemetry>,
    stop: CancellationToken,
) -> std::io::Result<std::thread::JoinHandle<()>> {
    let bound = listeners.admin.local_addr()?.ip();
    let gate = Gate::new(Tokens::open(config), bound, config.admin_hosts.clone(), telemetry.clone());
    if !bound.is_loopback() {
        tracing::info!(admin = %bound, "other machines can reach the admin API: it asks them for a token");
    }
    let shared = Shared { opening, main: Handle::current() };
    std::thread::Builder::new().name("admin".into()).spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let served = runtime.and_then(|runtime| {
            runtime.block_on(async {
                let admin = tokio::net::TcpListener::from_std(listeners.admin)?;
                let metrics = listeners.metrics.map(tokio::net::TcpListener::from_std).transpose()?;
                let admin = serve::serve(admin, router(shared.clone(), gate), telemetry.clone(), stop.clone());
                match metrics {
                    Some(metrics) => _ = tokio::join!(admin, serve::serve(metrics, watching(shared), telemetry, stop)),
                    None => admin.await,
                }
                Ok(())
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

fn router(shared: Shared, gate: Gate) -> Router {
    routes(shared).layer(middleware::from_fn_with_state(Arc::new(gate), gate::gate))
}

/// What there is, for whoever was let in.
fn routes(shared: Shared) -> Router {
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
        .route("/api/v1/disconnect", post(moderation::disconnect))
        .route("/api/v1/rooms", get(members::rooms).post(members::create))
        .route("/api/v1/rooms/explain", get(members::explain))
        .route("/api/v1/rooms/update", post(members::update))
        .route("/api/v1/members", get(members::list).post(members::add))
        .route("/api/v1/members/remove", post(members::remove))
        .route("/api/v1/members/role", post(members::role))
        .route("/api/v1/audit", get(acts::list))
        .route("/api/v1/chain", get(chain::status))
        .route("/api/v1/reload", post(chain::reload))
        .route("/api/v1/send", post(rooms::send))
        .route("/api/v1/history", get(rooms::history))
        .route_layer(middleware::from_fn_with_state(shared.clone(), once_opened))
        .route("/healthz", get(|| async { "ok\n" }))
        .with_state(shared)
}

/// Health and metrics: what Prometheus and probes ask for.
fn watching(shared: Shared) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/readyz", get(ready))
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

/// Reads a body that may be left out.
fn optional<T: for<'a> Deserialize<'a> + Default>(body: &[u8]) -> Result<T, Box<Response>> {
    if body.is_empty() {
        return Ok(T::default());
    }
    serde_json::from_slice(body).map_err(|error| Box::new(problem(StatusCode::BAD_REQUEST, error.to_string())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verb::TABLE;
    use axum::body::Body;
    use tower::ServiceExt;

    #[tokio::test]
    async fn whatever_the_table_of_verbs_says_is_served_is_served() {
        let shared = Shared { opening: Opening::default(), main: Handle::current() };
        let status = async |path: &str| {
            let path = path.replace("{id}", "0197a000-0000-7000-8000-000000000000");
            let request = Request::get(format!("/api/v1/{path}")).body(Body::empty()).unwrap();
            routes(shared.clone()).oneshot(request).await.unwrap().status()
        };
        assert_eq!(status("nothing").await, StatusCode::NOT_FOUND);
        let served = TABLE.iter().flat_map(|verb| verb.admin);
        for path in served.clone() {
            assert_ne!(status(path).await, StatusCode::NOT_FOUND, "{path}");
        }
        assert_eq!(served.count(), 15);
    }
}
