//! Who asks for something: made at the door that they came in by, and carried to the end of what they ask for.

use confab_protocol::{Body, Present, Sender, UserId};
use std::sync::Arc;

/// The role whose bearers may review, as a token's `roles` names it.
pub const MODERATOR: &str = "moderator";
/// The role whose bearers count as owners of every room that they may enter.
pub const ADMIN: &str = "admin";
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
    /// A session of the native dialect.
    Rpc,
    /// A session of Socket.IO.
    SocketIo,
    /// The admin API.
    Operator {
        /// The operator's own name: they may speak in the name of a user.
        name: Arc<str>,
    },
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

impl Via {
    /// The door's name in the audit log.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Rpc => "rpc",
            Self::SocketIo => "socketio",
            Self::Operator { .. } => "admin-api",
            Self::Plugin { .. } => "plugin",
        }
    }
}

impl Actor {
    /// An operator of this name, who acts by it or in the name of a user.
    pub fn operator(name: impl Into<Arc<str>>, user: UserId) -> Self {
        Self::of(user, Via::Operator { name: name.into() })
    }

    /// A plugin that says something by itself; `user` is how others know it, and `via` says which.
    pub fn plugin(user: UserId, via: Via) -> Self {
        Self::of(user, via)
    }

    fn of(user: UserId, via: Via) -> Self {
        Self { user, guest: false, info: None, roles: Arc::default(), client: None, via }
    }

    /// Who decides, where somebody does: an operator by their own name.
    pub fn name(&self) -> &str {
        match &self.via {
            Via::Operator { name } => name,
            Via::Rpc | Via::SocketIo | Via::Plugin { .. } => self.user.as_str(),
        }
    }

    /// Whether it is an operator.
    pub fn is_operator(&self) -> bool {
        matches!(self.via, Via::Operator { .. })
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
