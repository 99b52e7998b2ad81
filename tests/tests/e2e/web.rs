//! The web client at `/`, in a real browser.

use anyhow::{Context, Result, ensure};
use confab_tests::process::get;
use confab_tests::raw::Raw;
use confab_tests::stock;
use confab_tests::world::{Embedded, plugin};
use xtask::services::port::Port;

/// Signs tokens.
const SECRET: &str = "a secret of the tests, long enough";
/// Rooms say who is there.
const ROOMS: &str = "[[room]]\nmatch = [\"**\"]\npresence = true\njoin_leave = \"asked\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn the_javascript_client_folds_as_the_store_does_and_is_small() -> Result<()> {
    let said = stock::javascript_tests().await?;
    for test in ["the library is at most 12 KiB", "takes time in proportion to the text"] {
        ensure!(said.contains(test), "the tests ran: {said}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_loads_nothing_from_elsewhere_and_what_it_loads_stays_good() -> Result<()> {
    let world = Embedded::start("").await?;
    let hub = &world.hub.listen;
    let (_, page) = get(&format!("http://{hub}/")).await?;
    assert!(page.contains("data-signin=\"name\""), "whoever comes may say who they are: {page}");
    assert!(!page.contains("http://") && !page.contains("https://") && !page.contains("\"//"), "{page}");
    let script =
        page.split("src=\"./").nth(1).and_then(|rest| rest.split('"').next()).context("the page has a script")?;
    for (encodings, wanted) in [("gzip, br", Some("br")), ("gzip", Some("gzip")), ("identity", None)] {
        let mut raw = Raw::open(hub).await?;
        let request = format!("GET /{script} HTTP/1.1\r\nHost: {hub}\r\nAccept-Encoding: {encodings}\r\n\r\n");
        raw.write(request.as_bytes()).await?;
        let head = raw.response().await?.to_ascii_lowercase();
        assert!(head.starts_with("http/1.1 200") && head.contains("max-age=31536000, immutable"), "{head}");
        let encoding = head.lines().find_map(|line| line.strip_prefix("content-encoding: "));
        assert_eq!(encoding, wanted, "{encodings}: {head}");
    }
    let mut raw = Raw::open(hub).await?;
    raw.write(format!("GET / HTTP/1.1\r\nHost: {hub}\r\n\r\n").as_bytes()).await?;
    let head = raw.response().await?.to_ascii_lowercase();
    assert!(
        head.contains("content-security-policy: default-src 'none'; script-src 'self'; style-src 'self';"),
        "{head}"
    );
    assert!(!head.contains("unsafe"), "nothing is allowed that is written into the page: {head}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_people_chat_through_the_web_client_and_one_loses_the_connection() -> Result<()> {
    let world = Embedded::start(ROOMS).await?;
    stock::web("two-people.mjs", &[&world.hub.listen], &[]).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_offline_is_sent_once_and_in_order_also_after_a_reload() -> Result<()> {
    let world = Embedded::start(ROOMS).await?;
    stock::web("queue.mjs", &[&world.hub.listen], &[]).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_past_is_read_without_a_jump_and_what_is_new_stands_under_a_line() -> Result<()> {
    let world = Embedded::start(ROOMS).await?;
    stock::web("history.mjs", &[&world.hub.listen], &[]).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_rewritten_held_and_published_after_all_is_told_on_the_message() -> Result<()> {
    let filter = |name: &str, word: &str, action: &str| {
        let settings = format!("settings = {{ words = [\"{word}\"], action = \"{action}\" }}\ntimeout = \"2s\"");
        plugin(name, "word-filter", &settings)
    };
    let plugins = filter("no-spam", "spam", "reject")?
        + &filter("mask", "darn", "mask")?
        + &filter("hold", "lottery", "hold")?
        + &plugin("notes", "link-notes", "timeout = \"2s\"")?;
    let chain = "[[chain]]\nrooms = [\"**\"]\non = [\"send\", \"edit\"]\nplugins = [\"no-spam\", \"mask\", \"hold\", \"notes\"]\n";
    let world = Embedded::start(&format!("hmac_secret = \"{SECRET}\"\n{ROOMS}{plugins}{chain}")).await?;
    stock::web("moderation.mjs", &[&world.hub.listen], &["--secret", SECRET]).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_names_links_and_texts_run_nothing_and_break_nothing() -> Result<()> {
    let world = Embedded::start(ROOMS).await?;
    stock::web("hostile.mjs", &[&world.hub.listen], &[]).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_and_dialog_is_accessible_light_and_dark_and_by_the_keyboard_alone() -> Result<()> {
    let world = Embedded::start(ROOMS).await?;
    stock::web("accessible.mjs", &[&world.hub.listen], &[]).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_has_a_chat_by_the_readmes_of_the_packages_as_they_stand() -> Result<()> {
    let port = Port::free()?;
    let origin = format!("allowed_origins = [\"http://127.0.0.1:{}\"]\n", port.number());
    let world = Embedded::start(&origin).await?;
    stock::web("readme.mjs", &[&world.hub.listen], &["--port", &port.number().to_string()]).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_is_killed_under_people_who_write_and_each_message_is_said_once() -> Result<()> {
    let mut world = Embedded::start(ROOMS).await?;
    let listen = world.hub.listen.clone();
    let pid = world.hub.pid().context("the hub runs")?.to_string();
    let flags = ["--pid", &pid];
    let hubs = [listen.as_str()];
    let again = async {
        world.hub.ended().await; // the script kills it
        world.hub.start().await
    };
    let (said, again) = tokio::join!(stock::web("killed.mjs", &hubs, &flags), again);
    again?;
    said.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_in_node_reads_anew_what_cannot_be_replayed_and_brings_new_tokens() -> Result<()> {
    let few = "[limits]\nrecover_events = 5\n";
    let world = Embedded::start(&format!("hmac_secret = \"{SECRET}\"\n{few}")).await?;
    stock::web("node-client.mjs", &[&world.hub.listen], &["--secret", SECRET]).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn who_types_in_a_busy_room_loses_no_key_and_no_message() -> Result<()> {
    let world = Embedded::start(ROOMS).await?;
    stock::web("busy.mjs", &[&world.hub.listen], &["--seconds", "4"]).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn members_find_the_rooms_that_people_made_as_soon_as_they_are_added() -> Result<()> {
    let teams = "[[room]]\nmatch = [\"team:**\"]\njoin = \"members\"\n";
    let world = Embedded::start(&format!("{ROOMS}{teams}")).await?;
    stock::web("rooms.mjs", &[&world.hub.listen], &[]).await.map(drop)
}
