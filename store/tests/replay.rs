//! The order of arrival does not matter to what is served, nor does the cut into batches to what is stored, nor the database.

mod support;

use confab_protocol::{Cursor, Record};
use confab_store::{Message, Page, Query, Store};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use sqlx::Row;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use std::sync::Arc;
use support::*;

/// What one step of a made-up room does; numbers choose among what is there.
#[derive(Clone, Debug)]
enum Step {
    Say,
    Edit(u8),
    Delete(u8),
    React(u8, u8, bool),
    /// An earlier event is sent again under its key, with a new id.
    Retry(u8),
    /// An earlier event is appended again, with its id, in a later epoch.
    Again(u8),
    NextEpoch,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Say),
        4 => any::<u8>().prop_map(Step::Edit),
        1 => any::<u8>().prop_map(Step::Delete),
        4 => (any::<u8>(), 0..2u8, any::<bool>()).prop_map(|(n, which, add)| Step::React(n, which, add)),
        1 => any::<u8>().prop_map(Step::Retry),
        1 => any::<u8>().prop_map(Step::Again),
        1 => Just(Step::NextEpoch),
    ]
}

/// The records that the steps leave in the journal, in cursor order.
fn records(steps: &[Step]) -> Vec<Record> {
    let mut records: Vec<Record> = Vec::new();
    let (mut epoch, mut seq) = (1, 0);
    for (n, step) in (1..).zip(steps) {
        if matches!(step, Step::NextEpoch) {
            (epoch, seq) = (epoch + 1, 0);
            continue;
        }
        seq += 1;
        let at = (epoch, seq);
        let target = |choice: &u8| {
            let said: Vec<_> = records.iter().filter(|record| record.event.target.is_none()).collect();
            said.get(usize::from(*choice) % said.len().max(1)).map_or(999, |record| record.event.id.0.as_u128())
        };
        let earlier = |choice: &u8| records.get(usize::from(*choice) % records.len().max(1)).cloned();
        records.push(match step {
            Step::Edit(choice) => edit(n, at, target(choice)),
            Step::Delete(choice) => delete(n, at, target(choice)),
            Step::React(choice, which, true) => reaction(n, at, target(choice), ["👍", "🎉"][usize::from(*which)]),
            Step::React(choice, which, false) => unreaction(n, at, target(choice), ["👍", "🎉"][usize::from(*which)]),
            Step::Retry(choice) => match earlier(choice) {
                Some(mut record) => {
                    record.event.id = id(n);
                    Record { cursor: Cursor::new(at.0, at.1), ..record }
                }
                None => message(n, at),
            },
            Step::Again(choice) => match earlier(choice).filter(|record| record.cursor.epoch.0 < epoch) {
                Some(record) => Record { cursor: Cursor::new(at.0, at.1), ..record },
                None => message(n, at),
            },
            Step::Say | Step::NextEpoch => message(n, at),
        });
    }
    records
}

/// Shuffles by `seed`, but leaves events with one key in their order: which of them stands is the one thing that the
/// order decides.
fn shuffled(records: &[Record], seed: u64) -> Vec<Record> {
    let mut state = seed | 1;
    let mut chaos = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut order: Vec<_> = records.iter().map(|record| (chaos(), record)).collect();
    for n in 0..order.len() {
        let before = order[..n].iter().filter(|(_, earlier)| earlier.event.key == order[n].1.event.key);
        if let Some(last) = before.map(|(rank, _)| *rank).max() {
            order[n].0 = order[n].0.max(last); // equal ranks keep their order: the sort is stable
        }
    }
    order.sort_by_key(|(rank, _)| *rank);
    let mut shuffled: Vec<_> = order.into_iter().map(|(_, record)| record.clone()).collect();
    for _ in 0..chaos() % 4 {
        let copy = shuffled.get(chaos() as usize % shuffled.len().max(1)).cloned();
        shuffled.extend(copy); // the journal may hold a record more than once
    }
    shuffled
}

/// Everything that is served of the room.
#[derive(Debug, PartialEq)]
struct Served {
    pages: Vec<Page>,
    messages: Vec<Option<Message>>,
}

async fn served(store: &Store, steps: usize) -> Served {
    let mut pages: Vec<Page> = Vec::new();
    for reverse in [false, true] {
        let mut since = None;
        for _ in 0..1000 {
            let page = store
                .page(&room(), Query { since, reverse, limit: 7, bytes: usize::MAX, stored_before: 0 })
                .await
                .unwrap();
            since = page.next;
            pages.push(page);
            if since.is_none() {
                break;
            }
        }
        assert_eq!(since, None, "pages come to an end");
    }
    let mut messages = Vec::new();
    for n in 0..=steps as u128 {
        messages.push(store.message(&room(), id(n)).await.unwrap());
    }
    Served { pages, messages }
}

/// Every row of every table that a replay must bring back, as text.
async fn tables(path: &std::path::Path) -> Vec<String> {
    let pool = SqlitePool::connect_with(SqliteConnectOptions::new().filename(path)).await.unwrap();
    let mut rows = Vec::new();
    for table in ["events", "messages", "reactions", "contiguous"] {
        let columns: Vec<String> =
            sqlx::query_scalar("select name from pragma_table_info($1)").bind(table).fetch_all(&pool).await.unwrap();
        let quoted = columns.iter().map(|column| format!("quote({column})")).collect::<Vec<_>>().join(" || ',' || ");
        let sql = format!("select {quoted} from {table} order by 1");
        for row in sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(&pool).await.unwrap() {
            rows.push(format!("{table}: {}", row.get::<String, _>(0)));
        }
    }
    pool.close().await;
    rows
}

/// Takes `records`, cut into batches of the given sizes.
async fn take(store: &Store, records: &[Record], cuts: &[usize]) {
    store.migrate().await.unwrap();
    let (mut rest, mut sizes) = (records, cuts.iter().cycle());
    while !rest.is_empty() {
        let (batch, others) = rest.split_at((*sizes.next().unwrap()).min(rest.len()));
        apply(store, batch).await;
        rest = others;
    }
}

/// Stores `records` in a new store; returns what is served and what is stored.
async fn stored(records: &[Record], cuts: &[usize], steps: usize) -> (Served, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = Store::sqlite(&path).await.unwrap();
    take(&store, records, cuts).await;
    let served = served(&store, steps).await;
    store.close().await;
    (served, tables(&path).await)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_order_of_arrival_does_not_matter_to_what_is_served(
        steps in proptest::collection::vec(step(), 1..60),
        seed in any::<u64>(),
        cuts in proptest::collection::vec(1..20usize, 1..5),
    ) {
        let records = records(&steps);
        let shuffled = shuffled(&records, seed);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (straight, _) = stored(&records, &[records.len().max(1)], steps.len()).await;
            let (bent, tables) = stored(&shuffled, &cuts, steps.len()).await;
            prop_assert_eq!(&bent, &straight);
            let (_, replayed) = stored(&shuffled, &[shuffled.len().max(1)], steps.len()).await;
            prop_assert_eq!(replayed, tables, "a replay in the journal's order gives the same tables");
            Ok::<_, TestCaseError>(())
        })?;
    }
}

proptest! {
    // Each case makes a database.
    #![proptest_config(ProptestConfig { cases: 16, max_shrink_iters: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn postgres_serves_what_sqlite_serves(
        steps in proptest::collection::vec(step(), 1..60),
        seed in any::<u64>(),
        cuts in proptest::collection::vec(1..30usize, 1..5),
    ) {
        let shuffled = shuffled(&records(&steps), seed);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (expected, _) = stored(&shuffled, &[1], steps.len()).await;
            let database = Database::create().await;
            let store = database.store(2);
            take(&store, &shuffled, &cuts).await;
            let found = served(&store, steps.len()).await;
            store.close().await;
            database.drop().await;
            prop_assert_eq!(&found, &expected);
            Ok::<_, TestCaseError>(())
        })?;
    }
}

/// The messages that stand, in the order of their places, of a store that has taken all records.
async fn standing(store: &Store, records: &[Record]) -> Vec<Message> {
    let mut standing = Vec::new();
    for record in records.iter().filter(|record| record.event.target.is_none()) {
        let message = store.message(&room(), record.event.id).await.unwrap().unwrap();
        if message.cursor == record.cursor {
            standing.push(message);
        }
    }
    standing
}

/// What a store that has taken `stored` of the records makes of all messages, given the records from the place `given` on.
async fn folded(store: &Store, records: &[Record], stored: usize, given: usize) -> Vec<Message> {
    take(store, &records[..stored], &[7]).await;
    let records: Vec<Arc<Record>> = records.iter().cloned().map(Arc::new).collect();
    store.messages(&room(), &records, &records[given..]).await.unwrap().messages
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn messages_of_a_store_that_lags_are_those_of_one_that_does_not(
        steps in proptest::collection::vec(step(), 1..60),
        stored in any::<usize>(),
        given in any::<usize>(),
    ) {
        let records = records(&steps);
        let stored = stored % (records.len() + 1);
        let given = given % (stored + 1); // some of them the store has already
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let store = Store::sqlite(&folder.path().join("store.db")).await.unwrap();
            let lagging = folded(&store, &records, stored, given).await;
            take(&store, &records[stored..], &[5]).await;
            prop_assert_eq!(lagging, standing(&store, &records).await);
            store.close().await;
            Ok::<_, TestCaseError>(())
        })?;
    }
}

#[tokio::test]
async fn messages_of_a_postgres_that_lags_are_those_of_one_that_does_not() {
    let steps =
        [Step::Say, Step::Say, Step::React(0, 0, true), Step::Edit(1), Step::Delete(0), Step::Retry(1), Step::Say];
    let records = records(&steps);
    for stored in 0..=records.len() {
        let database = Database::create().await;
        let store = database.store(2);
        let lagging = folded(&store, &records, stored, 0).await;
        take(&store, &records[stored..], &[5]).await;
        let standing = standing(&store, &records).await;
        store.close().await;
        database.drop().await;
        assert_eq!(standing.len(), 3);
        assert_eq!(lagging, standing, "{stored} of them were stored");
    }
}
