//! A crowd: clients who talk until they are told to end, and what must have come to rest before anybody judges.

use super::client::{Habits, Phase, Shared, Speaker};
use super::history::History;
use crate::gather::{self, Rest, Sources};
use anyhow::{Result, bail};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// In how many rooms each client is.
const ROOMS_EACH: usize = 3;
/// How long it may take, once everything is well, until every send has its answer.
const ANSWERS: Duration = Duration::from_secs(90);
/// How long until nothing moves any more.
const REST: Duration = Duration::from_secs(90);
/// How long nothing must move for that.
const STILL: Duration = Duration::from_secs(2);
/// And if something is pending: an event of a dead hub is swept within a few seconds, and any other one after these.
const SWEPT: Duration = Duration::from_secs(35);
/// How long until every client has heard everything.
const HEARD: Duration = Duration::from_secs(30);

/// Clients, and what they see.
pub struct Crowd {
    people: JoinSet<()>,
    size: usize,
    rooms: Vec<String>,
    phase: watch::Sender<Phase>,
    shared: Arc<Shared>,
}

impl Crowd {
    /// So many clients, who talk at once; everything that they draw is drawn from the seed.
    pub fn gather(
        size: usize,
        rooms: Vec<String>,
        fronts: Vec<String>,
        habits: Habits,
        history: &Arc<History>,
        seed: u64,
    ) -> Self {
        let phase = watch::Sender::new(Phase::Talk);
        let shared = Arc::new(Shared { fronts, history: history.clone(), quiet: AtomicUsize::new(0), habits });
        let mut people = JoinSet::new();
        for n in 0..size {
            let own = (0..ROOMS_EACH.min(rooms.len())).map(|i| rooms[(n + i) % rooms.len()].clone()).collect();
            let seed = seed.wrapping_mul(1_000).wrapping_add(n as u64);
            let speaker = Speaker::new(&format!("c{n}"), own, seed, shared.clone(), phase.subscribe());
            people.spawn(speaker.live());
        }
        Self { people, size, rooms, phase, shared }
    }

    /// Everything is well: waits until all is answered, kept and heard, and sends everybody home. `where_now` says where to
    /// look, each time; `said` hears what is being waited for.
    pub async fn settle(mut self, where_now: impl AsyncFn() -> Sources, said: impl Fn(&str)) -> Result<Rest> {
        said("waiting for the last answers");
        self.phase.send_replace(Phase::Drain);
        let begun = Instant::now();
        while self.shared.quiet.load(Ordering::SeqCst) < self.size && begun.elapsed() < ANSWERS {
            if self.people.try_join_next().is_some() {
                bail!("a client ended before it was told to");
            }
            sleep(Duration::from_millis(50)).await;
        }
        said("waiting until nothing moves");
        let rest = self.rest(where_now).await?;
        self.phase.send_replace(Phase::Until(rest.tops.clone()));
        let begun = Instant::now();
        while !self.people.is_empty() && begun.elapsed() < HEARD {
            let _ = tokio::time::timeout(Duration::from_millis(200), self.people.join_next()).await;
        }
        self.phase.send_replace(Phase::End);
        while self.people.join_next().await.is_some() {}
        Ok(rest)
    }

    /// Waits until nothing moves. What still does then is found by the checker.
    async fn rest(&self, where_now: impl AsyncFn() -> Sources) -> Result<Rest> {
        let history = &self.shared.history;
        let (begun, mut before, mut since) = (Instant::now(), Rest::default(), Instant::now());
        while begun.elapsed() < REST {
            match gather::standing(&where_now().await, &self.rooms).await {
                Ok(now) if now == before => {
                    // What a lost server forgot to be journaled is swept when its time has come.
                    let still = if now.pending.is_empty() { STILL } else { SWEPT };
                    if since.elapsed() >= still {
                        return Ok(before);
                    }
                }
                Ok(now) => (before, since) = (now, Instant::now()),
                Err(error) => history.note(format!("could not look whether everything rests: {error:#}")),
            }
            sleep(Duration::from_millis(200)).await;
        }
        history.note("something still moved when the time was over");
        Ok(before)
    }
}
