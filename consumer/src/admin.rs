//! The admin port: `/metrics`, `/healthz` and `/readyz`.

use crate::Metrics;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

/// How long to wait where no connection can be accepted: out of descriptors, most likely.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);

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

/// Serves the admin port until told to stop. Nothing here changes anything, or says what people wrote.
pub async fn serve(listener: TcpListener, metrics: Arc<Metrics>, readiness: Readiness, stop: CancellationToken) {
    serve_within(Bounds::default(), listener, router(metrics, readiness), stop).await;
}

fn router(metrics: Arc<Metrics>, readiness: Readiness) -> Router {
    Router::new()
        .route("/metrics", get(show_metrics))
        .route("/healthz", get(|| async { "alive\n" }))
        .route("/readyz", get(show_readiness))
        .with_state(Shown { metrics, readiness })
}

/// How much of the port whoever can reach it may take.
#[derive(Clone, Copy)]
struct Bounds {
    /// So many connections are served at once. The next waits to be accepted, which is not for long: all end in time.
    connections: usize,
    /// A request's head must be there by then.
    header: Duration,
    /// A connection ends by then, whatever is left to send.
    whole: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { connections: 256, header: Duration::from_secs(5), whole: Duration::from_secs(30) }
    }
}

/// Answers one request a connection: none is kept by somebody who asks nothing.
async fn serve_within(bounds: Bounds, listener: TcpListener, router: Router, stop: CancellationToken) {
    let permits = Arc::new(Semaphore::new(bounds.connections));
    let connections = TaskTracker::new();
    let accepting = async {
        loop {
            let Ok(permit) = permits.clone().acquire_owned().await else { return };
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    warn!(%error, "could not accept a connection");
                    sleep(ACCEPT_AGAIN).await;
                    continue;
                }
            };
            let mut http = http1::Builder::new();
            http.timer(TokioTimer::new()).header_read_timeout(bounds.header).keep_alive(false);
            let connection = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router.clone()));
            connections.spawn(async move {
                let _permit = permit;
                match timeout(bounds.whole, connection).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => debug!(%error, "admin connection ended"),
                    Err(_) => debug!(after = ?bounds.whole, "admin connection closed, it took too long"),
                }
            });
        }
    };
    stop.run_until_cancelled(accepting).await;
    connections.close();
    connections.wait().await;
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    async fn serving(bounds: Bounds) -> (SocketAddr, CancellationToken) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stop = CancellationToken::new();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve_within(bounds, listener, router(Arc::default(), Readiness::default()), stop.clone()));
        (address, stop)
    }

    async fn answer(connection: &mut TcpStream) -> String {
        let mut answer = String::new();
        // A reset is an end, too.
        let _ = connection.read_to_string(&mut answer).await;
        answer
    }

    #[tokio::test]
    async fn who_asks_nothing_on_the_admin_port_is_closed_and_the_next_is_served() {
        let header = Duration::from_millis(50);
        let (address, _stop) = serving(Bounds { connections: 1, header, ..Bounds::default() }).await;
        let mut silent = TcpStream::connect(address).await.unwrap();
        silent.write_all(b"GET /healthz HTT").await.unwrap();
        let mut next = TcpStream::connect(address).await.unwrap();
        next.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        assert!(!answer(&mut silent).await.contains("alive"));
        assert!(answer(&mut next).await.ends_with("alive\n"), "and the connection is closed after its answer");
    }
}
