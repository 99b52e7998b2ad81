//! What goes wrong with many sends at once while a service is away: a few lines of each kind for the log.

use crate::brief::Brief;

/// How much was written of each kind.
#[derive(Default)]
pub struct Complaints {
    /// A key could not be looked up.
    pub(super) lookup: Brief,
    /// An event could not be placed, or not yet.
    pub(super) append: Brief,
    /// A record could not be journaled yet.
    pub(super) journal: Brief,
    /// A pending entry could not be removed yet.
    pub(super) settle: Brief,
}
