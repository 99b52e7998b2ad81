//! A small client of the native protocol for tests that need many sessions or fine control; people use stock SDKs.

use anyhow::{Context, Result, anyhow, bail};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio_tungstenite::tungstenite::Message;

type Waiting = Arc<Mutex<HashMap<u32, oneshot::Sender<Value>>>>;

/// A session with a hub.
pub struct Client {
    out: mpsc::UnboundedSender<Message>,
    waiting: Waiting,
    /// How the session ended, once it has.
    closed: Arc<OnceLock<Value>>,
    number: AtomicU32,
    link: [tokio::task::AbortHandle; 2],
    /// Pushes, and at the end a close: `{"close": {"code", "reason"}}`.
    pub pushes: mpsc::UnboundedReceiver<Value>,
}

/// What a command came to: its result, or the protocol's error object.
pub type Answer = std::result::Result<Value, Value>;

impl Client {
    /// Connects to the hub at `address` as `user` (a development hub), or with a token.
    pub async fn connect(address: &str, user: &str) -> Result<Self> {
        let client = Self::open(address).await?;
        client.ask("connect", json!({"data": {"user": user}})).await?.map_err(|error| anyhow!("{error}"))?;
        Ok(client)
    }

    /// Opens a socket and says nothing yet.
    pub async fn open(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("connect to {address}"))?;
        stream.set_nodelay(true)?;
        let url = format!("ws://{address}/connection/websocket");
        let (socket, _) = tokio_tungstenite::client_async(url, stream).await?;
        let (mut sink, mut source) = socket.split();
        let (out, mut queued) = mpsc::unbounded_channel::<Message>();
        let (push, pushes) = mpsc::unbounded_channel();
        let (waiting, closed) = (Waiting::default(), Arc::new(OnceLock::new()));
        let writing = tokio::spawn(async move {
            while let Some(message) = queued.recv().await {
                if sink.feed(message).await.is_err() {
                    return;
                }
                while let Ok(message) = queued.try_recv() {
                    if sink.feed(message).await.is_err() {
                        return;
                    }
                }
                if sink.flush().await.is_err() {
                    return;
                }
            }
        });
        let (pong, answers, ended) = (out.clone(), waiting.clone(), closed.clone());
        let reading = tokio::spawn(async move {
            let mut close = json!({"code": 1006, "reason": "link lost"});
            while let Some(Ok(message)) = source.next().await {
                match message {
                    Message::Text(text) => text.split('\n').for_each(|line| hear(line, &pong, &answers, &push)),
                    Message::Close(Some(frame)) => {
                        close = json!({"code": u16::from(frame.code), "reason": frame.reason.as_str()});
                    }
                    _ => {}
                }
            }
            let _ = ended.set(close.clone());
            let _ = push.send(json!({"close": close}));
            answers.lock().unwrap().clear();
        });
        let link = [writing.abort_handle(), reading.abort_handle()];
        Ok(Self { out, waiting, closed, number: AtomicU32::new(1), link, pushes })
    }

    /// Breaks the link without a word. What waits for an answer learns that there will be none.
    pub fn cut(self) {
        self.link.iter().for_each(tokio::task::AbortHandle::abort);
        self.waiting.lock().unwrap().clear();
    }

    /// Sends a command and waits for its answer.
    pub async fn ask(&self, method: &str, arguments: Value) -> Result<Answer> {
        self.begin(method, arguments).await
    }

    /// Sends a command now; the future is its answer.
    pub fn begin(&self, method: &str, arguments: Value) -> impl Future<Output = Result<Answer>> + use<> {
        self.begin_text(method, &arguments.to_string())
    }

    /// Sends a command whose arguments are this JSON text, to the letter.
    pub fn begin_text(&self, method: &str, arguments: &str) -> impl Future<Output = Result<Answer>> + use<> {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let (answer, answered) = oneshot::channel();
        self.waiting.lock().unwrap().insert(number, answer);
        let sent = self.raw(&format!(r#"{{"id":{number},"{method}":{arguments}}}"#));
        let (method, closed) = (method.to_owned(), self.closed.clone());
        async move {
            sent?;
            let reply = tokio::time::timeout(Duration::from_secs(60), answered).await.context("no answer in 60 s")?;
            let mut reply = reply.with_context(|| format!("the link was lost: {:?}", closed.get()))?;
            if let Some(error) = reply.get_mut("error") {
                return Ok(Err(error.take()));
            }
            Ok(Ok(reply.get_mut(&method).map(Value::take).unwrap_or_default()))
        }
    }

    /// Sends a frame as it is.
    pub fn raw(&self, frame: &str) -> Result<()> {
        self.out.send(Message::text(frame.to_owned())).map_err(|_| anyhow!("the link was lost"))
    }

    /// Calls a verb; the result is its `data`.
    pub async fn rpc(&self, method: &str, data: Value) -> Result<Answer> {
        self.begin_rpc(method, data).await
    }

    /// Calls a verb now; the future is its answer.
    pub fn begin_rpc(&self, method: &str, data: Value) -> impl Future<Output = Result<Answer>> + use<> {
        let answer = self.begin("rpc", json!({"method": method, "data": data}));
        async move { Ok(answer.await?.map(|mut result| result["data"].take())) }
    }

    /// Says `text` in `room` under `key`.
    pub async fn say(&self, room: &str, key: &str, text: &str) -> Result<Answer> {
        self.rpc("send", json!({"room": room, "key": key, "body": {"text": text}})).await
    }

    /// Joins a room, from the place given.
    pub async fn subscribe(&self, room: &str, since: Option<(&str, u64)>) -> Result<Answer> {
        let mut arguments = json!({"channel": room});
        if let Some((epoch, offset)) = since {
            arguments["recover"] = true.into();
            arguments["epoch"] = epoch.into();
            arguments["offset"] = offset.into();
        }
        self.ask("subscribe", arguments).await
    }

    /// The next publication of any room, with its `channel`.
    pub async fn publication(&mut self) -> Result<Value> {
        loop {
            let push = self.push().await?;
            if let Some(close) = push.get("close") {
                bail!("closed: {close}");
            }
            if push.get("pub").is_some() {
                return Ok(push);
            }
        }
    }

    /// A publication that has arrived already, if there is one.
    pub fn publication_now(&mut self) -> Option<Value> {
        std::iter::from_fn(|| self.pushes.try_recv().ok()).find(|push| push.get("pub").is_some())
    }

    /// The next push, or the close.
    pub async fn push(&mut self) -> Result<Value> {
        let push =
            tokio::time::timeout(Duration::from_secs(60), self.pushes.recv()).await.context("no push in 60 s")?;
        push.context("the link was lost")
    }

    /// The code with which the hub closed this session; pushes before it are passed over.
    pub async fn close_code(&mut self) -> Result<u64> {
        loop {
            if let Some(close) = self.push().await?.get("close") {
                return close["code"].as_u64().context("a close has a code");
            }
        }
    }
}

/// Says `message N` in `room` for each N, many at once, each under a key of its own; every one must get its receipt.
pub async fn say_many(client: &Client, room: &str, numbers: std::ops::RangeInclusive<u64>) -> Result<()> {
    let mut waiting = std::collections::VecDeque::new();
    for n in numbers {
        let draft = json!({"room": room, "key": format!("many-{n}"), "body": {"text": format!("message {n}")}});
        waiting.push_back(client.begin_rpc("send", draft));
        if waiting.len() >= 32
            && let Some(oldest) = waiting.pop_front()
        {
            oldest.await?.map_err(|refusal| anyhow!("refused: {refusal}"))?;
        }
    }
    for answer in waiting {
        answer.await?.map_err(|refusal| anyhow!("refused: {refusal}"))?;
    }
    Ok(())
}

fn hear(line: &str, pong: &mpsc::UnboundedSender<Message>, waiting: &Waiting, push: &mpsc::UnboundedSender<Value>) {
    let Ok(mut reply) = serde_json::from_str::<Value>(line) else { return };
    if let Some(id) = reply.get("id").and_then(Value::as_u64) {
        if let Some(answer) = waiting.lock().unwrap().remove(&(id as u32)) {
            let _ = answer.send(reply);
        }
    } else if let Some(event) = reply.get_mut("push") {
        let _ = push.send(event.take());
    } else {
        let _ = pong.send(Message::text("{}"));
    }
}
