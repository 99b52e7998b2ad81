//! The floor: a bare WebSocket server that is used well. It knows rooms and the letters j, p and a; it parses nothing
//! else, judges nothing, keeps nothing. Whatever a real server does comes on top of this.

use crate::rows::{Keeper, Kept};
use anyhow::{Context, Result};
use futures_util::{FutureExt, SinkExt, StreamExt};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast::{self, Receiver, Sender};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Bytes, Utf8Bytes};
use tokio_tungstenite::{WebSocketStream, accept_async_with_config};

/// The library's own default is 128 KiB, for each connection.
const BUFFER: usize = 4096;
/// The most messages that may wait for a connection.
const QUEUE: usize = 1024;

type Rooms = Arc<Mutex<HashMap<String, Sender<Utf8Bytes>>>>;

/// Serves for ever. With a keeper each message is kept before anyone hears it.
pub async fn serve(listener: TcpListener, keeper: Option<Keeper>) -> Result<()> {
    let rooms = Rooms::default();
    loop {
        let (stream, _) = listener.accept().await?;
        let (rooms, keeper) = (rooms.clone(), keeper.clone());
        tokio::spawn(async move {
            // A client that is gone is no news.
            let _ = Connection::live(stream, rooms, keeper).await;
        });
    }
}

struct Connection {
    socket: WebSocketStream<TcpStream>,
    rooms: Rooms,
    room: Option<Receiver<Utf8Bytes>>,
    /// Where messages are kept, and how the keeper answers.
    keeper: Option<Keeper>,
    answers: (UnboundedSender<Utf8Bytes>, UnboundedReceiver<Utf8Bytes>),
}

impl Connection {
    async fn live(stream: TcpStream, rooms: Rooms, keeper: Option<Keeper>) -> Result<()> {
        stream.set_nodelay(true)?;
        let config = WebSocketConfig::default().read_buffer_size(BUFFER).write_buffer_size(BUFFER);
        let socket = accept_async_with_config(stream, Some(config)).await?;
        let mut own = Self { socket, rooms, room: None, keeper, answers: mpsc::unbounded_channel() };
        loop {
            let (socket, room, (_, answers)) = (&mut own.socket, &mut own.room, &mut own.answers);
            tokio::select! {
                message = socket.next() => {
                    let Some(message) = message else { return Ok(()) };
                    own.command(message?).await?;
                    // All that has come is done before anything leaves.
                    while let Some(message) = own.socket.next().now_or_never() {
                        let Some(message) = message else { return Ok(()) };
                        own.command(message?).await?;
                    }
                }
                text = next(room) => own.socket.feed(Message::Text(text?)).await?,
                Some(text) = answers.recv() => own.socket.feed(Message::Text(text)).await?,
            }
            while let Ok(text) = own.answers.1.try_recv() {
                own.socket.feed(Message::Text(text)).await?;
            }
            while let Some(Ok(text)) = own.room.as_mut().map(Receiver::try_recv) {
                own.socket.feed(Message::Text(text)).await?;
            }
            own.socket.flush().await?;
        }
    }

    fn enter(&self, room: &str) -> Receiver<Utf8Bytes> {
        self.rooms.lock().entry(room.to_owned()).or_insert_with(|| broadcast::channel(QUEUE).0).subscribe()
    }

    async fn command(&mut self, message: Message) -> Result<()> {
        let Message::Text(text) = message else { return Ok(()) };
        if let Some(room) = text.strip_prefix("j ") {
            self.room = Some(self.enter(room));
            self.socket.feed(Message::text("j")).await?;
        } else if let Some((number, room, body)) = sent(&text) {
            let sender = self.rooms.lock().get(room).cloned();
            let from = text.len() - body.len();
            let body = Utf8Bytes::try_from(Bytes::from(text.clone()).slice(from..))?;
            let answer = Utf8Bytes::from(format!("a{number}"));
            if let Some(keeper) = &self.keeper {
                let told = (answer, self.answers.0.clone());
                let kept = Kept { room: room.to_owned(), body, heard: sender, told };
                return keeper.send(kept).await.ok().context("the keeper has ended");
            }
            if let Some(sender) = sender {
                let _ = sender.send(body); // a room that nobody listens to any more
            }
            self.socket.feed(Message::Text(answer)).await?;
        }
        Ok(())
    }
}

/// Number, room and body of a message.
fn sent(text: &str) -> Option<(&str, &str, &str)> {
    let (number, rest) = text.strip_prefix("p ")?.split_once(' ')?;
    let (room, body) = rest.split_once(' ')?;
    Some((number, room, body))
}

async fn next(room: &mut Option<Receiver<Utf8Bytes>>) -> Result<Utf8Bytes> {
    match room {
        Some(room) => Ok(room.recv().await?), // who is too slow is cut
        None => std::future::pending().await,
    }
}
