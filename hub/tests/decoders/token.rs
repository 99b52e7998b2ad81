//! Tokens: only those that were signed say anything.

use confab_hub::auth::{Auth, Keys, Rules};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use proptest::prelude::*;
use serde_json::{Value, json};

const SECRET: &[u8] = b"a secret of the tests, long enough";

fn auth() -> Auth {
    let keys = Keys { fixed: vec![Keys::secret(SECRET)], published: None };
    Auth::new(keys, Rules { anonymous: true, ..Rules::default() })
}

fn signed(claims: &Value, algorithm: Algorithm, secret: &[u8]) -> String {
    jsonwebtoken::encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(secret))
        .expect("claims can be signed")
}

proptest! {
    #[test]
    fn text_that_nobody_signed_lets_nobody_in(
        token in prop_oneof![".{1,80}", "[A-Za-z0-9_-]{0,40}\\.[A-Za-z0-9_-]{0,80}\\.[A-Za-z0-9_-]{0,50}"],
    ) {
        prop_assert!(auth().verify(&token, "session").is_err());
    }

    #[test]
    fn claims_of_any_shape_are_taken_or_refused(sub in crate::json(), info in crate::json(), rooms in crate::json()) {
        let claims = json!({"sub": sub, "info": info, "channels": rooms, "subs": rooms});
        if let Ok(identity) = auth().verify(&signed(&claims, Algorithm::HS256, SECRET), "session") {
            let named = if sub.is_null() { Some("") } else { sub.as_str() };
            let named = named.expect("who is let in has a name that is text");
            prop_assert!(identity.guest == named.is_empty());
            prop_assert!(identity.guest || identity.user.as_str() == named);
        }
    }

    #[test]
    fn a_good_token_names_its_user_and_a_changed_one_nobody(
        user in "[a-z]{1,20}", at in any::<prop::sample::Index>(), byte in "[A-Za-z0-9_.-]",
    ) {
        let claims = json!({"sub": user});
        let token = signed(&claims, Algorithm::HS256, SECRET);
        let identity = auth().verify(&token, "session").expect("it is good");
        prop_assert_eq!(identity.user.as_str(), user);
        let at = at.index(token.len());
        let mut changed = token.clone();
        changed.replace_range(at..=at, &byte);
        prop_assert_eq!(auth().verify(&changed, "session").is_ok(), changed == token, "{} at {}", changed, at);
        for (algorithm, secret) in [(Algorithm::HS384, SECRET), (Algorithm::HS512, SECRET), (Algorithm::HS256, b"another secret")] {
            prop_assert!(auth().verify(&signed(&claims, algorithm, secret), "session").is_err());
        }
    }
}
