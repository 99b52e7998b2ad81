//! A Redis Cluster: primaries that share the slots, each with a replica if one is wanted.

use super::port::Port;
use super::process::Life;
use super::resp::{Reply, Resp};
use super::{Redis, redis};
use anyhow::{Context, Result, bail};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

/// How many slots there are.
const SLOTS: usize = 16_384;
/// How long the nodes may take to agree.
const AGREE_TIMEOUT: Duration = Duration::from_secs(60);
/// How often they are asked meanwhile.
const ASK_EVERY: Duration = Duration::from_millis(20);
/// How many keys move at once.
const KEYS_AT_ONCE: &str = "100";

/// What the caller may choose.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many primaries.
    pub primaries: usize,
    /// Whether each has a replica.
    pub replicas: bool,
    /// How long a primary may be away before its replica takes over.
    pub node_timeout: Duration,
    /// Whether it goes on after us.
    pub life: Life,
}

impl Default for Options {
    fn default() -> Self {
        Self { primaries: 3, replicas: false, node_timeout: Duration::from_secs(5), life: Life::default() }
    }
}

/// The cluster. Dropping it ends its processes.
pub struct RedisCluster {
    /// The primaries first, then their replicas in the same order.
    nodes: Vec<Redis>,
    primaries: usize,
    /// Where the nodes speak with one another.
    _buses: Vec<Port>,
}

impl RedisCluster {
    /// Starts the nodes in folders below this one, and returns when they serve all slots.
    pub fn start(folder: &Path, options: &Options) -> Result<Self> {
        let count = options.primaries * if options.replicas { 2 } else { 1 };
        let buses = (0..count).map(|_| Port::free()).collect::<Result<Vec<_>>>()?;
        let mut nodes = Vec::new();
        for (n, bus) in buses.iter().enumerate() {
            let args = [
                ("--cluster-enabled", "yes".to_owned()),
                ("--cluster-config-file", "nodes.conf".to_owned()),
                ("--cluster-port", bus.number().to_string()),
                ("--cluster-node-timeout", options.node_timeout.as_millis().to_string()),
                // In tests a replica is promoted however long it has heard nothing: the staler, the better.
                ("--cluster-replica-validity-factor", "0".to_owned()),
                ("--repl-diskless-sync-delay", "0".to_owned()),
            ];
            let args = args.into_iter().flat_map(|(name, value)| [name.to_owned(), value]).collect();
            let options = redis::Options { args, life: options.life, ..redis::Options::default() };
            nodes.push(Redis::start(&folder.join(format!("node-{n}")), options)?);
        }
        let cluster = Self { nodes, primaries: options.primaries, _buses: buses };
        cluster.form()?;
        Ok(cluster)
    }

    fn form(&self) -> Result<()> {
        for n in 0..self.nodes.len() {
            if n < self.primaries {
                let (first, end) = (SLOTS * n / self.primaries, SLOTS * (n + 1) / self.primaries);
                self.run(n, &["CLUSTER", "ADDSLOTSRANGE", &first.to_string(), &(end - 1).to_string()])?;
            }
            self.run(n, &["CLUSTER", "SET-CONFIG-EPOCH", &(n + 1).to_string()])?;
        }
        for from in 0..self.nodes.len() {
            for to in from + 1..self.nodes.len() {
                let (port, bus) = (self.nodes[to].port().to_string(), self._buses[to].number().to_string());
                self.run(from, &["CLUSTER", "MEET", "127.0.0.1", &port, &bus])?;
            }
        }
        let known = format!("cluster_known_nodes:{}", self.nodes.len());
        self.until("the nodes know one another", |info| info.contains(&known))?;
        for replica in self.primaries..self.nodes.len() {
            // A node that was met a moment ago is known by a name that it does not have.
            let primary = self.id(replica - self.primaries)?;
            eventually("a replica knows its primary", || {
                Ok(self.run(replica, &["CLUSTER", "REPLICATE", &primary]).is_ok())
            })?;
        }
        self.until("all slots are served", |info| info.contains("cluster_state:ok"))?;
        for replica in self.primaries..self.nodes.len() {
            eventually("a replica has a copy", || {
                let info = self.run(replica, &["INFO", "replication"])?;
                Ok(info.text().contains("master_link_status:up"))
            })?;
        }
        self.until_settled(0, 0)
    }

    fn until(&self, what: &str, holds: impl Fn(&str) -> bool) -> Result<()> {
        eventually(what, || {
            for n in 0..self.nodes.len() {
                if !holds(self.run(n, &["CLUSTER", "INFO"])?.text()) {
                    return Ok(false);
                }
            }
            Ok(true)
        })
    }

    /// Where all nodes are, `host:port`.
    pub fn addresses(&self) -> Vec<String> {
        self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port())).collect()
    }

    /// A node: the primaries first, then their replicas in the same order.
    pub fn node(&mut self, n: usize) -> &mut Redis {
        &mut self.nodes[n]
    }

    /// Runs a command at a node.
    pub fn run<A: AsRef<[u8]>>(&self, n: usize, command: &[A]) -> Result<Reply> {
        Resp::connect(self.nodes[n].port())?.run(command)
    }

    /// A node's name inside the cluster.
    pub fn id(&self, n: usize) -> Result<String> {
        Ok(self.run(n, &["CLUSTER", "MYID"])?.text().to_owned())
    }

    /// The slot of a key.
    pub fn slot(&self, key: &str) -> Result<u16> {
        Ok(self.run(0, &["CLUSTER", "KEYSLOT", key])?.text().parse()?)
    }

    /// The primary that serves a slot, as the first node sees it that answers.
    pub fn owner(&self, slot: u16) -> Result<usize> {
        (0..self.nodes.len()).find_map(|n| self.owner_seen_by(n, slot).ok()).context("no node knows who serves it")
    }

    fn owner_seen_by(&self, n: usize, slot: u16) -> Result<usize> {
        let Reply::List(ranges) = self.run(n, &["CLUSTER", "SLOTS"])? else { bail!("no slots were listed") };
        for range in ranges {
            let Reply::List(range) = range else { continue };
            let [first, last, Reply::List(primary), ..] = &range[..] else { continue };
            if (first.text().parse::<u16>()?..=last.text().parse()?).contains(&slot) {
                let port: u16 = primary.get(1).context("a node has a port")?.text().parse()?;
                return self.nodes.iter().position(|node| node.port() == port).context("a stranger serves it");
            }
        }
        bail!("nobody serves slot {slot}")
    }

    /// Waits until every primary has heard who serves a slot, and of the same epoch. A move that begins before that may be
    /// undone by what is still on its way between the nodes, and its keys are lost.
    fn until_settled(&self, slot: u16, owner: usize) -> Result<()> {
        eventually("the nodes agree on a slot", || {
            let (mut current, mut own) = (BTreeSet::new(), BTreeSet::new());
            for n in 0..self.primaries {
                if self.owner_seen_by(n, slot)? != owner {
                    return Ok(false);
                }
                let info = self.run(n, &["CLUSTER", "INFO"])?;
                let said = |name: &str| info.text().lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
                current.extend(said("cluster_current_epoch:"));
                own.extend(said("cluster_my_epoch:"));
            }
            Ok(current.len() == 1 && own.len() == self.primaries)
        })
    }

    /// Begins to move a slot: from now on keys that are not there are asked for at the other primary.
    pub fn begin_move(&self, slot: u16, from: usize, to: usize) -> Result<()> {
        let slot = slot.to_string();
        self.run(to, &["CLUSTER", "SETSLOT", &slot, "IMPORTING", &self.id(from)?])?;
        self.run(from, &["CLUSTER", "SETSLOT", &slot, "MIGRATING", &self.id(to)?]).map(drop)
    }

    /// Moves the keys of a slot, a few at once.
    pub fn move_keys(&self, slot: u16, from: usize, to: usize) -> Result<()> {
        let (number, port) = (slot.to_string(), self.nodes[to].port().to_string());
        let mut source = Resp::connect(self.nodes[from].port())?;
        loop {
            let Reply::List(keys) = source.run(&["CLUSTER", "GETKEYSINSLOT", &number, KEYS_AT_ONCE])? else {
                bail!("no keys were listed")
            };
            if keys.is_empty() {
                return Ok(());
            }
            let mut command: Vec<Vec<u8>> =
                ["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "KEYS"].map(|word| word.as_bytes().to_vec()).into();
            command.extend(keys.into_iter().filter_map(|key| match key {
                Reply::Bytes(bytes) => Some(bytes),
                _ => None,
            }));
            source.run(&command)?;
        }
    }

    /// Ends the move of a slot: first the new owner learns of it, then the others. Returns when all of them have.
    pub fn end_move(&self, slot: u16, to: usize) -> Result<()> {
        let (number, id) = (slot.to_string(), self.id(to)?);
        let others = (0..self.primaries).filter(|n| *n != to);
        for n in std::iter::once(to).chain(others) {
            self.run(n, &["CLUSTER", "SETSLOT", &number, "NODE", &id])?;
        }
        self.until_settled(slot, to)
    }

    /// Moves a slot with all its keys, as `redis-cli --cluster reshard` does.
    pub fn move_slot(&self, slot: u16, to: usize) -> Result<()> {
        let from = self.owner(slot)?;
        if from == to {
            return Ok(());
        }
        self.begin_move(slot, from, to)?;
        self.move_keys(slot, from, to)?;
        self.end_move(slot, to)
    }

    /// Cuts a replica off from its primary, so that it falls behind; the cluster does not notice.
    pub fn cut_off(&self, primary: usize) -> Result<()> {
        self.run(primary, &["ACL", "SETUSER", "default", "-psync", "-sync"])?;
        self.run(primary, &["CLIENT", "KILL", "TYPE", "replica"])?;
        let replica = primary + self.primaries;
        eventually("the replica is cut off", || {
            Ok(self.run(replica, &["INFO", "replication"])?.text().contains("master_link_status:down"))
        })
    }
}

/// Asks again and again.
fn eventually(what: &str, holds: impl Fn() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + AGREE_TIMEOUT;
    while !holds()? {
        if Instant::now() > deadline {
            bail!("not within {AGREE_TIMEOUT:?}: {what}");
        }
        std::thread::sleep(ASK_EVERY);
    }
    Ok(())
}
