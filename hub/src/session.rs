//! A session: the life of one socket, in one task with one loop.
//!
//! Joins and leaves are done in the loop, one after another; sends and reads run beside it and put their answers into
//! the outbox themselves, so that a slow one holds up nothing. The loop takes commands while fewer than the limit are
//! under way, then stops reading: that is the back-pressure.

mod answer;
mod clock;
pub mod engineio;
mod errand;
mod farewell;
mod introduction;
mod joins;
pub mod link;
mod mapped;
mod review;
mod socket;
mod typing;
pub mod verb;

pub use socket::{DISCARD_BYTES_MAX, Socket, Wire};

use crate::access::Access;
use crate::actor::Actor;
use crate::admission::{Admission, Refused};
use crate::audit::Audit;
use crate::auth::{Auth, Identity};
use crate::dialect::command::{Command, Done, NO_ANSWER, Numbered, Reply};
use crate::dialect::{Commands, Dialect, Malformed, Reader, socketio};
use crate::limits::UserLimits;
use crate::log_limit::LogLimits;
use crate::outbox::{Drained, FRAMES_PER_FLUSH, Frame, Outbox, SessionId};
use crate::people::People;
use crate::presence::Presence;
use crate::publish::{Publisher, Turns};
use crate::recover::Recoverer;
use crate::review::Reviewer;
use crate::telemetry::Telemetry;
use clock::Clock;
use confab_config::Limits;
use confab_protocol::{Close, Refusal, Room};
use futures_util::FutureExt;
use joins::{Membership, No};
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
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(1);
/// Frames read in a row before what is queued must leave.
const READS_PER_FLUSH: usize = 64;
/// The most commands of one frame, unless a session may be in more rooms: clients come back to all of theirs in one.
const COMMANDS_PER_FRAME_MAX: usize = 1024;
/// Flushes in a row before the link is looked at, where it has said nothing.
const FLUSHES_PER_READ: usize = 16;

/// What a session may call on.
pub struct Door {
    /// Who may do what, where.
    pub access: Arc<Access>,
    /// The way in.
    pub publisher: Arc<Publisher>,
    /// The way back.
    pub recoverer: Arc<Recoverer>,
    /// Who is here.
    pub presence: Arc<Presence>,
    /// Who is connected here.
    pub people: Arc<People>,
    /// What moderators can do.
    pub reviewer: Arc<Reviewer>,
    /// Where it is written down what moderators do.
    pub audit: Arc<Audit>,
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
    door: Arc<Door>,
    dialect: Dialect,
    reader: Reader,
    id: SessionId,
    uuid: Uuid,
    client: String,
    outbox: Arc<Outbox>,
    pace: typing::Pace,
    /// How often it asks who is in a room.
    asks: typing::Pace,
    identity: Option<Identity>,
    /// Whoever acts here: as `identity` says, under this session's name.
    actor: Option<Arc<Actor>>,
    /// How often it tried to say who it is.
    connects: u8,
    rooms: HashMap<Room, Membership>,
    turns: Turns,
    in_flight: Arc<Semaphore>,
    clock: Clock,
    admission: Admission,
    /// What the client did wrong, where that ends the session.
    breach: Option<String>,
}

/// Lives a socket's life and ends it in order.
pub async fn run(mut link: impl Link, door: Arc<Door>, dialect: Dialect, admission: Admission) {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let uuid = Uuid::now_v7();
    let mut session = Session {
        id: NEXT.fetch_add(1, Ordering::Relaxed),
        uuid,
        client: uuid.to_string(),
        pace: typing::Pace::of_typing(),
        asks: typing::Pace::of_presence(),
        outbox: Arc::new(Outbox::new(door.limits.outbox.bytes())),
        identity: None,
        actor: None,
        connects: 0,
        rooms: HashMap::new(),
        turns: Turns::default(),
        in_flight: Arc::new(Semaphore::new(door.limits.commands_in_flight)),
        admission,
        breach: None,
        clock: Clock::opened(&door.limits),
        reader: dialect.reader(door.limits.frame.bytes(), door.mapping.clone()),
        dialect,
        door,
    };
    let telemetry = session.door.telemetry.clone();
    telemetry.sessions.inc();
    telemetry.sessions_opened.inc();
    let close = session.live(&mut link).await;
    session.outbox.close(close.unwrap_or(Close::Normal));
    Box::pin(session.leave_all()).await;
    telemetry.passing_let_go.inc_by(session.outbox.take_let_go());
    if let Some(identity) = &session.identity {
        session.door.people.went(&identity.user, session.id);
    }
    if let Some(close) = close {
        telemetry.closed(close);
        session.note(close);
        tracing::debug!(client = session.client, reason = close.reason(), "closing a session");
        let farewell = session.dialect.farewell(close, session.identity.is_some());
        if !farewell.is_empty() {
            // A client that does not read it learns the end from the link.
            let _ = tokio::time::timeout(FAREWELL_TIMEOUT, link.send(farewell)).await;
        }
        link.close(close).await;
    }
    telemetry.sessions.dec();
}

impl Session {
    /// The loop. `None`: the client went away.
    async fn live(&mut self, link: &mut impl Link) -> Option<Close> {
        let outbox = self.outbox.clone();
        let in_flight = self.in_flight.clone();
        let farewell = farewell::due(self.door.clone(), self.id, in_flight.clone());
        let alarm = sleep_until(self.clock.next());
        tokio::pin!(alarm, farewell);
        let (mut reads, mut flushes, mut leaving) = (0, 0, false);
        // Of the frame that was read last.
        let mut commands = None;
        loop {
            if reads >= READS_PER_FLUSH {
                // A client that sends without a pause must not keep its answers, other sessions or a drain waiting.
                reads = 0;
                tokio::task::yield_now().await;
                self.look_up();
                if !leaving && farewell.as_mut().now_or_never().is_some() {
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
                    rearm(alarm.as_mut(), &self.clock);
                }
                () = outbox.filled(), if !listens => {
                    (reads, flushes) = (0, 0);
                    if let Some(close) = self.flush(link, &outbox).await {
                        return close;
                    }
                }
                () = alarm.as_mut() => {
                    reads = 0;
                    self.look_up();
                    Box::pin(self.end_expired()).await;
                    rearm(alarm.as_mut(), &self.clock);
                }
                () = farewell.as_mut(), if !leaving => {
                    leaving = true;
                    self.outbox.close(Close::Shutdown); // what is queued still leaves
                }
            }
        }
    }

    /// Sends what is queued, as much as leaves in one flush. `Some`: the session ends.
    async fn flush(&mut self, link: &mut impl Link, outbox: &Outbox) -> Option<Option<Close>> {
        if outbox.summoned() {
            Box::pin(self.look_at_user()).await;
        }
        let mut frames = Vec::with_capacity(FRAMES_PER_FLUSH.min(8));
        match outbox.drain(&mut frames) {
            Drained::Close(close) => Some(Some(close)),
            Drained::Frames => {
                let bytes: usize = frames.iter().map(Frame::len).sum();
                self.door.telemetry.bytes_out.inc_by(bytes as u64);
                // A client that does not read holds the flush; what then gathers behind it makes it slow.
                tokio::select! {
                    biased;
                    sent = link.send(frames) => if sent.is_err() { Some(None) } else { None },
                    close = outbox.overflowed() => Some(Some(close)),
                    () = unread(&self.door.limits) => Some(Some(Close::NoPong)),
                }
            }
        }
    }

    /// Something is due: a ping, a missing pong, a token's end, or a socket that never said who it is.
    fn look_up(&mut self) {
        if self.in_flight.available_permits() == 0 {
            self.clock.not_reading(&self.door.limits);
        }
        let now = Instant::now();
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if due(self.clock.stale_at) {
            self.outbox.close(Close::Stale);
        } else if due(self.clock.pong_by) {
            self.outbox.close(Close::NoPong);
        } else if due(self.clock.expires_at) {
            self.outbox.close(Close::Expired);
        } else if due(self.clock.ping_at) {
            if let Some(ping) = self.dialect.ping() {
                self.outbox.push(ping);
                self.clock.pinged(&self.door.limits);
            }
            return;
        } else {
            return;
        }
        self.clock = Clock::default();
    }

    /// A frame came, whatever is in it.
    fn came(&mut self, frame: &Frame) {
        self.door.telemetry.bytes_in.inc_by(frame.len() as u64);
        self.clock.heard();
    }

    fn read(&mut self, frame: &Frame) -> Result<Commands, Close> {
        let most = COMMANDS_PER_FRAME_MAX.max(self.door.limits.rooms_per_session);
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
            self.door.refused.note(close.reason(), self.admission.from, self.breach.as_deref().unwrap_or_default());
        }
    }

    /// Refuses every command of a frame that is larger than may be. Where none can be found in it, the session ends, and the
    /// client does not come back with the same.
    fn refuse_oversized(&mut self, frame: &Frame) -> Result<(), Close> {
        let what = format!("frame has {} bytes, `limits.frame` is {}", frame.len(), self.door.limits.frame);
        let refusal = Refusal::LimitExceeded(what.into());
        for command in self.read(frame).map_err(|_| Close::TooLarge)? {
            let Numbered { number, command } = command.map_err(|_| Close::TooLarge)?;
            let refusal = refusal.clone();
            match command {
                Command::Pong | Command::Send => {}
                Command::Connect { .. } => self.answer(number.unwrap_or_default(), &Reply::NotConnected(refusal)),
                _ => self.answer(number.unwrap_or(NO_ANSWER), &Reply::Refused(refusal)),
            }
        }
        Ok(())
    }

    /// Joins and the like are boxed: they are large and rare, and every session would hold room for them all its life.
    async fn command(&mut self, Numbered { number, command }: Numbered) -> Result<(), Close> {
        if let Command::Pong = command {
            return Ok(()); // that anything came was noted
        }
        if let Command::Answered(frame) = command {
            self.outbox.push(frame);
            return Ok(());
        }
        if let Command::NotJson = command {
            let refusal = Refusal::BadRequest("`data` is no JSON".into());
            self.answer(number.unwrap_or_default(), &Reply::Refused(refusal));
            return Ok(());
        }
        let Some(identity) = self.identity.clone() else {
            return match command {
                Command::Goodbye => Err(Close::Normal),
                Command::Listen { .. } => Ok(()), // the connect before it was refused
                Command::Connect { token, data, subs } => {
                    Box::pin(self.connect(number, &token, data.as_ref(), &subs)).await
                }
                _ => Err(Close::BadRequest), // the first command must be connect
            };
        };
        let number = number.unwrap_or(NO_ANSWER);
        if command.is_work()
            && let Err(refusal) = self.door.user_limits.command(&identity.user)
        {
            if let Command::Mapped { event, key, .. } = command {
                self.mapped(number, &identity, event, Err(refusal), key).await;
            } else {
                self.answer(number, &Reply::Refused(refusal));
            }
            return Ok(());
        }
        match command {
            Command::Connect { .. } if self.dialect == Dialect::SocketIo => {} // it is in already, and stays
            Command::Connect { .. } => return Err(Close::BadRequest),
            Command::Subscribe { room, .. }
            | Command::Unsubscribe { room }
            | Command::Publish { room, .. }
            | Command::History { room, .. }
            | Command::SubRefresh { room, .. }
            | Command::Presence { room }
            | Command::PresenceStats { room }
                if room.is_empty() =>
            {
                return Err(Close::BadRequest); // as the protocol has it: such a client is broken
            }
            Command::Subscribe { room, wish } => {
                let done = Box::pin(self.subscribe(number, &identity, &room, wish)).await;
                self.or_no(number, done)?;
            }
            Command::Listen { room } if self.listens(&room) => {}
            Command::Listen { room } => {
                if let Err(no) = Box::pin(self.listen(&identity, &room)).await {
                    let refusal = match no {
                        // It would be refused again: such a front end need not come back.
                        No::Refused(Refusal::Plugin { .. }) => return Err(Close::PermissionDenied),
                        No::Refused(refusal) => refusal,
                        No::Closed(close) => return Err(close),
                    };
                    tracing::warn!(client = self.client, room, refusal = %refusal.message(), "could not enter a mapped room");
                    return Err(Close::InsufficientState); // a front end that cannot be told comes back and tries again
                }
            }
            Command::Unsubscribe { room } => {
                Box::pin(self.unsubscribe(&room)).await;
                self.answer(number, &Reply::Empty(Done::Unsubscribe));
            }
            Command::SubRefresh { room, token } => {
                let done = Box::pin(self.sub_refresh(&identity, &room, &token)).await;
                self.or_no(number, done.map(|reply| self.answer(number, &reply)))?;
            }
            Command::Refresh { token } => Box::pin(self.refresh(number, &identity, &token)).await?,
            Command::Publish { room, data } => self.publish(number, &identity, &room, data).await,
            Command::Mapped { event, send, key } => self.mapped(number, &identity, event, send, key).await,
            Command::Rpc { method, data } => self.rpc(number, &identity, &method, data).await,
            Command::History { room, since, reverse, limit } => {
                self.history(number, &identity, &room, since, reverse, limit).await;
            }
            Command::Send => {} // nobody listens to a client's asynchronous messages; the protocol expects no answer
            Command::Presence { room } => self.who(number, &identity, &room, true).await,
            Command::PresenceStats { room } => self.who(number, &identity, &room, false).await,
            Command::Unavailable => self.answer(number, &Reply::Refused(Refusal::NotAvailable)),
            Command::Unknown => self.answer(number, &Reply::Refused(Refusal::MethodNotFound)),
            Command::Refused(refusal) => self.answer(number, &Reply::Refused(refusal)),
            Command::Goodbye => return Err(Close::Normal),
            Command::Pong | Command::Answered(_) | Command::NotJson => {}
        }
        Ok(())
    }

    fn answer(&self, number: u32, reply: &Reply) {
        self.outbox.push(answer::frame(&self.dialect, &self.outbox, number, reply));
    }

    /// Answers what came to nothing, or ends the session.
    fn or_no(&self, number: u32, done: Result<(), No>) -> Result<(), Close> {
        match done {
            Ok(()) => Ok(()),
            Err(No::Refused(refusal)) => {
                self.answer(number, &Reply::Refused(refusal));
                Ok(())
            }
            Err(No::Closed(close)) => Err(close),
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

fn rearm(alarm: std::pin::Pin<&mut Sleep>, clock: &Clock) {
    let next = clock.next();
    if alarm.deadline() != next {
        alarm.reset(next);
    }
}
