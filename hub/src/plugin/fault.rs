//! A plugin failed. That is not a verdict: "it said no" and "it broke" are different things, and the operator decides what
//! a failure means for the event (`on_fault`).

use std::time::Duration;

/// How a plugin failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It crashed: a panic, an abort, an access outside its memory.
    #[error("it crashed: {0}")]
    Trap(String),
    /// It did not answer in time.
    #[error("it did not answer within {0:?}")]
    Timeout(Duration),
    /// It wanted more memory than it may have.
    #[error("it wanted more than its {0} bytes of memory")]
    Memory(usize),
    /// It called itself too deeply.
    #[error("its stack overflowed")]
    Stack,
    /// The event is too large for the memory it has, so it was not asked.
    #[error("the event takes {bytes} bytes, more than the {most} that it can be handed")]
    Input {
        /// What the event takes.
        bytes: usize,
        /// The most that it can be handed: half of its memory.
        most: usize,
    },
    /// Its answer is too large.
    #[error("its answer is larger than {0} bytes")]
    Output(usize),
    /// Its answer makes no sense.
    #[error("its answer makes no sense: {0}")]
    Nonsense(String),
    /// It asked the host for what no plugin may have.
    #[error("{0}")]
    Misuse(String),
    /// A fresh instance did not take the settings that another one took when the hub started.
    #[error("it no longer accepts its settings: {0}")]
    Configure(String),
    /// So many of its calls are running that none could be started in time.
    #[error("no call could be started within {0:?}: all places are taken")]
    Busy(Duration),
    /// It failed too often and is not asked for a while.
    #[error("it is taken out, as it failed too often")]
    Open,
    /// This sender's messages made it fail too often, and it is not asked about them for a while.
    #[error("it is not asked about this sender, whose messages made it fail too often")]
    Paused,
    /// The hub could not start an instance.
    #[error("no instance could be started: {0}")]
    Unavailable(String),
}

impl Fault {
    /// A stable name for metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Trap(_) => "trap",
            Self::Timeout(_) => "timeout",
            Self::Memory(_) => "memory",
            Self::Stack => "stack",
            Self::Input { .. } => "input",
            Self::Output(_) => "output",
            Self::Nonsense(_) => "nonsense",
            Self::Misuse(_) => "misuse",
            Self::Configure(_) => "configure",
            Self::Busy(_) => "busy",
            Self::Open => "open",
            Self::Paused => "paused",
            Self::Unavailable(_) => "unavailable",
        }
    }
}
