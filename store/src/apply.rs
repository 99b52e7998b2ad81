//! The way in: one batch, one transaction.

mod fence;
mod fresh;

use self::fresh::Cut;
use crate::changes::{Changes, IdRow, NewRow, SpanRow, Spans, Touched, UsedKeyRow};
use crate::fold::{Fate, Known, MessageName, MessageRow, Projections, ReactionRow, Wanted};
use crate::row::{cursor, name, number};
use crate::span::Span;
use crate::store::{Transaction, on_transaction};
use crate::{Advance, Entry, Error, Store, held, postgres, sqlite, storable};
use confab_protocol::{Cursor, EventId, Key, Record, Room, UserId};
use std::collections::HashSet;

/// What came of a batch. The counts add up to its length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Events that were not known.
    pub events: usize,
    /// Events whose id or key was known: they have a row at their place, and change nothing else.
    pub duplicates: usize,
    /// Entries that were here already, at the same place, also if retention has removed them since: nothing was written for them.
    pub copies: usize,
    /// Records that could not be read.
    pub unreadable: usize,
}

impl Store {
    /// Takes a batch of the journal: moves the positions, stores the events and folds them, in one transaction.
    ///
    /// A copy of a record that is here changes nothing, so the same batch may come again. Entries of one room must be
    /// given in the journal's order, over all batches, where it matters which of two events with the same key stands: the
    /// first to come does.
    ///
    /// # Errors
    /// [`Error::Fenced`] if a position is not where `advance` expects it, [`Error::Unstorable`] if a record holds what no
    /// column can. After any error nothing of the batch has been written, except where the connection broke during the
    /// commit (the position tells), and after [`Error::InDoubt`].
    pub async fn apply(&self, batch: &[Entry], advance: &[Advance]) -> Result<Applied, Error> {
        for entry in batch {
            match entry {
                Entry::Record(record) => storable::check(record)?,
                Entry::Unreadable { place: Some((_, cursor, id)), .. } => storable::check_place(*id, *cursor)?,
                Entry::Unreadable { place: None, .. } => {}
            }
        }
        self.within(async {
            if let Self::Sqlite(sqlite) = self
                && advance.is_empty()
                && let Some(plain) = sqlite::Plain::of(batch)
                && plain.write(sqlite).await?
            {
                return Ok(count(&vec![Fate::New; batch.len()]));
            }
            let cut = if matches!(self, Self::Postgres(_)) { Cut::of(batch) } else { Cut::whole(batch) };
            let applied = match self.attempt(batch, &cut, advance).await? {
                Some(applied) => Some(applied),
                None => self.attempt(batch, &Cut::whole(batch), advance).await?,
            };
            let applied = applied.unwrap_or_default(); // where nothing was taken for new nothing turns out to be known
            if let Self::Postgres(postgres) = self {
                postgres.stored(applied.events).await;
            }
            Ok(applied)
        })
        .await
    }

    /// Takes a batch in one transaction. `None`: some of what looked new is known, and nothing was written.
    async fn attempt(&self, batch: &[Entry], cut: &Cut<'_>, advance: &[Advance]) -> Result<Option<Applied>, Error> {
        let mut transaction = self.begin().await?;
        let applied = steps(&mut transaction, batch, cut, advance).await?;
        if applied.is_none() {
            transaction.rollback().await.map_err(|error| Error::sort("undo a batch", error))?;
            return Ok(None);
        }
        let sort = if matches!(self, Self::Sqlite(_)) { Error::sort_commit } else { Error::sort };
        transaction.commit().await.map_err(|error| sort("commit a batch", error))?;
        Ok(applied)
    }
}

/// The steps of a batch. Who fails drops the transaction, which undoes them all; so does `None`, as in [`Store::attempt`].
async fn steps(
    transaction: &mut Transaction,
    batch: &[Entry],
    cut: &Cut<'_>,
    advance: &[Advance],
) -> Result<Option<Applied>, Error> {
    fence::pass(transaction, advance).await?;
    if batch.iter().all(|entry| place_of(entry).is_none()) {
        return Ok(Some(count(&vec![Fate::Nowhere; batch.len()])));
    }
    let mut spans = load_spans(transaction, batch).await?;
    let kept = above_floors(batch, &spans);
    let whole = kept.as_deref().map(Cut::whole);
    let cut = whole.as_ref().unwrap_or(cut);
    let below = kept.as_ref().map_or(0, |kept| batch.len() - kept.len());
    if !cut.write(transaction).await? {
        return Ok(None);
    }
    let mut known = load_known(transaction, &cut.rest).await?;
    let (fates, replacing) = known.judge(&cut.rest);
    let mut projections = load_projections(transaction, &cut.rest, &fates, &known).await?;
    for (record, fate) in records(&cut.rest, &fates) {
        projections.fold(record, fate, &known);
    }
    let fresh = cut.fresh.iter().map(|entry| (*entry, Fate::New));
    advance_spans(transaction, &mut spans, fresh.chain(cut.rest.iter().zip(fates.iter().copied()))).await?;
    let replaced = replacing.into_iter().filter_map(|n| place_of(&cut.rest[n])).collect();
    let rows = cut.rest.iter().zip(&fates).filter_map(|(entry, fate)| NewRow::of(entry, *fate)).collect();
    let changes = Changes { replaced, rows, projections, spans };
    transaction.write(&changes).await?;
    held::blank(transaction, &changes.projections.blanked).await?;
    let applied = count(&fates);
    Ok(Some(Applied { events: applied.events + cut.fresh.len(), copies: applied.copies + below, ..applied }))
}

/// The batch without what retention has removed already: a replay brings it again. `None`: there is nothing such in it.
fn above_floors(batch: &[Entry], spans: &Spans) -> Option<Vec<Entry>> {
    if spans.values().all(|span| span.floor == 0) {
        return None;
    }
    let is_kept = |entry: &&Entry| {
        let span = place_of(entry).and_then(|(room, at, _)| Some((at, spans.get(&(room, number(at.epoch.0)))?)));
        span.is_none_or(|(at, span)| number(at.offset) > span.floor)
    };
    let kept: Vec<_> = batch.iter().filter(is_kept).cloned().collect();
    (kept.len() < batch.len()).then_some(kept)
}

/// Loads, and in PostgreSQL locks, what is known of the places of every (room, epoch) that the batch touches.
async fn load_spans(transaction: &mut Transaction, batch: &[Entry]) -> Result<Spans, Error> {
    let names = batch.iter().filter_map(place_of);
    let mut spans: Spans = names.map(|(room, at, _)| ((room, number(at.epoch.0)), Span::default())).collect();
    for row in transaction.spans(&spans).await? {
        spans.insert((name(Room::new(row.room))?, row.epoch), Span::loaded(row.through, row.top, row.floor));
    }
    Ok(spans)
}

/// Loads what is known of the batch's ids and keys.
pub(crate) async fn load_known(transaction: &mut Transaction, batch: &[Entry]) -> Result<Known, Error> {
    if batch.is_empty() {
        return Ok(Known::default());
    }
    let mut touched = Touched::default();
    for entry in batch {
        touched.ids.extend(place_of(entry).map(|(room, _, id)| (room, id)));
        if let Entry::Record(record) = entry {
            let event = &record.event;
            touched.ids.extend(event.target.map(|target| (event.room.clone(), target)));
            touched.keys.insert((event.room.clone(), event.sender.user.clone(), event.key.clone()));
        }
    }
    let (ids, keys) = transaction.known(&touched).await?;
    let mut known = Known::default();
    for row in ids {
        let room = name(Room::new(row.room))?;
        let at = cursor(row.epoch, row.seq);
        let id = EventId(row.id);
        if row.unreadable {
            known.unreadable_row(room, at, id);
        } else {
            known.row(room, at, id, EventId(row.stands));
        }
    }
    for row in keys {
        let room = Room::new(row.room);
        let sender = UserId::new(row.sender);
        let key = Key::new(row.key);
        known.key((name(room)?, name(sender)?, name(key)?, row.digest), EventId(row.id));
    }
    Ok(known)
}

/// Loads the messages and reactions that the batch folds into.
async fn load_projections(
    transaction: &mut Transaction,
    batch: &[Entry],
    fates: &[Fate],
    known: &Known,
) -> Result<Projections, Error> {
    let mut wanted = Wanted::default();
    for (record, fate) in records(batch, fates) {
        wanted.add(record, fate, known);
    }
    load_rows(transaction, &wanted).await
}

/// Loads rows of messages and reactions.
pub(crate) async fn load_rows(transaction: &mut Transaction, wanted: &Wanted) -> Result<Projections, Error> {
    let mut projections = Projections::default();
    for row in transaction.messages(&wanted.messages).await? {
        projections.messages.insert((name(Room::new(&row.room))?, EventId(row.id)), row);
    }
    for row in transaction.reactions(wanted).await? {
        let room = name(Room::new(&row.room))?;
        let user = name(UserId::new(&row.user_id))?;
        projections.reactions.insert((room, EventId(row.target), user, row.reaction.clone()), row);
    }
    Ok(projections)
}

/// Moves the contiguous ends over what the batch brings, and over what was stored past the holes that it fills.
async fn advance_spans(
    transaction: &mut Transaction,
    spans: &mut Spans,
    batch: impl Iterator<Item = (&Entry, Fate)>,
) -> Result<(), Error> {
    for (entry, fate) in batch {
        if let (Some((room, at, _)), Fate::New | Fate::Again { .. } | Fate::Unreadable) = (place_of(entry), fate)
            && let Some(span) = spans.get_mut(&(room, number(at.epoch.0)))
        {
            span.place(number(at.offset));
        }
    }
    for ((room, epoch), span) in spans {
        let mut more = span.advance();
        while more {
            let stored = transaction.stored(room, *epoch, span.through).await?;
            more = span.advance_over(&stored) && span.through < span.top;
        }
    }
    Ok(())
}

/// Room, place and id of an entry, if they are known.
fn place_of(entry: &Entry) -> Option<(Room, Cursor, EventId)> {
    match entry {
        Entry::Record(record) => Some((record.event.room.clone(), record.cursor, record.event.id)),
        Entry::Unreadable { place, .. } => place.clone(),
    }
}

pub(crate) fn records<'a>(batch: &'a [Entry], fates: &'a [Fate]) -> impl Iterator<Item = (&'a Record, Fate)> {
    batch.iter().zip(fates).filter_map(|(entry, fate)| match entry {
        Entry::Record(record) => Some((&**record, *fate)),
        Entry::Unreadable { .. } => None,
    })
}

fn count(fates: &[Fate]) -> Applied {
    let mut applied = Applied::default();
    for fate in fates {
        *match fate {
            Fate::New => &mut applied.events,
            Fate::Again { .. } => &mut applied.duplicates,
            Fate::Copy => &mut applied.copies,
            Fate::Unreadable | Fate::Nowhere => &mut applied.unreadable,
        } += 1;
    }
    applied
}

/// What the two back-ends load and write, each in its own way.
impl Transaction {
    async fn spans(&mut self, wanted: &Spans) -> Result<Vec<SpanRow>, Error> {
        let loaded = match self {
            Self::Sqlite(connection) => sqlite::load::spans(connection, wanted).await,
            Self::Postgres(connection) => postgres::load::spans(connection, wanted).await,
        };
        loaded.map_err(|error| Error::sort("load contiguous ends", error))
    }

    async fn stored(&mut self, room: &Room, epoch: i64, after: i64) -> Result<Vec<i64>, Error> {
        const STORED: &str =
            "select seq from events where room = $1 and epoch = $2 and seq > $3 order by seq limit 1000";
        let room = room.as_str();
        let stored = on_transaction!(self, connection => {
            sqlx::query_scalar(STORED).bind(room).bind(epoch).bind(after).fetch_all(connection).await
        });
        stored.map_err(|error| Error::sort("load stored places", error))
    }

    async fn known(&mut self, touched: &Touched) -> Result<(Vec<IdRow>, Vec<UsedKeyRow>), Error> {
        let loaded = match self {
            Self::Sqlite(connection) => sqlite::load::known(connection, touched).await,
            Self::Postgres(connection) => postgres::load::known(connection, touched).await,
        };
        loaded.map_err(|error| Error::sort("load known ids and keys", error))
    }

    async fn messages(&mut self, wanted: &HashSet<MessageName>) -> Result<Vec<MessageRow>, Error> {
        let loaded = match self {
            _ if wanted.is_empty() => return Ok(Vec::new()),
            Self::Sqlite(connection) => sqlite::load::messages(connection, wanted).await,
            Self::Postgres(connection) => postgres::load::messages(connection, wanted).await,
        };
        loaded.map_err(|error| Error::sort("load messages", error))
    }

    async fn reactions(&mut self, wanted: &Wanted) -> Result<Vec<ReactionRow>, Error> {
        let loaded = match self {
            _ if wanted.reactions.is_empty() && wanted.reactions_to.is_empty() => return Ok(Vec::new()),
            Self::Sqlite(connection) => sqlite::load::reactions(connection, wanted).await,
            Self::Postgres(connection) => postgres::load::reactions(connection, wanted).await,
        };
        loaded.map_err(|error| Error::sort("load reactions", error))
    }

    async fn write(&mut self, changes: &Changes<'_>) -> Result<(), Error> {
        let written = match self {
            Self::Sqlite(connection) => sqlite::write::changes(connection, changes).await,
            Self::Postgres(connection) => postgres::write::changes(connection, changes).await,
        };
        written.map_err(|error| Error::sort("store a batch", error))
    }
}
