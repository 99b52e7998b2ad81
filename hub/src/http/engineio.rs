//! The requests of Engine.IO v4: handshakes, polls, posts, and the upgrade to a WebSocket.

use super::door::Turned;
use super::handshake::upgrade;
use crate::admission::{Carrier, Full};
use crate::outbox::Frame;
use crate::session::engineio::{Engine, EngineLink, Polling, Refused, decode_payload, encode_payload};
use crate::session::link::{Incoming, Link};
use crate::session::{DISCARD_BYTES_MAX, Socket};
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::BytesMut;
use confab_protocol::Close;
use futures_util::future::BoxFuture;
use http_body_util::BodyExt;
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

/// Takes the link of a client for which there is room.
pub type Begin = Box<dyn FnOnce(Opening) + Send>;

/// Which pages may read the answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origins {
    /// Every page of the web.
    Any,
    /// Those that make a request: they were looked at before.
    Asking,
}

/// Whoever serves these requests.
pub trait Host {
    /// Room for a new client.
    ///
    /// # Errors
    /// Why there is none.
    fn room(&self, carrier: Carrier) -> Result<Begin, Full>;

    /// A request was refused: the kind, and what was wrong with it.
    fn refused(&self, reason: &'static str, detail: &str);
}

/// Answers a request, and lets the pages that may connect read the answer (CORS).
pub async fn answer(engine: &Arc<Engine>, origins: Origins, request: Request, host: &impl Host) -> Response {
    let origin = request.headers().get(header::ORIGIN).cloned();
    let mut response = if request.method() == Method::OPTIONS {
        preflight(request.headers())
    } else {
        dispatch(engine, request, host).await
    };
    allow(response.headers_mut(), origins, origin);
    response
}

/// The answer to a request that is not served.
pub(super) fn turn(turned: &Turned<'_>, headers: &HeaderMap) -> Response {
    let mut response = turned.wait(refusal(turned.status(), 4, turned.sentence()));
    if !matches!(turned, Turned::Origin(_) | Turned::Host(_)) {
        allow(response.headers_mut(), Origins::Asking, headers.get(header::ORIGIN).cloned());
    }
    response
}

/// What a page of an allowed origin asks to send, it may.
fn preflight(asking: &HeaderMap) -> Response {
    let allowed = [(header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST"), (header::ACCESS_CONTROL_MAX_AGE, "600")];
    let mut response = (StatusCode::NO_CONTENT, allowed).into_response();
    let usual = HeaderValue::from_static("content-type");
    let asked = asking.get(header::ACCESS_CONTROL_REQUEST_HEADERS).filter(|asked| names(asked)).unwrap_or(&usual);
    response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
    response
}

/// Whether this is a list of names of headers.
fn names(list: &HeaderValue) -> bool {
    let name = |name: &str| header::HeaderName::from_bytes(name.trim().as_bytes()).is_ok();
    list.to_str().is_ok_and(|list| list.split(',').all(name))
}

fn allow(headers: &mut HeaderMap, origins: Origins, origin: Option<HeaderValue>) {
    match (origins, origin) {
        (Origins::Any, _) => {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        }
        (Origins::Asking, Some(origin)) => {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
            headers.insert(header::VARY, HeaderValue::from_static("origin, access-control-request-headers"));
        }
        (Origins::Asking, None) => {}
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

async fn dispatch(engine: &Arc<Engine>, request: Request, host: &impl Host) -> Response {
    let query = Query::read(request.uri().query().unwrap_or_default());
    let bad = |code, message: &'static str| {
        host.refused("bad request over polling", message);
        refusal(StatusCode::BAD_REQUEST, code, message)
    };
    if query.version.as_deref() != Some("4") {
        return bad(5, "Unsupported protocol version");
    }
    let polling = match &query.sid {
        Some(sid) => match engine.find(sid) {
            Some(polling) => Some(polling),
            None => {
                host.refused("unknown session over polling", sid);
                return refusal(StatusCode::BAD_REQUEST, 1, "Session ID unknown");
            }
        },
        None if request.method() != Method::GET => return bad(2, "Bad handshake method"),
        None => None,
    };
    match (query.transport.as_deref(), polling) {
        (Some("polling"), None) => match host.room(Carrier::Polling) {
            Ok(begin) => {
                let link = engine.open();
                let open = engine.handshake(link.sid().unwrap_or_default(), &["websocket"]);
                begin(Box::pin(async { Some(link) }));
                payload(&[open])
            }
            Err(full) => turn(&Turned::Full(full), &HeaderMap::new()),
        },
        (Some("polling"), Some(polling)) if request.method() == Method::GET => match polling.poll().await {
            Ok(frames) => payload(&frames),
            Err(refused) => refuse(refused),
        },
        (Some("polling"), Some(polling)) if request.method() == Method::POST => {
            post(&polling, request, engine.settings.post_max).await
        }
        (Some("websocket"), polling) => match upgrade(&request, None) {
            Ok(response) => websocket(engine.clone(), polling, request, response, host),
            Err(why) => {
                host.refused("websocket handshake", &why.to_string());
                refusal(StatusCode::BAD_REQUEST, 3, "Bad request")
            }
        },
        (Some("polling"), Some(_)) => bad(3, "Bad request"),
        _ => bad(0, "Transport unknown"),
    }
}

async fn post(polling: &Polling, request: Request, post_max: usize) -> Response {
    let posting = match polling.begin_post() {
        Ok(posting) => posting,
        Err(refused) => return refuse(refused),
    };
    let body = match timeout(BODY_TIMEOUT, whole(request.into_body(), post_max)).await {
        Ok(Ok(Some(body))) => body,
        Ok(Ok(None)) => {
            polling.fail(Close::TooLarge).await;
            return refusal(StatusCode::PAYLOAD_TOO_LARGE, 3, "Payload too large");
        }
        Ok(Err(error)) => {
            tracing::debug!(%error, "a POST broke off");
            polling.fail(Close::BadRequest).await;
            return refusal(StatusCode::BAD_REQUEST, 3, "Bad request");
        }
        Err(_) => {
            polling.fail(Close::BadRequest).await;
            return refusal(StatusCode::REQUEST_TIMEOUT, 3, "Payload did not arrive in time");
        }
    };
    let packets = match std::str::from_utf8(&body).ok().map(decode_payload) {
        Some(Ok(packets)) => packets,
        malformed => {
            tracing::debug!(?malformed, "malformed payload");
            polling.fail(Close::BadRequest).await;
            return refusal(StatusCode::BAD_REQUEST, 3, "Bad request");
        }
    };
    match posting.deliver(packets).await {
        Ok(()) => ([(header::CONTENT_TYPE, "text/html")], "ok").into_response(),
        Err(refused) => refuse(refused),
    }
}

/// A body of at most so many bytes; `None`: it has more. Of those some are read all the same, for a client that is still
/// sending does not look for an answer.
async fn whole(mut body: Body, bytes_max: usize) -> Result<Option<Bytes>, axum::Error> {
    let mut read = BytesMut::new();
    let mut bytes = 0;
    while let Some(frame) = body.frame().await {
        let Ok(part) = frame?.into_data() else { continue };
        bytes += part.len();
        if bytes <= bytes_max {
            read.extend_from_slice(&part);
        } else {
            read = BytesMut::new();
        }
        if bytes > bytes_max.saturating_add(DISCARD_BYTES_MAX) {
            break;
        }
    }
    Ok((bytes <= bytes_max).then(|| read.freeze()))
}

fn websocket(
    engine: Arc<Engine>,
    polling: Option<Arc<Polling>>,
    request: Request,
    response: Response,
    host: &impl Host,
) -> Response {
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
    match polling {
        Some(polling) => {
            tokio::spawn(async move {
                let Some(mut socket) = socket.await else { return };
                if polling.may_upgrade() {
                    move_to(&polling, socket).await;
                } else {
                    socket.close(Close::BadRequest).await; // the client has a WebSocket, which stays
                }
            });
        }
        None => match host.room(Carrier::WebSocket) {
            Ok(begin) => begin(Box::pin(async move { Some(EngineLink::websocket(engine, socket.await?)) })),
            Err(full) => return turn(&Turned::Full(full), &HeaderMap::new()),
        },
    }
    response
}

/// The client tries a WebSocket, and moves to it if it works.
async fn move_to(polling: &Polling, mut socket: crate::session::Wire) {
    let probe = async {
        if !says(&mut socket, "2probe").await || !polling.probe() {
            return false;
        }
        let answered = socket.send(vec![Frame::Text("3probe".into())]).await.is_ok();
        let moved = answered && says(&mut socket, "5").await;
        if !moved {
            polling.unprobe();
        }
        moved
    };
    let moved = tokio::select! {
        moved = timeout(UPGRADE_TIMEOUT, probe) => match moved {
            Ok(moved) => moved,
            Err(_) => {
                polling.unprobe();
                false
            }
        },
        () = polling.ended() => false,
    };
    if moved {
        polling.switch(Box::new(socket)).await;
    } else {
        tracing::debug!("a client did not finish its upgrade");
    }
}

/// Whether this is what the client says next; WebSocket's own pings may come before it.
async fn says(socket: &mut crate::session::Wire, wanted: &str) -> bool {
    loop {
        match socket.next().await {
            Incoming::Control => {}
            Incoming::Frame(Frame::Text(text)) => return text.as_str() == wanted,
            _ => return false,
        }
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
