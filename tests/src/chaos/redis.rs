//! A primary, a replica and a sentinel, each server behind a wire that everybody else goes through.

use super::schedule::{HUBS_MAX, hub_name};
use crate::eventually;
use crate::proxy::{Fault, Proxy};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::block_in_place;
use xtask::services::port::Port;
use xtask::services::{Life, Process, Redis, redis};

/// The name under which the sentinel knows the primary.
pub const MASTER: &str = "chaos";
/// What only a hub's relay connections say.
pub const RELAY: &str = "SSUBSCRIBE";
/// What only a replica says.
const REPLICATION: &str = "PSYNC";
/// How long a question to a server may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// A server and the wire to it.
struct Node {
    server: Redis,
    wire: Arc<Proxy>,
    /// Directives that are read at the next start.
    include: PathBuf,
}

/// The three of them.
pub struct Trio {
    nodes: [Node; 2],
    sentinel: Option<Process>,
    sentinel_port: Port,
    folder: PathBuf,
}

impl Trio {
    /// Starts them, with an append-only file or without.
    pub async fn start(folder: &Path, keeps: bool) -> Result<Self> {
        let first = Node::start(&folder.join("redis-0"), keeps, None).await?;
        let second = Node::start(&folder.join("redis-1"), keeps, Some(first.wire.address.port())).await?;
        let port = Port::free()?;
        let text = format!(
            "port {}\nbind 127.0.0.1\ndir {}\nsentinel monitor {MASTER} 127.0.0.1 {} 1\n\
             sentinel down-after-milliseconds {MASTER} 1000\nsentinel failover-timeout {MASTER} 4000\n",
            port.number(),
            folder.display(),
            first.wire.address.port(),
        );
        std::fs::write(folder.join("sentinel.conf"), text)?;
        let mut trio = Self { nodes: [first, second], sentinel: None, sentinel_port: port, folder: folder.to_owned() };
        trio.start_sentinel()?;
        eventually("the sentinel knows the replica", async || {
            std::fs::read_to_string(trio.log()).ok()?.contains("+slave").then_some(())
        })
        .await;
        Ok(trio)
    }

    /// Where the sentinel is: `host:port`.
    pub fn sentinel_address(&self) -> String {
        format!("127.0.0.1:{}", self.sentinel_port.number())
    }

    /// How often a replica has taken the primary's place.
    pub fn failovers(&self) -> usize {
        std::fs::read_to_string(self.log()).unwrap_or_default().matches("+switch-master").count()
    }

    fn log(&self) -> PathBuf {
        self.folder.join("sentinel.log")
    }

    /// Which of the two is the primary, as the sentinel says. While it says nothing, the one that it named last.
    pub async fn primary(&self) -> usize {
        let mut ask = ::redis::cmd("SENTINEL");
        ask.arg("GET-MASTER-ADDR-BY-NAME").arg(MASTER);
        let answer = async {
            let client = ::redis::Client::open(format!("redis://{}", self.sentinel_address())).ok()?;
            let mut connection = client.get_multiplexed_async_connection().await.ok()?;
            ask.query_async::<(String, u16)>(&mut connection).await.ok()
        };
        let named = tokio::time::timeout(PATIENCE, answer).await.ok().flatten();
        let port = named.map(|(_, port)| port).or_else(|| self.named_last());
        usize::from(port == Some(self.nodes[1].wire.address.port()))
    }

    fn named_last(&self) -> Option<u16> {
        let said = std::fs::read_to_string(self.log()).ok()?;
        let line = said.lines().rfind(|line| line.contains("+switch-master"))?;
        line.rsplit(' ').next()?.parse().ok()
    }

    /// Where the primary is, past its wire.
    pub async fn primary_url(&self) -> String {
        self.nodes[self.primary().await].server.address()
    }

    /// The wires to both.
    pub fn wires(&self) -> Vec<Arc<Proxy>> {
        self.nodes.iter().map(|node| node.wire.clone()).collect()
    }

    /// The wire to one of them.
    pub fn wire(&self, node: usize) -> &Proxy {
        &self.nodes[node].wire
    }

    /// Makes the primary refuse writes, for want of memory or of replicas, or take them again.
    pub async fn refuse(&self, node: usize, memory: bool, refuses: bool) -> Result<()> {
        let (directive, value) = match (memory, refuses) {
            (true, true) => ("maxmemory", "1"),
            (true, false) => ("maxmemory", "0"),
            (false, true) => ("min-replicas-to-write", "9"),
            (false, false) => ("min-replicas-to-write", "0"),
        };
        let asked = async {
            let client = ::redis::Client::open(self.nodes[node].server.address())?;
            let mut connection = client.get_multiplexed_async_connection().await?;
            ::redis::cmd("CONFIG").arg("SET").arg(directive).arg(value).exec_async(&mut connection).await
        };
        Ok(tokio::time::timeout(PATIENCE, asked).await.context("Redis does not answer")??)
    }

    /// Keeps what is written from reaching the replica, without telling anybody.
    pub fn part(&self, primary: usize, parted: bool) {
        let fault = if parted { Fault::BlackHole } else { Fault::None };
        self.nodes[primary].wire.set_for(REPLICATION, fault);
    }

    /// Kills one of them.
    pub fn kill(&mut self, node: usize) -> Result<()> {
        block_in_place(|| self.nodes[node].server.kill())
    }

    /// Makes one of them stand still, or lets it go on.
    pub fn pause(&self, node: usize, paused: bool) -> Result<()> {
        let server = &self.nodes[node].server;
        block_in_place(|| if paused { server.pause() } else { server.resume() })
    }

    /// Starts one again as what it is by now: the primary as that, any other as the primary's replica.
    pub async fn restart(&mut self, node: usize) -> Result<()> {
        let primary = self.primary().await;
        let port = self.nodes[primary].wire.address.port();
        let follows = (primary != node).then_some(port);
        std::fs::write(&self.nodes[node].include, directives(follows))?;
        block_in_place(|| self.nodes[node].server.restart())
    }

    /// Kills the sentinel.
    pub fn kill_sentinel(&mut self) -> Result<()> {
        match self.sentinel.take() {
            Some(mut sentinel) => block_in_place(|| sentinel.kill()).map(drop),
            None => Ok(()),
        }
    }

    /// Starts the sentinel. It remembers what it knew: it keeps its settings in its file.
    pub fn start_sentinel(&mut self) -> Result<()> {
        let mut command = Command::new("redis-server");
        command.arg(self.folder.join("sentinel.conf")).arg("--sentinel");
        self.sentinel = Some(block_in_place(|| Process::spawn(command, &self.log(), Life::WithUs))?);
        Ok(())
    }

    /// Whatever is down or stands still runs again, and no wire has a fault.
    pub async fn heal(&mut self) -> Result<()> {
        for node in 0..self.nodes.len() {
            let wire = &self.nodes[node].wire;
            wire.set(Fault::None);
            wire.set_for(RELAY, Fault::None);
            wire.set_for(REPLICATION, Fault::None);
            (0..HUBS_MAX).for_each(|hub| wire.set_for(&hub_name(hub), Fault::None));
            if self.nodes[node].server.is_running()? {
                self.pause(node, false)?;
            }
        }
        if self.sentinel.is_none() {
            self.start_sentinel()?;
        }
        for node in 0..self.nodes.len() {
            if !self.nodes[node].server.is_running()? {
                self.restart(node).await?;
            }
        }
        Ok(())
    }
}

impl Node {
    async fn start(folder: &Path, keeps: bool, follows: Option<u16>) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let include = folder.join("include.conf");
        std::fs::write(&include, directives(follows))?;
        // The wire is there first, since the server announces it as its own port.
        let wire = Arc::new(Proxy::to("127.0.0.1:1").await?);
        for word in [RELAY, REPLICATION] {
            wire.set_for(word, Fault::None);
        }
        (0..HUBS_MAX).for_each(|hub| wire.set_for(&hub_name(hub), Fault::None));
        let announced = wire.address.port().to_string();
        let yes = if keeps { "yes" } else { "no" };
        let mut args = vec!["--appendonly", yes, "--replica-announce-ip", "127.0.0.1", "--replica-announce-port"];
        args.extend([announced.as_str(), "--repl-diskless-sync-delay", "0", "--repl-timeout", "5"]);
        let mut args: Vec<String> = args.into_iter().map(str::to_owned).collect();
        for hub in 0..HUBS_MAX {
            let name = hub_name(hub);
            args.extend(["--user", &name, "on", "nopass", "~*", "&*", "+@all"].map(str::to_owned));
        }
        args.extend(["--include".to_owned(), include.display().to_string()]);
        let options = redis::Options { args, ..redis::Options::default() };
        let server = block_in_place(|| Redis::start(folder, options)).context("could not start a Redis")?;
        wire.lead_to(&format!("127.0.0.1:{}", server.port()));
        Ok(Self { server, wire, include })
    }
}

fn directives(follows: Option<u16>) -> String {
    follows.map_or_else(String::new, |port| format!("replicaof 127.0.0.1 {port}\n"))
}
