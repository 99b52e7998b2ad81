//! What is wrong with the settings, shown as cargo and rustc show it: what, where, why, and what to type next.

use crate::document::{Source, SyntaxError};
use annotate_snippets::renderer::DEFAULT_TERM_WIDTH;
use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Nothing starts with it.
    Error,
    /// It works, and is hardly what was meant.
    Warning,
}

/// One finding, with its place in the file if it has one.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    pub(crate) severity: Severity,
    pub(crate) setting: Option<String>,
    pub(crate) message: String,
    pub(crate) label: Option<String>,
    pub(crate) notes: Vec<String>,
    pub(crate) help: Vec<String>,
    pub(crate) place: Option<Place>,
}

/// A piece of the file's text.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub source: Arc<Source>,
    pub span: Range<usize>,
}

impl Diagnostic {
    /// An error without a place.
    pub fn error(message: impl Into<String>) -> Self {
        Self::new(Severity::Error, message.into())
    }

    /// A warning without a place.
    pub fn warning(message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, message.into())
    }

    fn new(severity: Severity, message: String) -> Self {
        Self { severity, setting: None, message, label: None, notes: vec![], help: vec![], place: None }
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

    /// Gives it a place in a text: the name it is shown under, the text, and the bytes that are meant.
    #[must_use]
    pub fn in_file(mut self, name: impl Into<String>, text: &str, span: Range<usize>) -> Self {
        // An error at the very end points behind the last character.
        let span = span.start.min(text.len())..span.end.min(text.len());
        self.place = Some(Place { source: Arc::new(Source { name: name.into(), text: text.to_owned() }), span });
        self
    }

    /// What stands under the marked place.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// How bad it is.
    pub fn severity(&self) -> Severity {
        self.severity
    }

    /// What is wrong, in one sentence.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What is wrong, with what stands under the marked place, in one line.
    pub fn summary(&self) -> String {
        self.label.as_ref().map_or_else(|| self.message.clone(), |label| format!("{}: {label}", self.message))
    }

    /// The setting's path, such as `limits.frame`, if it is about one.
    pub fn setting(&self) -> Option<&str> {
        self.setting.as_deref()
    }

    /// File, line and column (from 1), if it has a place.
    pub fn place(&self) -> Option<(&str, usize, usize)> {
        let Place { source, span } = self.place.as_ref()?;
        let before = source.text.get(..span.start)?;
        let line = 1 + before.matches('\n').count();
        let column = 1 + before.rsplit('\n').next().unwrap_or(before).chars().count();
        Some((&source.name, line, column))
    }

    /// As a person reads it, ending in a line break; with colours if asked.
    pub fn render(&self, colour: bool) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let title = level.primary_title(self.message.as_str());
        let mut group = match &self.place {
            Some(Place { source, span }) => {
                let annotation = AnnotationKind::Primary.span(span.clone()).label(self.label.as_ref());
                title.element(Snippet::source(source.text.as_str()).path(source.name.as_str()).annotation(annotation))
            }
            None => annotate_snippets::Group::with_title(title),
        };
        for note in &self.notes {
            group = group.element(Level::NOTE.message(note.as_str()));
        }
        for help in &self.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        format!("{}\n", renderer.term_width(DEFAULT_TERM_WIDTH).render(&[group]))
    }

    /// As a program reads it.
    pub fn to_json(&self) -> serde_json::Value {
        let place = self
            .place()
            .map(|(file, line, column)| serde_json::json!({ "file": file, "line": line, "column": column }));
        serde_json::json!({
            "severity": match self.severity { Severity::Error => "error", Severity::Warning => "warning" },
            "setting": self.setting,
            "message": self.message,
            "found": self.label,
            "place": place,
            "notes": self.notes,
            "help": self.help,
        })
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.render(false).trim_end())
    }
}

impl From<SyntaxError> for Diagnostic {
    fn from(SyntaxError { source, message, span }: SyntaxError) -> Self {
        let message_line = format!("{} is not written as TOML", source.name);
        // An error at the very end points behind the last character.
        let span = span.map(|span| span.start.min(source.text.len())..span.end.min(source.text.len()));
        let help = match message.as_str() {
            "duplicate key" => Some("a key, and a table, stands once in a file: put the two together"),
            text if ["string values", "invalid float", "invalid integer", "quote"]
                .iter()
                .any(|sign| text.contains(sign)) =>
            {
                Some("text is written in quotes: `\"…\"`")
            }
            _ => None,
        };
        Self {
            label: Some(message),
            place: span.map(|span| Place { source, span }),
            help: help.into_iter().map(str::to_owned).collect(),
            ..Self::error(message_line)
        }
    }
}

/// Everything that was found in one pass, in the order of the file.
#[derive(Clone, Debug, Default)]
pub struct Diagnostics(pub Vec<Diagnostic>);

impl Diagnostics {
    /// The findings.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.0.iter()
    }

    /// How many are errors.
    pub fn errors(&self) -> usize {
        self.0.iter().filter(|found| found.severity == Severity::Error).count()
    }

    /// How many are warnings.
    pub fn warnings(&self) -> usize {
        self.0.len() - self.errors()
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All findings as a person reads them, with a line that counts them if there are several.
    pub fn render(&self, colour: bool) -> String {
        let mut text: Vec<String> = self.0.iter().map(|found| found.render(colour)).collect();
        if self.0.len() > 1 {
            let plural = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
            let count = match (self.errors(), self.warnings()) {
                (errors, 0) => Diagnostic::error(format!("the configuration has {}", plural(errors, "error"))),
                (0, warnings) => Diagnostic::warning(format!("the configuration has {}", plural(warnings, "warning"))),
                (errors, warnings) => Diagnostic::error(format!(
                    "the configuration has {} and {}",
                    plural(errors, "error"),
                    plural(warnings, "warning")
                )),
            };
            text.push(count.render(colour));
        }
        text.join("\n")
    }

    /// All findings as a program reads them.
    pub fn to_json(&self) -> serde_json::Value {
        self.0.iter().map(Diagnostic::to_json).collect()
    }

    /// Puts them in the order of the file; those without a place come first.
    pub(crate) fn sorted(mut self) -> Self {
        self.0.sort_by_key(|found| found.place.as_ref().map(|place| place.span.start));
        self
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.render(false).trim_end())
    }
}

impl std::error::Error for Diagnostics {}

impl From<Diagnostic> for Diagnostics {
    fn from(found: Diagnostic) -> Self {
        Self(vec![found])
    }
}

/// Whether to write colours: only to a terminal that can show them, and not if `NO_COLOR` asks for none.
pub fn wants_colour(terminal: &impl std::io::IsTerminal) -> bool {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    terminal.is_terminal() && set("NO_COLOR").is_none() && set("TERM").is_none_or(|term| term != "dumb")
}
