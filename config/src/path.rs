//! A setting's place: `limits.frame`, `plugin.word-filter.timeout`, `chain[0].plugins[1]`.

use std::fmt;

/// The way from the top of hub.toml down to one value.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path(Vec<Step>);

/// One step down.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// Into a table, by key.
    Key(String),
    /// Into an array, by position, from 0.
    Index(usize),
}

impl Path {
    /// The whole document.
    pub fn root() -> Self {
        Self::default()
    }

    /// Reads a path of plain keys, such as `limits.frame`.
    pub fn of(dotted: &str) -> Self {
        Self(dotted.split('.').map(|key| Step::Key(key.into())).collect())
    }

    /// Reads a path as TOML writes keys: parts with other characters than letters, digits, `-` and `_` are quoted.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut path = Self::root();
        let mut rest = text.trim();
        loop {
            let (key, after) = match rest.strip_prefix('"') {
                Some(quoted) => quoted.split_once('"').ok_or_else(|| format!("`{text}` has an open quote"))?,
                None => rest.split_at(rest.find('.').unwrap_or(rest.len())),
            };
            if key.is_empty() {
                return Err(format!("`{text}` is not a setting's name: write it like `limits.frame`"));
            }
            path = path.key(key);
            match after.strip_prefix('.') {
                Some(more) => rest = more,
                None if after.is_empty() => return Ok(path),
                None => return Err(format!("`{text}` is not a setting's name: write it like `limits.frame`")),
            }
        }
    }

    /// One step further down, into a table.
    #[must_use]
    pub fn key(&self, key: impl Into<String>) -> Self {
        let mut steps = self.0.clone();
        steps.push(Step::Key(key.into()));
        Self(steps)
    }

    /// One step further down, into an array.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        let mut steps = self.0.clone();
        steps.push(Step::Index(index));
        Self(steps)
    }

    /// The steps from the top down.
    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    /// The keys on the way, without positions in arrays.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.iter().filter_map(|step| match step {
            Step::Key(key) => Some(key.as_str()),
            Step::Index(_) => None,
        })
    }

    /// The path without its last step; `None` at the top.
    pub fn parent(&self) -> Option<Self> {
        let (_, above) = self.0.split_last()?;
        Some(Self(above.to_vec()))
    }

    /// The last key on the way.
    pub fn last_key(&self) -> Option<&str> {
        self.keys().next_back()
    }

    /// Whether one of the two lies on the way to the other, or they are the same.
    pub fn touches(&self, other: &Self) -> bool {
        self.covers(other) || other.covers(self)
    }

    /// Whether the other is this or lies below it.
    pub fn covers(&self, other: &Self) -> bool {
        other.0.starts_with(&self.0)
    }

    /// The value at this place.
    pub fn find<'t>(&self, table: &'t toml::Table) -> Option<&'t toml::Value> {
        let (Step::Key(first), rest) = self.0.split_first()? else { return None };
        rest.iter().try_fold(table.get(first)?, |value, step| match step {
            Step::Key(key) => value.get(key),
            Step::Index(index) => value.get(index),
        })
    }

    /// Puts a value at this place, with the tables above it where they are missing. `false` if something else than a
    /// table stands in the way.
    pub(crate) fn put(&self, table: &mut toml::Table, value: toml::Value) -> bool {
        let Some((Step::Key(last), above)) = self.0.split_last() else { return false };
        let mut here = table;
        for step in above {
            let Step::Key(key) = step else { return false };
            let next = here.entry(key.clone()).or_insert_with(|| toml::Value::Table(toml::Table::new()));
            let toml::Value::Table(next) = next else { return false };
            here = next;
        }
        here.insert(last.clone(), value);
        true
    }

    /// Takes the value at this place away; of an array the whole array, as the others would change their places.
    /// Gives the place that is now empty, or `None` if there was nothing.
    pub(crate) fn take(&self, table: &mut toml::Table) -> Option<Self> {
        let end = match self.0.last()? {
            Step::Index(_) => self.0.iter().rposition(|step| matches!(step, Step::Key(_)))?,
            Step::Key(_) => self.0.len() - 1,
        };
        let (Step::Key(last), above) = (&self.0[end], &self.0[..end]) else { return None };
        let mut here = table;
        let mut value: &mut toml::Value;
        let mut steps = above.iter().peekable();
        while let Some(step) = steps.next() {
            let Step::Key(key) = step else { return None };
            value = here.get_mut(key)?;
            while let Some(Step::Index(index)) = steps.peek() {
                value = value.get_mut(*index)?;
                steps.next();
            }
            here = value.as_table_mut()?;
        }
        here.remove(last)?;
        Some(Self(self.0[..=end].to_vec()))
    }
}

impl From<&serde_path_to_error::Path> for Path {
    fn from(path: &serde_path_to_error::Path) -> Self {
        use serde_path_to_error::Segment;
        let step = |segment: &Segment| match segment {
            Segment::Seq { index } => Some(Step::Index(*index)),
            Segment::Map { key } => Some(Step::Key(key.clone())),
            // The variant of an enum is written in the value, not on the way to it.
            Segment::Enum { .. } | Segment::Unknown => None,
        };
        Self(path.iter().filter_map(step).collect())
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(key) => {
                    let dot = if at == 0 { "" } else { "." };
                    let bare = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
                    if bare { write!(f, "{dot}{key}")? } else { write!(f, "{dot}\"{}\"", key.escape_debug())? }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_read_as_it_is_written() {
        for text in
            ["listen", "limits.frame", "journal.kafka.options.\"security.protocol\"", "plugin.word-filter.timeout"]
        {
            assert_eq!(Path::parse(text).unwrap().to_string(), text);
        }
        for bad in ["", "a..b", ".a", "a.", "\"a", "\"a\"b"] {
            assert!(Path::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(Path::of("chain").index(0).key("plugins").index(1).to_string(), "chain[0].plugins[1]");
    }

    #[test]
    fn taking_an_element_takes_its_array() {
        let mut table: toml::Table = "[[chain]]\nplugins = ['a', 'b']\non = ['send']".parse().unwrap();
        let place = Path::of("chain").index(0).key("plugins");
        assert_eq!(place.index(1).take(&mut table), Some(place));
        assert_eq!(Path::of("chain").index(0).key("on").index(0).find(&table), Some(&"send".into()));
        assert_eq!(Path::of("nothing.here").take(&mut table), None);
    }
}
