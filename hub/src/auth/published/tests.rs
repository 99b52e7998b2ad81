//! An issuer that answers, changes its keys, sends elsewhere, goes on for ever, or is away.

use super::*;
use crate::auth::{Auth, Invalid, Keys, Rules};
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use parking_lot::Mutex;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// An issuer on this machine: each connection is answered with what stands in `answer` then.
struct Issuer {
    url: String,
    answer: Arc<Mutex<Vec<u8>>>,
    asked: watch::Receiver<usize>,
}

impl Issuer {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/keys", listener.local_addr().unwrap());
        let answer = Arc::new(Mutex::new(Vec::new()));
        let (counted, asked) = watch::channel(0);
        let told = answer.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let answer: Vec<u8> = told.lock().clone();
                counted.send_modify(|asked| *asked += 1);
                let mut head = [0; 4096];
                let _ = stream.read(&mut head).await;
                let _ = stream.write_all(&answer).await; // whoever has read enough goes away
            }
        });
        Self { url, answer, asked }
    }

    fn answers(&self, status: &str, body: &[u8]) {
        let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
        *self.answer.lock() = [head.as_bytes(), body].concat();
    }

    fn publishes(&self, keys: &[(&str, &EncodingKey, Algorithm)]) {
        let jwk = |(kid, key, algorithm): &(&str, &EncodingKey, Algorithm)| {
            let mut jwk = Jwk::from_encoding_key(key, *algorithm).unwrap();
            jwk.common.key_id = Some((*kid).to_owned());
            jwk
        };
        let set = JwkSet { keys: keys.iter().map(jwk).collect() };
        self.answers("200 OK", serde_json::to_string(&set).unwrap().as_bytes());
    }

    fn unshared(&self) -> Published {
        Published::new(&self.url, None, Duration::from_secs(3600)).unwrap()
    }

    fn published(&self) -> Arc<Published> {
        Arc::new(self.unshared())
    }
}

fn rsa() -> EncodingKey {
    EncodingKey::from_rsa_pem(include_bytes!("../../../tests/keys/rsa.pem")).unwrap()
}

fn p256() -> EncodingKey {
    EncodingKey::from_ec_pem(include_bytes!("../../../tests/keys/p256.pem")).unwrap()
}

fn ed() -> EncodingKey {
    EncodingKey::from_ed_pem(include_bytes!("../../../tests/keys/ed25519.pem")).unwrap()
}

fn token(kid: Option<&str>, key: &EncodingKey, algorithm: Algorithm) -> String {
    let header = Header { kid: kid.map(str::to_owned), ..Header::new(algorithm) };
    encode(&header, &json!({"sub": "ada"}), key).unwrap()
}

fn auth(published: &Arc<Published>) -> Auth {
    Auth::new(Keys { fixed: Vec::new(), published: Some(published.clone()) }, Rules::default())
}

#[tokio::test]
async fn a_token_of_a_published_key_is_taken_and_its_header_changes_nothing() {
    let issuer = Issuer::start().await;
    let rsa = rsa();
    let ed = ed();
    issuer.publishes(&[("one", &rsa, Algorithm::RS256), ("two", &ed, Algorithm::EdDSA)]);
    let published = issuer.published();
    let auth = auth(&published);
    let verify = |kid, key, algorithm| auth.verify(&token(kid, key, algorithm), "c").map(|who| who.user.to_string());
    let unread = verify(Some("one"), &rsa, Algorithm::RS256).unwrap_err();
    assert_eq!(unread.reason(), "unknown_key", "nothing is known before the first reading");
    published.read().await.unwrap();
    assert_eq!(verify(Some("one"), &rsa, Algorithm::RS256).unwrap(), "ada");
    assert_eq!(verify(Some("two"), &ed, Algorithm::EdDSA).unwrap(), "ada");
    assert_eq!(verify(None, &ed, Algorithm::EdDSA).unwrap(), "ada", "without a name, what fits is tried");
    // The key says RS256: it checks no other algorithm of its family, nor another key's tokens.
    assert_eq!(verify(Some("one"), &rsa, Algorithm::RS512), Err(Invalid::Algorithm("RS512".into())));
    assert_eq!(verify(Some("two"), &rsa, Algorithm::RS256), Err(Invalid::Signature));
    let public = EncodingKey::from_secret(include_bytes!("../../../tests/keys/rsa.pub.pem"));
    let forged = verify(Some("one"), &public, Algorithm::HS256).unwrap_err();
    assert_eq!(forged.reason(), "algorithm");
    for kid in ["../../etc/passwd", "one' or '1'='1", "one\0", "", "http://evil.example/keys", "ONE", "one "] {
        let reason = verify(Some(kid), &rsa, Algorithm::RS256).unwrap_err().reason();
        assert_eq!(reason, "unknown_key", "{kid}");
    }
    assert_eq!(verify(Some(&"k".repeat(50_000)), &rsa, Algorithm::RS256).unwrap_err().reason(), "malformed");
}

/// Keeps the keys fresh, as a hub does.
fn following(published: &Arc<Published>) -> (CancellationToken, tokio::task::JoinHandle<()>) {
    let stop = CancellationToken::new();
    let published = published.clone();
    let stopped = stop.clone();
    (stop, tokio::spawn(async move { published.follow(stopped).await }))
}

#[tokio::test]
async fn a_new_key_is_taken_as_soon_as_a_token_names_it_and_an_old_one_no_more() {
    let issuer = Issuer::start().await;
    let rsa = rsa();
    let p256 = p256();
    issuer.publishes(&[("old", &rsa, Algorithm::RS256)]);
    let published = Arc::new(Published { pace: Duration::ZERO, ..issuer.unshared() });
    let (stop, following) = following(&published);
    let auth = auth(&published);
    let identify = async |kid, key, algorithm| auth.identify(&token(Some(kid), key, algorithm), "c").await.map(|_| ());
    // The hub has just started: whoever comes waits until the keys have been read once.
    assert_eq!(identify("old", &rsa, Algorithm::RS256).await, Ok(()));
    issuer.publishes(&[("new", &p256, Algorithm::ES256)]);
    assert_eq!(identify("new", &p256, Algorithm::ES256).await, Ok(()));
    assert_eq!(identify("old", &rsa, Algorithm::RS256).await.unwrap_err().reason(), "unknown_key");
    stop.cancel();
    following.await.unwrap();
}

#[tokio::test]
async fn tokens_that_name_unknown_keys_do_not_have_the_issuer_asked_again_and_again() {
    let issuer = Issuer::start().await;
    let rsa = rsa();
    issuer.publishes(&[("one", &rsa, Algorithm::RS256)]);
    let published = issuer.published();
    let (stop, following) = following(&published);
    let auth = auth(&published);
    let identify = async |kid: &str| auth.identify(&token(Some(kid), &rsa, Algorithm::RS256), "c").await.map(|_| ());
    assert_eq!(identify("one").await, Ok(()));
    for n in 0..50 {
        let temporary = identify(&n.to_string()).await.unwrap_err();
        assert_eq!(temporary, Invalid::KeysUnavailable, "the key may be newer than the last look");
    }
    assert_eq!(*issuer.asked.borrow(), 1);
    stop.cancel();
    following.await.unwrap();
}

#[tokio::test]
async fn the_last_good_keys_hold_whatever_the_issuer_answers() {
    let issuer = Issuer::start().await;
    let rsa = rsa();
    let published = issuer.published();
    let auth = auth(&published);
    let good = token(Some("one"), &rsa, Algorithm::RS256);
    let elsewhere = Issuer::start().await;
    elsewhere.publishes(&[("one", &rsa, Algorithm::RS256)]);
    let redirect = format!("302 Found\r\nlocation: {}", elsewhere.url);
    let large = vec![b' '; 10 << 20];
    let answers: [(&str, &[u8], &str); 7] = [
        (&redirect, b"", "not followed"),
        ("200 OK", &large, "more than 262144 bytes"),
        ("500 Internal Server Error", b"", "500"),
        ("404 Not Found", b"{}", "404"),
        ("200 OK", b"<html>", "no JWKS"),
        ("200 OK", br#"{"keys":[]}"#, "no key"),
        ("200 OK", br#"{"keys":[{"kty":"oct","kid":"one","k":"c2VjcmV0"}]}"#, "secret"),
    ];
    for (status, body, _) in &answers {
        issuer.answers(status, body);
        assert!(published.read().await.is_err(), "{status}");
        assert_eq!(auth.verify(&good, "c").unwrap_err().reason(), "unknown_key", "{status}");
    }
    issuer.publishes(&[("one", &rsa, Algorithm::RS256)]);
    published.read().await.unwrap();
    for (status, body, why) in &answers {
        issuer.answers(status, body);
        let said = published.read().await.unwrap_err();
        assert!(said.contains(why), "{status}: {said}");
        assert!(auth.verify(&good, "c").is_ok(), "{status}");
    }
    assert_eq!(*elsewhere.asked.borrow(), 0, "nobody was sent there");
    let gone = Published::new("http://127.0.0.1:1/keys", None, Duration::from_secs(3600)).unwrap();
    assert!(gone.read().await.is_err());
}
