//! A connection's clocks: how long it may idle between two requests, how long a request's head may take, and how long a
//! client may leave unread what it is sent.
//!
//! hyper has one time-out for the first two; a balancer keeps idle connections for a minute, and a head that takes as long is
//! an attack. hyper's must be set all the same: only then does it read on when an answer has been sent, which starts ours.

use axum::body::{Body, Bytes, HttpBody};
use axum::http::{Response, StatusCode};
use http_body::{Frame, SizeHint};
use std::future::Future;
use std::io::{Error, ErrorKind, Result};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// How long a connection may be in each state.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// Between two requests.
    pub idle: Duration,
    /// From the first byte of a request to the end of its head.
    pub head: Duration,
    /// Without the client taking anything of what it is sent.
    pub write: Duration,
}

/// What a connection is doing, as its requests know it.
#[derive(Clone, Debug, Default)]
pub struct Requests(Arc<AtomicU64>);

/// It has become something else: it has no clock any more.
const UPGRADED: u64 = u64::MAX;

impl Requests {
    /// A request's head is there.
    pub fn begin(&self) -> Underway {
        self.0.fetch_add(1, Ordering::Relaxed);
        Underway(self.clone())
    }

    /// Even while it idles, another number each time.
    fn now(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A request under way, until its answer has been sent.
pub struct Underway(Requests);

impl Underway {
    /// The request lasts until this has been sent.
    pub fn until_sent(self, response: Response<Body>) -> Response<Body> {
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            self.0.0.store(UPGRADED, Ordering::Relaxed);
        }
        response.map(|body| Body::new(Sending { body, _underway: self }))
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        let ended = |now: u64| (now != UPGRADED).then(|| now + 1);
        let _ = self.0.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, ended); // one that was upgraded stays so
    }
}

struct Sending {
    body: Body,
    _underway: Underway,
}

impl HttpBody for Sending {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A link with clocks.
pub struct Timed<S> {
    link: S,
    requests: Requests,
    timeouts: Timeouts,
    /// Runs while the link idles or brings a head: which, and since which request.
    reading: Option<(u64, Stage, Pin<Box<Sleep>>)>,
    /// Runs while the client takes nothing.
    writing: Option<Pin<Box<Sleep>>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Idle,
    Head,
}

impl<S> Timed<S> {
    /// A link that is about to bring its first request.
    pub fn new(link: S, requests: Requests, timeouts: Timeouts) -> Self {
        Self { link, requests, timeouts, reading: None, writing: None }
    }

    fn read_clock(&mut self, came: bool, cx: &mut Context<'_>) -> Result<()> {
        let now = self.requests.now();
        if now % 2 == 1 {
            self.reading = None; // a request is under way, or the link has become something else
            return Ok(());
        }
        let stage = match &self.reading {
            Some((since, Stage::Head, _)) if *since == now => Stage::Head,
            _ if came => Stage::Head,
            _ => Stage::Idle,
        };
        if !self.reading.as_ref().is_some_and(|(since, was, _)| (*since, *was) == (now, stage)) {
            let wait = if stage == Stage::Head { self.timeouts.head } else { self.timeouts.idle };
            self.reading = Some((now, stage, Box::pin(tokio::time::sleep(wait))));
        }
        let Some((_, _, sleep)) = &mut self.reading else { return Ok(()) };
        let over = if came { sleep.deadline() <= Instant::now() } else { sleep.as_mut().poll(cx).is_ready() };
        if over { Err(ErrorKind::TimedOut.into()) } else { Ok(()) }
    }

    fn write_clock<T>(&mut self, written: Poll<Result<T>>, cx: &mut Context<'_>) -> Poll<Result<T>> {
        if written.is_ready() || self.requests.now() == UPGRADED {
            self.writing = None;
            return written;
        }
        let write = self.timeouts.write;
        let sleep = self.writing.get_or_insert_with(|| Box::pin(tokio::time::sleep(write)));
        match sleep.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(Error::from(ErrorKind::TimedOut))),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Timed<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        let before = into.filled().len();
        let read = Pin::new(&mut self.link).poll_read(cx, into);
        match &read {
            Poll::Ready(Ok(())) if into.filled().len() == before => {} // the end
            Poll::Ready(Err(_)) => {}
            Poll::Ready(Ok(())) => self.read_clock(true, cx)?,
            Poll::Pending => self.read_clock(false, cx)?,
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Timed<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        let written = Pin::new(&mut self.link).poll_write(cx, bytes);
        self.write_clock(written, cx)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let flushed = Pin::new(&mut self.link).poll_flush(cx);
        self.write_clock(flushed, cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.link).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[std::io::IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        let written = Pin::new(&mut self.link).poll_write_vectored(cx, parts);
        self.write_clock(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.link.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::poll;
    use std::pin::pin;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    const SOON: Duration = Duration::from_millis(1);
    const NEVER: Duration = Duration::from_secs(3600);

    fn link(idle: Duration, head: Duration) -> (Timed<DuplexStream>, DuplexStream, Requests) {
        let (link, client) = duplex(8);
        let requests = Requests::default();
        (Timed::new(link, requests.clone(), Timeouts { idle, head, write: SOON }), client, requests)
    }

    async fn is_cut(link: &mut Timed<DuplexStream>) -> bool {
        link.read_u8().await.is_err_and(|error| error.kind() == ErrorKind::TimedOut)
    }

    #[tokio::test]
    async fn a_head_has_its_own_time_and_so_has_what_comes_between_two() {
        let (mut slow, mut client, _requests) = link(NEVER, SOON);
        client.write_all(b"G").await.unwrap();
        slow.read_u8().await.unwrap();
        assert!(is_cut(&mut slow).await, "a head that does not end");
        let (mut idle, mut client, requests) = link(SOON, NEVER);
        client.write_all(b"G").await.unwrap();
        idle.read_u8().await.unwrap();
        drop(requests.begin());
        assert!(is_cut(&mut idle).await, "it idles after its request");
    }

    #[tokio::test]
    async fn a_head_that_comes_byte_by_byte_gets_no_more_time() {
        let (mut slow, mut client, _requests) = link(NEVER, Duration::from_millis(20));
        while client.write_all(b"a").await.is_ok() && slow.read_u8().await.is_ok() {
            tokio::time::sleep(SOON).await; // the client's, not the test's: it ends when the link is cut
        }
        assert!(is_cut(&mut slow).await);
    }

    #[tokio::test]
    async fn nothing_is_timed_while_a_request_is_under_way_or_once_it_is_a_websocket() {
        let (mut link, mut client, requests) = link(SOON, SOON);
        let underway = requests.begin();
        {
            let mut reading = pin!(link.read_u8());
            assert!(poll!(reading.as_mut()).is_pending());
        }
        assert!(link.reading.is_none(), "no clock runs");
        let switching = Response::builder().status(StatusCode::SWITCHING_PROTOCOLS).body(Body::empty()).unwrap();
        drop(underway.until_sent(switching));
        client.write_all(b"a").await.unwrap();
        link.read_u8().await.unwrap();
        {
            let mut reading = pin!(link.read_u8());
            assert!(poll!(reading.as_mut()).is_pending());
        }
        assert!(link.reading.is_none());
    }

    #[tokio::test]
    async fn a_client_that_takes_nothing_of_an_answer_is_cut() {
        let (mut link, mut client, _requests) = link(NEVER, NEVER);
        let error = link.write_all(&[7; 100]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert_eq!(client.read_u8().await.unwrap(), 7);
    }
}
