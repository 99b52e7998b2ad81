//! Durations, sizes and addresses as people write them, `"250ms"`, `"64 KiB"`, `"127.0.0.1:8000"`, and secrets as they may
//! be shown.

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::time::Duration;

/// What is printed in a secret's place.
pub const HIDDEN: &str = "********";

/// A secret's text. It prints itself as stars; [`Secret::expose`] gives it away.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps the text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself: for the library that needs it, never for a log line.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

// In hub.toml it is plain text; what is shown of the settings is masked (`secret::hide_table`).
impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

/// Serde for a [`Duration`] written like `"250ms"`, `"10s"`, `"24h"` or `"7d"`.
pub mod duration {
    use super::*;

    /// Writes it in the friendly form.
    pub fn serialize<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&show(*value))
    }

    /// Reads the friendly form; a negative duration is an error.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        deserializer
            .deserialize_str(Friendly { expecting: "a duration like \"250ms\", \"10s\" or \"24h\"", read: parse })
    }

    /// Reads a duration like `"250ms"`. A day is 24 hours.
    pub fn parse(text: &str) -> Result<Duration, String> {
        if let Some(days) = text.strip_suffix('d').and_then(|days| days.trim_end().parse::<u32>().ok()) {
            return Ok(Duration::from_secs(u64::from(days) * 24 * 3600));
        }
        let signed: jiff::SignedDuration = text
            .parse()
            .map_err(|_| format!("`{text}` is not a duration: write it like \"250ms\", \"10s\" or \"24h\""))?;
        Duration::try_from(signed).map_err(|_| format!("`{text}` is negative: a duration here is zero or more"))
    }

    /// Writes a duration in its largest exact unit, up to days.
    pub fn show(value: Duration) -> String {
        const UNITS: [(u128, &str); 6] = [
            (86_400_000_000_000, "d"),
            (3_600_000_000_000, "h"),
            (60_000_000_000, "m"),
            (1_000_000_000, "s"),
            (1_000_000, "ms"),
            (1_000, "us"),
        ];
        let ns = value.as_nanos();
        if ns == 0 {
            return "0s".into();
        }
        // One day is better known as 24h: it stands in every example of ours.
        let found = UNITS.iter().find(|(unit, name)| ns.is_multiple_of(*unit) && !(*name == "d" && ns == *unit));
        match found {
            Some((unit, name)) => format!("{}{name}", ns / unit),
            None => format!("{ns}ns"),
        }
    }
}

/// Serde for a [`Duration`] that may be left out.
pub mod optional_duration {
    use super::*;

    /// Writes it in the friendly form.
    pub fn serialize<S: Serializer>(value: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => duration::serialize(value, serializer),
            None => serializer.serialize_none(),
        }
    }

    /// Reads the friendly form; a negative duration is an error.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        duration::deserialize(deserializer).map(Some)
    }
}

/// Serde for the address of a socket, written like `"127.0.0.1:8000"`.
pub mod address {
    use super::*;
    use std::net::SocketAddr;

    /// Writes `address:port`.
    pub fn serialize<S: Serializer>(value: &SocketAddr, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    /// Reads `address:port`.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
        deserializer.deserialize_str(Friendly { expecting: "an address like \"127.0.0.1:8000\"", read: parse })
    }

    /// Reads an address like `127.0.0.1:8000` or `[::1]:8000`. Names are not looked up: a server listens on addresses.
    pub fn parse(text: &str) -> Result<SocketAddr, String> {
        text.parse().map_err(|_| {
            let port = text.rsplit(':').next().and_then(|port| port.parse::<u16>().ok()).unwrap_or(8000);
            format!("`{text}` is not an address with a port: write it like \"127.0.0.1:{port}\" or \"0.0.0.0:{port}\"")
        })
    }
}

/// Serde for the address of a socket that may be left out.
pub mod optional_address {
    use super::*;
    use std::net::SocketAddr;

    /// Writes `address:port`.
    pub fn serialize<S: Serializer>(value: &Option<SocketAddr>, serializer: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => address::serialize(value, serializer),
            None => serializer.serialize_none(),
        }
    }

    /// Reads `address:port`.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SocketAddr>, D::Error> {
        address::deserialize(deserializer).map(Some)
    }
}

/// A number of bytes, written like `"64 KiB"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

impl Size {
    /// `n` KiB.
    pub const fn kib(n: u64) -> Self {
        Self(n * 1024)
    }

    /// `n` MiB.
    pub const fn mib(n: u64) -> Self {
        Self(n * 1024 * 1024)
    }

    /// The bytes, as a length in memory.
    pub fn bytes(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }

    /// Reads a size like `"64 KiB"`; the unit may not be left out.
    pub fn parse(text: &str) -> Result<Self, String> {
        let unit = text.ends_with(|c: char| c.is_ascii_alphabetic());
        match text.parse::<bytesize::ByteSize>() {
            Ok(size) if unit => Ok(Self(size.as_u64())),
            _ => Err(format!("`{text}` is not a size: write it like \"64 KiB\" or \"16 MiB\"")),
        }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            n if n > 0 && n % (1 << 30) == 0 => write!(f, "{} GiB", n >> 30),
            n if n > 0 && n % (1 << 20) == 0 => write!(f, "{} MiB", n >> 20),
            n if n > 0 && n % (1 << 10) == 0 => write!(f, "{} KiB", n >> 10),
            n => write!(f, "{n} B"),
        }
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Friendly { expecting: "a size like \"64 KiB\" or \"16 MiB\"", read: Size::parse })
    }
}

/// Reads text with a function, and says what is expected when something else than text is found.
pub(crate) struct Friendly<T> {
    pub(crate) expecting: &'static str,
    pub(crate) read: fn(&str) -> Result<T, String>,
}

impl<T> Visitor<'_> for Friendly<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expecting)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        (self.read)(text).map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_they_are_read() {
        for text in ["0s", "5ns", "1500us", "250ms", "10s", "90s", "2m", "24h", "36h", "7d"] {
            assert_eq!(duration::show(duration::parse(text).unwrap()), text);
        }
        assert_eq!(duration::parse("1m 30s").unwrap(), Duration::from_secs(90));
        for bad in ["5", "-1s", "5 fortnights", "", "d", "99999999999d"] {
            assert!(duration::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_are_written_as_they_are_read_and_need_a_unit() {
        for text in ["0 B", "100 B", "64 KiB", "1 MiB", "3 GiB", "1500 B"] {
            assert_eq!(Size::parse(text).unwrap().to_string(), text);
        }
        for bad in ["64", "", "KiB", "64 bananas", "-1 B"] {
            assert!(Size::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn addresses_keep_the_port_in_their_advice() {
        assert!(address::parse("[::1]:80").is_ok());
        assert!(address::parse("localhost:8080").unwrap_err().contains("127.0.0.1:8080"));
        assert!(address::parse(":9000").unwrap_err().contains("0.0.0.0:9000"));
    }
}
