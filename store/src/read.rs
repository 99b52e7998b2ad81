//! Reading by id and by key.

use crate::fold::{MessageRow, message_columns};
use crate::row::{EventRow, KeyRow, annotations, body, cursor, event_columns, name, number, time};
use crate::store::{on_reader, on_writer};
use crate::{Error, KeyUse, Message, Store};
use confab_protocol::{Body, EventId, Key, Millis, Record, Room, Sender, UserId};
use sqlx::Row;
use std::collections::BTreeMap;
use uuid::Uuid;

/// The row where the event stands, else the one where it is a duplicate.
const EVENT: &str = concat!(
    "select ",
    event_columns!(),
    " from (select * from events where room = $1 and id = $2 and stands
            union all
            select * from events where room = $1 and id = $2 and not stands and kind <> 'unreadable') e
      order by not stands, epoch, seq limit 1"
);
const MESSAGE: &str = concat!(
    "select ",
    message_columns!(),
    " from messages m where m.room = $1 and m.seq is not null and m.id = coalesce(
        (select e.duplicate_of from events e where e.room = $1 and e.id = $2 and not e.stands
         order by e.kind = 'unreadable' limit 1), $2)"
);
const REACTIONS: &str =
    "select reaction, user_id from reactions where room = $1 and target = $2 and present order by epoch, seq, user_id";
const KEY: &str = "select room, sender, key, id, epoch, seq, digest, at from events
     where room = $1 and sender = $2 and key = $3 and digest = $4 and stands";
const KEYS_SINCE: &str = "select room, sender, key, id, epoch, seq, digest, at from events
     where at >= $1 and kind <> 'unreadable' order by at, epoch, seq";
/// By time here too: a room's index would read the whole room. `is true` keeps it out.
const KEYS_SINCE_IN: &str = "select room, sender, key, id, epoch, seq, digest, at from events
     where at >= $1 and (room = $2) is true and kind <> 'unreadable' order by at, epoch, seq";
const POSITIONS: &str = "select partition, next from positions where topic = $1";
const POSITION: &str = "select next, last_id from positions where topic = $1 and partition = $2";
const GENERATION: &str = "select current from generations";
const NEXT_GENERATION: &str =
    "update generations set current = case when current < $1 then $1 else current + 1 end returning current";
const NEWEST_EPOCH: &str = "select max(epoch) from contiguous";
const MARK: &str = "select mark from generations";
const SET_MARK: &str = "update generations set mark = $1";

impl Store {
    /// An event of any kind by its id, as it was journaled; the body of a deleted one is `null`. `None` if there is none
    /// in this room, or its record could not be read.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database does not answer.
    pub async fn event(&self, room: &Room, id: EventId) -> Result<Option<Record>, Error> {
        let row: Option<EventRow> = self
            .within(async {
                on_reader!(self, pool => sqlx::query_as(EVENT).bind(room.as_str()).bind(id.0).fetch_optional(pool).await)
                    .map_err(|error| Error::sort("read an event", error))
            })
            .await?;
        row.map_or(Ok(None), EventRow::record)
    }

    /// What a message is now. The id of a duplicate leads to the message that stands. `None` if there is no such
    /// message in this room, or only edits of it have come so far.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database does not answer.
    pub async fn message(&self, room: &Room, id: EventId) -> Result<Option<Message>, Error> {
        self.within(async {
            let room = room.as_str();
            let row: Option<MessageRow> =
                on_reader!(self, pool => sqlx::query_as(MESSAGE).bind(room).bind(id.0).fetch_optional(pool).await)
                    .map_err(|error| Error::sort("read a message", error))?;
            let Some(row) = row else { return Ok(None) };
            let given: Vec<(String, String)> =
                on_reader!(self, pool => sqlx::query_as(REACTIONS).bind(room).bind(row.id).fetch_all(pool).await)
                    .map_err(|error| Error::sort("read reactions", error))?;
            message(row, given).map(Some)
        })
        .await
    }

    /// The event that a draft with this key and this digest became, whenever that was.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database does not answer.
    pub async fn key_use(
        &self,
        room: &Room,
        sender: &UserId,
        key: &Key,
        digest: &str,
    ) -> Result<Option<KeyUse>, Error> {
        let room = room.as_str();
        let sender = sender.as_str();
        let key = key.as_str();
        let row: Option<KeyRow> = self
            .within(async {
                on_reader!(self, pool => {
                    sqlx::query_as(KEY).bind(room).bind(sender).bind(key).bind(digest).fetch_optional(pool).await
                })
                .map_err(|error| Error::sort("read a key", error))
            })
            .await?;
        row.map(|row| row.key_use().map(|(_, used)| used)).transpose()
    }

    /// What the keys of all events stamped at `since` or later were used for, oldest first, in one room or in all. A key
    /// that was used again after the dedupe window appears with each use.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database does not answer.
    pub async fn recent_keys(&self, room: Option<&Room>, since: Millis) -> Result<Vec<(Room, KeyUse)>, Error> {
        let since = number(since);
        let rows: Vec<KeyRow> = self
            .within(async {
                on_reader!(self, pool => match room {
                    Some(room) => sqlx::query_as(KEYS_SINCE_IN).bind(since).bind(room.as_str()).fetch_all(pool).await,
                    None => sqlx::query_as(KEYS_SINCE).bind(since).fetch_all(pool).await,
                })
                .map_err(|error| Error::sort("read recent keys", error))
            })
            .await?;
        rows.into_iter().map(KeyRow::key_use).collect()
    }

    /// Where to go on reading a partition; `None` if nothing of it was ever stored.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database does not answer.
    pub async fn position(&self, topic: &str, partition: i32) -> Result<Option<i64>, Error> {
        Ok(self.position_and_last(topic, partition).await?.map(|(next, _)| next))
    }

    /// The same, with the event of the record before it, if that named one.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database does not answer.
    pub async fn position_and_last(
        &self,
        topic: &str,
        partition: i32,
    ) -> Result<Option<(i64, Option<EventId>)>, Error> {
        let found: Option<(i64, Option<Uuid>)> = self
            .within(async {
                on_reader!(self, pool => {
                    sqlx::query_as(POSITION).bind(topic).bind(partition).fetch_optional(pool).await
                })
                .map_err(|error| Error::sort("read a position", error))
            })
            .await?;
        Ok(found.map(|(next, last)| (next, last.map(EventId))))
    }

    /// Whether everything of a topic that comes before these offsets, by partition, was read into the store.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database does not answer.
    pub async fn has_read(&self, topic: &str, ends: &BTreeMap<i32, i64>) -> Result<bool, Error> {
        let found: Vec<(i32, i64)> = self
            .within(async {
                on_reader!(self, pool => sqlx::query_as(POSITIONS).bind(topic).fetch_all(pool).await)
                    .map_err(|error| Error::sort("read the positions", error))
            })
            .await?;
        let positions: BTreeMap<i32, i64> = found.into_iter().collect();
        Ok(ends.iter().all(|(partition, end)| positions.get(partition).is_some_and(|next| next >= end)))
    }

    /// The number of the current generation, where the store counts them (the embedded hub). A new store is in its first.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database does not answer.
    pub async fn generation(&self) -> Result<u64, Error> {
        self.within(async {
            on_reader!(self, pool => sqlx::query(GENERATION).fetch_one(pool).await.and_then(|row| row.try_get(0)))
                .map(time)
                .map_err(|error| Error::sort("read the generation", error))
        })
        .await
    }

    /// Begins the next generation, which is `least` or higher, and returns its number, which no other call has returned or
    /// will return.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database does not answer.
    pub async fn next_generation(&self, least: u64) -> Result<u64, Error> {
        let least = number(least);
        self.within(async {
            on_writer!(self, pool => {
                sqlx::query(NEXT_GENERATION).bind(least).fetch_one(pool).await.and_then(|row| row.try_get(0))
            })
            .map(time)
            .map_err(|error| Error::sort("begin a generation", error))
        })
        .await
    }

    /// The newest epoch of which any room has an event; `None` if no room has any. Looks at every room.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database does not answer.
    pub async fn newest_epoch(&self) -> Result<Option<u64>, Error> {
        let found: Option<i64> = self
            .within(async {
                on_reader!(self, pool => sqlx::query(NEWEST_EPOCH).fetch_one(pool).await.and_then(|row| row.try_get(0)))
                    .map_err(|error| Error::sort("read the newest epoch", error))
            })
            .await?;
        Ok(found.map(time))
    }

    /// What [`Store::set_mark`] wrote last, if it ever did.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database does not answer.
    pub async fn mark(&self) -> Result<Option<String>, Error> {
        self.within(async {
            on_reader!(self, pool => sqlx::query(MARK).fetch_one(pool).await.and_then(|row| row.try_get(0)))
                .map_err(|error| Error::sort("read the mark", error))
        })
        .await
    }

    /// Writes a mark into the database, by which this state of it is told from an earlier one.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database does not answer.
    pub async fn set_mark(&self, mark: &str) -> Result<(), Error> {
        self.within(async {
            on_writer!(self, pool => sqlx::query(SET_MARK).bind(mark).execute(pool).await.map(drop))
                .map_err(|error| Error::sort("write the mark", error))
        })
        .await
    }
}

/// A message from its row and the reactions that stand, in the order in which they were given.
pub(crate) fn message(row: MessageRow, given: Vec<(String, String)>) -> Result<Message, Error> {
    let missing = |what: &str| Error::malformed("messages", format!("{what} is null"));
    let deleted = row.deleted();
    let mut reactions: Vec<(String, Vec<UserId>)> = Vec::new();
    for (reaction, user) in given {
        let user = name(UserId::new(user))?;
        match reactions.iter_mut().find(|(known, _)| *known == reaction) {
            Some((_, users)) => users.push(user),
            None => reactions.push((reaction, vec![user])),
        }
    }
    Ok(Message {
        id: EventId(row.id),
        room: name(Room::new(&row.room))?,
        sender: Sender {
            user: name(UserId::new(row.sender.ok_or_else(|| missing("sender"))?))?,
            client: row.client,
            info: row.info.map(body).transpose()?,
        },
        key: name(Key::new(row.key.ok_or_else(|| missing("key"))?))?,
        cursor: cursor(row.epoch.ok_or_else(|| missing("epoch"))?, row.seq.ok_or_else(|| missing("seq"))?),
        at: time(row.at.ok_or_else(|| missing("at"))?),
        thread: row.thread.map(EventId),
        body: match row.body {
            Some(text) => body(text)?,
            None if deleted => Body::null(),
            None => return Err(missing("body")),
        },
        annotations: annotations(row.annotations)?,
        edited_at: row.edited_at.map(time),
        deleted,
        reactions,
    })
}
