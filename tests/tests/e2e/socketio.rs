//! The second dialect through stock clients: Socket.IO over polling, WebSocket, and from the one to the other.

use anyhow::{Context, Result};
use confab_tests::stock;
use confab_tests::world::{Cluster, Embedded};

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
async fn a_front_end_that_knows_nothing_of_confab_works_without_a_changed_line() -> Result<()> {
    let mapped = "[[socketio]]\non = \"event:message\"\nroom = \"lobby\"\nemit = \"message\"\n";
    let world = Embedded::start(mapped).await?;
    stock::node("socketio-mapped.mjs", &[&world.hub.listen]).await.map(drop)
}
