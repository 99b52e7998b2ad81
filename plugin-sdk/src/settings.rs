//! Values that many plugins' settings have: each reads itself from hub.toml, and says what is wrong with what it cannot take.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The code of a refusal, as the sender's client sees it: 400 to 1999.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code(u16);

impl Code {
    /// The code, where it is one that a plugin may use.
    pub const fn new(code: u16) -> Option<Self> {
        if code >= 400 && code < 2000 { Some(Self(code)) } else { None }
    }

    /// The number, for [`Verdict::reject`](crate::Verdict::reject).
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = u16::deserialize(deserializer)?;
        Self::new(code).ok_or_else(|| D::Error::custom(format!("{code} is no plugin's code: those are 400 to 1999")))
    }
}

/// A length of time, written with its unit as everywhere in hub.toml: `500ms`, `10s`, `5m`, `24h`, `7d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(u64);

impl Span {
    /// So many seconds.
    pub const fn seconds(seconds: u64) -> Self {
        Self(seconds * 1000)
    }

    /// Its length in milliseconds; never 0.
    pub const fn as_ms(self) -> u64 {
        self.0
    }

    /// Its length in whole seconds, rounded up, as [`Verdict::mute`](crate::Verdict::mute) takes it; at most a year.
    pub fn as_seconds(self) -> u32 {
        const YEAR: u64 = 31_536_000;
        u32::try_from(self.0.div_ceil(1000).min(YEAR)).unwrap_or(u32::MAX)
    }

    fn read(text: &str) -> Option<Self> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let factor = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        number.parse::<u64>().ok()?.checked_mul(factor).filter(|ms| *ms > 0).map(Self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::read(&text).ok_or_else(|| {
            D::Error::custom(format!(
                "{text:?} is no length of time: write a whole number and ms, s, m, h or d, as in \"10s\""
            ))
        })
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let units = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];
        let (unit, factor) = units.into_iter().find(|(_, factor)| self.0.is_multiple_of(*factor)).unwrap_or(("ms", 1));
        serializer.collect_str(&format_args!("{}{unit}", self.0 / factor))
    }
}

#[cfg(feature = "golden")]
mod schema {
    use super::{Code, Span};
    use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
    use std::borrow::Cow;

    impl JsonSchema for Code {
        fn inline_schema() -> bool {
            true
        }

        fn schema_name() -> Cow<'static, str> {
            "Code".into()
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            json_schema!({ "type": "integer", "minimum": 400, "maximum": 1999 })
        }
    }

    impl JsonSchema for Span {
        fn inline_schema() -> bool {
            true
        }

        fn schema_name() -> Cow<'static, str> {
            "Span".into()
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            json_schema!({ "type": "string", "format": "a length of time: a whole number and ms, s, m, h or d" })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_read_with_its_unit_and_nothing_else() {
        let read = |text: &str| serde_json::from_value::<Span>(text.into()).map(Span::as_ms);
        assert_eq!(read("250ms").unwrap(), 250);
        assert_eq!(read("10s").unwrap(), 10_000);
        assert_eq!(read("2h").unwrap(), 7_200_000);
        for wrong in ["", "10", "s", "0s", "-1s", "1 s", "1w", "99999999999999999999d"] {
            assert!(read(wrong).unwrap_err().to_string().contains("10s"), "{wrong}");
        }
        assert_eq!(Span::read("1ms").unwrap().as_seconds(), 1);
        assert_eq!(Span::read("9999d").unwrap().as_seconds(), 31_536_000);
    }

    #[test]
    fn a_code_is_one_that_a_plugin_may_use() {
        let read = |code: u16| serde_json::from_value::<Code>(code.into()).map(Code::get);
        assert_eq!(read(400).unwrap(), 400);
        assert_eq!(read(1999).unwrap(), 1999);
        assert!(read(399).unwrap_err().to_string().contains("400 to 1999"));
        assert!(read(2000).is_err());
    }
}
