//! What is measured of whom.

use super::subject::Subject;

/// A scenario, and who takes part.
#[derive(Debug)]
pub struct Scenario {
    /// What the generator calls it.
    pub name: &'static str,
    /// What it is, and in which unit.
    pub title: &'static str,
    /// What counts in it.
    pub figure: Figure,
    /// Who takes part, Confab first.
    pub subjects: &'static [Subject],
}

/// What counts in a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// Deliveries, in thousands per CPU-second.
    Deliveries,
    /// Acknowledged messages, in thousands per CPU-second.
    Messages,
    /// Connections per CPU-second.
    Connections,
    /// KiB of memory for each connection: less is better.
    Memory,
    /// Microseconds from sending to hearing: less is better.
    Latency,
    /// Microseconds from sending to the acknowledgement: less is better.
    Receipt,
    /// Milliseconds until the last of those who come back has everything: less is better.
    Comeback,
    /// Rows, in thousands a second.
    Rows,
}

use Subject::{
    Centrifuge, CentrifugeHook, CentrifugeRedis, Confab, ConfabCluster, ConfabClusterJudged, ConfabConsumer,
    ConfabJudged, ConfabOneTable, ConfabSocketio, ConfabUnjournaled, Floor, KafkaAlone, KafkaConnect, RedisScript,
    Rows, Socketio, SocketioKafka, SocketioRedis,
};

/// Who takes part where messages go to many.
const MANY: &[Subject] =
    &[Confab, ConfabSocketio, ConfabCluster, Floor, Centrifuge, CentrifugeRedis, Socketio, SocketioRedis];

/// Everything that is measured.
pub const SCENARIOS: [Scenario; 10] = [
    Scenario {
        name: "connect",
        title: "connections that come, are authenticated and enter a room, per CPU-second",
        figure: Figure::Connections,
        subjects: &[Confab, ConfabSocketio, Floor, Centrifuge, Socketio],
    },
    Scenario {
        name: "idle",
        title: "5 000 connections in 100 rooms: memory, KiB for each",
        figure: Figure::Memory,
        subjects: &[Confab, ConfabSocketio, Floor, Centrifuge, Socketio],
    },
    Scenario {
        name: "steady",
        title: "one room, 1 000 listeners, 100 messages a second: thousand deliveries per CPU-second",
        figure: Figure::Deliveries,
        subjects: MANY,
    },
    Scenario {
        name: "flat-out",
        title: "one room, 1 000 listeners, as fast as it goes: thousand deliveries per CPU-second",
        figure: Figure::Deliveries,
        subjects: MANY,
    },
    Scenario {
        name: "rooms",
        title: "100 rooms, 10 listeners each, 10 senders, as fast as it goes: thousand deliveries per CPU-second",
        figure: Figure::Deliveries,
        subjects: MANY,
    },
    Scenario {
        name: "publish",
        title: "50 senders with 8 in flight, each alone in its room: thousand acknowledged messages per CPU-second",
        figure: Figure::Messages,
        subjects: &[
            Confab,
            ConfabJudged,
            ConfabSocketio,
            ConfabCluster,
            ConfabClusterJudged,
            Floor,
            Rows,
            Centrifuge,
            CentrifugeRedis,
            Socketio,
            SocketioRedis,
            SocketioKafka,
        ],
    },
    Scenario {
        name: "paced",
        title: "1 000 messages a second of 50 senders: microseconds from sending to the receipt",
        figure: Figure::Receipt,
        subjects: &[Confab, ConfabCluster, RedisScript, KafkaAlone, Centrifuge, CentrifugeRedis, SocketioKafka],
    },
    Scenario {
        name: "single",
        title: "one sender with one in flight: microseconds from sending to hearing",
        figure: Figure::Latency,
        subjects: &[
            Confab,
            ConfabJudged,
            ConfabUnjournaled,
            ConfabSocketio,
            ConfabCluster,
            Floor,
            Centrifuge,
            CentrifugeHook,
            CentrifugeRedis,
            Socketio,
        ],
    },
    Scenario {
        name: "recover-storm",
        title: "5 000 clients in 100 rooms come back at once: milliseconds until the last has all that it missed",
        figure: Figure::Comeback,
        subjects: &[Confab, ConfabCluster, Centrifuge, CentrifugeRedis],
    },
    Scenario {
        name: "consumer",
        title: "from Kafka into PostgreSQL: thousand rows a second",
        figure: Figure::Rows,
        subjects: &[ConfabConsumer, ConfabOneTable, KafkaConnect],
    },
];

impl Figure {
    /// Whether less of it is better.
    pub fn less_is_better(self) -> bool {
        matches!(self, Self::Memory | Self::Latency | Self::Receipt | Self::Comeback)
    }
}
