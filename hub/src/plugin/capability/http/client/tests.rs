//! Names, addresses and certificates, with a look-up and an authority of the test's own.

use super::*;
use confab_config::HttpOrigin;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";

/// A client for one origin, whose names are looked up in a list: each look-up takes the next answer.
fn client(origin: &str, private: bool, roots: RootCertStore, answers: &[&[&str]]) -> Client {
    let answers: Vec<Vec<IpAddr>> =
        answers.iter().map(|answer| answer.iter().map(|address| address.parse().unwrap()).collect()).collect();
    let answers = Mutex::new(answers.into_iter());
    let next = move |_: &str| answers.lock().unwrap().next().ok_or_else(|| io::Error::other("no further answer"));
    let grant = HttpGrant {
        allow: vec![HttpOrigin::parse(origin).unwrap()],
        private,
        timeout: Duration::from_secs(30),
        ..HttpGrant::default()
    };
    Client::with("it", grant, roots, Arc::new(next))
}

async fn get(client: &Client, url: &str) -> Result<Response, Error> {
    let request = Request { method: "GET".into(), url: url.into(), headers: Vec::new(), body: None };
    client.fetch(request, Instant::now() + Duration::from_secs(30)).await
}

async fn answer(mut stream: impl AsyncReadExt + AsyncWriteExt + Unpin) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return };
        head.push(byte);
    }
    drop(stream.write_all(ANSWER).await);
    drop(stream.shutdown().await);
}

/// A server whose connections are made something of first; returns its port.
async fn server<S, F>(greet: impl Fn(TcpStream) -> F + Send + 'static) -> u16
where
    S: AsyncReadExt + AsyncWriteExt + Unpin + Send,
    F: Future<Output = Option<S>> + Send + 'static,
{
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let greeting = greet(stream);
            tokio::spawn(async move {
                if let Some(stream) = greeting.await {
                    answer(stream).await;
                }
            });
        }
    });
    port
}

#[tokio::test]
async fn a_name_is_looked_up_once_for_each_connection_and_that_address_is_the_one_connected_to() {
    let port = server(|stream| async { Some(stream) }).await;
    let origin = format!("http://a.example:{port}");
    // A second look-up for the same connection would get an address where nobody answers.
    let client = client(&origin, true, RootCertStore::empty(), &[&["127.0.0.1"], &["127.0.0.1"]]);
    for _ in 0..2 {
        assert_eq!(get(&client, &origin).await.unwrap().status, 200);
    }
    assert!(matches!(get(&client, &origin).await, Err(Error::Unavailable(why)) if why.contains("no further answer")));
}

#[tokio::test]
async fn one_private_address_among_public_ones_is_enough_to_ask_none() {
    let origin = "http://a.example";
    for answer in [&["93.184.216.34", "10.0.0.1"][..], &["::1"], &["169.254.169.254"], &["::ffff:127.0.0.1"]] {
        let client = client(origin, false, RootCertStore::empty(), &[answer]);
        assert!(matches!(get(&client, origin).await, Err(Error::Forbidden(why)) if why.contains("no public address")));
    }
    let nothing = client(origin, false, RootCertStore::empty(), &[&[]]);
    assert!(matches!(get(&nothing, origin).await, Err(Error::Unavailable(why)) if why.contains("resolves to nothing")));
    let nowhere = client(origin, true, RootCertStore::empty(), &[&["0.0.0.0"]]);
    assert!(matches!(get(&nowhere, origin).await, Err(Error::Forbidden(_))));
}

#[tokio::test]
async fn requests_under_way_are_bounded_and_one_too_many_waits_no_longer_than_it_can() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let origin = format!("http://a.example:{}", listener.local_addr().unwrap().port());
    let mut client = client(&origin, true, RootCertStore::empty(), &[&["127.0.0.1"], &["127.0.0.1"]]);
    client.permits = Semaphore::new(1);
    let client = Arc::new(client);
    let first = tokio::spawn({
        let client = Arc::clone(&client);
        let origin = origin.clone();
        async move { get(&client, &origin).await }
    });
    // Taken, and never answered.
    let _stream = listener.accept().await.unwrap();
    let request = Request { method: "GET".into(), url: origin.clone(), headers: Vec::new(), body: None };
    let second = client.fetch(request, Instant::now() + Duration::from_millis(50)).await;
    assert!(matches!(second, Err(Error::Unavailable(why)) if why.contains("too many requests")));
    first.abort();
    drop(first.await);
    // Whoever gives up gives its place back.
    drop(tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        answer(stream).await;
    }));
    assert_eq!(get(&client, &origin).await.unwrap().status, 200);
}

/// A server's side of TLS for `a.example`, and the authority that vouches for it.
fn certificates() -> (TlsAcceptor, RootCertStore) {
    let authority_key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let mut roots = RootCertStore::empty();
    roots.add(authority.self_signed(&authority_key).unwrap().der().clone()).unwrap();
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["a.example".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key.into())
        .unwrap();
    (TlsAcceptor::from(Arc::new(config)), roots)
}

#[tokio::test]
async fn a_server_must_show_a_certificate_for_its_name_by_an_authority_that_is_trusted() {
    let (acceptor, roots) = certificates();
    let port = server(move |stream| {
        let accepting = acceptor.accept(stream);
        async move { accepting.await.ok() }
    })
    .await;
    let origin = format!("https://a.example:{port}");
    let trusting = client(&origin, true, roots.clone(), &[&["127.0.0.1"]]);
    assert_eq!(get(&trusting, &origin).await.unwrap().body, b"ok");

    let well_known = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let strange = client(&origin, true, well_known, &[&["127.0.0.1"]]);
    assert!(matches!(get(&strange, &origin).await, Err(Error::Unavailable(why)) if why.contains("certificate")));
    let other = format!("https://b.example:{port}");
    let misled = client(&other, true, roots, &[&["127.0.0.1"]]);
    assert!(matches!(get(&misled, &other).await, Err(Error::Unavailable(why)) if why.contains("certificate")));
}
