//! The consumer with another end: from the journal into one flat table, as a sink that knows nothing of chat fills it, with
//! its columns and indexes. `cargo xtask bench consumer` measures it beside one.
//!
//! `cargo run --release --example one_table -- HUB_TOML`. `confab-bench fill --sink` makes the table. Rows and positions are
//! still one transaction, fenced as the consumer's, so nothing is written twice. All else is missing: there is no history to
//! read, nothing is folded, nothing goes to the dead letters, and a message that was sent twice ends the program, as it ends
//! such a sink.

use anyhow::{Context, Result, bail, ensure};
use confab_consumer::Metrics;
use confab_consumer::batch::Batch;
use confab_consumer::source::{Lasts, Positions, Source, SourceEvent};
use confab_protocol::Record;
use confab_store::Entry;
use sqlx::{Connection, PgConnection};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

const ROWS: &str = "
    insert into sink (room, epoch, seq, id, sender, kind, body, at)
    select b.room, b.epoch, b.seq, b.id, b.sender, 1, b.body::jsonb, to_timestamp(b.at / 1000.0)
    from unnest($1::text[], $2::bigint[], $3::bigint[], $4::uuid[], $5::text[], $6::text[], $7::bigint[])
        as b (room, epoch, seq, id, sender, body, at)";
const FIND: &str = "select next from positions where topic = $1 and partition = $2";
/// Moves positions from where we think they are; those of partitions never seen are made.
const MOVE: &str = "
    with b as (select * from unnest($2::integer[], $3::bigint[], $4::bigint[]) as b (partition, expected, next)),
    made as (insert into positions select $1, partition, next from b where expected is null on conflict do nothing
             returning partition),
    moved as (update positions p set next = b.next from b
              where p.topic = $1 and p.partition = b.partition and p.next = b.expected returning p.partition)
    select (select count(*) from made) + (select count(*) from moved)";

fn main() -> Result<()> {
    let path = PathBuf::from(std::env::args_os().nth(1).context("usage: one_table <hub.toml>")?);
    let Ok(loaded) = confab_config::load(Some(&path), confab_config::process_environment(), Vec::new()) else {
        bail!("{} cannot be used; `confab config check` says why", path.display());
    };
    let config = loaded.config;
    let (kafka, postgres) = config.journal.kafka.as_ref().zip(config.store.postgres.as_ref()).context("no cluster")?;
    tokio::runtime::Runtime::new()?.block_on(async {
        let connection = PgConnection::connect(postgres.read_url()?.expose()).await?;
        let source = Source::start(kafka, &config.consumer, Arc::new(Metrics::default()))?;
        let (topic, records) = (kafka.events_topic(), config.consumer.batch_records);
        let (batch, positions) = (Batch::default(), Positions::new());
        Sink { connection, topic, batch, positions }.run(source, records, config.consumer.batch_wait).await
    })
}

struct Sink {
    connection: PgConnection,
    topic: String,
    batch: Batch,
    positions: Positions,
}

impl Sink {
    /// Reads and stores, for ever or until something goes wrong.
    async fn run(mut self, mut source: Source, records_max: usize, wait: Duration) -> Result<()> {
        loop {
            let due = self.batch.began + wait;
            let event = tokio::select! {
                biased;
                () = tokio::time::sleep_until(due.into()), if !self.batch.is_empty() => None,
                event = source.next() => Some(event.context("the source ended")?),
            };
            match event {
                None => self.store().await?,
                Some(SourceEvent::Records(records)) => {
                    self.batch.extend(records);
                    if self.batch.len() >= records_max {
                        self.store().await?;
                    }
                }
                Some(SourceEvent::Assigned(assigned)) => {
                    self.positions.clear();
                    for partition in &assigned.partitions {
                        let find = sqlx::query_scalar(FIND).bind(&self.topic).bind(partition);
                        self.positions.insert(*partition, find.fetch_optional(&mut self.connection).await?);
                    }
                    assigned.begin(self.positions.clone(), Lasts::new());
                }
                Some(SourceEvent::Revoked(revoked)) => {
                    self.batch = Batch::default();
                    revoked.acknowledge();
                }
                Some(SourceEvent::Failed(reason)) => bail!("{reason}"),
            }
        }
    }

    /// Stores what has been read: rows and positions in one transaction.
    async fn store(&mut self) -> Result<()> {
        let batch = std::mem::take(&mut self.batch);
        let advances = batch.advances(&self.topic, &self.positions);
        let mut records: Vec<&Record> = Vec::with_capacity(batch.len());
        for entry in &batch.entries {
            match entry {
                Entry::Record(record) => records.push(record),
                Entry::Unreadable { reason, .. } => bail!("a record cannot be read: {reason}"),
            }
        }
        let mut transaction = self.connection.begin().await?;
        let moved: i64 = sqlx::query_scalar(MOVE)
            .bind(&self.topic)
            .bind(advances.iter().map(|advance| advance.partition).collect::<Vec<_>>())
            .bind(advances.iter().map(|advance| advance.expected).collect::<Vec<_>>())
            .bind(advances.iter().map(|advance| advance.next).collect::<Vec<_>>())
            .fetch_one(&mut *transaction)
            .await?;
        ensure!(usize::try_from(moved)? == advances.len(), "fenced: another consumer has taken over");
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        sqlx::query(ROWS)
            .bind(records.iter().map(|record| record.event.room.as_str()).collect::<Vec<_>>())
            .bind(records.iter().map(|record| number(record.cursor.epoch.0)).collect::<Vec<_>>())
            .bind(records.iter().map(|record| number(record.cursor.offset)).collect::<Vec<_>>())
            .bind(records.iter().map(|record| record.event.id.0).collect::<Vec<_>>())
            .bind(records.iter().map(|record| record.event.sender.user.as_str()).collect::<Vec<_>>())
            .bind(records.iter().map(|record| record.event.body.as_str()).collect::<Vec<_>>())
            .bind(records.iter().map(|record| number(record.event.at)).collect::<Vec<_>>())
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        for advance in advances {
            self.positions.insert(advance.partition, Some(advance.next));
        }
        Ok(())
    }
}
