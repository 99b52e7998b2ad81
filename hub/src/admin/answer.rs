//! Answers of the admin API: the work is done on the hub's runtime, and what came of it written as HTTP has it. The one place that knows
//! which status an error has.

use super::{Shared, problem};
use crate::review;
use crate::verb;
use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use confab_protocol::Body;
use serde::Serialize;

impl Shared {
    /// Does something where the store's connections belong: on the hub's runtime.
    pub(super) async fn on_main<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, verb::Error>> + Send + 'static,
    ) -> Result<T, Box<Response>> {
        match self.main.spawn(work).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(Box::new(failed(&error))),
            Err(error) => Err(Box::new(problem(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))),
        }
    }
}

/// What went wrong, as HTTP has it.
fn failed(error: &verb::Error) -> Response {
    let status = match error {
        verb::Error::Refused(refusal) if refusal.temporary() => StatusCode::SERVICE_UNAVAILABLE,
        verb::Error::Refused(_) => StatusCode::UNPROCESSABLE_ENTITY,
        verb::Error::Untold { .. } => StatusCode::SERVICE_UNAVAILABLE,
        verb::Error::Review(error) => match error {
            review::Error::Missing(_) | review::Error::NotFlagged(_) | review::Error::NotSanctioned(_) => {
                StatusCode::NOT_FOUND
            }
            review::Error::Decided { .. } => StatusCode::CONFLICT,
            review::Error::Reason | review::Error::Senseless(_) => StatusCode::BAD_REQUEST,
            review::Error::Refused(_) | review::Error::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
        },
    };
    match error {
        verb::Error::Refused(refusal) => problem(status, format!("{error} ({})", refusal.code())),
        _ => problem(status, error.to_string()),
    }
}

/// Writes what was asked for, or why there is nothing.
pub(super) fn json<T: Serialize>(done: Result<T, Box<Response>>) -> Response {
    done.map_or_else(|failed| *failed, |value| Json(value).into_response())
}

/// The same, of what is JSON already.
pub(super) fn body(done: Result<Body, Box<Response>>) -> Response {
    let json = [(header::CONTENT_TYPE, "application/json")];
    done.map_or_else(|failed| *failed, |body| (json, body.as_str().to_owned()).into_response())
}
