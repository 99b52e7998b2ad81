//! The audit log: what operators and moderators did, and what they were refused, in the store and in the log.
//!
//! An act is answered once its row is written. Where the store does not answer, operators must still be able to act, then most of
//! all: the row waits in memory and is written when the store is back, and the log, which has every act anyway, says loudly
//! that it is the only witness. Reading what is private can wait: it is refused until it can be written down ([`Audit::first`]).

use crate::clock::now_ms;
use crate::log_limit::LogLimit;
use crate::telemetry::Telemetry;
use confab_protocol::{Millis, Refusal};
use confab_store::{Act, Store};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// The most acts that wait for the store.
const WAITING_MAX: usize = 1000;
/// How many are written at once.
const AT_ONCE: usize = 100;
/// How long an act is not answered because its row is not written yet.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long what is private waits for its row.
const FIRST_PATIENCE: Duration = Duration::from_secs(3);
/// How long after a failure the store is tried again.
const AGAIN: Duration = Duration::from_secs(1);
/// How long the last rows may take when the hub ends.
const LAST_PATIENCE: Duration = Duration::from_secs(2);
/// How often what is old is removed.
const TIDY: Duration = Duration::from_secs(600);
/// The most acts that are kept.
const KEPT_MAX: usize = 1_000_000;
/// The longest text of one field, in bytes: what is refused may be of any length.
const FIELD_BYTES_MAX: usize = 1024;

/// An act, and who waits for its row.
type Waiting = (Act, oneshot::Sender<()>);

/// Writes acts down.
pub struct Audit {
    store: Store,
    telemetry: Arc<Telemetry>,
    queue: mpsc::Sender<Waiting>,
    strangers: LogLimit,
}

/// The writer's end of an [`Audit`].
pub struct Writer {
    store: Store,
    retention: Duration,
    queue: mpsc::Receiver<Waiting>,
}

impl Audit {
    /// An audit log in this store, whose rows are kept so long; [`Writer::run`] writes them.
    pub fn new(store: Store, retention: Duration, telemetry: Arc<Telemetry>) -> (Self, Writer) {
        let (queue, read) = mpsc::channel(WAITING_MAX);
        (
            Self { store: store.clone(), telemetry, queue, strangers: LogLimit::default() },
            Writer { store, retention, queue: read },
        )
    }

    /// Writes an act down that was done, or refused.
    pub async fn record(&self, act: Act) {
        let act = self.told(act);
        let (written, wait) = oneshot::channel();
        if let Err(error) = self.queue.try_send((act, written)) {
            let (act, _) = error.into_inner();
            self.telemetry.audit_lost.inc();
            tracing::error!(
                by = act.by,
                verb = act.verb,
                "an act is missing from the audit log: too many wait for the store"
            );
            return;
        }
        if !matches!(timeout(PATIENCE, wait).await, Ok(Ok(()))) {
            tracing::error!(
                "the audit log cannot be written now: this log is the only witness until the store is back"
            );
        }
    }

    /// Writes down what somebody tried who is neither operator nor moderator. There may be many of them, and they must not push out
    /// what counts: past ten in ten seconds they are only counted.
    pub async fn record_stranger(&self, act: Act) {
        match self.strangers.may_write() {
            Some(_) => self.record(act).await,
            None => self.telemetry.audited("refused"),
        }
    }

    /// Writes an act down before it is done.
    ///
    /// # Errors
    /// [`Refusal::StoreUnavailable`]: it must not be done.
    pub async fn first(&self, act: Act) -> Result<(), Refusal> {
        let act = self.told(act);
        let acts = std::slice::from_ref(&act);
        match timeout(FIRST_PATIENCE, self.store.audit(acts)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                tracing::warn!(%error, verb = act.verb, "refused: it could not be written into the audit log");
                Err(Refusal::StoreUnavailable)
            }
            Err(_) => {
                tracing::warn!(verb = act.verb, "refused: the audit log does not answer");
                Err(Refusal::StoreUnavailable)
            }
        }
    }

    /// Tells log and metrics.
    fn told(&self, mut act: Act) -> Act {
        act.at = now_ms();
        for field in [&mut act.by, &mut act.verb, &mut act.result] {
            cut(field);
        }
        for field in [&mut act.room, &mut act.user, &mut act.event, &mut act.reason].into_iter().flatten() {
            cut(field);
        }
        if act.details.as_ref().is_some_and(|details| details.len() > FIELD_BYTES_MAX) {
            act.details = None; // half of it would be no JSON
        }
        let Act { by, via, verb, room, user, event, reason, result, .. } = &act;
        // Quoted: what people write must not look like more than it is.
        let quoted = |text: &Option<String>| text.as_ref().map(|text| format!("{text:?}"));
        let room = quoted(room);
        let user = quoted(user);
        let event = quoted(event);
        let reason = quoted(reason);
        tracing::info!(by = ?by, via, verb, room, user, event, reason, result = ?result, "audit");
        self.telemetry.audited(if result == OK { "ok" } else { "refused" });
        act
    }
}

/// The result of an act that was done.
pub const OK: &str = "ok";

/// The result of an act that was refused.
pub fn refused(refusal: &Refusal) -> String {
    format!("{}: {}", refusal.code(), refusal.message())
}

impl Writer {
    /// Writes what comes, and removes what is old, until `stop`; then what is left, if the store takes it.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut tidy = tokio::time::interval(TIDY);
        tidy.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut batch = Vec::new();
        loop {
            tokio::select! {
                _ = self.queue.recv_many(&mut batch, AT_ONCE) => {}
                _ = tidy.tick() => {
                    self.tidy().await;
                    continue;
                }
                () = stop.cancelled() => break,
            }
            if stop.run_until_cancelled(self.write(&mut batch)).await.is_none() {
                break;
            }
        }
        self.queue.close();
        while let Ok(waiting) = self.queue.try_recv() {
            batch.push(waiting);
        }
        if !batch.is_empty() && timeout(LAST_PATIENCE, self.write(&mut batch)).await.is_err() {
            tracing::error!(
                acts = batch.len(),
                "these acts are missing from the audit log: the store did not take them"
            );
        }
    }

    /// Writes all of them, however long it takes.
    async fn write(&self, batch: &mut Vec<Waiting>) {
        let acts: Vec<Act> = batch.iter().map(|(act, _)| act.clone()).collect();
        let mut said = false;
        while let Err(error) = self.store.audit(&acts).await {
            if !error.temporary() {
                tracing::error!(%error, acts = acts.len(), "these acts are missing from the audit log");
                break;
            }
            if !said {
                said = true;
                tracing::warn!(%error, acts = acts.len(), "could not write the audit log, trying again");
            }
            tokio::time::sleep(AGAIN).await;
        }
        for (_, written) in batch.drain(..) {
            let _ = written.send(()); // who waited may have gone
        }
    }

    async fn tidy(&self) {
        let before = now_ms().saturating_sub(self.retention.as_millis() as Millis);
        match self.store.forget_acts(before, KEPT_MAX).await {
            Ok(0) => {}
            Ok(acts) => tracing::info!(acts, "removed old acts from the audit log"),
            Err(error) => tracing::debug!(%error, "could not remove old acts from the audit log yet"),
        }
    }
}

/// Cuts a text where it is too long, between two characters.
fn cut(text: &mut String) {
    text.truncate(text.floor_char_boundary(FIELD_BYTES_MAX));
}

#[cfg(test)]
mod tests {
    use super::*;
    use confab_store::{PostgresOptions, WhichActs};

    fn act(verb: &str) -> Act {
        Act { by: "ada".into(), via: "admin-api".into(), verb: verb.into(), result: OK.into(), ..Act::default() }
    }

    #[tokio::test]
    async fn an_act_is_answered_once_its_row_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::sqlite(&folder.path().join("confab.db")).await.unwrap();
        store.migrate().await.unwrap();
        let (audit, writer) = Audit::new(store.clone(), Duration::from_secs(60), Arc::default());
        let stop = CancellationToken::new();
        let running = tokio::spawn(writer.run(stop.clone()));
        audit.record(act("reload")).await;
        audit.record(Act { reason: Some("é".repeat(600)), ..act("ban") }).await;
        audit.first(act("history")).await.unwrap();
        let found = store.audited(WhichActs::default(), 10).await.unwrap();
        let verbs: Vec<&str> = found.iter().map(|(_, act)| act.verb.as_str()).collect();
        assert_eq!(verbs, ["history", "ban", "reload"]);
        assert_eq!(found[1].1.reason.as_ref().unwrap().len(), 1024, "what is too long is cut");
        stop.cancel();
        running.await.unwrap();
    }

    #[tokio::test]
    async fn while_the_store_is_away_operators_act_and_what_is_private_stays_so() {
        let url = "postgres://nobody@127.0.0.1:1/none".to_owned();
        let timeout = Duration::from_millis(50);
        let store = Store::postgres(&PostgresOptions { url, ca_file: None, connections: 1, timeout }).unwrap();
        let telemetry = Arc::new(Telemetry::new());
        let (audit, writer) = Audit::new(store, Duration::from_secs(60), telemetry.clone());
        assert_eq!(audit.first(act("history")).await, Err(Refusal::StoreUnavailable));
        let stop = CancellationToken::new();
        let running = tokio::spawn(writer.run(stop.clone()));
        audit.record(act("reload")).await;
        stop.cancel();
        running.await.unwrap();
        let full = WAITING_MAX + 5;
        let (audit, _writer) = Audit::new(audit.store.clone(), Duration::from_secs(60), telemetry.clone());
        let audit = Arc::new(audit);
        let all: Vec<_> = (0..full)
            .map(|_| {
                tokio::spawn({
                    let audit = audit.clone();
                    async move { audit.record(act("x")).await }
                })
            })
            .collect();
        for one in all {
            one.await.unwrap();
        }
        assert_eq!(telemetry.audit_lost.get(), 5, "past its bound an act is named in the log and counted");
    }
}
