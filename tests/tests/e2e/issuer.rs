//! Keys that an issuer publishes: it is away, comes, changes its keys, sends elsewhere, or answers without an end.

use anyhow::{Context, Result};
use confab_tests::client::Client;
use confab_tests::eventually;
use confab_tests::world::Embedded;
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::json;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use xtask::services::port::Port;

/// What an issuer answers; nothing: it is away.
type Answer = Arc<Mutex<Vec<u8>>>;

/// Whoever asks is answered with what stands there then.
async fn serve(port: &Port, answer: Answer) -> Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", port.number())).await?;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = answer.lock().expect("nobody panics with it").clone();
            let mut head = [0; 4096];
            let _ = stream.read(&mut head).await;
            let _ = stream.write_all(&answer).await; // whoever has read enough goes away
        }
    });
    Ok(())
}

fn answer(status: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// A set with this key.
fn set(kid: &str, key: &EncodingKey, algorithm: Algorithm) -> Result<Vec<u8>> {
    let mut jwk = Jwk::from_encoding_key(key, algorithm)?;
    jwk.common.key_id = Some(kid.to_owned());
    Ok(answer("200 OK", &serde_json::to_vec(&JwkSet { keys: vec![jwk] })?))
}

fn token(kid: &str, key: &EncodingKey, algorithm: Algorithm) -> Result<String> {
    let header = Header { kid: Some(kid.to_owned()), ..Header::new(algorithm) };
    let claims = json!({"sub": "ada", "iss": "https://issuer.example", "aud": ["chat", "mail"]});
    Ok(jsonwebtoken::encode(&header, &claims, key)?)
}

/// The code with which a token is refused, or ends the session; 0 where it is taken.
async fn shown(hub: &str, token: &str) -> Result<u64> {
    let mut client = Client::open(hub).await?;
    match client.ask("connect", json!({"token": token})).await {
        Ok(Ok(_)) => Ok(0),
        Ok(Err(refused)) => refused["code"].as_u64().context("a refusal has a code"),
        Err(_) => client.close_code().await,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn published_keys_are_taken_as_they_come_and_the_last_good_ones_hold() -> Result<()> {
    let (port, told) = (Port::free()?, Answer::default());
    let old = EncodingKey::from_ec_pem(include_bytes!("../../../hub/tests/keys/p256.pem"))?;
    let new = EncodingKey::from_ed_pem(include_bytes!("../../../hub/tests/keys/ed25519.pem"))?;
    let auth = format!(
        "jwks_url = \"http://127.0.0.1:{}/keys\"\nissuer = [\"https://issuer.example\"]\naudience = [\"chat\"]\n",
        port.number()
    );
    // It is away: the hub starts all the same, and has clients come back.
    let world = Embedded::start(&auth).await?;
    let hub = &world.hub.listen;
    assert_eq!(shown(hub, &token("one", &old, Algorithm::ES256)?).await?, 212);
    assert!(world.hub.said().contains("could not read token keys"), "{}", world.hub.said());

    *told.lock().expect("nobody panics with it") = set("one", &old, Algorithm::ES256)?;
    serve(&port, told.clone()).await?;
    let good = token("one", &old, Algorithm::ES256)?;
    eventually("the keys are read", async || (shown(hub, &good).await.ok()? == 0).then_some(())).await;

    // Whatever it answers, the last good keys hold; what only pretends to fit them does not.
    let elsewhere = "302 Found\r\nlocation: http://127.0.0.1:1/keys";
    let public = EncodingKey::from_secret(include_bytes!("../../../hub/tests/keys/p256.pub.pem"));
    for (bad, line) in [
        (answer(elsewhere, b""), "not followed elsewhere"),
        (answer("200 OK", &vec![b' '; 10 << 20]), "more than 262144 bytes"),
    ] {
        *told.lock().expect("nobody panics with it") = bad;
        let unknown = token("two", &new, Algorithm::EdDSA)?;
        eventually(line, async || {
            assert_eq!(shown(hub, &unknown).await.ok()?, 212);
            world.hub.said().contains(line).then_some(())
        })
        .await;
        assert_eq!(shown(hub, &good).await?, 0);
        let (status, _, err) = world.hub.verb(&["token", "verify", &unknown])?;
        assert!(!status.success() && err.contains(line), "{err}");
        assert_eq!(shown(hub, &token("one", &public, Algorithm::HS256)?).await?, 3500);
    }

    // A new key is taken as soon as somebody shows a token of it, and the old one is gone.
    *told.lock().expect("nobody panics with it") = set("two", &new, Algorithm::EdDSA)?;
    let newer = token("two", &new, Algorithm::EdDSA)?;
    eventually("the new key is taken", async || (shown(hub, &newer).await.ok()? == 0).then_some(())).await;
    eventually("the old key is gone", async || (shown(hub, &good).await.ok()? == 3500).then_some(())).await;
    let said = world.hub.said();
    assert!(said.contains("no key for ES256 has the id"), "{said}");
    assert!(said.contains("no key here checks tokens signed with HS256"), "{said}");
    Ok(())
}
