//! The verbs `room.create`, `rooms`, `room` and `room.update`: rooms that people make, and what they call them.

use super::{Caller, Error, Services, Work, arguments};
use crate::access::{Act, Maker, Permit};
use crate::actor::Actor;
use crate::clock::now_ms;
use confab_config::{DIRECT, is_direct};
use confab_protocol::signal::RoomChanged;
use confab_protocol::{Body, Key, Refusal, Room, UserId, VerbName};
use confab_store::{Created, NewRoom, Role, RoomRow};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The longest title and topic, in bytes.
const TITLE_MAX: usize = 200;
const TOPIC_MAX: usize = 1000;
/// The most members that a room is made with, besides whoever makes it.
const FIRST_MEMBERS_MAX: usize = 100;
/// The most items of a list.
pub(super) const LIST_MAX: usize = 100;

/// The arguments of `room.create`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Create {
    /// What the name begins with: the hub makes the rest, so that trying names tells nothing.
    prefix: String,
    /// Under which it may be asked for again.
    key: Key,
    title: Option<String>,
    topic: Option<String>,
    /// Who else belongs to it from the beginning.
    #[serde(default)]
    members: Vec<UserId>,
}

/// The arguments of `rooms`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// Rooms after this one.
    after: Option<String>,
    limit: Option<usize>,
}

/// The arguments of `room`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Get {
    room: String,
}

/// The arguments of `room.update`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Update {
    room: String,
    title: Option<String>,
    topic: Option<String>,
}

/// A room as it is written.
#[derive(Serialize)]
pub(super) struct Written<'a> {
    room: &'a Room,
    kind: &'static str,
    title: &'a str,
    topic: &'a str,
    /// What the asker is there.
    role: Option<&'static str>,
    members: u64,
    created_by: &'a str,
    created_at: u64,
    /// The other one, in a room of two.
    #[serde(skip_serializing_if = "Option::is_none")]
    with: Option<&'a UserId>,
}

impl<'a> Written<'a> {
    pub(super) fn of(row: &'a RoomRow, with: Option<&'a UserId>) -> Self {
        Self {
            room: &row.room,
            kind: if is_direct(row.room.as_str()) { "direct" } else { "members" },
            title: &row.title,
            topic: &row.topic,
            role: row.role.map(Role::as_str),
            members: row.members,
            created_by: &row.by,
            created_at: row.at,
            with,
        }
    }
}

pub(super) fn create(services: &Arc<Services>, caller: &Caller<'_>, data: Option<&Body>) -> Result<Work, Error> {
    let asked: Create = arguments::read(VerbName::CreateRoom, data)?;
    let name = hashed(&asked.prefix, [caller.actor.user.as_str(), asked.key.as_str()]);
    let room = services.room(&name)?;
    let maker = services.access.may_create(caller.actor, &room)?;
    if asked.members.len() > FIRST_MEMBERS_MAX {
        return Err(arguments::bad(format!(
            "`room.create`: at most {FIRST_MEMBERS_MAX} `members`; add the others afterwards"
        ))
        .into());
    }
    asked.members.iter().try_for_each(may_belong)?;
    let services = services.clone();
    Ok(Box::pin(async move {
        let Create { title, topic, members, .. } = asked;
        let title = services.words(maker.actor(), &room, "title", title, TITLE_MAX).await?.unwrap_or_default();
        let topic = services.words(maker.actor(), &room, "topic", topic, TOPIC_MAX).await?.unwrap_or_default();
        let owner = Some(maker.actor().user.clone());
        services.create(&maker, NewRoom { room, owner, members, title, topic, by: String::new(), at: 0 }).await
    }))
}

pub(super) fn list(services: &Arc<Services>, caller: &Caller<'_>, data: Option<&Body>) -> Result<Work, Error> {
    let List { after, limit } = arguments::read(VerbName::Rooms, data)?;
    let limit = limit.unwrap_or(LIST_MAX).clamp(1, LIST_MAX);
    let services = services.clone();
    let user = caller.actor.user.clone();
    Ok(Box::pin(async move {
        let after = after.unwrap_or_default();
        let rows = services.store.room_rows_of(&user, &after, limit).await;
        let rows = rows.map_err(|error| services.store_away("list somebody's rooms", &error))?;
        let others = match rows.iter().any(|row| is_direct(row.room.as_str())) {
            true => services.store.others_of(&user, DIRECT, &after, limit).await,
            false => Ok(Vec::new()),
        };
        let others = others.map_err(|error| services.store_away("list somebody's rooms", &error))?;
        let with = |row: &RoomRow| others.iter().find(|(room, _)| *room == row.room).map(|(_, user)| user);
        let next = (rows.len() == limit).then(|| rows.last().map(|row| row.room.clone())).flatten();
        let rooms: Vec<_> = rows.iter().map(|row| Written::of(row, with(row))).collect();
        Ok(Body::of(&serde_json::json!({ "rooms": rooms, "next": next })))
    }))
}

pub(super) fn get(services: &Arc<Services>, caller: &Caller<'_>, data: Option<&Body>) -> Result<Work, Error> {
    let Get { room } = arguments::read(VerbName::GetRoom, data)?;
    let permit = services.of_members(caller, Act::SeeMembers, &room)?;
    let services = services.clone();
    Ok(Box::pin(async move { services.described(&permit).await }))
}

pub(super) fn update(services: &Arc<Services>, caller: &Caller<'_>, data: Option<&Body>) -> Result<Work, Error> {
    let Update { room, title, topic } = arguments::read(VerbName::UpdateRoom, data)?;
    let permit = services.of_members(caller, Act::Manage, &room)?;
    if title.is_none() && topic.is_none() {
        return Err(arguments::bad("`room.update`: give a `title` or a `topic`".into()).into());
    }
    let services = services.clone();
    Ok(Box::pin(async move {
        let room = permit.room();
        let title = services.words(permit.actor(), room, "title", title, TITLE_MAX).await?;
        let topic = services.words(permit.actor(), room, "topic", topic, TOPIC_MAX).await?;
        services.access.still_holds(&permit)?; // plugins may have taken a while
        let done = services.store.describe_room(room, title.as_deref(), topic.as_deref()).await;
        if !done.map_err(|error| services.store_away("describe a room", &error))? {
            return Err(services.access.no_such_room().into());
        }
        let row = services.row(&permit).await?;
        let changed = RoomChanged { room: room.clone(), title: row.title.clone(), topic: row.topic.clone() };
        services.signals.tell_room(room, changed).await;
        Ok(Body::of(&Written::of(&row, None)))
    }))
}

/// A name that only whoever knows these can ask for, and that comes again for the same.
pub(super) fn hashed<const N: usize>(prefix: &str, of: [&str; N]) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in of {
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
    }
    format!("{prefix}{}", &hasher.finalize().to_hex()[..32])
}

/// Whether somebody of this name can belong to rooms.
pub(super) fn may_belong(user: &UserId) -> Result<(), Refusal> {
    match user.as_str().starts_with(crate::actor::PLUGIN_USER) {
        true => Err(arguments::bad(format!("`{user}` is a plugin, which belongs to no room"))),
        false => Ok(()),
    }
}

impl Services {
    /// That somebody may do something in a room that has members.
    pub(super) fn of_members(&self, caller: &Caller<'_>, act: Act, room: &str) -> Result<Permit, Refusal> {
        let room = self.room(room)?;
        let permit = self.access.may(caller.actor, act, &room, (caller.claim)(&room))?;
        match self.access.has_members(&room) {
            true => Ok(permit),
            false => Err(arguments::bad("this room has no members: whoever may join listens".into())),
        }
    }

    /// Makes a room, and says what it is; one that is there already is only said.
    pub(super) async fn create(&self, maker: &Maker, new: NewRoom) -> Result<Body, Error> {
        let actor = maker.actor();
        let new = NewRoom { by: actor.name().to_owned(), at: now_ms(), ..new };
        let created = self.store.create_room(&new).await;
        if created.map_err(|error| self.store_away("make a room", &error))? == Created::New {
            tracing::info!(room = %new.room, by = %new.by, members = new.members.len(), "a room was made");
            let members: Vec<UserId> = new.owner.iter().chain(&new.members).cloned().collect();
            self.members.created(&new.room, &members).await;
        } else {
            self.members.take_in().await; // another hub may have made it a moment ago
        }
        let row = self.store.room_row(&new.room, &actor.user).await;
        let row = row.map_err(|error| self.store_away("read a room", &error))?;
        let row = row.ok_or_else(|| self.access.no_such_room())?;
        // Whoever made it may have been removed since: then it is not there for them.
        if row.role.is_none() && !actor.is_operator() {
            return Err(self.access.no_such_room().into());
        }
        let with = is_direct(new.room.as_str()).then(|| new.members.iter().find(|user| **user != actor.user));
        Ok(Body::of(&Written::of(&row, with.flatten())))
    }

    pub(super) async fn row(&self, permit: &Permit) -> Result<RoomRow, Error> {
        let row = self.store.room_row(permit.room(), &permit.actor().user).await;
        let row = row.map_err(|error| self.store_away("read a room", &error))?;
        self.access.still_holds(permit)?; // the read may have taken a while
        Ok(row.ok_or_else(|| self.access.no_such_room())?)
    }

    async fn described(&self, permit: &Permit) -> Result<Body, Error> {
        let row = self.row(permit).await?;
        Ok(Body::of(&Written::of(&row, None)))
    }

    /// What the plugins make of a room's title or topic. It is judged as a message that its author says there.
    async fn words(
        &self,
        actor: &Actor,
        room: &Room,
        what: &str,
        words: Option<String>,
        most: usize,
    ) -> Result<Option<String>, Refusal> {
        let Some(words) = words else { return Ok(None) };
        let words = words.trim();
        if words.len() > most || words.chars().any(char::is_control) {
            return Err(arguments::bad(format!("a {what} has at most {most} bytes and no control characters")));
        }
        if words.is_empty() {
            return Ok(Some(String::new()));
        }
        let judged = self.publisher.judge_words(actor, room, words).await?;
        match judged.len() <= most {
            true => Ok(Some(judged)),
            false => Err(Refusal::LimitExceeded(
                format!("a {what} has at most {most} bytes, with what plugins make of it").into(),
            )),
        }
    }

    /// What is said where the store does not answer.
    pub(super) fn store_away(&self, what: &str, error: &confab_store::Error) -> Refusal {
        tracing::warn!(%error, "could not {what}");
        Refusal::StoreUnavailable
    }
}
