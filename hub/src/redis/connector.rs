//! Opens connections to servers, with TLS where it is asked for.

use super::error::{Error, failed};
use redis::aio::{AsyncPushSender, MultiplexedConnection};
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion, RedisError,
    TlsCertificates,
};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Where a server is: host and port.
pub(crate) type Address = (String, u16);

/// Where to put what a connection pushes.
pub(crate) type PushSender = Arc<dyn AsyncPushSender>;

/// How many commands of a connection may wait to be written.
const PIPELINE_BUFFER: usize = 1024;

/// Opens connections. Cheap to clone.
#[derive(Clone)]
pub(super) struct Connector {
    /// For the server that the url names.
    client: Client,
    ca_file: Option<Arc<Path>>,
    timeout: Duration,
    hub: Arc<str>,
}

impl Connector {
    /// Reads the url and the file of authorities. Nothing is connected yet.
    pub(super) fn new(url: &str, ca_file: Option<&Path>, timeout: Duration, hub: &str) -> Result<Self, Error> {
        Ok(Self { client: client(url, ca_file)?, ca_file: ca_file.map(Arc::from), timeout, hub: hub.into() })
    }

    /// How long a command or a connection attempt may take.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The authorities to trust, where they are not the well-known ones.
    pub(super) fn authorities(&self) -> Result<Option<TlsCertificates>, Error> {
        self.ca_file.as_deref().map(authorities).transpose()
    }

    /// How the server at an address is reached, with user, password and TLS of the url.
    pub(super) fn info_at(&self, at: &Address) -> ConnectionInfo {
        let info = self.client.get_connection_info().clone();
        let addr = match info.addr().clone() {
            ConnectionAddr::TcpTls { insecure, tls_params, .. } => {
                ConnectionAddr::TcpTls { host: at.0.clone(), port: at.1, insecure, tls_params }
            }
            _ => ConnectionAddr::Tcp(at.0.clone(), at.1),
        };
        info.set_addr(addr)
    }

    /// A connection to the server that the url names, named after its use so that operators can tell it from others.
    pub(super) async fn open(&self, purpose: &str, pushes: Option<PushSender>) -> Result<MultiplexedConnection, Error> {
        self.connect(&self.client, purpose, pushes).await
    }

    /// The same, to the server at an address.
    pub(super) async fn open_at(
        &self,
        at: &Address,
        purpose: &str,
        pushes: Option<PushSender>,
    ) -> Result<MultiplexedConnection, Error> {
        let client = client_of(self.info_at(at), self.ca_file.as_deref())?;
        self.connect(&client, purpose, pushes).await
    }

    async fn connect(
        &self,
        client: &Client,
        purpose: &str,
        pushes: Option<PushSender>,
    ) -> Result<MultiplexedConnection, Error> {
        let mut config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.timeout))
            .set_response_timeout(Some(self.timeout))
            .set_pipeline_buffer_size(PIPELINE_BUFFER);
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
pub(super) fn client(url: &str, ca_file: Option<&Path>) -> Result<Client, Error> {
    let info = url.into_connection_info().map_err(|error| Error::Refused(format!("redis url: {error}")))?;
    let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    let tcp = info.tcp_settings().clone().set_nodelay(true);
    client_of(info.set_redis_settings(settings).set_tcp_settings(tcp), ca_file)
}

fn client_of(info: ConnectionInfo, ca_file: Option<&Path>) -> Result<Client, Error> {
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
