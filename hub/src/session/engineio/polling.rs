//! Where a polling client's requests and its session meet.
//!
//! Outward at most one flush waits for the next GETs; inward the packets of a POST wait until the session takes them, and
//! the POST is answered then. So a polling client is held back, and found slow, as one with a WebSocket is.

use super::packet::Packet;
use crate::outbox::{BYTES_PER_FLUSH, FRAMES_PER_FLUSH, Frame};
use crate::session::socket::Wire;
use confab_protocol::Close;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// The most packets of one answer: stock clients in Python read no more than so many, and give the session up where there are.
pub(super) const POLL_PACKETS_MAX: usize = 16;

/// POSTs that may wait for the session, besides the one being answered.
const POSTS_WAITING: usize = 1;

/// How long a goodbye waits for a GET that left the client before it, on another connection.
const GOODBYE_GRACE: Duration = Duration::from_millis(50);

/// How long a request that ends the session waits for the session to say why.
const LAST_WORD_TIMEOUT: Duration = Duration::from_secs(1);

/// What the session is brought.
pub enum Inbound {
    /// The packets of a POST.
    Packets(Vec<Packet>),
    /// The client has moved to a WebSocket.
    Upgraded(Box<Wire>),
}

/// Why a request is not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The session has ended, or is served by a WebSocket now.
    #[error("session is unknown")]
    Unknown,
    /// There is a request of the same kind already. The session ends.
    #[error("two requests of one kind at once")]
    Overlap,
}

/// One polling client.
pub struct Polling {
    /// Its session id.
    pub sid: String,
    state: Mutex<State>,
    /// Woken when there is room for more, and when the client moves to a WebSocket.
    room: Notify,
    /// Woken when a GET begins to wait.
    asked: Notify,
    /// Cancelled when the client has broken the protocol or a limit: the session ends, and says why.
    failed: CancellationToken,
    /// Cancelled when the session has said its last.
    closing: CancellationToken,
    /// Cancelled when nothing more can come of polling.
    ended: CancellationToken,
    inbound: mpsc::Sender<Inbound>,
}

#[derive(Default)]
struct State {
    stage: PollingState,
    waiting: Vec<Frame>,
    bytes: usize,
    poll: Option<oneshot::Sender<Vec<Frame>>>,
    posting: bool,
    why: Option<Close>,
    /// The session has said why.
    told: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum PollingState {
    /// Requests come and go.
    #[default]
    Polling,
    /// A WebSocket is being tried: the client stops polling, and no GET is kept waiting.
    Probing,
    /// The WebSocket has taken over.
    Upgraded,
    /// The session has ended; the next GET hears the last packets.
    Closing,
    /// Nothing more.
    Closed,
}

fn packet(text: &'static str) -> Frame {
    Frame::Text(text.into())
}

impl Polling {
    pub(super) fn new(sid: String) -> (Arc<Self>, mpsc::Receiver<Inbound>) {
        let (inbound, receiver) = mpsc::channel(POSTS_WAITING);
        let polling = Self {
            sid,
            state: Mutex::default(),
            room: Notify::new(),
            asked: Notify::new(),
            failed: CancellationToken::new(),
            closing: CancellationToken::new(),
            ended: CancellationToken::new(),
            inbound,
        };
        (Arc::new(polling), receiver)
    }

    /// A GET: waits for packets. Dropping the future means that the client went away, and ends the session.
    pub async fn poll(&self) -> Result<Vec<Frame>, Refused> {
        let receiver = {
            let mut state = self.state.lock();
            match state.stage {
                PollingState::Closed | PollingState::Upgraded => return Err(Refused::Unknown),
                _ if state.poll.is_some() => {
                    self.fail_in(&mut state, Close::BadRequest);
                    return Err(Refused::Overlap);
                }
                PollingState::Closing => {
                    let mut last = state.take_some();
                    if last.len() < POLL_PACKETS_MAX {
                        last.push(packet("1"));
                        self.end_in(&mut state, None);
                    }
                    return Ok(last);
                }
                PollingState::Polling | PollingState::Probing if !state.waiting.is_empty() => {
                    self.room.notify_one();
                    return Ok(state.take_some());
                }
                PollingState::Probing => return Ok(vec![packet("6")]),
                PollingState::Polling => {}
            }
            let (sender, receiver) = oneshot::channel();
            state.poll = Some(sender);
            self.asked.notify_waiters();
            receiver
        };
        let aborted = Aborted(Some(self));
        let packets = receiver.await.map_err(|_| Refused::Unknown);
        aborted.disarm();
        packets
    }

    /// Begins a POST; what is returned must live as long as it does.
    pub fn begin_post(&self) -> Result<Posting<'_>, Refused> {
        let mut state = self.state.lock();
        if !matches!(state.stage, PollingState::Polling | PollingState::Probing) {
            return Err(Refused::Unknown);
        }
        if state.posting {
            self.fail_in(&mut state, Close::BadRequest);
            return Err(Refused::Overlap);
        }
        state.posting = true;
        Ok(Posting(self))
    }

    /// Lets the session end because the client broke the protocol or a limit, and waits until it has said why: a GET that
    /// waits has been answered then, before the request that broke it.
    pub async fn fail(&self, why: Close) {
        self.fail_in(&mut self.state.lock(), why);
        let _ = timeout(LAST_WORD_TIMEOUT, self.closing.cancelled()).await; // a session that is busy says it later
    }

    fn fail_in(&self, state: &mut State, why: Close) {
        state.why.get_or_insert(why);
        self.failed.cancel();
    }

    /// Queues frames, and answers the waiting GET with them. `Err`: there is no room now, and gives them back; or the session has ended.
    pub(super) fn offer(&self, frames: Vec<Frame>) -> Result<(), Offered> {
        let mut state = self.state.lock();
        match state.stage {
            PollingState::Polling | PollingState::Probing => {}
            PollingState::Upgraded => return Err(Offered::Full(frames)),
            PollingState::Closing | PollingState::Closed => return Err(Offered::Gone),
        }
        let bytes: usize = frames.iter().map(Frame::len).sum();
        let full = state.waiting.len() + frames.len() > FRAMES_PER_FLUSH || state.bytes + bytes > BYTES_PER_FLUSH;
        if full && !state.waiting.is_empty() {
            return Err(Offered::Full(frames));
        }
        state.bytes += bytes;
        state.told = state.why.is_some() && !frames.is_empty();
        state.waiting.extend(frames);
        state.answer();
        Ok(())
    }

    /// Queues our ping: one packet, beyond the bound.
    pub(super) fn ping(&self) {
        let mut state = self.state.lock();
        if matches!(state.stage, PollingState::Polling | PollingState::Probing) {
            state.waiting.push(packet("2"));
            state.answer();
        }
    }

    /// The session has ended: the client hears what waits, and the end, if it asks in time.
    pub(super) fn announce_close(&self) {
        let mut state = self.state.lock();
        if state.poll.is_some() {
            state.waiting.push(packet("1"));
            state.answer();
            self.end_in(&mut state, None);
        } else if state.why.is_some() && !state.told {
            self.end_in(&mut state, None); // the answer to the request that broke it has said everything
        } else if matches!(state.stage, PollingState::Polling | PollingState::Probing) {
            state.stage = PollingState::Closing;
        }
        self.closing.cancel();
    }

    /// Whether a WebSocket may be tried; then the waiting GET is answered, so that the client can stop polling.
    pub fn probe(&self) -> bool {
        let mut state = self.state.lock();
        let polling = state.stage == PollingState::Polling;
        if polling {
            state.stage = PollingState::Probing;
            state.release();
        }
        polling
    }

    /// Whether a WebSocket could be tried now.
    pub fn may_upgrade(&self) -> bool {
        self.state.lock().stage == PollingState::Polling
    }

    /// The WebSocket came to nothing; polling goes on.
    pub fn unprobe(&self) {
        let mut state = self.state.lock();
        if state.stage == PollingState::Probing {
            state.stage = PollingState::Polling;
        }
    }

    /// The WebSocket takes over. What was posted before is ahead of it in the queue.
    pub async fn switch(&self, socket: Box<Wire>) {
        {
            let mut state = self.state.lock();
            if state.stage != PollingState::Probing {
                return; // the session ended meanwhile, and the socket with it
            }
            state.stage = PollingState::Upgraded;
            state.release();
        }
        self.room.notify_one();
        if self.inbound.send(Inbound::Upgraded(socket)).await.is_err() {
            tracing::debug!("a session ended while its client moved to a WebSocket");
        }
    }

    pub(super) fn upgraded(&self) -> bool {
        self.state.lock().stage == PollingState::Upgraded
    }

    /// Waits until a GET waits.
    async fn asked(&self) {
        let asked = self.asked.notified();
        if self.state.lock().poll.is_none() {
            asked.await;
        }
    }

    /// What still waited when the WebSocket took over.
    pub(super) fn take_waiting(&self) -> Vec<Frame> {
        self.state.lock().take()
    }

    pub(super) async fn room(&self) {
        self.room.notified().await;
    }

    /// Waits for the end of polling by anything but a WebSocket.
    pub async fn ended(&self) {
        self.ended.cancelled().await;
    }

    /// Waits until the client has broken the protocol or a limit, and says why the session ends.
    pub(super) async fn failed(&self) -> Close {
        self.failed.cancelled().await;
        self.state.lock().why.unwrap_or(Close::BadRequest)
    }

    /// The client says goodbye: requests are over, and what it posted is still brought to the session.
    fn goodbye(&self) {
        let mut state = self.state.lock();
        if matches!(state.stage, PollingState::Polling | PollingState::Probing) {
            state.stage = PollingState::Closed;
            state.take();
            state.release();
            self.room.notify_one();
        }
    }

    /// Ends it at once; a waiting GET is answered with `last`.
    pub(super) fn end(&self, last: Option<&'static str>) {
        self.end_in(&mut self.state.lock(), last);
    }

    fn end_in(&self, state: &mut State, last: Option<&'static str>) {
        if matches!(state.stage, PollingState::Closed | PollingState::Upgraded) {
            return;
        }
        state.stage = PollingState::Closed;
        self.closing.cancel();
        state.take();
        if let (Some(poll), Some(last)) = (state.poll.take(), last) {
            let _ = poll.send(vec![packet(last)]); // the client may have gone: then nobody needs to hear it
        }
        self.ended.cancel();
    }
}

impl State {
    fn take(&mut self) -> Vec<Frame> {
        self.bytes = 0;
        std::mem::take(&mut self.waiting)
    }

    /// The first of what waits, as many packets as one answer may have.
    fn take_some(&mut self) -> Vec<Frame> {
        let behind = self.waiting.split_off(self.waiting.len().min(POLL_PACKETS_MAX));
        self.bytes = behind.iter().map(Frame::len).sum();
        std::mem::replace(&mut self.waiting, behind)
    }

    /// Answers the waiting GET with the first of what waits.
    fn answer(&mut self) {
        if let Some(poll) = self.poll.take() {
            let _ = poll.send(self.take_some()); // the client may have gone: the GET's end ends the session
        }
    }

    /// Answers the waiting GET although there is nothing to say.
    fn release(&mut self) {
        if let Some(poll) = self.poll.take() {
            let _ = poll.send(vec![packet("6")]); // the client may have gone: the GET's end says so
        }
    }
}

/// What became of an offer.
pub(super) enum Offered {
    Full(Vec<Frame>),
    Gone,
}

/// A POST under way.
pub struct Posting<'a>(&'a Polling);

impl Posting<'_> {
    /// Hands the packets to the session once it takes them.
    pub async fn deliver(self, packets: Vec<Packet>) -> Result<(), Refused> {
        let goodbye = packets.contains(&Packet::Close);
        if goodbye {
            let _ = timeout(GOODBYE_GRACE, self.0.asked()).await; // without one the goodbye is as good
        }
        let place = self.0.inbound.reserve().await.map_err(|_| Refused::Unknown)?;
        if goodbye {
            self.0.goodbye(); // first, for the session ends this as well, and less kindly
        }
        place.send(Inbound::Packets(packets));
        Ok(())
    }
}

impl Drop for Posting<'_> {
    fn drop(&mut self) {
        self.0.state.lock().posting = false;
    }
}

/// Ends the session if a GET goes away before it is answered: what it would have carried is lost on the way.
struct Aborted<'a>(Option<&'a Polling>);

impl Aborted<'_> {
    fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for Aborted<'_> {
    fn drop(&mut self) {
        if let Some(polling) = self.0 {
            polling.end(None);
        }
    }
}

#[cfg(test)]
mod tests;
