//! The native dialect's edges: what is refused, and what ends a session.

use crate::slow::say_until_slow_is_closed;
use anyhow::Result;
use confab_tests::client::Client;
use confab_tests::world::Embedded;
use serde_json::json;

const LIMITS: &str = "\n[limits]\nstale_timeout = \"1s\"\nping_interval = \"1s\"\npong_timeout = \"500ms\"\nrooms_per_session = 3\n\
                      frame = \"32 KiB\"\nbody = \"8 KiB\"\noutbox = \"64 KiB\"\n";

async fn code_after(world: &Embedded, frame: &str) -> Result<u64> {
    let mut client = Client::open(&world.hub.listen).await?;
    client.raw(frame)?;
    client.close_code().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_breaks_the_protocol_is_closed_with_the_code_that_says_how() -> Result<()> {
    let world = Embedded::start(LIMITS).await?;
    for (frame, code) in [
        ("not json", 3501),
        (r#"{"id":1,"subscribe":{"channel":"lobby"}}"#, 3501),
        (r#"{"connect":{}}"#, 3501),
        (r#"{"id":1,"connect":{},"subscribe":{"channel":"x"}}"#, 3501),
        (r#"{"id":"one","connect":{}}"#, 3501),
        (r#"{"id":1,"connect":{"token":"forged"}}"#, 3500),
    ] {
        assert_eq!(code_after(&world, frame).await?, code, "{frame}");
    }
    let connect = r#"{"id":1,"connect":{}}"#;
    for method in ["subscribe", "unsubscribe", "publish", "history", "presence", "presence_stats", "sub_refresh"] {
        let frame = format!("{connect}\n{{\"id\":2,\"{method}\":{{}}}}");
        assert_eq!(code_after(&world, &frame).await?, 3501, "`{method}` without a channel");
    }
    let mut silent = Client::open(&world.hub.listen).await?;
    assert_eq!(silent.close_code().await?, 3502, "no connect in time");
    assert_eq!(code_after(&world, &"x".repeat(33 * 1024)).await?, 3506);
    assert_eq!(
        code_after(&world, &format!("{connect}\n{}", connect.replace('1', "2"))).await?,
        3501,
        "connected twice"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_may_ask_to_be_refused_rather_than_to_begin_anew() -> Result<()> {
    let rooms = "[[room]]\nmatch = [\"short\"]\nhot_window = { events = 2 }\ndeep_recovery = false\n";
    let world = Embedded::start(rooms).await?;
    let mut ada = Client::connect(&world.hub.listen, "ada").await?;
    for n in 0..5 {
        ada.say("short", &format!("k{n}"), "hi").await?.unwrap();
    }
    let subscribe = async |offset: u64, flag: u64| {
        let place = json!({"channel": "short", "recover": true, "offset": offset, "flag": flag});
        ada.ask("subscribe", place).await
    };
    assert_eq!(subscribe(1, 2).await?.unwrap_err()["code"], 112);
    assert_eq!(subscribe(1, 3).await?.unwrap_err()["code"], 112, "with other flags beside it");
    let joined = subscribe(1, 1).await?.unwrap();
    assert_eq!((&joined["was_recovering"], &joined["recovered"]), (&json!(true), &json!(null)), "it was not asked for");
    ada.ask("unsubscribe", json!({"channel": "short"})).await?.unwrap();
    let joined = subscribe(3, 2).await?.unwrap();
    assert_eq!(joined["recovered"], true);
    assert_eq!(joined["publications"].as_array().map(Vec::len), Some(2));
    ada.ask("unsubscribe", json!({"channel": "short"})).await?.unwrap();

    // Whoever was refused is not in the room: it hears nothing, and may come again.
    assert_eq!(subscribe(1, 2).await?.unwrap_err()["code"], 112);
    ada.say("short", "unheard", "hi").await?.unwrap();
    let anew = ada.ask("subscribe", json!({"channel": "short", "flag": 2})).await?.unwrap();
    assert_eq!(anew["offset"], 6, "who does not recover is not refused");
    ada.say("short", "heard", "hi").await?.unwrap();
    assert_eq!(ada.publication().await?["pub"]["offset"], 7);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_does_not_answer_pings_is_closed_and_one_that_does_stays() -> Result<()> {
    let world = Embedded::start(LIMITS).await?;
    let mut mute = Mute::connect(&world.hub.listen).await?;
    let mut polite = Client::connect(&world.hub.listen, "ada").await?;
    assert_eq!(mute.close_code().await?, 3012);
    polite.subscribe("lobby", None).await?.unwrap();
    polite.say("lobby", "k", "still here").await?.unwrap();
    assert_eq!(polite.publication().await?["pub"]["data"]["text"], "still here");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_that_make_no_sense_are_refused_and_the_session_goes_on() -> Result<()> {
    let world = Embedded::start(LIMITS).await?;
    let ada = Client::connect(&world.hub.listen, "ada").await?;
    let code =
        async |method: &str, arguments| anyhow::Ok(ada.ask(method, arguments).await?.unwrap_err()["code"].clone());
    ada.subscribe("lobby", None).await?.unwrap();
    assert_eq!(code("subscribe", json!({"channel": "lobby"})).await?, 105);
    assert_eq!(code("subscribe", json!({"channel": "x".repeat(256)})).await?, 107);
    for room in ["a", "b"] {
        ada.subscribe(room, None).await?.unwrap();
    }
    assert_eq!(code("subscribe", json!({"channel": "c"})).await?, 106, "more rooms than allowed");
    ada.ask("unsubscribe", json!({"channel": "a"})).await?.unwrap();
    ada.subscribe("c", None).await?.unwrap();
    assert_eq!(code("rpc", json!({"method": "no such verb", "data": {}})).await?, 108);
    assert_eq!(code("rpc", json!({"method": "send", "data": {"room": "lobby"}})).await?, 107);
    assert_eq!(
        code("rpc", json!({"method": "send", "data": {"room": "lobby", "body": {}, "sender": "eve"}})).await?,
        107
    );
    assert_eq!(code("presence", json!({"channel": "lobby"})).await?, 108);
    for (method, of_a_map) in
        [("subscribe", json!({"channel": "map", "type": 1})), ("publish", json!({"channel": "map", "type": 1}))]
    {
        assert_eq!(code(method, of_a_map).await?, 108, "maps are not served");
    }
    assert_eq!(code("something_new", json!({})).await?, 104);
    assert_eq!(code("publish", json!({"channel": "lobby", "data": "x".repeat(9000)})).await?, 106);
    ada.raw(r#"{"send":{"data":{}}}"#)?;
    ada.say("lobby", "k", "fine").await?.unwrap();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn several_commands_in_one_frame_are_all_answered() -> Result<()> {
    let world = Embedded::start("").await?;
    let ada = Client::open(&world.hub.listen).await?;
    let connected = ada.begin("connect", json!({"data": {"user": "ada"}}));
    let joined = ada.begin("subscribe", json!({"channel": "lobby"}));
    assert!(connected.await?.is_ok());
    assert!(joined.await?.is_ok());
    ada.raw("{\"id\":77,\"rpc\":{\"method\":\"history\",\"data\":{\"room\":\"lobby\"}}}\n\n{\"id\":78,\"history\":{\"channel\":\"lobby\"}}\n")?;
    ada.say("lobby", "k", "after both").await?.unwrap();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_body_says_of_itself_is_only_a_body() -> Result<()> {
    let world = Embedded::start("").await?;
    let mut ada = Client::connect(&world.hub.listen, "ada").await?;
    ada.subscribe("lobby", None).await?.unwrap();
    let forged = json!({
        "type": "delete", "target": "0197f000-0000-7000-8000-000000000000", "sender": {"user": "root"}, "offset": 999,
        "annotations": {"x": 1}, "epoch": "9", "id": "0", "unsubscribe": {"code": 2500},
    });
    ada.ask("publish", json!({"channel": "lobby", "data": forged})).await?.unwrap();
    let heard = ada.publication().await?;
    assert_eq!(heard["pub"]["data"], forged);
    assert_eq!(heard["pub"]["tags"]["type"], "message");
    assert_eq!(heard["pub"]["tags"].get("annotations"), None);
    assert_eq!(heard["pub"]["tags"].get("target"), None);
    assert_eq!(heard["pub"]["info"]["user"], "ada");
    assert_eq!(heard["pub"]["offset"], 1);
    let page = ada.rpc("history", json!({"room": "lobby"})).await?.unwrap();
    assert_eq!(page["events"][0]["type"], "message");
    assert_eq!(page["events"][0]["body"], forged);
    assert_eq!(page["events"][0]["sender"]["user"], "ada");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_store_cannot_hold_is_refused_before_anything_is_started() -> Result<()> {
    let world = Embedded::start("").await?;
    let ada = Client::connect(&world.hub.listen, "ada").await?;
    let deep = format!("{}{}", "[".repeat(60), "]".repeat(60));
    for bad in [r#"{"text":"a\u0000b"}"#, r#"{"text":"\ud800"}"#, r#"{"n":1e999}"#, &deep] {
        let refused = ada.begin_text("publish", &format!(r#"{{"channel":"lobby","data":{bad}}}"#)).await?.unwrap_err();
        assert_eq!(refused["code"], 107, "{bad}: {refused}");
    }
    ada.say("lobby", "k", "the only one").await?.unwrap();
    let page = ada.rpc("history", json!({"room": "lobby"})).await?.unwrap();
    let texts: Vec<_> = page["events"].as_array().unwrap().iter().map(|event| event["body"]["text"].clone()).collect();
    assert_eq!(texts, ["the only one"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_client_is_closed_and_can_resume() -> Result<()> {
    let world = Embedded::start("\n[limits]\noutbox = \"64 KiB\"\n").await?;
    let mut slow = Mute::connect(&world.hub.listen).await?;
    let joined = slow.subscribe("lobby").await?;
    let ada = Client::connect(&world.hub.listen, "ada").await?;
    let sent = say_until_slow_is_closed(&world, &ada).await?;
    let mut back = Client::connect(&world.hub.listen, "slow").await?;
    let again = back.subscribe("lobby", Some((joined["epoch"].as_str().unwrap(), 0))).await?.unwrap();
    assert_eq!(again["recovered"], true);
    let mut given = again["publications"].as_array().map_or(0, Vec::len);
    while given < sent {
        given += 1;
        assert_eq!(back.publication().await?["pub"]["offset"], given);
    }
    Ok(())
}

/// A client that reads only when it is told to, and never answers a ping.
struct Mute {
    socket: tokio_tungstenite::WebSocketStream<tokio::net::TcpStream>,
}

impl Mute {
    async fn connect(address: &str) -> Result<Self> {
        let stream = tokio::net::TcpStream::connect(address).await?;
        let (socket, _) =
            tokio_tungstenite::client_async(format!("ws://{address}/connection/websocket"), stream).await?;
        let mut mute = Self { socket };
        mute.ask(r#"{"id":1,"connect":{"data":{"user":"slow"}}}"#).await?;
        Ok(mute)
    }

    async fn subscribe(&mut self, room: &str) -> Result<serde_json::Value> {
        Ok(self.ask(&json!({"id": 2, "subscribe": {"channel": room}}).to_string()).await?["subscribe"].take())
    }

    async fn ask(&mut self, command: &str) -> Result<serde_json::Value> {
        use futures_util::{SinkExt, StreamExt};
        self.socket.send(command.into()).await?;
        let message = self.socket.next().await.ok_or_else(|| anyhow::anyhow!("closed"))??;
        Ok(serde_json::from_str(message.to_text()?)?)
    }

    async fn close_code(&mut self) -> Result<u64> {
        use futures_util::StreamExt;
        use tokio_tungstenite::tungstenite::Message;
        while let Some(message) = self.socket.next().await {
            if let Message::Close(Some(frame)) = message? {
                return Ok(u16::from(frame.code).into());
            }
        }
        anyhow::bail!("closed without a code")
    }
}
