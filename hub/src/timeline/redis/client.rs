//! The hub's client of Redis: keeps a fence, and calls scripts through it until they are answered.

use super::super::relays::Relays;
use super::super::{Counters, Error};
use super::answer::Answer;
use super::failure::{Failure, failed, refuses_writes};
use super::fence::Fence;
use super::journal_access::JournalAccess;
use super::keys::Keys;
use super::options::RedisOptions;
use super::primaries::Primaries;
use super::receipt_lease::ReceiptLease;
use super::scripts::Script;
use crate::backoff::Backoff;
use crate::redis::Dialer;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

/// How often one script is called: another server, a new generation and a broken connection are each worth a retry.
const TRIES: usize = 4;
/// The waits between attempts to find servers that can be used.
pub(super) const CONNECT_AGAIN: RangeInclusive<Duration> = Duration::from_millis(50)..=Duration::from_secs(2);
/// The waits of a call while a cluster rearranges itself: a sender waits, too.
const CALL_AGAIN: RangeInclusive<Duration> = Duration::from_millis(2)..=Duration::from_millis(50);

/// How often it is asked how full Redis is.
const MEASURE: Duration = Duration::from_secs(5);

/// The client. Cheap to clone.
#[derive(Clone)]
pub(super) struct Client {
    pub(super) options: Arc<RedisOptions>,
    pub(super) keys: Keys,
    pub(super) dialer: Dialer,
    pub(super) journal: Arc<dyn JournalAccess>,
    pub(super) counters: Arc<Counters>,
    relays: Relays,
    /// The fence; `None` while servers and generation are looked for.
    fence: watch::Sender<Option<Arc<Fence>>>,
    /// What is known of the newest generation.
    pub(super) receipt_lease: ReceiptLease,
    /// The newest generation of which is known that the store has everything acknowledged before it.
    pub(super) earlier_stored: Arc<AtomicU64>,
}

/// One call of a script. Calling twice is harmless: every script that changes something finds its own traces.
pub(super) struct ScriptCall {
    pub(super) script: Script,
    pub(super) keys: Vec<String>,
    /// What comes after the generation.
    pub(super) args: Vec<Vec<u8>>,
    /// The generation that must stand; `None`: whichever stands, and if it falls meanwhile, the next.
    pub(super) generation: Option<u64>,
    /// Whether it changes anything, so that no answer leaves a doubt.
    pub(super) changes: bool,
}

/// What a script answered.
pub(super) struct ScriptReply {
    pub(super) word: String,
    /// What comes after the word.
    pub(super) answer: Answer,
    /// The generation in which it was asked.
    pub(super) generation: u64,
}

impl Client {
    pub(super) fn new(
        options: Arc<RedisOptions>,
        keys: Keys,
        dialer: Dialer,
        journal: Arc<dyn JournalAccess>,
        relays: Relays,
        counters: Arc<Counters>,
    ) -> Self {
        let fence = watch::Sender::new(None);
        let receipt_lease = ReceiptLease::default();
        Self { options, keys, dialer, journal, counters, relays, fence, receipt_lease, earlier_stored: Arc::default() }
    }

    /// Looks for the first fence. Waits for servers that are away, not for those that cannot be used.
    pub(super) async fn begin(&self) -> Result<(), Error> {
        let mut backoff = Backoff::new(CONNECT_AGAIN);
        loop {
            match self.establish().await {
                Ok(fence) => {
                    self.fence.send_replace(Some(Arc::new(fence)));
                    return Ok(());
                }
                Err(refused @ Error::Refused(_)) => return Err(refused),
                Err(error) => {
                    tracing::warn!(%error, "could not connect to redis, trying again");
                    self.options.waits_for.note(&error);
                    backoff.wait().await;
                }
            }
        }
    }

    /// Keeps a fence until `stop`, and sees to it that a new generation gets its keys back.
    pub(super) async fn keep(self, stop: CancellationToken) {
        let work = async {
            let mut backoff = Backoff::new(CONNECT_AGAIN);
            let mut generation = None;
            loop {
                if let Some(fence) = self.standing() {
                    backoff = Backoff::new(CONNECT_AGAIN);
                    if generation.replace(fence.generation).is_some_and(|before| before != fence.generation) {
                        // Every room begins anew, even if the relay never noticed anything.
                        self.relays.compare();
                    }
                    tokio::select! {
                        () = self.until_gone(&fence) => {}
                        () = self.receipt_lease.until_newer(fence.generation) => {
                            self.discard(&fence, "a newer generation was opened");
                        }
                        () = async { self.see_refilled(&fence).await; std::future::pending().await } => {}
                    }
                    continue;
                }
                match self.establish().await {
                    Ok(fence) => {
                        tracing::info!(generation = fence.generation, "connected to redis again");
                        self.fence.send_replace(Some(Arc::new(fence)));
                    }
                    Err(error @ Error::Refused(_)) => {
                        tracing::error!(%error, "redis cannot be used as it is configured, trying again");
                        backoff.wait().await;
                    }
                    Err(error) => {
                        tracing::warn!(%error, "redis unavailable, trying again");
                        backoff.wait().await;
                    }
                }
            }
        };
        stop.run_until_cancelled(work).await;
    }

    /// Shows that this hub lives, and looks whether the server is still the one it was, until `stop`.
    pub(super) async fn beat(self, stop: CancellationToken) {
        let mut ticks = interval((self.options.hub_lease / 4).clamp(Duration::from_millis(50), Duration::from_secs(1)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut measured: Option<Instant> = None;
        let work = async {
            loop {
                ticks.tick().await;
                let Some(fence) = self.standing() else { continue };
                if measured.is_none_or(|at| at.elapsed() >= MEASURE) {
                    measured = Some(Instant::now());
                    self.measure(&fence.primaries).await;
                }
                let unchanged = match self.show_life(&fence.primaries).await {
                    Ok(()) => fence.primaries.is_unchanged().await,
                    Err(error) => Err(error),
                };
                match unchanged {
                    Ok(true) => {
                        // A primary that the others have given up may not know it yet.
                        if fence.primaries.have_moved(&self.dialer).await {
                            self.discard(&fence, "there is another primary");
                        }
                    }
                    Ok(false) => self.discard(&fence, "a server is another one"),
                    Err(error) => self.discard(&fence, &error.to_string()),
                }
            }
        };
        stop.run_until_cancelled(work).await;
    }

    /// Asks how full Redis is. Where it does not say, the sign of life that follows finds out why.
    async fn measure(&self, primaries: &Primaries) {
        match primaries.memory().await {
            Ok((used, most)) => {
                self.counters.redis_used_memory.store(used, Ordering::Relaxed);
                self.counters.redis_max_memory.store(most, Ordering::Relaxed);
            }
            Err(error) => tracing::debug!(%error, "could not ask redis how much memory it uses"),
        }
    }

    /// Tells the others that this hub lives. A server that answers and refuses to write is no reason to leave it: rooms are
    /// joined and read there, and what is settled frees memory.
    pub(super) async fn show_life(&self, primaries: &Primaries) -> Result<(), Error> {
        let name = self.keys.hub(&self.options.hub_id);
        let mut sign = redis::cmd("SET");
        sign.arg(&name).arg("1").arg("PX").arg(self.options.hub_lease.as_millis() as u64);
        let refuses = &self.counters.refuses_writes;
        match primaries.send(primaries.slot(&name), &[sign]).await {
            Ok(()) => {
                if refuses.swap(false, Ordering::Relaxed) {
                    tracing::info!("redis takes writes again");
                }
                Ok(())
            }
            Err(error) if refuses_writes(&error) => {
                if !refuses.swap(true, Ordering::Relaxed) {
                    tracing::error!(%error, "redis refuses to write: sends are refused, rooms are joined and read");
                }
                Ok(())
            }
            Err(error) => Err(failed(&error)),
        }
    }

    /// Gives the hub's sign of life back: what it left pending is swept at once.
    pub(super) async fn leave(&self) {
        let Some(fence) = self.standing() else { return };
        let name = self.keys.hub(&self.options.hub_id);
        let mut gone = redis::cmd("DEL");
        gone.arg(&name);
        if let Err(error) = fence.primaries.send(fence.primaries.slot(&name), &[gone]).await {
            tracing::debug!(%error, "could not give this hub's lease back, it expires by itself");
        }
        self.fence.send_replace(None);
    }

    /// The fence that there is at this moment.
    pub(super) fn standing(&self) -> Option<Arc<Fence>> {
        self.fence.borrow().clone()
    }

    /// The fence; waits for one as long as a command may take.
    pub(super) async fn fence(&self) -> Result<Arc<Fence>, Error> {
        if let Some(fence) = self.standing() {
            return Ok(fence);
        }
        let mut fence = self.fence.subscribe();
        match timeout(self.options.timeout, fence.wait_for(Option::is_some)).await {
            Ok(Ok(found)) => found.clone().ok_or_else(|| Error::Unavailable("redis is unavailable".into())),
            _ => Err(Error::Unavailable("redis is unavailable".into())),
        }
    }

    /// Gives the fence up, once, whoever noticed it first; [`Self::keep`] looks for another.
    pub(super) fn discard(&self, fence: &Arc<Fence>, reason: &str) {
        let fell = self.fence.send_if_modified(|standing| {
            let same = standing.as_ref().is_some_and(|standing| Arc::ptr_eq(standing, fence));
            if same {
                *standing = None;
            }
            same
        });
        if fell {
            tracing::warn!(reason, generation = fence.generation, "redis fence lost");
        }
    }

    async fn until_gone(&self, fence: &Arc<Fence>) {
        let mut standing = self.fence.subscribe();
        let gone = |standing: &Option<Arc<Fence>>| !standing.as_ref().is_some_and(|now| Arc::ptr_eq(now, fence));
        drop(standing.wait_for(gone).await);
    }

    /// Calls a script until there is an answer: its first word and the rest.
    ///
    /// A lost fence is no answer, because nothing was done. A broken connection is worth another try, because the
    /// same call finds its own traces; only if that fails too is the outcome unknown. A time-out is unknown at once:
    /// the script may run yet. A cluster that rearranges itself is waited for, as long as a command
    /// may take.
    pub(super) async fn call(&self, call: &ScriptCall) -> Result<ScriptReply, Error> {
        let mut doubt: Option<String> = None;
        let mut reason = String::from("the fence to redis was lost again and again");
        let until = Instant::now() + self.options.timeout;
        let mut backoff = Backoff::new(CALL_AGAIN);
        let mut tries = 0..TRIES;
        while tries.next().is_some() {
            let fence = match self.fence().await {
                Ok(fence) => fence,
                Err(error) => return Err(doubt.map_or(error, Error::Unknown)),
            };
            let generation = call.generation.unwrap_or(fence.generation);
            let mut args = vec![generation.to_string().into_bytes()];
            args.extend_from_slice(&call.args);
            let error = match fence.primaries.run(call.script, &call.keys, &args).await {
                Ok(value) => {
                    let mut answer = Answer::of(value)?;
                    let word = answer.text()?;
                    if let ("refilling", Some(doubt)) = (word.as_str(), &doubt) {
                        // This server did nothing; the one before it may have.
                        return Err(Error::Unknown(doubt.clone()));
                    }
                    if word != "stale" || call.generation.is_some() {
                        return Ok(ScriptReply { word, answer, generation });
                    }
                    self.stale(&fence, "another generation has begun");
                    continue;
                }
                Err(error) => error,
            };
            reason = error.to_string();
            match Failure::of(&error) {
                Failure::Elsewhere => self.stale(&fence, "another server answers"),
                Failure::Moving if Instant::now() < until => {
                    backoff.wait().await;
                    tries = 0..TRIES;
                }
                Failure::Untouched | Failure::Moving => break,
                Failure::Broken => {
                    self.discard(&fence, &reason);
                    doubt = call.changes.then(|| reason.clone());
                }
                Failure::Late | Failure::Failed if call.changes => return Err(Error::Unknown(reason)),
                Failure::Late => break,
                Failure::Failed => return Err(Error::Damaged(reason)),
            }
        }
        Err(doubt.map_or(Error::Unavailable(reason), Error::Unknown))
    }

    fn stale(&self, fence: &Arc<Fence>, reason: &str) {
        Counters::add(&self.counters.stale_appends);
        self.discard(fence, reason);
    }
}
