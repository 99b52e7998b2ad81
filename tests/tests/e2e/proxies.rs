//! Where clients are, behind a proxy whose word is taken: what they write themselves moves them nowhere.

use anyhow::Result;
use confab_tests::raw::Raw;
use confab_tests::world::Embedded;

/// The first line of the answer to a handshake over polling that comes through a proxy with this header.
async fn answered(hub: &str, header: &str, hops: &[u8]) -> Result<String> {
    let mut raw = Raw::open(hub).await?;
    let head = format!("GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: {hub}\r\n{header}: ");
    raw.write(&[head.as_bytes(), hops, b"\r\n\r\n"].concat()).await?;
    Ok(raw.response().await?.lines().next().unwrap_or_default().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_writes_before_the_proxys_word_gives_it_no_other_address() -> Result<()> {
    let long = "127.0.0.1, ".repeat(1200);
    let before: [&[u8]; 5] = [b"\xff\xfe", b"for=\"127.0.0.1", b"[::1", b",", long.as_bytes()];
    for (header, kind, word) in [
        ("X-Forwarded-For", "x-forwarded-for", &b"192.0.2.1"[..]),
        ("Forwarded", "forwarded", b"for=\"192.0.2.1:4711\";proto=https"),
    ] {
        let mut world = Embedded::start("\n[limits]\nconnections_per_address = 5\n").await?;
        world.hub.stop()?;
        let trusted = format!("trusted_proxies = [\"127.0.0.0/8\"]\nproxy_header = \"{kind}\"\n");
        world.hub.rewrite(|settings| format!("{trusted}{settings}"))?;
        world.hub.start().await?;
        let hub = &world.hub.listen;
        for before in before {
            let line = answered(hub, header, &[before, b", ", word].concat()).await?;
            assert!(line.contains(" 200 "), "{line} to {:?}", String::from_utf8_lossy(before));
        }
        for before in before {
            let line = answered(hub, header, &[before, b", ", word].concat()).await?;
            assert!(line.contains(" 429 "), "all are of one address, {line} to {:?}", String::from_utf8_lossy(before));
        }
        let endless = answered(hub, header, "127.0.0.1, ".repeat(4000).as_bytes()).await?;
        assert!(endless.contains(" 431 "), "{endless}");
    }
    Ok(())
}
