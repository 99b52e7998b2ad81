//! What messages are now, events included that the store may not have yet: its rows, and the one fold over them. Nothing is written.

use crate::apply::{load_known, load_rows, records};
use crate::fold::{Fate, Known, Projections, ReactionRow, Wanted};
use crate::read::message;
use crate::row::cursor;
use crate::store::{Transaction, on_transaction};
use crate::{Entry, Error, Message, Store};
use confab_protocol::{Cursor, EventId, Kind, Record, Room};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

const NEWEST: &str = "select epoch, through from contiguous where room = $1 order by epoch desc limit 1";

/// Messages as they are at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Folded {
    /// The messages, in the order of the places that were asked for. A place of a duplicate gives none.
    pub messages: Vec<Message>,
    /// How far the store knew the room's newest epoch without a hole at that moment; `None` if it knew nothing of the room.
    pub through: Option<Cursor>,
}

impl Store {
    /// What the messages at these places are, once `newer` events of the room are folded in as well. Those that the store has
    /// already change nothing. The number of queries does not depend on how many messages there are (in SQLite, on how many
    /// hundreds).
    ///
    /// The answer is complete if no place is missing between its `through` and the events that were given.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the database does not answer.
    pub async fn messages(&self, room: &Room, page: &[Arc<Record>], newer: &[Arc<Record>]) -> Result<Folded, Error> {
        self.within(async {
            let mut transaction = self.snapshot().await?;
            let newest: Option<(i64, i64)> = on_transaction!(&mut transaction, connection => {
                sqlx::query_as(NEWEST).bind(room.as_str()).fetch_optional(connection).await
            })
            .map_err(|error| Error::sort("read contiguous ends", error))?;
            let messages = fold(&mut transaction, room, page, newer).await?;
            transaction.rollback().await.map_err(|error| Error::sort("end a snapshot", error))?;
            Ok(Folded { messages, through: newest.map(|(epoch, through)| cursor(epoch, through)) })
        })
        .await
    }
}

async fn fold(
    transaction: &mut Transaction,
    room: &Room,
    page: &[Arc<Record>],
    newer: &[Arc<Record>],
) -> Result<Vec<Message>, Error> {
    let places: BTreeMap<_, _> = page.iter().chain(newer).map(|one| ((one.cursor, one.event.id), one)).collect();
    let batch: Vec<Entry> = places.into_values().cloned().map(Entry::Record).collect();
    let mut known = load_known(transaction, &batch).await?;
    let (fates, _) = known.judge(&batch);
    let asked = page.iter().filter(|one| one.event.kind == Kind::Message);
    let asked: HashSet<EventId> = asked.map(|one| known.resolve(room, one.event.id)).collect();
    let mut wanted = Wanted::default();
    let names = || asked.iter().map(|id| (room.clone(), *id));
    wanted.messages.extend(names());
    wanted.reactions_to.extend(names());
    let about = |record: &Record, fate| is_about(&asked, record, fate, &known);
    let folded: Vec<_> = records(&batch, &fates).filter(|(record, fate)| about(record, *fate)).collect();
    for (record, fate) in &folded {
        wanted.add(record, *fate, &known);
    }
    let mut projections = load_rows(transaction, &wanted).await?;
    for (record, fate) in folded {
        projections.fold(record, fate, &known);
    }
    messages(room, page, projections)
}

/// Whether an event changes one of these messages.
fn is_about(asked: &HashSet<EventId>, record: &Record, fate: Fate, known: &Known) -> bool {
    let of = match fate {
        Fate::Again { of, .. } => Some(of),
        _ => None,
    };
    let target = record.event.target.map(|target| known.resolve(&record.event.room, target));
    [Some(record.event.id), of, target].into_iter().flatten().any(|id| asked.contains(&id))
}

/// The messages that stand at the places of the page.
fn messages(room: &Room, page: &[Arc<Record>], mut projections: Projections) -> Result<Vec<Message>, Error> {
    let mut given: BTreeMap<EventId, Vec<ReactionRow>> = BTreeMap::new();
    for row in projections.reactions.into_values().filter(|row| row.present) {
        given.entry(EventId(row.target)).or_default().push(row);
    }
    let mut found = Vec::new();
    for record in page.iter().filter(|one| one.event.kind == Kind::Message) {
        let name = (room.clone(), record.event.id);
        let stands = |row: &crate::fold::MessageRow| {
            row.epoch.zip(row.seq).is_some_and(|(epoch, seq)| cursor(epoch, seq) == record.cursor)
        };
        if !projections.messages.get(&name).is_some_and(stands) {
            continue; // a duplicate: what it says was said at another place
        }
        let Some(row) = projections.messages.remove(&name) else { continue };
        let mut reactions = given.remove(&record.event.id).unwrap_or_default();
        reactions.sort_by(|a, b| (a.epoch, a.seq, &a.user_id).cmp(&(b.epoch, b.seq, &b.user_id)));
        let reactions = reactions.into_iter().map(|row| (row.reaction, row.user_id)).collect();
        found.push(message(row, reactions)?);
    }
    Ok(found)
}
