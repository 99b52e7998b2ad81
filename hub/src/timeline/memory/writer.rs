//! The one writer of the embedded timeline: takes what waits, gives out offsets, commits once, then tells everyone.

use super::super::{Appended, Counters, Entry, Error, Known, Outcome, Placed};
use super::room_state::Hot;
use super::{Append, Cell, Commit, Rooms};
use crate::clock::now_ms;
use crate::journal;
use confab_protocol::{Cursor, Key, Record, Room, UserId};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

type Answer = oneshot::Sender<Result<Appended, Error>>;

/// Writes until every handle is gone, or until `stop`: then what waits is still written, and nothing new is taken.
pub(super) async fn run(
    rooms: Arc<Rooms>,
    commit: Arc<dyn Commit>,
    mut waiting: mpsc::Receiver<Append>,
    stop: CancellationToken,
) {
    let max = rooms.options.batch_max.max(1);
    let mut taken = Vec::with_capacity(max);
    loop {
        let count = tokio::select! {
            count = waiting.recv_many(&mut taken, max) => count,
            () = stop.cancelled(), if !waiting.is_closed() => {
                waiting.close();
                continue;
            }
        };
        if count == 0 {
            return;
        }
        // Whoever is about to append does so first: it costs nothing when nobody is, and one commit for all when many are.
        tokio::task::yield_now().await;
        while taken.len() < max
            && let Ok(append) = waiting.try_recv()
        {
            taken.push(append);
        }
        let mut batch = Batch::default();
        for append in taken.drain(..) {
            batch.take(&rooms, append).await;
        }
        batch.finish(&rooms, &*commit).await;
    }
}

/// Events with offsets that are not committed yet, and who waits for them.
#[derive(Default)]
struct Batch {
    /// The rooms of the batch and the last cursor given out in each.
    tops: HashMap<Room, (Arc<Cell>, Cursor)>,
    /// Index in `placed` of each key.
    keys: HashMap<(Room, UserId, Key), usize>,
    placed: Vec<(Hot, Arc<Record>, Answer)>,
    /// Those that came with a key of this very batch: they are answered with the cursor of the first.
    followers: Vec<(usize, Answer)>,
}

impl Batch {
    /// Answers what is known or fails; gives everything else an offset.
    async fn take(&mut self, rooms: &Rooms, Append { entry, answer }: Append) {
        let event = &entry.event;
        let cell = match rooms.cell(&event.room).await {
            Ok(cell) => cell,
            Err(error) => return reply(answer, Err(error)),
        };
        let name = (event.room.clone(), event.sender.user.clone(), event.key.clone());
        if let Some(index) = self.keys.get(&name) {
            self.followers.push((*index, answer));
            return;
        }
        let (known, top) = match cell.state() {
            Ok(state) => {
                let mut state = state.lock();
                (state.known(&event.sender.user, &event.key, now_ms()), state.top())
            }
            Err(error) => return reply(answer, Err(error)),
        };
        if let Some(known) = known.or_else(|| rooms.refused(&event.room, &event.sender.user, &event.key)) {
            Counters::add(&rooms.counters.known_keys);
            return reply(answer, Ok(Appended::Known(known)));
        }
        let (_, top) = self.tops.entry(event.room.clone()).or_insert((cell, top));
        top.offset += 1;
        let Entry { event, trail, window_events, window_age } = entry;
        let record = Arc::new(Record { event, cursor: *top, trail });
        self.keys.insert(name, self.placed.len());
        self.placed.push((Hot { events: window_events, age: window_age }, record, answer));
    }

    /// Commits, and lets the world see what was committed.
    async fn finish(self, rooms: &Rooms, commit: &dyn Commit) {
        if self.placed.is_empty() {
            return;
        }
        let records = self.placed.iter().map(|(_, record, _)| record.clone()).collect();
        match commit.commit(records).await {
            Ok(()) => self.publish(rooms),
            Err(error) => self.fail(rooms, &error),
        }
    }

    fn publish(self, rooms: &Rooms) {
        for (index, answer) in self.followers {
            let record = &self.placed[index].1;
            let outcome = Outcome::Journaled { id: record.event.id, cursor: record.cursor };
            Counters::add(&rooms.counters.known_keys);
            reply(answer, Ok(Appended::Known(Known { digest: record.event.digest.clone(), outcome })));
        }
        for (hot, record, answer) in self.placed {
            let room = &record.event.room;
            if let Some(state) = self.tops.get(room).and_then(|(cell, _)| cell.state().ok()) {
                state.lock().push(record.clone(), hot);
            }
            if rooms.heard.lock().contains(room) {
                rooms.relays.event(record.clone());
            }
            reply(answer, Ok(Appended::Placed(Placed { record, pending: None })));
        }
    }

    /// Nothing changed, and the offsets are given out again. Where nobody knows what was committed, the rooms are
    /// brought back from the past before they are used again.
    fn fail(self, rooms: &Rooms, error: &Arc<journal::Error>) {
        tracing::error!(%error, events = self.placed.len(), "could not commit");
        let unknown = matches!(**error, journal::Error::Unknown(_));
        if unknown {
            rooms.forget(self.tops.keys());
        }
        let answers = self.placed.into_iter().map(|(_, _, answer)| answer);
        for answer in answers.chain(self.followers.into_iter().map(|(_, answer)| answer)) {
            let told = if unknown { Error::Unknown(error.to_string()) } else { Error::Journal(error.clone()) };
            reply(answer, Err(told));
        }
    }
}

/// Answers; whoever asked may have gone, then nobody needs the answer: the key has it.
fn reply(answer: Answer, told: Result<Appended, Error>) {
    drop(answer.send(told));
}
