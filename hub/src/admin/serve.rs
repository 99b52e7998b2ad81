//! The admin listeners' connections: bounded in number, and each by time.

use crate::log_limit::LogLimit;
use crate::telemetry::Telemetry;
use axum::Router;
use axum::extract::Request;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

/// The most connections of one listener at once; another is closed at once.
const CONNECTIONS_MAX: usize = 256;
/// A client that has not sent a request's head by then is cut, and so is one whose connection has been idle for so long.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long requests that are under way at the end may take.
const LAST_TIMEOUT: Duration = Duration::from_secs(2);
/// The most bytes of a request's head.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// Serves until `stop`.
pub(super) async fn serve(listener: TcpListener, router: Router, telemetry: Arc<Telemetry>, stop: CancellationToken) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let connections = TaskTracker::new();
    let limit_log = LogLimit::default();
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "could not accept an admin connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
            () = stop.cancelled() => break,
        };
        let Ok(permit) = permits.clone().try_acquire_owned() else {
            telemetry.admin_refused("connections");
            if let Some(left_out) = limit_log.may_write() {
                tracing::warn!(limit = CONNECTIONS_MAX, left_out, "admin connection limit reached");
            }
            continue;
        };
        let _ = stream.set_nodelay(true); // a socket that is gone already will say so when it is read
        let router = router.clone().map_request(|request: hyper::Request<hyper::body::Incoming>| -> Request {
            request.map(axum::body::Body::new)
        });
        let stop = stop.clone();
        connections.spawn(async move {
            let _permit = permit;
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_TIMEOUT)
                .max_buf_size(HEAD_BYTES_MAX)
                .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
            tokio::pin!(connection);
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                () = stop.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = ended {
                tracing::debug!(%error, "an admin connection ended badly");
            }
        });
    }
    drop(listener);
    connections.close();
    let _ = tokio::time::timeout(LAST_TIMEOUT, connections.wait()).await; // who reads nothing is left behind
}
