//! The public port: the page at `/`, and the door through which sockets come.

pub mod engineio;

use crate::dialect::{Dialect, SUBPROTOCOL_JSON, SUBPROTOCOL_PROTOBUF};
use crate::session::engineio::Engine;
use crate::session::{self, Door, Socket};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Version, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{any, get};
use axum::{Extension, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

/// A client that has not begun its request by then is cut, and so is one that has not sent its head as long after (slowloris).
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);

/// What the public port serves from.
pub struct Http {
    /// What sessions may call on.
    pub door: Arc<Door>,
    /// The pages that may connect, besides our own.
    pub allowed_origins: Vec<String>,
    /// The clients that speak Socket.IO over polling.
    pub engine: Arc<Engine>,
    /// One for each session that the hub may hold, whatever carries it.
    pub places: Arc<Semaphore>,
    /// The sessions under way: a drain waits for them.
    pub sessions: TaskTracker,
}

/// A client that polls has a GET and a POST under way at once.
const REQUESTS_PER_SESSION: usize = 2;
/// Requests that belong to no session: handshakes, the page.
const REQUESTS_BESIDES: usize = 256;

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
/// with its next request. Past what the limit on sessions makes sense of, connections are accepted and told to come back
/// elsewhere.
pub async fn serve(listener: TcpListener, http: Arc<Http>, shut: CancellationToken) {
    let limit = http.door.limits.sessions * REQUESTS_PER_SESSION + REQUESTS_BESIDES;
    let permits = Arc::new(Semaphore::new(limit));
    let connections = TaskTracker::new();
    let router = router(http.clone());
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of descriptors, most likely: sessions must end before another can begin.
                    tracing::warn!(%error, "could not accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
            () = http.door.draining.cancelled() => break,
        };
        let permit = permits.clone().try_acquire_owned().ok();
        if permit.is_none() {
            tracing::warn!(limit, "as many connections as may be, refusing one");
        }
        let _ = stream.set_nodelay(true); // a socket that is gone already will say so when it is read
        // Built once for all; what a connection has of its own goes with its requests.
        let crowded = Crowded(permit.is_none());
        let router = router.clone().map_request(move |mut request: hyper::Request<hyper::body::Incoming>| {
            request.extensions_mut().insert(crowded);
            request
        });
        let shut = shut.clone();
        connections.spawn(async move {
            let _permit = permit; // until the connection ends, or becomes a session's
            // What reads the request's head brings 16 KiB of buffers: when everybody comes back at once, the thousands
            // that have not said anything yet must not hold them.
            let mut first = [0];
            let spoke = tokio::select! {
                spoke = timeout(HEADER_TIMEOUT, stream.peek(&mut first)) => spoke,
                () = shut.cancelled() => return,
            };
            if !matches!(spoke, Ok(Ok(1))) {
                return;
            }
            let service = hyper_util::service::TowerToHyperService::new(router);
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_TIMEOUT)
                .max_buf_size(16 * 1024)
                .serve_connection(TokioIo::new(stream), service)
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
        });
    }
    drop(listener); // whoever is new finds another hub at once, also where a balancer chooses
    connections.close();
    connections.wait().await;
}

/// Whether there are too many connections already.
#[derive(Clone, Copy)]
struct Crowded(bool);

type Shared = (State<Arc<Http>>, Extension<Crowded>);

fn router(http: Arc<Http>) -> Router {
    Router::new()
        .route("/", get(page))
        .route("/connection/websocket", any(native))
        .route("/socket.io", any(socketio))
        .route("/socket.io/", any(socketio))
        .with_state(http)
}

async fn page() -> impl IntoResponse {
    let policy = "default-src 'self'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'";
    ([(header::CONTENT_SECURITY_POLICY, policy)], Html(include_str!("page.html")))
}

/// There is no place for another.
fn full() -> Response {
    tracing::warn!("as many sessions as may be, refusing one");
    (StatusCode::SERVICE_UNAVAILABLE, "this hub holds as many sessions as it may\n").into_response()
}

async fn native((State(http), Extension(Crowded(crowded))): Shared, request: Request) -> Response {
    if crowded {
        return full();
    }
    if http.door.draining.is_cancelled() {
        return (StatusCode::SERVICE_UNAVAILABLE, "this hub is draining\n").into_response();
    }
    if let Err(origin) = origin_allowed(request.headers(), &http.allowed_origins) {
        tracing::warn!(origin, "refused a page that is not in auth.allowed_origins");
        return (StatusCode::FORBIDDEN, "this page may not connect: its origin is not in auth.allowed_origins\n")
            .into_response();
    }
    let (dialect, subprotocol) = native_dialect(request.headers(), request.uri().query().unwrap_or_default());
    match upgrade(&request, subprotocol) {
        Ok(response) => {
            let Ok(place) = http.places.clone().try_acquire_owned() else { return full() };
            let door = http.door.clone();
            http.sessions.spawn(async move {
                let _place = place;
                match hyper::upgrade::on(request).await {
                    Ok(upgraded) => {
                        let socket = Socket::new(TokioIo::new(upgraded), door.limits.frame.bytes()).await;
                        session::run(socket, door, dialect).await;
                    }
                    Err(error) => tracing::debug!(%error, "upgrade failed"),
                }
            });
            response
        }
        Err(why) => why.into_response(),
    }
}

async fn socketio((State(http), Extension(Crowded(crowded))): Shared, request: Request) -> Response {
    if crowded {
        return full();
    }
    let known = request.uri().query().is_some_and(|query| query.split('&').any(|pair| pair.starts_with("sid=")));
    if http.door.draining.is_cancelled() && !known {
        return (StatusCode::SERVICE_UNAVAILABLE, "this hub is draining\n").into_response();
    }
    let (door, sessions) = (http.door.clone(), http.sessions.clone());
    let begin = |opening: engineio::Opening| {
        sessions.spawn(async move {
            if let Some(link) = opening.await {
                session::run(link, door, Dialect::SocketIo).await;
            }
        });
    };
    engineio::answer(&http.engine, engineio::Origins::Listed(&http.allowed_origins), request, begin).await
}

/// Which encoding of the native dialect a client asks for, and the subprotocol to answer: the subprotocol decides, or
/// `format=protobuf` or `cf_protocol=protobuf` in the address, for clients that cannot name one.
fn native_dialect(headers: &HeaderMap, query: &str) -> (Dialect, Option<&'static str>) {
    let named = |subprotocol| has(headers, header::SEC_WEBSOCKET_PROTOCOL, subprotocol);
    let asked = || query.split('&').any(|pair| matches!(pair, "format=protobuf" | "cf_protocol=protobuf"));
    if named(SUBPROTOCOL_JSON) {
        (Dialect::NativeJson, Some(SUBPROTOCOL_JSON))
    } else if named(SUBPROTOCOL_PROTOBUF) {
        (Dialect::NativeProtobuf, Some(SUBPROTOCOL_PROTOBUF))
    } else if asked() {
        (Dialect::NativeProtobuf, None)
    } else {
        (Dialect::NativeJson, None)
    }
}

/// Whether a header that is a list holds `token`.
fn has(headers: &HeaderMap, name: header::HeaderName, token: &str) -> bool {
    let lines = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|part| part.trim().eq_ignore_ascii_case(token))
}

/// Why a request is no WebSocket handshake that can be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoHandshake {
    /// It is about something else.
    #[error("this is a WebSocket address: connect with a WebSocket client")]
    Other,
    /// Only a GET can be one.
    #[error("a WebSocket begins with a GET")]
    Method,
    /// It is of another version than ours, the only one of the RFC.
    #[error("only WebSocket version 13 is spoken here")]
    Version,
    /// Its key is not there, or is not 16 bytes in base64.
    #[error("the Sec-WebSocket-Key header must be 16 bytes in base64")]
    Key,
}

impl IntoResponse for NoHandshake {
    fn into_response(self) -> Response {
        let text = format!("{self}\n");
        match self {
            Self::Other | Self::Key => (StatusCode::BAD_REQUEST, text).into_response(),
            Self::Method => (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET")], text).into_response(),
            Self::Version => {
                (StatusCode::UPGRADE_REQUIRED, [(header::SEC_WEBSOCKET_VERSION, "13")], text).into_response()
            }
        }
    }
}

/// Answers a WebSocket handshake (RFC 6455 §4.2).
///
/// # Errors
/// What is wrong with it.
pub fn upgrade(request: &Request, subprotocol: Option<&'static str>) -> Result<Response, NoHandshake> {
    let headers = request.headers();
    let has = |name, token| has(headers, name, token);
    let asked = has(header::CONNECTION, "upgrade") && has(header::UPGRADE, "websocket");
    if !asked || request.version() < Version::HTTP_11 {
        return Err(NoHandshake::Other);
    }
    if request.method() != Method::GET {
        return Err(NoHandshake::Method);
    }
    if !has(header::SEC_WEBSOCKET_VERSION, "13") {
        return Err(NoHandshake::Version);
    }
    let key = headers.get(header::SEC_WEBSOCKET_KEY).ok_or(NoHandshake::Key)?;
    if !BASE64.decode(key).is_ok_and(|nonce| nonce.len() == 16) {
        return Err(NoHandshake::Key);
    }
    let mut response = Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_ACCEPT, derive_accept_key(key.as_bytes()));
    if let Some(subprotocol) = subprotocol {
        response = response.header(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(subprotocol));
    }
    Ok(response.body(Body::empty()).expect("each of these headers is one"))
}

/// A page may connect if it is ours or listed, exactly; what is no page sends no `Origin`.
fn origin_allowed<'a>(headers: &'a HeaderMap, allowed: &[String]) -> Result<(), &'a str> {
    let Some(origin) = headers.get(header::ORIGIN) else { return Ok(()) };
    let origin = origin.to_str().map_err(|_| "not text")?;
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let own =
        origin.split_once("://").is_some_and(|(scheme, rest)| matches!(scheme, "http" | "https") && Some(rest) == host);
    if own || allowed.iter().any(|listed| listed == origin) { Ok(()) } else { Err(origin) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(k, v)| (k.parse().unwrap(), HeaderValue::from_static(v))).collect()
    }

    #[test]
    fn only_our_own_pages_and_listed_ones_may_connect() {
        let allowed = vec!["https://chat.example.com".to_owned()];
        let ask = |origin: &'static str| {
            origin_allowed(&headers(&[("origin", origin), ("host", "127.0.0.1:8000")]), &allowed).is_ok()
        };
        assert!(ask("http://127.0.0.1:8000"));
        assert!(ask("https://chat.example.com"));
        assert!(origin_allowed(&headers(&[("host", "127.0.0.1:8000")]), &allowed).is_ok());
        for foreign in [
            "null",
            "",
            "https://chat.example.com.evil.test",
            "https://evil.chat.example.com",
            "http://chat.example.com",
            "https://chat.example.com:444",
            "https://CHAT.example.com",
            "http://127.0.0.1:8001",
            "file://127.0.0.1:8000",
        ] {
            assert!(!ask(foreign), "{foreign}");
        }
    }

    #[test]
    fn a_handshake_is_answered_as_the_rfc_has_it() {
        let good = [
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("sec-websocket-protocol", "centrifuge-json"),
        ];
        let request = |pairs: &[(&'static str, &'static str)]| {
            let mut request = Request::new(Body::empty());
            *request.headers_mut() = headers(pairs);
            request
        };
        let response = upgrade(&request(&good), Some(SUBPROTOCOL_JSON)).unwrap();
        assert_eq!(response.headers()["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(response.headers()["sec-websocket-protocol"], "centrifuge-json");
        for missing in 0..4 {
            let mut pairs = good.to_vec();
            pairs.remove(missing);
            assert!(upgrade(&request(&pairs), None).is_err());
        }
    }

    #[test]
    fn a_client_chooses_its_encoding_by_subprotocol_or_address() {
        let chosen = |subprotocols: &'static str, query| {
            native_dialect(&headers(&[("sec-websocket-protocol", subprotocols)]), query)
        };
        let json = (Dialect::NativeJson, Some("centrifuge-json"));
        let protobuf = (Dialect::NativeProtobuf, Some("centrifuge-protobuf"));
        assert_eq!(chosen("centrifuge-json", ""), json);
        assert_eq!(chosen("chat, centrifuge-protobuf", ""), protobuf);
        assert_eq!(chosen("centrifuge-protobuf, centrifuge-json", "format=protobuf"), json);
        for query in ["format=protobuf", "a=b&cf_protocol=protobuf"] {
            assert_eq!(native_dialect(&HeaderMap::new(), query), (Dialect::NativeProtobuf, None));
        }
        for query in ["", "format=json", "xformat=protobuf"] {
            assert_eq!(native_dialect(&HeaderMap::new(), query), (Dialect::NativeJson, None));
        }
    }
}
