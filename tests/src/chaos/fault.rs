//! The faults: their names, what each befalls, and how long each lasts.

use anyhow::{Result, bail};
use std::ops::Range;

/// Which kind of world a run has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// Hubs, consumers, Redis with a replica and a sentinel, three brokers of Kafka, PostgreSQL.
    Cluster,
    /// One hub on a disk of its own.
    Embedded,
}

/// What a fault befalls. Two faults never befall one part at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// A hub, by its number.
    Hub(usize),
    /// A consumer, by its number.
    Consumer(usize),
    /// The brokers.
    Kafka,
    /// Primary, replica and sentinel.
    Redis,
    /// PostgreSQL, and the links to it.
    Postgres,
    /// The links between clients and a hub, by its number.
    Front(usize),
    /// The plugins.
    Plugins,
    /// The disk of the embedded hub.
    Disk,
}

/// Everything that can go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A hub is killed, and started again afterwards.
    HubKill,
    /// A hub stands still.
    HubPause,
    /// A hub is told to end, drains, and is started again.
    HubDrain,
    /// Nothing arrives between one hub and one of the services; everybody else reaches it.
    HubParted,
    /// A consumer is killed, and started again.
    ConsumerKill,
    /// A consumer stands still, so that its partitions move, and wakes.
    ConsumerPause,
    /// A broker is killed, and started again.
    KafkaKill,
    /// A broker stands still.
    KafkaPause,
    /// Two of three brokers stand still: nothing can be journaled.
    KafkaOutage,
    /// Nothing arrives at a broker from hubs and consumers.
    KafkaCut,
    /// The primary is killed and started again: as a replica if the sentinel was faster, else as it was.
    RedisKill,
    /// The primary stands still, and wakes as a primary that may have been replaced.
    RedisPause,
    /// The replica hears nothing for a while; then the primary is killed, and the stale replica takes its place.
    RedisStale,
    /// The replica is killed, and started again.
    ReplicaKill,
    /// Nothing arrives at the primary from anybody, nor from it.
    RedisCut,
    /// The primary takes no writes, and says so: it has no memory, or too few replicas.
    RedisRefuses,
    /// Links to the primary break again and again.
    RedisFlap,
    /// The connections on which hubs hear each other are deaf.
    RelayDeaf,
    /// The sentinel is killed, and started again.
    SentinelKill,
    /// PostgreSQL is killed, and started again.
    PostgresKill,
    /// PostgreSQL stands still.
    PostgresPause,
    /// Links to PostgreSQL break.
    PostgresCut,
    /// The links of a hub's clients break at once.
    FrontCut,
    /// What a hub and its clients say to each other arrives late.
    FrontDelay,
    /// Nothing arrives between a hub and its clients.
    FrontHole,
    /// The settings are reloaded, and with them a plugin traps on every message.
    PluginTrap,
    /// The disk is full.
    DiskFull,
}

use Fault::*;

impl Fault {
    /// All of them.
    pub const ALL: [Fault; 27] = [
        HubKill,
        HubPause,
        HubDrain,
        HubParted,
        ConsumerKill,
        ConsumerPause,
        KafkaKill,
        KafkaPause,
        KafkaOutage,
        KafkaCut,
        RedisKill,
        RedisPause,
        RedisStale,
        ReplicaKill,
        RedisCut,
        RedisRefuses,
        RedisFlap,
        RelayDeaf,
        SentinelKill,
        PostgresKill,
        PostgresPause,
        PostgresCut,
        FrontCut,
        FrontDelay,
        FrontHole,
        PluginTrap,
        DiskFull,
    ];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        self.about().0
    }

    /// What it does, in a line.
    pub fn does(self) -> &'static str {
        self.about().1
    }

    fn about(self) -> (&'static str, &'static str) {
        match self {
            HubKill => ("hub-kill", "kill -9 of a hub, and a new start"),
            HubPause => ("hub-pause", "a hub stands still (SIGSTOP), and goes on"),
            HubDrain => ("hub-drain", "SIGTERM to a hub, and a new start"),
            HubParted => ("hub-parted", "nothing arrives between one hub and Redis, or Kafka, or PostgreSQL"),
            ConsumerKill => ("consumer-kill", "kill -9 of a consumer, and a new start"),
            ConsumerPause => ("consumer-pause", "a consumer stands still, and goes on"),
            KafkaKill => ("kafka-kill", "kill -9 of a broker, and a new start"),
            KafkaPause => ("kafka-pause", "a broker stands still, and goes on"),
            KafkaOutage => ("kafka-outage", "two of three brokers stand still: nothing can be journaled"),
            KafkaCut => ("kafka-cut", "nothing arrives between a broker and our programs"),
            RedisKill => ("redis-kill", "kill -9 of the primary, and a new start, before or after the failover"),
            RedisPause => ("redis-pause", "the primary stands still, and wakes, before or after the failover"),
            RedisStale => ("redis-stale", "the replica misses writes, then takes the killed primary's place"),
            ReplicaKill => ("replica-kill", "kill -9 of the replica, and a new start"),
            RedisCut => ("redis-cut", "nothing arrives at the primary, nor from it"),
            RedisRefuses => ("redis-refuses", "the primary refuses every write: no memory, or too few replicas"),
            RedisFlap => ("redis-flap", "links to the primary break again and again"),
            RelayDeaf => ("relay-deaf", "hubs do not hear each other, and are not told"),
            SentinelKill => ("sentinel-kill", "kill -9 of the sentinel, and a new start"),
            PostgresKill => ("postgres-kill", "kill -9 of PostgreSQL, and a new start"),
            PostgresPause => ("postgres-pause", "PostgreSQL stands still, and goes on"),
            PostgresCut => ("postgres-cut", "links to PostgreSQL break"),
            FrontCut => ("front-cut", "the links of a hub's clients break"),
            FrontDelay => ("front-delay", "what a hub and its clients say arrives late"),
            FrontHole => ("front-hole", "nothing arrives between a hub and its clients"),
            PluginTrap => {
                ("plugin-trap", "a reload brings a plugin that traps on every message, another takes it away")
            }
            DiskFull => ("disk-full", "the disk of the embedded hub is full"),
        }
    }

    /// The fault with this name.
    pub fn named(name: &str) -> Result<Self> {
        match Self::ALL.into_iter().find(|fault| fault.name() == name) {
            Some(fault) => Ok(fault),
            None => bail!("there is no fault `{name}`; `--fault list` shows them all"),
        }
    }

    /// Whether it can happen in such a world.
    pub fn is_of(self, profile: Profile) -> bool {
        match self {
            HubKill | HubPause | HubDrain | FrontCut | FrontDelay | FrontHole | PluginTrap => true,
            DiskFull => profile == Profile::Embedded,
            _ => profile == Profile::Cluster,
        }
    }

    /// How often it comes, beside the others.
    pub fn weight(self) -> u32 {
        match self {
            HubKill => 5,
            RedisKill | RedisStale | KafkaKill | HubPause | HubParted | DiskFull => 3,
            RedisPause | RedisCut | RedisRefuses | ConsumerKill | FrontCut | HubDrain => 2,
            _ => 1,
        }
    }

    /// How long it lasts, in milliseconds.
    pub fn span(self) -> Range<u64> {
        match self {
            FrontCut => 0..1,
            HubKill | HubDrain | ConsumerKill | KafkaKill | ReplicaKill | SentinelKill | PostgresKill => 100..4_000,
            // Below and above a second, after which the sentinel begins to act.
            RedisKill => 100..5_000,
            RedisPause | RedisCut => 300..7_000,
            // For so long the replica misses writes. The sentinel would not take one that lags for ten.
            RedisStale => 300..2_500,
            RedisFlap => 1_000..5_000,
            RedisRefuses => 300..6_000,
            RelayDeaf => 1_000..8_000,
            HubPause | HubParted | ConsumerPause | KafkaPause | PostgresPause => 500..9_000,
            KafkaOutage | KafkaCut => 1_000..9_000,
            PostgresCut => 500..5_000,
            FrontDelay | FrontHole => 500..6_000,
            PluginTrap => 1_000..5_000,
            DiskFull => 500..6_000,
        }
    }

    /// How long its part is left in peace afterwards, in milliseconds: restarts and elections take time.
    pub fn rest(self) -> u64 {
        match self {
            KafkaKill | KafkaPause | KafkaOutage => 6_000,
            RedisKill | RedisPause | RedisCut | RedisStale | ReplicaKill | SentinelKill => 7_000,
            HubKill | HubDrain | HubPause | HubParted | PostgresKill => 3_000,
            _ => 1_000,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_found_by_its_name_and_happens_somewhere() {
        for fault in Fault::ALL {
            assert_eq!(Fault::named(fault.name()).unwrap(), fault);
            assert!(fault.is_of(Profile::Cluster) || fault.is_of(Profile::Embedded));
            assert!(!fault.span().is_empty() && fault.weight() > 0);
        }
        assert!(Fault::named("hub-kil").unwrap_err().to_string().contains("hub-kil"));
    }
}
