//! A plugin's instances: how many may run at once, and which of them live on.

use super::budget::{Budget, START_TIMEOUT};
use super::call::Instance;
use super::module::Module;
use super::{Check, EventContext, Fault, Observer, Verdict, contract};
use confab_config::Isolation;
use confab_protocol::Event;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, SemaphorePermit};

/// How long a call may wait for one of its plugin's permits. It is not the plugin's time: the plugin's clock starts when it
/// is asked, so that a burst of messages waits for a moment and is not blamed on the plugin.
pub const PERMIT_WAIT: Duration = Duration::from_secs(1);

/// How many calls of one plugin may run at once, beside those that may wait for others ([`Module::waiting`]). Judging is work
/// for a processor: more calls than a few for each would only make all of them late.
pub fn permits() -> usize {
    (2 * std::thread::available_parallelism().map_or(1, usize::from)).max(4)
}

/// A plugin's answer, or how it failed, and how long it took.
pub struct Answer {
    /// What it said.
    pub said: Result<Verdict, Fault>,
    /// How long the call took, in microseconds, the wait for a permit not counted.
    pub micros: u64,
    /// How long it waited for a permit, in microseconds.
    pub waited: u64,
    /// When it was there.
    pub at: Instant,
}

/// A plugin's instances.
pub struct Pool {
    module: Module,
    isolation: Isolation,
    observer: Arc<dyn Observer>,
    permits: Semaphore,
    /// Instances that wait to be asked again. Never more than there are permits: each came from one.
    idle: Mutex<Vec<Instance>>,
}

impl Pool {
    /// Starts one instance, to see that it starts and takes its settings; returns how long that took. Where instances live
    /// on, it is the first of them.
    pub async fn open(
        module: Module,
        isolation: Isolation,
        observer: Arc<dyn Observer>,
    ) -> Result<(Self, Duration), Fault> {
        let begin = Instant::now();
        let _ticking = module.engine.keep_ticking();
        let first = Instance::start(&module, &observer, &Budget::from_now(START_TIMEOUT)).await?;
        let took = begin.elapsed();
        let idle = match isolation {
            Isolation::Worker => vec![first],
            Isolation::Message => Vec::new(),
        };
        let permits = Semaphore::new(permits() + module.waiting);
        Ok((Self { module, isolation, observer, permits, idle: Mutex::new(idle) }, took))
    }

    /// The module.
    pub fn module(&self) -> &Module {
        &self.module
    }

    /// Asks the plugin about an event: as soon as there is a permit, at most [`PERMIT_WAIT`] from `now`. If the caller goes
    /// away meanwhile, so does the instance.
    pub async fn judge(&self, event: &Event, context: &EventContext, check: &Check, now: Instant) -> Answer {
        // Reading the clock costs as much as much of a call: it is read where time may have passed.
        let (permit, begin) = match self.permits.try_acquire() {
            Ok(permit) => (Some(permit), now),
            Err(_) => (self.permit().await, Instant::now()),
        };
        let waited = micros(begin - now);
        let Some(_permit) = permit else {
            return Answer { said: Err(Fault::Busy(PERMIT_WAIT)), micros: 0, waited, at: begin };
        };
        let said = self.ask(event, context, check, begin).await;
        let at = Instant::now();
        Answer { said, micros: micros(at - begin), waited, at }
    }

    /// A permit, if one becomes free in time. Who asked first gets it first.
    async fn permit(&self) -> Option<SemaphorePermit<'_>> {
        tokio::time::timeout(PERMIT_WAIT, self.permits.acquire()).await.ok()?.ok()
    }

    async fn ask(
        &self,
        event: &Event,
        context: &EventContext,
        check: &Check,
        begin: Instant,
    ) -> Result<Verdict, Fault> {
        let bytes = contract::size(event, context);
        let most = self.module.bounds.memory / 2;
        if bytes > most {
            return Err(Fault::Input { bytes, most });
        }
        let _ticking = self.module.engine.keep_ticking();
        match self.isolation {
            Isolation::Message => {
                let budget = Budget::since(begin, self.module.timeout);
                let instance = Instance::start(&self.module, &self.observer, &budget).await?;
                let (_used, verdict) = instance.judge(event, context, check, &budget).await?;
                Ok(verdict)
            }
            Isolation::Worker => {
                let resting = self.idle.lock().pop();
                let (instance, begin) = match resting {
                    Some(instance) => (instance, begin),
                    None => (self.fresh().await?, Instant::now()),
                };
                let budget = Budget::since(begin, self.module.timeout);
                let (used, verdict) = instance.judge(event, context, check, &budget).await?;
                if !used.is_worn() {
                    self.idle.lock().push(used);
                }
                Ok(verdict)
            }
        }
    }

    /// An instance that will live on. Its start is not part of the call's own time.
    async fn fresh(&self) -> Result<Instance, Fault> {
        Instance::start(&self.module, &self.observer, &Budget::from_now(START_TIMEOUT)).await
    }
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}
