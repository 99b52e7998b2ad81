//! Redis Cluster: which primaries it has and who serves which slot, asked of any of its nodes.

use super::connector::{Address, Connector};
use super::error::{Error, failed};
use super::shards::{Map, SLOTS, Shards};
use futures_util::future::try_join_all;
use parking_lot::Mutex;
use redis::aio::MultiplexedConnection;
use redis::{RedisError, Value};
use tokio::time::timeout;

/// Nodes to ask: those that were found, then those that the settings name.
pub(super) struct Nodes {
    named: Vec<Address>,
    found: Mutex<Vec<Address>>,
}

impl Nodes {
    pub(super) fn new(nodes: &[String]) -> Result<Self, Error> {
        let address = |node: &String| {
            let (host, port) = node.rsplit_once(':')?;
            Some((host.trim_matches(['[', ']']).to_owned(), port.parse().ok()?))
        };
        let named = nodes
            .iter()
            .map(|node| address(node).ok_or_else(|| Error::Refused(format!("`{node}` is no host and port"))));
        Ok(Self { named: named.collect::<Result<_, _>>()?, found: Mutex::default() })
    }

    /// The nodes that the settings name.
    pub(super) fn named(&self) -> &[Address] {
        &self.named
    }

    /// The map, as the first node sees it that answers.
    pub(super) async fn map(&self, connector: &Connector) -> Result<Map, Error> {
        let mut candidates = self.found.lock().clone();
        candidates.extend(self.named.iter().filter(|at| !candidates.contains(at)).cloned().collect::<Vec<_>>());
        let mut reason = String::from("none is given");
        for at in candidates {
            let asking = async { map(&mut connector.open_at(&at, "topology", None).await?, &at).await };
            match timeout(connector.timeout(), asking).await {
                Ok(Ok(map)) => {
                    self.found.lock().clone_from(&map.primaries);
                    return Ok(map);
                }
                Ok(Err(refused @ Error::Refused(_))) => return Err(refused),
                Ok(Err(error)) => reason = error.to_string(),
                Err(_) => reason = "it did not answer in time".into(),
            }
            tracing::debug!(
                node = format!("{}:{}", at.0, at.1),
                reason,
                "cluster node did not answer, asking the next"
            );
        }
        Err(Error::Unavailable(format!("no node of the cluster says who serves what; the last: {reason}")))
    }
}

/// The map as the node at the other end sees it.
pub(super) async fn map(connection: &mut MultiplexedConnection, asked: &Address) -> Result<Map, Error> {
    let answer = redis::cmd("CLUSTER").arg("SLOTS").query_async::<Value>(connection).await;
    let answer = answer.map_err(|error| if is_no_cluster(&error) { no_cluster(asked) } else { failed(&error) })?;
    read(answer, asked).ok_or_else(|| Error::Unavailable("the cluster has no primary that serves anything".into()))
}

/// Looks whether all primaries know of the same primaries. While they do not, two hubs that ask different ones would
/// begin generations against each other.
pub(crate) async fn primaries_agree(primaries: &Shards<MultiplexedConnection>) -> Result<(), Error> {
    let asking = primaries.all().iter().map(|shard| async {
        let at = shard.at.as_ref().ok_or_else(|| Error::Unavailable("a node without an address".into()))?;
        Ok::<_, Error>(primaries.follow(&map(&mut shard.it.clone(), at).await?))
    });
    let agree = try_join_all(asking).await?;
    match agree.into_iter().all(|same| same) {
        true => Ok(()),
        false => Err(Error::Unavailable("the cluster's primaries do not agree yet on who they are".into())),
    }
}

fn is_no_cluster(error: &RedisError) -> bool {
    error.to_string().contains("cluster support disabled")
}

fn no_cluster(asked: &Address) -> Error {
    let hint = "take timeline.redis.cluster out to use it as a single server";
    Error::Refused(format!("{}:{} is no node of a Redis Cluster: {hint}", asked.0, asked.1))
}

/// Reads what `CLUSTER SLOTS` answers. `None`: nothing is served.
fn read(answer: Value, asked: &Address) -> Option<Map> {
    let Value::Array(ranges) = answer else { return None };
    let mut map = Map { primaries: Vec::new(), owners: vec![0; usize::from(SLOTS)] };
    for range in ranges {
        let Value::Array(range) = range else { continue };
        let [Value::Int(first), Value::Int(last), Value::Array(primary), ..] = &range[..] else { continue };
        let Some(at) = address(primary, asked) else { continue };
        let index = map.primaries.iter().position(|known| *known == at).unwrap_or_else(|| {
            map.primaries.push(at);
            map.primaries.len() - 1
        });
        let first = usize::try_from(*first).ok()?;
        let last = usize::try_from(*last).ok()?;
        map.owners.get_mut(first..=last)?.fill(index as u16);
    }
    (!map.primaries.is_empty()).then_some(map)
}

/// Where a node is. One that does not know its own host is where it was asked; one that nobody knows is nowhere.
fn address(node: &[Value], asked: &Address) -> Option<Address> {
    let (host, Value::Int(port)) = (node.first()?, node.get(1)?) else { return None };
    let host = match host {
        Value::Nil => asked.0.clone(),
        Value::BulkString(host) if host.is_empty() => asked.0.clone(),
        Value::BulkString(host) if host == b"?" => return None,
        Value::BulkString(host) => String::from_utf8(host.clone()).ok()?,
        _ => return None,
    };
    Some((host, u16::try_from(*port).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(host: Option<&str>, port: i64) -> Value {
        let host = host.map_or(Value::Nil, |host| Value::BulkString(host.into()));
        Value::Array(vec![host, Value::Int(port), Value::BulkString(b"id".to_vec())])
    }

    fn range(first: i64, last: i64, nodes: Vec<Value>) -> Value {
        Value::Array([vec![Value::Int(first), Value::Int(last)], nodes].concat())
    }

    #[test]
    fn a_map_names_each_primary_once_and_fills_in_hosts_that_are_not_said() {
        let asked = ("asked".to_owned(), 7000);
        let answer = Value::Array(vec![
            range(0, 99, vec![node(Some("a"), 1), node(Some("replica"), 9)]),
            range(100, 16_383, vec![node(None, 2)]),
            range(50, 50, vec![node(Some("a"), 1)]),
        ]);
        let map = read(answer, &asked).unwrap();
        assert_eq!(map.primaries, [("a".to_owned(), 1), ("asked".to_owned(), 2)]);
        assert_eq!((map.owners[99], map.owners[100], map.owners[50]), (0, 1, 0));
        for nothing in [Value::Array(vec![]), Value::Array(vec![range(0, 5, vec![node(Some("?"), 1)])]), Value::Nil] {
            assert_eq!(read(nothing, &asked), None);
        }
        assert_eq!(
            read(Value::Array(vec![range(5, 99_999, vec![node(None, 1)])]), &asked),
            None,
            "there are no such slots"
        );
    }

    #[test]
    fn nodes_are_hosts_and_ports() {
        let nodes = Nodes::new(&["a:1".into(), "[::1]:2".into()]).unwrap();
        assert_eq!(nodes.named(), [("a".to_owned(), 1), ("::1".to_owned(), 2)]);
        assert!(matches!(Nodes::new(&["a".into()]), Err(Error::Refused(_))));
    }
}
