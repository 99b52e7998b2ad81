//! A body takes the room that its value needs, however a client's library writes JSON.

use anyhow::{Context, Result};
use confab_tests::client::Client;
use confab_tests::world::Embedded;
use serde_json::{Value, json};

/// JSON as libraries write it that escape all that is not ASCII.
fn escaped(value: &Value) -> String {
    let escape = |c: char| {
        let mut units = [0; 2];
        c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")).collect::<String>()
    };
    value.to_string().chars().map(|c| if c.is_ascii() { c.to_string() } else { escape(c) }).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_is_so_in_every_writing_and_space_counts_for_nothing() -> Result<()> {
    let world = Embedded::start("\n[limits]\nbody = \"1 KiB\"\n").await?;
    let ada = Client::connect(&world.hub.listen, "ada").await?;
    let publish =
        async |body: &str| ada.begin_text("publish", &format!(r#"{{"channel":"lobby","data":{body}}}"#)).await;
    for (letters, fits) in [(337, true), (338, false)] {
        let body = json!({ "text": "あ".repeat(letters) }); // 11 bytes besides the letters
        let spaced = body.to_string().replace(':', &format!(":{}", " ".repeat(2000)));
        for written in [body.to_string(), escaped(&body), spaced] {
            let answer = publish(&written).await?;
            assert_eq!(
                answer.as_ref().err().map(|refusal| &refusal["code"]),
                (!fits).then_some(&json!(106)),
                "{letters}"
            );
        }
    }
    let page = ada.rpc("history", json!({"room": "lobby"})).await?.unwrap();
    let kept = page["events"].as_array().context("events")?;
    assert_eq!(kept.len(), 3);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_and_the_order_of_members_stay_as_they_were_written() -> Result<()> {
    let world = Embedded::start("").await?;
    let ada = Client::connect(&world.hub.listen, "ada").await?;
    let body = r#"{"z":123456789012345678901234567890,"a":1.50000000000000000001,"e":-0E+1}"#;
    ada.begin_text("publish", &format!(r#"{{"channel":"lobby","data":{body}}}"#)).await?.unwrap();
    let (status, page) = world.hub.admin_api().get("/api/v1/history?room=lobby").await?;
    assert!(status == 200 && page.contains(body), "{page}");
    Ok(())
}
