//! A service away for a while under load. What clients see and are told meanwhile is what the docs say, and in the end a
//! checker finds everything that was acknowledged: kept, once, in order, and heard by all.
//!
//! `CONFAB_TEST_AWAY="CLIENTS ROOMS RATE SECONDS"` makes it as large as one likes. A service is away until so many things
//! were said meanwhile as are said in these seconds, and until what is to be shown was seen.

use crate::faults::{own_kafka, own_redis};
use anyhow::{Result, ensure};
use confab_tests::chaos::client::Habits;
use confab_tests::chaos::crowd::Crowd;
use confab_tests::chaos::history::{Entry, History, Told, What};
use confab_tests::chaos::{tally::Tally, words};
use confab_tests::checker::faults::{Run, judge};
use confab_tests::checker::lives;
use confab_tests::world::{Cluster, Plan};
use confab_tests::{gather, within};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use xtask::services::{Postgres, postgres};

/// Who talks, and how much is said while a service is away.
struct Size {
    clients: usize,
    rooms: usize,
    rate: usize,
    seconds: usize,
}

impl Size {
    fn given() -> Result<Self> {
        let size = std::env::var("CONFAB_TEST_AWAY").unwrap_or_else(|_| "12 6 60 3".to_owned());
        let numbers: Vec<usize> = size.split(' ').map(str::parse).collect::<Result<_, _>>()?;
        let [clients, rooms, rate, seconds] = numbers[..] else { anyhow::bail!("CONFAB_TEST_AWAY has four numbers") };
        Ok(Self { clients, rooms, rate, seconds })
    }

    /// How much is said in these seconds.
    fn said(&self) -> usize {
        self.rate * self.seconds
    }

    /// How much may wait in each hub while Kafka is away, where it is buffered: less than what is said.
    fn buffer(&self) -> usize {
        self.said() / 6
    }
}

/// A run: a crowd in a cluster.
struct Show {
    cluster: Cluster,
    crowd: Crowd,
    history: Arc<History>,
    size: Size,
}

impl Show {
    /// Begins one, and waits until people talk.
    async fn begin(size: Size, plan: Plan) -> Result<Self> {
        let cluster = Cluster::planned(plan).await?;
        let history = Arc::new(History::at(&cluster.folder.path().join("history.jsonl"))?);
        let rooms = (0..size.rooms).map(|n| format!("room:{n}")).collect();
        let pace = Duration::from_secs_f64(size.clients as f64 / size.rate as f64);
        let hubs = cluster.hubs.iter().map(|hub| hub.listen.clone()).collect();
        let crowd = Crowd::gather(size.clients, rooms, hubs, Habits::steady(pace), &history, 1);
        let show = Self { cluster, crowd, history, size };
        show.until("everybody talks", |entries| Tally::of(entries).acknowledged >= show.size.clients as u64).await;
        Ok(show)
    }

    /// Waits for a state of the history. What is said in the given seconds takes longer where the machine is busy.
    async fn until(&self, what: &str, mut seen: impl FnMut(&[Entry]) -> bool) {
        let patience = Duration::from_secs(60 + 4 * self.size.seconds as u64);
        within(patience, what, async || self.history.with(&mut seen).then_some(())).await;
    }

    /// Waits until so much was said that nobody had said before place `from` of the history.
    async fn until_said(&self, from: usize) {
        let said = self.size.said();
        self.until("enough is said while it is away", |entries| first_tries(&entries[from..]).count() >= said).await;
    }

    /// Waits until every hub's metric is at least, or at most, so much.
    async fn until_hubs(&self, metric: &str, is: impl Fn(f64) -> bool) {
        for hub in &self.cluster.hubs {
            let look = async || hub.metric(metric).await.ok().filter(|value| is(*value)).map(drop);
            within(Duration::from_secs(60), metric, look).await;
        }
    }

    /// Where the history is.
    fn now(&self) -> usize {
        self.history.len()
    }

    /// Everybody is back: waits until all is answered, kept and heard, and lets the checker judge.
    async fn judged(self, timeline_may_lose: bool) -> Result<Seen> {
        let Self { cluster, crowd, history, size } = self;
        let rest = crowd.settle(async || cluster.sources(), |_| {}).await?;
        let mut run = Run { timeline_may_lose, judged: Some(words::judged), ..Run::default() };
        let rooms: Vec<String> = (0..size.rooms).map(|n| format!("room:{n}")).collect();
        gather::evidence(&mut run, rest, &cluster.sources(), &rooms, &history).await?;
        let entries = history.entries();
        run.lives = lives::of(&entries);
        let mut tally = Tally::of(&entries);
        let epochs: BTreeSet<_> = run.events.iter().map(|row| row.seen.cursor.epoch).collect();
        tally.generations = epochs.len() as u64 - 1;
        let violations = tokio::task::spawn_blocking(move || judge(&run)).await?;
        println!("{tally}; {} violations", violations.len());
        let listed: String = violations.iter().take(20).map(|violation| format!("\n{violation}")).collect();
        ensure!(violations.is_empty(), "{} violations:{listed}", violations.len());
        ensure!(tally.acknowledged == tally.sent, "everything was acknowledged in the end: {tally}");
        let broken = |entry: &&Entry| matches!(entry.what, What::Disconnected { code: 1.., .. });
        ensure!(!entries.iter().any(|entry| broken(&entry)), "every session stayed");
        cluster.end().await?;
        Ok(Seen { entries, tally })
    }
}

/// What came of it.
struct Seen {
    entries: Vec<Entry>,
    tally: Tally,
}

impl Seen {
    /// The codes of all refusals; each was for now.
    fn codes(&self) -> Result<BTreeMap<u64, usize>> {
        let mut codes = BTreeMap::new();
        for entry in &self.entries {
            if let What::Answered { told: Told::Refused { code, temporary }, .. } = &entry.what {
                ensure!(*temporary, "{code} was for good");
                *codes.entry(*code).or_default() += 1;
            }
        }
        println!("refusals by code: {codes:?}");
        Ok(codes)
    }
}

/// The keys that are said for the first time.
fn first_tries(entries: &[Entry]) -> impl Iterator<Item = &str> {
    entries.iter().filter_map(|entry| match &entry.what {
        What::Sent { key, attempt: 1, .. } => Some(key.as_str()),
        _ => None,
    })
}

/// The keys that have a receipt.
fn acknowledged(entries: &[Entry]) -> BTreeSet<&str> {
    let receipts = entries.iter().filter_map(|entry| match &entry.what {
        What::Answered { key, told: Told::Receipt { .. }, .. } => Some(key.as_str()),
        _ => None,
    });
    receipts.collect()
}

/// The keys of what somebody heard.
fn heard(entries: &[Entry]) -> BTreeSet<&str> {
    let events = entries.iter().flat_map(|entry| match &entry.what {
        What::Heard { event, .. } => std::slice::from_ref(event),
        What::Joined { missed, .. } => missed.as_slice(),
        _ => &[],
    });
    events.map(|event| event.key.as_str()).collect()
}

/// How often this code was the answer.
fn told(entries: &[Entry], wanted: u64) -> usize {
    let told = |entry: &&Entry| matches!(&entry.what, What::Answered { told: Told::Refused { code, .. }, .. } if *code == wanted);
    entries.iter().filter(told).count()
}

/// A crowd over a Kafka of its own.
async fn over_kafka(size: Size, folder: &TempDir, journal: String) -> Result<(Show, xtask::services::Kafka)> {
    let kafka = own_kafka(folder).await?;
    let more = "\n[limits]\nsend_deadline = \"6s\"\n".to_owned(); // a record may take as long as its sender waits
    let plan = Plan { kafka: Some(kafka.address()), delivery_timeout: "6s", journal, more, ..Plan::default() };
    Ok((Show::begin(size, plan).await?, kafka))
}

#[tokio::test(flavor = "multi_thread")]
async fn while_kafka_is_away_sends_are_refused_for_now_and_nothing_is_shown_that_is_not_kept() -> Result<()> {
    let (size, folder) = (Size::given()?, TempDir::with_prefix("confab-kafka-")?);
    let (show, kafka) = over_kafka(size, &folder, String::new()).await?;
    let paused = show.now();
    kafka.pause()?;
    show.until_hubs("confab_journal_healthy", |healthy| healthy == 0.0).await;
    let noticed = show.now();
    show.until_said(noticed).await;
    show.until("they are refused", |entries| told(&entries[paused..], 203) >= show.size.said()).await;
    let back = show.now();
    kafka.resume()?;
    let seen = show.judged(false).await?;
    let (before, away) = (&seen.entries[..noticed], &seen.entries[noticed..back]);
    let late: BTreeSet<&str> = first_tries(away).collect();
    assert!(heard(away).is_disjoint(&late), "nothing that was said while the hubs knew is shown before Kafka is back");
    assert!(acknowledged(away).is_subset(&acknowledged(before)), "nobody is told that it stands");
    assert!(seen.codes()?.keys().all(|code| [202, 203].contains(code)), "refused (203), or begun and unknown (202)");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_buffer_people_hear_one_another_while_kafka_is_away_up_to_its_bound_and_receipts_come_later()
-> Result<()> {
    let (size, folder) = (Size::given()?, TempDir::with_prefix("confab-kafka-")?);
    let buffer = size.buffer();
    let journal = format!("on_outage = \"buffer\"\noutage_buffer = {{ events = {buffer}, time = \"10m\" }}");
    let (show, kafka) = over_kafka(size, &folder, journal).await?;
    let paused = show.now();
    kafka.pause()?;
    show.until_hubs("confab_journal_healthy", |healthy| healthy == 0.0).await;
    let noticed = show.now();
    show.until_hubs("confab_sends_unjournaled", |waiting| waiting >= buffer as f64).await;
    show.until("the bound is reached, and then they are refused", |entries| told(&entries[paused..], 203) > buffer)
        .await;
    show.until_said(noticed).await;
    let unkept = |entries: &[Entry]| heard(entries).difference(&acknowledged(entries)).count();
    // Of what fills the two buffers, at most every other one is a retry.
    show.until("people heard what the buffers hold", |entries| unkept(entries) >= buffer).await;
    let (back, heard) = (show.now(), show.history.with(unkept));
    kafka.resume()?;
    println!("{heard} heard that had no receipt when Kafka came back");
    let seen = show.judged(false).await?;
    let (before, away) = (&seen.entries[..noticed], &seen.entries[noticed..back]);
    assert!(acknowledged(away).is_subset(&acknowledged(before)), "nobody is told that it stands");
    assert!(seen.codes()?.keys().all(|code| [202, 203].contains(code)), "past the bound (203), or not known yet (202)");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_comes_back_empty_under_load_costs_nothing_that_was_acknowledged() -> Result<()> {
    let (size, folder) = (Size::given()?, TempDir::with_prefix("confab-redis-")?);
    let mut redis = own_redis(&folder).await?;
    let more = "\n[limits]\nsend_deadline = \"3s\"\n".to_owned();
    let show = Show::begin(size, Plan { redis: Some(redis.address()), more, ..Plan::default() }).await?;
    let killed = show.now();
    redis.kill()?;
    show.until_said(killed).await;
    show.until("they are refused", |entries| told(&entries[killed..], 204) >= show.size.said()).await;
    redis.restart_empty()?;
    let back = show.now();
    show.until_said(back).await;
    let clients = show.size.clients;
    show.until("people hear one another again", |entries| heard(&entries[back..]).len() >= clients).await;
    let seen = show.judged(true).await?;
    assert_eq!(seen.tally.generations, 1, "the rooms begin anew once: {}", seen.tally);
    assert!(seen.codes()?.keys().all(|code| [202, 204].contains(code)), "refused (204), or begun and unknown (202)");
    redis.kill().map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn while_postgres_is_away_people_under_load_notice_nothing() -> Result<()> {
    let (size, folder) = (Size::given()?, TempDir::with_prefix("confab-postgres-")?);
    let data = folder.path().join("postgres");
    let started = tokio::task::spawn_blocking(move || Postgres::start(&data, postgres::Options::for_tests()));
    let mut postgres = started.await??;
    let show = Show::begin(size, Plan { postgres: Some(postgres.address()), ..Plan::default() }).await?;
    let (paused, said) = (show.now(), show.size.said());
    postgres.pause()?;
    let so_many = |entries: &[Entry]| acknowledged(&entries[paused..]).len() >= said;
    show.until("so many get their receipts while it is away", so_many).await;
    postgres.resume()?;
    let seen = show.judged(false).await?;
    assert_eq!((seen.tally.refused, seen.tally.unknown), (0, 0), "nobody was refused anything: {}", seen.tally);
    postgres.stop()
}
