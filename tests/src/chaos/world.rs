//! The world of a run, of either profile, as everybody else sees it: hubs behind wires, and faults.

use super::cluster::Cluster;
use super::embedded::Embedded;
use super::fault::{Fault, Part, Profile};
use super::redis::RELAY;
use super::schedule::{Planned, Schedule, hub_name};
use super::words;
use crate::gather::Sources;
use crate::process::Running;
use crate::proxy::{Fault as Wire, Proxy};
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::task::block_in_place;
use tokio::time::sleep;

/// Who is in it.
#[allow(clippy::large_enum_variant, reason = "there is one of them")]
pub enum Everybody {
    /// A cluster.
    Cluster(Cluster),
    /// An embedded hub.
    Embedded(Embedded),
}

/// The world.
pub struct World {
    /// Who is in it.
    pub everybody: Everybody,
    /// The wires that clients go through, one a hub.
    fronts: Vec<Proxy>,
}

/// How long a link stays cut when links flap.
const FLAP: Duration = Duration::from_millis(150);

impl World {
    /// Starts one.
    pub async fn start(folder: &Path, profile: Profile, schedule: &Schedule, minutes: u64) -> Result<Self> {
        let everybody = match profile {
            Profile::Cluster => Everybody::Cluster(Cluster::start(folder, &schedule.shape).await?),
            Profile::Embedded => {
                let fills = schedule.faults.iter().any(|planned| planned.fault == Fault::DiskFull);
                Everybody::Embedded(Embedded::start(folder, minutes, fills).await?)
            }
        };
        let mut world = Self { everybody, fronts: Vec::new() };
        for n in 0..schedule.shape.hubs {
            let listen = world.hub(n).lock().await.listen.clone();
            world.fronts.push(Proxy::to(&listen).await?);
        }
        Ok(world)
    }

    /// Where clients connect.
    pub fn fronts(&self) -> Vec<String> {
        self.fronts.iter().map(|front| front.address.to_string()).collect()
    }

    /// How many hubs there are.
    pub fn hubs(&self) -> usize {
        match &self.everybody {
            Everybody::Cluster(cluster) => cluster.hubs.len(),
            Everybody::Embedded(_) => 1,
        }
    }

    /// A hub.
    pub fn hub(&self, n: usize) -> &Mutex<Running> {
        match &self.everybody {
            Everybody::Cluster(cluster) => &cluster.hubs[n],
            Everybody::Embedded(embedded) => &embedded.hub,
        }
    }

    /// Where everything can be looked at, past the wires.
    pub async fn sources(&self) -> Sources {
        let mut hubs = Vec::new();
        for n in 0..self.hubs() {
            hubs.push(self.hub(n).lock().await.listen.clone());
        }
        let services = match &self.everybody {
            Everybody::Cluster(cluster) => Some(cluster.services().await),
            Everybody::Embedded(_) => None,
        };
        Sources { hubs, services }
    }

    fn cluster(&self) -> Result<&Cluster> {
        match &self.everybody {
            Everybody::Cluster(cluster) => Ok(cluster),
            Everybody::Embedded(_) => bail!("that happens only in a cluster"),
        }
    }

    /// Ends every fault, and waits until everybody is ready.
    pub async fn heal(&self) -> Result<()> {
        self.fronts.iter().for_each(|front| front.set(Wire::None));
        match &self.everybody {
            Everybody::Cluster(cluster) => cluster.heal().await?,
            Everybody::Embedded(embedded) => embedded.heal().await?,
        }
        self.plugins(false).await
    }

    /// Lets a fault happen, from its beginning to its end.
    pub async fn befall(&self, planned: &Planned) -> Result<()> {
        let lasts = planned.lasts;
        match planned.part {
            Part::Hub(n) if planned.fault == Fault::HubParted => self.hub_is_parted(n, planned).await,
            Part::Hub(n) => program_falls(planned.fault, self.hub(n), lasts).await,
            Part::Consumer(n) => program_falls(planned.fault, &self.cluster()?.consumers[n], lasts).await,
            Part::Kafka => self.kafka_falls(planned).await,
            Part::Redis => self.redis_falls(planned).await,
            Part::Postgres => self.postgres_falls(planned.fault, lasts).await,
            Part::Front(n) => self.front_falls(planned.fault, &self.fronts[n], planned).await,
            Part::Plugins => {
                self.plugins(true).await?;
                sleep(lasts).await;
                self.plugins(false).await
            }
            Part::Disk => {
                let Everybody::Embedded(Embedded { disk: Some(disk), .. }) = &self.everybody else {
                    bail!("there is no disk to fill")
                };
                block_in_place(|| disk.fill())?;
                sleep(lasts).await;
                disk.clear()
            }
        }
    }

    /// One hub does not reach one of the services; the wires of the others pass.
    async fn hub_is_parted(&self, n: usize, planned: &Planned) -> Result<()> {
        let wires = &self.cluster()?.wires[planned.choice as usize % 3];
        let lay = |fault| wires.iter().for_each(|wire| wire.set_for(&hub_name(n), fault));
        lay(Wire::BlackHole);
        sleep(planned.lasts).await;
        lay(Wire::None);
        Ok(())
    }

    async fn kafka_falls(&self, planned: &Planned) -> Result<()> {
        let mut kafka = self.cluster()?.kafka.lock().await;
        let (one, other) = (planned.choice as usize % 3, (planned.choice as usize + 1) % 3);
        match planned.fault {
            Fault::KafkaKill => {
                kafka.kill(one)?;
                sleep(planned.lasts).await;
                kafka.restart(one)
            }
            Fault::KafkaPause => {
                kafka.pause(one, true)?;
                sleep(planned.lasts).await;
                kafka.pause(one, false)
            }
            Fault::KafkaOutage => {
                kafka.pause(one, true)?;
                kafka.pause(other, true)?;
                sleep(planned.lasts).await;
                kafka.pause(one, false)?;
                kafka.pause(other, false)
            }
            _ => {
                kafka.wire(one).set(Wire::BlackHole);
                sleep(planned.lasts).await;
                kafka.wire(one).set(Wire::None);
                Ok(())
            }
        }
    }

    async fn redis_falls(&self, planned: &Planned) -> Result<()> {
        let lasts = planned.lasts;
        let mut redis = self.cluster()?.redis.lock().await;
        let primary = redis.primary().await;
        match planned.fault {
            Fault::RedisKill | Fault::ReplicaKill => {
                let node = if planned.fault == Fault::RedisKill { primary } else { 1 - primary };
                redis.kill(node)?;
                sleep(lasts).await;
                redis.restart(node).await
            }
            Fault::RedisPause => {
                redis.pause(primary, true)?;
                sleep(lasts).await;
                redis.pause(primary, false)
            }
            Fault::RedisStale => {
                redis.part(primary, true);
                sleep(lasts).await;
                redis.kill(primary)?;
                // So long that the sentinel acts: that the replica takes over is the point.
                sleep(Duration::from_secs(3)).await;
                redis.part(primary, false);
                redis.restart(primary).await
            }
            Fault::RedisCut => {
                redis.wire(primary).set(Wire::BlackHole);
                sleep(lasts).await;
                redis.wire(primary).set(Wire::None);
                Ok(())
            }
            Fault::RedisRefuses => {
                let memory = planned.choice.is_multiple_of(2);
                redis.refuse(primary, memory, true).await?;
                sleep(lasts).await;
                redis.refuse(primary, memory, false).await
            }
            Fault::RedisFlap => {
                let begun = tokio::time::Instant::now();
                while begun.elapsed() < lasts {
                    redis.wire(primary).cut_once();
                    sleep(FLAP).await;
                }
                Ok(())
            }
            Fault::RelayDeaf => {
                redis.wire(primary).set_for(RELAY, Wire::BlackHole);
                sleep(lasts).await;
                redis.wire(primary).set_for(RELAY, Wire::None);
                Ok(())
            }
            _ => {
                redis.kill_sentinel()?;
                sleep(lasts).await;
                redis.start_sentinel()
            }
        }
    }

    async fn postgres_falls(&self, fault: Fault, lasts: Duration) -> Result<()> {
        let mut postgres = self.cluster()?.postgres.lock().await;
        match fault {
            Fault::PostgresKill => {
                block_in_place(|| postgres.server.kill())?;
                sleep(lasts).await;
                block_in_place(|| postgres.server.restart())
            }
            Fault::PostgresPause => {
                block_in_place(|| postgres.server.pause())?;
                sleep(lasts).await;
                block_in_place(|| postgres.server.resume())
            }
            _ => {
                postgres.wire.set(Wire::Cut);
                sleep(lasts).await;
                postgres.wire.set(Wire::None);
                Ok(())
            }
        }
    }

    async fn front_falls(&self, fault: Fault, front: &Proxy, planned: &Planned) -> Result<()> {
        let laid = match fault {
            Fault::FrontCut => {
                front.cut_once();
                return Ok(());
            }
            Fault::FrontDelay => Wire::Delay(Duration::from_millis(20 + planned.choice % 400)),
            _ => Wire::BlackHole,
        };
        front.set(laid);
        sleep(planned.lasts).await;
        front.set(Wire::None);
        Ok(())
    }

    /// Gives every hub the plugins as they should be, or one that traps. A hub that is away reads them when it starts.
    async fn plugins(&self, trapping: bool) -> Result<()> {
        let chain = words::chain(trapping)?;
        for n in 0..self.hubs() {
            let admin = {
                let hub = self.hub(n).lock().await;
                hub.rewrite(|old| {
                    let rest = old.split("\n[plugin.").next().unwrap_or_default();
                    format!("{}\n{}", rest.trim_end(), chain.trim_start())
                })?;
                hub.admin_api()
            };
            let nothing = serde_json::json!({});
            match tokio::time::timeout(Duration::from_secs(10), admin.post("/api/v1/reload", &nothing)).await {
                Ok(Ok((200 | 503, _))) => {} // 503: it starts, and reads them by itself
                Ok(Ok((status, answer))) => bail!("a reload was answered with {status}: {answer}"),
                Ok(Err(_)) | Err(_) => {} // down, or standing still
            }
        }
        Ok(())
    }
}

/// Kills, stops or drains one of our programs, and starts it again.
async fn program_falls(fault: Fault, program: &Mutex<Running>, lasts: Duration) -> Result<()> {
    let mut program = program.lock().await;
    if program.pid().is_none() {
        bail!("it is not running");
    }
    match fault {
        Fault::HubPause | Fault::ConsumerPause => {
            program.pause(true)?;
            sleep(lasts).await;
            return program.pause(false);
        }
        Fault::HubDrain => {
            let status = block_in_place(|| program.stop())?;
            if !status.success() {
                bail!("a drained hub ended with {status}");
            }
        }
        _ => drop(block_in_place(|| program.kill())?),
    }
    sleep(lasts).await;
    program.launch()?;
    program.ready().await.context("it did not come back")
}
