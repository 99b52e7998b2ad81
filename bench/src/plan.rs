//! The scenarios: who listens, who sends, how fast.

use serde::Serialize;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Scenario {
    /// Connections that only are there: memory, and the CPU of keeping them.
    Idle,
    /// Connections that come, say who they are and enter a room.
    Connect,
    /// One room, a thousand listeners, a hundred messages a second.
    Steady,
    /// The same as fast as it goes: 16 unanswered, at most 32 that somebody does not have.
    FlatOut,
    /// A hundred rooms with ten listeners each, ten senders, as fast as it goes.
    Rooms,
    /// Fifty senders, each alone in its room, with 8 unanswered.
    Publish,
    /// One sender, alone in its room, with one unanswered: how long it takes when nothing else happens.
    Single,
    /// A thousand messages a second of fifty senders, each alone in its room.
    Paced,
    /// Everybody is cut off, and comes back at once and wants what was missed, three times, while messages go on.
    RecoverStorm,
    /// Records that are taken from Kafka into PostgreSQL.
    Consumer,
}

/// A load: listeners in rooms, senders, and their pace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// How many rooms.
    pub rooms: u32,
    /// How many listeners each room has.
    pub listeners: u32,
    /// How many send; each to its own share of the rooms, in turn.
    pub senders: u32,
    /// Whether a room's listener is its sender.
    pub alone: bool,
    /// The most messages that a sender has unanswered.
    pub window: u32,
    /// The most messages of a sender that somebody does not have yet.
    pub lag: u32,
    /// Messages a second, all senders together. 0: as fast as it goes.
    pub rate: u32,
}

impl Plan {
    /// A scenario's load, with a share `scale` (0 to 1) of its connections.
    pub fn of(scenario: Scenario, scale: f64) -> Self {
        let share = |count: u32| ((f64::from(count) * scale).round() as u32).max(1);
        let room = Self { rooms: 1, listeners: share(1000), senders: 1, alone: false, window: 16, lag: 32, rate: 0 };
        let own = Self { rooms: share(50), listeners: 1, senders: share(50), alone: true, window: 8, lag: 8, rate: 0 };
        match scenario {
            Scenario::Steady => Self { rate: 100, window: 1000, lag: 1000, ..room },
            Scenario::FlatOut => room,
            Scenario::Rooms => Self { rooms: share(100), listeners: 10, senders: share(10), ..room },
            Scenario::Publish => own,
            Scenario::Single => Self { rooms: 1, senders: 1, window: 1, lag: 1, ..own },
            Scenario::Paced => Self { rate: 1000, window: 1000, lag: 1000, ..own },
            Scenario::RecoverStorm => Self {
                rooms: share(100),
                listeners: 50,
                senders: share(10),
                rate: 300,
                window: 1000,
                lag: 1000,
                ..room
            },
            Scenario::Idle | Scenario::Connect | Scenario::Consumer => {
                Self { rooms: share(100), listeners: 50, senders: 0, alone: false, window: 0, lag: 0, rate: 0 }
            }
        }
    }

    /// How many connections listen.
    pub fn listening(&self) -> u32 {
        self.rooms * self.listeners
    }

    /// How many connections there are.
    pub fn connections(&self) -> u32 {
        self.listening() + if self.alone { 0 } else { self.senders }
    }
}
