//! Appending and settling: what the way in does with an event, and the sweep with what others left.

use super::super::{
    Appended, Counters, Entry, Error, Known, Outcome, Pending, Placed, Settled, WINDOW_BYTES_MAX, deletes, edits,
};
use super::answer::{Answer, damaged};
use super::client::{Client, ScriptCall, ScriptReply};
use super::keys::born;
use super::scripts::Script;
use super::steps::{number, unexpected};
use confab_protocol::{Event, EventId, Record};
use std::sync::Arc;

impl Client {
    /// `only_in`: the generation in which it may be placed, if not in every one. `again`: an earlier one gave the event a place.
    pub(super) async fn append(&self, entry: &Entry, only_in: Option<u64>, again: bool) -> Result<Appended, Error> {
        let mut event = entry.event.clone();
        // The second round is for a draft that a lost generation knew by another id.
        for _ in 0..2 {
            let (keys, args) = self.append_call(entry, &event, again);
            let call = ScriptCall { script: Script::Append, keys, args, generation: only_in, changes: true };
            let mut reply = self.call(&call).await?;
            match reply.word.as_str() {
                "placed" => return self.placed(entry, event, &mut reply.answer).map(Appended::Placed),
                "known" => {
                    Counters::add(&self.counters.known_keys);
                    return self.known(&mut reply).await.map(Appended::Known);
                }
                "first" => event.id = reply.answer.parse()?,
                "stale" => return Err(Error::NewGeneration),
                other => return Err(unexpected(other)),
            }
        }
        Err(damaged("a key has a new first id each time"))
    }

    fn append_call(&self, entry: &Entry, event: &Event, again: bool) -> (Vec<String>, Vec<Vec<u8>>) {
        let names = &self.keys;
        let room = &event.room;
        let options = &self.options;
        let keys = vec![
            names.generation(names.bucket(room)),
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
            number(again.into()),
            number(WINDOW_BYTES_MAX as u64),
        ];
        (keys, args)
    }

    fn placed(&self, entry: &Entry, event: Event, answer: &mut Answer) -> Result<Placed, Error> {
        let cursor = answer.cursor()?;
        let pending = Pending {
            bucket: self.keys.bucket(&event.room),
            entry: answer.text()?,
            generation: cursor.epoch.0,
            room: event.room.clone(),
            sender: event.sender.user.clone(),
            key: event.key.clone(),
        };
        let record = Arc::new(Record { event, cursor, trail: entry.trail.clone() });
        Ok(Placed { record, pending: Some(pending) })
    }

    pub(super) async fn settle(&self, pending: &Pending) -> Result<Settled, Error> {
        let names = &self.keys;
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
        match self.call(&call).await?.word.as_str() {
            "done" if self.confirm(pending.generation).await? => Ok(Settled::Done),
            "done" | "stale" => Ok(Settled::Stale),
            other => Err(unexpected(other)),
        }
    }

    /// What a key is known for, if this hub may answer for the generation that says so.
    pub(super) async fn known(&self, reply: &mut ScriptReply) -> Result<Known, Error> {
        let known = reply.answer.known()?;
        if matches!(known.outcome, Outcome::Journaled { .. }) && !self.confirm(reply.generation).await? {
            return Err(Error::Unavailable("another generation has begun".into()));
        }
        Ok(known)
    }

    async fn confirm(&self, generation: u64) -> Result<bool, Error> {
        self.receipt_lease.confirm(generation, self.options.timeout).await
    }
}
