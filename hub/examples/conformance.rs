//! The server that the official protocol suites of Engine.IO v4 and Socket.IO v5 run against, on the hub's own
//! transports and codecs. `docs/contributing/conformance.md` says how to run them.
//!
//! `/engine.io/` echoes every message, `/socket.io/` is the suite's small application, and `/` is a bare WebSocket that
//! echoes frames of up to 16 MiB.

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use confab_hub::admission::{Carrier, Full};
use confab_hub::dialect::socketio::{Assembler, Bounds, Kind, Malformed, Packet};
use confab_hub::http::engineio::{Begin, Host, Opening, Origins, answer};
use confab_hub::http::upgrade;
use confab_hub::outbox::Frame;
use confab_hub::session::Socket;
use confab_hub::session::engineio::{Engine, Settings};
use confab_hub::session::link::{Incoming, Link};
use confab_protocol::Close;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout, timeout_at};

/// What the suites ask for.
const SETTINGS: Settings = Settings {
    ping_interval: Duration::from_millis(300),
    ping_timeout: Duration::from_millis(200),
    max_payload: 1_000_000,
    post_max: 1_000_000,
};
/// A heartbeat for clients that are no suite.
const CALM: Duration = Duration::from_secs(20);
/// The most sessions.
const SESSIONS_MAX: usize = 1000;
/// How long a client may take to enter a namespace.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(1000);
/// How long a client may take to read an answer.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);
/// The largest message of the bare echo.
const ECHO_BYTES_MAX: usize = 16 * 1024 * 1024;

#[derive(Clone)]
struct Engines {
    echo: Arc<Engine>,
    application: Arc<Engine>,
    taken: Arc<Semaphore>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:3000".to_owned());
    // Clients that are no suite may ask for a heartbeat that a busy machine keeps up with.
    let settings = match std::env::args().nth(2).as_deref() {
        Some("--calm") => Settings { ping_interval: CALM, ping_timeout: CALM, ..SETTINGS },
        _ => SETTINGS,
    };
    let listener = TcpListener::bind(&address).await?;
    let taken = Arc::new(Semaphore::new(SESSIONS_MAX));
    let engines = Engines { echo: Engine::new(settings), application: Engine::new(settings), taken };
    let router = Router::new()
        .route("/", any(bare))
        .route("/engine.io/", any(engine))
        .route("/socket.io/", any(application))
        .with_state(engines);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let service = TowerToHyperService::new(router.clone());
        tokio::spawn(
            hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), service)
                .with_upgrades(),
        );
    }
}

async fn engine(State(engines): State<Engines>, request: Request) -> Response {
    let room = Room { taken: engines.taken, behind: || Echo };
    answer(&engines.echo, Origins::Any, request, &room).await
}

async fn application(State(engines): State<Engines>, request: Request) -> Response {
    let room = Room { taken: engines.taken, behind: Application::new };
    answer(&engines.application, Origins::Any, request, &room).await
}

/// Room for clients, and what stands behind each.
struct Room<B> {
    taken: Arc<Semaphore>,
    behind: fn() -> B,
}

impl<B: Behind + Send + 'static> Host for Room<B> {
    fn room(&self, _: Carrier) -> Result<Begin, Full> {
        let (taken, behind) = (self.taken.clone().try_acquire_owned().map_err(|_| Full::Sessions)?, self.behind);
        Ok(Box::new(move |opening: Opening| {
            tokio::spawn(async move {
                if let Some(link) = opening.await {
                    live(link, behind()).await;
                }
                drop(taken);
            });
        }))
    }

    fn refused(&self, _: &'static str, _: &str) {}
}

async fn bare(request: Request) -> Response {
    match upgrade(&request, None) {
        Ok(response) => {
            tokio::spawn(async move {
                if let Ok(upgraded) = hyper::upgrade::on(request).await {
                    live(Socket::new(TokioIo::new(upgraded), ECHO_BYTES_MAX).await, Echo).await;
                }
            });
            response
        }
        Err(why) => why.into_response(),
    }
}

/// What stands behind a link.
trait Behind {
    /// When the link is closed although nothing is wrong with it.
    fn closes_at(&self) -> Option<Instant>;
    /// The answers to a frame.
    fn hear(&mut self, frame: Frame) -> Result<Vec<Frame>, Malformed>;
}

async fn live(mut link: impl Link, mut behind: impl Behind + Send) {
    let close = loop {
        let incoming = match behind.closes_at() {
            Some(at) => match timeout_at(at, link.next()).await {
                Ok(incoming) => incoming,
                Err(_) => break Close::Stale,
            },
            None => link.next().await,
        };
        match incoming {
            Incoming::Frame(frame) => match behind.hear(frame) {
                Ok(answers) if answers.is_empty() => {}
                Ok(answers) => match timeout(SEND_TIMEOUT, link.send(answers)).await {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) => return,
                    Err(_) => break Close::Slow,
                },
                Err(_) => break Close::BadRequest,
            },
            Incoming::Control => {}
            Incoming::Oversized(_) => break Close::WebSocketTooLarge,
            Incoming::Broken(close) => break close,
            Incoming::Gone => return,
        }
    };
    link.close(close).await;
}

/// Says everything back.
struct Echo;

impl Behind for Echo {
    fn closes_at(&self) -> Option<Instant> {
        None
    }

    fn hear(&mut self, frame: Frame) -> Result<Vec<Frame>, Malformed> {
        Ok(vec![frame])
    }
}

/// The namespaces `/` and `/custom`: each tells what it was entered with, and says back what it hears.
struct Application {
    assembler: Assembler,
    entered: HashSet<String>,
    connect_by: Option<Instant>,
}

impl Application {
    fn new() -> Self {
        Self {
            assembler: Assembler::new(Bounds { attachments: 16, bytes: SETTINGS.max_payload }),
            entered: HashSet::new(),
            connect_by: Some(Instant::now() + CONNECT_TIMEOUT),
        }
    }

    fn enter(&mut self, packet: &Packet) -> Vec<Frame> {
        let namespace = &packet.namespace;
        if !matches!(namespace.as_str(), "/" | "/custom") {
            let why = r#"{"message":"Invalid namespace"}"#;
            return Packet::new(Kind::ConnectError, namespace, None, why).frames();
        }
        self.connect_by = None;
        self.entered.insert(namespace.clone());
        let sid = format!(r#"{{"sid":"{}"}}"#, confab_hub::session::engineio::fresh_sid());
        let auth = if packet.data.is_empty() { "{}" } else { &packet.data };
        let mut frames = Packet::new(Kind::Connect, namespace, None, sid).frames();
        frames.extend(Packet::new(Kind::Event, namespace, None, format!(r#"["auth",{auth}]"#)).frames());
        frames
    }
}

impl Behind for Application {
    fn closes_at(&self) -> Option<Instant> {
        self.connect_by
    }

    fn hear(&mut self, frame: Frame) -> Result<Vec<Frame>, Malformed> {
        let Some(mut packet) = self.assembler.take(&frame)? else { return Ok(Vec::new()) };
        if packet.cut {
            return Err(Malformed::Attachments);
        }
        if packet.kind == Kind::Connect {
            return Ok(self.enter(&packet));
        }
        if !self.entered.contains(&packet.namespace) {
            return Err(Malformed::Order);
        }
        match packet.kind {
            Kind::Disconnect => {
                self.entered.remove(&packet.namespace);
                return Ok(Vec::new());
            }
            Kind::Event => {}
            _ => return Ok(Vec::new()),
        }
        let (name, arguments) = packet.arguments()?;
        let mut values: Vec<&str> = arguments.iter().map(|value| value.get()).collect();
        match name.as_str() {
            "message" => values.insert(0, r#""message-back""#),
            "message-with-ack" => packet.kind = Kind::Ack,
            _ => return Ok(Vec::new()),
        }
        packet.data = format!("[{}]", values.join(","));
        Ok(packet.frames())
    }
}
