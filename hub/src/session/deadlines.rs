//! When a session must next look up: a ping, a missing pong, a token's end, a socket that never said who it is.

use confab_config::Limits;
use std::time::Duration;
use tokio::time::Instant;

/// A session's times. `None`: not due at all.
#[derive(Debug, Default)]
pub struct Deadlines {
    /// The client must have said who it is by then.
    pub stale_at: Option<Instant>,
    /// The next ping.
    pub ping_at: Option<Instant>,
    /// The pong must have come by then.
    pub pong_by: Option<Instant>,
    /// The token must have been refreshed by then.
    pub expires_at: Option<Instant>,
    /// A room's token must have been refreshed by then.
    pub room_expires_at: Option<Instant>,
}

impl Deadlines {
    /// The clock of a socket that has just opened.
    pub fn opened(limits: &Limits) -> Self {
        Self { stale_at: Some(Instant::now() + limits.stale_timeout), ..Self::default() }
    }

    /// The client has said who it is.
    pub fn connected(&mut self, limits: &Limits) {
        self.stale_at = None;
        self.ping_at = Some(Instant::now() + limits.ping_interval);
    }

    /// A ping is on its way.
    pub fn pinged(&mut self, limits: &Limits) {
        let now = Instant::now();
        self.ping_at = Some(now + limits.ping_interval);
        self.pong_by = Some(now + limits.pong_timeout);
    }

    /// Something came from the client: whatever it is, the client is there, and its pong may be waiting behind more of it.
    pub fn heard(&mut self) {
        self.pong_by = None;
    }

    /// Nothing is read from the client for now: its pong may have come already.
    pub fn not_reading(&mut self, limits: &Limits) {
        self.pong_by = self.pong_by.map(|_| Instant::now() + limits.pong_timeout);
    }

    /// The first thing that is due.
    pub fn next(&self) -> Instant {
        let far = || Instant::now() + Duration::from_secs(3600);
        let times = [self.stale_at, self.ping_at, self.pong_by, self.expires_at, self.room_expires_at];
        times.into_iter().flatten().min().unwrap_or_else(far)
    }
}

/// When something that lasts so many seconds must have been refreshed; `grace` is how late that may be.
pub fn deadline(ttl: Option<u64>, grace: Duration) -> Option<Instant> {
    // A token for more than a year is as good as one without an end, and its end cannot overflow.
    const TTL_MAX: u64 = 365 * 24 * 3600;
    ttl.map(|ttl| Instant::now() + Duration::from_secs(ttl.min(TTL_MAX)) + grace)
}
