//! Where each value came from, and so where to point when something is wrong with it.

use crate::diagnostic::{Diagnostic, Place};
use crate::document::Document;
use crate::path::Path;
use crate::problem::Problem;
use std::fmt;

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody gave it: it is the default.
    Default,
    /// The file, at a line.
    File {
        /// The file, as it was named.
        file: String,
        /// The line, from 1.
        line: usize,
    },
    /// An environment variable.
    Environment {
        /// The variable's name.
        name: String,
    },
    /// A flag of the command line.
    Flag,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { file, line } => write!(f, "{file}:{line}"),
            Self::Environment { name } => write!(f, "env {name}"),
            Self::Flag => f.write_str("flag"),
        }
    }
}

/// Where every effective value came from.
#[derive(Debug, Default)]
pub struct Sources {
    pub(crate) document: Option<Document>,
    /// What was set over the file, the stronger later.
    pub(crate) overrides: Vec<(Path, Origin)>,
}

impl Sources {
    /// Where the value at the path came from.
    pub fn of(&self, path: &Path) -> Origin {
        let above = self.overrides.iter().rev().find(|(set, _)| set.covers(path));
        if let Some((_, origin)) = above {
            return origin.clone();
        }
        let Some(document) = &self.document else { return Origin::Default };
        match document.key_span(path) {
            Some(span) => Origin::File { file: document.source.name.clone(), line: document.line(span.start) },
            None => Origin::Default,
        }
    }

    /// Gives a problem its place: the piece of the file, or the name of the variable or flag.
    pub(crate) fn place(&self, problem: Problem) -> Diagnostic {
        let Problem { severity, path, name, message, label, mut notes, help, .. } = problem;
        let place = match self.of(&path) {
            Origin::Environment { name } => {
                notes.insert(0, format!("`{path}` is set by the environment variable `{name}`"));
                None
            }
            Origin::Flag => {
                notes.insert(0, format!("`{path}` is set by a flag of the command line"));
                None
            }
            Origin::File { .. } | Origin::Default => self.span(&path, name),
        };
        if place.is_none() {
            // A table that only variables have filled has no place: the variables are named instead.
            let below = self.overrides.iter().filter(|(set, _)| *set != path && path.covers(set));
            notes.extend(below.map(|(set, origin)| format!("`{set}` comes from {origin}")));
        }
        let mut message = message;
        let label = match (label, &place) {
            // Without a snippet there is nothing to write it under.
            (Some(label), None) => {
                message = format!("{message}: {label}");
                None
            }
            (label, _) => label,
        };
        Diagnostic { severity, setting: Some(path.to_string()), message, label, notes, help, place }
    }

    /// The piece of the file that is nearest to the path: its value, or the name of the table in which it is missing.
    fn span(&self, path: &Path, name: bool) -> Option<Place> {
        let document = self.document.as_ref()?;
        let found = if name { document.key_span(path) } else { document.value_span(path) };
        let span = found.or_else(|| {
            let mut above = path.parent()?;
            while !above.steps().is_empty() {
                if let Some(span) = document.key_span(&above) {
                    return Some(span);
                }
                above = above.parent()?;
            }
            None
        })?;
        Some(Place { source: document.source.clone(), span })
    }
}
