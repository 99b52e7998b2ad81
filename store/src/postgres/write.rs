//! What a batch leaves in PostgreSQL.

use super::load::names;
use crate::Advance;
use crate::changes::{Changes, NewRow, Spans};
use crate::fold::{MessageRow, Projections, ReactionRow};
use crate::row::number;
use confab_protocol::{Cursor, EventId, Room};
use sqlx::PgConnection;

/// One column of many rows.
macro_rules! column {
    ($rows:expr, $field:ident) => {
        $rows.iter().map(|row| row.$field).collect::<Vec<_>>()
    };
    ($rows:expr, text $field:ident) => {
        $rows.iter().map(|row| row.$field.as_str()).collect::<Vec<_>>()
    };
    ($rows:expr, optional $field:ident) => {
        $rows.iter().map(|row| row.$field.as_deref()).collect::<Vec<_>>()
    };
}

/// Writes it all; the order matters only where rows give way to others.
pub(crate) async fn changes(connection: &mut PgConnection, changes: &Changes<'_>) -> Result<(), sqlx::Error> {
    if !changes.replaced.is_empty() {
        give_way(connection, &changes.replaced).await?;
    }
    if !changes.rows.is_empty() {
        events(connection, EVENTS, &changes.rows).await?;
    }
    projections(connection, &changes.projections).await?;
    spans(connection, &changes.spans).await
}

const POSITIONS: &str = "
    update positions p set next = b.next, last_id = b.last_id
    from unnest($1::text[], $2::integer[], $3::bigint[], $4::bigint[], $5::uuid[])
        as b (topic, partition, expected, next, last_id)
    where p.topic = b.topic and p.partition = b.partition and p.next = b.expected
    returning p.topic, p.partition";

/// Moves those positions that are where they are expected to be, and returns which.
pub(crate) async fn positions(
    connection: &mut PgConnection,
    advance: &[&Advance],
) -> Result<Vec<(String, i32)>, sqlx::Error> {
    if advance.is_empty() {
        return Ok(Vec::new());
    }
    sqlx::query_as(POSITIONS)
        .bind(advance.iter().map(|step| step.topic.as_str()).collect::<Vec<_>>())
        .bind(column!(advance, partition))
        .bind(column!(advance, expected))
        .bind(column!(advance, next))
        .bind(advance.iter().map(|step| step.last.map(|id| id.0)).collect::<Vec<_>>())
        .fetch_all(connection)
        .await
}

const GIVE_WAY: &str = "
    delete from events e using unnest($1::text[], $2::bigint[], $3::bigint[], $4::uuid[]) as b (room, epoch, seq, id)
    where e.room = b.room and e.epoch = b.epoch and e.seq = b.seq and e.id = b.id and e.kind = 'unreadable'";

async fn give_way(connection: &mut PgConnection, places: &[(Room, Cursor, EventId)]) -> Result<(), sqlx::Error> {
    let rooms: Vec<_> = places.iter().map(|(room, ..)| room.as_str()).collect();
    let epochs: Vec<_> = places.iter().map(|(_, at, _)| number(at.epoch.0)).collect();
    let seqs: Vec<_> = places.iter().map(|(_, at, _)| number(at.offset)).collect();
    let ids: Vec<_> = places.iter().map(|(.., id)| id.0).collect();
    sqlx::query(GIVE_WAY).bind(rooms).bind(epochs).bind(seqs).bind(ids).execute(connection).await.map(drop)
}

/// The rows of `events`, as arrays.
macro_rules! insert_events {
    () => {
        "insert into events (room, epoch, seq, id, kind, sender, key, digest, at, body, target, thread, annotations, trail,
                             client, info, version, stands, duplicate_of, reason)
         select * from unnest($1::text[], $2::bigint[], $3::bigint[], $4::uuid[], $5::text[], $6::text[], $7::text[],
                              $8::text[], $9::bigint[], $10::text[], $11::uuid[], $12::uuid[], $13::text[], $14::text[],
                              $15::text[], $16::text[], $17::integer[], $18::boolean[], $19::uuid[], $20::text[])"
    };
}

const EVENTS: &str = insert_events!();
/// The same, and what the messages among them say.
const FRESH: &str = concat!(
    "with fresh as (",
    insert_events!(),
    " returning room, id, epoch, seq, sender, client, info, key, at, thread, body, annotations)
     insert into messages (room, id, epoch, seq, sender, client, info, key, at, thread, body, annotations)
     select * from fresh"
);
/// An id that is known by a row that does not stand is no unique index's affair.
const SET_ASIDE: &str = "
    select exists (select from unnest($1::text[], $2::uuid[]) as b (room, id)
                   join events e on e.room = b.room and e.id = b.id and not e.stands)";

/// Writes events that look like new messages, and the messages, in one statement, so that their words travel once. False, or a
/// unique index is violated: some of them are known.
pub(crate) async fn fresh(connection: &mut PgConnection, rows: &[NewRow<'_>]) -> Result<bool, sqlx::Error> {
    let aside = sqlx::query_scalar(SET_ASIDE).bind(column!(rows, room)).bind(column!(rows, id));
    if aside.fetch_one(&mut *connection).await? {
        return Ok(false);
    }
    events(connection, FRESH, rows).await.map(|()| true)
}

/// Writes rows of `events` with one of the statements above.
async fn events(
    connection: &mut PgConnection,
    statement: &'static str,
    rows: &[NewRow<'_>],
) -> Result<(), sqlx::Error> {
    sqlx::query(statement)
        .bind(column!(rows, room))
        .bind(column!(rows, epoch))
        .bind(column!(rows, seq))
        .bind(column!(rows, id))
        .bind(column!(rows, kind))
        .bind(column!(rows, sender))
        .bind(column!(rows, key))
        .bind(column!(rows, digest))
        .bind(column!(rows, at))
        .bind(column!(rows, body))
        .bind(column!(rows, target))
        .bind(column!(rows, thread))
        .bind(column!(rows, optional annotations))
        .bind(column!(rows, optional trail))
        .bind(column!(rows, client))
        .bind(column!(rows, info))
        .bind(column!(rows, version))
        .bind(column!(rows, stands))
        .bind(column!(rows, duplicate_of))
        .bind(column!(rows, reason))
        .execute(connection)
        .await
        .map(drop)
}

const DISSOLVE_MESSAGES: &str = "
    delete from messages m using unnest($1::text[], $2::uuid[]) as b (room, id) where m.room = b.room and m.id = b.id";
const DISSOLVE_REACTIONS: &str = "
    delete from reactions r using unnest($1::text[], $2::uuid[]) as b (room, id)
    where r.room = b.room and r.target = b.id";
/// The deleted message and its duplicates; then its edits, whichever of its ids they named.
const BLANK: [&str; 4] = [
    "update events e set body = 'null', annotations = null from unnest($1::text[], $2::uuid[]) as b (room, id)
     where e.room = b.room and e.id = b.id and e.kind = 'message' and e.stands",
    "update events e set body = 'null', annotations = null from unnest($1::text[], $2::uuid[]) as b (room, id)
     where e.room = b.room and e.duplicate_of = b.id and not e.stands and e.kind = 'message'",
    "update events e set body = 'null', annotations = null from unnest($1::text[], $2::uuid[]) as b (room, id)
     where e.room = b.room and e.target = b.id and e.kind = 'edit'",
    "update events e set body = 'null', annotations = null
     from unnest($1::text[], $2::uuid[]) as b (room, id)
     join events d on d.room = b.room and d.duplicate_of = b.id and not d.stands
     where e.room = d.room and e.target = d.id and e.kind = 'edit'",
];

async fn projections(connection: &mut PgConnection, projections: &Projections) -> Result<(), sqlx::Error> {
    if !projections.dissolved.is_empty() {
        let (rooms, ids) = names(&projections.dissolved);
        for sql in [DISSOLVE_MESSAGES, DISSOLVE_REACTIONS] {
            sqlx::query(sql).bind(&rooms).bind(&ids).execute(&mut *connection).await?;
        }
    }
    if !projections.blanked.is_empty() {
        let (rooms, ids) = names(&projections.blanked);
        for sql in BLANK {
            sqlx::query(sql).bind(&rooms).bind(&ids).execute(&mut *connection).await?;
        }
    }
    let changed: Vec<_> = projections.messages.values().filter(|row| row.changed).collect();
    if !changed.is_empty() {
        messages(connection, &changed).await?;
    }
    let changed: Vec<_> = projections.reactions.values().filter(|row| row.changed).collect();
    if !changed.is_empty() {
        reactions(connection, &changed).await?;
    }
    Ok(())
}

const MESSAGES: &str = "
    insert into messages (room, id, epoch, seq, sender, client, info, key, at, thread, body, annotations,
                          edit_epoch, edit_seq, edited_at, delete_epoch, delete_seq)
    select * from unnest($1::text[], $2::uuid[], $3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::text[],
                         $8::text[], $9::bigint[], $10::uuid[], $11::text[], $12::text[], $13::bigint[], $14::bigint[],
                         $15::bigint[], $16::bigint[], $17::bigint[])
    on conflict (room, id) do update set
        epoch = excluded.epoch, seq = excluded.seq, sender = excluded.sender, client = excluded.client,
        info = excluded.info, key = excluded.key, at = excluded.at, thread = excluded.thread, body = excluded.body,
        annotations = excluded.annotations, edit_epoch = excluded.edit_epoch, edit_seq = excluded.edit_seq,
        edited_at = excluded.edited_at, delete_epoch = excluded.delete_epoch, delete_seq = excluded.delete_seq";

async fn messages(connection: &mut PgConnection, rows: &[&MessageRow]) -> Result<(), sqlx::Error> {
    sqlx::query(MESSAGES)
        .bind(column!(rows, text room))
        .bind(column!(rows, id))
        .bind(column!(rows, epoch))
        .bind(column!(rows, seq))
        .bind(column!(rows, optional sender))
        .bind(column!(rows, optional client))
        .bind(column!(rows, optional info))
        .bind(column!(rows, optional key))
        .bind(column!(rows, at))
        .bind(column!(rows, thread))
        .bind(column!(rows, optional body))
        .bind(column!(rows, optional annotations))
        .bind(column!(rows, edit_epoch))
        .bind(column!(rows, edit_seq))
        .bind(column!(rows, edited_at))
        .bind(column!(rows, delete_epoch))
        .bind(column!(rows, delete_seq))
        .execute(connection)
        .await
        .map(drop)
}

const REACTIONS: &str = "
    insert into reactions (room, target, user_id, reaction, epoch, seq, present)
    select * from unnest($1::text[], $2::uuid[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::boolean[])
    on conflict (room, target, user_id, reaction)
    do update set epoch = excluded.epoch, seq = excluded.seq, present = excluded.present";

async fn reactions(connection: &mut PgConnection, rows: &[&ReactionRow]) -> Result<(), sqlx::Error> {
    sqlx::query(REACTIONS)
        .bind(column!(rows, text room))
        .bind(column!(rows, target))
        .bind(column!(rows, text user_id))
        .bind(column!(rows, text reaction))
        .bind(column!(rows, epoch))
        .bind(column!(rows, seq))
        .bind(column!(rows, present))
        .execute(connection)
        .await
        .map(drop)
}

const SPANS: &str = "
    update contiguous c set through = b.through, top = b.top
    from unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[]) as b (room, epoch, through, top)
    where c.room = b.room and c.epoch = b.epoch";

async fn spans(connection: &mut PgConnection, spans: &Spans) -> Result<(), sqlx::Error> {
    let changed: Vec<_> = spans.iter().filter(|(_, span)| span.changed).collect();
    if changed.is_empty() {
        return Ok(());
    }
    sqlx::query(SPANS)
        .bind(changed.iter().map(|((room, _), _)| room.as_str()).collect::<Vec<_>>())
        .bind(changed.iter().map(|((_, epoch), _)| *epoch).collect::<Vec<_>>())
        .bind(changed.iter().map(|(_, span)| span.through).collect::<Vec<_>>())
        .bind(changed.iter().map(|(_, span)| span.top).collect::<Vec<_>>())
        .execute(connection)
        .await
        .map(drop)
}
