//! A finding about a setting, before it is known where the setting's value came from.

use crate::diagnostic::Severity;
use crate::path::Path;

/// What is wrong with a setting. Whoever holds the loaded settings turns it into a
/// [`Diagnostic`](crate::Diagnostic) with its place: [`Loaded::place`](crate::Loaded::place).
#[derive(Clone, Debug)]
pub struct Problem {
    pub(crate) severity: Severity,
    pub(crate) path: Path,
    /// Whether the setting's name is meant, and not its value.
    pub(crate) name: bool,
    pub(crate) message: String,
    pub(crate) label: Option<String>,
    pub(crate) notes: Vec<String>,
    pub(crate) help: Vec<String>,
    /// Other settings that the finding rests on: where one of them could not be read, it says nothing.
    pub(crate) rests_on: Vec<Path>,
}

impl Problem {
    /// An error in the value at the path.
    pub fn error(path: &Path, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            path: path.clone(),
            name: false,
            message: message.into(),
            label: None,
            notes: Vec::new(),
            help: Vec::new(),
            rests_on: Vec::new(),
        }
    }

    /// A warning about the value at the path.
    pub fn warning(path: &Path, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(path, message) }
    }

    /// Points at the setting's name instead of its value.
    #[must_use]
    pub fn at_name(mut self) -> Self {
        self.name = true;
        self
    }

    /// What stands under the marked place.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Adds why it is so.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// Adds what to type next.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    /// Names another setting that the finding rests on.
    #[must_use]
    pub fn rests_on(mut self, path: &Path) -> Self {
        self.rests_on.push(path.clone());
        self
    }

    /// The setting.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is wrong.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// How bad it is.
    pub fn severity(&self) -> Severity {
        self.severity
    }
}
