//! What a batch needs to know of the store, in SQLite. `cross join` keeps the order of the tables: first the batch's
//! values, then the index.

use super::values::{Bound, pieces, statement};
use crate::changes::{IdRow, SpanRow, Spans, Touched, UsedKeyRow};
use crate::fold::{MessageName, MessageRow, ReactionRow, Wanted, message_columns};
use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow, SqliteConnection};
use std::collections::HashSet;

/// Runs a query with `columns` values for each of `rows`, in pieces.
async fn fetch<'a, T, R>(
    connection: &mut SqliteConnection,
    rows: &'a [T],
    columns: usize,
    (before, after): (&'static str, &'static str),
    bind: impl Fn(Bound<'a>, &'a T) -> Bound<'a>,
) -> Result<Vec<R>, sqlx::Error>
where
    R: for<'r> FromRow<'r, SqliteRow>,
{
    let mut found = Vec::new();
    for piece in pieces(rows) {
        let bound = piece.iter().fold(statement(before, piece.len(), columns, after), &bind);
        for row in bound.fetch_all(&mut *connection).await? {
            found.push(R::from_row(&row)?);
        }
    }
    Ok(found)
}

const SPANS: (&str, &str) = (
    "with b (room, epoch) as (",
    ") select c.room, c.epoch, c.through, c.top, c.floor
     from b cross join contiguous c on c.room = b.room and c.epoch = b.epoch",
);

pub(crate) async fn spans(connection: &mut SqliteConnection, wanted: &Spans) -> Result<Vec<SpanRow>, sqlx::Error> {
    let names: Vec<_> = wanted.keys().collect();
    fetch(connection, &names, 2, SPANS, |query, (room, epoch)| query.bind(room.as_str()).bind(epoch)).await
}

const IDS: (&str, &str) = (
    "with b (room, id) as (",
    ") select e.room, e.epoch, e.seq, e.id, e.id as stands, 0 as unreadable
     from b cross join events e on e.room = b.room and e.id = b.id and e.stands
     union all
     select e.room, e.epoch, e.seq, e.id, coalesce(e.duplicate_of, e.id), e.kind = 'unreadable'
     from b cross join events e on e.room = b.room and e.id = b.id and not e.stands",
);

const KEYS: (&str, &str) = (
    "with b (room, sender, key) as (",
    ") select e.room, e.sender, e.key, e.digest, e.id
     from b cross join events e on e.room = b.room and e.sender = b.sender and e.key = b.key and e.stands",
);

pub(crate) async fn known(
    connection: &mut SqliteConnection,
    touched: &Touched,
) -> Result<(Vec<IdRow>, Vec<UsedKeyRow>), sqlx::Error> {
    let ids: Vec<_> = touched.ids.iter().collect();
    let found = fetch(connection, &ids, 2, IDS, |query, (room, id)| query.bind(room.as_str()).bind(id.0)).await?;
    let keys: Vec<_> = touched.keys.iter().collect();
    let used = fetch(connection, &keys, 3, KEYS, |query, (room, sender, key)| {
        query.bind(room.as_str()).bind(sender.as_str()).bind(key.as_str())
    });
    Ok((found, used.await?))
}

const MESSAGES: (&str, &str) = (
    "with b (of_room, of_id) as (",
    concat!(") select ", message_columns!(), " from b cross join messages on room = of_room and id = of_id"),
);

pub(crate) async fn messages(
    connection: &mut SqliteConnection,
    wanted: &HashSet<MessageName>,
) -> Result<Vec<MessageRow>, sqlx::Error> {
    let names: Vec<_> = wanted.iter().collect();
    fetch(connection, &names, 2, MESSAGES, |query, (room, id)| query.bind(room.as_str()).bind(id.0)).await
}

const REACTIONS: (&str, &str) = (
    "with b (room, target, user_id, reaction) as (",
    ") select r.room, r.target, r.user_id, r.reaction, r.epoch, r.seq, r.present
     from b cross join reactions r
     on r.room = b.room and r.target = b.target and r.user_id = b.user_id and r.reaction = b.reaction",
);
const REACTIONS_TO: (&str, &str) = (
    "with b (room, target) as (",
    ") select r.room, r.target, r.user_id, r.reaction, r.epoch, r.seq, r.present
     from b cross join reactions r on r.room = b.room and r.target = b.target",
);

pub(crate) async fn reactions(
    connection: &mut SqliteConnection,
    wanted: &Wanted,
) -> Result<Vec<ReactionRow>, sqlx::Error> {
    let names: Vec<_> = wanted.reactions.iter().collect();
    let mut found = fetch(connection, &names, 4, REACTIONS, |query, (room, target, user, reaction)| {
        query.bind(room.as_str()).bind(target.0).bind(user.as_str()).bind(reaction)
    })
    .await?;
    let whole: Vec<_> = wanted.reactions_to.iter().collect();
    let to = fetch(connection, &whole, 2, REACTIONS_TO, |query, (room, id)| query.bind(room.as_str()).bind(id.0));
    found.extend(to.await?);
    Ok(found)
}
