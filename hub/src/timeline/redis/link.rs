//! The hub's link to Redis: keeps a fence standing, and asks questions through it until they are answered.

use super::super::relays::Relays;
use super::super::{Counters, Error};
use super::answer::Answer;
use super::fence::{Fate, Fence, Ground};
use super::keys::Keys;
use super::scripts::Script;
use super::server::{Dialer, failed};
use super::tenure::Tenure;
use super::{RedisOptions, Truth};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

/// How often one question is asked: another server, a new generation and a broken connection are each worth a retry.
const TRIES: usize = 4;

/// The link. Cheap to clone.
#[derive(Clone)]
pub(super) struct Link {
    pub(super) options: Arc<RedisOptions>,
    pub(super) keys: Keys,
    pub(super) dialer: Dialer,
    pub(super) truth: Arc<dyn Truth>,
    pub(super) counters: Arc<Counters>,
    relays: Relays,
    /// The fence that stands; `None` while another is sought.
    fence: watch::Sender<Option<Arc<Fence>>>,
    /// What is known of the newest generation.
    pub(super) tenure: Tenure,
}

/// One run of a script. Asking twice is harmless: every script that changes something finds its own traces.
pub(super) struct Question {
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
pub(super) struct Said {
    pub(super) word: String,
    /// What comes after the word.
    pub(super) answer: Answer,
    /// The generation in which it was asked.
    pub(super) generation: u64,
}

impl Link {
    pub(super) fn new(
        options: Arc<RedisOptions>,
        keys: Keys,
        dialer: Dialer,
        truth: Arc<dyn Truth>,
        relays: Relays,
        counters: Arc<Counters>,
    ) -> Self {
        let (fence, tenure) = (watch::Sender::new(None), Tenure::default());
        Self { options, keys, dialer, truth, counters, relays, fence, tenure }
    }

    /// The first fence. Waits for servers that are away, not for those that cannot be used.
    pub(super) async fn begin(&self) -> Result<(), Error> {
        let mut pause = Pause::default();
        loop {
            match self.establish().await {
                Ok(fence) => {
                    self.fence.send_replace(Some(Arc::new(fence)));
                    return Ok(());
                }
                Err(refused @ Error::Refused(_)) => return Err(refused),
                Err(error) => {
                    tracing::warn!(%error, "redis is not there yet, trying again");
                    self.options.waits_for.note(&error);
                    pause.wait().await;
                }
            }
        }
    }

    /// Keeps a fence standing until `stop`, and sees to it that a new generation gets its keys back.
    pub(super) async fn keep(self, stop: CancellationToken) {
        let work = async {
            let mut pause = Pause::default();
            let mut generation = None;
            loop {
                if let Some(fence) = self.standing() {
                    pause = Pause::default();
                    if generation.replace(fence.generation).is_some_and(|before| before != fence.generation) {
                        // Every room begins anew, even if the relay never noticed anything.
                        self.relays.compare();
                    }
                    tokio::select! {
                        () = self.until_gone(&fence) => {}
                        () = self.tenure.until_newer(fence.generation) => {
                            self.discard(&fence, "a newer generation was opened");
                        }
                        () = async { self.see_refilled(&fence).await; std::future::pending().await } => {}
                    }
                    continue;
                }
                match self.establish().await {
                    Ok(fence) => {
                        tracing::info!(generation = fence.generation, "redis is back");
                        self.fence.send_replace(Some(Arc::new(fence)));
                    }
                    Err(error @ Error::Refused(_)) => {
                        tracing::error!(%error, "redis cannot be used any more");
                        pause.wait().await;
                    }
                    Err(error) => {
                        tracing::warn!(%error, "redis is away");
                        pause.wait().await;
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
        let work = async {
            loop {
                ticks.tick().await;
                let Some(fence) = self.standing() else { continue };
                let unchanged = match self.show_life(&fence.ground).await {
                    Ok(()) => fence.ground.is_unchanged().await,
                    Err(error) => Err(error),
                };
                match unchanged {
                    Ok(true) => {
                        // A primary that the others have given up may not know it yet.
                        if self.dialer.has_moved(&fence.ground).await {
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

    pub(super) async fn show_life(&self, ground: &Ground) -> Result<(), Error> {
        let (name, mut sign) = (self.keys.hub(&self.options.hub_id), redis::cmd("SET"));
        sign.arg(&name).arg("1").arg("PX").arg(self.options.hub_lease.as_millis() as u64);
        ground.send(ground.slot(&name), &[sign]).await.map_err(|error| failed(&error))
    }

    /// Gives the hub's sign of life back: what it left pending is swept at once.
    pub(super) async fn leave(&self) {
        let Some(fence) = self.standing() else { return };
        let (name, mut gone) = (self.keys.hub(&self.options.hub_id), redis::cmd("DEL"));
        gone.arg(&name);
        if let Err(error) = fence.ground.send(fence.ground.slot(&name), &[gone]).await {
            tracing::debug!(%error, "left without saying so, the lease runs out by itself");
        }
        self.fence.send_replace(None);
    }

    /// The fence that stands at this moment.
    pub(super) fn standing(&self) -> Option<Arc<Fence>> {
        self.fence.borrow().clone()
    }

    /// The fence; waits for one as long as a command may take.
    async fn fence(&self) -> Result<Arc<Fence>, Error> {
        if let Some(fence) = self.standing() {
            return Ok(fence);
        }
        let mut fence = self.fence.subscribe();
        match timeout(self.options.timeout, fence.wait_for(Option::is_some)).await {
            Ok(Ok(found)) => found.clone().ok_or_else(|| Error::Unavailable("redis is away".into())),
            _ => Err(Error::Unavailable("redis is away".into())),
        }
    }

    /// The fence has fallen: another is sought, once, whoever noticed it first.
    pub(super) fn discard(&self, fence: &Arc<Fence>, reason: &str) {
        let fell = self.fence.send_if_modified(|standing| {
            let same = standing.as_ref().is_some_and(|standing| Arc::ptr_eq(standing, fence));
            if same {
                *standing = None;
            }
            same
        });
        if fell {
            tracing::warn!(reason, generation = fence.generation, "the fence to redis has fallen");
        }
    }

    async fn until_gone(&self, fence: &Arc<Fence>) {
        let mut standing = self.fence.subscribe();
        let gone = |standing: &Option<Arc<Fence>>| !standing.as_ref().is_some_and(|now| Arc::ptr_eq(now, fence));
        drop(standing.wait_for(gone).await);
    }

    /// Asks until there is an answer: its first word and the rest.
    ///
    /// A fallen fence is no answer, because nothing was done. A broken connection is worth another try, because the
    /// same question finds its own traces; only if that cannot be asked either is the outcome unknown. A time-out is
    /// unknown at once: what was asked may happen yet. A cluster that rearranges itself is waited for, as long as a command
    /// may take.
    pub(super) async fn ask(&self, question: &Question) -> Result<Said, Error> {
        let mut doubt: Option<String> = None;
        let mut reason = String::from("the fence to redis fell again and again");
        let (until, mut pause) = (Instant::now() + self.options.timeout, Pause::short());
        let mut tries = 0..TRIES;
        while tries.next().is_some() {
            let fence = match self.fence().await {
                Ok(fence) => fence,
                Err(error) => return Err(doubt.map_or(error, Error::Unknown)),
            };
            let generation = question.generation.unwrap_or(fence.generation);
            let mut args = vec![generation.to_string().into_bytes()];
            args.extend_from_slice(&question.args);
            let error = match fence.ground.run(question.script, &question.keys, &args).await {
                Ok(value) => {
                    let mut answer = Answer::of(value)?;
                    let word = answer.text()?;
                    if let ("refilling", Some(doubt)) = (word.as_str(), &doubt) {
                        // This server did nothing; the one before it may have.
                        return Err(Error::Unknown(doubt.clone()));
                    }
                    if word != "stale" || question.generation.is_some() {
                        return Ok(Said { word, answer, generation });
                    }
                    self.stale(&fence, "another generation has begun");
                    continue;
                }
                Err(error) => error,
            };
            reason = error.to_string();
            match Fate::of(&error) {
                Fate::Elsewhere => self.stale(&fence, "another server answers"),
                Fate::Moving if Instant::now() < until => {
                    pause.wait().await;
                    tries = 0..TRIES;
                }
                Fate::Untouched | Fate::Moving => break,
                Fate::Broken => {
                    self.discard(&fence, &reason);
                    doubt = question.changes.then(|| reason.clone());
                }
                Fate::Late | Fate::Failed if question.changes => return Err(Error::Unknown(reason)),
                Fate::Late => break,
                Fate::Failed => return Err(Error::Damaged(reason)),
            }
        }
        Err(doubt.map_or(Error::Unavailable(reason), Error::Unknown))
    }

    fn stale(&self, fence: &Arc<Fence>, reason: &str) {
        Counters::add(&self.counters.stale_appends);
        self.discard(fence, reason);
    }
}

/// The growing pause between attempts, doubled each time up to a longest: 50 ms to 2 s, if nothing else is said.
pub(super) struct Pause {
    next: Duration,
    longest: Duration,
}

impl Default for Pause {
    fn default() -> Self {
        Self { next: Duration::from_millis(50), longest: Duration::from_secs(2) }
    }
}

impl Pause {
    /// While a sender waits: 2 ms to 50 ms.
    pub(super) fn short() -> Self {
        Self { next: Duration::from_millis(2), longest: Duration::from_millis(50) }
    }

    pub(super) async fn wait(&mut self) {
        sleep(self.next).await;
        self.next = (self.next * 2).min(self.longest);
    }
}
