//! Tokens of every kind of key, and whatever pretends to be one.

use super::*;
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};

pub const CLIENT: &str = "019aa000-0000-7000-8000-0123456789ab";
const SECRET: &[u8] = b"a secret of more than thirty-two bytes";
const RSA: &str = include_str!("../../tests/keys/rsa.pem");
const RSA_PUBLIC: &str = include_str!("../../tests/keys/rsa.pub.pem");

fn auth_with(rules: Rules) -> Auth {
    Auth::new(Keys { fixed: vec![Keys::secret(SECRET)], published: None }, rules)
}

fn auth() -> Auth {
    auth_with(Rules::default())
}

fn signed(algorithm: Algorithm, key: &EncodingKey, claims: &Value) -> String {
    encode(&Header::new(algorithm), claims, key).unwrap()
}

fn token(claims: Value) -> String {
    signed(Algorithm::HS256, &EncodingKey::from_secret(SECRET), &claims)
}

/// The keys of these files of `hub/tests/keys`.
fn keys_of(files: &[&str]) -> Auth {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/keys");
    let files: Vec<String> = files.iter().map(|file| format!("{folder}/{file}.pub.pem")).collect();
    let text = format!("[auth]\npublic_key_files = {files:?}\n");
    Auth::of(&confab_config::load_text("hub.toml", &text).unwrap().config).unwrap()
}

fn base64(text: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text)
}

/// A token with this header, whose signature is good for it.
fn with_header(header: &Value, claims: &Value) -> String {
    let message = format!("{}.{}", base64(&header.to_string()), base64(&claims.to_string()));
    let key = EncodingKey::from_secret(SECRET);
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS256).unwrap();
    format!("{message}.{signature}")
}

#[test]
fn a_good_token_says_who_its_bearer_is() {
    let claims = json!({
        "sub": "ada", "exp": now_s() + 60, "iat": 1_700_000_000, "info": {"name": "Ada"}, "channels": ["b", "a"],
        "subs": {"a": {}},
    });
    let identity = auth().verify(&token(claims), CLIENT).unwrap();
    assert_eq!(identity.user.as_str(), "ada");
    assert!(identity.ttl().unwrap() > 50);
    assert_eq!(identity.rooms, [Room::new("a").unwrap(), Room::new("b").unwrap()]);
    assert_eq!(identity.info.unwrap().as_str(), r#"{"name":"Ada"}"#);
    assert_eq!(identity.token, Some(Some(1_700_000_000_000)));
}

#[test]
fn no_client_is_told_a_time_that_its_integers_cannot_hold() {
    for exp in [json!(now_s() + (1 << 32)), json!(253_402_300_799_u64)] {
        let identity = auth().verify(&token(json!({"sub": "ada", "exp": exp})), CLIENT).unwrap();
        assert_eq!(identity.ttl(), Some(TTL_MAX), "{exp}");
    }
}

#[test]
fn forged_and_malformed_tokens_close_the_session_and_an_expired_one_asks_for_another() {
    let closed = |token: &str| {
        let denied = auth().verify(token, CLIENT).unwrap_err().denied();
        assert_eq!(denied, Denied::Closed(confab_protocol::Close::InvalidToken), "{token}");
    };
    closed(&signed(Algorithm::HS256, &EncodingKey::from_secret(b"another"), &json!({"sub": "ada"})));
    closed(&signed(Algorithm::HS512, &EncodingKey::from_secret(SECRET), &json!({"sub": "ada"})));
    for claims in [
        json!({"sub": "ada", "channel": "lobby"}),
        json!({"sub": "ada", "channels": [""]}),
        json!({"sub": "plugin:commands"}),
        json!({"sub": "a\nb"}),
        json!({"sub": "a".repeat(256)}),
        json!({"sub": "ada", "exp": "9999999999"}),
    ] {
        closed(&token(claims));
    }
    for text in ["", "a.b.c", "..", ".", "a.b.c.d", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZGEifQ."] {
        closed(text);
    }
    let expired = token(json!({"sub": "ada", "exp": now_s() - 60}));
    assert_eq!(auth().verify(&expired, CLIENT).unwrap_err().denied(), Denied::Refused(Refusal::TokenExpired));
}

#[test]
fn a_header_only_chooses_among_the_keys_that_there_are() {
    let claims = json!({"sub": "ada"});
    let reason = |header: Value| auth().verify(&with_header(&header, &claims), CLIENT).unwrap_err().reason();
    assert!(auth().verify(&with_header(&json!({"alg": "HS256", "kid": "any"}), &claims), CLIENT).is_ok());
    for alg in ["none", "None", "NONE", "hs256", "RS256", "ES256", "EdDSA", "", "HS256 ", "dir"] {
        assert_eq!(reason(json!({"alg": alg})), "algorithm", "{alg}");
    }
    for header in [json!({}), json!({"alg": 5}), json!({"alg": null}), json!([]), json!("HS256")] {
        assert_eq!(reason(header.clone()), "malformed", "{header}");
    }
    assert_eq!(reason(json!({"alg": "HS256", "crit": ["b64"], "b64": false})), "malformed");
    assert_eq!(reason(json!({"alg": "HS256", "kid": "k".repeat(300)})), "malformed");
    // Keys that come with a token, and places to fetch some from, are nobody's business.
    let jwk = json!({"kty": "oct", "k": base64("mine")});
    let own =
        json!({"alg": "HS256", "jwk": jwk, "jku": "http://evil.example/", "x5u": "http://evil.example/", "x5c": ["?"]});
    assert!(auth().verify(&with_header(&own, &claims), CLIENT).is_ok(), "signed with our key, and by nothing else");
    let message = format!("{}.{}", base64(&own.to_string()), base64(&claims.to_string()));
    let signature =
        jsonwebtoken::crypto::sign(message.as_bytes(), &EncodingKey::from_secret(b"mine"), Algorithm::HS256).unwrap();
    assert_eq!(auth().verify(&format!("{message}.{signature}"), CLIENT), Err(Invalid::Signature));
}

#[test]
fn a_huge_token_is_not_read() {
    let huge = token(json!({"sub": "ada", "info": "x".repeat(100_000)}));
    assert_eq!(auth().verify(&huge, CLIENT).unwrap_err(), Invalid::TooLong(64 << 10));
    assert!(auth().verify(&".".repeat(60_000), CLIENT).is_err());
}

#[test]
fn a_key_checks_its_own_algorithms_and_no_other() {
    let claims = json!({"sub": "ada"});
    let rsa = EncodingKey::from_rsa_pem(RSA.as_bytes()).unwrap();
    let p256 = EncodingKey::from_ec_pem(include_bytes!("../../tests/keys/p256.pem")).unwrap();
    let p384 = EncodingKey::from_ec_pem(include_bytes!("../../tests/keys/p384.pem")).unwrap();
    let ed = EncodingKey::from_ed_pem(include_bytes!("../../tests/keys/ed25519.pem")).unwrap();
    let all = [
        ("rsa", Algorithm::RS256, &rsa),
        ("rsa", Algorithm::PS512, &rsa),
        ("p256", Algorithm::ES256, &p256),
        ("p384", Algorithm::ES384, &p384),
        ("ed25519", Algorithm::EdDSA, &ed),
    ];
    let everything = keys_of(&["rsa", "p256", "p384", "ed25519"]);
    for (name, algorithm, key) in all {
        let token = signed(algorithm, key, &claims);
        assert!(everything.verify(&token, CLIENT).is_ok(), "{algorithm:?}");
        for file in ["rsa", "p256", "p384", "ed25519"] {
            assert_eq!(keys_of(&[file]).verify(&token, CLIENT).is_ok(), file == name, "{algorithm:?} by {file}");
        }
    }
    // The oldest trick: the public key, which everybody has, as if it were a secret.
    let forged = signed(Algorithm::HS256, &EncodingKey::from_secret(RSA_PUBLIC.as_bytes()), &claims);
    assert_eq!(everything.verify(&forged, CLIENT).unwrap_err().reason(), "algorithm");
}

#[test]
fn two_secrets_hold_while_one_takes_the_place_of_the_other() {
    let text = "[auth]\nhmac_secret = 'the new secret of thirty-two bytes'\n\
                hmac_secret_previous = 'a secret of more than thirty-two bytes'\n";
    let auth = Auth::of(&confab_config::load_text("hub.toml", text).unwrap().config).unwrap();
    assert!(auth.verify(&token(json!({"sub": "ada"})), CLIENT).is_ok());
    let new = EncodingKey::from_secret(b"the new secret of thirty-two bytes");
    assert!(auth.verify(&signed(Algorithm::HS256, &new, &json!({"sub": "ada"})), CLIENT).is_ok());
    let other = EncodingKey::from_secret(b"some other secret of the same length");
    assert_eq!(auth.verify(&signed(Algorithm::HS256, &other, &json!({"sub": "ada"})), CLIENT), Err(Invalid::Signature));
}

#[test]
fn without_a_token_a_development_hub_takes_everybody_at_their_word_and_says_what_is_wrong_with_it() {
    let body = |text: &str| Body::parse(text.to_owned()).unwrap();
    let said = |data: &str| auth().introduced(Some(&body(data)), CLIENT);
    assert_eq!(said(r#"{"user":"ada"}"#).unwrap().user.as_str(), "ada");
    for nobody in ["{}", r#"{"user":null}"#, "5", r#""ada""#, "[]"] {
        assert_eq!(said(nobody).unwrap().user.as_str(), "guest-0123456789ab", "{nobody}");
    }
    let long = format!(r#"{{"user":"{}"}}"#, "a".repeat(256));
    for bad in
        [&long, r#"{"user":"a\nb"}"#, r#"{"user":""}"#, r#"{"user":5}"#, r#"{"user":{}}"#, r#"{"user":"plugin:x"}"#]
    {
        let refusal = said(bad).unwrap_err();
        assert!(matches!(&refusal, Refusal::BadRequest(why) if why.contains("`data.user`")), "{bad}: {refusal:?}");
    }
}

#[test]
fn a_token_that_names_nobody_is_a_guests_where_guests_are_let_in() {
    for nobody in [json!({}), json!({"sub": ""}), json!({"sub": null})] {
        let nobody = token(nobody);
        assert_eq!(auth().verify(&nobody, CLIENT), Err(Invalid::Nobody));
        let identity = auth_with(Rules { anonymous: true, ..Rules::default() }).verify(&nobody, CLIENT).unwrap();
        assert_eq!(identity.user.as_str(), "guest-0123456789ab");
        assert_eq!((identity.guest, identity.ttl()), (true, None));
    }
}

#[tokio::test]
async fn a_rooms_token_is_good_for_its_room_and_its_user_only() {
    let ada = auth().verify(&token(json!({"sub": "ada"})), CLIENT).unwrap();
    let room = Room::new("team").unwrap();
    let auth = auth();
    let grant = async |claims| auth.grant(&token(claims), &room, &ada.actor("c", Via::Rpc)).await;
    let none = Grant { expires_at: None, issued: None };
    assert_eq!(grant(json!({"sub": "ada", "channel": "team"})).await, Ok(none));
    let later = now_s() + 60;
    let granted = grant(json!({"sub": "ada", "channel": "team", "exp": later, "iat": 5})).await;
    assert_eq!(granted, Ok(Grant { expires_at: Some(later), issued: Some(5000) }));
    let expired = grant(json!({"sub": "ada", "channel": "team", "exp": now_s() - 60})).await.unwrap_err();
    assert_eq!(expired.refusal(), Refusal::TokenExpired);
    for (claims, claim) in [
        (json!({"sub": "ada", "channel": "other"}), "channel"),
        (json!({"sub": "bob", "channel": "team"}), "sub"),
        (json!({"channel": "team"}), "sub"),
        (json!({"sub": "ada"}), "channel"),
    ] {
        let invalid = grant(claims.clone()).await.unwrap_err();
        assert_eq!(invalid.claim(), Some(claim), "{claims}");
        assert!(matches!(invalid.refusal(), Refusal::PermissionDenied(_)), "{claims}");
    }
    let refusal = auth.grant("a.b.c", &room, &ada.actor("c", Via::Rpc)).await.unwrap_err().refusal();
    assert!(matches!(refusal, Refusal::PermissionDenied(_)), "{refusal:?}");
}
