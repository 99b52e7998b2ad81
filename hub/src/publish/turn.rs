//! Turns: one session's drafts enter a room in the order it sent them, even when judging overlaps.

use confab_protocol::Room;
use std::collections::HashMap;
use tokio::sync::oneshot;

/// A session's queue before each room that it has sent to lately.
#[derive(Debug, Default)]
pub struct Turns {
    last: HashMap<Room, oneshot::Receiver<()>>,
}

/// A draft's place in that queue. Dropping it lets the next one in.
#[derive(Debug)]
pub struct Turn {
    before: Option<oneshot::Receiver<()>>,
    _done: Option<oneshot::Sender<()>>,
}

impl Turns {
    /// The next place before `room`.
    pub fn next(&mut self, room: &Room) -> Turn {
        if self.last.len() >= 64 {
            self.last.retain(|_, before| before.try_recv() == Err(oneshot::error::TryRecvError::Empty));
        }
        let (done, last) = oneshot::channel();
        Turn { before: self.last.insert(room.clone(), last), _done: Some(done) }
    }
}

impl Turn {
    /// A turn that waits for nobody.
    pub fn free() -> Self {
        Self { before: None, _done: None }
    }

    /// Waits until every draft before this one has entered the room, or has been refused.
    pub async fn wait(&mut self) {
        if let Some(before) = self.before.take() {
            let _ = before.await; // the one before says nothing: it drops its end
        }
    }
}
