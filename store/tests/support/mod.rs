//! What the store's tests share: stores of their own, and records in one line.

#![allow(dead_code)] // each test binary uses its part

use confab_protocol::{Annotations, Body, Cursor, Event, EventId, Key, Kind, Record, Room, Sender, Trail, UserId};
use confab_store::{Entry, Page, PostgresOptions, Query, Store};
use std::time::Duration;
use uuid::Uuid;

/// Runs `case` against a migrated SQLite store in a temporary folder.
pub async fn with_sqlite<F: Future<Output = ()>>(case: impl FnOnce(Store) -> F) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = Store::sqlite(&folder.path().join("store.db")).await.expect("the file opens");
    store.migrate().await.expect("it migrates");
    case(store.clone()).await;
    store.close().await;
}

/// Runs `case` against a migrated PostgreSQL store in a database of its own, which is dropped whatever the case does.
pub async fn with_postgres<F: Future<Output = ()> + Send + 'static>(case: impl FnOnce(Store) -> F + Send + 'static) {
    let database = Database::create().await;
    let store = database.store(4);
    store.migrate().await.expect("it migrates");
    let outcome = tokio::spawn(case(store.clone())).await;
    store.close().await;
    database.drop().await;
    if let Err(failed) = outcome {
        std::panic::resume_unwind(failed.into_panic());
    }
}

/// A database made for one test.
pub struct Database {
    pub url: String,
    name: String,
}

impl Database {
    pub async fn create() -> Self {
        let name = format!("confab_test_{}", Uuid::now_v7().simple());
        administer(&format!("create database {name}")).await;
        let base = server();
        let base = base.rsplit_once('/').expect("the url names a database").0;
        Self { url: format!("{base}/{name}"), name }
    }

    pub fn store(&self, connections: u32) -> Store {
        let timeout = Duration::from_secs(20);
        Store::postgres(&PostgresOptions { url: self.url.clone(), ca_file: None, connections, timeout }).expect("a url")
    }

    pub async fn drop(self) {
        administer(&format!("drop database {} with (force)", self.name)).await;
    }
}

fn server() -> String {
    std::env::var("CONFAB_TEST_POSTGRES").expect("run `cargo xtask test`, which starts the services")
}

async fn administer(sql: &str) {
    use sqlx::Connection;
    let mut connection = sqlx::PgConnection::connect(&server()).await.expect("the server answers");
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await.expect("the server obeys");
    connection.close().await.expect("it closes");
}

pub fn id(n: u128) -> EventId {
    EventId(Uuid::from_u128(n))
}

pub fn room() -> Room {
    Room::new("team:1").unwrap()
}

pub fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

/// An event number `n` at (`epoch`, `seq`), by ada, with a key and words of its own.
pub fn record(kind: Kind, n: u128, (epoch, seq): (u64, u64)) -> Record {
    let event = Event {
        kind,
        id: id(n),
        room: room(),
        sender: Sender { user: user("ada"), client: Some("c1".into()), info: Some(Body::of(&"Ada")) },
        key: Key::new(format!("k{n}")).unwrap(),
        digest: format!("d{n}"),
        at: 1_700_000_000_000 + n as u64,
        body: Body::of(&format!("words of {n}")),
        target: None,
        thread: None,
        annotations: Annotations::new(),
    };
    Record { event, cursor: Cursor::new(epoch, seq), trail: Trail::default() }
}

pub fn message(n: u128, at: (u64, u64)) -> Record {
    record(Kind::Message, n, at)
}

pub fn edit(n: u128, at: (u64, u64), target: u128) -> Record {
    record(Kind::Edit, n, at).on(target)
}

pub fn delete(n: u128, at: (u64, u64), target: u128) -> Record {
    record(Kind::Delete, n, at).on(target).saying("null")
}

pub fn reaction(n: u128, at: (u64, u64), target: u128, reaction: &str) -> Record {
    record(Kind::Reaction, n, at).on(target).saying(&format!(r#"{{"reaction":"{reaction}"}}"#))
}

pub fn unreaction(n: u128, at: (u64, u64), target: u128, reaction: &str) -> Record {
    record(Kind::Unreaction, n, at).on(target).saying(&format!(r#"{{"reaction":"{reaction}"}}"#))
}

/// Small changes to a record.
pub trait Vary {
    fn on(self, target: u128) -> Self;
    fn saying(self, body: &str) -> Self;
    fn by(self, user: &str) -> Self;
    /// Of the draft with this key that all tests but [`Vary::drafted`]'s send.
    fn key(self, key: &str) -> Self;
    fn drafted(self, digest: &str) -> Self;
    fn room(self, room: &str) -> Self;
}

impl Vary for Record {
    fn on(mut self, target: u128) -> Self {
        self.event.target = Some(id(target));
        self
    }
    fn saying(mut self, body: &str) -> Self {
        self.event.body = Body::parse(body).unwrap();
        self
    }
    fn by(mut self, name: &str) -> Self {
        self.event.sender.user = user(name);
        self
    }
    fn key(mut self, key: &str) -> Self {
        self.event.key = Key::new(key).unwrap();
        self.drafted(&format!("the draft with {key}"))
    }
    fn drafted(mut self, digest: &str) -> Self {
        self.event.digest = digest.to_owned();
        self
    }
    fn room(mut self, room: &str) -> Self {
        self.event.room = Room::new(room).unwrap();
        self
    }
}

pub fn entries(records: &[Record]) -> Vec<Entry> {
    records.iter().map(|record| Entry::Record(record.clone().into())).collect()
}

/// Applies records in one batch.
pub async fn apply(store: &Store, records: &[Record]) -> confab_store::Applied {
    store.apply(&entries(records), &[]).await.expect("the batch is taken")
}

/// Reads one page forwards.
pub async fn forwards(store: &Store, since: Option<(u64, u64)>, limit: usize) -> Page {
    let since = since.map(|(epoch, seq)| Cursor::new(epoch, seq));
    store
        .page(&room(), Query { since, reverse: false, limit, bytes: usize::MAX, stored_before: 0 })
        .await
        .expect("a page")
}

/// Reads one page backwards.
pub async fn backwards(store: &Store, since: Option<(u64, u64)>, limit: usize) -> Page {
    let since = since.map(|(epoch, seq)| Cursor::new(epoch, seq));
    store
        .page(&room(), Query { since, reverse: true, limit, bytes: usize::MAX, stored_before: 0 })
        .await
        .expect("a page")
}

/// The places of a page, for comparing.
pub fn places(page: &Page) -> Vec<(u64, u64)> {
    page.records.iter().map(|record| (record.cursor.epoch.0, record.cursor.offset)).collect()
}

/// The text of the body of an event.
pub async fn event_body(store: &Store, n: u128) -> String {
    let record = store.event(&room(), id(n)).await.expect("an answer").expect("the event");
    record.event.body.as_str().to_owned()
}

/// The text of the body of a message as it is now.
pub async fn words(store: &Store, n: u128) -> String {
    now(store, n).await.body.as_str().to_owned()
}

/// A message as it is now.
pub async fn now(store: &Store, n: u128) -> confab_store::Message {
    store.message(&room(), id(n)).await.expect("an answer").expect("the message")
}
