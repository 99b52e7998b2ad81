//! From a server's name to its addresses, every one of which must be one that may be reached.
//!
//! The connection goes to an address that came from here, so nobody can answer with one address when asked whether it may be
//! reached, and with another when it is.

use super::request::may_be_reached;
use futures_util::future::BoxFuture;
use hyper_util::client::legacy::connect::dns::Name;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::Semaphore;
use tower::Service;

/// How many look-ups of one plugin may be under way: the system's own cannot be stopped, only waited for.
const LOOKUPS_MAX: usize = 4;

/// How a name is looked up; may block.
pub type Lookup = dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync;

/// Asks the system.
pub fn system(name: &str) -> io::Result<Vec<IpAddr>> {
    Ok((name, 0).to_socket_addrs()?.map(|address| address.ip()).collect())
}

/// Looks names up for one plugin. Cheap to clone.
#[derive(Clone)]
pub struct Resolver {
    lookup: Arc<Lookup>,
    permits: Arc<Semaphore>,
    private: bool,
}

/// Why a name leads nowhere.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It leads to an address that may not be reached.
    #[error("it resolves to {0}, which is no public address")]
    Forbidden(IpAddr),
    /// It leads to nothing.
    #[error("it resolves to nothing")]
    Nothing,
    /// It could not be looked up.
    #[error("could not look it up")]
    Lookup(#[source] io::Error),
    /// The hub is ending.
    #[error("the hub is ending")]
    Ending,
}

impl Resolver {
    /// For a plugin that may, or may not, reach what is private.
    pub fn new(lookup: Arc<Lookup>, private: bool) -> Self {
        Self { lookup, permits: Arc::new(Semaphore::new(LOOKUPS_MAX)), private }
    }

    async fn resolve(self, name: Name) -> Result<std::vec::IntoIter<SocketAddr>, Error> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|_| Error::Ending)?;
        let looking = tokio::task::spawn_blocking(move || {
            // Held until the look-up is over, even if nobody waits for it any more.
            let _permit = permit;
            (self.lookup)(name.as_str())
        });
        let found = looking.await.map_err(|_| Error::Ending)?.map_err(Error::Lookup)?;
        match found.iter().find(|address| !may_be_reached(**address, self.private)) {
            Some(forbidden) => Err(Error::Forbidden(*forbidden)),
            None if found.is_empty() => Err(Error::Nothing),
            // The port is the caller's to set.
            None => Ok(found.into_iter().map(|address| SocketAddr::new(address, 0)).collect::<Vec<_>>().into_iter()),
        }
    }
}

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = Error;
    type Future = BoxFuture<'static, Result<Self::Response, Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        Box::pin(self.clone().resolve(name))
    }
}
