//! What a batch needs to know of the store, in PostgreSQL.

use crate::changes::{IdRow, SpanRow, Spans, Touched, UsedKeyRow};
use crate::fold::{MessageName, MessageRow, ReactionRow, Wanted, message_columns};
use confab_protocol::{EventId, Room};
use sqlx::PgConnection;
use std::collections::HashSet;
use uuid::Uuid;

const LOCK_SPANS: &str = "
    select c.room, c.epoch, c.through, c.top, c.floor
    from contiguous c join unnest($1::text[], $2::bigint[]) as b (room, epoch) on c.room = b.room and c.epoch = b.epoch
    order by c.room, c.epoch for update of c";

const START_SPANS: &str = "
    insert into contiguous (room, epoch, through, top)
    select b.room, b.epoch, 0, 0 from unnest($1::text[], $2::bigint[]) as b (room, epoch) order by b.room, b.epoch
    on conflict do nothing";

/// Locks the spans, always in the same order, and reads them. Of two batches for one room the second waits here, before it
/// has looked at anything.
pub(crate) async fn spans(connection: &mut PgConnection, wanted: &Spans) -> Result<Vec<SpanRow>, sqlx::Error> {
    let (rooms, epochs): (Vec<_>, Vec<_>) = wanted.keys().map(|(room, epoch)| (room.as_str(), *epoch)).unzip();
    let rows: Vec<SpanRow> = sqlx::query_as(LOCK_SPANS).bind(&rooms).bind(&epochs).fetch_all(&mut *connection).await?;
    if rows.len() == wanted.len() {
        return Ok(rows);
    }
    sqlx::query(START_SPANS).bind(&rooms).bind(&epochs).execute(&mut *connection).await?;
    sqlx::query_as(LOCK_SPANS).bind(rooms).bind(epochs).fetch_all(connection).await
}

const IDS: &str = "
    select e.room, e.epoch, e.seq, e.id, e.id as stands, false as unreadable
    from unnest($1::text[], $2::uuid[]) as b (room, id)
    join events e on e.room = b.room and e.id = b.id and e.stands
    union all
    select e.room, e.epoch, e.seq, e.id, coalesce(e.duplicate_of, e.id), e.kind = 'unreadable'
    from unnest($1::text[], $2::uuid[]) as b (room, id)
    join events e on e.room = b.room and e.id = b.id and not e.stands";

const KEYS: &str = "
    select e.room, e.sender, e.key, e.digest, e.id
    from unnest($1::text[], $2::text[], $3::text[]) as b (room, sender, key)
    join events e on e.room = b.room and e.sender = b.sender and e.key = b.key and e.stands";

pub(crate) async fn known(
    connection: &mut PgConnection,
    touched: &Touched,
) -> Result<(Vec<IdRow>, Vec<UsedKeyRow>), sqlx::Error> {
    let (rooms, ids) = names(&touched.ids);
    let ids = sqlx::query_as(IDS).bind(rooms).bind(ids).fetch_all(&mut *connection).await?;
    let mut rooms = Vec::new();
    let mut senders = Vec::new();
    let mut keys = Vec::new();
    for (room, sender, key) in &touched.keys {
        rooms.push(room.as_str());
        senders.push(sender.as_str());
        keys.push(key.as_str());
    }
    let keys = sqlx::query_as(KEYS).bind(rooms).bind(senders).bind(keys).fetch_all(connection).await?;
    Ok((ids, keys))
}

const MESSAGES: &str = concat!(
    "select ",
    message_columns!(),
    " from unnest($1::text[], $2::uuid[]) as b (of_room, of_id) join messages on room = of_room and id = of_id"
);

pub(crate) async fn messages(
    connection: &mut PgConnection,
    wanted: &HashSet<MessageName>,
) -> Result<Vec<MessageRow>, sqlx::Error> {
    let (rooms, ids) = names(wanted);
    sqlx::query_as(MESSAGES).bind(rooms).bind(ids).fetch_all(connection).await
}

const REACTIONS: &str = "
    select r.room, r.target, r.user_id, r.reaction, r.epoch, r.seq, r.present
    from unnest($1::text[], $2::uuid[], $3::text[], $4::text[]) as b (room, target, user_id, reaction)
    join reactions r on r.room = b.room and r.target = b.target and r.user_id = b.user_id and r.reaction = b.reaction
    union
    select r.room, r.target, r.user_id, r.reaction, r.epoch, r.seq, r.present
    from unnest($5::text[], $6::uuid[]) as b (room, target)
    join reactions r on r.room = b.room and r.target = b.target";

pub(crate) async fn reactions(connection: &mut PgConnection, wanted: &Wanted) -> Result<Vec<ReactionRow>, sqlx::Error> {
    let mut rooms = Vec::new();
    let mut targets = Vec::new();
    let mut users = Vec::new();
    let mut reactions = Vec::new();
    for (room, target, user, reaction) in &wanted.reactions {
        rooms.push(room.as_str());
        targets.push(target.0);
        users.push(user.as_str());
        reactions.push(reaction.as_str());
    }
    let (rooms_whole, targets_whole) = names(&wanted.reactions_to);
    sqlx::query_as(REACTIONS)
        .bind(rooms)
        .bind(targets)
        .bind(users)
        .bind(reactions)
        .bind(rooms_whole)
        .bind(targets_whole)
        .fetch_all(connection)
        .await
}

/// Rooms and ids as two arrays.
pub(super) fn names(names: &HashSet<(Room, EventId)>) -> (Vec<&str>, Vec<Uuid>) {
    names.iter().map(|(room, id)| (room.as_str(), id.0)).unzip()
}
