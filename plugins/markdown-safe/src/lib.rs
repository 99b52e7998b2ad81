//! Notes a message's Markdown as HTML that is safe to show, so that every client shows the same and none has to clean up.
//!
//! The body is never altered: the Markdown is what is kept, searched and edited.

mod render;

use confab_plugin_sdk::{Context, Event, Kind, Plugin, Verdict};
use serde::Deserialize;

/// Schemes of addresses that are programs.
const NEVER: &[&str] = &["javascript", "vbscript", "data", "file", "blob"];

/// The plugin, ready to judge.
#[derive(Debug)]
pub struct MarkdownSafe {
    settings: Settings,
}

/// `[plugin.<name>.settings]` in hub.toml.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Whether every text is Markdown; else only that of bodies with `"format": "markdown"` is.
    always: bool,
    /// Texts with more bytes are not rendered.
    text_most: usize,
    /// HTML with more bytes is not noted.
    html_most: usize,
    /// Whether a new line in a paragraph is one on the screen.
    breaks: bool,
    /// Schemes of addresses that links may have.
    schemes: Vec<String>,
    /// What links say of where they lead: their attribute `rel`.
    rel: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            always: false,
            text_most: 8192,
            html_most: 32_768,
            breaks: true,
            schemes: ["http", "https", "mailto"].map(String::from).into(),
            rel: "nofollow noopener noreferrer".into(),
        }
    }
}

impl Plugin for MarkdownSafe {
    type Settings = Settings;

    fn configure(settings: Settings) -> Result<Self, String> {
        let never = |scheme: &&String| NEVER.iter().any(|never| never.eq_ignore_ascii_case(scheme));
        if let Some(scheme) = settings.schemes.iter().find(never) {
            return Err(format!("`schemes`: an address of {scheme:?} can run or read what is the viewer's"));
        }
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
        if let Some(scheme) = settings.schemes.iter().find(|scheme| scheme.is_empty() || !scheme.chars().all(fits)) {
            return Err(format!("`schemes`: {scheme:?} is no scheme, such as \"https\""));
        }
        Ok(Self { settings })
    }

    fn judge(&self, event: &Event, _context: &Context) -> Verdict {
        let Some(text) = event.text.as_deref().filter(|text| self.is_markdown(event, text)) else {
            return Verdict::accept();
        };
        match render::html(text, &self.settings) {
            Some(html) => Verdict::accept().annotate("html", &html),
            None => Verdict::accept(),
        }
    }
}

impl MarkdownSafe {
    fn is_markdown(&self, event: &Event, text: &str) -> bool {
        #[derive(Deserialize)]
        struct Body<'a> {
            #[serde(borrow)]
            format: Option<std::borrow::Cow<'a, str>>,
        }
        let asked = || event.read::<Body<'_>>().is_ok_and(|body| body.format.as_deref() == Some("markdown"));
        matches!(event.kind, Kind::Send | Kind::Edit)
            && text.len() <= self.settings.text_most
            && (self.settings.always || asked())
    }
}

confab_plugin_sdk::export_plugin!(MarkdownSafe);

#[cfg(test)]
mod tests;
