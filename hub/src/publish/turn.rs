//! Turns: one session's drafts enter a room in the order it sent them, even when judging overlaps; and where a generation ends
//! before they are settled, they are placed in the next in that order, too.

use confab_protocol::{Cursor, Room};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;

/// What one waits for: that the one before has left the queue. Where that one leaves without having waited for its own turn, as
/// one does that is refused, it hands on what it would have waited for.
#[derive(Debug)]
struct Before(oneshot::Receiver<Before>);

/// A position in a queue. Dropping it lets the next one in, as soon as all before it have left.
#[derive(Debug, Default)]
struct Position {
    before: Option<Before>,
    done: Option<oneshot::Sender<Before>>,
}

/// Its last position.
#[derive(Debug, Default)]
struct Queue(Option<Before>);

/// A session's queues before each room that it has sent to lately.
#[derive(Debug, Default)]
pub struct Turns {
    last: HashMap<Room, Line>,
    /// Whether events are settled after they were placed: then their order is kept until they are.
    settled: bool,
}

/// A session's drafts for one room: those that have not entered it, and those that are not settled.
#[derive(Debug, Default)]
struct Line {
    entering: Queue,
    settling: Queue,
    /// The newest epoch in which one of them was placed; 0: none was.
    epoch: Arc<AtomicU64>,
}

/// A draft's turn to enter its room.
#[derive(Debug, Default)]
pub struct Turn {
    entering: Position,
    settling: Option<Unsettled>,
}

/// A draft that has its turn, or had it, until it is settled: those that the same session said after it are not placed in another
/// generation before it is.
#[derive(Debug)]
pub struct Unsettled {
    position: Position,
    epoch: Arc<AtomicU64>,
}

impl Turns {
    /// For a timeline in which events are settled after they were placed, or not.
    pub fn new(settled: bool) -> Self {
        Self { last: HashMap::new(), settled }
    }

    /// The next turn to enter `room`.
    pub fn next(&mut self, room: &Room) -> Turn {
        if self.last.len() >= 64 {
            self.last.retain(|_, line| line.entering.still_waits() || line.settling.still_waits());
        }
        if !self.last.contains_key(room) {
            self.last.insert(room.clone(), Line::default());
        }
        let Some(line) = self.last.get_mut(room) else { return Turn::free() };
        let settling = || Unsettled { position: line.settling.next(), epoch: line.epoch.clone() };
        Turn { settling: self.settled.then(settling), entering: line.entering.next() }
    }
}

impl Queue {
    fn next(&mut self) -> Position {
        let (done, last) = oneshot::channel();
        let before = self.0.replace(Before(last));
        Position { before: before.and_then(|mut before| before.still_waits().then_some(before)), done: Some(done) }
    }

    fn still_waits(&mut self) -> bool {
        self.0.as_mut().is_some_and(Before::still_waits)
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

impl Position {
    /// Waits until all before it have left the queue.
    async fn wait(&mut self) {
        while let Some(Before(before)) = &mut self.before {
            // Who has had its turn says nothing: it drops its end.
            self.before = before.await.ok();
        }
    }
}

impl Drop for Position {
    fn drop(&mut self) {
        if let (Some(mut before), Some(done)) = (self.before.take(), self.done.take())
            && before.still_waits()
        {
            let _ = done.send(before); // nobody comes after it where that fails
        }
    }
}

impl Turn {
    /// A turn that waits for nobody.
    pub fn free() -> Self {
        Self::default()
    }

    /// Waits until every draft before this one has entered the room, or has been refused.
    pub async fn wait(&mut self) {
        self.entering.wait().await;
    }

    /// The next one may enter: this one has, or will not.
    pub fn entered(self) -> Option<Unsettled> {
        self.settling
    }

    /// The generation in which this one may be placed, where others before it are not settled: in a later one it would come
    /// before them.
    pub fn only_in(&mut self) -> Option<u64> {
        let Unsettled { position, epoch } = self.settling.as_mut()?;
        let epoch = Some(epoch.load(Ordering::Acquire)).filter(|epoch| *epoch > 0);
        epoch.filter(|_| position.before.as_mut().is_some_and(Before::still_waits))
    }

    /// Waits until every draft before this one is settled.
    pub async fn wait_for_settled(&mut self) {
        if let Some(settling) = &mut self.settling {
            settling.wait().await;
        }
    }

    /// It has its place.
    pub fn placed(&self, cursor: Cursor) {
        if let Some(settling) = &self.settling {
            settling.placed(cursor);
        }
    }
}

impl Unsettled {
    /// Waits until every draft before this one is settled.
    pub async fn wait(&mut self) {
        self.position.wait().await;
    }

    /// It has its place.
    pub fn placed(&self, cursor: Cursor) {
        self.epoch.fetch_max(cursor.epoch.0, Ordering::AcqRel);
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

    #[test]
    fn whoever_has_entered_still_comes_before_the_next_until_it_is_settled() {
        let room = Room::new("lobby").unwrap();
        let mut turns = Turns::new(true);
        let mut turn = [turns.next(&room), turns.next(&room), turns.next(&room)];
        assert_eq!(turn[1].only_in(), None, "none has its place yet");
        turn[0].placed(Cursor::new(7, 1));
        let [first, second, mut third] = turn;
        let first = first.entered().unwrap();
        let mut second = second.entered().unwrap();
        let is_next =
            |unsettled: &mut Unsettled| pin!(unsettled.wait()).poll(&mut Context::from_waker(Waker::noop())).is_ready();
        assert!(has_come(&mut third) && third.only_in() == Some(7) && !is_next(&mut second));
        drop(first);
        assert!(is_next(&mut second) && third.only_in() == Some(7), "the second is not settled");
        drop(second);
        assert_eq!(third.only_in(), None, "all before it are settled");
        assert!(Turns::new(false).next(&room).entered().is_none(), "where nothing is settled nothing is kept");
    }
}
