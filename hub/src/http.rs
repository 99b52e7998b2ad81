//! The public port: the web client at `/`, and the door through which clients come.

mod assets;
mod door;
pub mod engineio;
mod handshake;
mod origin;
mod timed;
mod web;

pub use handshake::{NoHandshake, upgrade};

use crate::admission::{Admissions, Carrier, Full, Proxies};
use crate::dialect::Dialect;
use crate::outbox::BYTES_PER_FLUSH;
use crate::session::engineio::Engine;
use crate::session::{self, Environment, Socket};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Uri, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{any, get};
use axum::{Extension, Router};
use door::Turned;
use handshake::native_dialect;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use origin::{host_is_loopback, origin_allowed};
#[cfg(target_os = "linux")]
use socket2::SockRef;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use timed::{Requests, Timed, Timeouts};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

/// A client that has not begun its request by then is cut, and so is one that has not sent its head as long after (slowloris).
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
/// A client that takes nothing of an answer for so long is cut.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// The most bytes for a client that the system takes before it sends them: one flush. It would take megabytes, and what a
/// client does not read could only be told from what it does when those are full.
const UNSENT_MAX: u32 = BYTES_PER_FLUSH as u32;

/// What the public port serves from.
pub struct Http {
    /// What sessions may call on.
    pub env: Arc<Environment>,
    /// Who may come in.
    pub gate: Gate,
    /// The clients that speak Socket.IO over polling.
    pub engine: Arc<Engine>,
    /// The sessions under way: a drain waits for them.
    pub sessions: TaskTracker,
    /// What every path begins with; empty, or with a slash at its beginning only.
    pub path_prefix: String,
    /// How long a connection may idle between two requests.
    pub keep_alive: Duration,
}

/// Who may come in.
pub struct Gate {
    /// The pages that may connect, besides our own.
    pub allowed_origins: Vec<String>,
    /// Only under names of this machine: nobody needs a token.
    pub loopback_only: bool,
    /// Whose word is taken for where a client is.
    pub proxies: Proxies,
    /// Room for clients.
    pub admissions: Admissions,
}

impl Gate {
    /// Why a request may not be made at all.
    fn turns<'a>(&self, peer: Peer, headers: &'a HeaderMap) -> Option<Turned<'a>> {
        if let Some(crowded) = peer.crowded {
            return Some(crowded);
        }
        if self.loopback_only
            && let Err(host) = host_is_loopback(headers)
        {
            return Some(Turned::Host(host));
        }
        origin_allowed(headers, &self.allowed_origins).err().map(Turned::Origin)
    }
}

/// A client that polls has a GET and a POST under way at once.
const REQUESTS_PER_SESSION: usize = 2;
/// Requests that belong to no session: handshakes, the page.
const REQUESTS_BESIDES: usize = 256;
/// Connections past every limit that are still told so, at once.
const TOLD_AT_ONCE: usize = 256;

/// How many connections may wait to be accepted, where the system lets as many: when everybody comes back at once, who
/// finds no place here tries again only after a second.
const BACKLOG: u32 = 4096;

/// Listens on the public port.
pub fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?; // connections of an earlier process may still be on their way out
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Accepts connections until the hub drains, and serves those there are until `shut`: a client that polls hears of the end
/// with its next request. Past the limits connections are accepted and told when to come back, as long as not too many are;
/// the rest is closed.
pub async fn serve(listener: TcpListener, http: Arc<Http>, shut: CancellationToken) {
    let limit = http.env.limits.sessions * REQUESTS_PER_SESSION + REQUESTS_BESIDES;
    let room = Arc::new(Semaphore::new(limit));
    let telling = Arc::new(Semaphore::new(TOLD_AT_ONCE));
    let connections = TaskTracker::new();
    let router = router(http.clone());
    loop {
        let (stream, peer) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of descriptors, most likely: sessions must end before another can begin.
                    tracing::warn!(%error, "could not accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
            () = http.env.draining.cancelled() => break,
        };
        let from = peer.ip().to_canonical();
        let permit = room.clone().try_acquire_owned().ok();
        let addresses = &http.gate.admissions.addresses;
        let own = if http.gate.proxies.trusts(from) { Some(None) } else { addresses.connect(from).map(Some) };
        let crowded = match (&permit, &own) {
            (None, _) => Some(Turned::Connections),
            (_, None) => Some(Turned::Full(Full::Address)),
            _ => None,
        };
        let told = crowded.map(|crowded| (crowded, telling.clone().try_acquire_owned().ok()));
        if let Some((crowded, None)) = told {
            crowded.note(&http.env.refused, from);
            continue;
        }
        let connection = serve_one(stream, Peer { from, crowded }, router.clone(), http.clone(), shut.clone());
        connections.spawn(async move {
            let _held = (permit, own, told); // until the connection ends, or becomes a session's
            connection.await;
        });
    }
    drop(listener); // whoever is new finds another hub at once, also where a balancer chooses
    connections.close();
    connections.wait().await;
}

/// The other end of a connection.
#[derive(Clone, Copy)]
struct Peer {
    from: IpAddr,
    /// There are too many connections already.
    crowded: Option<Turned<'static>>,
}

async fn serve_one(stream: TcpStream, peer: Peer, router: Router, http: Arc<Http>, shut: CancellationToken) {
    let _ = stream.set_nodelay(true); // a socket that is gone already will say so when it is read
    bound_unsent(&stream);
    // What reads the request's head brings 16 KiB of buffers: when everybody comes back at once, the thousands that have
    // not said anything yet must not hold them.
    let mut first = [0];
    let spoke = tokio::select! {
        spoke = timeout(HEADER_TIMEOUT, stream.peek(&mut first)) => spoke,
        () = shut.cancelled() => return,
    };
    if !matches!(spoke, Ok(Ok(1))) {
        return;
    }
    let requests = Requests::default();
    let timeouts = Timeouts { idle: http.keep_alive, head: HEADER_TIMEOUT, write: WRITE_TIMEOUT };
    let link = TokioIo::new(Timed::new(stream, requests.clone(), timeouts));
    // The router is built once for all; what a connection has of its own goes with its requests.
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        let underway = requests.begin();
        let answering = router.clone();
        request.extensions_mut().insert(peer);
        async move {
            let mut answer = answering.oneshot(request).await?;
            if peer.crowded.is_some() {
                answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(underway.until_sent(answer))
        }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(timeouts.idle + timeouts.head) // the link's own clocks are stricter; this has hyper read on
        .max_buf_size(16 * 1024)
        .serve_connection(link, service)
        .with_upgrades();
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shut.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended badly");
    }
}

/// Has the system hand back what it cannot send yet: the outbox holds it, and the session waits for its client.
#[cfg(target_os = "linux")]
fn bound_unsent(stream: &TcpStream) {
    if let Err(error) = SockRef::from(stream).set_tcp_notsent_lowat(UNSENT_MAX) {
        tracing::debug!(%error, "could not bound what the system takes for a client");
    }
}

/// Elsewhere the system's own buffers are the bound.
#[cfg(not(target_os = "linux"))]
fn bound_unsent(_: &TcpStream) {}

type Shared = (State<Arc<Http>>, Extension<Peer>);

fn router(http: Arc<Http>) -> Router {
    let at = |path: &str| format!("{}{path}", http.path_prefix);
    let mut router = Router::new()
        .route(&at("/"), get(web::page))
        .route(&at("/assets/{file}"), get(web::asset))
        .route(&at("/connection/websocket"), any(native))
        .route(&at("/connection/websocket/"), any(native))
        .route(&at("/socket.io"), any(socketio))
        .route(&at("/socket.io/"), any(socketio))
        .route(&at("/socket.io/{file}"), get(assets::file));
    if !http.path_prefix.is_empty() {
        router = router.route(&http.path_prefix, get(to_page)); // what the page asks for is relative to it
    }
    router.with_state(http)
}

async fn to_page(uri: Uri) -> Redirect {
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    Redirect::permanent(&format!("{}/{query}", uri.path()))
}

async fn native((State(http), Extension(peer)): Shared, request: Request) -> Response {
    let from = http.gate.proxies.client(peer.from, request.headers());
    let turn = |turned: Turned<'_>| {
        turned.note(&http.env.refused, from);
        turned.into_response()
    };
    if let Some(turned) = http.gate.turns(peer, request.headers()) {
        return turn(turned);
    }
    if http.env.draining.is_cancelled() {
        return turn(Turned::Draining);
    }
    let (dialect, subprotocol) = native_dialect(request.headers(), request.uri().query().unwrap_or_default());
    let response = match upgrade(&request, subprotocol) {
        Ok(response) => response,
        Err(why) => {
            http.env.refused.note("websocket handshake", from, &why.to_string());
            return why.into_response();
        }
    };
    let admission = match http.gate.admissions.enter(from, Carrier::WebSocket) {
        Ok(admission) => admission,
        Err(full) => return turn(Turned::Full(full)),
    };
    let env = http.env.clone();
    http.sessions.spawn(async move {
        match hyper::upgrade::on(request).await {
            Ok(upgraded) => {
                let socket = Socket::new(TokioIo::new(upgraded), env.limits.frame.bytes()).await;
                session::run(socket, env, dialect, admission).await;
            }
            Err(error) => tracing::debug!(%error, "upgrade failed"),
        }
    });
    response
}

async fn socketio((State(http), Extension(peer)): Shared, request: Request) -> Response {
    let from = http.gate.proxies.client(peer.from, request.headers());
    let known = request.uri().query().is_some_and(|query| query.split('&').any(|pair| pair.starts_with("sid=")));
    let turned = http.gate.turns(peer, request.headers());
    let draining = (http.env.draining.is_cancelled() && !known).then_some(Turned::Draining);
    if let Some(turned) = turned.or(draining) {
        turned.note(&http.env.refused, from);
        return engineio::turn(&turned, request.headers());
    }
    engineio::answer(&http.engine, engineio::Origins::Asking, request, &Guest { http: &http, from }).await
}

/// Whoever makes a request of Engine.IO.
struct Guest<'a> {
    http: &'a Arc<Http>,
    from: IpAddr,
}

impl engineio::Host for Guest<'_> {
    fn room(&self, carrier: Carrier) -> Result<engineio::Begin, Full> {
        let Http { env, gate, sessions, .. } = &**self.http;
        let admission = gate.admissions.enter(self.from, carrier).inspect_err(|full| {
            Turned::Full(*full).note(&env.refused, self.from);
        })?;
        let env = env.clone();
        let sessions = sessions.clone();
        Ok(Box::new(move |opening| {
            sessions.spawn(async move {
                if let Some(link) = opening.await {
                    session::run(link, env, Dialect::SocketIo, admission).await;
                }
            });
        }))
    }

    fn refused(&self, reason: &'static str, detail: &str) {
        self.http.env.refused.note(reason, self.from, detail);
    }
}
