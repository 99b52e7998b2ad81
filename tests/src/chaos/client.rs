//! A client of a run: says things under keys and asks again until it is answered, listens, loses its link, and recovers on
//! another hub. What it saw and was told goes into the history.

use super::history::{Does, Heard, History, Told, What};
use super::words;
use crate::client::{Answer, Client};
use anyhow::Result;
use confab_protocol::Cursor;
use fastrand::Rng;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

/// How long a client waits for an answer before it takes its link for lost.
const ANSWER: Duration = Duration::from_secs(7);
/// How long it waits until it is connected.
const CONNECT: Duration = Duration::from_secs(3);
/// The longest that it waits before it asks again, in milliseconds.
const AGAIN_MAX: u64 = 1_500;
/// How often a poisoned message is tried: the plugin will fail on it each time.
const POISON_TRIES: u32 = 3;
/// In how many of a hundred cases a client changes something that it said before, and of those, deletes it.
const CHANGES: u32 = 10;
const DELETIONS: u32 = 35;
/// How many of its own messages it remembers, to change them.
const OWN_MAX: usize = 40;
/// In how many of a hundred cases an answered send is sent once more, to hear the same again.
const DOUBTS: u32 = 4;

/// How clients behave.
#[derive(Clone, Debug)]
pub struct Habits {
    /// How long a client waits between two things that it says.
    pub pace: Duration,
    /// How long a link lives while people talk, in milliseconds; `None` for as long as the hub keeps it.
    pub link: Option<Range<u64>>,
    /// How many of its sends are under way at once.
    pub in_flight: usize,
    /// How many may wait to be asked again: past it the client says nothing new.
    pub unanswered: usize,
    /// Whether there are plugins, and things are said that these do not let pass as they are.
    pub provokes: bool,
}

impl Habits {
    /// Clients that come and go.
    pub fn fickle(pace: Duration) -> Self {
        Self { pace, link: Some(3_000..25_000), in_flight: 6, unanswered: 200, provokes: true }
    }

    /// Clients that stay, and say as much as ever whatever they are told.
    pub fn steady(pace: Duration) -> Self {
        Self { pace, link: None, in_flight: 60, unanswered: usize::MAX, provokes: false }
    }
}

/// What clients are asked to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// Say things, listen, come and go.
    #[default]
    Talk,
    /// Say nothing new: ask after what was not answered, and listen.
    Drain,
    /// End when these places are reached.
    Until(BTreeMap<String, Cursor>),
    /// End.
    End,
}

/// What all clients share.
pub struct Shared {
    /// Where hubs are.
    pub fronts: Vec<String>,
    /// Takes down what happens.
    pub history: Arc<History>,
    /// How many clients have nothing unanswered.
    pub quiet: AtomicUsize,
    /// How they behave.
    pub habits: Habits,
}

/// A send that has no final answer.
struct Open {
    room: String,
    key: String,
    does: Does,
    tries: u32,
    again: Instant,
}

type Sending = BoxFuture<'static, (Open, Told)>;

/// A client.
pub struct Speaker {
    name: String,
    rooms: Vec<String>,
    shared: Arc<Shared>,
    phase: watch::Receiver<Phase>,
    dice: Rng,
    said: u64,
    session: u32,
    /// The place it holds in each room.
    held: BTreeMap<String, Cursor>,
    /// Rooms that it listens to now.
    joined: BTreeMap<String, Cursor>,
    open: Vec<Open>,
    /// Messages of its own, by room and id, that stand and that it has not deleted.
    own: Vec<(String, String)>,
    under_way: FuturesUnordered<Sending>,
    quiet: bool,
}

impl Speaker {
    /// A client of this name, in these rooms.
    pub fn new(name: &str, rooms: Vec<String>, seed: u64, shared: Arc<Shared>, phase: watch::Receiver<Phase>) -> Self {
        Self {
            name: name.to_owned(),
            rooms,
            shared,
            phase,
            dice: Rng::with_seed(seed),
            said: 0,
            session: 0,
            held: BTreeMap::new(),
            joined: BTreeMap::new(),
            open: Vec::new(),
            own: Vec::new(),
            under_way: FuturesUnordered::new(),
            quiet: false,
        }
    }

    /// Lives until it is told to end.
    pub async fn live(mut self) {
        let mut over = false;
        while !over && *self.phase.borrow() != Phase::End {
            self.session += 1;
            let hub = self.dice.usize(0..self.shared.fronts.len());
            let connecting = Client::connect(&self.shared.fronts[hub], &self.name);
            let Ok(Ok(client)) = timeout(CONNECT, connecting).await else {
                sleep(Duration::from_millis(self.dice.u64(50..500))).await;
                continue;
            };
            self.note(What::Connected { session: self.session, hub });
            let code = self.stay(client).await;
            over = self.is_over();
            self.joined.clear();
            while let Some((open, told)) = self.under_way.next().await {
                self.answered(open, told);
            }
            self.note(What::Disconnected { session: self.session, code });
            sleep(Duration::from_millis(self.dice.u64(0..400))).await;
        }
    }

    /// Stays connected as long as the link, the hub and its own whims let it. Gives the close code.
    async fn stay(&mut self, mut client: Client) -> u64 {
        let link = self.shared.habits.link.clone();
        let leaves = link.map(|lives| Instant::now() + Duration::from_millis(self.dice.u64(lives)));
        let mut beat = tokio::time::interval(self.shared.habits.pace);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let code = loop {
            if !self.join_all(&client).await || self.is_over() {
                break 0;
            }
            let whim = *self.phase.borrow() == Phase::Talk;
            tokio::select! {
                biased;
                push = client.pushes.recv() => match self.heard(push) {
                    None => {}
                    Some(code) => break code,
                },
                Some((open, told)) = self.under_way.next(), if !self.under_way.is_empty() => {
                    let lost = told == Told::Nothing;
                    self.answered(open, told);
                    if lost {
                        break 0;
                    }
                }
                _ = beat.tick() => self.speak(&client),
                () = tokio::time::sleep_until(leaves.unwrap_or_else(Instant::now)), if whim && leaves.is_some() => break 0,
                _ = self.phase.changed() => {}
            }
        };
        client.cut();
        code
    }

    fn is_over(&self) -> bool {
        match &*self.phase.borrow() {
            Phase::Talk | Phase::Drain => false,
            Phase::Until(places) => self.rooms.iter().all(|room| match places.get(room) {
                Some(place) => self.joined.get(room).is_some_and(|at| at >= place),
                None => true,
            }),
            Phase::End => true,
        }
    }

    /// Says the next thing, or asks again after an older one.
    fn speak(&mut self, client: &Client) {
        self.tell_whether_quiet();
        if self.under_way.len() >= self.shared.habits.in_flight {
            return;
        }
        let now = Instant::now();
        if let Some(due) = self.open.iter().position(|open| open.again <= now) {
            let open = self.open.swap_remove(due);
            self.send(client, open);
        }
        if *self.phase.borrow() == Phase::Talk && self.open.len() < self.shared.habits.unanswered {
            self.said += 1;
            let open = self.next(now);
            self.send(client, open);
        }
    }

    /// The next thing that it says or does.
    fn next(&mut self, again: Instant) -> Open {
        let provokes = self.shared.habits.provokes;
        if provokes && !self.own.is_empty() && self.dice.u32(0..100) < CHANGES {
            let chosen = self.dice.usize(0..self.own.len());
            let deletes = self.dice.u32(0..100) < DELETIONS;
            let (room, id) = if deletes { self.own.swap_remove(chosen) } else { self.own[chosen].clone() };
            let (key, does) = match deletes {
                true => (words::deletion(&self.name, self.said), Does::Delete(id)),
                false => (words::edit(&self.name, self.said), Does::Edit(id)),
            };
            return Open { room, key, does, tries: 0, again };
        }
        let key = match provokes {
            true => words::key(&self.name, self.said, &mut self.dice),
            false => words::plain(&self.name, self.said),
        };
        let room = self.rooms[self.dice.usize(0..self.rooms.len())].clone();
        Open { room, key, does: Does::Say, tries: 0, again }
    }

    fn tell_whether_quiet(&mut self) {
        let quiet = *self.phase.borrow() != Phase::Talk && self.open.is_empty() && self.under_way.is_empty();
        match (self.quiet, quiet) {
            (false, true) => self.shared.quiet.fetch_add(1, Ordering::SeqCst),
            (true, false) => self.shared.quiet.fetch_sub(1, Ordering::SeqCst),
            _ => return,
        };
        self.quiet = quiet;
    }

    fn send(&mut self, client: &Client, mut open: Open) {
        open.tries += 1;
        let Open { room, key, does, tries: attempt, .. } = &open;
        let body = json!({"text": words::sent(key)});
        let (verb, draft) = match does {
            Does::Say => ("send", json!({"room": room, "key": key, "body": body})),
            Does::Edit(target) => ("edit", json!({"room": room, "key": key, "target": target, "body": body})),
            Does::Delete(target) => ("delete", json!({"room": room, "key": key, "target": target})),
        };
        let (session, attempt) = (self.session, *attempt);
        self.note(What::Sent { room: room.clone(), key: key.clone(), attempt, session, does: does.clone() });
        let answer = client.begin_rpc(verb, draft);
        self.under_way.push(Box::pin(async move {
            let told = match timeout(ANSWER, answer).await {
                Ok(Ok(answer)) => told(&answer),
                _ => Told::Nothing,
            };
            (open, told)
        }));
    }

    fn answered(&mut self, mut open: Open, told: Told) {
        self.note(What::Answered { key: open.key.clone(), attempt: open.tries, told: told.clone() });
        if let (Does::Say, Told::Receipt { id, .. }) = (&open.does, &told)
            && !self.own.iter().any(|(_, own)| own == id)
        {
            if self.own.len() >= OWN_MAX {
                self.own.remove(0);
            }
            self.own.push((open.room.clone(), id.clone()));
        }
        let again = match told {
            Told::Receipt { .. } => *self.phase.borrow() == Phase::Talk && self.dice.u32(0..100) < DOUBTS,
            Told::Refused { temporary: false, .. } => false,
            Told::Refused { .. } | Told::Nothing => !(words::is_poison(&open.key) && open.tries >= POISON_TRIES),
        };
        if again {
            let longest = (50 << open.tries.min(5)).min(AGAIN_MAX);
            open.again = Instant::now() + Duration::from_millis(self.dice.u64(10..longest));
            self.open.push(open);
        }
    }

    /// Joins the rooms that it is not in. False where the link is to be given up.
    async fn join_all(&mut self, client: &Client) -> bool {
        for room in self.rooms.clone() {
            if self.joined.contains_key(&room) {
                continue;
            }
            match timeout(ANSWER, self.join(client, &room)).await {
                Ok(Ok(true)) => {}
                // It may be let in later: whoever cannot come in here tries elsewhere.
                Ok(Ok(false)) if self.dice.bool() => return false,
                Ok(Ok(false)) => sleep(Duration::from_millis(self.dice.u64(20..200))).await,
                _ => return false,
            }
        }
        true
    }

    async fn join(&mut self, client: &Client, room: &str) -> Result<bool> {
        let since = self.held.get(room).copied();
        let place = since.map(|at| (at.epoch.to_string(), at.offset));
        let place = place.as_ref().map(|(epoch, offset)| (epoch.as_str(), *offset));
        let reply = match client.subscribe(room, place).await? {
            Ok(reply) => reply,
            Err(refusal) => {
                let code = refusal["code"].as_u64().unwrap_or_default();
                self.note(What::NotJoined { room: room.to_owned(), code });
                return Ok(false);
            }
        };
        let epoch = reply["epoch"].as_str().unwrap_or_default().parse().unwrap_or_default();
        let cursor = Cursor { epoch, offset: reply["offset"].as_u64().unwrap_or_default() };
        let recovered = reply["recovered"] == true;
        let missed: Vec<Heard> = reply["publications"].as_array().into_iter().flatten().map(heard).collect();
        self.held.insert(room.to_owned(), cursor);
        self.joined.insert(room.to_owned(), cursor);
        self.note(What::Joined { room: room.to_owned(), since, recovered, cursor, missed });
        Ok(true)
    }

    /// Takes in a push; the close code where it is one.
    fn heard(&mut self, push: Option<Value>) -> Option<u64> {
        let push = push.unwrap_or_else(|| json!({"close": {"code": 1006}}));
        if let Some(close) = push.get("close") {
            return Some(close["code"].as_u64().unwrap_or_default());
        }
        let room = push["channel"].as_str().unwrap_or_default().to_owned();
        if let Some(publication) = push.get("pub") {
            let event = heard(publication);
            self.held.insert(room.clone(), event.cursor);
            self.joined.insert(room.clone(), event.cursor);
            self.note(What::Heard { room, event });
        } else if let Some(put_out) = push.get("unsubscribe") {
            self.joined.remove(&room);
            self.note(What::NotJoined { room, code: put_out["code"].as_u64().unwrap_or_default() });
        }
        None
    }

    fn note(&self, what: What) {
        self.shared.history.record(&self.name, what);
    }
}

fn told(answer: &Answer) -> Told {
    match answer {
        Ok(receipt) => Told::Receipt {
            id: receipt["id"].as_str().unwrap_or_default().to_owned(),
            cursor: Cursor {
                epoch: receipt["epoch"].as_str().unwrap_or_default().parse().unwrap_or_default(),
                offset: receipt["offset"].as_u64().unwrap_or_default(),
            },
            at: receipt["at"].as_u64().unwrap_or_default(),
        },
        Err(refusal) => Told::Refused {
            code: refusal["code"].as_u64().unwrap_or_default(),
            temporary: refusal["temporary"] == true,
        },
    }
}

/// An event out of a publication.
fn heard(publication: &Value) -> Heard {
    let tag = |name: &str| publication["tags"][name].as_str().unwrap_or_default().to_owned();
    Heard {
        id: tag("id"),
        cursor: Cursor {
            epoch: tag("epoch").parse().unwrap_or_default(),
            offset: publication["offset"].as_u64().unwrap_or_default(),
        },
        sender: publication["info"]["user"].as_str().unwrap_or_default().to_owned(),
        key: tag("key"),
        text: publication["data"]["text"].as_str().unwrap_or_default().to_owned(),
    }
}
