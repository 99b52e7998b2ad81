//! How much time a call has: what the guest computes, and what the host does for it meanwhile. What others take is not its
//! own, and is waited for only so long.

use super::ticker::TICK;
use parking_lot::Mutex;
use rustix::time::{ClockId, clock_gettime};
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

/// How long a plugin may take to start and be configured, where that does not happen for each message.
pub const START_TIMEOUT: Duration = Duration::from_secs(1);

/// How much longer than its own time a call may take because others are at work: then it ends all the same.
const OTHERS_MAX: Duration = Duration::from_secs(1);

/// The time of a call. Clones share it.
#[derive(Clone, Debug)]
pub struct Budget {
    whole: Duration,
    meter: Arc<Mutex<Meter>>,
}

#[derive(Debug)]
struct Meter {
    /// When the guest's own time runs out, should nobody else take any from now on.
    deadline: Instant,
    /// The deadline is never moved past this.
    latest: Instant,
    /// Since when the guest has run, or has waited for a processor.
    since: Instant,
    /// What this thread had computed by then. Not asked in a call's first tick, in which most of them are over.
    computed: Option<Duration>,
}

impl Budget {
    /// The clock starts now.
    pub fn from_now(whole: Duration) -> Self {
        Self::since(Instant::now(), whole)
    }

    /// The clock started then.
    pub fn since(begin: Instant, whole: Duration) -> Self {
        let deadline = begin + whole;
        let meter = Meter { deadline, latest: deadline + OTHERS_MAX, since: begin, computed: None };
        Self { whole, meter: Arc::new(Mutex::new(meter)) }
    }

    /// All of it.
    pub fn whole(&self) -> Duration {
        self.whole
    }

    /// When it runs out, as far as is known.
    pub fn deadline(&self) -> Instant {
        self.meter.lock().deadline
    }

    /// At a tick, while the guest runs: gives back what it did not compute, and says whether it may go on.
    pub fn tick(&self) -> bool {
        let now = Instant::now();
        let mut meter = self.meter.lock();
        let passed = now - meter.since;
        // A guest that runs is asked at each tick: what passed beyond one, the system gave to others.
        let own = meter.computed.map_or(TICK, |before| computed().saturating_sub(before));
        meter.give_back(passed.saturating_sub(own));
        meter.since = now;
        now < meter.deadline
    }

    /// After [`Self::tick`]: the guest waited for its turn, and runs again.
    pub fn resumed(&self) {
        let mut meter = self.meter.lock();
        let now = Instant::now();
        let waited = now - meter.since;
        meter.give_back(waited);
        meter.begin(now, true);
    }

    /// The host did something for the guest until `now`, and all of that was the guest's time.
    pub fn host_returned(&self, now: Instant) {
        let mut meter = self.meter.lock();
        let ticked = meter.computed.is_some();
        meter.begin(now, ticked);
    }

    /// Runs `work`, but not past the deadline. Guest code ends itself there; this is for what the host does for a guest,
    /// which no tick interrupts.
    pub async fn cover<T>(&self, work: impl Future<Output = wasmtime::Result<T>>) -> Result<T, Failed> {
        // Most calls never wait, and need no timer.
        let mut work = pin!(work);
        let mut timer = pin!(None::<tokio::time::Sleep>);
        poll_fn(|context| {
            if let Poll::Ready(result) = work.as_mut().poll(context) {
                return Poll::Ready(result.map_err(Failed::Error));
            }
            let deadline = self.deadline().into();
            if timer.is_none() {
                timer.set(Some(tokio::time::sleep_until(deadline)));
            }
            timer.as_mut().as_pin_mut().map_or(Poll::Pending, |mut timer| {
                if timer.deadline() != deadline {
                    timer.as_mut().reset(deadline);
                }
                timer.poll(context).map(|()| Err(Failed::TooLate))
            })
        })
        .await
    }
}

impl Meter {
    fn give_back(&mut self, time: Duration) {
        self.deadline = (self.deadline + time).min(self.latest);
    }

    fn begin(&mut self, now: Instant, ticked: bool) {
        self.since = now;
        self.computed = ticked.then(computed);
    }
}

/// How long this thread has computed.
fn computed() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default() // a clock of what was done does not go below zero
}

/// Why work of a guest's came to nothing.
pub enum Failed {
    /// Its deadline passed.
    TooLate,
    /// It ended with an error.
    Error(wasmtime::Error),
}

/// How much one instance may take, and say.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The most memory, in bytes.
    pub memory: usize,
    /// The largest answer, in bytes.
    pub output: usize,
    /// The most that it may hand over at once, in bytes: as an answer, or to the host.
    pub handed: usize,
}
