//! The timeline against a model that fits on a page: in memory, in a Redis, in a Redis Cluster.

use crate::ledger::Ledger;
use crate::server::connection;
use crate::world::{World, cluster_options, entry, key, redis_options, room, user};
use confab_hub::timeline::{Appended, Entry, Known, Outcome, Placed, RedisOptions, Settled};
use confab_protocol::{Cursor, EventId, Refusal};
use proptest::prelude::*;
use proptest::sample::Index;
use std::collections::HashMap;
use std::sync::Arc;

#[derive(Clone, Debug)]
enum Step {
    /// A new event: in which room, with which key, saying what.
    Send(u8, u8, u8),
    /// The very same event again.
    Resend(Index),
    /// A placed event is in the journal.
    Settle(Index),
    /// A plugin refuses a draft.
    Refuse(u8, u8, u8),
    /// Redis loses its generation, and nothing else.
    Fail,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..2u8, 0..3u8, 0..2u8).prop_map(|(room, key, draft)| Step::Send(room, key, draft)),
        2 => any::<Index>().prop_map(Step::Resend),
        3 => any::<Index>().prop_map(Step::Settle),
        1 => (0..2u8, 0..3u8, 0..2u8).prop_map(|(room, key, draft)| Step::Refuse(room, key, draft)),
        1 => Just(Step::Fail),
    ];
    prop::collection::vec(step, 1..30)
}

type Name = (String, String);

#[derive(Default)]
struct Model {
    /// Embedded: whatever has a place is in the journal.
    commits_first: bool,
    epoch: u64,
    tops: HashMap<String, u64>,
    keys: HashMap<Name, Known>,
    /// Keys whose record is in the journal, with the first place that is written there.
    written: HashMap<Name, Cursor>,
}

/// What an append must answer.
#[derive(Debug, PartialEq)]
enum Expected {
    Placed(EventId, Cursor),
    Known(Known),
}

impl Model {
    fn append(&mut self, entry: &Entry) -> Expected {
        let event = &entry.event;
        let name = (event.room.to_string(), event.key.to_string());
        let mut id = event.id;
        if let Some(known) = self.keys.get(&name) {
            match known.outcome {
                Outcome::Pending { id: first, cursor } if cursor.epoch.0 == self.epoch && first == id => {
                    return Expected::Placed(id, cursor);
                }
                Outcome::Pending { id: first, cursor }
                    if cursor.epoch.0 < self.epoch && known.digest == event.digest =>
                {
                    id = first;
                }
                _ => return Expected::Known(known.clone()),
            }
        }
        let top = self.tops.entry(name.0.clone()).or_default();
        *top += 1;
        let cursor = Cursor::new(self.epoch, *top);
        let outcome = match self.commits_first {
            true => Outcome::Journaled { id, cursor },
            false => Outcome::Pending { id, cursor },
        };
        self.keys.insert(name, Known { digest: event.digest.clone(), outcome });
        Expected::Placed(id, cursor)
    }

    fn settle(&mut self, placed: &Placed) -> Settled {
        let record = &placed.record;
        let name = (record.event.room.to_string(), record.event.key.to_string());
        self.written.entry(name.clone()).or_insert(record.cursor);
        if record.cursor.epoch.0 != self.epoch {
            return Settled::Stale;
        }
        let known = self.keys.get_mut(&name).expect("what was placed is known");
        if let Outcome::Pending { id, cursor } = known.outcome {
            known.outcome = Outcome::Journaled { id, cursor };
        }
        Settled::Done
    }

    fn refuse(&mut self, name: Name, digest: &str, refusal: &Refusal) -> Option<Known> {
        if let Some(known) = self.keys.get(&name) {
            return Some(known.clone());
        }
        let outcome = Outcome::Refused(refusal.clone());
        self.keys.insert(name, Known { digest: digest.to_owned(), outcome });
        None
    }

    /// The rooms begin anew, and the journal's tail says what became of pending keys.
    fn fail(&mut self) {
        self.epoch += 1;
        self.tops.clear();
        for (name, known) in &mut self.keys {
            if let (Outcome::Pending { id, .. }, Some(cursor)) = (&known.outcome, self.written.get(name)) {
                known.outcome = Outcome::Journaled { id: *id, cursor: *cursor };
            }
        }
    }
}

async fn lose_the_generation(options: &RedisOptions) {
    let buckets = (0..options.buckets).map(|bucket| format!("{}{{b{bucket}}}:generation", options.prefix));
    for name in buckets.chain([format!("{}:generation", options.prefix)]) {
        let mut lose = redis::cmd("DEL");
        lose.arg(&name);
        if options.cluster.is_empty() {
            lose.exec_async(&mut connection(&options.url).await).await.unwrap();
            continue;
        }
        let nodes = options.cluster.iter().map(|node| format!("redis://{node}"));
        let client = redis::cluster::ClusterClient::new(nodes).unwrap();
        lose.exec_async(&mut client.get_async_connection().await.unwrap()).await.unwrap();
    }
}

/// Where the timeline is.
enum Where {
    Memory,
    Redis(Box<RedisOptions>),
}

async fn check(steps: Vec<Step>, place: Where) {
    let world = match &place {
        Where::Memory => World::memory().await,
        Where::Redis(options) => World::redis_with((**options).clone(), Arc::<Ledger>::default()).await,
    };
    let epoch = world.read("room 0", None, false, 0).await.top.epoch.0;
    let mut model = Model { epoch, commits_first: matches!(place, Where::Memory), ..Model::default() };
    let (mut sent, mut placed) = (Vec::<Entry>::new(), Vec::<Placed>::new());
    for step in steps {
        match &step {
            Step::Send(..) | Step::Resend(_) => {
                let entry = match &step {
                    Step::Send(room, key, draft) => {
                        entry(&format!("room {room}"), &format!("key {key}"), &format!("draft {draft}"))
                    }
                    Step::Resend(index) if !sent.is_empty() => index.get(&sent).clone(),
                    _ => continue,
                };
                let found = match world.timeline.append(&entry).await.unwrap() {
                    Appended::Placed(new) => {
                        let place = Expected::Placed(new.record.event.id, new.record.cursor);
                        placed.extend(new.pending.is_some().then_some(new));
                        place
                    }
                    Appended::Known(known) => Expected::Known(known),
                };
                assert_eq!(found, model.append(&entry), "{step:?}");
                sent.push(entry);
            }
            Step::Settle(index) if !placed.is_empty() => {
                let placed = index.get(&placed);
                world.ledger.keep(&placed.record);
                let settled = world.timeline.settle(placed.pending.as_ref().unwrap()).await.unwrap();
                assert_eq!(settled, model.settle(placed), "{step:?}");
            }
            Step::Settle(_) => {}
            Step::Refuse(room_number, key_number, draft) => {
                let (in_room, of_key) = (format!("room {room_number}"), format!("key {key_number}"));
                let refusal = Refusal::Plugin { code: 400, reason: "no".into(), details: None };
                let digest = format!("digest of draft {draft}");
                let (at, by, with) = (room(&in_room), user("ada"), key(&of_key));
                let told = world.timeline.remember(&at, &by, &with, &digest, &refusal).await.unwrap();
                assert_eq!(told, model.refuse((in_room, of_key), &digest, &refusal), "{step:?}");
            }
            Step::Fail => {
                let Where::Redis(options) = &place else { continue };
                lose_the_generation(options).await;
                world.until_taking().await;
                model.fail();
            }
        }
        for number in 0..2 {
            let name = format!("room {number}");
            let window = world.read(&name, None, false, 100).await;
            let top = model.tops.get(&name).copied().unwrap_or(0);
            assert_eq!(window.top, Cursor::new(model.epoch, top), "{step:?}");
            assert_eq!(window.records.len() as u64, top, "{step:?}");
        }
    }
    world.timeline.close().await;
}

fn run(steps: Vec<Step>, place: Where) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(check(steps, place));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_scripts_do_what_the_model_does(steps in steps()) {
        run(steps, Where::Redis(Box::new(RedisOptions { buckets: 2, ..redis_options() })));
    }

    #[test]
    fn the_scripts_do_in_a_cluster_what_the_model_does(steps in steps()) {
        run(steps, Where::Redis(Box::new(RedisOptions { buckets: 2, ..cluster_options() })));
    }

    #[test]
    fn the_memory_does_what_the_model_does(steps in steps()) {
        run(steps, Where::Memory);
    }
}
