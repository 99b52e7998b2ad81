//! What a plugin may do besides judging: nothing, unless it is granted here.

use crate::human::{Friendly, Size, duration};
use serde::de::{self, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::time::Duration;
use url::Url;

/// What a plugin may do besides judging.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Capabilities {
    /// It may write to the hub's log.
    pub log: bool,
    /// It may know the time.
    pub clock: bool,
    /// It may throw dice.
    pub random: bool,
    /// It may remember: so much.
    #[serde(with = "switch")]
    pub kv: Option<KvGrant>,
    /// It may ask other servers: these.
    #[serde(with = "origins")]
    pub http: Option<HttpGrant>,
    /// It may speak, in a name of its own: in the room of the event, and in these.
    #[serde(with = "rooms")]
    pub emit: Option<EmitGrant>,
}

/// Where a plugin may speak, besides the room of the event that it judges: `true` in hub.toml for nowhere else, or a list of
/// patterns of rooms.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EmitGrant {
    /// Patterns of room names.
    pub rooms: Vec<String>,
}

/// How much a plugin may remember: `true` in hub.toml for the defaults, or a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KvGrant {
    /// The most keys.
    pub keys: u32,
    /// The most bytes of keys and values together.
    pub bytes: Size,
    /// How often one call of the plugin may ask.
    pub calls: u32,
}

impl Default for KvGrant {
    fn default() -> Self {
        Self { keys: 10_000, bytes: Size::mib(4), calls: 32 }
    }
}

/// Which servers a plugin may ask, and how much: a list of origins in hub.toml for the defaults, or a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpGrant {
    /// The origins.
    pub allow: Vec<HttpOrigin>,
    /// Whether they may lie at addresses that are not public: loopback, private networks and the like.
    pub private: bool,
    /// The largest body of a request, and of an answer.
    pub bytes: Size,
    /// The longest a request may take. It also ends in time for the plugin's own `timeout`.
    #[serde(with = "duration")]
    pub timeout: Duration,
    /// How often one call of the plugin may ask.
    pub calls: u32,
    /// How many requests of the plugin may be under way at once, over all of its calls.
    pub concurrency: u32,
}

impl Default for HttpGrant {
    fn default() -> Self {
        Self {
            allow: Vec::new(),
            private: false,
            bytes: Size::kib(256),
            timeout: Duration::from_secs(1),
            calls: 4,
            concurrency: 16,
        }
    }
}

/// The origin of a server: scheme, host, and the port where it is not the scheme's own; `https://score.example.com`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpOrigin(String);

impl HttpOrigin {
    /// Reads an origin. It must be written in its one normal form, so that what is granted can be read off the file.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.contains('*') {
            return Err(format!("`{text}` is a pattern: name every origin by itself"));
        }
        if !text.contains("://") {
            return Err(format!("`{text}` has no scheme: write \"https://{text}\""));
        }
        let url = Url::parse(text).map_err(|error| format!("`{text}` is not an origin: {error}"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(format!("`{text}`: only http and https can be asked"));
        }
        let origin = Self::of(&url);
        // Not shown: it may be a secret.
        if !url.username().is_empty() || url.password().is_some() {
            return Err(format!("an origin has no user and no password: write \"{origin}\""));
        }
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(format!(
                "`{text}` is more than an origin: write \"{origin}\", which grants all that lies there"
            ));
        }
        match origin.0 == text {
            true => Ok(origin),
            false => Err(format!("`{text}` is not how this origin is written: write \"{origin}\"")),
        }
    }

    /// The origin of an address whose scheme is `http` or `https`.
    pub fn of(url: &Url) -> Self {
        Self(url.origin().ascii_serialization())
    }

    /// The host, if it is one that no public address can have: a literal address that is not public, or `localhost`.
    pub fn private_host(&self) -> Option<String> {
        let url = Url::parse(&self.0).ok()?;
        let private = match url.host()? {
            url::Host::Domain(name) => name == "localhost" || name.ends_with(".localhost"),
            url::Host::Ipv4(address) => !crate::address::is_public(address.into()),
            url::Host::Ipv6(address) => !crate::address::is_public(address.into()),
        };
        private.then(|| url.host_str().unwrap_or_default().to_owned())
    }
}

impl fmt::Display for HttpOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for HttpOrigin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for HttpOrigin {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_str(Friendly { expecting: "an origin like \"https://host.example\"", read: Self::parse })
    }
}

/// Serde for a grant that is written `false`, `true`, or as a table.
mod switch {
    use super::*;
    use std::marker::PhantomData;

    pub fn serialize<T: Serialize, S: Serializer>(grant: &Option<T>, serializer: S) -> Result<S::Ok, S::Error> {
        match grant {
            Some(grant) => grant.serialize(serializer),
            None => serializer.serialize_bool(false),
        }
    }

    pub fn deserialize<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
    where
        T: Default + Deserialize<'de>,
        D: Deserializer<'de>,
    {
        struct Switch<T>(PhantomData<T>);
        impl<'de, T: Default + Deserialize<'de>> Visitor<'de> for Switch<T> {
            type Value = Option<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`true`, `false` or a table")
            }

            fn visit_bool<E: de::Error>(self, granted: bool) -> Result<Self::Value, E> {
                Ok(granted.then(T::default))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Some)
            }
        }
        deserializer.deserialize_any(Switch(PhantomData))
    }
}

/// Serde for `http`: a list of origins, where empty grants nothing, or a table.
mod origins {
    use super::*;

    pub fn serialize<S: Serializer>(grant: &Option<HttpGrant>, serializer: S) -> Result<S::Ok, S::Error> {
        match grant {
            None => [(); 0].serialize(serializer),
            Some(grant) if *grant == HttpGrant { allow: grant.allow.clone(), ..HttpGrant::default() } => {
                grant.allow.serialize(serializer)
            }
            Some(grant) => grant.serialize(serializer),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<HttpGrant>, D::Error> {
        struct Origins;
        impl<'de> Visitor<'de> for Origins {
            type Value = Option<HttpGrant>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of origins like [\"https://host.example\"], or a table with `allow`")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut allow = Vec::new();
                while let Some(origin) = list.next_element()? {
                    allow.push(origin);
                }
                Ok((!allow.is_empty()).then(|| HttpGrant { allow, ..HttpGrant::default() }))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                HttpGrant::deserialize(MapAccessDeserializer::new(map)).map(Some)
            }
        }
        deserializer.deserialize_any(Origins)
    }
}

/// Serde for `emit`: `false`, `true`, or a list of patterns, where empty grants nothing.
mod rooms {
    use super::*;

    pub fn serialize<S: Serializer>(grant: &Option<EmitGrant>, serializer: S) -> Result<S::Ok, S::Error> {
        match grant {
            Some(grant) if !grant.rooms.is_empty() => grant.rooms.serialize(serializer),
            other => serializer.serialize_bool(other.is_some()),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<EmitGrant>, D::Error> {
        struct Rooms;
        impl<'de> Visitor<'de> for Rooms {
            type Value = Option<EmitGrant>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`true`, `false` or a list of rooms like [\"log:*\"]")
            }

            fn visit_bool<E: de::Error>(self, granted: bool) -> Result<Self::Value, E> {
                Ok(granted.then(EmitGrant::default))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut rooms = Vec::new();
                while let Some(pattern) = list.next_element()? {
                    rooms.push(pattern);
                }
                Ok((!rooms.is_empty()).then_some(EmitGrant { rooms }))
            }
        }
        deserializer.deserialize_any(Rooms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_has_one_way_to_be_written_and_any_other_is_told_it() {
        for good in ["https://a.example", "http://a.example:8080", "https://[2001:db8::1]:8443", "http://10.0.0.1"] {
            assert_eq!(HttpOrigin::parse(good).unwrap().to_string(), good);
        }
        for (bad, told) in [
            ("a.example", "write \"https://a.example\""),
            ("https://*.a.example", "is a pattern"),
            ("https://a.example/", "write \"https://a.example\""),
            ("https://a.example/v1/score", "write \"https://a.example\", which grants all"),
            ("https://a.example?q", "write \"https://a.example\""),
            ("https://a.example#f", "write \"https://a.example\""),
            ("https://A.Example", "write \"https://a.example\""),
            ("https://a.example:443", "write \"https://a.example\""),
            ("http://0x7f.1", "write \"http://127.0.0.1\""),
            ("https://ada:hunter2@a.example", "no user and no password: write \"https://a.example\""),
            ("ftp://a.example", "only http and https"),
            ("https://", "is not an origin"),
            ("https://a.example:99999", "is not an origin"),
        ] {
            let why = HttpOrigin::parse(bad).unwrap_err();
            assert!(why.contains(told), "{bad}: {why}");
            assert!(!why.contains("hunter2"));
        }
    }

    #[test]
    fn a_host_that_cannot_be_public_is_seen() {
        let private = |text| HttpOrigin::parse(text).unwrap().private_host();
        for text in
            ["http://localhost:1", "http://127.0.0.1", "https://[::1]", "http://192.168.1.1", "http://x.localhost"]
        {
            assert!(private(text).is_some(), "{text}");
        }
        assert_eq!(private("https://a.example"), None);
        assert_eq!(private("https://93.184.216.34"), None);
    }

    #[test]
    fn grants_are_written_as_they_are_read() {
        for text in [
            "log = false\nclock = false\nrandom = false\nkv = false\nhttp = []\nemit = false\n",
            "log = true\nclock = true\nrandom = true\nkv = false\nhttp = [\"https://a.example\"]\nemit = true\n",
            "log = false\nclock = false\nrandom = false\nkv = false\nhttp = []\nemit = [\"log:*\"]\n",
        ] {
            let read: Capabilities = toml::from_str(text).unwrap();
            assert_eq!(toml::to_string(&read).unwrap(), text);
        }
        let short: Capabilities =
            toml::from_str("kv = true\nhttp = { allow = [\"http://10.0.0.1\"], private = true }").unwrap();
        assert_eq!(short.kv, Some(KvGrant::default()));
        let again: Capabilities = toml::from_str(&toml::to_string(&short).unwrap()).unwrap();
        assert_eq!(again, short);
        assert!(short.http.unwrap().private);
    }
}
