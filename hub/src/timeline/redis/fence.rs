//! The fence: the servers that this hub uses, and the generation that stands for them.

use super::primaries::Primaries;
use std::time::Instant;

/// Servers in a generation. When either ends, the fence is discarded and another is sought.
pub(super) struct Fence {
    pub(super) primaries: Primaries,
    pub(super) generation: u64,
    /// When this hub came to it: nobody else is called dead before they had the time to come too.
    pub(super) since: Instant,
}
