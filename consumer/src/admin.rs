//! The admin port: `/metrics`, `/healthz` and `/readyz`.

use crate::Metrics;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// What keeps the consumer from storing at the moment, by part. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Readiness {
    troubles: Arc<Mutex<BTreeMap<&'static str, String>>>,
}

impl Readiness {
    /// Says what is wrong with a part; `None`: nothing. True if the part was well before, or is well again.
    pub fn set(&self, part: &'static str, trouble: Option<String>) -> bool {
        let mut troubles = self.troubles.lock();
        match trouble {
            Some(trouble) => troubles.insert(part, trouble).is_none(),
            None => troubles.remove(part).is_some(),
        }
    }

    /// Everything that is wrong, one part a line; `None`: nothing.
    pub fn trouble(&self) -> Option<String> {
        let troubles = self.troubles.lock();
        let lines: Vec<String> = troubles.iter().map(|(part, trouble)| format!("{part}: {trouble}")).collect();
        (!lines.is_empty()).then(|| lines.join("\n"))
    }
}

#[derive(Clone)]
struct Shown {
    metrics: Arc<Metrics>,
    readiness: Readiness,
}

/// Serves the admin port until told to stop.
pub async fn serve(
    listener: TcpListener,
    metrics: Arc<Metrics>,
    readiness: Readiness,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let router = Router::new()
        .route("/metrics", get(show_metrics))
        .route("/healthz", get(|| async { "alive\n" }))
        .route("/readyz", get(show_readiness))
        .with_state(Shown { metrics, readiness });
    axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await
}

async fn show_metrics(State(shown): State<Shown>) -> impl IntoResponse {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], shown.metrics.text())
}

async fn show_readiness(State(shown): State<Shown>) -> impl IntoResponse {
    match shown.readiness.trouble() {
        None => (StatusCode::OK, "ready\n".to_owned()),
        Some(trouble) => (StatusCode::SERVICE_UNAVAILABLE, trouble + "\n"),
    }
}
