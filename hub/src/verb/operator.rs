//! What operators alone ask for: revoking a user's tokens, ending their sessions, and all rooms that people made.

use super::room::{LIST_MAX, Written, may_belong};
use super::{Error, Services};
use crate::actor::Actor;
use crate::review::RevokedTokens;
use crate::signals::Disconnected;
use confab_protocol::{Body, Millis, UserId};
use confab_store::NewRoom;
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

/// A room that an operator makes, by its name.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewRoomIn {
    /// Its name.
    pub room: String,
    /// Who owns it; nobody where it is left out: then operators decide about it.
    pub owner: Option<UserId>,
    /// Who else belongs to it.
    #[serde(default)]
    pub members: Vec<UserId>,
    /// What people call it.
    #[serde(default)]
    pub title: String,
    /// What it is about.
    #[serde(default)]
    pub topic: String,
}

/// Makes a room that has members; one of that name that is there already is left as it is.
///
/// # Errors
/// [`Error::Refused`].
pub async fn create_room(services: &Services, actor: &Arc<Actor>, asked: NewRoomIn) -> Result<Body, Error> {
    let NewRoomIn { room, owner, members, title, topic } = asked;
    let room = services.room(&room)?;
    let maker = services.access.may_create(actor, &room)?;
    owner.iter().chain(&members).try_for_each(may_belong)?;
    let mut act = Services::act(actor, "create_room");
    (act.room, act.user) = (Some(room.to_string()), owner.as_ref().map(ToString::to_string));
    let new = NewRoom { room, owner, members, title, topic, by: String::new(), at: 0 };
    let done = services.create(&maker, new).await;
    services.write_down(act, done).await
}

/// The next rooms that people made, after this one.
///
/// # Errors
/// [`Error::Refused`].
pub async fn list_rooms(services: &Services, actor: &Arc<Actor>, after: &str, limit: usize) -> Result<Body, Error> {
    services.access.may_operate(actor)?;
    let rows = services.store.room_rows(after, limit.clamp(1, LIST_MAX)).await;
    let rows = rows.map_err(|error| services.store_away("list rooms", &error))?;
    let next = (rows.len() == limit).then(|| rows.last().map(|row| row.room.clone())).flatten();
    let rooms: Vec<_> = rows.iter().map(|row| Written::of(row, None)).collect();
    Ok(Body::of(&json!({ "rooms": rooms, "next": next })))
}

/// What a room is, by which rules, and what a user may do there, and why not.
///
/// # Errors
/// [`Error::Refused`].
pub async fn explain_room(
    services: &Services,
    actor: &Arc<Actor>,
    room: &str,
    user: Option<&UserId>,
) -> Result<Body, Error> {
    services.access.may_operate(actor)?;
    let room = services.room(room)?;
    let settings = services.rules.settings(room.as_str());
    let rules: Vec<_> = services.rules.matching(room.as_str());
    let whose = user.unwrap_or(&actor.user);
    let row = services.store.room_row(&room, whose).await;
    let row = row.map_err(|error| services.store_away("read a room", &error))?;
    let role = row.as_ref().and_then(|row| row.role);
    let may = user.map(|user| {
        let acts = services.access.explain(&room, user, role).into_iter();
        let acts = acts.map(
            |(act, may)| json!({"act": act.name(), "may": may.is_ok(), "why": may.err().map(|why| why.message().into_owned())}),
        );
        acts.collect::<Vec<_>>()
    });
    Ok(Body::of(&json!({
        "room": room,
        "join": settings.join,
        "personal": room.users().is_some(),
        "rules": rules.iter().map(|(at, patterns)| json!({"rule": at, "match": patterns})).collect::<Vec<_>>(),
        "made": row.as_ref().map(|row| Written::of(row, None)),
        "user": user,
        "role": role.map(confab_store::Role::as_str),
        "acts": may,
    })))
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
