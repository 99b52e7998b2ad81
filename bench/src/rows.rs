//! The floor that keeps: what the floor does, and each message's rows in SQLite before anyone hears it. The same tables,
//! indexes, pragmas and commits as the embedded hub's, and nothing besides: no key is looked up, nothing is judged.

use anyhow::{Context, Result};
use confab_store::Store;
use sqlx::query::Query;
use sqlx::sqlite::{Sqlite, SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, SqliteConnection};
use std::collections::HashMap;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::{broadcast, mpsc};
use tokio_tungstenite::tungstenite::Utf8Bytes;
use uuid::Uuid;

/// The most messages of one commit, as the hub's.
const BATCH: usize = 512;
/// The numbers of rows that statements are made for, so that each is prepared once.
const ROWS: [usize; 4] = [64, 16, 4, 1];
/// How many statements are kept prepared.
const STATEMENTS: usize = 50;

const EVENTS: &str =
    "insert into events (room, epoch, seq, id, kind, sender, key, digest, at, body, client, version, stands) ";
const EVENT: &str = "(?,1,?,?,'message','bench',?,?,?,?,?,1,1)";
const MESSAGES: &str = "insert into messages (room, id, epoch, seq, sender, client, key, at, body) ";
const MESSAGE: &str = "(?,?,1,?,'bench',?,?,?,?)";
const PLACES: &str = "insert into contiguous (room, epoch, through, top) ";
const PLACE: &str = "(?,1,?,?)";
const PLACED: &str = " on conflict (room, epoch) do update set through = excluded.through, top = excluded.top";

/// A message that is to be kept.
pub struct Kept {
    /// Its room.
    pub room: String,
    /// What is said.
    pub body: Utf8Bytes,
    /// Who hears it then.
    pub heard: Option<broadcast::Sender<Utf8Bytes>>,
    /// What its sender is told then, and where.
    pub told: (Utf8Bytes, mpsc::UnboundedSender<Utf8Bytes>),
}

/// Takes messages.
pub type Keeper = mpsc::Sender<Kept>;

/// Opens a fresh file, and keeps what is given until every keeper is gone.
pub async fn keep(path: &Path) -> Result<Keeper> {
    let store = Store::sqlite(path).await?;
    store.migrate().await?;
    store.close().await;
    let options = SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .statement_cache_capacity(STATEMENTS)
        .pragma("secure_delete", "on")
        .pragma("cache_size", "-16384")
        .pragma("wal_autocheckpoint", "4000");
    let connection = options.connect().await.with_context(|| format!("could not open {}", path.display()))?;
    let (keeper, waiting) = mpsc::channel(BATCH * 2);
    tokio::spawn(write(connection, waiting));
    Ok(keeper)
}

async fn write(mut connection: SqliteConnection, mut waiting: mpsc::Receiver<Kept>) {
    let (mut batch, mut tops) = (Vec::with_capacity(BATCH), HashMap::new());
    while waiting.recv_many(&mut batch, BATCH).await > 0 {
        tokio::task::yield_now().await; // whoever is about to send does so first
        while batch.len() < BATCH
            && let Ok(kept) = waiting.try_recv()
        {
            batch.push(kept);
        }
        commit(&mut connection, &batch, &mut tops).await.expect("a fresh file takes all rows");
        for Kept { body, heard, told: (text, teller), .. } in batch.drain(..) {
            if let Some(heard) = heard {
                let _ = heard.send(body); // a room that nobody listens to any more
            }
            let _ = teller.send(text); // a sender that is gone
        }
    }
}

/// What a row says besides room and body.
struct Row<'a> {
    of: &'a Kept,
    seq: i64,
    id: Uuid,
    at: i64,
    name: String,
}

async fn commit(
    connection: &mut SqliteConnection,
    batch: &[Kept],
    tops: &mut HashMap<String, i64>,
) -> sqlx::Result<()> {
    let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as i64;
    let mut places = HashMap::new();
    let rows: Vec<Row<'_>> = batch
        .iter()
        .map(|of| {
            let top = tops.entry(of.room.clone()).or_default();
            *top += 1;
            places.insert(of.room.as_str(), *top);
            let id = Uuid::now_v7();
            Row { of, seq: *top, id, at, name: id.to_string() }
        })
        .collect();
    let places: Vec<(&str, i64)> = places.into_iter().collect();
    let mut transaction = connection.begin_with("begin immediate").await?;
    insert(&mut transaction, (EVENTS, EVENT, ""), &rows, |query, row| {
        let query = query.bind(&row.of.room).bind(row.seq).bind(row.id).bind(&row.name).bind(&row.name[..32]);
        query.bind(row.at).bind(row.of.body.as_str()).bind(&row.name)
    })
    .await?;
    insert(&mut transaction, (MESSAGES, MESSAGE, ""), &rows, |query, row| {
        let query = query.bind(&row.of.room).bind(row.id).bind(row.seq).bind(&row.name).bind(&row.name);
        query.bind(row.at).bind(row.of.body.as_str())
    })
    .await?;
    insert(&mut transaction, (PLACES, PLACE, PLACED), &places, |query, (room, top)| {
        query.bind(*room).bind(*top).bind(*top)
    })
    .await?;
    transaction.commit().await
}

type Bound<'q> = Query<'q, Sqlite, SqliteArguments>;

/// Inserts rows, many in each statement.
async fn insert<'a, T>(
    connection: &mut SqliteConnection,
    (before, values, after): (&str, &str, &str),
    mut rows: &'a [T],
    bind: impl Fn(Bound<'a>, &'a T) -> Bound<'a>,
) -> sqlx::Result<()> {
    while let Some(size) = ROWS.into_iter().find(|size| *size <= rows.len()) {
        let (piece, rest) = rows.split_at(size);
        rows = rest;
        let sql = format!("{before}values {}{after}", vec![values; size].join(","));
        piece.iter().fold(sqlx::query(AssertSqlSafe(sql)), &bind).execute(&mut *connection).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sqlx::Row as _;

    #[tokio::test]
    async fn what_somebody_hears_has_its_rows() -> Result<()> {
        let folder = tempfile::TempDir::new()?;
        let path = folder.path().join("rows.db");
        let keeper = keep(&path).await?;
        let (teller, mut told) = mpsc::unbounded_channel();
        for n in 0..200 {
            let (room, text) = (format!("bench:{}", n % 3), Utf8Bytes::from(format!("a{n}")));
            let kept = Kept { room, body: "{}".into(), heard: None, told: (text, teller.clone()) };
            keeper.send(kept).await.ok().context("the writer is there")?;
        }
        for n in 0..200 {
            assert_eq!(told.recv().await.context("an answer")?.as_str(), format!("a{n}"));
        }
        let mut other = SqliteConnectOptions::new().filename(&path).connect().await?;
        let count =
            "select (select count(*) from events), (select count(*) from messages), (select sum(top) from contiguous)";
        let row = sqlx::query(count).fetch_one(&mut other).await?;
        assert_eq!([row.get::<i64, _>(0), row.get(1), row.get(2)], [200, 200, 200]);
        Ok(())
    }
}
