//! A link with a tail: bytes that leave before anything that is written next.
//!
//! Two write to a socket: tungstenite, which answers pings and closes, and the hub. Neither may come between the bytes of
//! the other's frame, whenever the link takes only a part.

use std::io::{Error, ErrorKind, Result};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The link, and what must leave first.
pub struct Tail<S> {
    link: S,
    bytes: Vec<u8>,
    /// How many of them have left.
    left: usize,
    /// The link took a part of what was written last.
    mid_frame: bool,
}

impl<S> Tail<S> {
    /// A link with nothing to say yet.
    pub fn new(link: S) -> Self {
        Self { link, bytes: Vec::new(), left: 0, mid_frame: false }
    }

    /// Whether a frame of whoever writes through this has left in part: then nothing may be appended.
    pub fn mid_frame(&self) -> bool {
        self.mid_frame
    }

    /// Appends what `write` writes, at most `bytes`. It leaves with the next write or flush.
    pub fn append(&mut self, bytes: usize, write: impl FnOnce(&mut Vec<u8>)) {
        debug_assert!(!self.mid_frame, "bytes would come between the halves of a frame");
        self.bytes.reserve(bytes);
        write(&mut self.bytes);
    }
}

impl<S: AsyncWrite + Unpin> Tail<S> {
    /// Lets the tail leave. Once it has, it takes no memory.
    fn poll_leave(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        while self.left < self.bytes.len() {
            match ready!(Pin::new(&mut self.link).poll_write(cx, &self.bytes[self.left..]))? {
                0 => return Poll::Ready(Err(Error::from(ErrorKind::WriteZero))),
                count => self.left += count,
            }
        }
        (self.bytes, self.left) = (Vec::new(), 0);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Tail<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.link).poll_read(cx, into)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Tail<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, frame: &[u8]) -> Poll<Result<usize>> {
        ready!(self.poll_leave(cx))?;
        let count = ready!(Pin::new(&mut self.link).poll_write(cx, frame))?;
        self.mid_frame = count < frame.len();
        Poll::Ready(Ok(count))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        ready!(self.poll_leave(cx))?;
        Pin::new(&mut self.link).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        ready!(self.poll_leave(cx))?;
        Pin::new(&mut self.link).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::poll;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn what_was_appended_leaves_first_and_takes_no_memory_afterwards() {
        let (link, mut client) = tokio::io::duplex(64);
        let mut tail = Tail::new(link);
        tail.append(3, |out| out.extend(b"one"));
        tail.append(3, |out| out.extend(b"two"));
        tail.write_all(b"pong").await.unwrap();
        assert_eq!(tail.bytes.capacity(), 0);
        let mut heard = [0; 10];
        client.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"onetwopong");
    }

    #[tokio::test]
    async fn a_link_that_takes_little_at_a_time_gets_every_byte_once() {
        let (link, mut client) = tokio::io::duplex(4);
        let mut tail = Tail::new(link);
        tail.append(10, |out| out.extend(b"0123456789"));
        assert!(poll!(std::pin::pin!(tail.flush())).is_pending(), "the client reads nothing");
        let mut heard = [0; 10];
        let (flushed, read) = tokio::join!(tail.flush(), client.read_exact(&mut heard));
        flushed.and(read).unwrap();
        assert_eq!(&heard, b"0123456789");
    }

    #[tokio::test]
    async fn half_an_answer_is_told() {
        let (link, mut client) = tokio::io::duplex(4);
        let mut tail = Tail::new(link);
        assert_eq!(tail.write(b"pong!").await.unwrap(), 4);
        assert!(tail.mid_frame());
        let mut heard = [0; 5];
        let (wrote, read) = tokio::join!(tail.write(b"!"), client.read_exact(&mut heard));
        wrote.and(read).unwrap();
        assert!(!tail.mid_frame());
        assert_eq!(&heard, b"pong!");
    }
}
