//! Who belongs to rooms that have members, as far as this hub needs to know: the rooms of the people who are connected to it.
//! The store is the authority.
//!
//! What a hub knows of somebody is read when they connect, and follows the versions of the store from then on: it looks each
//! second, and at once where another hub tells of news. That somebody was removed holds as soon as it is told; that somebody was
//! added holds once the store says so. While the store is away what is known stays.

mod known;

use crate::timeline::Timeline;
use confab_protocol::signal::MemberChanged;
use confab_protocol::{Refusal, Room, Signal, UserId};
use confab_store::{Error, Member, MemberChange, MemberVersion, Outcome, Role, Store};
use known::KnownMembers;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Mutex, Notify};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

/// How often the store is asked for news that nobody told of.
const LOOK: Duration = Duration::from_secs(1);
/// How long a client that connects, or the start, waits for the store to say who belongs where.
const DEADLINE: Duration = Duration::from_secs(2);
/// The most rows that are read at once.
const AT_ONCE: usize = 1000;
/// The most rooms of one user. The rest of them is not known, and so not open to them.
pub const ROOMS_OF_USER_MAX: usize = 10_000;
/// How often marks of old versions are removed, and how many of each counter stay.
const TIDY: Duration = Duration::from_secs(600);
const MARKS_KEPT: u64 = 1000;

/// Where people are, and how they are told.
pub trait Audience: Send + Sync {
    /// Whether somebody is connected to this hub.
    fn is_here(&self, user: &UserId) -> bool;
    /// Everybody who is connected to this hub.
    fn everybody(&self) -> Vec<UserId>;
    /// What somebody is was read anew: their sessions are to look whether they may stay where they are.
    fn read_anew(&self, user: &UserId);
    /// What somebody is in a room has changed: whoever was removed hears nothing more there.
    fn changed(&self, user: &UserId, room: &Room, role: Option<Role>);
}

/// What a hub knows of somebody in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// They are a member.
    In(Role),
    /// They are none, or there is no such room.
    Out,
    /// It is not known: the store has not said yet.
    Unknown,
}

/// A session that is connecting: what its user belongs to is known while this is there.
pub struct Connecting {
    members: Arc<Members>,
    user: UserId,
}

impl Connecting {
    /// Reads what the user belongs to, if it is not known and the store says it in time.
    pub async fn begin(members: Arc<Members>, user: UserId) -> Self {
        let connecting = Self { members, user };
        connecting.members.came(&connecting.user).await;
        connecting
    }
}

impl Drop for Connecting {
    fn drop(&mut self) {
        self.members.known.settles(&self.user);
        self.members.went(&self.user);
    }
}

/// Who belongs where.
pub struct Members {
    store: Store,
    timeline: Timeline,
    audience: Box<dyn Audience>,
    known: KnownMembers,
    /// The last version of each counter that was read. Held while news are taken in.
    last: Mutex<Vec<MemberVersion>>,
    /// Whether anybody is a member of anything: if not, nothing need be read of those who connect.
    in_use: AtomicBool,
    /// Whether the store has answered since the start.
    asked: AtomicBool,
    news: Notify,
    changes: AtomicU64,
}

impl Members {
    /// Nobody is known, until [`Self::look`].
    pub fn new(store: Store, timeline: Timeline, audience: Box<dyn Audience>) -> Self {
        Self {
            store,
            timeline,
            audience,
            known: KnownMembers::default(),
            last: Mutex::default(),
            in_use: AtomicBool::new(false),
            asked: AtomicBool::new(false),
            news: Notify::new(),
            changes: AtomicU64::new(0),
        }
    }

    /// The rules of rooms have changed: whoever is where only members may be now is to leave.
    pub fn rules_changed(&self) {
        self.changed();
        self.audience.everybody().iter().for_each(|user| self.audience.read_anew(user));
    }

    /// How often anything has changed: what was found here holds for as long as this number stays.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// What somebody who is connected here is in a room.
    pub fn standing(&self, user: &UserId, room: &Room) -> Standing {
        match self.known.of(user, room) {
            Some(standing) => standing,
            // Nothing was read of them, since there was nothing to read.
            None if self.asked.load(Ordering::Acquire) => Standing::Out,
            None => Standing::Unknown,
        }
    }

    /// What somebody is in a room, wherever they are.
    ///
    /// # Errors
    /// [`Refusal::StoreUnavailable`].
    pub async fn role(&self, user: &UserId, room: &Room) -> Result<Option<Role>, Refusal> {
        match self.known.of(user, room) {
            Some(Standing::In(role)) => Ok(Some(role)),
            Some(Standing::Out) => Ok(None),
            Some(Standing::Unknown) | None => self.store.role(room, user).await.map_err(|error| {
                tracing::warn!(%room, %user, %error, "could not ask who belongs to a room");
                Refusal::StoreUnavailable
            }),
        }
    }

    /// Somebody connects: what they belong to is read, if it is not known, and kept up until they are gone.
    async fn came(&self, user: &UserId) {
        if !self.in_use.load(Ordering::Acquire) && self.asked.load(Ordering::Acquire) {
            return;
        }
        if self.known.comes(user) {
            match timeout(DEADLINE, self.load(user)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!(%user, %error, "could not read somebody's rooms, trying again"),
                Err(_) => tracing::debug!(%user, "the store does not say somebody's rooms, trying again"),
            }
        }
    }

    /// A session of somebody has ended.
    pub fn went(&self, user: &UserId) {
        self.known.goes(user, || self.audience.is_here(user));
    }

    async fn load(&self, user: &UserId) -> Result<(), Error> {
        let mut rooms: Vec<Member> = Vec::new();
        loop {
            let page = self.store.rooms_of(user, rooms.last().map(|member| &member.room), AT_ONCE).await?;
            let is_last = page.len() < AT_ONCE;
            rooms.extend(page);
            if is_last || rooms.len() >= ROOMS_OF_USER_MAX {
                break;
            }
        }
        self.known.loaded(user, rooms);
        self.changed();
        self.audience.read_anew(user);
        Ok(())
    }

    fn changed(&self) {
        self.changes.fetch_add(1, Ordering::Release);
    }

    /// Changes who belongs to a room: kept in the store, in force on this hub, and told to the others.
    ///
    /// # Errors
    /// [`Refusal::StoreUnavailable`]: perhaps nothing has changed, and to ask again does no harm.
    pub async fn change(&self, asked: &MemberChange) -> Result<Outcome, Refusal> {
        let outcome = self.store.change_member(asked).await.map_err(|error| {
            tracing::warn!(room = %asked.room, user = %asked.user, %error, "could not change who belongs to a room");
            Refusal::StoreUnavailable
        })?;
        if let Outcome::Changed(version) = outcome {
            let removed = asked.change == confab_store::Membership::Remove;
            let told = MemberChanged { room: asked.room.clone(), user: asked.user.clone(), version, removed };
            self.heard(&told);
            self.take_in().await;
            self.tell_others(told).await;
        }
        Ok(outcome)
    }

    /// A room was made with these members: in force here, and told to the others.
    pub async fn created(&self, room: &Room, members: &[UserId]) {
        self.take_in().await;
        for user in members {
            let told = MemberChanged { room: room.clone(), user: user.clone(), version: 0, removed: false };
            self.tell_others(told).await;
        }
    }

    /// Reads what is new in the store: what was written before this is in force here when this returns.
    pub async fn take_in(&self) {
        if let Err(error) = self.look().await {
            tracing::warn!(%error, "could not read back who belongs to a room, trying again");
            self.news.notify_one();
        }
    }

    async fn tell_others(&self, told: MemberChanged) {
        if let Err(error) = self.timeline.tell(&Signal::to_hubs(told)).await {
            tracing::debug!(%error, "could not tell other hubs who belongs to a room: they find it in the store");
        }
    }

    /// Who belongs to a room has changed in the store, another hub says.
    pub fn heard(&self, told: &MemberChanged) {
        let MemberChanged { room, user, version, removed } = told;
        if *removed {
            self.take(&Member { room: room.clone(), user: user.clone(), role: None, version: *version });
        }
        self.news.notify_one();
    }

    /// Asks who belongs where before anyone may come, for as long as that may hold up the start.
    pub async fn look_at_start(&self) {
        match timeout(DEADLINE, self.look()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "could not ask who belongs to rooms, trying again"),
            Err(_) => tracing::warn!("the store does not say who belongs to rooms, trying again"),
        }
    }

    /// Reads what is new in the store.
    ///
    /// # Errors
    /// The store's; what is known stays.
    pub async fn look(&self) -> Result<(), Error> {
        let mut last = self.last.lock().await;
        let now = self.store.member_versions().await?;
        let first = !self.asked.load(Ordering::Acquire);
        if first || self.is_another(&last, &now).await? {
            if !first {
                tracing::warn!("the store is not the one it was: reading anew who belongs to rooms");
            }
            self.known.forget(self.audience.everybody());
            self.changed();
            last.clone_from(&now);
        }
        self.in_use.fetch_or(now.iter().any(|of| of.version > 0), Ordering::AcqRel);
        self.asked.store(true, Ordering::Release);
        for (counter, (before, now)) in last.iter_mut().zip(now).enumerate() {
            if now.version > before.version {
                self.read(counter as u8, before.version).await?;
                *before = now;
            }
        }
        drop(last);
        for user in self.known.not_loaded(AT_ONCE) {
            self.load(&user).await?;
        }
        Ok(())
    }

    /// Whether the store lacks a version that was read, or has it with another mark. A mark that was removed tells that too much
    /// was missed to follow.
    async fn is_another(&self, last: &[MemberVersion], now: &[MemberVersion]) -> Result<bool, Error> {
        for (counter, (before, now)) in last.iter().zip(now).enumerate() {
            if before.version == 0 {
                continue;
            }
            let mark = match now.version.cmp(&before.version) {
                std::cmp::Ordering::Less => return Ok(true),
                std::cmp::Ordering::Equal => now.mark.clone(),
                std::cmp::Ordering::Greater => self.store.member_mark(counter as u8, before.version).await?,
            };
            if mark != before.mark {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Takes in the changes of a counter after this version.
    async fn read(&self, counter: u8, mut after: u64) -> Result<(), Error> {
        loop {
            let news = self.store.member_changes(counter, after, AT_ONCE).await?;
            for member in &news {
                after = after.max(member.version);
                self.take(member);
            }
            if news.len() < AT_ONCE {
                return Ok(());
            }
        }
    }

    fn take(&self, member: &Member) {
        let Member { room, user, role, version } = member;
        if self.known.take(member, || self.audience.is_here(user)) {
            self.changed(); // before anybody is told: whoever looks now finds it
            tracing::debug!(%room, %user, ?role, version, "who belongs to a room has changed");
            self.audience.changed(user, room, *role);
        }
    }

    /// Follows the store until `stop`, and removes old marks. `alone`: nobody else writes into it.
    pub async fn follow(&self, alone: bool, stop: CancellationToken) {
        let mut away = false;
        let mut tidied = Instant::now();
        loop {
            match self.look().await {
                Ok(()) => away = false,
                Err(error) if !away => {
                    away = true;
                    tracing::warn!(%error, "could not ask who belongs to rooms: hubs hear of changes later");
                }
                Err(_) => {} // said already
            }
            if tidied.elapsed() >= TIDY {
                tidied = Instant::now();
                if let Err(error) = self.store.forget_member_marks(MARKS_KEPT).await {
                    tracing::debug!(%error, "could not remove marks of old versions yet");
                }
            }
            let waiting = timeout(if alone && !away { TIDY } else { LOOK }, self.news.notified());
            if stop.run_until_cancelled(waiting).await.is_none() {
                return;
            }
        }
    }
}
