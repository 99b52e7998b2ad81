//! Whether the store and every client can hold a body, and all read the same in it: depth, NUL, lone surrogates,
//! numbers, members that are given twice.

use confab_protocol::Body;
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

/// Checks a body: nested at most `depth_max` deep, no NUL in any string (PostgreSQL text cannot hold one), no lone
/// surrogate, no number past the range of a 64-bit float, no member of an object given twice: a plugin might judge the
/// one and a client show the other. The error says what is wrong, for the sender.
pub fn check(body: &Body, depth_max: usize) -> Result<(), String> {
    let mut reader = serde_json::Deserializer::from_str(body.as_str());
    Depth(depth_max).deserialize(&mut reader).map_err(|error| {
        let text = error.to_string();
        // The position is that of the body's own text, which the sender knows.
        format!("body is not acceptable: {text}")
    })
}

#[derive(Clone, Copy)]
struct Depth(usize);

impl Depth {
    fn below<E: de::Error>(self) -> Result<Self, E> {
        self.0.checked_sub(1).map(Self).ok_or_else(|| E::custom("it is nested too deep"))
    }
}

impl<'de> DeserializeSeed<'de> for Depth {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Depth {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<(), E> {
        if value.is_finite() { Ok(()) } else { Err(E::custom("a number is out of range")) }
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<(), E> {
        if text.contains('\0') { Err(E::custom("a string contains NUL")) } else { Ok(()) }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let below = self.below()?;
        while seq.next_element_seed(below)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let below = self.below()?;
        let mut members = HashSet::new();
        while let Some(member) = map.next_key::<Cow<'de, str>>()? {
            if member.contains('\0') {
                return Err(de::Error::custom("a member's name contains NUL"));
            }
            if !members.insert(member) {
                return Err(de::Error::custom("an object has a member twice"));
            }
            map.next_value_seed(below)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(text: &str) -> Result<(), String> {
        check(&Body::parse(text).map_err(|error| error.to_string())?, 4)
    }

    #[test]
    fn what_the_store_cannot_hold_is_refused_and_the_rest_is_not() {
        for good in [
            "null",
            r#""x""#,
            r#"{"text":"hi 👋 \ud83d\ude00 \\u0000","n":1.0000000000000000001,"big":123456789012345678901234567890}"#,
            "[[[[]]]]",
            "-0.0",
            "1e308",
        ] {
            assert_eq!(verdict(good), Ok(()), "{good}");
        }
        for (bad, why) in [
            (r#"{"a":"x\u0000y"}"#, "NUL"),
            (r#"{"a\u0000":1}"#, "NUL"),
            (r#""\ud800""#, ""),
            (r#""\udc00\ud800""#, ""),
            ("1e309", "out of range"),
            ("[[[[[]]]]]", "too deep"),
            (r#"{"text":"ok","text":"spam"}"#, "twice"),
            (r#"{"text":"ok","t\u0065xt":"spam"}"#, "twice"),
        ] {
            let error = verdict(bad).expect_err(bad);
            assert!(error.contains(why), "{bad}: {error}");
        }
    }
}
