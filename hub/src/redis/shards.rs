//! Who serves what: one server everything, or each primary of a Redis Cluster its slots.

use super::connector::Address;
use redis::{ErrorKind, RedisError, ServerErrorKind};
use std::sync::atomic::{AtomicU16, Ordering};

/// How many slots a Redis Cluster has.
pub(crate) const SLOTS: u16 = 16_384;

/// The slot of a key or a relay channel: it follows from what stands between the first braces, if anything does.
pub(crate) fn slot(name: &str) -> u16 {
    let tag = name.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(tag, _)| tag);
    let hashed = tag.filter(|tag| !tag.is_empty()).unwrap_or(name);
    crc16::State::<crc16::XMODEM>::calculate(hashed.as_bytes()) % SLOTS
}

/// One thing for each server, and which server serves a slot at this moment.
pub(crate) struct Shards<T> {
    all: Vec<Shard<T>>,
    /// The index in `all` of each slot's server. Empty: there is one server, and it serves all of them.
    owners: Vec<AtomicU16>,
}

/// A server, as far as its address goes.
pub(crate) struct Shard<T> {
    /// Where it is, if sentinels or a cluster said so.
    pub(crate) at: Option<Address>,
    /// What there is for it.
    pub(crate) it: T,
}

/// Which primaries a cluster has, and which of them serves each slot, as one of its nodes sees it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Map {
    pub(crate) primaries: Vec<Address>,
    /// Indexes into `primaries`. A slot that nobody serves is asked for at the first, which says so.
    pub(crate) owners: Vec<u16>,
}

impl<T> Shards<T> {
    /// One server for everything.
    pub(crate) fn one(at: Option<Address>, it: T) -> Self {
        Self { all: vec![Shard { at, it }], owners: Vec::new() }
    }

    /// The primaries of a map, with one thing for each in their order.
    pub(crate) fn many(map: Map, things: Vec<T>) -> Self {
        let all = map.primaries.into_iter().zip(things).map(|(at, it)| Shard { at: Some(at), it });
        Self { all: all.collect(), owners: map.owners.into_iter().map(AtomicU16::new).collect() }
    }

    /// The same servers with other things.
    pub(crate) fn with<U>(self, things: Vec<U>) -> Shards<U> {
        let all = self.all.into_iter().zip(things).map(|(shard, it)| Shard { at: shard.at, it });
        Shards { all: all.collect(), owners: self.owners }
    }

    /// Whether this is a cluster.
    pub(crate) fn clustered(&self) -> bool {
        !self.owners.is_empty()
    }

    /// All of them, each once.
    pub(crate) fn all(&self) -> &[Shard<T>] {
        &self.all
    }

    /// The slot of a name, where that makes a difference.
    pub(crate) fn slot(&self, name: &str) -> u16 {
        if self.clustered() { slot(name) } else { 0 }
    }

    /// The index in [`Self::all`] of a slot's server.
    pub(crate) fn index(&self, slot: u16) -> usize {
        self.owners.get(usize::from(slot)).map_or(0, |owner| usize::from(owner.load(Ordering::Relaxed)))
    }

    /// A slot's server.
    pub(crate) fn of(&self, slot: u16) -> &Shard<T> {
        &self.all[self.index(slot)]
    }

    /// The server at an address, if it is one of these.
    pub(crate) fn at(&self, address: &Address) -> Option<&Shard<T>> {
        self.all.iter().find(|shard| shard.at.as_ref() == Some(address))
    }

    /// Notes that a slot is served somewhere else now. `false`: that server is none of these.
    pub(crate) fn moved(&self, slot: u16, to: &Address) -> bool {
        let Some(index) = self.all.iter().position(|shard| shard.at.as_ref() == Some(to)) else { return false };
        if let Some(owner) = self.owners.get(usize::from(slot)) {
            owner.store(index as u16, Ordering::Relaxed);
        }
        true
    }

    /// Takes over what a newer map says of every slot. `false`: it names other servers.
    pub(crate) fn follow(&self, map: &Map) -> bool {
        if map.primaries.len() != self.all.len() {
            return false; // one of them serves nothing any more
        }
        let indexes: Option<Vec<u16>> = map
            .primaries
            .iter()
            .map(|at| self.all.iter().position(|shard| shard.at.as_ref() == Some(at)).map(|index| index as u16))
            .collect();
        let Some(indexes) = indexes else { return false };
        for (owner, now) in self.owners.iter().zip(&map.owners) {
            owner.store(indexes[usize::from(*now)], Ordering::Relaxed);
        }
        true
    }
}

/// "Not here": where a server of a cluster sends whoever asks.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Redirect {
    pub(crate) to: Address,
    /// Only this one question belongs there: the slot is on its way.
    pub(crate) once: bool,
}

impl Redirect {
    /// What an error says of it, asked of the server at `asked`.
    pub(crate) fn of(error: &RedisError, asked: Option<&Address>) -> Option<Self> {
        let (to, _) = error.redirect_node()?;
        let (host, port) = to.rsplit_once(':')?;
        let host = if host.is_empty() { asked?.0.clone() } else { host.to_owned() };
        let once = error.kind() == ErrorKind::Server(ServerErrorKind::Ask);
        Some(Self { to: (host, port.parse().ok()?), once })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(port: u16) -> Address {
        ("127.0.0.1".into(), port)
    }

    fn two() -> Shards<char> {
        let owners = (0..SLOTS).map(|slot| u16::from(slot >= 100)).collect();
        Shards::many(Map { primaries: vec![at(1), at(2)], owners }, vec!['a', 'b'])
    }

    #[test]
    fn slots_are_those_of_redis() {
        // As `CLUSTER KEYSLOT` answers.
        for (name, expected) in [("123456789", 12_739), ("foo", 12_182), ("{}foo", 9_500), ("p{b17}:room:x{y}", 1_307)]
        {
            assert_eq!(slot(name), expected, "{name}");
        }
        assert_eq!(slot("p{b17}:room:x"), slot("{b17}"));
    }

    #[test]
    fn one_server_serves_everything_and_no_slot_is_looked_up() {
        let one = Shards::one(None, 'a');
        assert_eq!((one.slot("x"), one.of(9_999).it, one.clustered()), (0, 'a', false));
    }

    #[test]
    fn a_slot_that_moves_among_known_servers_is_followed() {
        let two = two();
        assert_eq!((two.of(99).it, two.of(100).it), ('a', 'b'));
        assert!(two.moved(99, &at(2)));
        assert!(!two.moved(98, &at(3)), "nobody knows that server");
        assert_eq!((two.of(99).it, two.of(98).it), ('b', 'a'));
        assert!(!two.follow(&Map { primaries: vec![at(1)], owners: vec![0; usize::from(SLOTS)] }), "one is missing");
        let swapped = Map { primaries: vec![at(2), at(1)], owners: vec![0; usize::from(SLOTS)] };
        assert!(two.follow(&swapped));
        assert_eq!((two.of(98).it, two.of(16_383).it), ('b', 'b'));
        assert!(!two.follow(&Map { primaries: vec![at(1), at(3)], owners: vec![0; usize::from(SLOTS)] }));
    }

    #[test]
    fn a_redirection_says_where_to_and_whether_for_good() {
        let error = |text: &str| {
            let value = redis::parse_redis_value(text.as_bytes()).unwrap();
            value.extract_error().unwrap_err()
        };
        let moved = Redirect::of(&error("-MOVED 3999 10.0.0.1:6381\r\n"), None);
        assert_eq!(moved, Some(Redirect { to: ("10.0.0.1".into(), 6381), once: false }));
        let ask = Redirect::of(&error("-ASK 3999 :6381\r\n"), Some(&at(1)));
        assert_eq!(ask, Some(Redirect { to: at(6381), once: true }));
        assert_eq!(Redirect::of(&error("-TRYAGAIN not all keys are here\r\n"), None), None);
    }
}
