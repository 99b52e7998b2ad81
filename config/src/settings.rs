//! The settings themselves. `Default` is the documentation: hub.toml prints it, and a test compares the two.

mod auth;
mod capabilities;
mod plugins;
mod rooms;
mod services;
mod socketio;

pub use auth::*;
pub use capabilities::*;
pub use plugins::*;
pub use rooms::*;
pub use services::*;
pub use socketio::*;

use crate::human::{Secret, Size, address, duration, optional_address};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// Everything hub.toml can say. A path in the file is relative to the file's folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where clients connect: WebSocket, and the page at `/`.
    #[serde(with = "address")]
    pub listen: SocketAddr,
    /// Where operators connect: the admin API, `/metrics`, `/healthz` and `/readyz`. All but the last two ask for a token.
    #[serde(with = "address")]
    pub admin: SocketAddr,
    /// The token that the admin API asks for, that of an operator called `admin`. Prefer `admin_token_file`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admin_token: Option<Secret>,
    /// A file of operators' tokens, one `name:token` a line; `confab admin-token create` writes it. Not given: `admin-tokens` in
    /// `data`, which is made at the first start; enough where `admin` is a loopback address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admin_token_file: Option<PathBuf>,
    /// The host names under which operators reach `admin`, besides `localhost` and its address.
    pub admin_hosts: Vec<String>,
    /// Where `/metrics`, `/healthz` and `/readyz` are served without a token, and nothing else is. Not given: nowhere.
    #[serde(with = "optional_address", skip_serializing_if = "Option::is_none")]
    pub metrics: Option<SocketAddr>,
    /// How long the audit log is kept: what operators and moderators did.
    #[serde(with = "duration")]
    pub audit_retention: Duration,
    /// What every public path begins with, such as `/chat`: for a proxy that hands paths on as they are.
    pub path_prefix: String,
    /// The proxies and balancers whose word is taken for where a client is: addresses, or networks.
    pub trusted_proxies: Vec<String>,
    /// The header that they write it into.
    pub proxy_header: ProxyHeader,
    /// The hub's own folder, which only its user may read: `confab.db` of an embedded hub, and `admin-tokens` where no
    /// `admin_token_file` is given.
    pub data: PathBuf,
    /// The folder where compiled plugins are kept, which must be the hub's own: what lies there is run as native code. Not
    /// given: `confab/plugins` in the user's cache folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plugin_cache: Option<PathBuf>,
    /// How long a drain may take before the process ends all the same.
    #[serde(with = "duration")]
    pub drain_timeout: Duration,
    /// Whether the hub reloads by itself when this file or a plugin's module changes.
    pub watch: bool,
    /// Who may connect.
    pub auth: Auth,
    /// What one session may do, and how much of the hub it may take.
    pub limits: Limits,
    /// Redis. Together with `journal` and `store`: the cluster profile.
    pub timeline: TimelineConfig,
    /// Kafka. Together with `timeline` and `store`: the cluster profile.
    pub journal: JournalConfig,
    /// PostgreSQL. Together with `timeline` and `journal`: the cluster profile.
    pub store: StoreConfig,
    /// The consumer's own settings.
    pub consumer: ConsumerConfig,
    /// What rooms are; several may match a name, the later wins, key by key.
    pub room: Vec<RoomRule>,
    /// What plugins are and may do.
    pub plugin: BTreeMap<String, PluginConfig>,
    /// Who is judged by what: all matching chains apply, in file order.
    pub chain: Vec<ChainRule>,
    /// What Socket.IO front ends that know nothing of Confab emit and hear.
    pub socketio: Vec<SocketIoEvent>,
    /// Expected verdicts, run by `confab chain test` and before a reload is accepted.
    pub test: Vec<ChainTest>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: ([127, 0, 0, 1], 8000).into(),
            admin: ([127, 0, 0, 1], 9000).into(),
            admin_token: None,
            admin_token_file: None,
            admin_hosts: Vec::new(),
            metrics: None,
            audit_retention: Duration::from_secs(365 * 24 * 3600),
            path_prefix: String::new(),
            trusted_proxies: Vec::new(),
            proxy_header: ProxyHeader::default(),
            data: "confab-data".into(),
            plugin_cache: None,
            drain_timeout: Duration::from_secs(30),
            watch: false,
            auth: Auth::default(),
            limits: Limits::default(),
            timeline: TimelineConfig::default(),
            journal: JournalConfig::default(),
            store: StoreConfig::default(),
            consumer: ConsumerConfig::default(),
            room: Vec::new(),
            plugin: BTreeMap::new(),
            chain: Vec::new(),
            socketio: Vec::new(),
            test: Vec::new(),
        }
    }
}

/// The header in which a proxy says where a client is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProxyHeader {
    /// `X-Forwarded-For`.
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

/// What one session may do, and how much of the hub it may take.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// The most sessions of this hub at once.
    pub sessions: usize,
    /// The most sessions of one user at once, of this hub; one more is refused, and may try again.
    pub user_sessions: usize,
    /// How many commands (everything that a client asks for) one user's sessions may give in a second, on this hub.
    pub user_commands_per_second: u32,
    /// How many commands at once, after a while in which they gave none. Past it they are refused (111), and told when to
    /// try again.
    pub user_commands_burst: u32,
    /// How many rooms one user may begin in a minute, on this hub, by being the first to say something there.
    pub user_new_rooms_per_minute: u32,
    /// How many rooms at once, after a while in which they began none. Past it the first word in a room is refused (111).
    pub user_new_rooms_burst: u32,
    /// The most events of one user that wait for a moderator; what more would be held is refused (111).
    pub user_held: usize,
    /// The most clients that have not said who they are (`connect`): so many WebSockets, and so many that poll.
    pub unconnected: usize,
    /// The most clients of one address at once, and the most of its connections that are no WebSocket.
    pub connections_per_address: usize,
    /// The most handshakes of one address in a second; ten times as many may come at once.
    pub handshakes_per_address: usize,
    /// The largest frame from a client.
    pub frame: Size,
    /// The largest POST of a client that polls: as many packets, each at most `frame`, as it gathered meanwhile. One always fits.
    pub post: Size,
    /// The largest body of an event, without white space between its parts and with characters as UTF-8.
    pub body: Size,
    /// The deepest nesting of a body's JSON.
    pub json_depth: usize,
    /// The longest room name, in bytes (at most 255).
    pub room_name_bytes: usize,
    /// The most rooms one session may be in.
    pub rooms_per_session: usize,
    /// The most commands of one session being worked on at once; past it the hub stops reading from it.
    pub commands_in_flight: usize,
    /// What may wait for a session that does not read; past it the session is closed as slow (3008) and may recover.
    pub outbox: Size,
    /// How long a connection may idle between two requests. Balancers keep theirs for 60 s, and must be the first to close.
    #[serde(with = "duration")]
    pub keep_alive: Duration,
    /// How long a socket may stay open without `connect`.
    #[serde(with = "duration")]
    pub stale_timeout: Duration,
    /// How often the hub pings a session.
    #[serde(with = "duration")]
    pub ping_interval: Duration,
    /// How long after a ping the pong may take.
    #[serde(with = "duration")]
    pub pong_timeout: Duration,
    /// How long a send may take before its sender is told that the outcome is unknown.
    #[serde(with = "duration")]
    pub send_deadline: Duration,
    /// How long a key is remembered: a retry inside it gets the first receipt.
    #[serde(with = "duration")]
    pub dedupe_window: Duration,
    /// The most events of one `history` page.
    pub history_page: usize,
    /// The most names of one answer to who is in a room; more are counted, and not named.
    pub presence_names: usize,
    /// The most missed events given to a client that recovers; past it, it is told where the oldest is.
    pub recover_events: usize,
    /// How many of plugins' own messages may follow from one another; past it a plugin that wants to say more is refused.
    pub plugin_hops: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sessions: 100_000,
            user_sessions: 100,
            user_commands_per_second: 100,
            user_commands_burst: 2000,
            user_new_rooms_per_minute: 30,
            user_new_rooms_burst: 200,
            user_held: 100,
            unconnected: 10_000,
            connections_per_address: 50_000,
            handshakes_per_address: 2000,
            frame: Size::kib(64),
            post: Size::mib(1),
            body: Size::kib(32),
            json_depth: 32,
            room_name_bytes: 255,
            rooms_per_session: 128,
            commands_in_flight: 64,
            outbox: Size::mib(1),
            keep_alive: Duration::from_secs(75),
            stale_timeout: Duration::from_secs(15),
            ping_interval: Duration::from_secs(25),
            pong_timeout: Duration::from_secs(8),
            send_deadline: Duration::from_secs(10),
            dedupe_window: Duration::from_secs(600),
            history_page: 300,
            presence_names: 1000,
            recover_events: 5000,
            plugin_hops: 3,
        }
    }
}

/// Which of the two profiles the settings ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// One process, SQLite, no service.
    Embedded,
    /// Redis, Kafka and PostgreSQL; any number of hubs and consumers.
    Cluster,
}

impl Config {
    /// The networks of the proxies whose word is taken.
    ///
    /// # Errors
    /// One of them is none.
    pub fn proxies(&self) -> Result<Vec<IpNet>, NoNetwork> {
        self.trusted_proxies.iter().map(|text| network(text)).collect()
    }

    /// Which of the two profiles the settings ask for. [`Config::validate`] refuses everything between the two.
    pub fn profile(&self) -> Profile {
        match (&self.timeline.redis, &self.journal.kafka, &self.store.postgres) {
            (None, None, None) => Profile::Embedded,
            _ => Profile::Cluster,
        }
    }
}

/// It is no network.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is neither an address nor a network")]
pub struct NoNetwork(String);

/// A network such as `10.0.0.0/8`, or a single address.
pub(crate) fn network(text: &str) -> Result<IpNet, NoNetwork> {
    let address = || text.parse::<IpAddr>().map(IpNet::from);
    text.parse().or_else(|_| address()).map_err(|_| NoNetwork(text.to_owned()))
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Embedded => "embedded",
            Self::Cluster => "cluster",
        })
    }
}
