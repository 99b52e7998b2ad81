//! How a process of ours ends, as a number.

use std::process::ExitCode;

/// Why the process ends. `docs/reference/exit-codes.md` is the public list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// What was asked for is done.
    Done = 0,
    /// A check, a test or a command said no.
    Failed = 1,
    /// The command line was not understood.
    Usage = 2,
    /// A service or a hub cannot be reached; later it may work.
    Unreachable = 69,
    /// The settings are wrong; it will not work before they are changed.
    Configuration = 78,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
