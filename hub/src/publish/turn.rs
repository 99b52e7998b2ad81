//! Turns: one session's drafts enter a room in the order it sent them, even when judging overlaps.

use confab_protocol::Room;
use std::collections::HashMap;
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;

/// What a draft waits for: that the one before it has entered the room. Where that one leaves without having waited for its
/// own turn, as one does that is refused, it hands on what it would have waited for.
#[derive(Debug)]
struct Before(oneshot::Receiver<Before>);

/// A session's queue before each room that it has sent to lately.
#[derive(Debug, Default)]
pub struct Turns {
    last: HashMap<Room, Before>,
}

/// A draft's place in that queue. Dropping it lets the next one in, as soon as all before it are in.
#[derive(Debug)]
pub struct Turn {
    before: Option<Before>,
    done: Option<oneshot::Sender<Before>>,
}

impl Turns {
    /// The next place before `room`.
    pub fn next(&mut self, room: &Room) -> Turn {
        if self.last.len() >= 64 {
            self.last.retain(|_, before| before.still_waits());
        }
        let (done, last) = oneshot::channel();
        let before = self.last.insert(room.clone(), Before(last));
        Turn { before: before.and_then(|mut before| before.still_waits().then_some(before)), done: Some(done) }
    }
}

impl Before {
    /// Whether there is anything left to wait for. Passes over those that have left, so that what is handed on does not
    /// become a chain.
    fn still_waits(&mut self) -> bool {
        loop {
            match self.0.try_recv() {
                Ok(earlier) => *self = earlier,
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Closed) => return false,
            }
        }
    }
}

impl Turn {
    /// A turn that waits for nobody.
    pub fn free() -> Self {
        Self { before: None, done: None }
    }

    /// Waits until every draft before this one has entered the room, or has been refused.
    pub async fn wait(&mut self) {
        while let Some(Before(before)) = &mut self.before {
            // Who has entered says nothing: it drops its end.
            self.before = before.await.ok();
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let (Some(mut before), Some(done)) = (self.before.take(), self.done.take())
            && before.still_waits()
        {
            let _ = done.send(before); // nobody comes after it where that fails
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;
    use std::task::{Context, Waker};

    /// Whether this turn has come.
    fn has_come(turn: &mut Turn) -> bool {
        pin!(turn.wait()).poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    fn three() -> (Turns, Room, [Turn; 3]) {
        let mut turns = Turns::default();
        let room = Room::new("lobby").unwrap();
        let turn = [turns.next(&room), turns.next(&room), turns.next(&room)];
        (turns, room, turn)
    }

    #[test]
    fn each_waits_for_the_one_before() {
        let (_turns, _room, [mut first, mut second, mut third]) = three();
        assert!(has_come(&mut first) && !has_come(&mut second) && !has_come(&mut third));
        drop(first);
        assert!(has_come(&mut second) && !has_come(&mut third));
        drop(second);
        assert!(has_come(&mut third));
    }

    #[test]
    fn one_that_is_refused_before_its_turn_does_not_let_the_next_pass_those_before_it() {
        let (mut turns, room, [first, second, mut third]) = three();
        drop(second);
        assert!(!has_come(&mut third), "the first has not entered yet");
        let mut others: Vec<Turn> = (0..10_000).map(|_| turns.next(&room)).collect();
        let mut last = turns.next(&room);
        others.clear();
        assert!(!has_come(&mut last));
        drop(first);
        assert!(has_come(&mut third) && !has_come(&mut last));
        drop(third);
        assert!(has_come(&mut last));
        drop(last);
        assert!(has_come(&mut turns.next(&room)), "nobody is left to wait for");
    }
}
