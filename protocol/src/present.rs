//! Who is in a room at the moment: ephemeral, never journaled.

use crate::{Body, UserId};
use serde::{Deserialize, Serialize};

/// A session that listens to a room, as others are shown it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Present {
    /// The person.
    pub user: UserId,
    /// The session's name.
    pub client: String,
    /// What the token says should be shown of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub info: Option<Body>,
}
