//! Who a session belongs to: signed tokens, or, in development, what the client says of itself.

mod claims;
mod invalid;
mod jwks;
mod keys;
mod published;
mod signature;

pub use claims::Claims;
pub use invalid::{Denied, Invalid};
pub use keys::{Error, Keys};

use confab_config::Config;
use confab_protocol::{Body, Millis, Refusal, Room, UserId};
use jsonwebtoken::Algorithm;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio_util::sync::CancellationToken;

pub use crate::actor::PLUGIN_USER;
use crate::actor::{Actor, Via};

/// The longest time that a client is told it has, in seconds: a year. Wider numbers do not fit the integers of every client, and a
/// right for a year is as good as one without an end.
const TTL_MAX: u64 = 365 * 24 * 3600;

/// The person behind a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The token's `sub`, or a guest's name.
    pub user: UserId,
    /// Whether the token named nobody: the user is then a guest, by a name of this session's own.
    pub guest: bool,
    /// The token's `info`: what others are shown of them.
    pub info: Option<Body>,
    /// The token's `exp`, in seconds since 1970.
    pub expires_at: Option<u64>,
    /// Whether there is a token, and when it was made (`iat`), in milliseconds since 1970.
    pub token: Option<Issued>,
    /// The token's `roles`, such as `moderator`.
    pub roles: Arc<[String]>,
    /// The token's `channels` and `subs`: rooms that the session is in from the beginning.
    pub rooms: Vec<Room>,
}

impl Identity {
    /// Whoever acts in the session of this name, which came in by this door.
    pub fn actor(&self, client: &str, via: Via) -> Actor {
        Actor {
            user: self.user.clone(),
            guest: self.guest,
            info: self.info.clone(),
            roles: self.roles.clone(),
            client: Some(client.to_owned()),
            via,
        }
    }

    /// Seconds until it expires, from 1 to a year; `None` if it never does.
    pub fn ttl(&self) -> Option<u64> {
        ttl(self.expires_at)
    }
}

/// When a token was made (`iat`), in milliseconds since 1970, if it says so.
pub type Issued = Option<Millis>;

/// What a room's token gives: the right to listen to one room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The token's `exp`, in seconds since 1970.
    pub expires_at: Option<u64>,
    /// When it was made.
    pub issued: Issued,
}

impl Grant {
    /// Seconds until it expires, from 1 to a year; `None` if it never does.
    pub fn ttl(&self) -> Option<u64> {
        ttl(self.expires_at)
    }
}

fn ttl(expires_at: Option<u64>) -> Option<u64> {
    expires_at.map(|at| at.saturating_sub(now_s()).clamp(1, TTL_MAX))
}

/// What a token must say, besides being signed.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Whom it may come from; nobody in particular if empty.
    pub issuers: Vec<String>,
    /// Whom it may be for; nobody in particular if empty.
    pub audiences: Vec<String>,
    /// Whether it must end.
    pub require_exp: bool,
    /// Whether one that names nobody lets in a guest.
    pub anonymous: bool,
    /// Development only: whether clients may come without one.
    pub insecure: bool,
    /// The room that a user is in from the beginning, with `{user}` in place of who that is.
    pub personal_room: Option<String>,
}

impl Rules {
    /// The personal room of a user, if there is one that is this user's alone: `#a,b` would be that of `a` and of `b`.
    fn room_of(&self, user: &UserId) -> Option<Room> {
        let room = Room::new(self.personal_room.as_ref()?.replace("{user}", user.as_str())).ok()?;
        let own = room.users().is_some_and(|users| users.eq([user.as_str()]));
        if !own {
            tracing::debug!(%user, "this user has no personal room: its name would give it to others");
        }
        own.then_some(room)
    }
}

/// Checks tokens.
pub struct Auth {
    keys: Keys,
    rules: Rules,
}

#[derive(Deserialize)]
struct Introduction<'a> {
    #[serde(borrow)]
    user: Option<&'a RawValue>,
}

impl Auth {
    /// Takes tokens of these keys that keep these rules.
    pub fn new(keys: Keys, rules: Rules) -> Self {
        Self { keys, rules }
    }

    /// The keys and rules of the settings; files of keys are read now, what an issuer publishes by [`Self::follow`].
    ///
    /// # Errors
    /// A key cannot be read.
    pub fn of(config: &Config) -> Result<Self, Error> {
        let auth = &config.auth;
        let rules = Rules {
            issuers: auth.issuer.clone(),
            audiences: auth.audience.clone(),
            require_exp: auth.require_exp,
            anonymous: auth.anonymous,
            insecure: auth.insecure,
            personal_room: auth.personal_room.clone(),
        };
        Ok(Self::new(Keys::of(config)?, rules))
    }

    /// Keeps the keys that the issuer publishes fresh until `stop`, if it publishes any.
    pub async fn follow(&self, stop: CancellationToken) {
        if let Some(published) = &self.keys.published {
            published.follow(stop).await;
        }
    }

    /// Reads the keys that the issuer publishes, if it publishes any.
    ///
    /// # Errors
    /// Why they could not be read.
    pub async fn read_published(&self) -> Result<(), String> {
        match &self.keys.published {
            Some(published) => published.read().await,
            None => Ok(()),
        }
    }

    /// Whether a client without a token is let in.
    pub fn insecure(&self) -> bool {
        self.rules.insecure
    }

    /// Who a client says it is that brings no token, on a hub for development; a guest where it says nothing.
    ///
    /// # Errors
    /// What it says is no user.
    pub fn introduced(&self, data: Option<&Body>, client: &str) -> Result<Identity, Refusal> {
        let said = data.and_then(|data| data.read::<Introduction<'_>>().ok()).and_then(|said| said.user);
        let bad = |why: String| Refusal::BadRequest(format!("`data.user` {why}").into());
        let user = match said {
            None => guest(client),
            Some(raw) => match serde_json::from_str::<String>(raw.get()) {
                Ok(name) if name.starts_with(PLUGIN_USER) => {
                    return Err(bad("begins with `plugin:`, as plugins do".into()));
                }
                Ok(name) => UserId::new(name).map_err(|error| bad(format!("cannot be a user: {error}")))?,
                Err(_) => return Err(bad("is no text".into())),
            },
        };
        let guest = said.is_none();
        let identity = Identity {
            user,
            guest,
            info: None,
            expires_at: None,
            token: None,
            roles: Arc::default(),
            rooms: Vec::new(),
        };
        Ok(self.at_home(identity))
    }

    /// Who the bearer of a connection's token is; `client` is the session's name. Where the token names a key that is not known,
    /// those that the issuer publishes are looked at again first.
    ///
    /// # Errors
    /// Why not.
    pub async fn identify(&self, token: &str, client: &str) -> Result<Identity, Invalid> {
        self.identity(self.claims_or_ask(token).await?, client)
    }

    /// The same, with the keys that are known now.
    ///
    /// # Errors
    /// Why not.
    pub fn verify(&self, token: &str, client: &str) -> Result<Identity, Invalid> {
        self.identity(self.claims(token)?, client)
    }

    /// Who a connection's token is for.
    fn identity(&self, claims: Claims, client: &str) -> Result<Identity, Invalid> {
        if claims.channel.is_some() {
            return Err(Invalid::Kind("it is a room's token, and a connection's is asked for"));
        }
        let guest_here = claims.user.is_none();
        if guest_here && !self.rules.anonymous {
            return Err(Invalid::Nobody);
        }
        let Claims { user, info, expires_at, issued_at, roles, rooms, .. } = claims;
        let user = user.unwrap_or_else(|| guest(client));
        let token = Some(issued_at);
        let identity = Identity { user, guest: guest_here, info, expires_at, token, roles: roles.into(), rooms };
        Ok(self.at_home(identity))
    }

    /// With the personal room among those that the session is in from the beginning.
    fn at_home(&self, mut identity: Identity) -> Identity {
        if !identity.guest
            && let Some(room) = self.rules.room_of(&identity.user)
            && !identity.rooms.contains(&room)
        {
            identity.rooms.push(room);
        }
        identity
    }

    /// Checks a room's token for this room and this user.
    ///
    /// # Errors
    /// Why it gives nothing.
    pub async fn grant(&self, token: &str, room: &Room, actor: &Actor) -> Result<Grant, Invalid> {
        let claims = self.claims_or_ask(token).await?;
        let named = claims.channel.ok_or(Invalid::Kind("it is missing: this is no room's token"))?;
        if named != *room {
            return Err(Invalid::another("channel", named.as_str(), room.as_str()));
        }
        let user = if actor.guest { "" } else { actor.user.as_str() };
        let sub = claims.user.as_ref().map_or("", UserId::as_str);
        if sub != user {
            return Err(Invalid::another("sub", sub, user));
        }
        Ok(Grant { expires_at: claims.expires_at, issued: claims.issued_at })
    }

    /// The claims of a good token, with the keys that are known now.
    ///
    /// # Errors
    /// Why it is none.
    pub fn claims(&self, token: &str) -> Result<Claims, Invalid> {
        claims::read(&signature::open(token, &self.keys)?, &self.rules)
    }

    async fn claims_or_ask(&self, token: &str) -> Result<Claims, Invalid> {
        match (self.claims(token), &self.keys.published) {
            (Err(Invalid::UnknownKey { .. }), Some(published)) => match published.read_anew().await {
                true => self.claims(token),
                false => Err(Invalid::KeysUnavailable),
            },
            (read, _) => read,
        }
    }
}

/// An algorithm by the name that headers and keys have for it; `None` for those that are not served, such as `none`.
fn algorithm(name: &str) -> Option<Algorithm> {
    match name {
        "Ed25519" => Some(Algorithm::EdDSA), // its new name (RFC 9864)
        name => name.parse().ok(),
    }
}

/// The name of an algorithm.
fn name_of(algorithm: Algorithm) -> String {
    format!("{algorithm:?}")
}

/// A name for somebody whom no token names. The end of a session's name is random, its beginning is the time.
fn guest(client: &str) -> UserId {
    let random: String = client.chars().filter(|c| *c != '-').skip(20).collect();
    UserId::new(format!("guest-{random}")).expect("a short ascii name is a user id")
}

/// Seconds since 1970.
pub fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests;
