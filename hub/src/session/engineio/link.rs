//! The session's end of an Engine.IO connection, whichever transport carries it, with its heartbeat.

use super::Engine;
use super::packet::Packet;
use super::polling::{Inbound, Offered, Polling};
use crate::outbox::Frame;
use crate::session::link::{Gone, Incoming, Link};
use crate::session::socket::{READ_FACTOR, Wire};
use confab_protocol::Close;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

/// How long a polling client may take to ask once more and hear the end.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// A link over Engine.IO.
pub struct EngineLink {
    engine: Arc<Engine>,
    /// By which the client polls, or did.
    sid: Option<String>,
    carrier: Carrier,
    /// Packets that came and were not read yet.
    stash: VecDeque<Packet>,
    /// Frames of our own that wait for the WebSocket: pings, and what still waited when polling ended.
    outgoing: VecDeque<Frame>,
    unflushed: bool,
    beat: Beat,
}

enum Carrier {
    Polling { polling: Arc<Polling>, inbound: mpsc::Receiver<Inbound> },
    WebSocket(Box<Wire>),
}

/// The heartbeat comes from the server.
#[derive(Clone, Copy)]
enum Beat {
    PingAt(Instant),
    PongBy(Instant),
}

impl Beat {
    fn at(self) -> Instant {
        let (Self::PingAt(at) | Self::PongBy(at)) = self;
        at
    }
}

impl EngineLink {
    pub(super) fn polling(engine: Arc<Engine>, polling: Arc<Polling>, inbound: mpsc::Receiver<Inbound>) -> Self {
        let sid = polling.sid.clone();
        let mut link = Self::new(engine, Carrier::Polling { polling, inbound });
        link.sid = Some(sid);
        link
    }

    /// A link that begins with a WebSocket.
    pub fn websocket(engine: Arc<Engine>, socket: Wire) -> Self {
        let sid = super::fresh_sid();
        let mut link = Self::new(engine, Carrier::WebSocket(Box::new(socket)));
        link.outgoing.push_back(link.engine.handshake(&sid, &[]));
        link
    }

    fn new(engine: Arc<Engine>, carrier: Carrier) -> Self {
        let beat = Beat::PingAt(Instant::now() + engine.settings.ping_interval);
        Self { engine, sid: None, carrier, stash: VecDeque::new(), outgoing: VecDeque::new(), unflushed: false, beat }
    }

    /// The session id by which the client polls, or did before it moved to a WebSocket.
    pub fn sid(&self) -> Option<&str> {
        self.sid.as_deref()
    }

    fn take(&mut self, inbound: Inbound) {
        match inbound {
            Inbound::Packets(packets) => self.stash.extend(packets),
            Inbound::Upgraded(socket) => {
                if let Carrier::Polling { polling, .. } = &self.carrier {
                    self.outgoing.extend(polling.take_waiting());
                }
                self.carrier = Carrier::WebSocket(socket);
            }
        }
    }

    /// What a packet means to the session; `None`: nothing.
    fn open(&mut self, packet: Packet) -> Option<Incoming> {
        match packet {
            Packet::Message(frame) => return Some(self.message(frame)),
            Packet::Close => return Some(Incoming::Gone),
            Packet::Ping => return Some(Incoming::Broken(Close::BadRequest)), // the heartbeat comes from the server
            Packet::Pong => self.beat = Beat::PingAt(Instant::now() + self.engine.settings.ping_interval),
            Packet::Noop | Packet::Open | Packet::Upgrade => {} // odd, and of no consequence
        }
        None
    }

    fn message(&self, frame: Frame) -> Incoming {
        let max = self.engine.settings.max_payload;
        match frame.len() {
            len if len <= max => Incoming::Frame(frame),
            len if len <= max * READ_FACTOR => Incoming::Oversized(frame),
            _ => Incoming::Broken(Close::TooLarge),
        }
    }

    /// The heartbeat is due.
    fn beat(&mut self) -> Option<Incoming> {
        let Beat::PingAt(due) = self.beat else { return Some(Incoming::Broken(Close::NoPong)) };
        let wait = self.engine.settings.ping_timeout;
        let now = Instant::now();
        // Counted from when it was due, so that two timers' rounding does not add up; unless the session was busy.
        let from = if now - due < wait / 4 { due } else { now };
        self.beat = Beat::PongBy(from + wait);
        match &self.carrier {
            Carrier::Polling { polling, .. } => polling.ping(),
            Carrier::WebSocket(_) => self.outgoing.push_back(Frame::Text("2".into())),
        }
        None
    }

    /// Sends what is ours over the WebSocket. Dropping the future loses nothing and sends nothing twice.
    async fn push_outgoing(&mut self) -> Result<(), Gone> {
        let Carrier::WebSocket(socket) = &mut self.carrier else { return Ok(()) };
        if !self.outgoing.is_empty() {
            socket.feed(self.outgoing.make_contiguous()).await?;
            self.outgoing.clear();
            self.unflushed = true;
        }
        if self.unflushed {
            socket.flush().await?;
            self.unflushed = false;
        }
        Ok(())
    }
}

impl Link for EngineLink {
    async fn next(&mut self) -> Incoming {
        loop {
            if let Some(packet) = self.stash.pop_front() {
                match self.open(packet) {
                    Some(incoming) => return incoming,
                    None => continue,
                }
            }
            if !self.outgoing.is_empty() || self.unflushed {
                let by = match self.beat {
                    Beat::PingAt(at) => at + self.engine.settings.ping_timeout,
                    Beat::PongBy(at) => at,
                };
                match timeout_at(by, self.push_outgoing()).await {
                    Ok(Ok(())) => {}
                    Ok(Err(Gone)) => return Incoming::Gone,
                    Err(_) => return Incoming::Broken(Close::NoPong),
                }
            }
            let at = self.beat.at();
            let due = match &mut self.carrier {
                Carrier::Polling { polling, inbound } => tokio::select! {
                    biased;
                    Some(came) = inbound.recv() => {
                        self.take(came);
                        false
                    }
                    close = polling.failed() => return Incoming::Broken(close),
                    () = polling.ended() => return Incoming::Gone,
                    () = sleep_until(at) => true,
                },
                Carrier::WebSocket(socket) => tokio::select! {
                    biased;
                    incoming = socket.next() => match incoming {
                        Incoming::Frame(frame) | Incoming::Oversized(frame) => match Packet::read(frame) {
                            Ok(packet) => {
                                self.stash.push_back(packet);
                                false
                            }
                            Err(error) => {
                                tracing::debug!(%error, "malformed packet");
                                return Incoming::Broken(Close::BadRequest);
                            }
                        },
                        other => return other,
                    },
                    () = sleep_until(at) => true,
                },
            };
            if due && let Some(end) = self.beat() {
                return end;
            }
        }
    }

    async fn send(&mut self, mut frames: Vec<Frame>) -> Result<(), Gone> {
        loop {
            self.push_outgoing().await?;
            match &mut self.carrier {
                Carrier::WebSocket(socket) => return socket.send(frames).await,
                Carrier::Polling { polling, inbound } => {
                    frames = match polling.offer(frames) {
                        Ok(()) => return Ok(()),
                        Err(Offered::Gone) => return Err(Gone),
                        Err(Offered::Full(frames)) => frames,
                    };
                    // A client that moves to a WebSocket has stopped polling: what it posted before, and the socket
                    // behind it, must be taken here, or this would wait for a GET that never comes.
                    let taking = self.stash.is_empty() || polling.upgraded();
                    tokio::select! {
                        biased;
                        Some(came) = inbound.recv(), if taking => self.take(came),
                        () = polling.ended() => return Err(Gone),
                        () = polling.room() => {}
                    }
                }
            }
        }
    }

    async fn close(&mut self, close: Close) {
        match &mut self.carrier {
            Carrier::WebSocket(socket) => socket.close(close).await,
            Carrier::Polling { polling, .. } if close == Close::NoPong => polling.end(Some("1")), // nobody is there to hear it
            Carrier::Polling { polling, .. } => {
                polling.announce_close();
                // A client that does not ask again in time hears `400` when it does: the session is over either way.
                let _ = timeout(CLOSE_TIMEOUT, polling.ended()).await;
            }
        }
    }
}

impl Drop for EngineLink {
    fn drop(&mut self) {
        if let Carrier::Polling { polling, .. } = &self.carrier {
            polling.end(Some("1"));
        }
        if let Some(sid) = &self.sid {
            self.engine.forget(sid);
        }
    }
}
