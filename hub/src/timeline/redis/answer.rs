//! Reading what scripts answer: a word, then its values.

use super::super::{Error, Known, Outcome};
use super::refusal;
use confab_protocol::{Cursor, Epoch};
use redis::Value;
use std::str::FromStr;
use std::vec::IntoIter;

/// The values of an answer, taken one by one.
pub(super) struct Answer(IntoIter<Value>);

impl Answer {
    pub(super) fn of(value: Value) -> Result<Self, Error> {
        match value {
            Value::Array(values) => Ok(Self(values.into_iter())),
            other => Err(damaged(format!("expected a list, found {other:?}"))),
        }
    }

    pub(super) fn bytes(&mut self) -> Result<Vec<u8>, Error> {
        match self.0.next() {
            Some(Value::BulkString(bytes)) => Ok(bytes),
            other => Err(damaged(format!("expected bytes, found {other:?}"))),
        }
    }

    pub(super) fn text(&mut self) -> Result<String, Error> {
        String::from_utf8(self.bytes()?).map_err(|_| damaged("expected text, found other bytes"))
    }

    pub(super) fn parse<T: FromStr>(&mut self) -> Result<T, Error> {
        let text = self.text()?;
        text.parse().map_err(|_| damaged(format!("`{text}` is not what belongs there")))
    }

    /// A value that may be empty.
    pub(super) fn maybe<T: FromStr>(&mut self) -> Result<Option<T>, Error> {
        let text = self.text()?;
        if text.is_empty() {
            return Ok(None);
        }
        text.parse().map(Some).map_err(|_| damaged(format!("`{text}` is not what belongs there")))
    }

    pub(super) fn cursor(&mut self) -> Result<Cursor, Error> {
        Ok(Cursor { epoch: Epoch(self.parse()?), offset: self.parse()? })
    }

    /// Whether all of it was taken.
    pub(super) fn is_empty(&self) -> bool {
        self.0.len() == 0
    }

    /// A list inside the answer.
    pub(super) fn list(&mut self) -> Result<Vec<Value>, Error> {
        match self.0.next() {
            Some(Value::Array(values)) => Ok(values),
            other => Err(damaged(format!("expected a list, found {other:?}"))),
        }
    }

    /// What follows the word `known`: state, digest, id, epoch, offset, refusal.
    pub(super) fn known(&mut self) -> Result<Known, Error> {
        let state = self.text()?;
        let digest = self.text()?;
        let outcome = match state.as_str() {
            "pending" => Outcome::Pending { id: self.parse()?, cursor: self.cursor()? },
            "journaled" => Outcome::Journaled { id: self.parse()?, cursor: self.cursor()? },
            "refused" => {
                for _ in ["id", "epoch", "offset"] {
                    self.bytes()?;
                }
                let text = self.text()?;
                Outcome::Refused(refusal::from_json(&text).map_err(|error| damaged(error.to_string()))?)
            }
            other => return Err(damaged(format!("a key has the state `{other}`"))),
        };
        Ok(Known { digest, outcome })
    }
}

pub(super) fn damaged(what: impl Into<String>) -> Error {
    Error::Damaged(what.into())
}
