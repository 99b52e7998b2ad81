//! Ending a user's sessions, or one of them, on every hub, without a ban: an operator's word.
//!
//! The hub that is asked ends its own at once and tells the others over the timeline. Nothing is kept: whoever may connect may come
//! back, if their client is told to.

use crate::people::People;
use crate::timeline::{Error, Timeline};
use confab_protocol::{Close, Disconnect, UserId};
use std::sync::Arc;
use uuid::Uuid;

/// Ends sessions.
pub struct Disconnects {
    people: Arc<People>,
    timeline: Timeline,
    /// By which this hub knows its own word when it hears it: a client that has come back already must not be sent away again.
    own: Uuid,
}

/// What came of it on the hub that was asked.
#[derive(Debug)]
pub struct Disconnected {
    /// How many sessions ended there.
    pub here: usize,
    /// Whether the other hubs were told, or why perhaps not.
    pub told: Result<(), Error>,
}

impl Disconnects {
    /// Ends the sessions of these people, and those of other hubs over this timeline.
    pub fn new(people: Arc<People>, timeline: Timeline) -> Self {
        Self { people, timeline, own: Uuid::now_v7() }
    }

    /// Ends all sessions of a user, or the one that others know as `client`. `reconnect`: their clients are to come back.
    pub async fn disconnect(&self, user: UserId, client: Option<String>, reconnect: bool) -> Disconnected {
        let disconnect = Disconnect { user, client, reconnect, from: self.own };
        let here = self.end(&disconnect);
        Disconnected { here, told: self.timeline.tell_disconnect(&disconnect).await }
    }

    /// Another hub was asked to; or this one, which has done it.
    pub fn heard(&self, disconnect: &Disconnect) {
        if disconnect.from != self.own {
            self.end(disconnect);
        }
    }

    fn end(&self, Disconnect { user, client, reconnect, .. }: &Disconnect) -> usize {
        let close = if *reconnect { Close::ForceReconnect } else { Close::ForceDisconnect };
        let sessions = self.people.close(user, client.as_deref(), close);
        if sessions > 0 {
            tracing::info!(user = ?user.as_str(), client, sessions, close = close.code(), "sessions disconnected by an operator");
        }
        sessions
    }
}
