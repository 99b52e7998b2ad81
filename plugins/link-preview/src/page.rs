//! What a page says of itself: its title, its description and its picture.

use html5gum::{DefaultEmitter, StartTag, Token, Tokenizer};

/// How much of a page is read: what it says of itself stands at its beginning.
const PAGE_MAX: usize = 256 << 10;

/// What a page says of itself, each in as many words as it likes.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Its title.
    pub title: Option<String>,
    /// What it is about.
    pub description: Option<String>,
    /// The address of its picture, as the page has it.
    pub image: Option<String>,
    /// The name of the site.
    pub site: Option<String>,
}

/// What is found under the several names that there are for one thing; the earlier are preferred.
#[derive(Default)]
struct Found {
    title: [Option<String>; 3],
    description: [Option<String>; 3],
    image: [Option<String>; 2],
    site: Option<String>,
}

impl Page {
    /// Reads the head of a page.
    pub fn read(html: &[u8]) -> Self {
        let html = String::from_utf8_lossy(&html[..html.len().min(PAGE_MAX)]);
        let mut emitter = DefaultEmitter::default();
        emitter.naively_switch_states(true);
        let mut found = Found::default();
        let mut in_title = false;
        for token in Tokenizer::new_with_emitter(&*html, emitter) {
            let Ok(token) = token;
            match token {
                Token::StartTag(tag) => match &tag.name[..] {
                    b"meta" => found.meta(&tag),
                    b"title" => in_title = found.title[2].is_none(),
                    b"body" => break,
                    _ => {}
                },
                Token::EndTag(tag) if &tag.name[..] == b"title" => in_title = false,
                Token::String(text) if in_title => {
                    found.title[2].get_or_insert_default().push_str(&String::from_utf8_lossy(&text));
                }
                _ => {}
            }
        }
        let first = |names: [Option<String>; 3]| names.into_iter().flatten().find(|text| !text.trim().is_empty());
        let [image, other] = found.image;
        Self {
            title: first(found.title),
            description: first(found.description),
            image: image.or(other),
            site: found.site,
        }
    }
}

impl Found {
    fn meta<S: html5gum::SpanBound>(&mut self, tag: &StartTag<S>) {
        let attribute = |name: &str| {
            let value = tag.attributes.iter().find(|(known, _)| &known[..] == name.as_bytes())?.1;
            Some(String::from_utf8_lossy(value).into_owned())
        };
        let (Some(name), Some(content)) = (attribute("property").or_else(|| attribute("name")), attribute("content"))
        else {
            return;
        };
        let place = match name.to_ascii_lowercase().as_str() {
            "og:title" => &mut self.title[0],
            "twitter:title" => &mut self.title[1],
            "og:description" => &mut self.description[0],
            "twitter:description" => &mut self.description[1],
            "description" => &mut self.description[2],
            "og:image" | "og:image:url" => &mut self.image[0],
            "twitter:image" => &mut self.image[1],
            "og:site_name" => &mut self.site,
            _ => return,
        };
        place.get_or_insert(content);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_s_own_words_for_previews_come_first() {
        let page = Page::read(
            br#"<!doctype html><head><TITLE>Plain &amp; simple</TITLE>
            <meta name="description" content="for search"><meta property="og:title" content="For &quot;previews&quot;">
            <meta name=twitter:image content=/t.png><meta property=og:image content=/o.png></head>
            <body><title>not this one</title>"#,
        );
        assert_eq!(page.title.as_deref(), Some("For \"previews\""));
        assert_eq!(page.description.as_deref(), Some("for search"));
        assert_eq!(page.image.as_deref(), Some("/o.png"));
    }

    #[test]
    fn a_torn_or_twisted_page_is_no_trouble() {
        assert_eq!(Page::read(b"<title>half").title.as_deref(), Some("half"));
        assert_eq!(Page::read(b"<script>'<title>no</title>'</script><title>yes</title>").title.as_deref(), Some("yes"));
        assert_eq!(Page::read(b"\xff\xfe\x00<meta content"), Page::default());
        assert_eq!(Page::read("<p>".repeat(200_000).as_bytes()), Page::default());
    }
}
