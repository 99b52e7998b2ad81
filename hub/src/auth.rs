//! Who a session belongs to: HS256 tokens, or, in development, what the client says of itself.

use confab_protocol::{Body, Close, Refusal, UserId};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, errors::ErrorKind};
use serde::Deserialize;
use std::time::{SystemTime, UNIX_EPOCH};

/// The person behind a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The token's `sub`.
    pub user: UserId,
    /// The token's `info`: what others are shown of them.
    pub info: Option<Body>,
    /// The token's `exp`, in seconds since 1970.
    pub expires_at: Option<u64>,
}

impl Identity {
    /// Seconds until it expires, at least 1; `None` if it never does.
    pub fn ttl(&self) -> Option<u64> {
        self.expires_at.map(|at| at.saturating_sub(now_s()).max(1))
    }
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
}

#[derive(Deserialize)]
struct Claims {
    sub: UserId,
    exp: Option<u64>,
    info: Option<Body>,
}

#[derive(Deserialize)]
struct Introduction {
    user: UserId,
}

impl Auth {
    /// `secret` checks HS256 tokens; `insecure` lets clients in without one.
    pub fn new(secret: Option<&[u8]>, insecure: bool) -> Self {
        // One algorithm, ours: what the token's header asks for is never a choice (RFC 8725 §3.1).
        let mut validation = Validation::new(Algorithm::HS256);
        validation.required_spec_claims = ["sub".to_owned()].into();
        validation.leeway = 5;
        validation.validate_nbf = true;
        validation.validate_aud = false;
        Self { key: secret.map(DecodingKey::from_secret), validation, insecure }
    }

    /// Who the bearer of `token` is. Without a token: in development, who `data.user` says, or a guest.
    pub fn identify(&self, token: &str, data: Option<&Body>, client: &str) -> Result<Identity, Denied> {
        if !token.is_empty() {
            return self.verify(token);
        }
        if !self.insecure {
            return Err(Denied::Closed(Close::InvalidToken));
        }
        let user = match data.and_then(|data| data.read::<Introduction>().ok()) {
            Some(introduction) => introduction.user,
            None => UserId::new(format!("guest-{}", &client[..8])).expect("a short ascii name is a user id"),
        };
        Ok(Identity { user, info: None, expires_at: None })
    }

    /// Checks signature, times and claims of a token.
    pub fn verify(&self, token: &str) -> Result<Identity, Denied> {
        let key = self.key.as_ref().ok_or(Denied::Closed(Close::InvalidToken))?;
        match jsonwebtoken::decode::<Claims>(token, key, &self.validation) {
            Ok(token) => Ok(Identity { user: token.claims.sub, info: token.claims.info, expires_at: token.claims.exp }),
            Err(error) if matches!(error.kind(), ErrorKind::ExpiredSignature) => {
                Err(Denied::Refused(Refusal::TokenExpired))
            }
            Err(_) => Err(Denied::Closed(Close::InvalidToken)),
        }
    }
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

    fn auth() -> Auth {
        Auth::new(Some(b"secret"), false)
    }

    #[test]
    fn a_good_token_says_who_its_bearer_is() {
        let identity = auth()
            .verify(&token(
                "secret",
                Algorithm::HS256,
                json!({"sub": "ada", "exp": now_s() + 60, "info": {"name": "Ada"}}),
            ))
            .unwrap();
        assert_eq!(identity.user.as_str(), "ada");
        assert!(identity.ttl().unwrap() > 50);
        assert_eq!(identity.info.unwrap().as_str(), r#"{"name":"Ada"}"#);
    }

    #[test]
    fn forged_and_malformed_tokens_close_the_session_and_an_expired_one_asks_for_another() {
        let closed =
            |token: &str| assert_eq!(auth().verify(token), Err(Denied::Closed(Close::InvalidToken)), "{token}");
        closed(&token("other", Algorithm::HS256, json!({"sub": "ada"})));
        closed(&token("secret", Algorithm::HS512, json!({"sub": "ada"})));
        closed(&token("secret", Algorithm::HS256, json!({"exp": now_s() + 60})));
        for exp in [json!("9999999999"), json!(-1), json!([1]), json!({})] {
            closed(&token("secret", Algorithm::HS256, json!({"sub": "ada", "exp": exp})));
        }
        closed("eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZGEifQ.");
        closed("");
        closed("a.b.c");
        let expired = token("secret", Algorithm::HS256, json!({"sub": "ada", "exp": now_s() - 60}));
        assert_eq!(auth().verify(&expired), Err(Denied::Refused(Refusal::TokenExpired)));
    }

    #[test]
    fn without_a_token_only_a_development_hub_lets_anyone_in() {
        let data = Body::parse(r#"{"user":"ada"}"#).unwrap();
        assert_eq!(auth().identify("", Some(&data), "0123456789"), Err(Denied::Closed(Close::InvalidToken)));
        let open = Auth::new(None, true);
        assert_eq!(open.identify("", Some(&data), "0123456789").unwrap().user.as_str(), "ada");
        assert_eq!(open.identify("", None, "0123456789").unwrap().user.as_str(), "guest-01234567");
    }
}
