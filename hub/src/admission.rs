//! Who may come in at the public port: how many, from one address and at all, before they have said who they are and after.

mod addresses;
mod proxies;
mod refused;

pub use addresses::{Addresses, Connection};
pub use proxies::Proxies;
pub use refused::Refused;

use addresses::Link;
use confab_config::Limits;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Room for clients. Those that have not said who they are have room of their own, by what carries them, so that they can
/// keep nobody out who has, or who comes in another way.
pub struct Admissions {
    sessions: Arc<Semaphore>,
    websockets: Arc<Semaphore>,
    polling: Arc<Semaphore>,
    /// How much each address takes.
    pub addresses: Arc<Addresses>,
}

/// What carries a client at the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// A WebSocket.
    WebSocket,
    /// Requests, one after another.
    Polling,
}

/// Why there is no room for another client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    /// The hub has as many sessions as it may.
    #[error("session limit reached")]
    Sessions,
    /// As many have not said who they are as may.
    #[error("limit of clients without `connect` reached")]
    Unconnected,
    /// This address has as many clients as it may.
    #[error("connection limit of the address reached")]
    Address,
    /// This address comes too often.
    #[error("handshake rate of the address reached")]
    Rate(Duration),
}

impl Full {
    /// After how many seconds to try again.
    pub fn retry_after_s(self) -> u64 {
        match self {
            Self::Rate(wait) => wait.as_secs() + 1,
            Self::Sessions | Self::Unconnected => 2,
            Self::Address => 10,
        }
    }

    /// Whether the address itself is to blame, and not how many others there are.
    pub fn own_fault(self) -> bool {
        matches!(self, Self::Address | Self::Rate(_))
    }
}

impl Admissions {
    /// Room as the settings have it.
    pub fn new(limits: &Limits) -> Self {
        let room = |count| Arc::new(Semaphore::new(count));
        Self {
            sessions: room(limits.sessions),
            websockets: room(limits.unconnected),
            polling: room(limits.unconnected),
            addresses: Arc::new(Addresses::new(limits)),
        }
    }

    /// Room for a client from this address that has not said who it is.
    ///
    /// # Errors
    /// Which limit is reached.
    pub fn enter(&self, from: IpAddr, carrier: Carrier) -> Result<Admission, Full> {
        if self.sessions.available_permits() == 0 {
            return Err(Full::Sessions);
        }
        let link = self.addresses.link(from)?;
        let waiting = match carrier {
            Carrier::WebSocket => &self.websockets,
            Carrier::Polling => &self.polling,
        };
        let waiting = waiting.clone().try_acquire_owned().map_err(|_| Full::Unconnected)?;
        Ok(Admission { from, waiting: Some(waiting), session: None, sessions: self.sessions.clone(), link: Some(link) })
    }

    /// How many clients have not said who they are.
    pub fn unconnected(&self, limits: &Limits) -> usize {
        let taken = |room: &Semaphore| limits.unconnected.saturating_sub(room.available_permits());
        taken(&self.websockets) + taken(&self.polling)
    }
}

/// One client's room: given back when it is dropped.
pub struct Admission {
    /// Where the client is.
    pub from: IpAddr,
    waiting: Option<OwnedSemaphorePermit>,
    session: Option<OwnedSemaphorePermit>,
    sessions: Arc<Semaphore>,
    link: Option<Link>,
}

impl Admission {
    /// The client has said who it is: from now on it takes the room of a session.
    ///
    /// # Errors
    /// There is none.
    pub fn connected(&mut self) -> Result<(), Full> {
        if self.session.is_none() {
            self.session = Some(self.sessions.clone().try_acquire_owned().map_err(|_| Full::Sessions)?);
            self.waiting = None;
            if let Some(link) = &mut self.link {
                link.connected();
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn here() -> IpAddr {
        [127, 0, 0, 1].into()
    }

    #[test]
    fn clients_that_do_not_say_who_they_are_keep_nobody_out_who_comes_another_way_or_is_in() {
        let limits = Limits { sessions: 10, unconnected: 4, ..Limits::default() };
        let rooms = Admissions::new(&limits);
        let polling: Vec<_> = (0..4).map(|_| rooms.enter(here(), Carrier::Polling).unwrap()).collect();
        assert_eq!(rooms.enter(here(), Carrier::Polling).err(), Some(Full::Unconnected));
        let mut sessions: Vec<_> = (0..10)
            .map(|_| {
                let mut socket = rooms.enter(here(), Carrier::WebSocket).unwrap();
                socket.connected().unwrap();
                socket
            })
            .collect();
        assert_eq!(rooms.enter(here(), Carrier::WebSocket).err(), Some(Full::Sessions));
        drop(sessions.pop());
        assert!(rooms.enter(here(), Carrier::WebSocket).is_ok());
        assert_eq!(rooms.unconnected(&limits), 4);
        drop(polling);
        assert_eq!(rooms.unconnected(&limits), 0);
    }

    #[test]
    fn a_client_that_connects_when_the_last_session_has_been_taken_is_told() {
        let rooms = Admissions::new(&Limits { sessions: 1, ..Limits::default() });
        let (mut one, mut other) =
            (rooms.enter(here(), Carrier::WebSocket).unwrap(), rooms.enter(here(), Carrier::WebSocket).unwrap());
        assert_eq!((one.connected(), one.connected(), other.connected()), (Ok(()), Ok(()), Err(Full::Sessions)));
        drop(one);
        assert_eq!(other.connected(), Ok(()));
    }
}
