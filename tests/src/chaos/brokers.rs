//! Three brokers of Kafka that keep every record three times. Our programs go to each through a wire; the brokers know one
//! another without.

use super::schedule::{HUBS_MAX, hub_name};
use crate::proxy::{Fault, Proxy};
use anyhow::{Context, Result};
use std::path::Path;
use std::sync::Arc;
use tokio::task::{block_in_place, spawn_blocking};
use xtask::services::port::{self, Port};
use xtask::services::{Kafka, kafka};

/// How many.
pub const BROKERS: usize = 3;

struct Broker {
    server: Kafka,
    wire: Arc<Proxy>,
    _ports: [Port; 3],
}

/// The three of them.
pub struct Brokers(Vec<Broker>);

impl Brokers {
    /// Starts them and waits until each of them serves.
    pub async fn start(folder: &Path) -> Result<Self> {
        let mut ports = Vec::new();
        for _ in 0..BROKERS {
            ports.push([port_with_the_next()?, Port::free()?, Port::free()?]);
        }
        let voters: Vec<String> = ports
            .iter()
            .enumerate()
            .map(|(n, [_, _, controller])| format!("{}@127.0.0.1:{}", n + 1, controller.number()))
            .collect();
        let mut starting = Vec::new();
        for (n, ports) in ports.into_iter().enumerate() {
            let wire = Arc::new(Proxy::to(&format!("127.0.0.1:{}", ports[1].number())).await?);
            (0..HUBS_MAX).for_each(|hub| wire.set_for(&hub_name(hub), Fault::None));
            let options = kafka::Options {
                port: Some(ports[0].number()),
                properties: properties(n + 1, &ports, wire.address.port(), &voters.join(",")),
                ..kafka::Options::default()
            };
            let folder = folder.join(format!("kafka-{n}"));
            // Each waits for another to vote with: all at once.
            starting.push((wire, ports, spawn_blocking(move || Kafka::start(&folder, options))));
        }
        let mut brokers = Vec::new();
        for (wire, ports, server) in starting {
            brokers.push(Broker { server: server.await?.context("could not start a broker")?, wire, _ports: ports });
        }
        Ok(Self(brokers))
    }

    /// The wires to all.
    pub fn wires(&self) -> Vec<Arc<Proxy>> {
        self.0.iter().map(|broker| broker.wire.clone()).collect()
    }

    /// Where our programs find them.
    pub fn addresses(&self) -> Vec<String> {
        self.0.iter().map(|broker| broker.wire.address.to_string()).collect()
    }

    /// Where they are, past their wires.
    pub fn direct(&self) -> String {
        self.0.iter().map(|broker| broker.server.address()).collect::<Vec<_>>().join(",")
    }

    /// The wire to one of them.
    pub fn wire(&self, n: usize) -> &Proxy {
        &self.0[n].wire
    }

    /// Kills one.
    pub fn kill(&mut self, n: usize) -> Result<()> {
        block_in_place(|| self.0[n].server.kill())
    }

    /// Starts one again.
    pub fn restart(&mut self, n: usize) -> Result<()> {
        block_in_place(|| self.0[n].server.restart())
    }

    /// Makes one stand still, or lets it go on.
    pub fn pause(&self, n: usize, paused: bool) -> Result<()> {
        let server = &self.0[n].server;
        block_in_place(|| if paused { server.pause() } else { server.resume() })
    }

    /// Whatever is down or stands still runs again, and no wire has a fault.
    pub fn heal(&mut self) -> Result<()> {
        for n in 0..self.0.len() {
            self.0[n].wire.set(Fault::None);
            (0..HUBS_MAX).for_each(|hub| self.0[n].wire.set_for(&hub_name(hub), Fault::None));
            if self.0[n].server.is_running()? {
                self.pause(n, false)?;
            }
        }
        for n in 0..self.0.len() {
            if !self.0[n].server.is_running()? {
                self.restart(n)?;
            }
        }
        Ok(())
    }
}

/// A port whose successor is free as well: a broker at a port of one's choice takes both.
fn port_with_the_next() -> Result<Port> {
    loop {
        let port = Port::free()?;
        if port::is_free(port.number() + 1) {
            return Ok(port);
        }
    }
}

fn properties(id: usize, ports: &[Port; 3], wire: u16, voters: &str) -> Vec<(String, String)> {
    let [own, clients, controller] = [&ports[0], &ports[1], &ports[2]].map(Port::number);
    let local = "127.0.0.1";
    let listeners = format!("PLAINTEXT://{local}:{own},CLIENT://{local}:{clients},CONTROLLER://{local}:{controller}");
    let advertised = format!("PLAINTEXT://{local}:{own},CLIENT://{local}:{wire}");
    [
        ("node.id", id.to_string()),
        ("controller.quorum.voters", voters.to_owned()),
        ("listeners", listeners),
        ("advertised.listeners", advertised),
        ("listener.security.protocol.map", "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,CLIENT:PLAINTEXT".into()),
        ("inter.broker.listener.name", "PLAINTEXT".into()),
        ("offsets.topic.replication.factor", BROKERS.to_string()),
        // A dead broker is noticed within seconds, so that there is time for more than one in a run.
        ("broker.session.timeout.ms", "4000".into()),
        ("broker.heartbeat.interval.ms", "1000".into()),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into()
}
