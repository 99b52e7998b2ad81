//! Notes which links a message contains, and where they really lead.
//!
//! The annotation `links` is a list of `{"host", "path", "display"}`. `display` is the link as a client may show it:
//! without user name and password, in plain ASCII, so that neither look-alike letters nor turned-around text can
//! pretend to be another host. The body is never altered.

mod link;

use confab_plugin_sdk::{Context, Event, Plugin, Verdict};
use link::Link;
use linkify::{LinkFinder, LinkKind};
use serde::Deserialize;

/// The note-taker, ready to judge.
#[derive(Debug)]
pub struct LinkNotes {
    most: usize,
}

/// `[plugin.<name>.settings]` in hub.toml.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// How many links of a message are noted.
    most: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { most: 16 }
    }
}

impl Plugin for LinkNotes {
    type Settings = Settings;

    fn configure(settings: Settings) -> Result<Self, String> {
        Ok(Self { most: settings.most })
    }

    fn judge(&self, event: &Event, _context: &Context) -> Verdict {
        let mut finder = LinkFinder::new();
        finder.kinds(&[LinkKind::Url]).url_must_have_scheme(false);
        let mut links: Vec<Link> = Vec::new();
        for string in event.strings() {
            let found = finder.links(&string.value).filter_map(|link| Link::read(link.as_str()));
            links.extend(found.take(self.most - links.len()));
        }
        if links.is_empty() { Verdict::accept() } else { Verdict::accept().annotate("links", &links) }
    }
}

confab_plugin_sdk::export_plugin!(LinkNotes);

#[cfg(test)]
mod tests {
    use super::*;
    use confab_plugin_sdk::Decision;
    use confab_plugin_sdk::testing::{self, Trial, golden};
    use serde_json::{Value, json};

    #[test]
    fn the_files_beside_the_code_say_the_truth() {
        golden::check::<LinkNotes>(env!("CARGO_MANIFEST_DIR"));
    }

    /// What is noted of a text.
    fn notes(settings: Value, text: &str) -> Option<Value> {
        let plugin: Trial<LinkNotes> = testing::plugin(settings);
        match plugin.judge(text).decision {
            Decision::Accept(notes) => notes.into_iter().next().map(|(_, value)| value.parse().unwrap()),
            other => panic!("it never does anything but accept: {other:?}"),
        }
    }

    #[test]
    fn links_are_noted_with_host_path_and_a_form_to_show() {
        let noted = notes(json!({}), "see https://Example.com/a?b=1 (and docs.rs/linkify), mail me@example.com");
        let expected = json!([
            { "host": "example.com", "path": "/a?b=1", "display": "example.com/a?b=1" },
            { "host": "docs.rs", "path": "/linkify", "display": "docs.rs/linkify" },
        ]);
        assert_eq!(noted, Some(expected));
    }

    #[test]
    fn a_message_without_links_is_left_alone() {
        assert_eq!(notes(json!({}), "nothing to see."), None);
    }

    #[test]
    fn no_more_links_are_noted_than_the_settings_say() {
        let only = json!([{ "host": "a.example", "path": "", "display": "a.example" }]);
        assert_eq!(notes(json!({ "most": 1 }), "http://a.example http://b.example"), Some(only));
    }
}
