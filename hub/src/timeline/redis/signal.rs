//! Signals over Redis: those for a room on the room's own channel, all others on one that every hub hears.
//!
//! A relayed signal is [`MARK`] and the signal's JSON. None of this is fenced: a signal has no place in any order.

use super::super::Error;
use super::Redis;
use super::failure::failed;
use super::fence::Fence;
use confab_protocol::Signal;
use confab_protocol::signal::{SIGNAL_BYTES_MAX, To};
use redis::Cmd;
use std::sync::Arc;

/// What a relayed signal begins with; a relayed event begins with a number. Hubs from before there were signals took what begins so
/// for something of the moment that they could not read, and went on.
pub(super) const MARK: u8 = b'~';

impl Redis {
    pub(in crate::timeline) async fn tell(&self, signal: &Signal) -> Result<(), Error> {
        let fence = self.fence()?;
        let slot = fence.primaries.slot(&self.channel(&signal.to));
        fence.primaries.send(slot, &[self.publishing(signal)?]).await.map_err(|error| failed(&error))
    }

    /// What tells it to every hub that it is for.
    pub(super) fn publishing(&self, signal: &Signal) -> Result<Cmd, Error> {
        let json = signal.to_json();
        if json.len() > SIGNAL_BYTES_MAX {
            let kind = signal.what.kind();
            let bytes = json.len();
            return Err(Error::Refused(format!(
                "a signal `{kind}` has {bytes} bytes, and at most {SIGNAL_BYTES_MAX} are told"
            )));
        }
        let mut tell = redis::cmd("SPUBLISH");
        tell.arg(self.channel(&signal.to)).arg([&[MARK], json.as_bytes()].concat());
        Ok(tell)
    }

    fn channel(&self, to: &To) -> String {
        match to {
            To::Room(room) => self.inner.keys.relay(room),
            To::User(_) | To::Hubs => self.inner.keys.hubs(),
        }
    }

    pub(super) fn fence(&self) -> Result<Arc<Fence>, Error> {
        self.inner.client.standing().ok_or_else(|| Error::Unavailable("redis is unavailable".into()))
    }
}
