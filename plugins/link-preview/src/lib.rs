//! Notes title, description and picture of the page that a message links to.
//!
//! It asks only the servers that the operator granted, and never stands in the way: where there is no page, no answer or no
//! time, the message goes out without a preview.

mod address;
mod page;

use address::{resolve, without_fragment};
use confab_plugin_sdk::http::{self, Request, Response};
use confab_plugin_sdk::{Context, Event, Kind, Plugin, Verdict};
use linkify::{LinkFinder, LinkKind};
use page::Page;
use serde::{Deserialize, Serialize};

/// The plugin, ready to judge.
#[derive(Debug)]
pub struct LinkPreview {
    settings: Settings,
}

/// `[plugin.<name>.settings]` in hub.toml.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// How many characters of a title are noted.
    title_most: usize,
    /// How many characters of a description are noted.
    description_most: usize,
    /// How many times a redirection is followed, to origins that are granted.
    redirects: usize,
    /// Whether the picture's address is noted. Who shows it tells its server who looks at it.
    pictures: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { title_most: 120, description_most: 300, redirects: 2, pictures: true }
    }
}

/// What is noted of a page.
#[derive(Debug, Serialize)]
struct Preview {
    url: String,
    title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    site: Option<String>,
}

impl Plugin for LinkPreview {
    type Settings = Settings;

    fn configure(settings: Settings) -> Result<Self, String> {
        Ok(Self { settings })
    }

    fn judge(&self, event: &Event, _context: &Context) -> Verdict {
        let said = matches!(event.kind, Kind::Send | Kind::Edit).then_some(event.text.as_deref()).flatten();
        match said.and_then(first_link).and_then(|url| self.preview(url)) {
            Some(preview) => Verdict::accept().annotate("preview", &preview),
            None => Verdict::accept(),
        }
    }
}

/// The first address of a text that a browser would open.
fn first_link(text: &str) -> Option<&str> {
    let mut finder = LinkFinder::new();
    finder.kinds(&[LinkKind::Url]);
    finder.links(text).map(|link| link.as_str()).find(|url| url.starts_with("https://") || url.starts_with("http://"))
}

impl LinkPreview {
    /// What the page at an address says of itself; `None` where there is none, or it has no title.
    fn preview(&self, url: &str) -> Option<Preview> {
        let (url, response) = self.fetch(without_fragment(url))?;
        let is_html = response.header("content-type").is_none_or(|kind| kind.starts_with("text/html"));
        if response.status != 200 || !is_html {
            return None;
        }
        let page = Page::read(&response.body);
        let cut = |text: String, most| cut(&text, most).filter(|text| !text.is_empty());
        Some(Preview {
            title: cut(page.title?, self.settings.title_most)?,
            description: page.description.and_then(|text| cut(text, self.settings.description_most)),
            site: page.site.and_then(|text| cut(text, self.settings.title_most)),
            image: page.image.filter(|_| self.settings.pictures).and_then(|image| resolve(&url, &image)),
            url,
        })
    }

    /// The answer at an address, or where it is redirected to.
    fn fetch(&self, url: &str) -> Option<(String, Response)> {
        let mut url = url.to_owned();
        for _ in 0..=self.settings.redirects {
            let headers = vec![("accept".into(), "text/html".into())];
            // Not granted, not there, too slow, too large: there is no preview, and that is all.
            let response =
                http::fetch(&Request { method: "GET".into(), url: url.clone(), headers, body: None }).ok()?;
            if !matches!(response.status, 301 | 302 | 303 | 307 | 308) {
                return Some((url, response));
            }
            url = without_fragment(&resolve(&url, response.header("location")?)?).to_owned();
        }
        None
    }
}

/// A text in one line, cut after so many characters; `None` where nothing may be left.
fn cut(text: &str, most: usize) -> Option<String> {
    let words: Vec<&str> =
        text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()).collect();
    let line = words.join(" ");
    match line.char_indices().nth(most) {
        None => Some(line),
        Some(_) if most == 0 => None,
        Some(_) => Some(line.chars().take(most - 1).chain(['…']).collect()),
    }
}

confab_plugin_sdk::export_plugin!(LinkPreview);

#[cfg(test)]
mod tests {
    use super::*;
    use confab_plugin_sdk::testing::{self, golden};
    use serde_json::json;

    #[test]
    fn the_files_beside_the_code_say_the_truth() {
        golden::check::<LinkPreview>(env!("CARGO_MANIFEST_DIR"));
    }

    #[test]
    fn whatever_goes_wrong_the_message_goes_out() {
        let plugin = testing::plugin::<LinkPreview>(json!({}));
        for error in [http::Error::Timeout, http::Error::TooLarge, http::Error::Forbidden("no".into())] {
            http::answer("https://a.example/", Err(error));
            assert_eq!(plugin.judge("see https://a.example/"), Verdict::accept());
        }
    }

    #[test]
    fn redirections_end() {
        let headers = vec![("location".into(), "/".into())];
        http::answer("https://a.example/", Ok(Response { status: 302, headers, body: Vec::new() }));
        assert_eq!(testing::plugin::<LinkPreview>(json!({})).judge("https://a.example/"), Verdict::accept());
    }

    #[test]
    fn a_title_is_one_line_of_bounded_length() {
        assert_eq!(cut(" a\n\t b\u{0} ", 9).as_deref(), Some("a b"));
        assert_eq!(cut("äöüß", 3).as_deref(), Some("äö…"));
        assert_eq!(cut("a", 0), None);
    }
}
