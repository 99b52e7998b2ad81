//! The sweep: what a dead hub left pending, or what has been pending longer than any journal's client waits, is
//! journaled by another hub. Copies are harmless; a record that nobody writes down is not.

use super::super::{Appended, Counters, Entry, Error};
use super::answer::{Answer, damaged};
use super::client::{Client, ScriptCall};
use super::failure::{Failure, failed, refuses_writes};
use super::fence::Fence;
use super::journal_access::JournalAccess;
use super::scripts::Script;
use super::unread::Unread;
use confab_protocol::{Cursor, Record};
use futures_util::future::try_join_all;
use parking_lot::Mutex;
use redis::{RedisResult, Value};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// How often the buckets are looked at. A dead hub is known one look after its lease ended, its events are taken one
/// look later.
const LOOK: Duration = Duration::from_millis(500);
/// How long a look keeps a bucket for its sweeper: should that one die, too, another must be in time.
const BUCKET_LEASE: Duration = Duration::from_millis(800);
/// How many entries of a bucket one look goes through; the next goes on from there.
const ENTRIES: usize = 200;
/// How many buckets are asked about at once.
const BUCKETS: usize = 256;
/// How many events are being journaled at once; what is over waits for the next look.
const AT_ONCE: usize = 256;

/// Sweeps until `stop`.
pub(super) async fn run(client: Client, journal: Arc<dyn JournalAccess>, stop: CancellationToken) {
    let mut sweeper = Sweeper {
        client,
        journal,
        starts: HashMap::new(),
        dead: BTreeSet::new(),
        in_hand: Arc::default(),
        jobs: JoinSet::new(),
    };
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = looks.tick() => {}
            () = stop.cancelled() => break,
        }
        while sweeper.jobs.try_join_next().is_some() {}
        let Some(fence) = sweeper.client.standing() else { continue };
        if let Some(Err(error)) = stop.run_until_cancelled(sweeper.look(&fence)).await {
            tracing::warn!(%error, "could not look for pending events to sweep");
        }
    }
    // What is cut off here is still pending: another hub finds it.
    sweeper.jobs.shutdown().await;
}

struct Sweeper {
    client: Client,
    journal: Arc<dyn JournalAccess>,
    /// Where the next look at a bucket begins, if it is not the beginning.
    starts: HashMap<u16, String>,
    /// The hubs without a sign of life at the last look.
    dead: BTreeSet<String>,
    /// What is being journaled at this moment.
    in_hand: Arc<Mutex<HashSet<(u16, String)>>>,
    jobs: JoinSet<()>,
}

/// A pending entry that this hub must journal.
struct Due {
    bucket: u16,
    entry: String,
    generation: u64,
    record: Record,
}

impl Sweeper {
    async fn look(&mut self, fence: &Arc<Fence>) -> Result<(), Error> {
        // Other hubs lost their leases when Redis was away, just as this one did: they get the time to come back.
        if fence.since.elapsed() < self.client.options.hub_lease {
            self.dead.clear();
        }
        let buckets: Vec<u16> = self.client.keys.buckets().collect();
        let mut hubs = BTreeSet::new();
        for buckets in buckets.chunks(BUCKETS) {
            for (bucket, value) in buckets.iter().zip(self.ask(fence, buckets).await) {
                let value = match value {
                    Ok(value) => value,
                    // Its next look is soon enough; that nothing can be written, not even a lease, is said elsewhere.
                    Err(error) if Failure::of(&error) == Failure::Moving || refuses_writes(&error) => continue,
                    Err(error) => return Err(failed(&error)),
                };
                for due in self.read(*bucket, value, &mut hubs)? {
                    self.take(due);
                }
            }
        }
        self.dead = self.without_life(fence, hubs).await?;
        Ok(())
    }

    async fn ask(&self, fence: &Fence, buckets: &[u16]) -> Vec<RedisResult<Value>> {
        let keys = &self.client.keys;
        let options = &self.client.options;
        let mut calls = Vec::new();
        for bucket in buckets {
            let names = vec![keys.generation(*bucket), keys.sweeper(*bucket), keys.pending(*bucket)];
            let age = (options.delivery_timeout + options.sweep_margin).as_millis();
            let mut args: Vec<Vec<u8>> = [
                fence.generation.to_string(),
                options.hub_id.clone(),
                BUCKET_LEASE.as_millis().to_string(),
                age.to_string(),
                self.starts.get(bucket).cloned().unwrap_or_else(|| "-".into()),
                ENTRIES.to_string(),
            ]
            .map(String::into_bytes)
            .into();
            args.extend(self.dead.iter().map(|hub| hub.clone().into_bytes()));
            calls.push((Script::Sweep, names, args));
        }
        fence.primaries.run_each(&calls).await
    }

    /// Reads a look at one bucket: which hubs have something there, and what is due.
    fn read(&mut self, bucket: u16, value: Value, hubs: &mut BTreeSet<String>) -> Result<Vec<Due>, Error> {
        let mut answer = Answer::of(value)?;
        if answer.text()? != "swept" {
            return Ok(Vec::new()); // another hub sweeps it, or another generation has begun
        }
        match answer.text()?.as_str() {
            "-" => self.starts.remove(&bucket),
            next => self.starts.insert(bucket, next.to_owned()),
        };
        let mut seen = answer.list()?.into_iter();
        while let Some(Value::BulkString(hub)) = seen.next() {
            hubs.insert(String::from_utf8_lossy(&hub).into_owned());
        }
        let mut due = Vec::new();
        for entry in answer.list()? {
            let mut answer = Answer::of(entry)?;
            let entry = answer.text()?;
            let generation = answer.parse()?;
            let offset = answer.parse()?;
            let (text, cursor) = (answer.bytes()?, Cursor::new(generation, offset));
            match Record::placed(&text, cursor) {
                Ok(record) => due.push(Due { bucket, entry, generation, record }),
                Err(error) => match Unread::of(&text, cursor) {
                    Some(unread) => self.take_unread(bucket, entry, generation, unread, &error.to_string()),
                    None => tracing::error!(%error, bucket, entry, "pending entry is unreadable and stays"),
                },
            }
        }
        Ok(due)
    }

    /// Which of these hubs give no sign of life.
    async fn without_life(&self, fence: &Fence, hubs: BTreeSet<String>) -> Result<BTreeSet<String>, Error> {
        let others: Vec<String> = hubs.into_iter().filter(|hub| *hub != self.client.options.hub_id).collect();
        if others.is_empty() {
            return Ok(BTreeSet::new());
        }
        let asking = others.iter().map(|hub| async {
            let name = self.client.keys.hub(hub);
            let mut ask = redis::cmd("EXISTS");
            ask.arg(&name);
            fence.primaries.ask::<bool>(&name, ask).await
        });
        let asked = try_join_all(asking).await;
        let alive = asked.map_err(|error| failed(&error))?;
        Ok(others.into_iter().zip(alive).filter(|(_, alive)| !alive).map(|(hub, _)| hub).collect())
    }

    /// Journals a record that this hub cannot read, as it is: its place must not stay without a row.
    fn take_unread(&mut self, bucket: u16, entry: String, generation: u64, unread: Unread, error: &str) {
        let name = (bucket, entry.clone());
        if self.jobs.len() >= AT_ONCE || !self.in_hand.lock().insert(name.clone()) {
            return;
        }
        tracing::error!(error, bucket, entry, id = %unread.id, room = %unread.room, "pending entry is unreadable: journaling it as it is");
        let client = self.client.clone();
        let journal = self.journal.clone();
        let in_hand = self.in_hand.clone();
        self.jobs.spawn(async move {
            let written = async {
                let failure = |error| Error::Unavailable(format!("could not journal it: {error}"));
                journal.append_text(&unread.room, unread.id, &unread.text).await.map_err(failure)?;
                let dedupe = unread.dedupe(&client.keys);
                settle(&client, bucket, &entry, generation, dedupe).await
            };
            match written.await {
                Ok(()) => Counters::add(&client.counters.swept),
                Err(error) => tracing::warn!(%error, id = %unread.id, "could not journal an unreadable pending entry"),
            }
            in_hand.lock().remove(&name);
        });
    }

    fn take(&mut self, due: Due) {
        let name = (due.bucket, due.entry.clone());
        if self.jobs.len() >= AT_ONCE || !self.in_hand.lock().insert(name.clone()) {
            return; // it is in hand already, or the next look finds it again
        }
        let client = self.client.clone();
        let journal = self.journal.clone();
        let in_hand = self.in_hand.clone();
        self.jobs.spawn(async move {
            match journal_and_settle(&client, &*journal, &due).await {
                Ok(()) => {
                    Counters::add(&client.counters.swept);
                    let id = due.record.event.id;
                    let room = &due.record.event.room;
                    tracing::info!(%id, %room, "journaled an event that its hub left pending");
                }
                Err(error) => tracing::warn!(%error, id = %due.record.event.id, "could not journal a pending event"),
            }
            in_hand.lock().remove(&name);
        });
    }
}

/// Gives the event a place in the present generation, where it has none there; writes the record down; then takes it off the
/// pending stream.
async fn journal_and_settle(client: &Client, journal: &dyn JournalAccess, due: &Due) -> Result<(), Error> {
    // First the new place: were its old record found in the journal's tail, its key would be taken for one that was read there.
    if client.standing().is_some_and(|fence| fence.generation != due.generation) {
        place_again(client, journal, &due.record).await?;
    }
    write_down(journal, &due.record).await?;
    let event = &due.record.event;
    let dedupe = client.keys.dedupe(&event.room, &event.sender.user, &event.key);
    settle(client, due.bucket, &due.entry, due.generation, dedupe).await
}

/// Takes an entry off the pending stream, whichever generation stands by now.
async fn settle(client: &Client, bucket: u16, entry: &str, generation: u64, dedupe: String) -> Result<(), Error> {
    let call = ScriptCall {
        script: Script::Settle,
        keys: vec![client.keys.generation(bucket), client.keys.pending(bucket), dedupe],
        args: vec![entry.as_bytes().to_vec(), generation.to_string().into_bytes()],
        generation: None,
        changes: true,
    };
    match client.call(&call).await?.word.as_str() {
        "done" => Ok(()),
        other => Err(damaged(format!("a script answers `{other}`"))),
    }
}

async fn write_down(journal: &dyn JournalAccess, record: &Record) -> Result<(), Error> {
    journal.append(record).await.map_err(|error| Error::Unavailable(format!("could not journal it: {error}")))
}

/// A lost generation had placed the event, and the journal may not have it. Readers may have passed over its place there, and those
/// who listen in the present generation have not heard it: it gets a place there, too, with the same id and key.
async fn place_again(client: &Client, journal: &dyn JournalAccess, record: &Record) -> Result<(), Error> {
    let (window_events, window_age) = client.options.window_of.room(&record.event.room);
    let entry = Entry { event: record.event.clone(), trail: record.trail.clone(), window_events, window_age };
    match client.append(&entry, None, true).await? {
        Appended::Placed(placed) => {
            write_down(journal, &placed.record).await?;
            match &placed.pending {
                Some(pending) => client.settle(pending).await.map(drop), // stale: its new entry is found by the next look
                None => Ok(()),
            }
        }
        // The journal knew it when the generation got its keys back, so it was read in its place; or it is another's by now.
        Appended::Known(_) => Ok(()),
    }
}
