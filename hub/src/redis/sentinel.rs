//! Redis Sentinel: who is the primary at this moment. Which server one then has, the fence finds out by itself.

use super::connector::{Address, client};
use super::error::{Error, failed};
use parking_lot::Mutex;
use redis::{AsyncConnectionConfig, Client};
use std::collections::VecDeque;
use std::path::Path;
use std::time::Duration;
use tokio::time::timeout;

/// How the primary is found through Redis Sentinel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SentinelOptions {
    /// The name under which the sentinels know the primary and its replicas.
    pub master: String,
    /// Where sentinels are: `host:port`, or a `redis://` or `rediss://` url where they want a password or TLS.
    pub nodes: Vec<String>,
}

/// The sentinels, the one that answered last first.
pub(super) struct Sentinels {
    master: String,
    nodes: Mutex<VecDeque<Client>>,
    timeout: Duration,
}

impl Sentinels {
    pub(super) fn new(options: &SentinelOptions, ca_file: Option<&Path>, timeout: Duration) -> Result<Self, Error> {
        let client = |node: &String| {
            let url = if node.contains("://") { node.clone() } else { format!("redis://{node}") };
            client(&url, ca_file)
        };
        let nodes = options.nodes.iter().map(client).collect::<Result<_, _>>()?;
        Ok(Self { master: options.master.clone(), nodes: Mutex::new(nodes), timeout })
    }

    /// Where the primary is, as the first sentinel says that answers.
    pub(super) async fn primary(&self) -> Result<Address, Error> {
        let nodes: Vec<Client> = self.nodes.lock().iter().cloned().collect();
        let mut reason = String::from("none is given");
        for (at, node) in nodes.into_iter().enumerate() {
            match timeout(self.timeout, self.ask(&node)).await {
                Ok(Ok(Some(address))) => {
                    self.nodes.lock().rotate_left(at);
                    return Ok(address);
                }
                Ok(Ok(None)) => reason = format!("it knows no master `{}`", self.master),
                Ok(Err(refused @ Error::Refused(_))) => return Err(refused),
                Ok(Err(error)) => reason = error.to_string(),
                Err(_) => reason = "it did not answer in time".into(),
            }
            tracing::debug!(sentinel = %node.get_connection_info().addr(), reason, "sentinel did not say who the primary is, asking the next");
        }
        Err(Error::Unavailable(format!("no sentinel says where `{}` is; the last: {reason}", self.master)))
    }

    async fn ask(&self, node: &Client) -> Result<Option<Address>, Error> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.timeout))
            .set_response_timeout(Some(self.timeout));
        let connected = node.get_multiplexed_async_connection_with_config(&config).await;
        let mut connection = connected.map_err(|error| failed(&error))?;
        let mut ask = redis::cmd("SENTINEL");
        ask.arg("GET-MASTER-ADDR-BY-NAME").arg(&self.master);
        ask.query_async::<Option<Address>>(&mut connection).await.map_err(|error| failed(&error))
    }
}
