//! The page at `/`.

use anyhow::Result;
use confab_tests::process::get;
use confab_tests::stock;
use confab_tests::world::Embedded;

#[tokio::test(flavor = "multi_thread")]
async fn the_hub_serves_its_page_and_its_admin_port_says_how_it_is() -> Result<()> {
    let world = Embedded::start("").await?;
    let (status, page) = get(&format!("http://{}/", world.hub.listen)).await?;
    assert_eq!(status, 200);
    assert!(page.contains("<title>Confab</title>"));
    assert_eq!(get(&format!("http://{}/nothing", world.hub.listen)).await?.0, 404);
    assert_eq!(world.hub.admin_api().get("/healthz").await?.0, 200);
    let (_, metrics) = world.hub.admin_api().get("/metrics").await?;
    assert!(metrics.contains("confab_sessions") && metrics.ends_with("# EOF\n"), "{metrics}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_tabs_of_a_real_browser_chat_through_the_page() -> Result<()> {
    let world = Embedded::start("").await?;
    stock::browser("two-tabs.mjs", &world.hub.listen).await.map(drop)
}
