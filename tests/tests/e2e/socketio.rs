//! The second dialect through stock clients: Socket.IO over polling, WebSocket, and from the one to the other.

use anyhow::{Context, Result};
use confab_tests::stock;
use confab_tests::world::{Cluster, Embedded, plugin};
use xtask::services::port::Port;

#[tokio::test(flavor = "multi_thread")]
async fn stock_socket_io_clients_hear_what_a_native_client_on_another_hub_hears() -> Result<()> {
    let cluster = Cluster::start("").await?;
    let [a, b] = [&cluster.hubs[0].listen, &cluster.hubs[1].listen];
    stock::node("socketio-room.mjs", &[a, b]).await.context("node")?;
    stock::python("socketio_room.py", &[b, a]).await.context("python")?;
    cluster.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn stock_socket_io_clients_speak_with_an_embedded_hub() -> Result<()> {
    let world = Embedded::start("").await?;
    stock::node("socketio-room.mjs", &[&world.hub.listen]).await.context("node")?;
    stock::python("socketio_room.py", &[&world.hub.listen]).await.context("python")?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stock_client_that_puts_many_events_into_one_request_has_each_acknowledged() -> Result<()> {
    let world = Embedded::start("").await?;
    stock::python("polling_batch.py", &[&world.hub.listen]).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn stock_clients_that_are_refused_hear_why_over_each_transport_and_stay_away() -> Result<()> {
    const SECRET: &str = "a secret of the tests, long enough";
    let mut world = Embedded::start(&format!("hmac_secret = \"{SECRET}\"\n")).await?;
    world.hub.stop()?;
    world.hub.rewrite(|settings| settings.replace("insecure = true", "insecure = false"))?;
    world.hub.start().await?;
    let key = jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes());
    let claims = serde_json::json!({"sub": "ada", "exp": 4_102_444_800_u64});
    let token = jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key)?;
    stock::node_with("refused.mjs", &[&world.hub.listen], &["--token", &token]).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn stock_java_clients_on_two_hubs_of_a_cluster_hear_the_same_and_come_back_whole() -> Result<()> {
    let cluster = Cluster::start("").await?;
    stock::java("SocketIoRoom.java", &[&cluster.hubs[0].listen, &cluster.hubs[1].listen]).await?;
    cluster.end().await
}

const MAPPED: &str = "[[socketio]]\non = \"event:message\"\nroom = \"lobby\"\nemit = \"message\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_front_end_written_for_another_server_chats_in_a_real_browser() -> Result<()> {
    let port = Port::free()?;
    let origin = format!("allowed_origins = [\"http://127.0.0.1:{}\"]\n{MAPPED}", port.number());
    let world = Embedded::start(&origin).await?;
    stock::front_end("scalable-chat.mjs", &world.hub.listen, "scalable-chat.html", &port).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_front_end_that_knows_nothing_of_confab_works_without_a_changed_line() -> Result<()> {
    let world = Embedded::start(MAPPED).await?;
    stock::node("socketio-mapped.mjs", &[&world.hub.listen]).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_front_end_shows_is_what_was_judged() -> Result<()> {
    let filter = plugin("no-spam", "word-filter", "settings = { words = [\"spam\"], action = \"reject\" }")?;
    let mapped = "[[socketio]]\non = \"chat message\"\nroom = \"chat\"\nemit = \"chat message\"\nshape = \"text\"\n";
    let world = Embedded::start(&format!("{filter}[[chain]]\nplugins = [\"no-spam\"]\n{mapped}")).await?;
    stock::node("shown-not-judged.mjs", &[&world.hub.listen]).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_chat_of_the_tutorial_is_heard_once_and_hears_what_is_refused() -> Result<()> {
    let spam = plugin("no-spam", "word-filter", "settings = { words = [\"spam\"], action = \"reject\", code = 455 }")?;
    let world = Embedded::start(&format!(
        "[limits]\nuser_commands_per_second = 5\nuser_commands_burst = 6\n\
         [[socketio]]\non = \"chat message\"\nroom = \"lobby\"\nemit = \"chat message\"\nshape = \"text\"\n\
         {spam}[[chain]]\nplugins = [\"no-spam\"]\n"
    ))
    .await?;
    stock::node("socketio-tutorial.mjs", &[&world.hub.listen]).await.map(drop)
}
