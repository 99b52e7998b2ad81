//! The arguments of verbs: how they are read, and which there are.

use confab_protocol::{Body, Refusal, VerbName};
use serde::de::value::Error;
use serde::de::{DeserializeOwned, Deserializer, Error as _, Visitor};
use serde::forward_to_deserialize_any;

/// The type of a verb's arguments.
#[derive(Clone, Copy)]
pub struct ArgumentType {
    names: fn() -> &'static [&'static str],
    check: fn(&Body) -> Result<(), serde_json::Error>,
}

impl ArgumentType {
    /// The type `T`.
    pub(super) const fn of<T: DeserializeOwned>() -> Self {
        Self { names: fields::<T>, check: |data| data.read::<T>().map(drop) }
    }

    /// The names of the arguments.
    pub fn names(self) -> &'static [&'static str] {
        (self.names)()
    }

    /// Whether these are arguments of this type.
    ///
    /// # Errors
    /// Why not.
    pub fn check(self, data: &Body) -> Result<(), serde_json::Error> {
        (self.check)(data)
    }
}

/// Reads a verb's arguments.
pub(super) fn read<T: DeserializeOwned>(verb: VerbName, data: Option<&Body>) -> Result<T, Refusal> {
    let name = verb.as_str();
    let data = data.ok_or_else(|| bad(format!("`{name}` needs arguments")))?;
    data.read().map_err(|error| bad(format!("`{name}`: {error}")))
}

/// A refusal of what makes no sense.
pub(super) fn bad(what: String) -> Refusal {
    Refusal::BadRequest(what.into())
}

/// The names of a type's members, as serde knows them.
fn fields<T: DeserializeOwned>() -> &'static [&'static str] {
    let mut found = Fields(&[]);
    // It never yields a value: only the names are wanted.
    let _ = T::deserialize(&mut found);
    found.0
}

/// A source that holds nothing, and notes which members it is asked for.
struct Fields(&'static [&'static str]);

impl<'de> Deserializer<'de> for &mut Fields {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(Error::custom("there is no value"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Error> {
        self.0 = fields;
        Err(Error::custom("there is no value"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}
