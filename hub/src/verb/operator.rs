//! What operators alone ask for: revoking a user's tokens, and ending their sessions.

use super::{Error, Services};
use crate::actor::Actor;
use crate::review::RevokedTokens;
use crate::signals::Disconnected;
use confab_protocol::{Millis, UserId};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;

/// Whose tokens are revoked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revoke {
    /// Whose.
    pub user: UserId,
    /// Those issued before this time, in milliseconds since 1970; before now, if it is left out.
    pub before: Option<Millis>,
}

/// Whose sessions end.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Disconnect {
    /// Whose.
    pub user: UserId,
    /// The session, as `sender.client` and presence name it; all of them where it is left out.
    pub session: Option<String>,
    /// Whether the client is to come back; it is, where nothing is said.
    pub reconnect: Option<bool>,
    /// Why, for the audit log.
    pub reason: Option<String>,
}

impl Disconnect {
    /// Whether the client is to come back.
    pub fn reconnect(&self) -> bool {
        self.reconnect.unwrap_or(true)
    }
}

/// Revokes a user's tokens of before a time.
///
/// # Errors
/// [`Error`]; nothing has changed.
pub async fn revoke_tokens(services: &Services, actor: &Arc<Actor>, revoke: Revoke) -> Result<RevokedTokens, Error> {
    let by = services.access.may_operate(actor)?;
    let Revoke { user, before } = revoke;
    let mut act = Services::act(actor, "revoke_tokens");
    act.user = Some(user.to_string());
    act.details = before.map(|before| json!({ "before": before }).to_string());
    let done = services.reviewer.revoke_tokens(user, before, &by).await;
    services.write_down(act, done.map_err(Error::from)).await
}

/// Ends somebody's sessions on every hub; returns how many ended on this one.
///
/// # Errors
/// [`Error::Untold`]: those of this hub ended. [`Error::Refused`]: none did.
pub async fn disconnect(services: &Services, actor: &Arc<Actor>, asked: Disconnect) -> Result<usize, Error> {
    services.access.may_operate(actor)?;
    let reconnect = asked.reconnect();
    let Disconnect { user, session, reason, .. } = asked;
    let mut act = Services::act(actor, "disconnect");
    act.user = Some(user.to_string());
    act.reason = reason;
    act.details = Some(json!({ "session": session, "reconnect": reconnect }).to_string());
    let Disconnected { here, told } = services.signals.disconnect(user, session, reconnect).await;
    services.write_down(act, told.map(|()| here).map_err(|error| Error::Untold { here, error })).await
}
