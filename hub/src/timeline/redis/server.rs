//! Redis servers: how they are reached, who each is, and whether it may be used.

use super::super::Error;
use super::RedisOptions;
use super::fence::Ground;
use super::nodes::{self, Nodes};
use super::sentinel::{Address, Sentinels};
use super::shards::Shards;
use crate::kv::Connection;
use futures_util::future::try_join_all;
use redis::aio::{AsyncPushSender, MultiplexedConnection};
use redis::cluster::ClusterClientBuilder;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo, ProtocolVersion,
    RedisError, TlsCertificates,
};
use std::collections::HashMap;
use std::error::Error as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Makes connections.
#[derive(Clone)]
pub struct Dialer {
    client: Client,
    ca_file: Option<Arc<Path>>,
    way: Way,
    timeout: Duration,
    hub: Arc<str>,
}

/// How the servers are found.
#[derive(Clone)]
enum Way {
    /// The url says where the one is.
    Direct,
    /// Sentinels say where the one is.
    Sentinels(Arc<Sentinels>),
    /// The nodes of a cluster say where the primaries are.
    Cluster(Arc<Nodes>),
}

/// Where to put what a connection pushes.
pub(super) type PushTo = Arc<dyn AsyncPushSender>;

impl Dialer {
    /// Reads where the server is. Nothing is connected yet.
    ///
    /// # Errors
    /// [`Error::Refused`] where the address or the file of authorities cannot be read.
    pub fn new(options: &RedisOptions) -> Result<Self, Error> {
        let ca_file = options.ca_file.as_deref();
        let client = open(&options.url, ca_file)?;
        let way = match (&options.sentinel, &options.cluster[..]) {
            (Some(_), [_, ..]) => return Err(Error::Refused("sentinels and a cluster are both given".into())),
            (Some(sentinel), []) => Way::Sentinels(Arc::new(Sentinels::new(sentinel, ca_file, options.timeout)?)),
            (None, []) => Way::Direct,
            (None, nodes) => Way::Cluster(Arc::new(Nodes::new(nodes)?)),
        };
        let (ca_file, hub) = (ca_file.map(Arc::from), options.hub_id.as_str().into());
        Ok(Self { client, ca_file, way, timeout: options.timeout, hub })
    }

    /// How long a command or a connection attempt may take.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Whether servers are looked for in a cluster.
    pub(super) fn is_cluster(&self) -> bool {
        matches!(self.way, Way::Cluster(_))
    }

    /// The client for a server that the url does not name.
    fn client_at(&self, at: &Address) -> Result<Client, Error> {
        let info = self.client.get_connection_info().clone();
        let addr = match info.addr().clone() {
            ConnectionAddr::TcpTls { insecure, tls_params, .. } => {
                ConnectionAddr::TcpTls { host: at.0.clone(), port: at.1, insecure, tls_params }
            }
            _ => ConnectionAddr::Tcp(at.0.clone(), at.1),
        };
        client(info.set_addr(addr), self.ca_file.as_deref())
    }

    /// Whether sentinels, or the cluster, say by now that another server is a primary. What they do not say is no. Slots
    /// that moved among the servers of the ground are followed.
    pub(super) async fn has_moved(&self, ground: &Ground) -> bool {
        let first = &ground.all()[0];
        match (&self.way, &first.at) {
            (Way::Sentinels(sentinels), Some(at)) => sentinels.primary().await.is_ok_and(|now| now != *at),
            (Way::Cluster(_), Some(at)) => {
                let seen = nodes::map(&mut first.it.connection.clone(), at).await;
                seen.is_ok_and(|map| !ground.follow(&map))
            }
            _ => false,
        }
    }

    /// A connection for another purpose than the timeline's: to the server that serves at this moment, or to the cluster.
    ///
    /// # Errors
    /// [`Error::Unavailable`] while there is none, [`Error::Refused`] if this will not change by itself.
    pub async fn connect(&self, purpose: &str) -> Result<Connection, Error> {
        let Way::Cluster(nodes) = &self.way else {
            let connections = self.dial(purpose, || None).await?;
            return Ok(Connection::One(connections.all()[0].it.clone()));
        };
        let infos = nodes.named().iter().map(|at| Ok(self.client_at(at)?.get_connection_info().clone()));
        let infos = infos.collect::<Result<Vec<_>, Error>>()?;
        let mut builder = ClusterClientBuilder::new(infos)
            .connection_timeout(self.timeout)
            .response_timeout(self.timeout)
            .use_protocol(ProtocolVersion::RESP3);
        if let Some(path) = self.ca_file.as_deref() {
            builder = builder.certs(authorities(path)?);
        }
        let client = builder.build().map_err(|error| failed(&error))?;
        Ok(Connection::Cluster(client.get_async_connection().await.map_err(|error| failed(&error))?))
    }

    /// A connection to each server, named after its use so that operators can tell it from others. `pushes` is asked once
    /// for each, in their order.
    pub(super) async fn dial(
        &self,
        purpose: &str,
        mut pushes: impl FnMut() -> Option<PushTo>,
    ) -> Result<Shards<MultiplexedConnection>, Error> {
        match &self.way {
            Way::Direct => Ok(Shards::one(None, self.open(&self.client, purpose, pushes()).await?)),
            Way::Sentinels(sentinels) => {
                let at = sentinels.primary().await?;
                let connection = self.open(&self.client_at(&at)?, purpose, pushes()).await?;
                Ok(Shards::one(Some(at), connection))
            }
            Way::Cluster(nodes) => {
                let map = nodes.map(self).await?;
                let dialing: Vec<_> = map.primaries.iter().map(|at| (at, pushes())).collect();
                let dialing = dialing
                    .into_iter()
                    .map(|(at, pushes)| async move { self.open(&self.client_at(at)?, purpose, pushes).await });
                let connections = try_join_all(dialing).await?;
                Ok(Shards::many(map, connections))
            }
        }
    }

    /// A connection to one server.
    pub(super) async fn open_at(&self, at: &Address, purpose: &str) -> Result<MultiplexedConnection, Error> {
        self.open(&self.client_at(at)?, purpose, None).await
    }

    async fn open(
        &self,
        client: &Client,
        purpose: &str,
        pushes: Option<PushTo>,
    ) -> Result<MultiplexedConnection, Error> {
        let mut config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.timeout))
            .set_response_timeout(Some(self.timeout))
            .set_pipeline_buffer_size(1024);
        if let Some(pushes) = pushes {
            config = config.set_push_sender(pushes);
        }
        let mut connection =
            client.get_multiplexed_async_connection_with_config(&config).await.map_err(|error| failed(&error))?;
        let name: String = self.hub.chars().filter(char::is_ascii_graphic).collect();
        let mut named = redis::cmd("CLIENT");
        named.arg("SETNAME").arg(format!("confab-{name}-{purpose}"));
        // Only a courtesy: an ACL user need not be allowed to.
        if let Err(error) = named.exec_async(&mut connection).await {
            tracing::debug!(%error, "connection stays without a name");
        }
        Ok(connection)
    }
}

/// A client for the server that a url names.
pub(super) fn open(url: &str, ca_file: Option<&Path>) -> Result<Client, Error> {
    let info = url.into_connection_info().map_err(|error| Error::Refused(format!("redis url: {error}")))?;
    let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    let tcp = info.tcp_settings().clone().set_nodelay(true);
    client(info.set_redis_settings(settings).set_tcp_settings(tcp), ca_file)
}

fn client(info: ConnectionInfo, ca_file: Option<&Path>) -> Result<Client, Error> {
    let refused = |error: RedisError| Error::Refused(format!("redis url: {error}"));
    // Harmless if another part of the process was first; without one, rustls may find two providers and stop.
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    let Some(path) = ca_file else { return Client::open(info).map_err(refused) };
    Client::build_with_tls(info, authorities(path)?).map_err(refused)
}

/// The authorities in a file.
fn authorities(path: &Path) -> Result<TlsCertificates, Error> {
    let read = std::fs::read(path);
    let pem = read.map_err(|error| Error::Refused(format!("ca file {}: {error}", path.display())))?;
    Ok(TlsCertificates { client_tls: None, root_cert: Some(pem) })
}

/// What went wrong before anything was asked: at the door, or in a question that changes nothing.
pub(super) fn failed(error: &RedisError) -> Error {
    // rustls wraps what it finds wrong with the other side as invalid data: it will be wrong next time too.
    if io_kind(error) == Some(std::io::ErrorKind::InvalidData) {
        return Error::Refused(format!("redis and this hub cannot agree on TLS: {error}"));
    }
    match (error.kind(), error.code()) {
        (ErrorKind::RESP3NotSupported, _) => Error::Refused("redis 7 or later is needed (RESP3)".into()),
        (ErrorKind::AuthenticationFailed | ErrorKind::InvalidClientConfig, _) => Error::Refused(error.to_string()),
        (_, Some("NOAUTH" | "WRONGPASS" | "NOPERM")) => Error::Refused(error.to_string()),
        _ => Error::Unavailable(error.to_string()),
    }
}

fn io_kind(error: &RedisError) -> Option<std::io::ErrorKind> {
    // The client hands its source out inside the `Arc` that it keeps it in.
    let shared = error.source()?.downcast_ref::<Arc<dyn std::error::Error + Send + Sync>>()?;
    shared.downcast_ref::<std::io::Error>().map(std::io::Error::kind)
}

/// Who a server is, and what it says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Server {
    /// Run id and replication id: another run, or another history, is another server.
    pub(super) identity: String,
    primary: bool,
}

impl Server {
    /// Asks the server who it is.
    pub(super) async fn ask(connection: &mut MultiplexedConnection) -> Result<Self, Error> {
        let info = info(connection, &["server", "replication"]).await?;
        let (Some(run), Some(history)) = (info.get("run_id"), info.get("master_replid")) else {
            return Err(Error::Refused("redis does not say who it is: INFO has no run_id or master_replid".into()));
        };
        let primary = info.get("role").is_none_or(|role| role == "master");
        Ok(Self { identity: format!("{run}/{history}"), primary })
    }

    /// Asks the server who it is and whether it may be used at all.
    pub(super) async fn check(connection: &mut MultiplexedConnection, in_cluster: bool) -> Result<Self, Error> {
        let about = info(connection, &["server"]).await?;
        let version = about.get("redis_version").map_or("", String::as_str);
        let major: u32 = version.split('.').next().and_then(|major| major.parse().ok()).unwrap_or(0);
        if major < 7 {
            return Err(Error::Refused(format!("redis 7 or later is needed, this one is {version}")));
        }
        let about = info(connection, &["memory", "cluster"]).await?;
        let policy = about.get("maxmemory_policy").map_or("", String::as_str);
        if policy != "noeviction" {
            let hint = "an evicting redis would forget places and keys: set maxmemory-policy to noeviction";
            return Err(Error::Refused(format!("maxmemory-policy is `{policy}`; {hint}")));
        }
        if !in_cluster && about.get("cluster_enabled").is_some_and(|enabled| enabled == "1") {
            let hint = "name some of its nodes in timeline.redis.cluster.nodes";
            return Err(Error::Refused(format!("this redis is a node of a Redis Cluster: {hint}")));
        }
        let server = Self::ask(connection).await?;
        if !server.primary {
            return Err(Error::Unavailable("this redis is a replica: waiting for it to become a primary".into()));
        }
        Ok(server)
    }
}

async fn info(connection: &mut MultiplexedConnection, sections: &[&str]) -> Result<HashMap<String, String>, Error> {
    let asked = redis::cmd("INFO").arg(sections).query_async::<String>(connection).await;
    let text = asked.map_err(|error| failed(&error))?;
    let pairs = text.lines().filter_map(|line| line.split_once(':'));
    Ok(pairs.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect())
}
