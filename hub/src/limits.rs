//! What one user may do in a time: token buckets by user, in memory, of this hub alone.
//!
//! A bucket that is full again is forgotten, so what is kept are the users of the last moments.

use crate::log_limit::LogLimit;
use crate::telemetry::Telemetry;
use confab_config::Limits;
use confab_protocol::{Refusal, UserId};
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Buckets are looked through after so many questions; the first time when there are as many.
const LOOK_EVERY: usize = 1024;

/// What is limited, as metrics and log lines name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limited {
    /// Commands of a user in a time.
    Commands,
    /// Sessions of a user at once.
    Sessions,
    /// Rooms that a user begins in a time.
    NewRooms,
    /// Questions about who is in a room, of a session in a time.
    Presence,
    /// Held events of a user at once.
    Held,
}

impl Limited {
    /// The name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Commands => "commands",
            Self::Sessions => "sessions",
            Self::NewRooms => "new_rooms",
            Self::Presence => "presence",
            Self::Held => "held",
        }
    }
}

/// The limits of users.
pub struct UserLimits {
    commands: Buckets,
    new_rooms: Buckets,
    /// Who has begun as many rooms as may be, and until when.
    waiting: Mutex<HashMap<UserId, Instant>>,
    sessions_max: usize,
    sessions_retry: Duration,
    telemetry: Arc<Telemetry>,
    log: LogLimit,
}

impl UserLimits {
    /// The limits as the settings have them.
    pub fn new(limits: &Limits, telemetry: Arc<Telemetry>) -> Self {
        let second = Quota::per_second(at_least_one(limits.user_commands_per_second));
        let minute = Quota::per_minute(at_least_one(limits.user_new_rooms_per_minute));
        Self {
            commands: Buckets::new(second.allow_burst(at_least_one(limits.user_commands_burst))),
            new_rooms: Buckets::new(minute.allow_burst(at_least_one(limits.user_new_rooms_burst))),
            waiting: Mutex::default(),
            sessions_max: limits.user_sessions,
            // By then the hub knows which of the others are gone.
            sessions_retry: limits.ping_interval + limits.pong_timeout,
            telemetry,
            log: LogLimit::default(),
        }
    }

    /// Counts a command of a user.
    ///
    /// # Errors
    /// [`Refusal::TooManyRequests`].
    pub fn command(&self, user: &UserId) -> Result<(), Refusal> {
        self.commands.take(user).map_err(|wait| self.refuse(Limited::Commands, user, wait))
    }

    /// The most sessions that a user may have.
    pub fn sessions_max(&self) -> usize {
        self.sessions_max
    }

    /// The answer to a session past that.
    pub fn too_many_sessions(&self, user: &UserId) -> Refusal {
        self.refuse(Limited::Sessions, user, self.sessions_retry)
    }

    /// How long this user may begin no room, if that is so now.
    pub fn may_not_begin(&self, user: &UserId) -> Option<Duration> {
        let waiting = self.waiting.lock();
        waiting.get(user).map(|until| until.saturating_duration_since(Instant::now())).filter(|left| !left.is_zero())
    }

    /// A user has begun a room.
    pub fn has_begun(&self, user: &UserId) {
        if let Err(wait) = self.new_rooms.take(user) {
            let now = Instant::now();
            let mut waiting = self.waiting.lock();
            waiting.retain(|_, until| *until > now);
            waiting.insert(user.clone(), now + wait);
        }
    }

    /// Answers what a limit stands against: counted, and named in a log line now and then.
    pub fn refuse(&self, limited: Limited, user: &UserId, wait: Duration) -> Refusal {
        self.telemetry.limited(limited.as_str());
        if let Some(left_out) = self.log.may_write() {
            tracing::warn!(limit = limited.as_str(), user = user.as_str(), left_out, "limit of a user reached");
        }
        Refusal::TooManyRequests { retry_after_ms: u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1) }
    }
}

fn at_least_one(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN)
}

/// A token bucket for each user.
struct Buckets {
    limiter: DefaultKeyedRateLimiter<UserId>,
    clock: DefaultClock,
    asked: AtomicUsize,
    /// How many buckets there were when they were last looked through.
    kept: AtomicUsize,
}

impl Buckets {
    fn new(quota: Quota) -> Self {
        let asked = AtomicUsize::new(0);
        let kept = AtomicUsize::new(LOOK_EVERY);
        Self { limiter: DefaultKeyedRateLimiter::keyed(quota), clock: DefaultClock::default(), asked, kept }
    }

    /// Takes one, or says how long it takes until there is one.
    fn take(&self, user: &UserId) -> Result<(), Duration> {
        if self.asked.fetch_add(1, Ordering::Relaxed) % LOOK_EVERY == LOOK_EVERY - 1 {
            self.forget_full();
        }
        self.limiter.check_key(user).map_err(|not_yet| not_yet.wait_time_from(self.clock.now()))
    }

    /// Forgets the buckets that are full again, once there are twice as many as were left the last time.
    fn forget_full(&self) {
        if self.limiter.len() >= self.kept.load(Ordering::Relaxed).saturating_mul(2) {
            self.limiter.retain_recent();
            self.limiter.shrink_to_fit();
            self.kept.store(self.limiter.len().max(LOOK_EVERY), Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(change: impl FnOnce(&mut Limits)) -> UserLimits {
        let mut limits = Limits::default();
        change(&mut limits);
        UserLimits::new(&limits, Arc::default())
    }

    fn user(name: &str) -> UserId {
        UserId::new(name).unwrap()
    }

    #[test]
    fn a_user_has_a_burst_and_then_a_pace_and_others_have_their_own() {
        let limits = limits(|limits| (limits.user_commands_per_second, limits.user_commands_burst) = (2, 10));
        let ada = user("ada");
        let bob = user("bob");
        assert_eq!((0..1000).filter(|_| limits.command(&ada).is_ok()).count(), 10);
        let Err(Refusal::TooManyRequests { retry_after_ms }) = limits.command(&ada) else { panic!("it is too fast") };
        assert!((1..=500).contains(&retry_after_ms), "{retry_after_ms}");
        assert!(limits.command(&bob).is_ok());
    }

    #[test]
    fn who_has_begun_as_many_rooms_as_may_be_has_to_wait() {
        let limits = limits(|limits| (limits.user_new_rooms_per_minute, limits.user_new_rooms_burst) = (1, 3));
        let ada = user("ada");
        for _ in 0..3 {
            limits.has_begun(&ada);
            assert_eq!(limits.may_not_begin(&ada), None);
        }
        limits.has_begun(&ada); // it was on its way before
        assert!(limits.may_not_begin(&ada).is_some_and(|wait| wait <= Duration::from_secs(60)));
        assert_eq!(limits.may_not_begin(&user("bob")), None);
    }

    #[test]
    fn users_who_have_not_spoken_for_a_while_take_no_memory() {
        let limits = limits(|limits| limits.user_commands_per_second = 1_000_000);
        for n in 0..100 * LOOK_EVERY {
            limits.command(&user(&format!("guest-{n}"))).unwrap();
        }
        assert!(limits.commands.limiter.len() <= 4 * LOOK_EVERY, "{} buckets", limits.commands.limiter.len());
    }
}
