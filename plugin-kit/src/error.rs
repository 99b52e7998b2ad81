//! A failure, as a person is told it: what, where in the file, why, and what to do.

use confab_config::Diagnostic;
use std::fmt;
use std::ops::Range;
use std::path::Path;

/// What could not be done.
pub type Result<T> = std::result::Result<T, Error>;

/// A failure with its place and advice. Shown, it looks like cargo's errors.
#[derive(Clone, Debug)]
pub struct Error(Box<Diagnostic>);

impl Error {
    /// A failure without a place.
    pub fn new(message: impl Into<String>) -> Self {
        Self(Box::new(Diagnostic::error(message)))
    }

    /// A failure at a place of a file's text.
    pub fn at(file: &Path, text: &str, span: Range<usize>, message: impl Into<String>) -> Self {
        Self(Box::new(Diagnostic::error(message).in_file(file.display().to_string(), text, span)))
    }

    /// A file or folder that could not be read or written.
    pub fn file(doing: &str, path: &Path, error: &std::io::Error) -> Self {
        Self::new(format!("could not {doing} {}", path.display())).note(error.to_string())
    }

    /// A TOML file that cannot be read.
    pub fn toml(file: &Path, text: &str, error: &toml::de::Error) -> Self {
        let span = error.span().unwrap_or(0..0);
        let found = Diagnostic::error(format!("could not understand {}", file.display()));
        Self(Box::new(found.in_file(file.display().to_string(), text, span).label(error.message())))
    }

    /// Adds why it is so.
    #[must_use]
    pub fn note(self, note: impl Into<String>) -> Self {
        Self(Box::new(self.0.note(note)))
    }

    /// Adds what to do.
    #[must_use]
    pub fn help(self, help: impl Into<String>) -> Self {
        Self(Box::new(self.0.help(help)))
    }

    /// What is known of it.
    pub fn diagnostic(&self) -> &Diagnostic {
        &self.0
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Error {}
