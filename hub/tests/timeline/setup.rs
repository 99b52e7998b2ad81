//! What a hub refuses to work with, and TLS.

use crate::ledger::Ledger;
use crate::server::RedisServer;
use crate::world::{DEADLINE, World, entry, hub_id, options_for, redis_options};
use confab_hub::timeline::{Error, Redis, RedisOptions};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use std::path::Path;
use std::sync::Arc;
use tokio::time::timeout;

async fn refused(options: RedisOptions) -> String {
    let connecting = Redis::connect(options, Arc::<Ledger>::default());
    match timeout(DEADLINE, connecting).await.expect("a refusal does not wait") {
        Err(Error::Refused(reason)) => reason,
        Err(other) => panic!("not refused: {other}"),
        Ok(_) => panic!("not refused"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_number_of_buckets_is_refused_with_both_numbers() {
    let options = redis_options();
    let _world = World::redis_with(options.clone(), Arc::default()).await;
    let reason = refused(RedisOptions { buckets: 9, hub_id: hub_id(), ..options }).await;
    assert!(reason.contains("holds 8 buckets") && reason.contains("set to 9"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_evicting_redis_is_refused() {
    let server = RedisServer::start_with(&["--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru"], false).await;
    let reason = refused(options_for(&server.url())).await;
    assert!(reason.contains("`allkeys-lru`") && reason.contains("noeviction"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prefix_with_braces_and_a_url_that_is_none_are_refused() {
    let braces = RedisOptions { prefix: "a{b}".into(), ..redis_options() };
    assert!(refused(braces).await.contains("brace"));
    assert!(refused(RedisOptions::new("no url", hub_id())).await.contains("redis url"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_is_away_is_waited_for() {
    let mut server = RedisServer::start().await;
    let options = options_for(&server.url());
    server.stop();
    let connecting = tokio::spawn(Redis::connect(options, Arc::<Ledger>::default()));
    tokio::task::yield_now().await;
    assert!(!connecting.is_finished());
    server.start_again().await;
    let (timeline, _heard) = timeout(DEADLINE, connecting).await.expect("in time").unwrap().expect("connected");
    timeline.close().await;
}

/// Writes `ca.pem`, `server.pem` and `server.key` into the folder.
fn certificates(folder: &Path) {
    let authority_key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = authority.self_signed(&authority_key).unwrap();
    let issuer = Issuer::new(authority, authority_key);
    let server_key = KeyPair::generate().unwrap();
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let server = CertificateParams::new(names).unwrap().signed_by(&server_key, &issuer).unwrap();
    std::fs::write(folder.join("ca.pem"), ca.pem()).unwrap();
    std::fs::write(folder.join("server.pem"), server.pem()).unwrap();
    std::fs::write(folder.join("server.key"), server_key.serialize_pem()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_speaks_tls_as_an_acl_user_and_trusts_only_its_authority() {
    let (folder, stranger) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    certificates(folder.path());
    certificates(stranger.path());
    let ca = folder.path().join("ca.pem");
    let options = [
        "--tls-cert-file",
        "{dir}/server.pem",
        "--tls-key-file",
        "{dir}/server.key",
        "--tls-ca-cert-file",
        "{dir}/ca.pem",
        "--tls-auth-clients",
        "no",
        "--user",
        "default",
        "off",
        "--user",
        "hub",
        "on",
        ">secret",
        "~test-*",
        "&test-*",
        "+@all",
        "-@admin",
        "-@dangerous",
        "+info",
    ];
    let server = RedisServer::start_in(folder, &options, true).await;
    let url = |password: &str| format!("rediss://hub:{password}@127.0.0.1:{}", server.port);
    let trusting = RedisOptions { ca_file: Some(ca), ..options_for(&url("secret")) };

    let mut world = World::redis_with(trusting.clone(), Arc::default()).await;
    world.timeline.subscribe(&crate::world::room("team")).await.unwrap();
    let published = world.publish(&entry("team", "1", "hi")).await;
    assert_eq!(world.hears().await, published);

    let strange = RedisOptions { ca_file: Some(stranger.path().join("ca.pem")), ..options_for(&url("secret")) };
    let reason = refused(strange).await;
    assert!(reason.contains("TLS") && reason.contains("certificate"), "{reason}");
    let reason = refused(RedisOptions { url: url("wrong"), hub_id: hub_id(), ..trusting.clone() }).await;
    assert!(!reason.contains("secret") && !reason.contains(":wrong"), "{reason}");
    let missing = RedisOptions { ca_file: Some("/nowhere/ca.pem".into()), ..trusting };
    assert!(refused(missing).await.contains("/nowhere/ca.pem"));
}
