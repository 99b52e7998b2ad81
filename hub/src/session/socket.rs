//! The WebSocket under a session. Only this file knows tungstenite's protocol types.

use super::link::{Gone, Incoming, Link};
use crate::outbox::Frame;
use confab_protocol::Close;
use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::protocol::frame::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::{Message, Role, WebSocketConfig};

/// A kilobyte or two is one read of chat. tungstenite's own default is 128 KiB, allocated at once for each socket; and it
/// clears as much before each read, also before one that finds nothing.
const READ_BUFFER: usize = 2 * 1024;
/// Frames gather here until the flush: sixteen of chat leave in one write. An idle socket holds none of it.
const WRITE_BUFFER: usize = 8 * 1024;
/// How long the client may take to answer our close frame.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// A WebSocket that came in through the public port.
pub type Wire = Socket<TokioIo<Upgraded>>;

/// One WebSocket, after the handshake.
pub struct Socket<S> {
    stream: WebSocketStream<S>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Socket<S> {
    /// Takes over a link whose handshake is done. Frames larger than `frame_max` bytes close it.
    pub async fn new(link: S, frame_max: usize) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(WRITE_BUFFER)
            .max_write_buffer_size(usize::MAX) // the outbox bounds what is fed; one flush is at most its share
            .max_message_size(Some(frame_max))
            .max_frame_size(Some(frame_max));
        Self { stream: WebSocketStream::from_raw_socket(link, Role::Server, Some(config)).await }
    }

    /// Queues one frame for the next flush. Dropping the future before it is ready queues nothing.
    pub async fn feed(&mut self, frame: Frame) -> Result<(), Gone> {
        let message = match frame {
            Frame::Text(text) => Message::Text(text),
            Frame::Binary(bytes) => Message::Binary(bytes),
        };
        self.stream.feed(message).await.map_err(|_| Gone)
    }

    /// Lets the library's answer to the client's close frame leave; then the stream ends.
    async fn answer_close(&mut self) {
        let answer = async { while let Some(Ok(_)) = self.stream.next().await {} };
        let _ = timeout(CLOSE_TIMEOUT, answer).await; // a client that does not read it learns the end from the link
    }

    /// Sends what is queued.
    pub async fn flush(&mut self) -> Result<(), Gone> {
        self.stream.flush().await.map_err(|_| Gone)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Link for Socket<S> {
    /// WebSocket's own pings are answered by the library.
    async fn next(&mut self) -> Incoming {
        loop {
            return match self.stream.next().await {
                Some(Ok(Message::Text(text))) => Incoming::Frame(Frame::Text(text)),
                Some(Ok(Message::Binary(bytes))) => Incoming::Frame(Frame::Binary(bytes)),
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => continue,
                Some(Ok(Message::Close(_))) => {
                    self.answer_close().await;
                    Incoming::Gone
                }
                None => Incoming::Gone,
                Some(Err(Error::Capacity(_))) => Incoming::Broken(Close::TooLarge),
                Some(Err(Error::Protocol(_) | Error::Utf8(_))) => Incoming::Broken(Close::BadRequest),
                Some(Err(_)) => Incoming::Gone,
            };
        }
    }

    async fn send(&mut self, frames: Vec<Frame>) -> Result<(), Gone> {
        for frame in frames {
            self.feed(frame).await?;
        }
        self.flush().await
    }

    async fn close(&mut self, close: Close) {
        let frame = CloseFrame { code: close.code().into(), reason: close.reason().into() };
        let farewell = async {
            self.stream.close(Some(frame)).await?;
            while let Some(message) = self.stream.next().await {
                message?;
            }
            Ok::<_, Error>(())
        };
        // Whether it was heard changes nothing: the link ends now.
        let _ = timeout(CLOSE_TIMEOUT, farewell).await;
    }
}
