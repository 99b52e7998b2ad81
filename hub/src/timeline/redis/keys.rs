//! The names of everything in Redis. All names of a bucket share its hash tag, so that one script may touch them.

use super::super::Error;
use super::options::RedisOptions;
use confab_protocol::{Key, Room, UserId};
use std::sync::Arc;

/// Makes names.
#[derive(Clone)]
pub(super) struct Keys {
    prefix: Arc<str>,
    buckets: u16,
}

impl Keys {
    pub(super) fn new(options: &RedisOptions) -> Result<Self, Error> {
        if options.prefix.contains(['{', '}']) {
            return Err(Error::Refused(format!("the prefix `{}` contains a brace", options.prefix)));
        }
        if options.buckets == 0 {
            return Err(Error::Refused("there must be at least one bucket".into()));
        }
        Ok(Self { prefix: options.prefix.as_str().into(), buckets: options.buckets })
    }

    pub(super) fn buckets(&self) -> std::ops::Range<u16> {
        0..self.buckets
    }

    /// The bucket that a room falls into, the same on every hub.
    pub(super) fn bucket(&self, room: &Room) -> u16 {
        let hash = blake3::hash(room.as_str().as_bytes());
        let mut head = [0; 8];
        head.copy_from_slice(&hash.as_bytes()[..8]);
        (u64::from_le_bytes(head) % u64::from(self.buckets)) as u16
    }

    pub(super) fn in_bucket(&self, bucket: u16, rest: &str) -> String {
        format!("{}{{b{bucket}}}:{rest}", self.prefix)
    }

    fn of_room(&self, what: &str, room: &Room) -> String {
        self.in_bucket(self.bucket(room), &format!("{what}:{room}"))
    }

    /// The bucket's generation.
    pub(super) fn generation(&self, bucket: u16) -> String {
        self.in_bucket(bucket, "generation")
    }

    /// The bucket's events that are not known to be in the journal.
    pub(super) fn pending(&self, bucket: u16) -> String {
        self.in_bucket(bucket, "pending")
    }

    /// Who sweeps the bucket.
    pub(super) fn sweeper(&self, bucket: u16) -> String {
        self.in_bucket(bucket, "sweeper")
    }

    /// A room's short name inside its bucket.
    pub(super) fn short(&self, room: &Room) -> String {
        blake3::hash(room.as_str().as_bytes()).to_hex()[..24].to_owned()
    }

    /// A room's position.
    pub(super) fn meta(&self, room: &Room) -> String {
        self.of_room("room", room)
    }

    /// The pattern of all rooms' positions.
    pub(super) fn every_meta(&self) -> String {
        let mut prefix = String::new();
        for c in self.prefix.chars() {
            if "*?[]\\^".contains(c) {
                prefix.push('\\');
            }
            prefix.push(c);
        }
        format!("{prefix}{{b*}}:room:*")
    }

    /// The bucket that a name says it belongs to, if it is one of ours.
    pub(super) fn bucket_of(&self, name: &str) -> Option<u16> {
        let rest = name.strip_prefix(&*self.prefix)?.strip_prefix("{b")?;
        rest.split_once('}')?.0.parse().ok().filter(|bucket| *bucket < self.buckets)
    }

    /// A room's hot window.
    pub(super) fn window(&self, room: &Room) -> String {
        self.of_room("window", room)
    }

    /// The offsets of the window's ids.
    pub(super) fn index(&self, room: &Room) -> String {
        self.of_room("index", room)
    }

    /// The ids of deleted events.
    pub(super) fn deleted(&self, room: &Room) -> String {
        self.of_room("deleted", room)
    }

    /// The channel on which a room's events are relayed.
    pub(super) fn relay(&self, room: &Room) -> String {
        self.of_room("relay", room)
    }

    /// Who listens to a room.
    pub(super) fn listeners(&self, room: &Room) -> String {
        self.of_room("listeners", room)
    }

    /// The dedupe entry of (room, sender, key). Hashed: names may contain anything, and keys are kept by the million.
    pub(super) fn dedupe(&self, room: &Room, sender: &UserId, key: &Key) -> String {
        let mut hasher = blake3::Hasher::new();
        for part in [room.as_str(), sender.as_str(), key.as_str()] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        self.in_bucket(self.bucket(room), &format!("key:{}", &hasher.finalize().to_hex()[..32]))
    }

    /// The generation that stands for the server.
    pub(super) fn newest(&self) -> String {
        format!("{}:generation", self.prefix)
    }

    /// The lease of whoever opens or refills a generation.
    pub(super) fn opening(&self) -> String {
        format!("{}:opening", self.prefix)
    }

    /// How many buckets there are.
    pub(super) fn bucket_count(&self) -> String {
        format!("{}:buckets", self.prefix)
    }

    /// A hub's sign of life.
    pub(super) fn hub(&self, hub: &str) -> String {
        format!("{}:hub:{hub}", self.prefix)
    }

    /// The channel that every hub hears: signals that are for no room.
    pub(super) fn hubs(&self) -> String {
        self.in_bucket(0, "hubs")
    }

    /// The channel on which a hub hears itself from the server of a bucket.
    pub(super) fn heartbeat(&self, bucket: u16, hub: &str) -> String {
        self.in_bucket(bucket, &format!("heartbeat:{hub}"))
    }
}

/// When a key was made, in milliseconds, if a hub made it: a client's clock, or its word, may be wrong. 0 otherwise.
pub(super) fn born(key: &Key) -> u64 {
    key.made_at().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_names_of_a_room_share_its_bucket_s_hash_tag() {
        let options = RedisOptions { prefix: "p".into(), ..RedisOptions::new("redis://x", "h") };
        let keys = Keys::new(&options).unwrap();
        let room = Room::new("a{b}c").unwrap();
        let tag = format!("p{{b{}}}:", keys.bucket(&room));
        let user = UserId::new("u").unwrap();
        let key = Key::new("k").unwrap();
        for name in [keys.meta(&room), keys.window(&room), keys.relay(&room), keys.dedupe(&room, &user, &key)] {
            assert!(name.starts_with(&tag), "{name}");
        }
        assert!(Keys::new(&RedisOptions { prefix: "{p}".into(), ..options }).is_err());
    }

    #[test]
    fn a_room_s_bucket_never_changes() {
        let keys = Keys::new(&RedisOptions::new("redis://x", "h")).unwrap();
        assert_eq!(["a", "team:1", "дом"].map(|name| keys.bucket(&Room::new(name).unwrap())), [23, 7, 39]);
    }

    #[test]
    fn a_key_that_a_hub_made_says_when_and_other_keys_do_not() {
        assert_eq!(born(&Key::new("hub:018bcfe5-6800-7000-8000-000000000000").unwrap()), 1_700_000_000_000);
        assert!(born(&Key::fresh()) > 1_700_000_000_000);
        for other in ["018bcfe5-6800-7000-8000-000000000000", "hub:018bcfe5-6800-4000-8000-000000000000", "hub:", "k1"]
        {
            assert_eq!(born(&Key::new(other).unwrap()), 0, "{other}");
        }
    }
}
