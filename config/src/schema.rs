//! Which settings there are, learned from the settings' own `Deserialize`: a probe walks down one path and notes
//! what the type there asks for. So there is no second list that could be wrong.

use crate::settings::Config;
use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

/// What a setting's type asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A table with these keys.
    Table(&'static [&'static str]),
    /// A table with any keys.
    Map,
    /// An array.
    List,
    /// Text; also durations, sizes, addresses and paths.
    Text,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// `true` or `false`.
    Flag,
    /// A number.
    Number,
    /// Any value.
    Any,
}

/// Stands for any key of a map.
pub(crate) const ANY_KEY: &str = "<name>";
/// Stands for any element of an array.
pub(crate) const ELEMENT: &str = "[]";

/// What the setting at the path is; `None` if there is none.
pub(crate) fn kind(path: &[&str]) -> Option<Kind> {
    let mut found = None;
    // The probe always stops with an error: what it saw on its way is the answer.
    let _ = <Config as serde::Deserialize>::deserialize(Probe { path, found: &mut found });
    found
}

/// Every setting, tables left out, in the order of the structs: `["limits", "frame"]`, `["plugin", "<name>", "timeout"]`.
pub(crate) fn leaves() -> Vec<(Vec<&'static str>, Kind)> {
    let mut found = Vec::new();
    walk(&mut Vec::new(), &mut found);
    found
}

fn walk(path: &mut Vec<&'static str>, found: &mut Vec<(Vec<&'static str>, Kind)>) {
    let Some(here) = kind(path) else { return };
    let mut below = |path: &mut Vec<&'static str>, step| {
        path.push(step);
        walk(path, found);
        path.pop();
    };
    match here {
        Kind::Table(keys) => keys.iter().for_each(|key| below(path, key)),
        Kind::Map if has_tables(path, ANY_KEY) => below(path, ANY_KEY),
        Kind::List if has_tables(path, ELEMENT) => below(path, ELEMENT),
        leaf => found.push((path.clone(), leaf)),
    }
}

fn has_tables(path: &[&'static str], step: &'static str) -> bool {
    let below: Vec<&str> = path.iter().copied().chain([step]).collect();
    matches!(kind(&below), Some(Kind::Table(_)))
}

/// A deserializer that goes down a path, one key after the other, and notes what is asked for at its end.
struct Probe<'p, 'f> {
    path: &'p [&'p str],
    found: &'f mut Option<Kind>,
}

impl Probe<'_, '_> {
    fn stop<T>(self, kind: Kind) -> Result<T, de::value::Error> {
        if self.path.is_empty() {
            *self.found = Some(kind);
        }
        Err(de::Error::custom("the probe has seen enough"))
    }

    fn at_end(&self) -> bool {
        self.path.is_empty()
    }
}

impl<'de> Deserializer<'de> for Probe<'_, '_> {
    type Error = de::value::Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
        self.stop(Kind::Any)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
        self.stop(Kind::Flag)
    }

    fn deserialize_u64<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
        self.stop(Kind::Number)
    }

    fn deserialize_u16<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
        self.stop(Kind::Number)
    }

    fn deserialize_u32<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
        self.stop(Kind::Number)
    }

    fn deserialize_i32<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
        self.stop(Kind::Number)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
        self.stop(Kind::Number)
    }

    fn deserialize_str<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
        self.stop(Kind::Text)
    }

    fn deserialize_string<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
        self.stop(Kind::Text)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &str, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Self::Error> {
        self.stop(Kind::Choice(variants))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        if self.at_end() { self.stop(Kind::Table(fields)) } else { visitor.visit_map(Down(self)) }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        if self.at_end() { self.stop(Kind::Map) } else { visitor.visit_map(Down(self)) }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        if self.at_end() { self.stop(Kind::List) } else { visitor.visit_seq(Down(self)) }
    }

    forward_to_deserialize_any! {
        i8 i16 i64 i128 u8 u128 f32 char bytes byte_buf unit unit_struct tuple tuple_struct identifier ignored_any
    }
}

/// A table or array with one entry: the next step of the path.
struct Down<'p, 'f>(Probe<'p, 'f>);

impl<'de> MapAccess<'de> for Down<'_, '_> {
    type Error = de::value::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Self::Error> {
        match self.0.path.first() {
            Some(key) => seed.deserialize(StrDeserializer::new(key)).map(Some),
            None => Ok(None),
        }
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Self::Error> {
        seed.deserialize(Probe { path: self.0.path.get(1..).unwrap_or_default(), found: self.0.found })
    }
}

impl<'de> SeqAccess<'de> for Down<'_, '_> {
    type Error = de::value::Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Self::Error> {
        seed.deserialize(Probe { path: self.0.path.get(1..).unwrap_or_default(), found: self.0.found }).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_probe_knows_what_every_setting_asks_for() {
        assert_eq!(kind(&["limits", "frame"]), Some(Kind::Text));
        assert_eq!(kind(&["limits", "sessions"]), Some(Kind::Number));
        assert_eq!(kind(&["auth", "insecure"]), Some(Kind::Flag));
        assert_eq!(kind(&["auth", "hmac_secret"]), Some(Kind::Text));
        assert_eq!(kind(&["plugin"]), Some(Kind::Map));
        assert_eq!(kind(&["plugin", "any", "on_fault"]), Some(Kind::Choice(&["reject", "pass", "hold"])));
        assert_eq!(kind(&["plugin", "any", "settings", "x"]), Some(Kind::Any));
        assert_eq!(kind(&["room", ELEMENT, "hot_window", "age"]), Some(Kind::Text));
        assert_eq!(kind(&["journal", "kafka", "options", "x"]), Some(Kind::Text));
        assert_eq!(kind(&["nonsense"]), None);
        assert!(leaves().iter().all(|(path, _)| kind(path).is_some()));
        assert!(leaves().len() > 60);
    }
}
