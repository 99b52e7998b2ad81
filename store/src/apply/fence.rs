//! The fence: a position moves only from where its writer thought it was.

use crate::store::{Transaction, on_transaction};
use crate::{Advance, Error, postgres};

const MOVE: &str = "update positions set next = $4, last_id = $5 where topic = $1 and partition = $2 and next = $3";
const START: &str =
    "insert into positions (topic, partition, next, last_id) values ($1, $2, $3, $4) on conflict do nothing";
const FIND: &str = "select next from positions where topic = $1 and partition = $2";

/// Moves every position, or fails. The rows stay locked until the transaction ends, so of two writers with the same
/// expectation the second waits and then finds that it has been replaced.
pub(super) async fn pass(transaction: &mut Transaction, advance: &[Advance]) -> Result<(), Error> {
    let mut advance: Vec<_> = advance.iter().collect();
    advance.sort_by(|a, b| (&a.topic, a.partition).cmp(&(&b.topic, b.partition))); // all lock in one order
    let moved = match transaction {
        Transaction::Postgres(connection) => postgres::write::positions(connection, &advance).await,
        Transaction::Sqlite(_) => Ok(Vec::new()),
    };
    let moved = moved.map_err(|error| Error::sort("move positions", error))?;
    // What is left: partitions never seen, and those where somebody else has been.
    for step in advance.into_iter().filter(|step| !moved.contains(&(step.topic.clone(), step.partition))) {
        on_transaction!(transaction, connection => {
            let moved = match step.expected {
                Some(expected) => sqlx::query(MOVE).bind(&step.topic).bind(step.partition).bind(expected).bind(step.next).bind(step.last.map(|id| id.0))
                    .execute(&mut *connection).await.map(|done| done.rows_affected()),
                None => sqlx::query(START).bind(&step.topic).bind(step.partition).bind(step.next).bind(step.last.map(|id| id.0))
                    .execute(&mut *connection).await.map(|done| done.rows_affected()),
            };
            if moved.map_err(|error| Error::sort("move a position", error))? == 0 {
                let found: Option<i64> = sqlx::query_scalar(FIND).bind(&step.topic).bind(step.partition)
                    .fetch_optional(&mut *connection).await.map_err(|error| Error::sort("read a position", error))?;
                return Err(fenced(step, found));
            }
        });
    }
    Ok(())
}

fn fenced(step: &Advance, found: Option<i64>) -> Error {
    Error::Fenced { topic: step.topic.clone(), partition: step.partition, expected: step.expected, found }
}
