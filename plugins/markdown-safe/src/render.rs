//! Markdown to HTML out of which nothing can break: HTML in a message is text, links lead where links may lead, and no tag or
//! attribute is written but those below.

use crate::Settings;
use pulldown_cmark::{CodeBlockKind, CowStr, Event, Options, Parser, Tag, TagEnd, html};
use pulldown_cmark_escape::{escape_href, escape_html};

/// How deep quotes and lists may lie in one another.
const DEPTH_MAX: usize = 16;

/// The HTML of a text; `None` where it nests too deeply or becomes too long.
pub fn html(text: &str, settings: &Settings) -> Option<String> {
    let options = Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TABLES;
    let mut anchors = Anchors { settings, open: Vec::new() };
    let mut safe = Vec::new();
    let (mut depth, mut length) = (0_usize, 0);
    for event in Parser::new_ext(text, options) {
        match &event {
            Event::Start(_) => depth += 1,
            Event::End(_) => depth = depth.saturating_sub(1),
            Event::Text(text) | Event::Code(text) => length += text.len(),
            _ => length += 1,
        }
        // Looked at while reading: a reference to one long link, a thousand times, is short in Markdown only.
        if depth > DEPTH_MAX || length > settings.html_most {
            return None;
        }
        let event = anchors.make_safe(event);
        if let Event::InlineHtml(html) = &event {
            length += html.len();
        }
        safe.push(event);
    }
    let mut html = String::new();
    html::push_html(&mut html, safe.into_iter());
    (html.len() <= settings.html_most).then_some(html)
}

/// The links that are open, innermost last: each with whether it was written.
struct Anchors<'a> {
    settings: &'a Settings,
    open: Vec<bool>,
}

impl Anchors<'_> {
    /// What may be written in place of an event.
    fn make_safe<'e>(&mut self, event: Event<'e>) -> Event<'e> {
        match event {
            Event::Html(html) | Event::InlineHtml(html) => Event::Text(html),
            // A picture would tell its server who looks at it, so it is a link with the picture's description.
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => self.begin(&dest_url),
            Event::End(TagEnd::Link | TagEnd::Image) => self.end(),
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(language))) => {
                let known = language.split_whitespace().next().unwrap_or_default();
                let plain = known.chars().all(|c| c.is_ascii_alphanumeric() || "+-#_.".contains(c));
                let language = if plain { CowStr::from(known.to_owned()) } else { CowStr::from("") };
                Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(language)))
            }
            Event::SoftBreak if self.settings.breaks => Event::HardBreak,
            other => other,
        }
    }

    fn begin<'e>(&mut self, url: &str) -> Event<'e> {
        let write = !self.open.contains(&true) && self.may_lead_to(url);
        self.open.push(write);
        if !write {
            return nothing();
        }
        let mut tag = String::from("<a href=\"");
        // Writing to a string cannot fail.
        let _ = escape_href(&mut tag, url);
        tag.push_str("\" rel=\"");
        let _ = escape_html(&mut tag, &self.settings.rel);
        tag.push_str("\" target=\"_blank\">");
        Event::InlineHtml(tag.into())
    }

    fn end<'e>(&mut self) -> Event<'e> {
        if self.open.pop() == Some(true) { Event::InlineHtml("</a>".into()) } else { nothing() }
    }

    /// Whether an address begins with one of the schemes, letter for letter: what has none, or disguises it, leads nowhere.
    fn may_lead_to(&self, url: &str) -> bool {
        let scheme = url.split_once(':').map(|(scheme, _)| scheme);
        scheme.is_some_and(|scheme| self.settings.schemes.iter().any(|known| known.eq_ignore_ascii_case(scheme)))
    }
}

/// An event that writes nothing.
fn nothing<'e>() -> Event<'e> {
    Event::Text("".into())
}
