//! The steps of the timeline, each one call of a script.

use super::super::{
    Appended, Counters, Entry, Error, Known, Outcome, Pending, Placed, Range, Settled, Window, blanked, deletes, edits,
};
use super::answer::{Answer, damaged};
use super::client::{ScriptCall, ScriptReply};
use super::keys::born;
use super::scripts::Script;
use super::{Redis, refusal};
use confab_protocol::{Cursor, Event, EventId, Key, Record, Refusal, Room, UserId};
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
            "known" => self.known(&mut reply).await.map(Some),
            other => Err(unexpected(other)),
        }
    }

    pub(in crate::timeline) async fn append(&self, entry: &Entry) -> Result<Appended, Error> {
        let mut event = entry.event.clone();
        // The second round is for a draft that a lost generation knew by another id.
        for _ in 0..2 {
            let (keys, args) = self.append_call(entry, &event);
            let mut reply = self.call(Script::Append, keys, args, true).await?;
            match reply.word.as_str() {
                "placed" => return self.placed(entry, event, &mut reply.answer).map(Appended::Placed),
                "known" => {
                    Counters::add(&self.inner.counters.known_keys);
                    return self.known(&mut reply).await.map(Appended::Known);
                }
                "first" => event.id = reply.answer.parse()?,
                other => return Err(unexpected(other)),
            }
        }
        Err(damaged("a key has a new first id each time"))
    }

    fn append_call(&self, entry: &Entry, event: &Event) -> (Vec<String>, Vec<Vec<u8>>) {
        let names = &self.inner.keys;
        let room = &event.room;
        let options = &self.inner.options;
        let keys = vec![
            self.generation_of(room),
            names.meta(room),
            names.window(room),
            names.index(room),
            names.deleted(room),
            names.dedupe(room, &event.sender.user, &event.key),
            names.pending(names.bucket(room)),
            names.relay(room),
        ];
        let target = |target: Option<EventId>| target.map(|id| id.to_string().into_bytes()).unwrap_or_default();
        let args = vec![
            event.id.to_string().into_bytes(),
            event.digest.clone().into_bytes(),
            number(born(&event.key)),
            options.hub_id.clone().into_bytes(),
            Record::json_without_place(event, &entry.trail).into_bytes(),
            number(entry.window_events as u64),
            number((entry.window_age.as_millis() as u64).max(1)),
            number((options.dedupe_window.as_millis() as u64).max(1)),
            target(deletes(event)),
            target(edits(event)),
            names.short(room).into_bytes(),
        ];
        (keys, args)
    }

    fn placed(&self, entry: &Entry, event: Event, answer: &mut Answer) -> Result<Placed, Error> {
        let cursor = answer.cursor()?;
        let pending = Pending {
            bucket: self.inner.keys.bucket(&event.room),
            entry: answer.text()?,
            generation: cursor.epoch.0,
            room: event.room.clone(),
            sender: event.sender.user.clone(),
            key: event.key.clone(),
        };
        let record = Arc::new(Record { event, cursor, trail: entry.trail.clone() });
        Ok(Placed { record, pending: Some(pending) })
    }

    pub(in crate::timeline) async fn settle(&self, pending: &Pending) -> Result<Settled, Error> {
        let names = &self.inner.keys;
        let call = ScriptCall {
            script: Script::Settle,
            keys: vec![
                names.generation(pending.bucket),
                names.pending(pending.bucket),
                names.dedupe(&pending.room, &pending.sender, &pending.key),
            ],
            args: vec![pending.entry.clone().into_bytes(), number(pending.generation)],
            generation: Some(pending.generation),
            changes: true,
        };
        match self.inner.client.call(&call).await?.word.as_str() {
            "done" if self.confirm(pending.generation).await? => Ok(Settled::Done),
            "done" | "stale" => Ok(Settled::Stale),
            other => Err(unexpected(other)),
        }
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
            "known" => self.known(&mut reply).await.map(Some),
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

    /// What a key is known for, if this hub may answer for the generation that says so.
    async fn known(&self, reply: &mut ScriptReply) -> Result<Known, Error> {
        let known = reply.answer.known()?;
        if matches!(known.outcome, Outcome::Journaled { .. }) && !self.confirm(reply.generation).await? {
            return Err(Error::Unavailable("another generation has begun".into()));
        }
        Ok(known)
    }

    async fn confirm(&self, generation: u64) -> Result<bool, Error> {
        self.inner.client.receipt_lease.confirm(generation, self.inner.options.timeout).await
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

fn unexpected(word: &str) -> Error {
    match word {
        "refilling" => Error::Unavailable("a new generation does not yet know the keys of the one before".into()),
        other => damaged(format!("a script answers `{other}`")),
    }
}

fn number(value: u64) -> Vec<u8> {
    value.to_string().into_bytes()
}
