//! Signals: what is of the moment, told to a room, a user or the hubs themselves, on every hub.
//!
//! A signal takes no place in any order, is not kept, and may be lost on the way. Hubs tell one another in one form, in which every kind
//! has a name: a hub that does not know a kind passes it over, so that hubs of several versions can work together.

use crate::{Body, EventId, Key, Millis, Present, Room, UserId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;
use uuid::Uuid;

/// The most bytes of a signal on its way between hubs.
pub const SIGNAL_BYTES_MAX: usize = 64 * 1024;

/// Something of the moment, and whom it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signal {
    /// Whom it is for.
    pub to: To,
    /// What it says.
    pub what: What,
}

/// Whom a signal is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum To {
    /// Those who listen to a room.
    Room(Room),
    /// A user, in all their sessions.
    User(UserId),
    /// The hubs themselves.
    Hubs,
}

/// Makes [`What`] of one row for each kind: its name, and what it says.
macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $name:literal,)+) => {
        /// What a signal says.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum What {
            $($(#[$doc])* $kind($kind),)+
        }

        impl What {
            /// The kind's name, between hubs and as the `type` that clients see.
            pub fn kind(&self) -> &'static str {
                match self { $(Self::$kind(_) => $name,)+ }
            }

            /// What it says, as JSON: for hubs, and, as a message outside of rooms, with its `type` for clients.
            fn data(&self, r#type: Option<&'static str>) -> Body {
                match self { $(Self::$kind(data) => Body::of(&Typed { r#type, data }),)+ }
            }

            /// `None`: a kind that is not known here.
            fn read(kind: &str, data: &RawValue) -> Result<Option<Self>, serde_json::Error> {
                Ok(Some(match kind {
                    $($name => Self::$kind(member(data)?),)+
                    _ => return Ok(None),
                }))
            }
        }

        $(impl From<$kind> for What {
            fn from(data: $kind) -> Self {
                Self::$kind(data)
            }
        })+
    };
}

kinds! {
    /// Somebody is typing in a room.
    Typing = "typing",
    /// A session came into a room or went.
    PresenceChange = "presence",
    /// A plugin tells the sender of an event something.
    Notice = "notice",
    /// Somebody decided on an event that was held.
    Decision = "review",
    /// A user may not be in a room any more, or nowhere on the hub.
    Ban = "ban",
    /// A user's sessions are to end.
    Disconnect = "disconnect",
    /// Mutes, bans or revoked tokens in the store have changed.
    SanctionsChanged = "sanctions_changed",
    /// Who belongs to a room has changed in the store.
    MemberChanged = "member_changed",
    /// One of a user's rooms came, went, or is another one to them.
    RoomsChanged = "rooms",
    /// A room is called something else, or is about something else.
    RoomChanged = "room",
}

/// Somebody is typing. Their own session is not told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Typing {
    /// Who.
    pub who: Present,
}

/// A session came into a room or went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PresenceChange {
    /// Who.
    pub who: Present,
    /// It came; otherwise it went.
    pub here: bool,
}

/// What a plugin tells the sender of an event, and nobody else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// Where the event is, or would have been.
    pub room: Room,
    /// The event.
    pub id: EventId,
    /// The sender's name for it.
    pub key: Key,
    /// Which plugin.
    pub plugin: String,
    /// What it says.
    pub text: String,
}

/// What became of an event that was held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// The event.
    pub id: EventId,
    /// Where it is, or would have been.
    pub room: Room,
    /// The sender's name for it.
    pub key: Key,
    /// `approved` or `denied`.
    pub decision: String,
    /// What the moderator said for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// That a user may not be in a room, or nowhere on the hub.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ban {
    /// Where; everywhere if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room: Option<Room>,
    /// Until when; for good if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Millis>,
    /// Why.
    pub reason: String,
}

/// A user's sessions are to end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disconnect {
    /// Only the session that others know by this; all of them if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// Whether their clients are to come back.
    pub reconnect: bool,
    /// The hub that was asked, which has ended its own already.
    pub from: Uuid,
}

/// Who belongs to a room has changed in the store. Hubs read what is new there; that somebody was removed holds from this alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberChanged {
    /// Which room.
    pub room: Room,
    /// Whose membership.
    pub user: UserId,
    /// The version of the change.
    pub version: u64,
    /// Whether they are a member no more.
    pub removed: bool,
}

/// One of a user's rooms came, went, or is another one to them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomsChanged {
    /// Which room.
    pub room: Room,
    /// What the user is there now; absent where they are a member no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
}

/// What a room is called, and what it is about; both may be empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomChanged {
    /// The room.
    pub room: Room,
    /// What people call it.
    pub title: String,
    /// What it is about.
    pub topic: String,
}

/// Mutes, bans or revoked tokens in the store have changed: hubs read what is new.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SanctionsChanged {}

/// What a signal says, with the kind's name where clients read it.
#[derive(Serialize)]
struct Typed<'a, T> {
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<&'static str>,
    #[serde(flatten)]
    data: &'a T,
}

/// A signal on its way between hubs.
#[derive(Serialize)]
struct Written<'a> {
    to: &'a To,
    kind: &'static str,
    data: Body,
}

/// The same, as it is read: whom it is for may not be known here either.
#[derive(Deserialize)]
struct Read<'a> {
    #[serde(borrow)]
    to: &'a RawValue,
    #[serde(borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    data: &'a RawValue,
}

impl What {
    /// The message outside of rooms that a client is given: its `type` is the kind's name.
    pub fn message(&self) -> Body {
        self.data(Some(self.kind()))
    }
}

impl Signal {
    /// For those who listen to a room.
    pub fn to_room(room: Room, what: impl Into<What>) -> Self {
        Self { to: To::Room(room), what: what.into() }
    }

    /// For a user, in all their sessions.
    pub fn to_user(user: UserId, what: impl Into<What>) -> Self {
        Self { to: To::User(user), what: what.into() }
    }

    /// For the hubs themselves.
    pub fn to_hubs(what: impl Into<What>) -> Self {
        Self { to: To::Hubs, what: what.into() }
    }

    /// As hubs tell it to one another.
    pub fn to_json(&self) -> String {
        let written = Written { to: &self.to, kind: self.what.kind(), data: self.what.data(None) };
        Body::of(&written).as_str().to_owned()
    }

    /// Reads what another hub tells. `None`: it is of a kind, or for somebody, that this version does not know.
    ///
    /// # Errors
    /// It is no signal, or not of the shape that its kind has.
    pub fn read(json: &[u8]) -> Result<Option<Self>, serde_json::Error> {
        let Read { to, kind, data } = serde_json::from_slice(json)?;
        let Ok(to) = member(to) else { return Ok(None) };
        Ok(What::read(&kind, data)?.map(|what| Self { to, what }))
    }
}

fn member<T: DeserializeOwned>(data: &RawValue) -> Result<T, serde_json::Error> {
    serde_json::from_str(data.get())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ada() -> Present {
        let info = Some(Body::parse(r#"{"name":"Ada"}"#).unwrap());
        Present { user: UserId::new("ada").unwrap(), client: "c1".into(), info }
    }

    fn all() -> Vec<Signal> {
        let room = Room::new("lobby").unwrap();
        let id = EventId::fresh();
        let key = Key::new("k").unwrap();
        let decision = Decision { id, room: room.clone(), key: key.clone(), decision: "denied".into(), reason: None };
        let notice = Notice { room: room.clone(), id, key, plugin: "p".into(), text: "t".into() };
        let ban = Ban { room: Some(room.clone()), until: Some(9), reason: "enough".into() };
        let user = ada().user;
        vec![
            Signal::to_room(room.clone(), Typing { who: ada() }),
            Signal::to_room(room, PresenceChange { who: ada(), here: true }),
            Signal::to_user(user.clone(), notice),
            Signal::to_user(user.clone(), decision),
            Signal::to_user(user.clone(), ban),
            Signal::to_user(user, Disconnect { client: None, reconnect: true, from: Uuid::nil() }),
            Signal::to_hubs(SanctionsChanged {}),
            Signal::to_hubs(MemberChanged {
                room: Room::new("team:1").unwrap(),
                user: ada().user,
                version: 7,
                removed: true,
            }),
            Signal::to_user(ada().user, RoomsChanged { room: Room::new("team:1").unwrap(), role: None }),
            Signal::to_room(
                Room::new("team:1").unwrap(),
                RoomChanged { room: Room::new("team:1").unwrap(), title: "One".into(), topic: String::new() },
            ),
        ]
    }

    #[test]
    fn what_one_hub_tells_another_reads() {
        for signal in all() {
            let json = signal.to_json();
            assert_eq!(Signal::read(json.as_bytes()).unwrap().as_ref(), Some(&signal), "{json}");
        }
        let typing = r#"{"to":{"room":"lobby"},"kind":"typing","data":{"who":{"user":"ada","client":"c1","info":{"name":"Ada"}}}}"#;
        assert_eq!(all()[0].to_json(), typing);
        assert_eq!(all()[6].to_json(), r#"{"to":"hubs","kind":"sanctions_changed","data":{}}"#);
    }

    #[test]
    fn what_a_later_version_tells_is_passed_over_and_what_is_no_signal_is_an_error() {
        let later = [
            r#"{"to":{"room":"lobby"},"kind":"marker","data":[1]}"#,
            r#"{"to":{"world":1},"kind":"typing","data":{}}"#,
            r#"{"to":"everybody","kind":"typing","data":{},"at":1}"#,
        ];
        for json in later {
            assert_eq!(Signal::read(json.as_bytes()).unwrap(), None, "{json}");
        }
        let more = r#"{"to":{"room":"a"},"kind":"typing","data":{"who":{"user":"b","client":"c"},"for_ms":1},"v":2}"#;
        assert!(Signal::read(more.as_bytes()).unwrap().is_some(), "fields that came later are passed over");
        for json in [r#"{"to":{"room":"lobby"},"kind":"typing","data":{}}"#, r#"{"kind":"typing","data":{}}"#, "", "1"]
        {
            assert!(Signal::read(json.as_bytes()).is_err(), "{json}");
        }
    }

    #[test]
    fn a_client_is_told_the_kind_first() {
        assert_eq!(all()[4].what.message().as_str(), r#"{"type":"ban","room":"lobby","until":9,"reason":"enough"}"#);
    }
}
