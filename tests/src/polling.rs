//! A small Socket.IO client that polls, for tests that need control over each request; people use stock clients.

use anyhow::{Context, Result, bail, ensure};
use futures_util::{SinkExt, StreamExt};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{HeaderMap, Request};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

/// How long any answer may take.
const DEADLINE: Duration = Duration::from_secs(60);

/// What a request came to.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub text: String,
}

impl Answer {
    /// A header as text; empty if it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The packets of the answer to a GET.
    pub fn packets(&self) -> impl Iterator<Item = &str> {
        self.text.split('\x1e')
    }
}

/// Sends a request to the Socket.IO address of a hub.
pub async fn request(
    hub: &str,
    method: &str,
    query: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Result<Answer> {
    Http::to(hub).request(method, query, headers, body.into()).await
}

/// Requests to one hub, over connections that are kept.
#[derive(Clone)]
struct Http {
    client: Client<HttpConnector, Full<Bytes>>,
    hub: String,
}

impl Http {
    fn to(hub: &str) -> Self {
        Self { client: Client::builder(TokioExecutor::new()).build_http(), hub: hub.to_owned() }
    }

    async fn request(&self, method: &str, query: &str, headers: &[(&str, &str)], body: Bytes) -> Result<Answer> {
        let mut request = Request::builder().method(method).uri(format!("http://{}/socket.io/?{query}", self.hub));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let asked = async {
            let answer = self.client.request(request.body(Full::new(body))?).await?;
            let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
            let text = String::from_utf8(answer.into_body().collect().await?.to_bytes().into())?;
            anyhow::Ok(Answer { status, headers, text })
        };
        tokio::time::timeout(DEADLINE, asked).await.with_context(|| format!("{method} was not answered"))?
    }
}

/// A session that polls.
pub struct Polling {
    http: Http,
    /// Its session id.
    pub sid: String,
    acks: i64,
    packets: VecDeque<String>,
}

impl Polling {
    /// Begins a session and says nothing yet.
    pub async fn open(hub: &str) -> Result<Self> {
        let http = Http::to(hub);
        let answer = http.request("GET", "EIO=4&transport=polling", &[], Bytes::new()).await?;
        ensure!(answer.status == 200, "the handshake was answered {}: {}", answer.status, answer.text);
        let open: Value = serde_json::from_str(answer.text.strip_prefix('0').context("an open packet")?)?;
        let sid = open["sid"].as_str().context("a session id")?.to_owned();
        Ok(Self { http, sid, acks: 0, packets: VecDeque::new() })
    }

    /// Begins a session as `user` (a development hub).
    pub async fn connect(hub: &str, user: &str) -> Result<Self> {
        let mut client = Self::open(hub).await?;
        client.post(&format!("40{}", json!({"user": user}))).await?;
        let packet = client.packet().await?;
        ensure!(packet.starts_with("40"), "refused: {packet}");
        Ok(client)
    }

    /// Where this session's requests go.
    pub fn query(&self) -> String {
        format!("EIO=4&transport=polling&sid={}", self.sid)
    }

    /// Posts packets, as they are.
    pub async fn post(&self, payload: &str) -> Result<Answer> {
        self.http.request("POST", &self.query(), &[], payload.to_owned().into()).await
    }

    /// Posts an event.
    pub async fn emit(&self, event: &str, data: Value) -> Result<Answer> {
        self.post(&format!("42{}", json!([event, data]))).await
    }

    /// Asks once, whatever is answered.
    pub async fn poll(&self) -> Result<Answer> {
        self.http.request("GET", &self.query(), &[], Bytes::new()).await
    }

    /// Asks once, and waits for the answer beside what else happens.
    pub fn waiting(&self) -> tokio::task::JoinHandle<Result<Answer>> {
        let (http, query) = (self.http.clone(), self.query());
        tokio::spawn(async move { http.request("GET", &query, &[], Bytes::new()).await })
    }

    /// The next packet that is no heartbeat; heartbeats are answered.
    pub async fn packet(&mut self) -> Result<String> {
        loop {
            match self.packets.pop_front() {
                Some(packet) if packet == "2" => drop(self.post("3").await?),
                Some(packet) => return Ok(packet),
                None => {
                    let answer = self.poll().await?;
                    ensure!(answer.status == 200, "a poll was answered {}: {}", answer.status, answer.text);
                    self.packets.extend(answer.packets().map(str::to_owned));
                }
            }
        }
    }

    /// Emits an event and waits for its acknowledgement; events that come before it are kept.
    pub async fn ask(&mut self, event: &str, data: Value) -> Result<Value> {
        self.acks += 1;
        let posted = self.post(&format!("42{}{}", self.acks, json!([event, data]))).await?;
        ensure!(posted.status == 200, "a post was answered {}: {}", posted.status, posted.text);
        let begin = format!("43{}[", self.acks);
        let mut kept = VecDeque::new();
        loop {
            let packet = self.packet().await?;
            if packet.starts_with(&begin) {
                kept.append(&mut self.packets);
                self.packets = kept;
                let mut answers: Vec<Value> = serde_json::from_str(&packet[begin.len() - 1..])?;
                return answers.pop().context("an acknowledgement has a value");
            }
            kept.push_back(packet);
        }
    }

    /// The next event of this name; others are passed over.
    pub async fn heard(&mut self, event: &str) -> Result<Value> {
        let begin = format!(r#"42["{event}","#);
        loop {
            let packet = self.packet().await?;
            if packet == "1" {
                bail!("closed while waiting for `{event}`");
            }
            if packet.starts_with(&begin) {
                return Ok(serde_json::from_str::<Vec<Value>>(&packet[2..])?.pop().unwrap_or_default());
            }
        }
    }

    /// Moves to a WebSocket, as the protocol has it.
    pub async fn upgrade(&self) -> Result<WebSocketStream<TcpStream>> {
        let stream = TcpStream::connect(&self.http.hub).await?;
        let url = format!("ws://{}/socket.io/?EIO=4&transport=websocket&sid={}", self.http.hub, self.sid);
        let (mut socket, _) = tokio_tungstenite::client_async(url, stream).await?;
        socket.send(Message::text("2probe")).await?;
        let answer = socket.next().await.context("the hub answers the probe")??;
        ensure!(answer == Message::text("3probe"), "{answer:?}");
        socket.send(Message::text("5")).await?;
        Ok(socket)
    }
}
