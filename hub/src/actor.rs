//! Who asks for something: made at the door that they came in by, and carried to the end of what they ask for.

use confab_protocol::{Body, Present, Sender, UserId};
use std::sync::Arc;

/// The role whose bearers may review, as a token's `roles` names it.
pub const MODERATOR: &str = "moderator";
/// What the users begin with that plugins speak as: nobody else can be called so.
pub const PLUGIN_USER: &str = "plugin:";

/// Whoever asks. Nothing in it says what they may do: [`Access`](crate::access::Access) does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// Who.
    pub user: UserId,
    /// Whether nobody vouches for the name: it is one of this session's own.
    pub guest: bool,
    /// What others are shown of them.
    pub info: Option<Body>,
    /// The roles that their token grants, such as `moderator`.
    pub roles: Arc<[String]>,
    /// The session's name, where it is one.
    pub client: Option<String>,
    /// By which door.
    pub via: Via,
}

/// By which door somebody came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Via {
    /// A session of a client.
    Session,
    /// The admin API.
    Operator,
    /// A plugin that speaks by itself.
    Plugin {
        /// Which. It is not asked about its own words.
        name: Arc<str>,
        /// How many plugins' own messages led to it.
        hops: u32,
        /// Whose event it follows from.
        cause: Option<UserId>,
    },
}

impl Actor {
    /// An operator, by their own name or in the name of a user.
    pub fn operator(user: UserId) -> Self {
        Self { user, guest: false, info: None, roles: Arc::default(), client: None, via: Via::Operator }
    }

    /// A plugin that says something by itself; `user` is how others know it, and `via` says which.
    pub fn plugin(user: UserId, via: Via) -> Self {
        Self { via, ..Self::operator(user) }
    }

    /// As the sender of an event.
    pub fn sender(&self) -> Sender {
        Sender { user: self.user.clone(), client: self.client.clone(), info: self.info.clone() }
    }

    /// As others in a room are shown them.
    pub fn present(&self) -> Present {
        Present { user: self.user.clone(), client: self.client.clone().unwrap_or_default(), info: self.info.clone() }
    }

    /// Whether it is a plugin that speaks by itself.
    pub fn is_plugin(&self) -> bool {
        matches!(self.via, Via::Plugin { .. })
    }
}
