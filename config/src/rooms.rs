//! What a room is, by its name: all `[[room]]` rules that match, one over the other.

use crate::pattern::Patterns;
use crate::settings::{
    BeginRule, BodyShape, Config, CreateRule, HotWindow, JoinLeave, JoinRule, Permissions, Rank, Reactions, RoomRule,
};
use arc_swap::ArcSwap;
use std::sync::Arc;
use std::time::Duration;

/// What the names of rooms of two people begin with. What they are follows from that: rules may set their window and the like,
/// and never who may join.
pub const DIRECT: &str = "direct:";

/// How many hexadecimal digits follow it: a hash of the two. Any other name that begins so is as rules have it.
const DIRECT_DIGITS: usize = 32;

/// Whether a room of this name is one of two people.
pub fn is_direct(room: &str) -> bool {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    room.strip_prefix(DIRECT).is_some_and(|digits| digits.len() == DIRECT_DIGITS && digits.bytes().all(is_digit))
}

/// The most members of a room where no rule says anything.
const MEMBERS_MAX: u64 = 100_000;

/// The settings of one room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoomSettings {
    /// How much of the timeline is kept at hand for recovery.
    pub hot_window: HotWindow,
    /// Whether recovery goes on, past the hot window, in the store.
    pub deep_recovery: bool,
    /// How long events are kept; zero: for ever.
    pub retention: Duration,
    /// Who may join.
    pub join: JoinRule,
    /// Who may begin it.
    pub begin: BeginRule,
    /// Who may make it, where its members are who may join.
    pub create: CreateRule,
    /// The most members that it may have.
    pub max_members: u64,
    /// The rank that each act needs.
    pub permissions: Permissions,
    /// Whether those who listen can be asked for.
    pub presence: bool,
    /// Who is told who comes and goes.
    pub join_leave: JoinLeave,
    /// What the body of a message is.
    pub body: BodyShape,
    /// What a reaction is.
    pub reactions: Reactions,
}

impl Default for RoomSettings {
    fn default() -> Self {
        Self {
            hot_window: HotWindow::default(),
            deep_recovery: true,
            retention: Duration::ZERO,
            join: JoinRule::Anyone,
            begin: BeginRule::Anyone,
            create: CreateRule::Anyone,
            max_members: MEMBERS_MAX,
            permissions: Permissions::default(),
            presence: false,
            join_leave: JoinLeave::Nobody,
            body: BodyShape::Any,
            reactions: Reactions::Emoji,
        }
    }
}

/// All rules, ready to be asked for every room. Asking allocates nothing. Clones share the rules: what
/// [`Rooms::replace`] puts in place holds for all of them.
#[derive(Clone, Debug, Default)]
pub struct Rooms {
    rules: Arc<ArcSwap<Rules>>,
}

#[derive(Debug, Default)]
struct Rules {
    list: Vec<(Patterns, RoomRule)>,
    restrict: bool,
    /// How many of them, in the beginning, stand for what `[store]` says.
    of_store: usize,
}

impl Rooms {
    /// Reads the rules' patterns. A rule whose patterns cannot be read matches nothing; [`Config::validate`] names it,
    /// and [`load`](crate::load()) lets no such rule pass.
    pub fn new(config: &Config) -> Self {
        Self { rules: Arc::new(ArcSwap::from_pointee(read(config))) }
    }

    /// Puts the rules of other settings in place of these, for every clone, from the next question on.
    pub fn replace(&self, config: &Config) {
        self.rules.store(Arc::new(read(config)));
    }

    /// The shortest time for which any rule has events kept; `None` where all are kept for ever.
    pub fn shortest_retention(&self) -> Option<Duration> {
        let rules = self.rules.load();
        rules.list.iter().filter_map(|(_, rule)| rule.retention).filter(|retention| !retention.is_zero()).min()
    }

    /// Whether any of these rules says that rooms have members, or which rank an act needs.
    pub fn restrict(&self) -> bool {
        self.rules.load().restrict
    }

    /// The patterns of the rules that match a room, in their order, each with its place among all `[[room]]`, from 1.
    pub fn matching(&self, room: &str) -> Vec<(usize, Vec<String>)> {
        let rules = self.rules.load();
        let all =
            rules.list.iter().skip(rules.of_store).enumerate().filter(|(_, (patterns, _))| patterns.matches(room));
        all.map(|(at, (_, rule))| (at + 1, rule.r#match.clone())).collect()
    }

    /// The settings of the room with this name: of every key, what the last matching rule says that says anything.
    pub fn settings(&self, room: &str) -> RoomSettings {
        let mut settings = RoomSettings::default();
        for (_, rule) in self.rules.load().list.iter().filter(|(patterns, _)| patterns.matches(room)) {
            if let Some(window) = &rule.hot_window {
                settings.hot_window.events = window.events.unwrap_or(settings.hot_window.events);
                settings.hot_window.age = window.age.unwrap_or(settings.hot_window.age);
            }
            settings.deep_recovery = rule.deep_recovery.unwrap_or(settings.deep_recovery);
            settings.retention = rule.retention.unwrap_or(settings.retention);
            settings.join = rule.join.unwrap_or(settings.join);
            settings.begin = rule.begin.unwrap_or(settings.begin);
            settings.create = rule.create.unwrap_or(settings.create);
            settings.max_members = rule.max_members.unwrap_or(settings.max_members);
            settings.permissions =
                rule.permissions.as_ref().map_or(settings.permissions, |rule| settings.permissions.under(rule));
            settings.presence = rule.presence.unwrap_or(settings.presence);
            settings.join_leave = rule.join_leave.unwrap_or(settings.join_leave);
            settings.body = rule.body.unwrap_or(settings.body);
            settings.reactions = rule.reactions.unwrap_or(settings.reactions);
        }
        if is_direct(room) {
            settings.join = JoinRule::Members;
            settings.begin = BeginRule::Anyone;
            settings.permissions = Permissions { invite: Rank::Nobody, remove: Rank::Nobody, ..Permissions::default() };
        }
        settings
    }
}

/// The rules, after one for every room that says what `[store]` says.
fn read(config: &Config) -> Rules {
    let readable = |rule: &RoomRule| Some((Patterns::new(&rule.r#match).ok()?, rule.clone()));
    let kept = Some(config.store.retention).filter(|retention| !retention.is_zero());
    let every = kept.map(|_| RoomRule { r#match: vec!["**".into()], retention: kept, ..RoomRule::default() });
    let list: Vec<(Patterns, RoomRule)> = every.iter().chain(&config.room).filter_map(readable).collect();
    let restricts =
        |(_, rule): &(Patterns, RoomRule)| rule.join == Some(JoinRule::Members) || rule.permissions.is_some();
    Rules { restrict: list.iter().any(restricts), of_store: usize::from(kept.is_some()), list }
}

impl Config {
    /// The settings of one room. Whoever asks often keeps a [`Rooms`].
    pub fn room(&self, name: &str) -> RoomSettings {
        Rooms::new(self).settings(name)
    }
}
