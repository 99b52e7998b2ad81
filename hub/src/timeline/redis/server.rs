//! One Redis server: how it is reached, who it is, and whether it may be used.

use super::super::Error;
use super::RedisOptions;
use super::sentinel::{Address, Sentinels};
use redis::aio::{AsyncPushSender, MultiplexedConnection};
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
pub(super) struct Dialer {
    client: Client,
    ca_file: Option<Arc<Path>>,
    sentinels: Option<Arc<Sentinels>>,
    timeout: Duration,
    hub: Arc<str>,
}

/// A connection, and where it leads if sentinels said so.
pub(super) struct Dialed {
    pub(super) connection: MultiplexedConnection,
    pub(super) at: Option<Address>,
}

impl Dialer {
    pub(super) fn new(options: &RedisOptions) -> Result<Self, Error> {
        let ca_file = options.ca_file.as_deref();
        let client = open(&options.url, ca_file)?;
        let sentinels = match &options.sentinel {
            Some(sentinel) => Some(Arc::new(Sentinels::new(sentinel, ca_file, options.timeout)?)),
            None => None,
        };
        let (ca_file, hub) = (ca_file.map(Arc::from), options.hub_id.as_str().into());
        Ok(Self { client, ca_file, sentinels, timeout: options.timeout, hub })
    }

    /// The client for the server that serves at this moment.
    async fn client(&self) -> Result<(Client, Option<Address>), Error> {
        let Some(sentinels) = &self.sentinels else { return Ok((self.client.clone(), None)) };
        let at = sentinels.primary().await?;
        let info = self.client.get_connection_info().clone();
        let addr = match info.addr().clone() {
            ConnectionAddr::TcpTls { insecure, tls_params, .. } => {
                ConnectionAddr::TcpTls { host: at.0.clone(), port: at.1, insecure, tls_params }
            }
            _ => ConnectionAddr::Tcp(at.0.clone(), at.1),
        };
        Ok((client(info.set_addr(addr), self.ca_file.as_deref())?, Some(at)))
    }

    /// Whether sentinels say that another server is the primary now. What they do not say is no.
    pub(super) async fn has_moved(&self, at: Option<&Address>) -> bool {
        match (&self.sentinels, at) {
            (Some(sentinels), Some(at)) => sentinels.primary().await.is_ok_and(|now| now != *at),
            _ => false,
        }
    }

    /// A connection, named after its use so that operators can tell it from others.
    pub(super) async fn dial(&self, purpose: &str, pushes: Option<Arc<dyn AsyncPushSender>>) -> Result<Dialed, Error> {
        let (client, at) = self.client().await?;
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
        Ok(Dialed { connection, at })
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
    let read = std::fs::read(path);
    let pem = read.map_err(|error| Error::Refused(format!("ca file {}: {error}", path.display())))?;
    let certificates = TlsCertificates { client_tls: None, root_cert: Some(pem) };
    Client::build_with_tls(info, certificates).map_err(refused)
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
    pub(super) async fn check(connection: &mut MultiplexedConnection) -> Result<Self, Error> {
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
        if about.get("cluster_enabled").is_some_and(|enabled| enabled == "1") {
            return Err(Error::Refused("this is a Redis Cluster, which is not supported: a single server, or one behind Redis Sentinel, is needed".into()));
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
