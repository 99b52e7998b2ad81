//! The hub: builds everyone, introduces them to each other, and ends them in order.

use crate::admin;
use crate::audit::Audit;
use crate::auth::Auth;
use crate::brief::Brief;
use crate::deliver::Deliverer;
use crate::dialect::socketio::Mapping;
use crate::http::{self, Http};
use crate::journal::{self, Journal};
use crate::kv::Kv;
use crate::limits::UserLimits;
use crate::people::People;
use crate::plugin::{Chain, ChainStatus, Observer, Stage};
use crate::presence::Presence;
use crate::publish::{Complaints, Leaving, Outages, Publisher, Speech};
use crate::recover::{BRINGING_AT_ONCE, Recoverer};
use crate::review::Reviewer;
use crate::room::Rooms;
use crate::room::shelf::Weight;
use crate::sanctions::Sanctions;
use crate::session::Door;
use crate::session::engineio::{self, Engine};
use crate::telemetry::Telemetry;
use crate::timeline::{Relay, Timeline};
use arc_swap::ArcSwap;
use confab_config::{Config, Loaded, Profile, Rooms as RoomRules};
use confab_store::Store;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

mod introduce;
pub mod reload;
mod sampled;
mod watch;

use reload::Reloader;

/// Why a hub could not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A port cannot be had.
    #[error("could not listen on {address} (`{setting}`)")]
    Listen {
        /// The setting that names it.
        setting: &'static str,
        /// Where.
        address: std::net::SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The folder for the embedded hub's files cannot be used.
    #[error("could not use the folder {path} (`data`)")]
    Data {
        /// Where.
        path: std::path::PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A setting cannot be used.
    #[error("{0}")]
    Setting(String),
    /// The store cannot be opened.
    #[error("could not open the store")]
    Store(#[from] confab_store::Error),
    /// The timeline cannot be opened.
    #[error("could not open the timeline")]
    Timeline(#[from] crate::timeline::Error),
    /// The journal cannot be opened.
    #[error("could not open the journal")]
    Journal(#[from] journal::Error),
    /// The keys that check tokens cannot be had.
    #[error("could not read the keys that check tokens (`auth`)")]
    Auth(#[from] crate::auth::Error),
    /// The plugins cannot be loaded.
    #[error("could not load the plugins")]
    Plugins(#[from] crate::plugin::Error),
}

/// A running hub.
pub struct Hub {
    /// Its profile.
    pub profile: Profile,
    /// The searchable past.
    pub store: Store,
    timeline: Timeline,
    journal: Journal,
    publisher: Arc<Publisher>,
    recoverer: Arc<Recoverer>,
    rooms: Arc<Rooms>,
    telemetry: Arc<Telemetry>,
    reloader: Arc<Reloader>,
    reviewer: Arc<Reviewer>,
    sanctions: Arc<Sanctions>,
    audit: Arc<Audit>,
    draining: CancellationToken,
}

/// How long the journal may take to let go of what it still holds when the hub ends.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

impl Hub {
    /// What moderators can do.
    pub fn reviewer(&self) -> &Arc<Reviewer> {
        &self.reviewer
    }

    /// Where it is written down what operators and moderators do.
    pub fn audit(&self) -> &Arc<Audit> {
        &self.audit
    }

    /// The way in.
    pub fn publisher(&self) -> &Arc<Publisher> {
        &self.publisher
    }

    /// The way back.
    pub fn recoverer(&self) -> &Arc<Recoverer> {
        &self.recoverer
    }

    /// How the chain that judges now is.
    pub fn chain(&self) -> ChainStatus {
        self.publisher.chain.load().status()
    }

    /// The way to a new chain.
    pub fn reloader(&self) -> &Arc<Reloader> {
        &self.reloader
    }

    /// Whether clients should be sent here.
    pub fn ready(&self) -> Result<(), &'static str> {
        if self.draining.is_cancelled() {
            Err("draining")
        } else if !self.publisher.outages.takes(self.journal.healthy()) {
            Err("the journal is unavailable")
        } else if !self.timeline.healthy() {
            Err("the timeline is unavailable")
        } else {
            Ok(())
        }
    }

    /// The metrics as text.
    pub fn exposition(&self) -> String {
        let t = &self.telemetry;
        t.rooms.set(self.rooms.len() as i64);
        for plugin in self.chain().plugins {
            t.plugins.memory(&plugin.plugin, plugin.tallied.memory_bytes);
        }
        for metric in &sampled::METRICS {
            t.set(metric.name, (metric.read)(self));
        }
        t.exposition()
    }
}

/// What an embedded hub writes down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeping {
    /// Every event, before anyone hears it.
    Everything,
    /// Nothing, and receipts mean nothing: what is left is measured (`examples/unjournaled.rs`).
    Nothing,
}

/// Runs a hub until `stop`, then drains it: it stops accepting, finishes what is under way, and sends clients elsewhere.
pub async fn run(loaded: &Loaded, stop: impl Future<Output = ()>, started: impl FnOnce(&Started)) -> Result<(), Error> {
    run_keeping(Keeping::Everything, loaded, stop, started).await
}

/// The same, for measuring: no setting leads here.
pub async fn run_keeping(
    keeping: Keeping,
    loaded: &Loaded,
    stop: impl Future<Output = ()>,
    started: impl FnOnce(&Started),
) -> Result<(), Error> {
    let config = &loaded.config;
    // Ports first: a second hub on the same machine should fail before it opens anything.
    let public = http::bind(config.listen).map_err(|source| listen("listen", config.listen, source))?;
    let private = std::net::TcpListener::bind(config.admin).map_err(|source| listen("admin", config.admin, source))?;
    private.set_nonblocking(true).map_err(|source| listen("admin", config.admin, source))?;
    let watched = config.metrics.map(|address| watched(address).map_err(|source| listen("metrics", address, source)));
    let listeners = admin::Listeners { admin: private, metrics: watched.transpose()? };

    let mut telemetry = Telemetry::new();
    telemetry.sampled(&sampled::METRICS.map(|metric| (metric.name, metric.kind, metric.help)));
    let telemetry = Arc::new(telemetry);
    // Before they are read: what changes from now on is noticed.
    let seen = watch::states(&reload::files(loaded));
    let kv = introduce::kv(config)?;
    let (chain, warnings) = build_chain(config, &loaded.base_dir, telemetry.plugins.clone(), &kv).await?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    // The admin port answers from here on, also while the services of the profile are waited for.
    let (opening, closed) = (admin::Opening::default(), CancellationToken::new());
    let private_address = listeners.admin.local_addr().map_err(|source| listen("admin", config.admin, source))?;
    let admin = admin::spawn(listeners, config, opening.clone(), telemetry.clone(), closed.clone())
        .map_err(|source| listen("admin", config.admin, source))?;
    let _closed_on_error = closed.clone().drop_guard();
    let parts = introduce::open(config, keeping, &opening.waits_for).await?;
    let rules = RoomRules::new(config);
    let auth = Arc::new(Auth::of(config)?);

    let draining = CancellationToken::new();
    let rooms = Arc::new(Rooms::default());
    let people = Arc::new(People::default());
    let put_out = introduce::doorkeeper(people.clone(), rooms.clone());
    let sanctions = Arc::new(Sanctions::new(parts.store.clone(), parts.timeline.clone(), put_out));
    introduce::who_is_kept_out(&sanctions).await;
    let user_limits = Arc::new(UserLimits::new(&config.limits, telemetry.clone()));
    let publisher = Arc::new(Publisher {
        timeline: parts.timeline.clone(),
        journal: parts.journal.clone(),
        outages: Outages::new(config.journal.kafka.as_ref()),
        store: parts.store.clone(),
        people: people.clone(),
        sanctions: sanctions.clone(),
        speech: Speech::default(),
        leaving: Leaving::default(),
        chain: ArcSwap::from_pointee(chain),
        limits: config.limits.clone(),
        user_limits: user_limits.clone(),
        rules: rules.clone(),
        telemetry: telemetry.clone(),
        tasks: TaskTracker::new(),
        draining: draining.clone(),
        complaints: Complaints::default(),
    });
    let recoverer = Arc::new(Recoverer {
        timeline: parts.timeline.clone(),
        store: parts.store.clone(),
        rooms: rooms.clone(),
        limits: config.limits.clone(),
        rules: rules.clone(),
        telemetry: telemetry.clone(),
        weight: Weight::default(),
        bringing: Arc::new(Semaphore::new(BRINGING_AT_ONCE)),
    });
    let (presence, changes) = Presence::new(parts.timeline.clone(), rules.clone());
    let presence = Arc::new(presence);
    let closing = CancellationToken::new();
    let telling = tokio::spawn({
        let (presence, closing) = (presence.clone(), closing.clone());
        async move { presence.run(changes, closing).await }
    });
    let following = tokio::spawn({
        let (auth, closing) = (auth.clone(), closing.clone());
        async move { auth.follow(closing).await }
    });
    let (audit, writer) = Audit::new(parts.store.clone(), config.audit_retention, telemetry.clone());
    let (audit, audited) = (Arc::new(audit), CancellationToken::new());
    let auditing = tokio::spawn(writer.run(audited.clone()));
    let reviewer = Reviewer::new(parts.store.clone(), publisher.clone(), people, sanctions.clone(), telemetry.clone());
    let reviewer = Arc::new(reviewer);
    tokio::spawn({
        let (sanctions, alone, stop) = (sanctions.clone(), config.profile() == Profile::Embedded, closing.clone());
        async move { sanctions.follow(alone, stop).await }
    });
    if config.profile() == Profile::Cluster {
        let (reviewer, stop) = (reviewer.clone(), draining.clone());
        tokio::spawn(async move { reviewer.listen(stop).await });
    }
    let door = Arc::new(Door {
        presence,
        reviewer: reviewer.clone(),
        publisher: publisher.clone(),
        recoverer: recoverer.clone(),
        auth: auth.clone(),
        refused_tokens: Brief::default(),
        refresh_grace: config.auth.refresh_grace,
        limits: config.limits.clone(),
        user_limits,
        mapping: Arc::new(Mapping::new(&config.socketio)),
        telemetry: telemetry.clone(),
        draining: draining.clone(),
        drain_spread: config.drain_timeout / 3,
    });
    let reloader = Arc::new(Reloader::new(loaded, publisher.clone(), rules, telemetry.clone()));
    if config.watch {
        tokio::spawn(watch::run(reloader.clone(), seen, draining.clone()));
    }
    let hub = Arc::new(Hub {
        profile: config.profile(),
        store: parts.store.clone(),
        timeline: parts.timeline.clone(),
        journal: parts.journal.clone(),
        publisher,
        recoverer,
        rooms: rooms.clone(),
        telemetry: telemetry.clone(),
        reloader: reloader.clone(),
        reviewer: reviewer.clone(),
        sanctions,
        audit,
        draining: draining.clone(),
    });
    let deliver = deliver(&hub, parts.relay);
    let addresses = Started {
        listen: public.local_addr().map_err(|source| listen("listen", config.listen, source))?,
        admin: private_address,
        profile: hub.profile,
        reloader,
    };

    opening.opened(hub.clone());
    let sessions = TaskTracker::new();
    let places = Arc::new(Semaphore::new(config.limits.sessions));
    let settings = engineio::Settings {
        ping_interval: config.limits.ping_interval,
        ping_timeout: config.limits.pong_timeout,
        max_payload: config.limits.frame.bytes(),
    };
    let engine = Engine::new(settings, places.clone());
    let allowed_origins = config.auth.allowed_origins.clone();
    let http = Arc::new(Http { door, allowed_origins, engine, places, sessions: sessions.clone() });
    let shut = CancellationToken::new();
    let serving = tokio::spawn(http::serve(public, http, shut.clone()));
    started(&addresses);

    stop.await;
    tracing::info!(sessions = sessions.len(), "draining");
    draining.cancel();
    let drained = timeout(config.drain_timeout, drain(&hub, &sessions, serving, shut)).await;
    if drained.is_err() {
        tracing::warn!("drain took longer than drain_timeout, ending what is left");
    }
    closing.cancel();
    let _ = telling.await; // a panic in it has been logged
    let _ = following.await; // as well
    hub.timeline.close().await;
    deliver.abort();
    hub.journal.close(FLUSH_TIMEOUT).await;
    audited.cancel();
    let _ = auditing.await; // a panic in it has been logged
    hub.store.close().await;
    closed.cancel();
    // The admin thread ends with its token; a panic in it has been logged by its own runtime.
    let _ = tokio::task::spawn_blocking(move || admin.join()).await;
    tracing::info!("drained");
    Ok(())
}

/// Where a hub serves, once it does.
#[derive(Clone)]
pub struct Started {
    /// The public port.
    pub listen: std::net::SocketAddr,
    /// The admin port.
    pub admin: std::net::SocketAddr,
    /// Its profile.
    pub profile: Profile,
    /// Reloads it.
    pub reloader: Arc<Reloader>,
}

/// Waits until the sessions have ended, by themselves, and all that is under way.
async fn drain(hub: &Hub, sessions: &TaskTracker, serving: JoinHandle<()>, shut: CancellationToken) {
    let tasks = &hub.publisher.tasks;
    tasks.close();
    sessions.close();
    sessions.wait().await;
    shut.cancel();
    let _ = serving.await; // it only ends by our token
    sessions.wait().await; // of those whose handshake was under way when the drain began
    tasks.wait().await;
}

fn deliver(hub: &Arc<Hub>, relay: mpsc::Receiver<Relay>) -> JoinHandle<()> {
    let deliverer = Deliverer {
        rooms: hub.rooms.clone(),
        timeline: hub.timeline.clone(),
        sanctions: hub.sanctions.clone(),
        telemetry: hub.telemetry.clone(),
    };
    tokio::spawn(deliverer.run(relay))
}

/// A listener for the admin thread, beside its own.
fn watched(address: std::net::SocketAddr) -> std::io::Result<std::net::TcpListener> {
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn listen(setting: &'static str, address: std::net::SocketAddr, source: std::io::Error) -> Error {
    Error::Listen { setting, address, source }
}

/// Loads the plugins and chains that the settings name; with warnings for the operator. `kv` is where plugins remember.
pub async fn build_chain(
    config: &Config,
    base_dir: &std::path::Path,
    observer: Arc<dyn Observer>,
    kv: &Kv,
) -> Result<(Chain, Vec<String>), crate::plugin::Error> {
    Chain::build(config, base_dir, introduce::checker(&config.limits), observer, kv).await
}

/// The same for a trial: nothing that its plugins do leaves the stage.
pub async fn build_trial(
    config: &Config,
    stage: &Arc<Stage>,
    observer: Arc<dyn Observer>,
) -> Result<(Chain, Vec<String>), crate::plugin::Error> {
    Chain::build_on(stage, config, std::path::Path::new(""), introduce::checker(&config.limits), observer).await
}

/// Opens the store that the settings ask for, for the command line.
pub async fn open_store(config: &Config) -> Result<Store, Error> {
    introduce::store(config).await
}
