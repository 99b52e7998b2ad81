//! The admin API's part about the chain.

use super::gate::Operator;
use super::{Shared, optional, problem};
use crate::audit;
use crate::hub::reload::{Cause, Refused};
use crate::verb::Services;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use confab_store::Act;
use serde::Deserialize;
use serde_json::json;

/// How the chain and its plugins are.
pub(super) async fn status(State(shared): State<Shared>) -> Response {
    Json(shared.hub().chain()).into_response()
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ReloadIn {
    dry_run: bool,
}

/// Reads hub.toml and the plugins again.
pub(super) async fn reload(
    State(shared): State<Shared>,
    Extension(operator): Extension<Operator>,
    asked: Bytes,
) -> Response {
    let ReloadIn { dry_run } = match optional(&asked) {
        Ok(asked) => asked,
        Err(refused) => return *refused,
    };
    let reloader = shared.hub().reloader().clone();
    let reloaded = shared.main.spawn(async move { reloader.reload(Cause::Asked, dry_run).await }).await;
    let details = dry_run.then(|| json!({ "dry_run": true }).to_string());
    let outcome = match &reloaded {
        Ok(Ok(_)) => audit::OK.to_owned(),
        Ok(Err(Refused::Wrong(_))) => "the new settings are refused".to_owned(),
        Ok(Err(busy @ Refused::Busy)) => busy.to_string(),
        Err(error) => error.to_string(),
    };
    if let Ok(actor) = operator.actor() {
        let act = Act { details, result: outcome, ..Services::act(&actor, "reload") };
        let services = shared.hub().services().clone();
        // A panic in it has been logged.
        let _ = shared.main.spawn(async move { services.audit.record(act).await }).await;
    }
    match reloaded {
        Ok(Ok(reloaded)) => Json(reloaded).into_response(),
        Ok(Err(Refused::Wrong(found))) => {
            let answer = json!({
                "error": "the new settings are refused, nothing has changed",
                "diagnostics": found.to_json(),
                "rendered": found.render(false),
            });
            (StatusCode::UNPROCESSABLE_ENTITY, Json(answer)).into_response()
        }
        Ok(Err(busy @ Refused::Busy)) => problem(StatusCode::SERVICE_UNAVAILABLE, busy.to_string()),
        Err(error) => problem(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}
