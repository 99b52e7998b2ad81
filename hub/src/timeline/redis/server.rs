//! Who a server is, and whether it may be used.

use super::super::Error;
use crate::redis::failed;
use redis::aio::MultiplexedConnection;
use std::collections::HashMap;

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

/// How many bytes of memory a server uses, and the most that it may; 0: as many as there are.
pub(super) async fn memory(connection: &mut MultiplexedConnection) -> Result<(u64, u64), Error> {
    let about = info(connection, &["memory"]).await?;
    let number = |name| about.get(name).and_then(|bytes| bytes.parse().ok()).unwrap_or(0);
    Ok((number("used_memory"), number("maxmemory")))
}

async fn info(connection: &mut MultiplexedConnection, sections: &[&str]) -> Result<HashMap<String, String>, Error> {
    let asked = redis::cmd("INFO").arg(sections).query_async::<String>(connection).await;
    let text = asked.map_err(|error| failed(&error))?;
    let pairs = text.lines().filter_map(|line| line.split_once(':'));
    Ok(pairs.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect())
}
