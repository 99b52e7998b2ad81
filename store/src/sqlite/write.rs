//! What a batch leaves in SQLite.

use super::values::{pieces, statement};
use crate::changes::{Changes, NewRow, Spans};
use crate::fold::{MessageRow, Projections, ReactionRow};
use crate::row::number;
use sqlx::SqliteConnection;

/// Writes it all; the order matters only where rows give way to others.
pub(crate) async fn changes(connection: &mut SqliteConnection, changes: &Changes<'_>) -> Result<(), sqlx::Error> {
    for (room, at, id) in &changes.replaced {
        let place = sqlx::query(GIVE_WAY).bind(room.as_str()).bind(number(at.epoch.0)).bind(number(at.offset));
        place.bind(id.0).execute(&mut *connection).await?;
    }
    events(connection, &changes.rows).await?;
    projections(connection, &changes.projections).await?;
    spans(connection, &changes.spans).await
}

const GIVE_WAY: &str =
    "delete from events where room = $1 and epoch = $2 and seq = $3 and id = $4 and kind = 'unreadable'";

/// `or fail`: whoever fails drops the transaction, so that no statement need be undone by itself, which costs a copy of
/// every page that it touches.
const EVENTS: &str = "insert or fail into events (room, epoch, seq, id, kind, sender, key, digest, at, body, target, thread, \
                      annotations, trail, client, info, version, stands, duplicate_of, reason)";

async fn events(connection: &mut SqliteConnection, rows: &[NewRow<'_>]) -> Result<(), sqlx::Error> {
    for piece in pieces(rows) {
        let mut query = statement(EVENTS, piece.len(), 20, "");
        for row in piece {
            query = query.bind(row.room).bind(row.epoch).bind(row.seq).bind(row.id).bind(row.kind);
            query = query.bind(row.sender).bind(row.key).bind(row.digest).bind(row.at).bind(row.body);
            query = query.bind(row.target).bind(row.thread).bind(row.annotations.as_deref());
            query = query.bind(row.trail.as_deref()).bind(row.client).bind(row.info).bind(row.version).bind(row.stands);
            query = query.bind(row.duplicate_of).bind(row.reason);
        }
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

const DISSOLVE: [&str; 2] =
    ["delete from messages where room = $1 and id = $2", "delete from reactions where room = $1 and target = $2"];
/// The deleted message and its duplicates; then its edits, whichever of its ids they named.
const BLANK: [&str; 4] = [
    "update events set body = 'null', annotations = null
     where room = $1 and id = $2 and kind = 'message' and stands",
    "update events set body = 'null', annotations = null
     where room = $1 and duplicate_of = $2 and not stands and kind = 'message'",
    "update events set body = 'null', annotations = null where room = $1 and target = $2 and kind = 'edit'",
    "update events set body = 'null', annotations = null where room = $1 and kind = 'edit' and target in
     (select id from events where room = $1 and duplicate_of = $2 and not stands)",
];

async fn projections(connection: &mut SqliteConnection, projections: &Projections) -> Result<(), sqlx::Error> {
    for (names, statements) in [(&projections.dissolved, &DISSOLVE[..]), (&projections.blanked, &BLANK[..])] {
        for (room, id) in names {
            for sql in statements {
                sqlx::query(*sql).bind(room.as_str()).bind(id.0).execute(&mut *connection).await?;
            }
        }
    }
    let changed: Vec<_> = projections.messages.values().filter(|row| row.changed).collect();
    messages(connection, &changed).await?;
    let changed: Vec<_> = projections.reactions.values().filter(|row| row.changed).collect();
    reactions(connection, &changed).await
}

const MESSAGES: (&str, &str) = (
    "insert into messages (room, id, epoch, seq, sender, client, info, key, at, thread, body, annotations, \
     edit_epoch, edit_seq, edited_at, delete_epoch, delete_seq)",
    " on conflict (room, id) do update set \
     epoch = excluded.epoch, seq = excluded.seq, sender = excluded.sender, client = excluded.client, \
     info = excluded.info, key = excluded.key, at = excluded.at, thread = excluded.thread, body = excluded.body, \
     annotations = excluded.annotations, edit_epoch = excluded.edit_epoch, edit_seq = excluded.edit_seq, \
     edited_at = excluded.edited_at, delete_epoch = excluded.delete_epoch, delete_seq = excluded.delete_seq",
);

async fn messages(connection: &mut SqliteConnection, rows: &[&MessageRow]) -> Result<(), sqlx::Error> {
    for piece in pieces(rows) {
        let mut query = statement(MESSAGES.0, piece.len(), 17, MESSAGES.1);
        for row in piece {
            query =
                query.bind(row.room.as_str()).bind(row.id).bind(row.epoch).bind(row.seq).bind(row.sender.as_deref());
            query = query.bind(row.client.as_deref()).bind(row.info.as_deref()).bind(row.key.as_deref()).bind(row.at);
            query = query.bind(row.thread).bind(row.body.as_deref()).bind(row.annotations.as_deref());
            query = query.bind(row.edit_epoch).bind(row.edit_seq).bind(row.edited_at);
            query = query.bind(row.delete_epoch).bind(row.delete_seq);
        }
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

const REACTIONS: (&str, &str) = (
    "insert into reactions (room, target, user_id, reaction, epoch, seq, present)",
    " on conflict (room, target, user_id, reaction) \
     do update set epoch = excluded.epoch, seq = excluded.seq, present = excluded.present",
);

async fn reactions(connection: &mut SqliteConnection, rows: &[&ReactionRow]) -> Result<(), sqlx::Error> {
    for piece in pieces(rows) {
        let mut query = statement(REACTIONS.0, piece.len(), 7, REACTIONS.1);
        for row in piece {
            query = query.bind(row.room.as_str()).bind(row.target).bind(row.user_id.as_str());
            query = query.bind(row.reaction.as_str()).bind(row.epoch).bind(row.seq).bind(row.present);
        }
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

const SPANS: (&str, &str) = (
    "insert into contiguous (room, epoch, through, top)",
    " on conflict (room, epoch) do update set through = excluded.through, top = excluded.top",
);

async fn spans(connection: &mut SqliteConnection, spans: &Spans) -> Result<(), sqlx::Error> {
    let changed: Vec<_> = spans.iter().filter(|(_, span)| span.changed).collect();
    for piece in pieces(&changed) {
        let mut query = statement(SPANS.0, piece.len(), 4, SPANS.1);
        for ((room, epoch), span) in piece {
            query = query.bind(room.as_str()).bind(epoch).bind(span.through).bind(span.top);
        }
        query.execute(&mut *connection).await?;
    }
    Ok(())
}
