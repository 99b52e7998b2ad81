//! Builds the parts of a hub and introduces them to one another.

use super::{Error, retention};
use crate::access::Access;
use crate::admission::Refused;
use crate::audit::Audit;
use crate::auth::Auth;
use crate::backends::{Backends, DataFolder};
use crate::background::Background;
use crate::deliver::audience::LocalAudience;
use crate::deliver::{Deliverer, expel};
use crate::dialect::socketio::Mapping;
use crate::hub::Hub;
use crate::hub::reload::Reloader;
use crate::limits::UserLimits;
use crate::log_limit::LogLimits;
use crate::members::Members;
use crate::people::People;
use crate::plugin::Chain;
use crate::presence::Presence;
use crate::publish::{EmitQueue, Leaving, Outages, Publisher};
use crate::recover::{BRINGING_AT_ONCE, READING_AT_ONCE, Recoverer};
use crate::review::Reviewer;
use crate::room::Rooms;
use crate::room::page_cache::CacheBytes;
use crate::sanctions::Sanctions;
use crate::session::Environment;
use crate::signals::Signals;
use crate::telemetry::Telemetry;
use crate::verb::Services;
use arc_swap::ArcSwap;
use confab_config::{Loaded, Profile, Rooms as RoomRules};
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A hub whose parts work, and that nobody reaches yet.
pub(super) struct Running {
    pub(super) hub: Arc<Hub>,
    /// What sessions share.
    pub(super) env: Arc<Environment>,
    /// What works beside the sessions.
    pub(super) background: Background,
    /// Writes down what operators and moderators did, to the very end.
    pub(super) auditing: Background,
    /// Brings what the timeline relays to the rooms.
    pub(super) delivering: JoinHandle<()>,
    /// The embedded hub's folder.
    pub(super) folder: Option<DataFolder>,
}

/// What several parts know.
struct Shared {
    rooms: Arc<Rooms>,
    people: Arc<People>,
    signals: Arc<Signals>,
    sanctions: Arc<Sanctions>,
    members: Arc<Members>,
    access: Arc<Access>,
    rules: RoomRules,
    user_limits: Arc<UserLimits>,
    telemetry: Arc<Telemetry>,
    /// The sends and reads under way.
    tasks: TaskTracker,
    background: Background,
    draining: CancellationToken,
}

impl Running {
    /// Builds everything; what works beside the sessions has begun when this returns.
    pub(super) async fn begin(
        loaded: &Loaded,
        chain: Chain,
        telemetry: Arc<Telemetry>,
        backends: Backends,
    ) -> Result<Self, Error> {
        let config = &loaded.config;
        let auth = Arc::new(Auth::of(config)?);
        let shared = Shared::new(loaded, telemetry, &backends);
        shared.follow_keys(&auth);
        let auditing = Background::default();
        let (audit, writer) = Audit::new(backends.store.clone(), config.audit_retention, shared.telemetry.clone());
        auditing.spawn(writer.run(auditing.stop()));
        tokio::join!(shared.sanctions.look_at_start(), shared.members.look_at_start());
        let publisher = shared.publisher(loaded, chain, &backends);
        let recoverer = shared.recoverer(loaded, &backends);
        let reviewer = shared.reviewer(config.profile(), &publisher, &backends);
        let presence = shared.presence(&backends);
        shared.follow_sanctions(config.profile());
        shared.keep_retention(config.profile(), &backends);
        shared.follow_members(config.profile());
        let reloader = Arc::new(Reloader::new(
            loaded,
            publisher.clone(),
            shared.rules.clone(),
            shared.members.clone(),
            shared.telemetry.clone(),
        ));
        let services = Arc::new(Services {
            access: shared.access.clone(),
            members: shared.members.clone(),
            store: backends.store.clone(),
            publisher: publisher.clone(),
            recoverer,
            presence,
            reviewer,
            signals: shared.signals.clone(),
            audit: Arc::new(audit),
            rules: shared.rules.clone(),
            limits: config.limits.clone(),
            telemetry: shared.telemetry.clone(),
            tasks: shared.tasks.clone(),
        });
        let hub = Arc::new(Hub {
            profile: config.profile(),
            store: backends.store,
            timeline: backends.timeline.clone(),
            journal: backends.journal,
            publisher,
            rooms: shared.rooms.clone(),
            telemetry: shared.telemetry.clone(),
            reloader,
            services: services.clone(),
            tasks: shared.tasks,
            draining: shared.draining.clone(),
        });
        let env = Arc::new(Environment {
            services,
            people: shared.people,
            members: shared.members.clone(),
            rooms: shared.rooms.clone(),
            rules: shared.rules,
            auth,
            refused_tokens: LogLimits::default(),
            refused: Refused::new(shared.telemetry.clone()),
            user_limits: shared.user_limits,
            refresh_grace: config.auth.refresh_grace,
            limits: config.limits.clone(),
            mapping: Arc::new(Mapping::new(&config.socketio)),
            telemetry: shared.telemetry.clone(),
            draining: shared.draining.clone(),
            drain_spread: config.drain_timeout / 3,
        });
        let deliverer = Deliverer {
            rooms: shared.rooms,
            timeline: backends.timeline,
            signals: shared.signals,
            telemetry: shared.telemetry,
        };
        let delivering = tokio::spawn(deliverer.run(backends.relay));
        Ok(Self { hub, env, background: shared.background, delivering, auditing, folder: backends.folder })
    }
}

impl Shared {
    fn new(loaded: &Loaded, telemetry: Arc<Telemetry>, backends: &Backends) -> Self {
        let rooms = Arc::new(Rooms::default());
        let people = Arc::new(People::default());
        let put_out = expel(people.clone(), rooms.clone());
        let sanctions = Arc::new(Sanctions::new(backends.store.clone(), backends.timeline.clone(), put_out));
        let timeline = backends.timeline.clone();
        let audience = LocalAudience { people: people.clone(), rooms: rooms.clone() };
        let members = Arc::new(Members::new(backends.store.clone(), timeline.clone(), Box::new(audience)));
        let rules = RoomRules::new(&loaded.config);
        let signals =
            Arc::new(Signals::new(timeline, rooms.clone(), people.clone(), sanctions.clone(), members.clone()));
        Self {
            rooms,
            people,
            signals,
            access: Arc::new(Access::new(sanctions.clone(), members.clone(), rules.clone())),
            members,
            sanctions,
            rules,
            user_limits: Arc::new(UserLimits::new(&loaded.config.limits, telemetry.clone())),
            telemetry,
            tasks: TaskTracker::new(),
            background: Background::default(),
            draining: CancellationToken::new(),
        }
    }

    fn publisher(&self, loaded: &Loaded, chain: Chain, backends: &Backends) -> Arc<Publisher> {
        Arc::new(Publisher {
            timeline: backends.timeline.clone(),
            journal: backends.journal.clone(),
            outages: Outages::new(loaded.config.journal.kafka.as_ref()),
            store: backends.store.clone(),
            signals: self.signals.clone(),
            access: self.access.clone(),
            sanctions: self.sanctions.clone(),
            emits: EmitQueue::default(),
            leaving: Leaving::default(),
            chain: ArcSwap::from_pointee(chain),
            limits: loaded.config.limits.clone(),
            rules: self.rules.clone(),
            telemetry: self.telemetry.clone(),
            user_limits: self.user_limits.clone(),
            tasks: self.tasks.clone(),
            draining: self.draining.clone(),
            log_limits: LogLimits::default(),
        })
    }

    fn recoverer(&self, loaded: &Loaded, backends: &Backends) -> Arc<Recoverer> {
        Arc::new(Recoverer {
            timeline: backends.timeline.clone(),
            store: backends.store.clone(),
            rooms: self.rooms.clone(),
            limits: loaded.config.limits.clone(),
            rules: self.rules.clone(),
            telemetry: self.telemetry.clone(),
            cached: CacheBytes::default(),
            bringing: Arc::new(Semaphore::new(BRINGING_AT_ONCE)),
            reading: Semaphore::new(READING_AT_ONCE),
            background: self.background.clone(),
        })
    }

    fn reviewer(&self, profile: Profile, publisher: &Arc<Publisher>, backends: &Backends) -> Arc<Reviewer> {
        let reviewer = Arc::new(Reviewer::new(
            backends.store.clone(),
            publisher.clone(),
            self.signals.clone(),
            self.sanctions.clone(),
            self.telemetry.clone(),
        ));
        if profile == Profile::Cluster {
            let stop = self.draining.clone();
            let looking = reviewer.clone();
            self.background.spawn(async move { looking.look_again(stop).await });
        }
        reviewer
    }

    fn presence(&self, backends: &Backends) -> Arc<Presence> {
        let (presence, changes) = Presence::new(backends.timeline.clone(), self.rules.clone());
        let presence = Arc::new(presence);
        let stop = self.background.stop();
        let telling = presence.clone();
        self.background.spawn(async move { telling.run(changes, stop).await });
        presence
    }

    fn follow_keys(&self, auth: &Arc<Auth>) {
        let stop = self.background.stop();
        let auth = auth.clone();
        self.background.spawn(async move { auth.follow(stop).await });
    }

    /// In a cluster the consumers do it.
    fn keep_retention(&self, profile: Profile, backends: &Backends) {
        if profile == Profile::Embedded {
            let (store, rules) = (backends.store.clone(), self.rules.clone());
            self.background.spawn(retention::keep(store, rules, self.telemetry.clone(), self.background.stop()));
        }
    }

    fn follow_members(&self, profile: Profile) {
        let stop = self.background.stop();
        let members = self.members.clone();
        let alone = profile == Profile::Embedded;
        self.background.spawn(async move { members.follow(alone, stop).await });
    }

    fn follow_sanctions(&self, profile: Profile) {
        let stop = self.background.stop();
        let sanctions = self.sanctions.clone();
        let alone = profile == Profile::Embedded;
        self.background.spawn(async move { sanctions.follow(alone, stop).await });
    }
}
