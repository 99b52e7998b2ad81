//! The requests of Engine.IO v4: handshakes, polls, posts, and the upgrade to a WebSocket.

use super::{full, origin_allowed, upgrade};
use crate::outbox::Frame;
use crate::session::Socket;
use crate::session::engineio::{Engine, EngineLink, Line, Refused, decode_payload, encode_payload};
use crate::session::link::{Incoming, Link};
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use confab_protocol::Close;
use futures_util::future::BoxFuture;
use hyper_util::rt::TokioIo;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// How long a client may take to finish an upgrade that it began.
const UPGRADE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the body of a POST may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// A link that will be there in a moment; `None` if its WebSocket came to nothing.
pub type Opening = BoxFuture<'static, Option<EngineLink>>;

/// Which pages may connect.
#[derive(Clone, Copy, Debug)]
pub enum Origins<'a> {
    /// Every page of the web.
    Any,
    /// Our own, and these.
    Listed(&'a [String]),
}

/// Answers a request, and lets the pages that may connect read the answer (CORS). `begin` is given each new client.
pub async fn answer(
    engine: &Arc<Engine>,
    origins: Origins<'_>,
    request: Request,
    begin: impl FnOnce(Opening),
) -> Response {
    let origin = request.headers().get(header::ORIGIN).cloned();
    if let Origins::Listed(listed) = origins
        && let Err(origin) = origin_allowed(request.headers(), listed)
    {
        tracing::warn!(origin, "refused a page that is not in auth.allowed_origins");
        return refusal(StatusCode::FORBIDDEN, 4, "Forbidden");
    }
    let mut response =
        if request.method() == Method::OPTIONS { preflight() } else { dispatch(engine, request, begin).await };
    allow(response.headers_mut(), origins, origin);
    response
}

fn preflight() -> Response {
    let allowed = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "content-type"),
        (header::ACCESS_CONTROL_MAX_AGE, "600"),
    ];
    (StatusCode::NO_CONTENT, allowed).into_response()
}

fn allow(headers: &mut HeaderMap, origins: Origins<'_>, origin: Option<HeaderValue>) {
    match (origins, origin) {
        (Origins::Any, _) => {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        }
        (Origins::Listed(_), Some(origin)) => {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
            headers.insert(header::VARY, HeaderValue::from_static("origin"));
        }
        (Origins::Listed(_), None) => {}
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
}

#[derive(Default)]
struct Query {
    version: Option<String>,
    transport: Option<String>,
    sid: Option<String>,
}

impl Query {
    /// None of the three values has a character that needs escaping.
    fn read(query: &str) -> Self {
        let mut read = Self::default();
        for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            match name {
                "EIO" => read.version = Some(value.to_owned()),
                "transport" => read.transport = Some(value.to_owned()),
                "sid" => read.sid = Some(value.to_owned()),
                _ => {}
            }
        }
        read
    }
}

async fn dispatch(engine: &Arc<Engine>, request: Request, begin: impl FnOnce(Opening)) -> Response {
    let query = Query::read(request.uri().query().unwrap_or_default());
    if query.version.as_deref() != Some("4") {
        return refusal(StatusCode::BAD_REQUEST, 5, "Unsupported protocol version");
    }
    let line = match &query.sid {
        Some(sid) => match engine.find(sid) {
            Some(line) => Some(line),
            None => return refusal(StatusCode::BAD_REQUEST, 1, "Session ID unknown"),
        },
        None if request.method() != Method::GET => {
            return refusal(StatusCode::BAD_REQUEST, 2, "Bad handshake method");
        }
        None => None,
    };
    match (query.transport.as_deref(), line) {
        (Some("polling"), None) => match engine.place() {
            Some(place) => {
                let link = engine.open(place);
                let open = engine.handshake(link.sid().unwrap_or_default(), &["websocket"]);
                begin(Box::pin(async { Some(link) }));
                payload(&[open])
            }
            None => full(),
        },
        (Some("polling"), Some(line)) if request.method() == Method::GET => match line.poll().await {
            Ok(frames) => payload(&frames),
            Err(refused) => refuse(refused),
        },
        (Some("polling"), Some(line)) if request.method() == Method::POST => {
            post(&line, request, engine.settings.max_payload).await
        }
        (Some("websocket"), line) => websocket(engine.clone(), line, request, begin),
        (Some("polling"), Some(_)) => refusal(StatusCode::BAD_REQUEST, 3, "Bad request"),
        _ => refusal(StatusCode::BAD_REQUEST, 0, "Transport unknown"),
    }
}

async fn post(line: &Line, request: Request, max_payload: usize) -> Response {
    let posting = match line.begin_post() {
        Ok(posting) => posting,
        Err(refused) => return refuse(refused),
    };
    let body = match timeout(BODY_TIMEOUT, axum::body::to_bytes(request.into_body(), max_payload)).await {
        Ok(Ok(body)) => body,
        Ok(Err(error)) => {
            tracing::debug!(%error, "a POST is too large, or broke off");
            line.fail(Close::TooLarge);
            return refusal(StatusCode::PAYLOAD_TOO_LARGE, 3, "Payload too large");
        }
        Err(_) => {
            line.fail(Close::BadRequest);
            return refusal(StatusCode::REQUEST_TIMEOUT, 3, "Payload did not arrive in time");
        }
    };
    let packets = match std::str::from_utf8(&body).ok().map(decode_payload) {
        Some(Ok(packets)) => packets,
        malformed => {
            tracing::debug!(?malformed, "malformed payload");
            line.fail(Close::BadRequest);
            return refusal(StatusCode::BAD_REQUEST, 3, "Bad request");
        }
    };
    match posting.deliver(packets).await {
        Ok(()) => ([(header::CONTENT_TYPE, "text/html")], "ok").into_response(),
        Err(refused) => refuse(refused),
    }
}

fn websocket(engine: Arc<Engine>, line: Option<Arc<Line>>, request: Request, begin: impl FnOnce(Opening)) -> Response {
    let response = match upgrade(&request, None) {
        Ok(response) => response,
        Err(_) => return refusal(StatusCode::BAD_REQUEST, 3, "Bad request"),
    };
    let max_payload = engine.settings.max_payload;
    let socket = async move {
        match hyper::upgrade::on(request).await {
            Ok(upgraded) => Some(Socket::new(TokioIo::new(upgraded), max_payload).await),
            Err(error) => {
                tracing::debug!(%error, "upgrade failed");
                None
            }
        }
    };
    match line {
        Some(line) => {
            tokio::spawn(async move {
                let Some(mut socket) = socket.await else { return };
                if line.may_upgrade() {
                    move_to(&line, socket).await;
                } else {
                    socket.close(Close::BadRequest).await; // the client has a WebSocket, which stays
                }
            });
        }
        None => match engine.place() {
            Some(place) => begin(Box::pin(async move { Some(EngineLink::websocket(engine, socket.await?, place)) })),
            None => return full(),
        },
    }
    response
}

/// The client tries a WebSocket, and moves to it if it works.
async fn move_to(line: &Line, mut socket: crate::session::Wire) {
    let text = |incoming: &Incoming, wanted: &str| matches!(incoming, Incoming::Frame(Frame::Text(text)) if text.as_str() == wanted);
    let probe = async {
        if !text(&socket.next().await, "2probe") || !line.probe() {
            return false;
        }
        let answered = socket.send(vec![Frame::Text("3probe".into())]).await.is_ok();
        let moved = answered && text(&socket.next().await, "5");
        if !moved {
            line.unprobe();
        }
        moved
    };
    let moved = tokio::select! {
        moved = timeout(UPGRADE_TIMEOUT, probe) => match moved {
            Ok(moved) => moved,
            Err(_) => {
                line.unprobe();
                false
            }
        },
        () = line.ended() => false,
    };
    if moved {
        line.switch(Box::new(socket)).await;
    } else {
        tracing::debug!("a client did not finish its upgrade");
    }
}

fn payload(frames: &[Frame]) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; charset=UTF-8")], encode_payload(frames)).into_response()
}

fn refuse(refused: Refused) -> Response {
    match refused {
        Refused::Unknown => refusal(StatusCode::BAD_REQUEST, 1, "Session ID unknown"),
        Refused::Overlap => refusal(StatusCode::BAD_REQUEST, 3, "Bad request"),
    }
}

/// The protocol's own form of an error.
fn refusal(status: StatusCode, code: u32, message: &'static str) -> Response {
    let body = Body::from(format!(r#"{{"code":{code},"message":"{message}"}}"#));
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}
