//! What a session needs of whatever carries its frames: a WebSocket, or polling.

use crate::outbox::Frame;
use confab_protocol::Close;

/// What came in.
#[derive(Debug)]
pub enum Incoming {
    /// A frame.
    Frame(Frame),
    /// A frame that is larger than may be, and not too large to refuse what it asks for.
    Oversized(Frame),
    /// Something of the link's own, such as a ping of WebSocket: answered already, and to be counted as a frame.
    Control,
    /// The client broke the protocol or a limit: this is why it is closed.
    Broken(Close),
    /// The client closed, or the link is gone.
    Gone,
}

/// The link is gone: nothing more can be sent.
#[derive(Debug, thiserror::Error)]
#[error("the link is gone")]
pub struct Gone;

/// A link to one client. A session owns it and is the only one to use it.
pub trait Link: Send {
    /// The next frame. Dropping the future loses nothing.
    fn next(&mut self) -> impl Future<Output = Incoming> + Send;

    /// Sends all of `frames`, then flushes once.
    fn send(&mut self, frames: Vec<Frame>) -> impl Future<Output = Result<(), Gone>> + Send;

    /// Says why the session ends, and waits a moment for the client to hear it.
    fn close(&mut self, close: Close) -> impl Future<Output = ()> + Send;
}
