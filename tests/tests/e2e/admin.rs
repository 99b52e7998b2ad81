//! The admin port: who comes in, and that no web page does.

use anyhow::{Context, Result, ensure};
use confab_tests::eventually;
use confab_tests::process::{exchange, get};
use confab_tests::stock;
use confab_tests::world::Embedded;
use http_body_util::Full;
use hyper::Request;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;
use xtask::services::port::Port;

/// Every route of the admin port. A test of the hub's keeps no list of them, so a new one belongs here.
const ROUTES: [&str; 23] = [
    "GET /healthz",
    "GET /readyz",
    "GET /metrics",
    "GET /api/v1/held",
    "POST /api/v1/held/0197a000-0000-7000-8000-000000000000/approve",
    "POST /api/v1/held/0197a000-0000-7000-8000-000000000000/deny",
    "GET /api/v1/flags",
    "POST /api/v1/flags/0197a000-0000-7000-8000-000000000000/close",
    "GET /api/v1/mutes",
    "POST /api/v1/mutes",
    "POST /api/v1/mutes/lift",
    "GET /api/v1/bans",
    "POST /api/v1/bans",
    "POST /api/v1/bans/lift",
    "POST /api/v1/tokens/revoke",
    "POST /api/v1/disconnect",
    "GET /api/v1/audit",
    "GET /api/v1/chain",
    "POST /api/v1/reload",
    "POST /api/v1/send",
    "GET /api/v1/history?room=lobby",
    "GET /",
    "GET /nothing",
];

/// Asks for a route as whoever these headers make one.
async fn ask(admin: &str, route: &str, headers: &[(&str, &str)]) -> Result<u16> {
    let (method, path) = route.split_once(' ').context("a route is a method and a path")?;
    let request = Request::builder().method(method).uri(format!("http://{admin}{path}"));
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let body = if method == "POST" { r#"{"room":"lobby","user":"ada","body":{"text":"hello"}}"# } else { "" };
    Ok(exchange(request.body(Full::from(body))?, Duration::from_secs(10)).await?.0)
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_but_health_is_answered_without_a_token_and_confab_finds_its_own() -> Result<()> {
    let mut world = Embedded::prepared("")?;
    // A relative folder: the verbs find it beside hub.toml, wherever they are run.
    world.hub.rewrite(|old| {
        let data = old.lines().find(|line| line.starts_with("data = ")).unwrap_or_default();
        old.replace(data, "data = \"its-own\"")
    })?;
    world.hub.start().await?;
    let json = ("content-type", "application/json");
    for route in ROUTES {
        let expected = if matches!(route, "GET /healthz" | "GET /readyz") { 200 } else { 401 };
        assert_eq!(ask(&world.hub.admin, route, &[json]).await?, expected, "{route}");
        let guessed = [json, ("authorization", "Bearer confab_admin_0000")];
        assert_eq!(ask(&world.hub.admin, route, &guessed).await?, expected, "{route}");
    }
    let file = world.folder.path().join("its-own/admin-tokens");
    assert_eq!(std::fs::metadata(&file)?.permissions().mode() & 0o777, 0o600);
    let (status, out, err) = world.hub.verb(&["send", "lobby", "hello"])?;
    ensure!(status.success() && out.contains("offset 1"), "{out}{err}");
    let (status, out, err) = world.hub.verb(&["history", "lobby"])?;
    ensure!(status.success() && out.contains("operator: hello"), "{out}{err}");
    assert!(!world.hub.said().contains("confab_admin_"), "no token in the log");

    let token = std::fs::read_to_string(&file)?;
    assert!(world.hub.stop()?.success());
    world.hub.start().await?;
    assert_eq!(std::fs::read_to_string(&file)?, token, "the next start finds it");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operator_has_a_token_of_their_own_until_it_is_revoked() -> Result<()> {
    let world = Embedded::start("").await?;
    let (status, token, err) = world.hub.verb(&["admin-token", "create", "mia@night"])?;
    ensure!(status.success() && err.contains("mia@night"), "{token}{err}");
    let given = world.folder.path().join("mia");
    std::fs::write(&given, &token)?;
    let file = given.display().to_string();
    let ban = ["ban", "set", "ada", "--everywhere", "--json", "--admin-token-file", &file];
    let (status, out, err) = world.hub.verb(&ban)?;
    ensure!(status.success(), "{out}{err}");
    // A file with a token alone has no name of its own: the hub knows whose it is.
    assert_eq!(serde_json::from_str::<Value>(&out)?["by"], "mia@night");
    let (_, out, _) = world.hub.verb(&["admin-token", "list"])?;
    assert!(out.contains("admin") && out.contains("mia@night") && !out.contains(token.trim()), "{out}");
    let (status, _, err) = world.hub.verb(&["admin-token", "revoke", "mia@night"])?;
    ensure!(status.success(), "{err}");
    let (status, _, err) = world.hub.verb(&["ban", "list", "--admin-token-file", &file])?;
    assert!(!status.success() && err.contains("not known here"), "{err}");
    let (status, _, err) = world.hub.verb(&["ban", "list"])?;
    ensure!(status.success(), "{err}");
    let (status, _, err) = world.hub.verb(&["admin-token", "revoke", "admin"])?;
    assert!(!status.success() && err.contains("no admin token"), "the last one stays: {err}");
    let (status, _, err) = world.hub.verb(&["ban", "list", "--admin-url", "http://hub-7.example.com:9000"])?;
    assert!(!status.success() && err.contains("not shown to another"), "{err}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_come_in_while_hub_toml_is_broken() -> Result<()> {
    let world = Embedded::start("").await?;
    world.hub.rewrite(|old| format!("{old}\n[limits]\nframe = \"a lot\"\n"))?;
    let (status, out, err) = world.hub.verb(&["ban", "set", "ada", "--everywhere"])?;
    ensure!(status.success() && out.contains("ada everywhere"), "{out}{err}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_that_a_page_could_have_sent_is_answered_even_with_the_token() -> Result<()> {
    let world = Embedded::start("").await?;
    let api = world.hub.admin_api();
    let bearer = format!("Bearer {}", api.token.as_deref().context("the hub made a token")?);
    let token = ("authorization", bearer.as_str());
    let json = ("content-type", "application/json");
    for route in ROUTES {
        for page in [
            ("origin", "https://evil.test"),
            ("origin", "null"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("host", "rebind.evil.test:9000"),
            ("host", "127.0.0.1.evil.test"),
        ] {
            assert_eq!(ask(&api.address, route, &[token, json, page]).await?, 403, "{route} {page:?}");
        }
    }
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"] {
        for route in ROUTES.iter().filter(|route| route.starts_with("POST")) {
            assert_eq!(ask(&api.address, route, &[token, ("content-type", kind)]).await?, 415, "{route} {kind}");
        }
    }
    assert_eq!(ask(&api.address, "POST /api/v1/reload", &[token]).await?, 415, "a body without a kind");
    let bare = Request::post(format!("http://{}/api/v1/reload", api.address)).header("authorization", &bearer);
    assert_eq!(exchange(bare.body(Full::default())?, Duration::from_secs(10)).await?.0, 200, "no body needs none");
    assert_eq!(api.get("/api/v1/history?room=lobby").await?.1.matches("hello").count(), 0, "nobody said anything");
    let refused = world.hub.metric("confab_admin_refused_total{reason=\"page\"}").await?;
    assert_eq!(refused, (ROUTES.len() * 4) as f64);
    assert!(world.hub.said().matches("admin request refused").count() < 40, "the log is bounded");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_browser_on_a_foreign_page_gets_nothing_from_the_admin_port() -> Result<()> {
    let world = Embedded::start("").await?;
    let routes = ROUTES.join(",");
    stock::browser_with("admin-from-a-page.mjs", &["--admin", &world.hub.admin, "--routes", &routes]).await?;
    let page: Value = serde_json::from_str(&world.hub.admin_api().get("/api/v1/history?room=lobby").await?.1)?;
    assert_eq!(page["events"], json!([]), "nobody spoke");
    for metric in ["confab_reloads_total{result=\"unchanged\"}", "confab_audited_total{result=\"ok\"}"] {
        assert_eq!(world.hub.metric(metric).await?, 0.0, "{metric}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_port_that_others_reach_needs_a_token_that_is_given() -> Result<()> {
    let mut world = Embedded::prepared("")?;
    let port = world.hub.admin.rsplit_once(':').context("an address has a port")?.1.to_owned();
    world.hub.set("CONFAB_ADMIN", &format!("0.0.0.0:{port}"));
    let (status, _, err) = world.hub.verb(&["config", "check"])?;
    assert_eq!(status.code(), Some(78), "{err}");
    assert!(err.contains("no token is given"), "{err}");
    world.hub.set("CONFAB_ADMIN_TOKEN", "a-token-of-the-tests");
    world.hub.start().await?;
    assert!(world.hub.said().contains("other machines can reach the admin API"));
    let (status, out, err) = world.hub.verb(&["chain", "status"])?;
    ensure!(status.success(), "{out}{err}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_and_health_have_an_address_of_their_own_with_nothing_else() -> Result<()> {
    let port = Port::free()?;
    let metrics = format!("127.0.0.1:{}", port.number());
    let mut world = Embedded::prepared("")?;
    world.hub.set("CONFAB_METRICS", &metrics);
    world.hub.start().await?;
    for path in ["metrics", "healthz", "readyz"] {
        assert_eq!(get(&format!("http://{metrics}/{path}")).await?.0, 200, "{path}");
    }
    let token = world.hub.admin_api().token.context("the hub made a token")?;
    let bearer = format!("Bearer {token}");
    for route in ROUTES.iter().filter(|route| route.contains("/api/")) {
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        assert_eq!(ask(&metrics, route, &headers).await?, 404, "{route}");
    }
    Ok(())
}

/// Who says nothing, or half of something, holds a connection for a while; who holds many keeps nobody else out for good.
#[tokio::test(flavor = "multi_thread")]
async fn the_admin_port_holds_so_many_connections_and_no_more() -> Result<()> {
    let world = Embedded::start("").await?;
    let mut held = Vec::new();
    for _ in 0..300 {
        let mut stream = TcpStream::connect(&world.hub.admin)?;
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")?;
        held.push(stream);
    }
    eventually("the limit is reached and said", async || {
        world.hub.said().contains("admin connection limit reached").then_some(())
    })
    .await;
    let closed = held.iter_mut().filter(|stream| {
        let _ = stream.set_read_timeout(Some(Duration::from_millis(10)));
        let mut stream: &TcpStream = stream;
        match stream.read(&mut [0]) {
            Ok(read) => read == 0,
            Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    });
    assert!(closed.count() >= 44, "256 stay");
    drop(held);
    eventually("others come in again", async || {
        matches!(world.hub.admin_api().get("/healthz").await, Ok((200, _))).then_some(())
    })
    .await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_takes_the_place_of_the_token_file_operators_stay_in_until_another_file_is_there() -> Result<()> {
    const OTHER: &str = "the-token-that-stands-in-another-file";
    let world = Embedded::start("").await?;
    let (admin, file) = (world.hub.admin_api(), world.folder.path().join("data/admin-tokens"));
    let own = admin.token.context("the hub made a token")?;
    let comes_in = async |token: &str| {
        ask(&admin.address, "GET /api/v1/mutes", &[("authorization", &format!("Bearer {token}"))]).await
    };
    assert_eq!((comes_in(&own).await?, comes_in(OTHER).await?), (200, 401));
    std::fs::remove_file(&file)?;
    assert_eq!(comes_in(&own).await?, 200, "the file is gone");
    std::fs::create_dir(&file)?;
    assert_eq!(comes_in(&own).await?, 200, "a folder is there");
    let (status, _, err) = world.hub.verb(&["mute", "list"])?;
    assert!(!status.success() && err.contains("it is no file"), "{err}");
    std::fs::remove_dir(&file)?;
    std::os::unix::fs::symlink("/dev/zero", &file)?;
    assert_eq!(comes_in(&own).await?, 200, "a link to what has no end is there");
    assert_eq!(ask(&admin.address, "GET /healthz", &[]).await?, 200);
    std::fs::remove_file(&file)?;
    let elsewhere = world.folder.path().join("elsewhere");
    std::fs::write(&elsewhere, format!("mia:{OTHER}\n"))?;
    std::os::unix::fs::symlink(&elsewhere, &file)?;
    assert_eq!((comes_in(&own).await?, comes_in(OTHER).await?), (401, 200), "a link to another file is there");
    std::fs::write(&elsewhere, "mia:short\n")?;
    assert_eq!(comes_in(OTHER).await?, 200, "its text is none");
    let said = world.hub.said();
    assert_eq!(said.matches("keeping those there were").count(), 4, "each is told once: {said}");
    Ok(())
}
