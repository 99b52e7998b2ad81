//! Generations: the identity of the servers decides which one is valid; a hub that finds none opens one, and refills its
//! dedupe keys from the journal.
//!
//! A generation is written into every bucket first, as `refilling`, and then named as the newest: a hub that finds it
//! named finds it everywhere. While it is refilling, keys that may be older than it are not taken. If the hub that
//! refills dies, another does it again; what is there already stays.

use super::super::{BoxError, Counters, Error};
use super::answer::{Answer, damaged};
use super::client::{CONNECT_AGAIN, Client};
use super::failure::failed;
use super::fence::Fence;
use super::primaries::{Primaries, Primary};
use super::receipt_lease::LEASE_WAIT;
use super::scripts::{Script, Scripts};
use super::server::Server;
use crate::backoff::Backoff;
use crate::redis::primaries_agree;
use confab_protocol::Room;
use confab_store::KeyUse;
use futures_util::StreamExt;
use futures_util::future::try_join_all;
use redis::aio::MultiplexedConnection;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// How long the lease of whoever opens or refills holds; it is renewed five times in that time.
const LEASE: Duration = Duration::from_secs(5);
/// How often Redis may know a higher generation than the journal before we give up for now.
const WRITES_MAX: usize = 3;
/// How many keys are given back in one pipeline.
const REFILL_CHUNK: usize = 1000;

impl Client {
    /// Finds the servers, checks them, loads the scripts, and adopts or opens their generation.
    pub(super) async fn establish(&self) -> Result<Fence, Error> {
        let connections = self.dialer.dial("commands", || None).await?;
        let in_cluster = self.dialer.is_cluster();
        if in_cluster {
            primaries_agree(&connections).await?;
        }
        let primaries = connections.all().iter().map(|shard| primary(shard.it.clone(), in_cluster));
        let primaries = try_join_all(primaries).await?;
        let primaries = connections.with(primaries);
        self.agree_on_buckets(&primaries).await?;
        if !primaries.is_unchanged().await? {
            return Err(Error::Unavailable("a server changed while it was looked at".into()));
        }
        self.receipt_lease.ask(&*self.journal).await;
        let generation = self.generation(&primaries).await?;
        self.receipt_lease.learn(generation);
        self.show_life(&primaries).await?;
        Ok(Fence { primaries, generation, since: Instant::now() })
    }

    async fn agree_on_buckets(&self, primaries: &Primaries) -> Result<(), Error> {
        let name = self.keys.bucket_count();
        let ours = self.options.buckets;
        let mut ask = redis::cmd("GET");
        ask.arg(&name);
        // Asked first: a server that refuses to write may well be read.
        let mut found = primaries.ask::<Option<u64>>(&name, ask.clone()).await.map_err(|error| failed(&error))?;
        if found.is_none() {
            let mut claim = redis::cmd("SET");
            claim.arg(&name).arg(ours).arg("NX");
            primaries.send(primaries.slot(&name), &[claim]).await.map_err(|error| failed(&error))?;
            found = primaries.ask(&name, ask).await.map_err(|error| failed(&error))?;
        }
        let theirs = found.ok_or_else(|| Error::Unavailable("redis forgot how many buckets there are".into()))?;
        if theirs != u64::from(ours) {
            let hint = "every hub of a deployment must have the same number";
            return Err(Error::Refused(format!("redis holds {theirs} buckets, this hub is set to {ours}; {hint}")));
        }
        Ok(())
    }

    /// The generation of these servers: the one that stands, or a new one.
    async fn generation(&self, primaries: &Primaries) -> Result<u64, Error> {
        loop {
            if let Some(number) = self.found(primaries).await? {
                return Ok(number);
            }
            if let Some(number) = self.while_leading(primaries, self.open(primaries)).await? {
                return Ok(number);
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// The generation that stands for these servers, if it is named and every bucket has it.
    ///
    /// One below another that was opened does not count: meanwhile another server had its turn, and this one (a former
    /// primary that the sentinels name again, say) knows nothing of what happened there.
    async fn found(&self, primaries: &Primaries) -> Result<Option<u64>, Error> {
        let buckets = self.keys.buckets().map(|bucket| self.keys.generation(bucket));
        let asking = std::iter::once(self.keys.newest()).chain(buckets).map(|name| async move {
            let mut ask = redis::cmd("HMGET");
            ask.arg(&name).arg(&["generation", "identity"]);
            primaries.ask::<(Option<u64>, Option<String>)>(&name, ask).await
        });
        let found = try_join_all(asking).await.map_err(|error| failed(&error))?;
        let Some((Some(number), Some(identity))) = found.first() else { return Ok(None) };
        let everywhere = found.iter().all(|(there, _)| *there == Some(*number));
        let ours = everywhere && *identity == primaries.identity();
        if ours && *number < self.receipt_lease.newest() {
            return match self.receipt_lease.is_recent() {
                true => Err(Error::Unavailable("a newer generation was opened at another server".into())),
                false => Ok(None),
            };
        }
        Ok(ours.then_some(*number))
    }

    /// Opens a generation above all that stand, and names it, once no hub answers for an older one.
    async fn open(&self, primaries: &Primaries) -> Result<u64, Error> {
        if let Some(number) = self.found(primaries).await? {
            return Ok(number);
        }
        let mut known = self.receipt_lease.newest();
        for _ in 0..WRITES_MAX {
            let number = self.journal.open_generation(known).await.map_err(journal("open a generation"))?;
            self.receipt_lease.learn(number);
            if number > 1 {
                sleep(LEASE_WAIT).await;
            }
            let opened_at = primaries.now_ms(&self.keys.newest()).await?;
            match self.write(primaries, number, opened_at, "refilling", "").await? {
                None => {
                    Counters::add(&self.counters.generations_opened);
                    let servers = primaries.all().len();
                    tracing::info!(number, server = primaries.identity(), servers, "generation opened");
                    return Ok(number);
                }
                Some(higher) => {
                    tracing::warn!(number, higher, "redis knows a higher generation than the journal");
                    known = higher;
                }
            }
        }
        Err(Error::Unavailable("redis knows a higher generation each time".into()))
    }

    /// Writes a generation into every bucket, then names it. Answers a higher number that stands somewhere.
    async fn write(
        &self,
        primaries: &Primaries,
        number: u64,
        opened_at: u64,
        state: &str,
        end: &str,
    ) -> Result<Option<u64>, Error> {
        let buckets: Vec<String> = self.keys.buckets().map(|bucket| self.keys.generation(bucket)).collect();
        for (names, end) in [(buckets, ""), (vec![self.keys.newest()], end)] {
            let args: Vec<Vec<u8>> = [&number.to_string(), &primaries.identity(), &opened_at.to_string(), state, end]
                .map(|arg| arg.as_bytes().to_vec())
                .into();
            let calls: Vec<_> = names.into_iter().map(|name| (Script::Open, vec![name], args.clone())).collect();
            for value in primaries.run_all(&calls).await.map_err(|error| failed(&error))? {
                let mut answer = Answer::of(value)?;
                if answer.text()? == "lower" {
                    return Ok(Some(answer.parse()?));
                }
            }
        }
        Ok(None)
    }

    /// Does `work` while holding the lease for it; `None` if somebody else holds it.
    async fn while_leading<T>(
        &self,
        primaries: &Primaries,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<Option<T>, Error> {
        let lease = self.keys.opening();
        let hub = self.options.hub_id.as_str();
        if !primaries.lease(&lease, hub, LEASE).await? {
            return Ok(None);
        }
        let renewals = async {
            loop {
                sleep(LEASE / 5).await;
                match primaries.lease(&lease, hub, LEASE).await {
                    Ok(true) => {}
                    Ok(false) => return Error::Unavailable("another hub has taken over".into()),
                    Err(error) => return error,
                }
            }
        };
        let done = tokio::select! {
            done = work => done,
            lost = renewals => Err(lost),
        };
        if let Err(error) = primaries.lease(&lease, hub, Duration::ZERO).await {
            tracing::debug!(%error, "could not give a lease back, it expires by itself");
        }
        done.map(Some)
    }

    /// Returns when the generation has its keys back, whoever does it.
    pub(super) async fn see_refilled(&self, fence: &Fence) {
        let mut backoff = Backoff::new(CONNECT_AGAIN);
        loop {
            match self.refilled(fence).await {
                Ok(true) => return,
                Ok(false) => sleep(Duration::from_millis(50)).await,
                Err(error) => {
                    tracing::warn!(%error, generation = fence.generation, "could not refill dedupe keys yet, trying again");
                    backoff.wait().await;
                }
            }
        }
    }

    async fn refilled(&self, fence: &Fence) -> Result<bool, Error> {
        let mut ask = redis::cmd("HMGET");
        ask.arg(self.keys.newest()).arg(&["generation", "state", "opened_at", "end"]);
        type Found = (Option<u64>, Option<String>, Option<u64>, Option<String>);
        let asked = fence.primaries.ask::<Found>(&self.keys.newest(), ask).await;
        let (generation, state, opened_at, end) = asked.map_err(|error| failed(&error))?;
        // One that was opened by a hub which did not write the journal's end is filled again, which does no harm.
        let is_open = state.as_deref() == Some("open") && end.is_some();
        if generation != Some(fence.generation) || is_open {
            return Ok(true);
        }
        let opened_at = opened_at.ok_or_else(|| damaged("a generation without a time"))?;
        let refilled = self.while_leading(&fence.primaries, self.refill(fence, opened_at)).await?.is_some();
        if refilled {
            self.forget_older(fence).await;
        }
        Ok(refilled)
    }

    /// Gives the generation the keys that the journal's tail knows, and opens it for all keys.
    async fn refill(&self, fence: &Fence, opened_at: u64) -> Result<(), Error> {
        let now = fence.primaries.now_ms(&self.keys.newest()).await?;
        let window = self.options.dedupe_window.as_millis() as u64;
        let mut tail = self.journal.tail(now.saturating_sub(window)).chunks(REFILL_CHUNK);
        let mut given = 0;
        while let Some(chunk) = tail.next().await {
            let used = chunk.into_iter().collect::<Result<Vec<_>, _>>().map_err(journal("read the journal's tail"))?;
            given += used.len();
            self.give_back(fence, used, now, window).await?;
        }
        // After the tail: what was given back from it is known by its first place, and lies before this end.
        let end = self.journal.end().await.map_err(journal("find the journal's end"))?;
        self.write(&fence.primaries, fence.generation, opened_at, "open", &end).await?;
        tracing::info!(generation = fence.generation, keys = given, "dedupe keys refilled from the journal");
        Ok(())
    }

    /// Whether the store has everything that was acknowledged before this generation, which must be the one that stands:
    /// where it has no row for a place of an earlier one, none is to come that anybody has a receipt for.
    pub(super) async fn earlier_are_stored(&self, generation: u64) -> Result<bool, Error> {
        if self.earlier_stored.load(Ordering::Relaxed) >= generation {
            return Ok(true);
        }
        let fence = self.fence().await?;
        let mut ask = redis::cmd("HMGET");
        ask.arg(self.keys.newest()).arg(&["generation", "end"]);
        let asked = fence.primaries.ask::<(Option<u64>, Option<String>)>(&self.keys.newest(), ask).await;
        let (Some(found), Some(end)) = asked.map_err(|error| failed(&error))? else { return Ok(false) };
        let stored = found == generation
            && self.journal.is_stored(&end).await.map_err(journal("ask how far the store has read the journal"))?;
        if stored {
            self.earlier_stored.fetch_max(generation, Ordering::Relaxed);
        }
        Ok(stored)
    }

    async fn give_back(&self, fence: &Fence, used: Vec<(Room, KeyUse)>, now: u64, window: u64) -> Result<(), Error> {
        let mut calls: BTreeMap<u16, (Vec<String>, Vec<Vec<u8>>)> = BTreeMap::new();
        for (room, used) in used {
            // One that was journaled long after its event was stamped, such as an approved one, is remembered as if it were new: when
            // exactly is not told, and to know a key for longer does no harm.
            let left = Some((used.at + window).saturating_sub(now)).filter(|left| *left > 0).unwrap_or(window);
            let bucket = self.keys.bucket(&room);
            let start = || (vec![self.keys.generation(bucket)], vec![fence.generation.to_string().into_bytes()]);
            let (keys, args) = calls.entry(bucket).or_insert_with(start);
            keys.push(self.keys.dedupe(&room, &used.sender, &used.key));
            let cursor = used.cursor;
            for arg in [
                used.id.to_string(),
                cursor.epoch.0.to_string(),
                cursor.offset.to_string(),
                used.digest,
                left.to_string(),
            ] {
                args.push(arg.into_bytes());
            }
        }
        let calls: Vec<_> = calls.into_values().map(|(keys, args)| (Script::Refill, keys, args)).collect();
        for value in fence.primaries.run_all(&calls).await.map_err(|error| failed(&error))? {
            if Answer::of(value)?.text()? == "stale" {
                return Err(Error::Unavailable("another generation has begun".into()));
            }
        }
        Ok(())
    }
}

/// Looks who a server is and whether it may be used, and gives it its scripts.
async fn primary(mut connection: MultiplexedConnection, in_cluster: bool) -> Result<Primary, Error> {
    let server = Server::check(&mut connection, in_cluster).await?;
    let loaded = Scripts::load(&mut connection, &server.identity).await;
    let scripts = loaded.map_err(|error| failed(&error))?;
    Ok(Primary { server, connection, scripts })
}

fn journal(doing: &'static str) -> impl Fn(BoxError) -> Error {
    move |failure| Error::Unavailable(format!("could not {doing}: {failure}"))
}
