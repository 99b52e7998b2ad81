//! How much of the hub each address takes.

use super::Full;
use crate::pace::{Pace, Rate};
use confab_config::Limits;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// So many seconds' handshakes may come at once: everybody in an office comes back at the same time.
const BURST_S: u32 = 10;
/// When more addresses are known than this, those with nothing open are forgotten.
const KNOWN_MAX: usize = 16 * 1024;

/// What is known of the addresses that clients come from.
pub struct Addresses {
    connections_max: u32,
    /// The most clients of one address that have not said who they are.
    unconnected_max: u32,
    handshakes: Rate,
    known: Mutex<HashMap<IpAddr, Known>>,
}

#[derive(Default)]
struct Known {
    connections: u32,
    links: u32,
    unconnected: u32,
    pace: Pace,
}

impl Known {
    fn idle(&self, now: Instant) -> bool {
        self.connections == 0 && self.links == 0 && self.pace.idle(now)
    }
}

impl Addresses {
    /// Limits as the settings have them.
    pub fn new(limits: &Limits) -> Self {
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let handshakes = count(limits.handshakes_per_address).max(1);
        Self {
            connections_max: count(limits.connections_per_address),
            unconnected_max: count(limits.unconnected / 2).max(1),
            handshakes: Rate { each: Duration::from_secs(1) / handshakes, burst: handshakes.saturating_mul(BURST_S) },
            known: Mutex::default(),
        }
    }

    /// One more TCP connection, which is no WebSocket (yet). `None`: there are as many as may be.
    pub fn connect(self: &Arc<Self>, from: IpAddr) -> Option<Connection> {
        let address = network(from);
        self.with(address, Instant::now(), |known| {
            if known.connections >= self.connections_max {
                return None;
            }
            known.connections += 1;
            Some(Connection { addresses: self.clone(), address })
        })
    }

    /// One more client, whatever carries it.
    pub(super) fn link(self: &Arc<Self>, from: IpAddr) -> Result<Link, Full> {
        self.link_at(from, Instant::now())
    }

    fn link_at(self: &Arc<Self>, from: IpAddr, now: Instant) -> Result<Link, Full> {
        let address = network(from);
        // Whoever is on this machine is a proxy that nobody named, or the operator's own test.
        let unconnected_max = if from.is_loopback() { u32::MAX } else { self.unconnected_max };
        self.with(address, now, |known| {
            if known.links >= self.connections_max || known.unconnected >= unconnected_max {
                return Err(Full::Address);
            }
            known.pace.take(self.handshakes, now).map_err(Full::Rate)?;
            known.links += 1;
            known.unconnected += 1;
            Ok(Link { addresses: self.clone(), address, unconnected: true })
        })
    }

    fn with<T>(&self, address: IpAddr, now: Instant, change: impl FnOnce(&mut Known) -> T) -> T {
        let mut known = self.known.lock();
        if known.len() >= KNOWN_MAX && !known.contains_key(&address) {
            known.retain(|_, one| !one.idle(now));
        }
        if known.len() >= KNOWN_MAX {
            known.retain(|_, one| one.connections > 0 || one.links > 0); // their pace begins anew
        }
        change(known.entry(address).or_default())
    }

    fn give_back(&self, address: IpAddr, change: impl FnOnce(&mut Known)) {
        let mut known = self.known.lock();
        if let Some(one) = known.get_mut(&address) {
            change(one);
            if one.idle(Instant::now()) {
                known.remove(&address);
            }
        }
    }
}

/// What counts as one address: of IPv6, the network that a customer is given.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
        v4 => v4,
    }
}

/// A TCP connection, for as long as it is one.
pub struct Connection {
    addresses: Arc<Addresses>,
    address: IpAddr,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.addresses.give_back(self.address, |known| known.connections -= 1);
    }
}

/// A client, for as long as it is here.
pub(super) struct Link {
    addresses: Arc<Addresses>,
    address: IpAddr,
    unconnected: bool,
}

impl Link {
    /// It has said who it is.
    pub(super) fn connected(&mut self) {
        if std::mem::take(&mut self.unconnected) {
            self.addresses.give_back(self.address, |known| known.unconnected -= 1);
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.connected();
        self.addresses.give_back(self.address, |known| known.links -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(connections: usize, handshakes: usize) -> Arc<Addresses> {
        let limits = Limits {
            connections_per_address: connections,
            handshakes_per_address: handshakes,
            unconnected: 1000,
            ..Limits::default()
        };
        Arc::new(Addresses::new(&limits))
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn one_address_takes_no_more_than_its_share_and_others_do_not_notice() {
        let addresses = addresses(3, 1000);
        let here = address("192.0.2.1");
        let there = address("192.0.2.2");
        let mut held: Vec<_> = (0..3).map(|_| addresses.link(here).unwrap()).collect();
        assert_eq!(addresses.link(here).err(), Some(Full::Address));
        assert!(addresses.link(there).is_ok());
        held.pop();
        assert!(addresses.link(here).is_ok());
        let open: Vec<_> = (0..3).map(|_| addresses.connect(here)).collect();
        assert!(open.iter().all(Option::is_some) && addresses.connect(here).is_none(), "they are counted apart");
    }

    #[test]
    fn handshakes_of_one_address_have_a_rate_and_who_is_too_fast_is_told_when() {
        let addresses = addresses(1_000_000, 20);
        let now = Instant::now();
        let here = address("127.0.0.1");
        let held: Vec<_> = (0..500).filter_map(|_| addresses.link_at(here, now).ok()).collect();
        assert_eq!(held.len(), 200, "ten seconds' worth at once");
        let told = addresses.link_at(here, now).err();
        assert!(matches!(told, Some(Full::Rate(wait)) if wait == Duration::from_millis(50)), "{told:?}");
        let later = now + Duration::from_secs(1);
        assert_eq!((0..100).filter(|_| addresses.link_at(here, later).is_ok()).count(), 20);
    }

    #[test]
    fn the_addresses_of_one_customer_count_as_one_and_a_mapped_one_as_itself() {
        let addresses = addresses(1, 1000);
        let _one = addresses.link(address("2001:db8:1:2:3::4")).unwrap();
        assert!(addresses.link(address("2001:db8:1:2:ffff::1")).is_err());
        assert!(addresses.link(address("2001:db8:1:3::1")).is_ok());
        let _mapped = addresses.link(address("::ffff:192.0.2.7")).unwrap();
        assert!(addresses.link(address("192.0.2.7")).is_err());
    }

    #[test]
    fn only_half_of_the_room_for_clients_that_say_nothing_is_one_addresses() {
        let addresses = addresses(100_000, 100_000);
        let here = address("192.0.2.1");
        let mut held: Vec<_> = (0..500).map(|_| addresses.link(here).unwrap()).collect();
        assert_eq!(addresses.link(here).err(), Some(Full::Address));
        held[0].connected();
        assert!(addresses.link(here).is_ok());
    }

    #[test]
    fn what_is_known_of_addresses_is_bounded() {
        let addresses = addresses(100, 1);
        let held = addresses.link(address("198.51.100.1")).unwrap();
        for n in 0..3 * KNOWN_MAX as u32 {
            drop(addresses.link(IpAddr::from((n + 0x0a00_0000).to_be_bytes())));
        }
        assert!(addresses.known.lock().len() <= KNOWN_MAX);
        assert_eq!(addresses.known.lock().get(&address("198.51.100.1")).map(|known| known.links), Some(1));
        drop(held);
    }
}
