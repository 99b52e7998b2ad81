//! The bounded queue through which a hub hears its rooms.

use super::{Counters, Relay};
use confab_protocol::signal::To;
use confab_protocol::{Record, Signal};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

/// The sending end. It never waits: an event that finds the queue full is left out, and as soon as there is room the
/// hub is told to compare every room by offset. The comparison always comes after what was left out, so that it finds it.
#[derive(Clone)]
pub(super) struct Relays {
    queue: mpsc::Sender<Relay>,
    due: Arc<Due>,
    counters: Arc<Counters>,
}

#[derive(Default)]
struct Due {
    compare: AtomicBool,
    raised: Notify,
}

impl Relays {
    pub(super) fn new(bound: usize, counters: Arc<Counters>) -> (Self, mpsc::Receiver<Relay>) {
        let (queue, heard) = mpsc::channel(bound.max(1));
        (Self { queue, due: Arc::default(), counters }, heard)
    }

    /// Passes an event on, or notes that it was left out.
    pub(super) fn event(&self, record: Arc<Record>) {
        match self.queue.try_send(Relay::Event(record)) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => self.overflowed(),
            Err(TrySendError::Closed(_)) => {} // the hub has gone: nobody is left to hear
        }
    }

    /// Passes a signal on. Where there is no room it is left out, counted: it has no place that would be missed.
    pub(super) fn signal(&self, signal: Arc<Signal>) {
        let Err(TrySendError::Full(Relay::Signal(signal))) = self.queue.try_send(Relay::Signal(signal)) else { return };
        Counters::add(&self.counters.lost_signals);
        let kind = signal.what.kind();
        match &signal.to {
            To::Room(room) => tracing::debug!(kind, %room, "signal dropped: the relay queue is full"),
            To::User(_) | To::Hubs => tracing::warn!(kind, "signal dropped: the relay queue is full"),
        }
    }

    /// Events were left out because a queue was full.
    pub(super) fn overflowed(&self) {
        if !self.due.compare.load(Ordering::Acquire) {
            Counters::add(&self.counters.relay_overflows);
            tracing::warn!("events left out of a full relay queue, every room will be compared");
        }
        self.compare();
    }

    /// Every room must be compared by offset.
    pub(super) fn compare(&self) {
        self.due.compare.store(true, Ordering::Release);
        self.due.raised.notify_one();
    }

    /// Delivers what [`Self::compare`] asked for as soon as there is room, until `stop`.
    pub(super) async fn run(self, stop: CancellationToken) {
        let work = async {
            loop {
                self.due.raised.notified().await;
                let Ok(permit) = self.queue.reserve().await else { return };
                // The flag falls before the message goes: what is left out from here on raises it again.
                if self.due.compare.swap(false, Ordering::AcqRel) {
                    permit.send(Relay::Compare);
                }
            }
        };
        stop.run_until_cancelled(work).await;
    }
}
