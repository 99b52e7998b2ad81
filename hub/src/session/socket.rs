//! The WebSocket under a session. Only this file knows tungstenite's protocol types.

mod tail;

use super::link::{Gone, Incoming, Link};
use crate::outbox::Frame;
use confab_protocol::Close;
use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use std::time::Duration;
use tail::Tail;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{CloseFrame, FrameHeader};
use tokio_tungstenite::tungstenite::protocol::{Message, Role, WebSocketConfig};

/// A kilobyte or two is one read of chat. tungstenite's own default is 128 KiB, allocated at once for each socket; and it
/// clears as much before each read, also before one that finds nothing.
const READ_BUFFER: usize = 2 * 1024;
/// How long the client may take to answer our close frame.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// The longest header of a frame that is not masked (RFC 6455 §5.2).
const HEADER_MAX: usize = 10;

/// A WebSocket that came in through the public port.
pub type Wire = Socket<TokioIo<Upgraded>>;

/// One WebSocket, after the handshake.
///
/// tungstenite reads, and answers pings and closes. What the hub has to say is put together here, all that leaves in one
/// flush, and written at once: tungstenite would keep as much memory as its largest flush took, for each socket, for good.
pub struct Socket<S> {
    stream: WebSocketStream<Tail<S>>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Socket<S> {
    /// Takes over a link whose handshake is done. Frames larger than `frame_max` bytes close it.
    pub async fn new(link: S, frame_max: usize) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(0) // only answers to pings and closes pass through it
            .max_message_size(Some(frame_max))
            .max_frame_size(Some(frame_max));
        Self { stream: WebSocketStream::from_raw_socket(Tail::new(link), Role::Server, Some(config)).await }
    }

    /// Queues frames for the next flush. Dropping the future before it is ready queues nothing.
    pub async fn feed(&mut self, frames: &[Frame]) -> Result<(), Gone> {
        if self.stream.get_ref().mid_frame() {
            self.flush().await?; // nothing may come between the halves of an answer
        }
        self.stream.get_mut().append(frames.iter().map(|frame| HEADER_MAX + frame.len()).sum(), |out| {
            for frame in frames {
                let (kind, payload) = match frame {
                    Frame::Text(text) => (Data::Text, text.as_bytes()),
                    Frame::Binary(bytes) => (Data::Binary, &bytes[..]),
                };
                let header = FrameHeader { opcode: OpCode::Data(kind), ..FrameHeader::default() };
                header.format(payload.len() as u64, out).expect("a vector takes everything");
                out.extend_from_slice(payload);
            }
        });
        Ok(())
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
        self.feed(&frames).await?;
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
