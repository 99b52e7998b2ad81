//! The page at `/`.

use anyhow::{Context, Result};
use confab_tests::process::get;
use confab_tests::raw::Raw;
use confab_tests::world::{Embedded, service};

#[tokio::test(flavor = "multi_thread")]
async fn the_hub_serves_its_page_and_its_admin_port_says_how_it_is() -> Result<()> {
    let world = Embedded::start("").await?;
    let (status, page) = get(&format!("http://{}/", world.hub.listen)).await?;
    assert_eq!(status, 200);
    assert!(page.contains("<title>Confab</title>"));
    for nothing in ["/nothing", "/assets/nothing.js", "/assets/..%2findex.html"] {
        assert_eq!(get(&format!("http://{}{nothing}", world.hub.listen)).await?.0, 404, "{nothing}");
    }
    assert_eq!(world.hub.admin_api().get("/healthz").await?.0, 200);
    let (_, metrics) = world.hub.admin_api().get("/metrics").await?;
    assert!(metrics.contains("confab_sessions") && metrics.ends_with("# EOF\n"), "{metrics}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_public_can_stand_under_a_prefix_and_a_slash_too_many_is_forgiven() -> Result<()> {
    for prefix in ["", "/chat", "/apps/chat"] {
        let mut world = Embedded::start("").await?;
        world.hub.stop()?;
        world.hub.rewrite(|settings| format!("path_prefix = \"{prefix}\"\n{settings}"))?;
        world.hub.start().await?;
        let hub = &world.hub.listen;
        let (status, page) = get(&format!("http://{hub}{prefix}/")).await?;
        assert!(status == 200 && page.contains("<title>Confab</title>"), "{prefix}: {status}");
        assert!(!page.contains("\"/connection"), "what the page asks for is relative to it");
        for path in ["/connection/websocket", "/connection/websocket/"] {
            Raw::connect(hub, &format!("{prefix}{path}")).await.with_context(|| format!("{prefix}{path}"))?;
        }
        for path in ["/socket.io", "/socket.io/"] {
            let (status, open) = get(&format!("http://{hub}{prefix}{path}?EIO=4&transport=polling")).await?;
            assert!(status == 200 && open.starts_with("0{"), "{prefix}{path}: {status} {open}");
        }
        let (status, _) = get(&format!("http://{hub}{prefix}/socket.io/socket.io.js")).await?;
        assert_eq!(status, 200);
        if !prefix.is_empty() {
            assert_eq!(get(&format!("http://{hub}/connection/websocket")).await?.0, 404);
            let mut raw = Raw::open(hub).await?;
            raw.write(format!("GET {prefix}?user=ada HTTP/1.1\r\nHost: {hub}\r\n\r\n").as_bytes()).await?;
            let moved = raw.response().await?.to_ascii_lowercase();
            assert!(
                moved.starts_with("http/1.1 308") && moved.contains(&format!("location: {prefix}/?user=ada\r\n")),
                "{moved}"
            );
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stock_socket_io_client_is_served_as_it_is_published() -> Result<()> {
    let world = Embedded::start("").await?;
    let published = std::path::Path::new(&service("CONFAB_TEST_NODE")?).join("node_modules/socket.io-client/dist");
    for name in ["socket.io.js", "socket.io.min.js", "socket.io.esm.min.js", "socket.io.js.map", "socket.io.min.js.map"]
    {
        let (status, file) = get(&format!("http://{}/socket.io/{name}", world.hub.listen)).await?;
        assert_eq!(status, 200, "{name}");
        assert!(file == std::fs::read_to_string(published.join(name))?, "{name} is not what npm has");
    }
    assert_eq!(get(&format!("http://{}/socket.io/other.js", world.hub.listen)).await?.0, 404);
    Ok(())
}
