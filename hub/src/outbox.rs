//! The outbox: a session's bounded queue of frames toward its client.
//!
//! Full means slow: the session is closed with a code that makes the client come back and recover. An event is never
//! dropped and the session kept. What is only of the moment (who comes and goes) gives way first.

use bytes::Bytes;
use confab_protocol::Close;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Notify;
use tokio_tungstenite::tungstenite::Utf8Bytes;

/// One socket's number, unique in this process.
pub type SessionId = u64;

/// Bytes for a client, encoded once and shared by every listener that speaks the same dialect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// Text.
    Text(Utf8Bytes),
    /// Binary.
    Binary(Bytes),
}

impl Frame {
    /// The length in bytes.
    pub fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl From<String> for Frame {
    fn from(mut text: String) -> Self {
        if text.capacity() - text.len() > SPARE_MAX {
            text.shrink_to_fit(); // it may wait for long, and its writer made room as it went
        }
        Self::Text(text.into())
    }
}

/// More than so many unused bytes are given back before a frame waits.
const SPARE_MAX: usize = 4 * 1024;

/// A session's queue. Writers never wait, but for those who bring a long catch-up; the session drains it.
#[derive(Debug)]
pub struct Outbox {
    queue: Mutex<Queue>,
    filled: Notify,
    emptied: Notify,
    /// The session should look up before anything else leaves.
    wake_requested: AtomicBool,
    bytes_max: usize,
    /// Held by whoever brings a page of a catch-up, so that a session in many rooms is brought one after another.
    pub paced: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Queue {
    frames: VecDeque<Frame>,
    bytes: usize,
    /// Frames of the moment: they leave behind the others, and are let go where those need the room.
    ephemeral: VecDeque<Frame>,
    ephemeral_bytes: usize,
    /// How many of them were let go.
    dropped: u64,
    close: Option<Close>,
}

/// What the session finds in its outbox.
#[derive(Debug)]
pub enum Drained {
    /// Frames to send, oldest first.
    Frames,
    /// The session must end now.
    Close(Close),
}

/// The most frames that leave in one flush: enough to batch, few enough to look at the socket again.
pub const FRAMES_PER_FLUSH: usize = 64;
/// The most bytes that leave in one flush.
pub const BYTES_PER_FLUSH: usize = 64 * 1024;

impl Outbox {
    /// An empty outbox that may hold `bytes_max` bytes.
    pub fn new(bytes_max: usize) -> Self {
        Self {
            queue: Mutex::default(),
            filled: Notify::new(),
            emptied: Notify::new(),
            wake_requested: AtomicBool::default(),
            bytes_max,
            paced: tokio::sync::Mutex::default(),
        }
    }

    /// The most bytes of one answer: a quarter of what may wait, so that an answer fits beside what else comes.
    pub fn answer_max(&self) -> usize {
        self.bytes_max / 4
    }

    /// How many bytes may wait.
    pub fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    /// Queues a frame. Where there is no room, the session is closed as slow instead; and where there can be none, for the
    /// frame is larger than all that may wait, it is closed for that.
    pub fn push(&self, frame: Frame) {
        if frame.is_empty() {
            return; // the dialect has nothing to say to this client
        }
        let mut queue = self.queue.lock();
        if queue.close.is_some() {
            return; // the session is ending and says so; what it missed it will recover
        }
        if queue.bytes + queue.ephemeral_bytes + frame.len() > self.bytes_max {
            queue.drop_ephemeral();
        }
        // Whoever waits was told when the first one came.
        let told = !queue.frames.is_empty();
        if queue.bytes + frame.len() > self.bytes_max {
            let too_large = frame.len() > self.bytes_max; // it would be too large again when the client comes back
            queue.frames.clear();
            queue.bytes = 0;
            queue.close = Some(if too_large { Close::TooLarge } else { Close::Slow });
            self.emptied.notify_waiters();
        } else {
            queue.bytes += frame.len();
            queue.frames.push_back(frame);
            if told {
                return;
            }
        }
        drop(queue);
        self.filled.notify_one();
    }

    /// Queues a frame of the moment, if there is room for it beside what matters; else it is let go, and counted.
    pub fn push_passing(&self, frame: Frame) {
        if frame.is_empty() {
            return;
        }
        let mut queue = self.queue.lock();
        if queue.close.is_some() {
            return;
        }
        if queue.bytes + queue.ephemeral_bytes + frame.len() > self.bytes_max / 2 {
            queue.dropped += 1;
            return;
        }
        queue.ephemeral_bytes += frame.len();
        queue.ephemeral.push_back(frame);
        drop(queue);
        self.filled.notify_one();
    }

    /// How many frames of the moment were let go since this was asked last.
    pub fn take_dropped(&self) -> u64 {
        std::mem::take(&mut self.queue.lock().dropped)
    }

    /// Ends the session once what is queued before has left; `Close::Slow` does not wait for that.
    pub fn close(&self, close: Close) {
        self.queue.lock().close.get_or_insert(close);
        self.filled.notify_one();
        self.emptied.notify_waiters();
    }

    /// Whether the session is about to end: nothing that is put in now leaves any more.
    pub fn closing(&self) -> bool {
        self.queue.lock().close.is_some()
    }

    /// Wakes the session, whether or not anything waits for its client: something about the session itself has changed.
    pub fn wake(&self) {
        self.wake_requested.store(true, Ordering::Release);
        self.filled.notify_one();
    }

    /// Whether the session was woken since it was asked the last time.
    pub fn woken(&self) -> bool {
        self.wake_requested.load(Ordering::Relaxed) && self.wake_requested.swap(false, Ordering::Acquire)
    }

    /// How many more bytes may wait.
    pub fn left(&self) -> usize {
        self.bytes_max.saturating_sub(self.bytes())
    }

    /// Waits until little waits, so that a page may be read that was asked for: no two pages wait at once. False: the session
    /// is ending.
    pub async fn nearly_empty(&self) -> bool {
        self.at_most(self.bytes_max / 16).await
    }

    /// Waits until at most a quarter of the bound waits, so that a page of a catch-up may be brought beside what else
    /// comes. False: the session is ending. A client that does not read ends this wait, since its session ends.
    pub async fn has_room(&self) -> bool {
        self.at_most(self.bytes_max / 4).await
    }

    async fn at_most(&self, bytes: usize) -> bool {
        loop {
            let mut emptied = std::pin::pin!(self.emptied.notified());
            emptied.as_mut().enable();
            {
                let queue = self.queue.lock();
                if queue.close.is_some() {
                    return false;
                }
                if queue.bytes <= bytes {
                    return true;
                }
            }
            emptied.await;
        }
    }

    /// Waits until there is something to do.
    pub async fn filled(&self) {
        loop {
            let notified = self.filled.notified();
            {
                let queue = self.queue.lock();
                let woken = self.wake_requested.load(Ordering::Relaxed);
                if woken || !queue.frames.is_empty() || !queue.ephemeral.is_empty() || queue.close.is_some() {
                    return;
                }
            }
            notified.await;
        }
    }

    /// Takes the next frames, as many as leave in one flush, into `frames`; or says that the session must end.
    pub fn drain(&self, frames: &mut Vec<Frame>) -> Drained {
        let mut queue = self.queue.lock();
        let mut bytes = 0;
        while frames.len() < FRAMES_PER_FLUSH && bytes < BYTES_PER_FLUSH {
            let Some(frame) = queue.frames.pop_front() else { break };
            bytes += frame.len();
            frames.push(frame);
        }
        queue.bytes -= bytes;
        while queue.frames.is_empty() && frames.len() < FRAMES_PER_FLUSH {
            let Some(frame) = queue.ephemeral.pop_front() else { break };
            queue.ephemeral_bytes -= frame.len();
            frames.push(frame);
        }
        if bytes > 0 && queue.bytes <= self.bytes_max / 4 {
            self.emptied.notify_waiters();
        }
        match queue.close {
            Some(close) if frames.is_empty() => Drained::Close(close),
            _ => Drained::Frames,
        }
    }

    /// Waits until the session has been found slow, or too small for a frame: the reason.
    pub async fn overflowed(&self) -> Close {
        loop {
            let notified = self.filled.notified();
            if let Some(close @ (Close::Slow | Close::TooLarge)) = self.queue.lock().close {
                return close;
            }
            notified.await;
        }
    }

    /// How many bytes wait.
    pub fn bytes(&self) -> usize {
        self.queue.lock().bytes
    }
}

impl Queue {
    fn drop_ephemeral(&mut self) {
        self.dropped += self.ephemeral.len() as u64;
        self.ephemeral.clear();
        self.ephemeral_bytes = 0;
    }
}

#[cfg(test)]
mod model;

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(len: usize) -> Frame {
        "x".repeat(len).into()
    }

    #[tokio::test]
    async fn what_is_queued_leaves_in_order_and_then_the_session_closes() {
        let outbox = Outbox::new(1000);
        outbox.push("a".to_owned().into());
        outbox.push("b".to_owned().into());
        outbox.close(Close::Shutdown);
        outbox.push("late".to_owned().into());
        outbox.filled().await;
        let mut frames = Vec::new();
        assert!(matches!(outbox.drain(&mut frames), Drained::Frames));
        assert_eq!(frames.len(), 2);
        frames.clear();
        assert!(matches!(outbox.drain(&mut frames), Drained::Close(Close::Shutdown)));
    }

    #[test]
    fn a_full_outbox_closes_the_session_as_slow_and_lets_go_of_its_memory() {
        let outbox = Outbox::new(100);
        outbox.push(frame(60));
        outbox.push(frame(60));
        let mut frames = Vec::new();
        assert!(matches!(outbox.drain(&mut frames), Drained::Close(Close::Slow)));
        assert_eq!(outbox.bytes(), 0);
    }

    #[test]
    fn a_frame_larger_than_the_bound_is_not_taken_even_where_nothing_else_waits() {
        let outbox = Outbox::new(100);
        outbox.push(frame(101));
        let mut frames = Vec::new();
        assert!(matches!(outbox.drain(&mut frames), Drained::Close(Close::TooLarge)));
        assert_eq!((frames.len(), outbox.bytes()), (0, 0));
        let outbox = Outbox::new(100);
        outbox.push(frame(100));
        assert!(matches!(outbox.drain(&mut frames), Drained::Frames));
        assert_eq!(frames.len(), 1);
    }

    #[test]
    fn what_is_of_the_moment_gives_way_to_events_and_is_counted() {
        let outbox = Outbox::new(100);
        outbox.push_passing(frame(40));
        outbox.push_passing(frame(40)); // past half of the bound
        assert_eq!(outbox.take_dropped(), 1);
        outbox.push(frame(50));
        outbox.push(frame(50)); // the first of the moment makes room for it
        assert_eq!(outbox.take_dropped(), 1);
        let mut frames = Vec::new();
        assert!(matches!(outbox.drain(&mut frames), Drained::Frames));
        assert_eq!(frames.iter().map(Frame::len).collect::<Vec<_>>(), [50, 50]);
        outbox.push_passing(frame(10));
        outbox.push(frame(20));
        frames.clear();
        assert!(matches!(outbox.drain(&mut frames), Drained::Frames));
        assert_eq!(frames.iter().map(Frame::len).collect::<Vec<_>>(), [20, 10], "events first");
    }

    #[tokio::test]
    async fn a_catch_up_waits_for_room_until_the_session_ends() {
        let outbox = Outbox::new(100);
        outbox.push(frame(60));
        let waiting = outbox.has_room();
        tokio::pin!(waiting);
        assert!(futures_util::poll!(waiting.as_mut()).is_pending());
        let mut frames = Vec::new();
        assert!(matches!(outbox.drain(&mut frames), Drained::Frames));
        assert!(waiting.await, "there is room");
        outbox.push(frame(60));
        let waiting = outbox.has_room();
        tokio::pin!(waiting);
        assert!(futures_util::poll!(waiting.as_mut()).is_pending());
        outbox.close(Close::Shutdown);
        assert!(!waiting.await, "the session is ending");
    }
}
