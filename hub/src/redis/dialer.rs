//! Finds the servers, and connects to all of them.

use super::connection::Connection;
use super::connector::{Address, Connector, PushSender};
use super::error::{Error, failed};
use super::nodes::{self, Nodes};
use super::sentinel::{SentinelOptions, Sentinels};
use super::shards::Shards;
use futures_util::future::try_join_all;
use redis::ProtocolVersion;
use redis::aio::MultiplexedConnection;
use redis::cluster::ClusterClientBuilder;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Where the servers are and how they are reached.
#[derive(Clone)]
pub struct Servers {
    /// `redis://` or `rediss://`, with the ACL user and password. Behind sentinels, and in a cluster, its host and
    /// port are not used.
    pub url: String,
    /// Where to ask who the primary is, if it is not the server that the url names.
    pub sentinel: Option<SentinelOptions>,
    /// Some nodes of a Redis Cluster, `host:port`, if the servers are one; the others are found.
    pub cluster: Vec<String>,
    /// A PEM file of the authorities to trust with `rediss://`, instead of the well-known ones.
    pub ca_file: Option<PathBuf>,
    /// How long a command or a connection attempt may take.
    pub timeout: Duration,
    /// What connections are named after.
    pub hub_id: String,
}

/// Makes connections. Cheap to clone.
#[derive(Clone)]
pub struct Dialer {
    connector: Connector,
    discovery: Discovery,
}

/// How the servers are found.
#[derive(Clone)]
enum Discovery {
    /// The url says where the one is.
    Direct,
    /// Sentinels say where the one is.
    Sentinels(Arc<Sentinels>),
    /// The nodes of a cluster say where the primaries are.
    Cluster(Arc<Nodes>),
}

impl Dialer {
    /// Reads where the servers are. Nothing is connected yet.
    ///
    /// # Errors
    /// [`Error::Refused`] where an address or the file of authorities cannot be read.
    pub fn new(servers: &Servers) -> Result<Self, Error> {
        let ca_file = servers.ca_file.as_deref();
        let timeout = servers.timeout;
        let connector = Connector::new(&servers.url, ca_file, timeout, &servers.hub_id)?;
        let discovery = match (&servers.sentinel, &servers.cluster[..]) {
            (Some(_), [_, ..]) => return Err(Error::Refused("sentinels and a cluster are both given".into())),
            (Some(sentinel), []) => Discovery::Sentinels(Arc::new(Sentinels::new(sentinel, ca_file, timeout)?)),
            (None, []) => Discovery::Direct,
            (None, nodes) => Discovery::Cluster(Arc::new(Nodes::new(nodes)?)),
        };
        Ok(Self { connector, discovery })
    }

    /// Whether servers are looked for in a cluster.
    pub(crate) fn is_cluster(&self) -> bool {
        matches!(self.discovery, Discovery::Cluster(_))
    }

    /// Whether sentinels, or the cluster, say by now that another server than these is a primary. What they do not say is
    /// no. Slots that moved among these servers are followed. `connection` is one to the first of them.
    pub(crate) async fn has_moved<T>(&self, servers: &Shards<T>, connection: &MultiplexedConnection) -> bool {
        match (&self.discovery, &servers.all()[0].at) {
            (Discovery::Sentinels(sentinels), Some(at)) => sentinels.primary().await.is_ok_and(|now| now != *at),
            (Discovery::Cluster(_), Some(at)) => {
                let seen = nodes::map(&mut connection.clone(), at).await;
                seen.is_ok_and(|map| !servers.follow(&map))
            }
            _ => false,
        }
    }

    /// One connection for all purposes of a kind: to the server that serves at this moment, or to the cluster.
    ///
    /// # Errors
    /// [`Error::Unavailable`] while there is none, [`Error::Refused`] if this will not change by itself.
    pub async fn connect(&self, purpose: &str) -> Result<Connection, Error> {
        let Discovery::Cluster(nodes) = &self.discovery else {
            let connections = self.dial(purpose, || None).await?;
            return Ok(Connection::One(connections.all()[0].it.clone()));
        };
        let infos: Vec<_> = nodes.named().iter().map(|at| self.connector.info_at(at)).collect();
        let mut builder = ClusterClientBuilder::new(infos)
            .connection_timeout(self.connector.timeout())
            .response_timeout(self.connector.timeout())
            .use_protocol(ProtocolVersion::RESP3);
        if let Some(authorities) = self.connector.authorities()? {
            builder = builder.certs(authorities);
        }
        let client = builder.build().map_err(|error| failed(&error))?;
        Ok(Connection::Cluster(client.get_async_connection().await.map_err(|error| failed(&error))?))
    }

    /// A connection to each server, named after its use. `pushes` is asked once for each, in their order.
    pub(crate) async fn dial(
        &self,
        purpose: &str,
        mut pushes: impl FnMut() -> Option<PushSender>,
    ) -> Result<Shards<MultiplexedConnection>, Error> {
        match &self.discovery {
            Discovery::Direct => Ok(Shards::one(None, self.connector.open(purpose, pushes()).await?)),
            Discovery::Sentinels(sentinels) => {
                let at = sentinels.primary().await?;
                let connection = self.connector.open_at(&at, purpose, pushes()).await?;
                Ok(Shards::one(Some(at), connection))
            }
            Discovery::Cluster(nodes) => {
                let map = nodes.map(&self.connector).await?;
                let dialing: Vec<(&Address, _)> = map.primaries.iter().map(|at| (at, pushes())).collect();
                let dialing = dialing.into_iter().map(|(at, pushes)| self.connector.open_at(at, purpose, pushes));
                let connections = try_join_all(dialing).await?;
                Ok(Shards::many(map, connections))
            }
        }
    }
}
