//! A JSON value kept as the very text it arrived in.

mod compact;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// A JSON value kept as text, so that what was judged is what is served, byte for byte. Cheap to clone.
///
/// Holding one means only that the text is well-formed JSON; depth, size, NUL and number range are checked in the
/// hub's `admit`.
#[derive(Clone)]
pub struct Body(Arc<RawValue>);

impl Body {
    /// Checks that `text` is one JSON value and keeps it.
    pub fn parse(text: impl Into<String>) -> Result<Self, serde_json::Error> {
        Ok(Self(RawValue::from_string(text.into())?.into()))
    }

    /// Writes `value` as JSON.
    ///
    /// # Panics
    /// Where `value` cannot be JSON (a map with keys that are no strings); our own types can.
    pub fn of(value: &impl Serialize) -> Self {
        Self(serde_json::value::to_raw_value(value).expect("value has a JSON form").into())
    }

    /// The JSON `null`: the body of a deleted message.
    pub fn null() -> Self {
        Self::of(&())
    }

    /// The JSON text.
    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    /// Whether this is the JSON `null`.
    pub fn is_null(&self) -> bool {
        self.as_str() == "null"
    }

    /// The same value in its compact form: without white space between its parts, and with characters as UTF-8 where they
    /// need no escape. Numbers and the order of members stay as they are written.
    pub fn compact(self) -> Self {
        match compact::compact(self.as_str()).map(Self::parse) {
            Some(Ok(compact)) => compact,
            _ => self,
        }
    }

    /// Reads the value into `T`.
    pub fn read<'a, T: Deserialize<'a>>(&'a self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.as_str())
    }

    /// The member `text` of an object, if this is an object that has one and it is a string: what a person said.
    pub fn text(&self) -> Option<String> {
        self.text_here().map(Cow::into_owned)
    }

    /// The same, where it stands unless it is written with escapes.
    pub fn text_here(&self) -> Option<Cow<'_, str>> {
        #[derive(Deserialize)]
        struct Text<'a> {
            #[serde(borrow)]
            text: Option<Said<'a>>,
        }
        #[derive(Deserialize)]
        struct Said<'a>(#[serde(borrow)] Cow<'a, str>);
        // Serde would also read an array as a struct, member by member.
        if !self.as_str().trim_start().starts_with('{') {
            return None;
        }
        self.read::<Text<'_>>().ok()?.text.map(|said| said.0)
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl PartialEq for Body {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Body {}

impl Serialize for Body {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Body {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(Box::<RawValue>::deserialize(deserializer)?.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_object_has_a_text() {
        let text = |json: &str| Body::parse(json).unwrap().text();
        assert_eq!(text(r#" {"text": "hi", "n": 1}"#).as_deref(), Some("hi"));
        assert_eq!(text(r#"{"text": "h\u0069\n"}"#).as_deref(), Some("hi\n"));
        for other in [r#"["hi"]"#, r#""hi""#, r#"{"text": 1}"#, r#"{"txt": "hi"}"#, "null", "[]"] {
            assert_eq!(text(other), None, "{other}");
        }
    }
}
