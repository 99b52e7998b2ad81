//! Who a session belongs to: HS256 tokens, or, in development, what the client says of itself.

use confab_protocol::{Body, Close, Refusal, Room, UserId};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, errors::ErrorKind};
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// What the users begin with that plugins speak as: nobody else can be called so.
pub const PLUGIN_USER: &str = "plugin:";

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
    /// The token's `roles`, such as `moderator`.
    pub roles: Arc<[String]>,
    /// The token's `channels` and `subs`: rooms that the session is in from the beginning.
    pub rooms: Vec<Room>,
}

impl Identity {
    /// Seconds until it expires, at least 1; `None` if it never does.
    pub fn ttl(&self) -> Option<u64> {
        ttl(self.expires_at)
    }
}

/// What a subscription token gives: the right to listen to one room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The token's `exp`, in seconds since 1970.
    pub expires_at: Option<u64>,
}

impl Grant {
    /// Seconds until it expires, at least 1; `None` if it never does.
    pub fn ttl(&self) -> Option<u64> {
        ttl(self.expires_at)
    }
}

fn ttl(expires_at: Option<u64>) -> Option<u64> {
    expires_at.map(|at| at.saturating_sub(now_s()).max(1))
}

/// Why a subscription token gives nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoGrant {
    /// It ran out.
    Expired,
    /// It is forged, malformed, or no subscription token.
    Invalid,
    /// It is good, but for another room or another user.
    Foreign,
}

/// Why a client was not let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denied {
    /// The command is refused; the client may get another token and try again.
    Refused(Refusal),
    /// The session ends.
    Closed(Close),
}

/// Checks tokens.
pub struct Auth {
    key: Option<DecodingKey>,
    validation: Validation,
    insecure: bool,
    anonymous: bool,
}

#[derive(Deserialize)]
struct Claims {
    #[serde(default)]
    sub: String,
    exp: Option<u64>,
    info: Option<Body>,
    #[serde(default)]
    roles: Vec<String>,
    #[serde(default)]
    channels: Vec<Room>,
    #[serde(default)]
    subs: BTreeMap<Room, IgnoredAny>,
    /// Only subscription tokens have one; it must not pass for a connection's.
    channel: Option<Room>,
}

#[derive(Deserialize)]
struct Introduction {
    user: UserId,
}

impl Auth {
    /// `secret` checks HS256 tokens; `insecure` lets clients in without one, `anonymous` with one that names nobody.
    pub fn new(secret: Option<&[u8]>, insecure: bool, anonymous: bool) -> Self {
        // One algorithm, ours: what the token's header asks for is never a choice (RFC 8725 §3.1).
        let mut validation = Validation::new(Algorithm::HS256);
        validation.required_spec_claims.clear();
        validation.leeway = 5;
        validation.validate_nbf = true;
        validation.validate_aud = false;
        Self { key: secret.map(DecodingKey::from_secret), validation, insecure, anonymous }
    }

    /// Who the bearer of `token` is. Without a token: in development, who `data.user` says, or a guest.
    pub fn identify(&self, token: &str, data: Option<&Body>, client: &str) -> Result<Identity, Denied> {
        if !token.is_empty() {
            return self.verify(token, client);
        }
        if !self.insecure {
            return Err(Denied::Closed(Close::InvalidToken));
        }
        let introduced = data.and_then(|data| data.read::<Introduction>().ok());
        let guest_here = introduced.is_none();
        let user = introduced.map_or_else(|| guest(client), |introduction| introduction.user);
        if user.as_str().starts_with(PLUGIN_USER) {
            return Err(Denied::Closed(Close::InvalidToken));
        }
        Ok(Identity { user, guest: guest_here, info: None, expires_at: None, roles: Arc::default(), rooms: Vec::new() })
    }

    /// Checks signature, times and claims of a connection's token; `client` is the session's name.
    pub fn verify(&self, token: &str, client: &str) -> Result<Identity, Denied> {
        let claims = self.claims(token).map_err(|expired| match expired {
            true => Denied::Refused(Refusal::TokenExpired),
            false => Denied::Closed(Close::InvalidToken),
        })?;
        if claims.channel.is_some() {
            return Err(Denied::Closed(Close::InvalidToken));
        }
        let guest_here = claims.sub.is_empty();
        if guest_here && !self.anonymous {
            return Err(Denied::Closed(Close::PermissionDenied));
        }
        let user = match guest_here {
            true => guest(client),
            false => match UserId::new(&claims.sub) {
                Ok(user) if !claims.sub.starts_with(PLUGIN_USER) => user,
                _ => return Err(Denied::Closed(Close::InvalidToken)),
            },
        };
        let rooms: BTreeSet<Room> = claims.channels.iter().cloned().chain(claims.subs.keys().cloned()).collect();
        let rooms = rooms.into_iter().collect();
        let Claims { info, exp: expires_at, roles, .. } = claims;
        Ok(Identity { user, guest: guest_here, info, expires_at, roles: roles.into(), rooms })
    }

    /// Checks a subscription token for this room and this user.
    pub fn grant(&self, token: &str, room: &Room, identity: &Identity) -> Result<Grant, NoGrant> {
        let claims = self.claims(token).map_err(|expired| if expired { NoGrant::Expired } else { NoGrant::Invalid })?;
        let named = claims.channel.ok_or(NoGrant::Invalid)?;
        let user = if identity.guest { "" } else { identity.user.as_str() };
        if named != *room || claims.sub != user {
            return Err(NoGrant::Foreign);
        }
        Ok(Grant { expires_at: claims.exp })
    }

    /// The claims of a good token; the error tells whether it only ran out.
    fn claims(&self, token: &str) -> Result<Claims, bool> {
        let key = self.key.as_ref().ok_or(false)?;
        match jsonwebtoken::decode::<Claims>(token, key, &self.validation) {
            Ok(token) => Ok(token.claims),
            Err(error) => Err(matches!(error.kind(), ErrorKind::ExpiredSignature)),
        }
    }
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
mod tests {
    use super::*;
    use jsonwebtoken::{EncodingKey, Header, encode};
    use serde_json::json;

    fn token(secret: &str, algorithm: Algorithm, claims: serde_json::Value) -> String {
        encode(&Header::new(algorithm), &claims, &EncodingKey::from_secret(secret.as_bytes())).unwrap()
    }

    const CLIENT: &str = "019aa000-0000-7000-8000-0123456789ab";

    fn auth() -> Auth {
        Auth::new(Some(b"secret"), false, false)
    }

    #[test]
    fn a_good_token_says_who_its_bearer_is() {
        let identity = auth()
            .verify(&token(
                "secret",
                Algorithm::HS256,
                json!({"sub": "ada", "exp": now_s() + 60, "info": {"name": "Ada"}, "channels": ["b", "a"], "subs": {"a": {}}}),
            ), CLIENT)
            .unwrap();
        assert_eq!(identity.user.as_str(), "ada");
        assert!(identity.ttl().unwrap() > 50);
        assert_eq!(identity.rooms, [Room::new("a").unwrap(), Room::new("b").unwrap()]);
        assert_eq!(identity.info.unwrap().as_str(), r#"{"name":"Ada"}"#);
    }

    #[test]
    fn forged_and_malformed_tokens_close_the_session_and_an_expired_one_asks_for_another() {
        let closed =
            |token: &str| assert_eq!(auth().verify(token, CLIENT), Err(Denied::Closed(Close::InvalidToken)), "{token}");
        closed(&token("other", Algorithm::HS256, json!({"sub": "ada"})));
        closed(&token("secret", Algorithm::HS512, json!({"sub": "ada"})));
        closed(&token("secret", Algorithm::HS256, json!({"sub": "ada", "channel": "lobby"})));
        closed(&token("secret", Algorithm::HS256, json!({"sub": "ada", "channels": [""]})));
        closed(&token("secret", Algorithm::HS256, json!({"sub": "plugin:commands"})));
        for exp in [json!("9999999999"), json!(-1), json!([1]), json!({})] {
            closed(&token("secret", Algorithm::HS256, json!({"sub": "ada", "exp": exp})));
        }
        closed("eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZGEifQ.");
        closed("");
        closed("a.b.c");
        let expired = token("secret", Algorithm::HS256, json!({"sub": "ada", "exp": now_s() - 60}));
        assert_eq!(auth().verify(&expired, CLIENT), Err(Denied::Refused(Refusal::TokenExpired)));
    }

    #[test]
    fn without_a_token_only_a_development_hub_lets_anyone_in() {
        let data = Body::parse(r#"{"user":"ada"}"#).unwrap();
        assert_eq!(auth().identify("", Some(&data), CLIENT), Err(Denied::Closed(Close::InvalidToken)));
        let open = Auth::new(None, true, false);
        let plugin = Body::parse(r#"{"user":"plugin:x"}"#).unwrap();
        assert_eq!(open.identify("", Some(&plugin), CLIENT), Err(Denied::Closed(Close::InvalidToken)));
        assert_eq!(open.identify("", Some(&data), CLIENT).unwrap().user.as_str(), "ada");
        assert_eq!(open.identify("", None, CLIENT).unwrap().user.as_str(), "guest-0123456789ab");
    }

    #[test]
    fn a_token_that_names_nobody_is_a_guests_where_guests_are_let_in() {
        let nobody = token("secret", Algorithm::HS256, json!({}));
        assert_eq!(auth().verify(&nobody, CLIENT), Err(Denied::Closed(Close::PermissionDenied)));
        let identity = Auth::new(Some(b"secret"), false, true).verify(&nobody, CLIENT).unwrap();
        assert_eq!(identity.user.as_str(), "guest-0123456789ab");
        assert_eq!((identity.guest, identity.ttl()), (true, None));
    }

    #[test]
    fn a_subscription_token_is_good_for_its_room_and_its_user_only() {
        let ada = auth().verify(&token("secret", Algorithm::HS256, json!({"sub": "ada"})), CLIENT).unwrap();
        let room = Room::new("team").unwrap();
        let grant = |claims| auth().grant(&token("secret", Algorithm::HS256, claims), &room, &ada);
        assert_eq!(grant(json!({"sub": "ada", "channel": "team"})), Ok(Grant { expires_at: None }));
        let later = now_s() + 60;
        assert_eq!(
            grant(json!({"sub": "ada", "channel": "team", "exp": later})),
            Ok(Grant { expires_at: Some(later) })
        );
        assert_eq!(grant(json!({"sub": "ada", "channel": "team", "exp": now_s() - 60})), Err(NoGrant::Expired));
        assert_eq!(grant(json!({"sub": "ada", "channel": "other"})), Err(NoGrant::Foreign));
        assert_eq!(grant(json!({"sub": "bob", "channel": "team"})), Err(NoGrant::Foreign));
        assert_eq!(grant(json!({"channel": "team"})), Err(NoGrant::Foreign));
        assert_eq!(grant(json!({"sub": "ada"})), Err(NoGrant::Invalid));
        assert_eq!(auth().grant("a.b.c", &room, &ada), Err(NoGrant::Invalid));
    }
}
