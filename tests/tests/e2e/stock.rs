//! Stock clients from their registries, with no code of ours in the protocol.

use anyhow::{Context, Result};
use confab_tests::stock;
use confab_tests::world::{Cluster, Embedded};

#[tokio::test(flavor = "multi_thread")]
async fn the_stock_node_client_says_its_first_message() -> Result<()> {
    let world = Embedded::start("").await?;
    let said = stock::node("first-message.mjs", &[&world.hub.listen]).await?;
    assert!(said.contains("hello") || said.contains("Hello"), "{said}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stock_node_client_drops_its_link_and_is_given_exactly_what_it_missed() -> Result<()> {
    let world = Embedded::start("").await?;
    stock::node("drop-and-recover.mjs", &[&world.hub.listen]).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stock_python_client_drops_its_link_and_is_given_exactly_what_it_missed() -> Result<()> {
    let world = Embedded::start("").await?;
    stock::python("drop_and_recover.py", &[&world.hub.listen]).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn stock_clients_that_speak_protobuf_are_given_exactly_what_they_missed() -> Result<()> {
    let world = Embedded::start("").await?;
    let hubs: [&str; 1] = [&world.hub.listen];
    stock::node_protobuf("drop-and-recover.mjs", &hubs).await.context("node")?;
    stock::python_protobuf("drop_and_recover.py", &hubs).await.context("python")?;
    stock::go(&hubs).await.context("go").map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn stock_clients_on_two_hubs_of_a_cluster_recover_from_each_other() -> Result<()> {
    let cluster = Cluster::start("").await?;
    let [a, b] = [&cluster.hubs[0].listen, &cluster.hubs[1].listen];
    stock::node("drop-and-recover.mjs", &[a, b]).await.context("node")?;
    stock::python("drop_and_recover.py", &[b, a]).await.context("python")?;
    stock::go(&[a, b]).await.context("go")?;
    cluster.end().await
}
