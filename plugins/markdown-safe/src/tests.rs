//! What the plugin promises: nothing but known tags and attributes, whatever is written.

use super::*;
use confab_plugin_sdk::Decision;
use confab_plugin_sdk::testing::{self, Trial, golden};
use html5gum::{Token, Tokenizer};
use serde_json::json;

#[test]
fn the_files_beside_the_code_say_the_truth() {
    golden::check::<MarkdownSafe>(env!("CARGO_MANIFEST_DIR"));
}

/// The HTML that is noted of a text.
fn html(plugin: &Trial<MarkdownSafe>, text: &str) -> Option<String> {
    match plugin.judge(text).decision {
        Decision::Accept(notes) => notes.into_iter().next().map(|(_, html)| serde_json::from_str(&html).unwrap()),
        other => panic!("it never does anything but accept: {other:?}"),
    }
}

fn always() -> Trial<MarkdownSafe> {
    testing::plugin(json!({ "always": true }))
}

/// Panics where HTML has a tag, an attribute or an address that is not on the list.
fn assert_safe(html: &str, text: &str) {
    const TAGS: &[&str] = &[
        "p",
        "em",
        "strong",
        "del",
        "code",
        "pre",
        "blockquote",
        "ul",
        "ol",
        "li",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "hr",
        "br",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "a",
    ];
    for token in Tokenizer::new(html) {
        let Ok(token) = token;
        match token {
            Token::StartTag(tag) => {
                let name = String::from_utf8_lossy(&tag.name).into_owned();
                assert!(TAGS.contains(&name.as_str()), "<{name}> of {text:?}: {html}");
                for (attribute, value) in &tag.attributes {
                    let (attribute, value) = (String::from_utf8_lossy(attribute), String::from_utf8_lossy(value));
                    let known = match (&*name, &*attribute) {
                        ("a", "href") => ["http:", "https:", "mailto:"].iter().any(|scheme| value.starts_with(scheme)),
                        ("a", "rel" | "target") | ("ol", "start") | ("th" | "td", "style") => true,
                        ("code", "class") => value.starts_with("language-"),
                        _ => false,
                    };
                    assert!(known, "{attribute}={value:?} of {text:?}: {html}");
                }
            }
            Token::Comment(_) | Token::Doctype(_) => panic!("{token:?} of {text:?}: {html}"),
            _ => {}
        }
    }
}

#[test]
fn no_two_nasty_things_together_make_html_that_is_not_known() {
    let nasty = [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "<a href='javascript:x'>",
        "[a](javascript:alert(1))",
        "[a](JaVaScRiPt:alert(1))",
        "[a](java\tscript:alert(1))",
        "[a](&#106;avascript:alert(1))",
        "[a](\u{1}javascript:x)",
        "![a](data:text/html;base64,AA)",
        "[a](https://a.example \"t\" onclick=x)",
        "[a](<https://a.example/\" onclick=\"x>)",
        "<https://a.example/'\"><b>>",
        "```html\" onclick=\"x\n</code><b>\n```",
        "`</code><b>`",
        "[![a](https://p.example/x)](https://a.example)",
        "[a]: javascript:x\n\n[a]",
        "[a]: https://a.example '\"><b>'\n\n[a]",
        "<!-- -->",
        "<![CDATA[<b>]]>",
        "<?php ?>",
        "<!doctype x>",
        "# <b>h</b> {#id .c onclick=x}",
        "|a|b|\n|:-|-:|\n|<b>|x|",
        "&lt;b&gt; &#60;b&#62;",
        "\u{0}<b\u{0}>",
        "> - 1. <b>",
        "[a](//a.example)",
        "[a](vbscript:x)",
        "~~<s onx=y>~~",
        "\\<b>",
        "[<b onx=y>](mailto:a@a.example)",
        "</p></td><svg/onload=x>",
    ];
    let plugin = always();
    for first in nasty {
        for second in nasty {
            for between in ["", " ", "\n", "\n\n"] {
                let text = format!("{first}{between}{second}");
                assert_safe(&html(&plugin, &text).expect("it is short"), &text);
            }
        }
    }
}

#[test]
fn a_picture_is_a_link_and_no_link_lies_in_another() {
    let noted = html(&always(), "[![alt](https://p.example/x)](https://a.example)").unwrap();
    let rel = "rel=\"nofollow noopener noreferrer\" target=\"_blank\"";
    assert_eq!(noted, format!("<p><a href=\"https://a.example\" {rel}>alt</a></p>\n"));
    let noted = html(&always(), "![alt](https://p.example/x)").unwrap();
    assert_eq!(noted, format!("<p><a href=\"https://p.example/x\" {rel}>alt</a></p>\n"));
}

#[test]
fn what_is_too_long_or_too_deep_is_not_noted() {
    let plugin = always();
    assert_eq!(html(&plugin, &"a".repeat(8193)), None);
    assert_eq!(html(&plugin, &"> ".repeat(100)), None);
    assert_eq!(html(&plugin, &format!("{}a", "1. ".repeat(100))), None);
    let references = format!("[a]: https://a.example/{}\n\n{}", "x".repeat(2000), "[a] ".repeat(1400));
    assert_eq!(html(&plugin, &references), None);
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let error = |settings| testing::configure::<MarkdownSafe>(&settings).unwrap_err();
    assert!(error(json!({ "schemes": ["JavaScript"] })).contains("JavaScript"));
    assert!(error(json!({ "schemes": ["https:"] })).contains("https:"));
}
