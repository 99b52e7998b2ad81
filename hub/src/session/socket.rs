//! The WebSocket under a session. Only this file knows tungstenite's protocol types.

mod tail;

use super::link::{Gone, Incoming, Link};
use crate::outbox::Frame;
use crate::pace::{Pace, Rate};
use confab_protocol::Close;
use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use std::time::Duration;
use tail::Tail;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::{Error, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{CloseFrame, FrameHeader};
use tokio_tungstenite::tungstenite::protocol::{Message, Role, WebSocketConfig};

/// A kilobyte or two is one read of chat. tungstenite's own default is 128 KiB, allocated at once for each socket; and it
/// clears as much before each read, also before one that finds nothing.
const READ_BUFFER: usize = 2 * 1024;
/// The most bytes of pongs that wait for a client that does not read. Past it the newest pong takes the place of the one
/// before it, as RFC 6455 §5.5.3 allows.
const PONGS_MAX: usize = 4 * 1024;
/// How often a client may ping, or pong. Clients ping once in some seconds; a test of theirs may send a hundred in a row.
const CONTROL_RATE: Rate = Rate { each: Duration::from_millis(10), burst: 512 };
/// How long the client may take to answer our close frame.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a client that is sending more than we read may pause before we take it that it has stopped.
const DISCARD_QUIET: Duration = Duration::from_millis(250);
/// The most that is read of what is too large, so that the client hears why: more than anybody sends in one message by mistake, and
/// no flood. Nothing of it is kept.
pub const DISCARD_BYTES_MAX: usize = 16 * 1024 * 1024;
/// The longest header of a frame that is not masked (RFC 6455 §5.2).
const HEADER_MAX: usize = 10;
/// A message of up to so many times the limit is read, so that its commands can be refused one by one.
pub const READ_FACTOR: usize = 2;

/// A WebSocket that came in through the public port.
pub type Wire = Socket<TokioIo<Upgraded>>;

/// One WebSocket, after the handshake.
///
/// tungstenite reads, and answers pings and closes. What the hub has to say is put together here, all that leaves in one
/// flush, and written at once: tungstenite would keep as much memory as its largest flush took, for each socket, for good.
pub struct Socket<S> {
    stream: WebSocketStream<Tail<S>>,
    frame_max: usize,
    control: Pace,
    /// The client broke the protocol or a bound: nothing more is read from it as frames.
    broken: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Socket<S> {
    /// Takes over a link whose handshake is done. Messages larger than `frame_max` bytes are [`Incoming::Oversized`]; those
    /// of more than [`READ_FACTOR`] times as much close it.
    pub async fn new(link: S, frame_max: usize) -> Self {
        let read_max = Some(frame_max.saturating_mul(READ_FACTOR));
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(0) // only answers to pings and closes pass through it
            .max_write_buffer_size(PONGS_MAX)
            .max_message_size(read_max)
            .max_frame_size(read_max);
        let stream = WebSocketStream::from_raw_socket(Tail::new(link), Role::Server, Some(config)).await;
        Self { stream, frame_max, control: Pace::default(), broken: false }
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

    fn frame(&self, frame: Frame) -> Incoming {
        if frame.len() > self.frame_max { Incoming::Oversized(frame) } else { Incoming::Frame(frame) }
    }

    fn broken(&mut self, close: Close) -> Incoming {
        self.broken = true;
        Incoming::Broken(close)
    }

    fn failed(&mut self, error: &Error) -> Incoming {
        match error {
            Error::Capacity(_) => self.broken(Close::WebSocketTooLarge),
            Error::Utf8(_) => self.broken(Close::WebSocketText),
            Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Incoming::Gone,
            Error::Protocol(_) => self.broken(Close::WebSocketProtocol),
            _ => Incoming::Gone,
        }
    }

    /// Ends our side and reads past what the client is still sending: a link that is closed over bytes that nobody read is
    /// reset, and our close frame may be lost with it. A client that does not stop is reset all the same.
    async fn discard(&mut self) -> std::io::Result<()> {
        let mut bytes = [0; READ_BUFFER];
        let mut left = DISCARD_BYTES_MAX;
        self.stream.get_mut().shutdown().await?;
        while let Ok(Ok(read @ 1..)) = timeout(DISCARD_QUIET, self.stream.get_mut().read(&mut bytes)).await
            && left > 0
        {
            left = left.saturating_sub(read);
        }
        Ok(())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Link for Socket<S> {
    /// WebSocket's own pings are answered by the library.
    async fn next(&mut self) -> Incoming {
        match self.stream.next().await {
            Some(Ok(Message::Text(text))) => self.frame(Frame::Text(text)),
            Some(Ok(Message::Binary(bytes))) => self.frame(Frame::Binary(bytes)),
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {
                if self.control.take(CONTROL_RATE, Instant::now()).is_ok() {
                    Incoming::Control
                } else {
                    self.broken(Close::WebSocketControlFlood)
                }
            }
            Some(Ok(Message::Close(_))) => {
                self.answer_close().await;
                Incoming::Gone
            }
            None => Incoming::Gone,
            Some(Err(error)) => self.failed(&error),
        }
    }

    async fn send(&mut self, frames: Vec<Frame>) -> Result<(), Gone> {
        self.feed(&frames).await?;
        drop(frames); // they are copied, and a client that does not read may hold the flush for long
        self.flush().await
    }

    async fn close(&mut self, close: Close) {
        let frame = CloseFrame { code: close.code().into(), reason: close.reason().into() };
        let closing = async {
            self.stream.flush().await?; // what waits may leave no room for the close
            self.stream.close(Some(frame)).await?;
            if self.broken {
                self.discard().await?;
                return Ok(());
            }
            while let Some(message) = self.stream.next().await {
                message?;
            }
            Ok::<_, Error>(())
        };
        // Whether it was heard changes nothing: the link ends now.
        let _ = timeout(CLOSE_TIMEOUT, closing).await;
    }
}
