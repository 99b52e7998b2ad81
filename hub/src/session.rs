//! A session: the life of one socket, in one task with one loop.
//!
//! Joins and leaves are done in the loop, one after another; sends and reads run beside it and put their answers into
//! the outbox themselves, so that a slow one holds up nothing. The loop takes commands while fewer than the limit are
//! under way, then stops reading: that is the back-pressure.

mod answer;
mod beside;
mod call;
mod commands;
mod connect;
mod deadlines;
mod drain;
pub mod engineio;
mod joins;
pub mod link;
mod mapped;
mod reads;
mod socket;

pub use socket::{DISCARD_BYTES_MAX, Socket, Wire};

use crate::actor::Actor;
use crate::admission::{Admission, Refused};
use crate::auth::{Auth, Issued};
use crate::dialect::command::Numbered;
use crate::dialect::{Commands, Dialect, Malformed, Reader, socketio};
use crate::limits::UserLimits;
use crate::log_limit::LogLimits;
use crate::members::Members;
use crate::outbox::{Drained, FRAMES_PER_FLUSH, Frame, Outbox, SessionId};
use crate::pace::Pace;
use crate::people::People;
use crate::publish::Turns;
use crate::room::Rooms;
use crate::telemetry::Telemetry;
use crate::verb::Services;
use confab_config::{Limits, Rooms as RoomRules};
use confab_protocol::{Close, Room};
use deadlines::Deadlines;
use futures_util::FutureExt;
use joins::Membership;
use link::{Incoming, Link};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// How long a client may take to be told why its session ends.
const LAST_FRAMES_TIMEOUT: Duration = Duration::from_secs(1);
/// Frames read in a row before what is queued must leave.
const READS_PER_FLUSH: usize = 64;
/// The most commands of one frame, unless a session may be in more rooms: clients come back to all of theirs in one.
const COMMANDS_PER_FRAME_MAX: usize = 1024;
/// Flushes in a row before the link is looked at, where it has said nothing.
const FLUSHES_PER_READ: usize = 16;

/// What all sessions of a hub share.
pub struct Environment {
    /// What verbs call on, and joins.
    pub services: Arc<Services>,
    /// Who is connected here.
    pub people: Arc<People>,
    /// Who belongs to rooms that have members.
    pub members: Arc<Members>,
    /// The rooms of this hub.
    pub rooms: Arc<Rooms>,
    /// What rooms are.
    pub rules: RoomRules,
    /// Who may come in.
    pub auth: Arc<Auth>,
    /// Bounds what is said of refused tokens.
    pub refused_tokens: LogLimits,
    /// After a token's end the client has this long to bring a new one.
    pub refresh_grace: Duration,
    /// What one session may do.
    pub limits: Limits,
    /// What one user may do.
    pub user_limits: Arc<UserLimits>,
    /// What Socket.IO front ends that exist emit and hear.
    pub mapping: Arc<socketio::Mapping>,
    /// Counts.
    pub telemetry: Arc<Telemetry>,
    /// Counts and names those who are not let in.
    pub refused: Refused,
    /// Cancelled when the hub drains.
    pub draining: CancellationToken,
    /// Over how long, at most, a drain spreads the sessions' ends, so that clients do not all come back at once.
    pub drain_spread: Duration,
}

struct Session {
    env: Arc<Environment>,
    dialect: Dialect,
    reader: Reader,
    id: SessionId,
    uuid: Uuid,
    client: String,
    outbox: Arc<Outbox>,
    /// How often it says that somebody is typing.
    typing_pace: Pace,
    /// How often it asks who is in a room.
    presence_pace: Pace,
    /// Whoever acts here, once the client has said who it is.
    actor: Option<Arc<Actor>>,
    /// Whether that came of a token, and when it was made.
    token: Option<Issued>,
    /// How often it tried to say who it is.
    connects: u8,
    rooms: HashMap<Room, Membership>,
    turns: Turns,
    in_flight: Arc<Semaphore>,
    deadlines: Deadlines,
    admission: Admission,
    /// What the client did wrong, where that ends the session.
    breach: Option<String>,
}

/// Runs a session from its first frame to its close.
///
/// No `async fn`: that would hold what it is given twice, as it came and where it is used, as long as the session lives.
pub fn run(
    mut link: impl Link,
    env: Arc<Environment>,
    dialect: Dialect,
    admission: Admission,
) -> impl Future<Output = ()> {
    let mut session = Session::opened(env, dialect, admission);
    async move {
        let telemetry = session.env.telemetry.clone();
        telemetry.sessions.inc();
        telemetry.sessions_opened.inc();
        let close = session.live(&mut link).await;
        session.outbox.close(close.unwrap_or(Close::Normal));
        Box::pin(session.leave_all()).await;
        telemetry.ephemeral_dropped.inc_by(session.outbox.take_dropped());
        if let Some(actor) = &session.actor {
            session.env.people.went(&actor.user, session.id);
            session.env.members.went(&actor.user);
        }
        if let Some(close) = close {
            Box::pin(session.say_goodbye(&mut link, close)).await; // large and last
        }
        telemetry.sessions.dec();
    }
}

impl Session {
    fn opened(env: Arc<Environment>, dialect: Dialect, admission: Admission) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let uuid = Uuid::now_v7();
        Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            uuid,
            client: uuid.to_string(),
            typing_pace: Pace::default(),
            presence_pace: Pace::default(),
            outbox: Arc::new(Outbox::new(env.limits.outbox.bytes())),
            actor: None,
            token: None,
            connects: 0,
            rooms: HashMap::new(),
            turns: env.services.publisher.turns(),
            in_flight: Arc::new(Semaphore::new(env.limits.commands_in_flight)),
            admission,
            breach: None,
            deadlines: Deadlines::opened(&env.limits),
            reader: dialect.reader(env.limits.frame.bytes(), env.mapping.clone()),
            dialect,
            env,
        }
    }

    /// Tells the client why its session ends, and closes the link.
    async fn say_goodbye(&self, link: &mut impl Link, close: Close) {
        self.env.telemetry.closed(close);
        self.note(close);
        tracing::debug!(client = self.client, reason = close.reason(), "closing a session");
        let closing = self.dialect.close_frames(close, self.actor.is_some());
        if !closing.is_empty() {
            // A client that does not read it learns the end from the link.
            let _ = tokio::time::timeout(LAST_FRAMES_TIMEOUT, link.send(closing)).await;
        }
        link.close(close).await;
    }

    /// The loop. `None`: the client went away.
    async fn live(&mut self, link: &mut impl Link) -> Option<Close> {
        let outbox = self.outbox.clone();
        let in_flight = self.in_flight.clone();
        let closing = drain::due(self.env.clone(), self.id, in_flight.clone());
        let alarm = sleep_until(self.deadlines.next());
        tokio::pin!(alarm, closing);
        let mut reads = 0;
        let mut flushes = 0;
        let mut leaving = false;
        // Of the frame that was read last.
        let mut commands = None;
        loop {
            if reads >= READS_PER_FLUSH {
                // A client that sends without a pause must not keep its answers, other sessions or a drain waiting.
                reads = 0;
                tokio::task::yield_now().await;
                self.check_deadlines();
                if !leaving && closing.as_mut().now_or_never().is_some() {
                    leaving = true;
                    self.outbox.close(Close::Shutdown);
                }
                if let Some(close) = self.flush(link, &outbox).await {
                    return close;
                }
            }
            // Most sessions listen: woken for what is queued, they send that before they look for what the client says.
            // A client that speaks is heard out first.
            let listens = reads == 0 && flushes < FLUSHES_PER_READ || outbox.closing();
            tokio::select! {
                biased;
                () = outbox.filled(), if listens => {
                    flushes += 1;
                    if let Some(close) = self.flush(link, &outbox).await {
                        return close;
                    }
                }
                step = next(link, &mut commands, &in_flight) => {
                    (reads, flushes) = (reads + 1, 0);
                    let done = match step {
                        Step::Command(command) => self.command(command).await,
                        Step::Malformed(error) => Err(self.malformed(&error)),
                        Step::Came(Incoming::Frame(frame)) => {
                            self.came(&frame);
                            self.read(&frame).map(|read| commands = Some(read))
                        }
                        Step::Came(Incoming::Oversized(frame)) => {
                            self.came(&frame);
                            self.refuse_oversized(&frame)
                        }
                        Step::Came(Incoming::Control) => Ok(()),
                        Step::Came(Incoming::Broken(close)) => return Some(close),
                        Step::Came(Incoming::Gone) => return None,
                    };
                    if let Err(close) = done {
                        self.outbox.close(close);
                    }
                    rearm(alarm.as_mut(), &self.deadlines);
                }
                () = outbox.filled(), if !listens => {
                    (reads, flushes) = (0, 0);
                    if let Some(close) = self.flush(link, &outbox).await {
                        return close;
                    }
                }
                () = alarm.as_mut() => {
                    reads = 0;
                    self.check_deadlines();
                    Box::pin(self.end_expired()).await;
                    rearm(alarm.as_mut(), &self.deadlines);
                }
                () = closing.as_mut(), if !leaving => {
                    leaving = true;
                    self.outbox.close(Close::Shutdown); // what is queued still leaves
                }
            }
        }
    }

    /// Sends what is queued, as much as leaves in one flush. `Some`: the session ends.
    async fn flush(&mut self, link: &mut impl Link, outbox: &Outbox) -> Option<Option<Close>> {
        if outbox.woken() {
            Box::pin(self.look_at_user()).await;
        }
        let mut frames = Vec::with_capacity(FRAMES_PER_FLUSH.min(8));
        match outbox.drain(&mut frames) {
            Drained::Close(close) => Some(Some(close)),
            Drained::Frames => {
                let bytes: usize = frames.iter().map(Frame::len).sum();
                self.env.telemetry.bytes_out.inc_by(bytes as u64);
                // A client that does not read holds the flush; what then gathers behind it makes it slow.
                tokio::select! {
                    biased;
                    sent = link.send(frames) => if sent.is_err() { Some(None) } else { None },
                    close = outbox.overflowed() => Some(Some(close)),
                    () = unread(&self.env.limits) => Some(Some(Close::NoPong)),
                }
            }
        }
    }

    /// Something is due: a ping, a missing pong, a token's end, or a socket that never said who it is.
    fn check_deadlines(&mut self) {
        if self.in_flight.available_permits() == 0 {
            self.deadlines.not_reading(&self.env.limits);
        }
        let now = Instant::now();
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if due(self.deadlines.stale_at) {
            self.outbox.close(Close::Stale);
        } else if due(self.deadlines.pong_by) {
            self.outbox.close(Close::NoPong);
        } else if due(self.deadlines.expires_at) {
            self.outbox.close(Close::Expired);
        } else if due(self.deadlines.ping_at) {
            if let Some(ping) = self.dialect.ping() {
                self.outbox.push(ping);
                self.deadlines.pinged(&self.env.limits);
            }
            return;
        } else {
            return;
        }
        self.deadlines = Deadlines::default();
    }

    /// A frame came, whatever is in it.
    fn came(&mut self, frame: &Frame) {
        self.env.telemetry.bytes_in.inc_by(frame.len() as u64);
        self.deadlines.heard();
    }

    fn read(&mut self, frame: &Frame) -> Result<Commands, Close> {
        let most = COMMANDS_PER_FRAME_MAX.max(self.env.limits.rooms_per_session);
        self.reader.commands(frame, most).map_err(|error| self.malformed(&error))
    }

    fn malformed(&mut self, error: &Malformed) -> Close {
        self.breach = Some(error.to_string());
        Close::BadRequest
    }

    /// Counts and names a close that the client has brought upon itself.
    fn note(&self, close: Close) {
        let elsewhere = close == Close::InvalidToken; // whoever looked at the token has said why
        let own_fault = !matches!(
            close,
            Close::Normal | Close::Shutdown | Close::Slow | Close::InsufficientState | Close::NoPong | Close::Expired
        );
        if own_fault && !elsewhere {
            self.env.refused.note(close.reason(), self.admission.from, self.breach.as_deref().unwrap_or_default());
        }
    }
}

/// What a session does next.
enum Step {
    Command(Numbered),
    Malformed(Malformed),
    Came(Incoming),
}

/// The next command of the frame that was read last, or else what comes next, once another command may be begun.
async fn next(link: &mut impl Link, commands: &mut Option<Commands>, in_flight: &Semaphore) -> Step {
    if in_flight.available_permits() == 0 {
        drop(in_flight.acquire().await);
    }
    match commands.as_mut().and_then(Iterator::next) {
        Some(Ok(command)) => Step::Command(command),
        Some(Err(error)) => {
            *commands = None;
            Step::Malformed(error)
        }
        None => {
            *commands = None;
            Step::Came(link.next().await)
        }
    }
}

/// As long as a client may leave unread what it was sent. The time is taken only where a flush does not end at once.
async fn unread(limits: &Limits) {
    tokio::time::sleep(limits.ping_interval + limits.pong_timeout).await;
}

fn rearm(alarm: std::pin::Pin<&mut Sleep>, deadlines: &Deadlines) {
    let next = deadlines.next();
    if alarm.deadline() != next {
        alarm.reset(next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::upgrade::Upgraded;
    use hyper_util::rt::TokioIo;

    type Upgrade = Socket<TokioIo<Upgraded>>;

    fn bytes<A, B, C, D, O>(_: fn(A, B, C, D) -> O) -> usize {
        size_of::<O>()
    }

    #[test]
    fn what_a_session_holds_all_its_life_fits_an_allocation_of_three_kibibytes() {
        let a_session: fn(Upgrade, Arc<Environment>, Dialect, Admission) -> _ = |a, b, c, d| run(a, b, c, d);
        // Its task holds two hundred bytes more: what is large and rare is boxed where it is done.
        assert!(bytes(a_session) <= 2816, "{} bytes", bytes(a_session));
    }
}
