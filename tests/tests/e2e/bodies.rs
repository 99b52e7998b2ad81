//! A body takes the room that its value needs, however a client's library writes JSON.

use anyhow::{Context, Result};
use confab_tests::client::Client;
use confab_tests::polling::Polling;
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
async fn a_body_is_measured_as_it_is_kept_however_it_is_written_and_whoever_brings_it() -> Result<()> {
    let world = Embedded::start("").await?;
    let (listen, admin) = (&world.hub.listen, world.hub.admin_api());
    let mut ada = Client::connect(listen, "ada").await?;
    ada.subscribe("lobby", None).await?.unwrap();
    let texts = ["あ".repeat(6_000), "é".repeat(9_000), "😀".repeat(4_500), format!("{}\u{1}\"\\", "ы".repeat(9_000))];
    for (n, text) in texts.into_iter().enumerate() {
        let body = json!({ "text": text });
        // No line feed: the native dialect ends a command with it.
        let (wide, spaced) = (escaped(&body), format!("{{ \"text\" :\t{}\r}}", json!(text)));
        assert!(wide.len() > 32 * 1024);
        let plain = ada.begin_text("publish", &format!(r#"{{"channel":"lobby","data":{wide}}}"#)).await?;
        assert_eq!(plain, Ok(json!({})));
        let send = |body: &str| format!(r#"{{"method":"send","data":{{"room":"lobby","key":"k{n}","body":{body}}}}}"#);
        let first = ada.begin_text("rpc", &send(&wide)).await?.unwrap();
        for other in [&body.to_string(), &spaced] {
            assert_eq!(ada.begin_text("rpc", &send(other)).await?.unwrap(), first, "the same value is the same draft");
        }
        let polling = Polling::connect(listen, "bob").await?;
        polling.post(&format!(r#"42["send",{{"room":"lobby","body":{wide}}}]"#)).await?;
        let (status, answer) =
            admin.post("/api/v1/send", &json!({"room": "lobby", "user": "ops", "body": body})).await?;
        assert_eq!(status, 200, "{answer}");
        for _ in 0..4 {
            assert_eq!(ada.publication().await?["pub"]["data"], body);
        }
    }
    Ok(())
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
