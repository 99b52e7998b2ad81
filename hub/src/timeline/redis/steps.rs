//! The steps of the timeline, each one call of a script.

use super::super::{Appended, Entry, Error, Known, Pending, Range, Settled, Window, blanked};
use super::answer::{Answer, damaged};
use super::client::{ScriptCall, ScriptReply};
use super::keys::born;
use super::scripts::Script;
use super::{Redis, refusal};
use confab_protocol::{Cursor, EventId, Key, Record, Refusal, Room, UserId};
use redis::Value;
use std::collections::HashSet;
use std::sync::Arc;

impl Redis {
    pub(in crate::timeline) async fn lookup(
        &self,
        room: &Room,
        sender: &UserId,
        key: &Key,
    ) -> Result<Option<Known>, Error> {
        let keys = vec![self.generation_of(room), self.inner.keys.dedupe(room, sender, key)];
        let mut reply = self.call(Script::Lookup, keys, vec![number(born(key))], false).await?;
        match reply.word.as_str() {
            "none" => Ok(None),
            "known" => self.inner.client.known(&mut reply).await.map(Some),
            other => Err(unexpected(other)),
        }
    }

    pub(in crate::timeline) async fn append(
        &self,
        entry: &Entry,
        only_in: Option<u64>,
        again: bool,
    ) -> Result<Appended, Error> {
        self.inner.client.append(entry, only_in, again).await
    }

    pub(in crate::timeline) async fn settle(&self, pending: &Pending) -> Result<Settled, Error> {
        self.inner.client.settle(pending).await
    }

    pub(in crate::timeline) async fn remember(
        &self,
        room: &Room,
        sender: &UserId,
        key: &Key,
        digest: &str,
        refusal: &Refusal,
    ) -> Result<Option<Known>, Error> {
        let Some(refusal) = refusal::to_json(refusal) else { return Ok(None) };
        let keys = vec![self.generation_of(room), self.inner.keys.dedupe(room, sender, key)];
        let window = (self.inner.options.dedupe_window.as_millis() as u64).max(1);
        let args = vec![digest.as_bytes().to_vec(), refusal.into_bytes(), number(window), number(born(key))];
        let mut reply = self.call(Script::Remember, keys, args, true).await?;
        match reply.word.as_str() {
            "kept" => Ok(None),
            "known" => self.inner.client.known(&mut reply).await.map(Some),
            other => Err(unexpected(other)),
        }
    }

    pub(in crate::timeline) async fn read(&self, room: &Room, range: Range) -> Result<Window, Error> {
        let names = &self.inner.keys;
        let keys = vec![self.generation_of(room), names.meta(room), names.window(room), names.deleted(room)];
        let (first, last, direction) = match (range.reverse, range.since) {
            (false, since) => {
                (format!("{}-0", since.map_or(1, |since| since.saturating_add(1))), "+".into(), "forward")
            }
            (true, None) => ("-".into(), "+".into(), "reverse"),
            (true, Some(since)) => ("-".into(), format!("{}-0", since.saturating_sub(1)), "reverse"),
        };
        let [limit, bytes] = [range.limit, range.bytes].map(|most| number(most.min(1 << 31) as u64));
        let args = vec![first.into(), last.into(), direction.into(), limit, bytes];
        let ScriptReply { word, mut answer, .. } = self.call(Script::Read, keys, args, false).await?;
        if word != "window" {
            return Err(unexpected(&word));
        }
        let top = answer.cursor()?;
        let oldest = answer.maybe()?;
        let mut records = Vec::new();
        for event in answer.list()? {
            records.push(served(top.epoch.0, &mut Answer::of(event)?)?);
        }
        Ok(Window { top, oldest, records })
    }

    pub(in crate::timeline) async fn find(&self, room: &Room, id: EventId) -> Result<Option<Arc<Record>>, Error> {
        let names = &self.inner.keys;
        let keys = vec![
            self.generation_of(room),
            names.meta(room),
            names.window(room),
            names.index(room),
            names.deleted(room),
        ];
        let ScriptReply { word, mut answer, .. } =
            self.call(Script::Find, keys, vec![id.to_string().into()], false).await?;
        match word.as_str() {
            "none" => Ok(None),
            "found" => {
                let epoch = answer.parse()?;
                served(epoch, &mut answer).map(Some)
            }
            other => Err(unexpected(other)),
        }
    }

    pub(in crate::timeline) async fn deleted(&self, room: &Room, ids: &[EventId]) -> Result<HashSet<EventId>, Error> {
        let keys = vec![self.generation_of(room), self.inner.keys.deleted(room)];
        let ids = ids.iter().map(|id| id.to_string().into_bytes()).collect();
        let ScriptReply { word, mut answer, .. } = self.call(Script::Deleted, keys, ids, false).await?;
        if word != "deleted" {
            return Err(unexpected(&word));
        }
        let mut deleted = Answer::of(Value::Array(answer.list()?))?;
        let mut ids = HashSet::new();
        while !deleted.is_empty() {
            ids.insert(deleted.parse()?);
        }
        Ok(ids)
    }

    /// Whether a receipt may be given for an event whose record is in the journal, though Redis does not answer.
    pub(in crate::timeline) fn may_answer_for(&self, pending: &Pending) -> bool {
        self.inner.client.receipt_lease.holds(pending.generation)
    }

    fn generation_of(&self, room: &Room) -> String {
        self.inner.keys.generation(self.inner.keys.bucket(room))
    }

    async fn call(
        &self,
        script: Script,
        keys: Vec<String>,
        args: Vec<Vec<u8>>,
        changes: bool,
    ) -> Result<ScriptReply, Error> {
        self.inner.client.call(&ScriptCall { script, keys, args, generation: None, changes }).await
    }
}

/// An event as it is served: offset, `shown` or `blank`, record.
fn served(epoch: u64, answer: &mut Answer) -> Result<Arc<Record>, Error> {
    let offset = answer.parse()?;
    let blank = answer.text()? == "blank";
    let record = Record::placed(&answer.bytes()?, Cursor::new(epoch, offset));
    let record = record.map_err(|error| damaged(format!("event {offset} of a window: {error}")))?;
    Ok(if blank { blanked(&record) } else { Arc::new(record) })
}

pub(super) fn unexpected(word: &str) -> Error {
    match word {
        "refilling" => Error::Unavailable("a new generation does not yet know the keys of the one before".into()),
        other => damaged(format!("a script answers `{other}`")),
    }
}

pub(super) fn number(value: u64) -> Vec<u8> {
    value.to_string().into_bytes()
}
