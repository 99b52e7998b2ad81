//! Runs a hub: builds its parts, serves until it is told to stop, and ends everything in order.

mod build;
mod retention;

use crate::admin;
use crate::admission::{Admissions, Proxies};
use crate::backends::{self, Keeping};
use crate::http::{self, Gate, Http};
use crate::hub::reload::{self, Reloader};
use crate::hub::{self, build_chain, watch};
use crate::plugin::Chain;
use crate::session::engineio::{self, Engine};
use crate::telemetry::Telemetry;
use build::Running;
use confab_config::{Config, Loaded, Profile};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long the journal may take to let go of what it still holds when the hub ends.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a hub could not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A port cannot be had.
    #[error("could not listen on {address} (`{setting}`)")]
    Listen {
        /// The setting that names it.
        setting: &'static str,
        /// Where.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The keys that check tokens cannot be had.
    #[error("could not read the keys that check tokens (`auth`)")]
    Auth(#[from] crate::auth::Error),
    /// Timeline, journal or store cannot be opened.
    #[error(transparent)]
    Backends(#[from] backends::Error),
    /// The plugins cannot be loaded.
    #[error("could not load the plugins")]
    Plugins(#[from] crate::plugin::Error),
}

/// Where a hub serves, once it does.
#[derive(Clone)]
pub struct Started {
    /// The public port.
    pub listen: SocketAddr,
    /// The admin port.
    pub admin: SocketAddr,
    /// Its profile.
    pub profile: Profile,
    /// Reloads it.
    pub reloader: Arc<Reloader>,
}

/// Runs a hub until `stop`, then drains it: it stops accepting, finishes what is under way, and sends clients elsewhere.
///
/// # Errors
/// [`Error`]: it did not start.
pub async fn run(loaded: &Loaded, stop: impl Future<Output = ()>, started: impl FnOnce(&Started)) -> Result<(), Error> {
    run_keeping(Keeping::Everything, loaded, stop, started).await
}

/// The same, for measuring: no setting leads here.
///
/// # Errors
/// [`Error`]: it did not start.
pub async fn run_keeping(
    keeping: Keeping,
    loaded: &Loaded,
    stop: impl Future<Output = ()>,
    started: impl FnOnce(&Started),
) -> Result<(), Error> {
    let config = &loaded.config;
    // Ports first: a second hub on the same machine should fail before it opens anything.
    let public = http::bind(config.listen).map_err(|source| listen("listen", config.listen, source))?;
    let (admin, private_address) = bind_private("admin", config.admin)?;
    let metrics = config.metrics.map(|address| bind_private("metrics", address)).transpose()?;
    let listeners = admin::Listeners { admin, metrics: metrics.map(|(metrics, _)| metrics) };
    let public_address = public.local_addr().map_err(|source| listen("listen", config.listen, source))?;

    let telemetry = hub::telemetry();
    // Before they are read: what changes from now on is noticed.
    let seen = watch::states(&reload::files(loaded));
    let chain = load_chain(loaded, &telemetry).await?;
    // The admin port answers from here on, also while the services of the profile are waited for.
    let opening = admin::Opening::default();
    let closed = CancellationToken::new();
    let admin = admin::spawn(listeners, config, opening.clone(), telemetry.clone(), closed.clone())
        .map_err(|source| listen("admin", config.admin, source))?;
    let _closed_on_error = closed.clone().drop_guard();
    let backends = backends::open(config, keeping, &opening.waits_for).await?;
    let running = Running::begin(loaded, chain, telemetry, backends).await?;
    if config.watch {
        let stop = running.hub.draining.clone();
        running.background.spawn(watch::run(running.hub.reloader.clone(), seen, stop));
    }
    opening.opened(running.hub.clone());
    let serving = Serving::begin(config, &running, public);
    started(&Started {
        listen: public_address,
        admin: private_address,
        profile: running.hub.profile,
        reloader: running.hub.reloader.clone(),
    });

    stop.await;
    tracing::info!(sessions = serving.sessions.len(), "draining");
    running.hub.draining.cancel();
    if timeout(config.drain_timeout, serving.drain(&running)).await.is_err() {
        tracing::warn!("drain took longer than drain_timeout, ending what is left");
    }
    end(running).await;
    closed.cancel();
    // The admin thread ends with its token; a panic in it has been logged by its own runtime.
    let _ = tokio::task::spawn_blocking(move || admin.join()).await;
    tracing::info!("drained");
    Ok(())
}

/// A listener for the admin thread.
fn bind_private(setting: &'static str, address: SocketAddr) -> Result<(std::net::TcpListener, SocketAddr), Error> {
    let bound = std::net::TcpListener::bind(address).and_then(|listener| {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    });
    bound.map_err(|source| listen(setting, address, source))
}

fn listen(setting: &'static str, address: SocketAddr, source: std::io::Error) -> Error {
    Error::Listen { setting, address, source }
}

/// Loads the plugins, and tells the log what is hardly what was meant.
async fn load_chain(loaded: &Loaded, telemetry: &Telemetry) -> Result<Chain, Error> {
    let kv = backends::kv(&loaded.config)?;
    let built = build_chain(&loaded.config, &loaded.base_dir, telemetry.plugins.clone(), &kv).await;
    let (chain, warnings) = built?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    Ok(chain)
}

/// The public port of a running hub.
struct Serving {
    sessions: TaskTracker,
    /// Ends accepting.
    shut: CancellationToken,
    accepting: JoinHandle<()>,
}

impl Serving {
    fn begin(config: &Config, running: &Running, public: tokio::net::TcpListener) -> Self {
        let sessions = TaskTracker::new();
        let settings = engineio::Settings {
            ping_interval: config.limits.ping_interval,
            ping_timeout: config.limits.pong_timeout,
            max_payload: config.limits.frame.bytes(),
            post_max: config.limits.post.max(config.limits.frame).bytes(), // one packet always fits
        };
        let gate = Gate {
            allowed_origins: config.auth.allowed_origins.clone(),
            loopback_only: config.auth.insecure,
            proxies: Proxies::new(config.proxies().unwrap_or_default(), config.proxy_header), // what was checked can be read
            admissions: Admissions::new(&config.limits),
        };
        let http = Arc::new(Http {
            env: running.env.clone(),
            gate,
            engine: Engine::new(settings),
            sessions: sessions.clone(),
            path_prefix: config.path_prefix.clone(),
            keep_alive: config.limits.keep_alive,
        });
        let shut = CancellationToken::new();
        let accepting = tokio::spawn(http::serve(public, http, shut.clone()));
        Self { sessions, shut, accepting }
    }

    /// Waits until the sessions have ended, by themselves, and all that is under way.
    async fn drain(self, running: &Running) {
        let tasks = &running.hub.tasks;
        tasks.close();
        self.sessions.close();
        self.sessions.wait().await;
        self.shut.cancel();
        let _ = self.accepting.await; // it only ends by our token
        self.sessions.wait().await; // of those whose handshake was under way when the drain began
        tasks.wait().await;
    }
}

/// Ends what no session needs any more, in the order in which nothing is missed.
async fn end(running: Running) {
    let Running { hub, background, delivering, auditing, folder, .. } = running;
    background.end().await;
    hub.timeline.close().await;
    delivering.abort();
    let _ = delivering.await; // aborted, or ended by itself; a panic in it has been logged
    hub.journal.close(FLUSH_TIMEOUT).await;
    auditing.end().await;
    match folder {
        Some(folder) => folder.close(&hub.store).await,
        None => hub.store.close().await,
    }
}
