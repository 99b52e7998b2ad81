//! Keys that an issuer publishes: it is away, comes, changes its keys, sends elsewhere, or answers without an end.

use anyhow::{Context, Result, bail, ensure};
use confab_tests::client::Client;
use confab_tests::eventually;
use confab_tests::world::Embedded;
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::json;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use xtask::services::port::Port;

/// What an issuer answers; nothing: it is away.
type Answer = Arc<Mutex<Vec<u8>>>;

/// Whoever asks is answered with what stands there then. Counts how often that was.
async fn serve(port: &Port, answer: Answer) -> Result<Arc<AtomicUsize>> {
    let listener = TcpListener::bind(("127.0.0.1", port.number())).await?;
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::Relaxed);
            let answer = answer.lock().expect("nobody panics with it").clone();
            let mut head = [0; 4096];
            let _ = stream.read(&mut head).await;
            let _ = stream.write_all(&answer).await; // whoever has read enough goes away
        }
    });
    Ok(asked)
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

/// Shows tokens of keys that nobody has, one after another over one link; returns how many were shown.
async fn show_made_up(hub: String, tokens: Vec<String>) -> Result<usize> {
    let client = Client::open(&hub).await?;
    for (shown, token) in tokens.iter().enumerate() {
        match client.ask("connect", json!({"token": token})).await {
            Ok(Ok(taken)) => bail!("a made-up key was taken: {taken}"),
            Ok(Err(refused)) => ensure!(refused["code"] == 212, "{refused}"),
            Err(_) => return Ok(shown + 1), // the issuer was asked, and knows no such key: the session is over
        }
    }
    Ok(tokens.len())
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_tokens_of_keys_that_nobody_has_cost_the_issuer_little_and_keep_nobody_out() -> Result<()> {
    const LINKS: usize = 300;
    const TOKENS: usize = 8;
    let (port, told) = (Port::free()?, Answer::default());
    let key = EncodingKey::from_ec_pem(include_bytes!("../../../hub/tests/keys/p256.pem"))?;
    let other = EncodingKey::from_ed_pem(include_bytes!("../../../hub/tests/keys/ed25519.pem"))?;
    *told.lock().expect("nobody panics with it") = set("one", &key, Algorithm::ES256)?;
    let asked = serve(&port, told.clone()).await?;
    let begun = Instant::now();
    let world = Embedded::start(&format!("jwks_url = \"http://127.0.0.1:{}/keys\"\n", port.number())).await?;
    let hub = &world.hub.listen;
    let good = token("one", &key, Algorithm::ES256)?;
    eventually("the keys are read", async || (shown(hub, &good).await.ok()? == 0).then_some(())).await;

    let mut flood = JoinSet::new();
    for link in 0..LINKS {
        let made_up = |n| token(&format!("made-up-{link}-{n}"), &other, Algorithm::EdDSA);
        flood.spawn(show_made_up(hub.clone(), (0..TOKENS).map(made_up).collect::<Result<_>>()?));
    }
    let (mut refused, mut served) = (0, 0);
    while !flood.is_empty() {
        assert_eq!(shown(hub, &good).await?, 0, "whose key is known comes in meanwhile");
        served += 1;
        while let Some(done) = flood.try_join_next() {
            refused += done??;
        }
    }
    // Who comes with a key that the issuer has made since is let in, as soon as one may look again.
    *told.lock().expect("nobody panics with it") = set("two", &other, Algorithm::EdDSA)?;
    let newer = token("two", &other, Algorithm::EdDSA)?;
    eventually("the new key is taken", async || (shown(hub, &newer).await.ok()? == 0).then_some(())).await;

    let (asked, seconds) = (asked.load(Ordering::Relaxed), begun.elapsed().as_secs() as usize);
    println!("{refused} tokens refused in {seconds} s, the issuer asked {asked} times, {served} let in meanwhile");
    assert!(refused > LINKS, "{refused} of them were shown");
    assert!(asked <= 2 + seconds / 5, "the issuer was asked {asked} times in {seconds} s");
    let lines = world.hub.said().lines().filter(|line| line.contains("token refused")).count();
    assert!(lines <= 2 * 10 * (2 + seconds / 10), "{lines} lines for {refused} tokens");
    Ok(())
}
