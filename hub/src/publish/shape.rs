//! What a room wants to be said in it: bodies that have a text, and reactions that are one.

use confab_config::{BodyShape, Reactions, RoomSettings};
use confab_protocol::{Body, Draft, Kind, Refusal};
use serde::Deserialize;
use std::borrow::Cow;
use unicode_properties::UnicodeEmoji;
use unicode_segmentation::UnicodeSegmentation;

/// The longest short name of a reaction, in characters: `:party_parrot:` without its colons.
const NAME_MAX: usize = 32;

/// Refuses a draft whose body has another shape than its room wants.
pub fn check(draft: &Draft, room: &RoomSettings) -> Result<(), Refusal> {
    match draft.kind {
        Kind::Message | Kind::Edit if room.body == BodyShape::Text && draft.body.text_here().is_none() => {
            Err(Refusal::BadRequest("here a body is an object with a string `text`".into()))
        }
        Kind::Reaction if room.reactions == Reactions::Emoji && !is_reaction(&draft.body) => {
            Err(Refusal::BadRequest("here a reaction is one emoji, or a short name such as `:tada:`".into()))
        }
        // What stands can be taken back, whatever it is.
        Kind::Message | Kind::Edit | Kind::Reaction | Kind::Unreaction | Kind::Delete => Ok(()),
    }
}

fn is_reaction(body: &Body) -> bool {
    #[derive(Deserialize)]
    struct Reaction<'a> {
        #[serde(borrow)]
        reaction: Cow<'a, str>,
    }
    body.read::<Reaction<'_>>().is_ok_and(|said| is_name(&said.reaction) || is_emoji(&said.reaction))
}

/// Whether it is a short name, with colons around it or without.
fn is_name(text: &str) -> bool {
    let name = text.strip_prefix(':').and_then(|rest| rest.strip_suffix(':')).unwrap_or(text);
    (1..=NAME_MAX).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_+-".contains(&byte))
}

/// Whether it is one emoji, with all that belongs to it: joiners, colours of skin and hair, selectors, flags, keycaps.
fn is_emoji(text: &str) -> bool {
    let mut clusters = text.graphemes(true);
    let (Some(cluster), None) = (clusters.next(), clusters.next()) else { return false };
    let part = |c: char| {
        c.is_emoji_char() || matches!(c, '\u{200d}' | '\u{20e3}' | '\u{fe0e}' | '\u{fe0f}' | '\u{e0020}'..='\u{e007f}')
    };
    // Digits belong to keycaps alone.
    let seen = cluster.chars().next().is_some_and(|first| first.is_emoji_char() && !first.is_ascii());
    (seen || cluster.ends_with('\u{20e3}')) && cluster.chars().all(part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use confab_protocol::{Key, Room};

    fn draft(kind: Kind, body: serde_json::Value) -> Draft {
        let room = Room::new("a").unwrap();
        Draft { kind, room, key: Key::fresh(), body: Body::of(&body), target: None, thread: None }
    }

    fn reacts(text: &str) -> bool {
        check(&draft(Kind::Reaction, serde_json::json!({ "reaction": text })), &RoomSettings::default()).is_ok()
    }

    #[test]
    fn a_reaction_is_one_emoji_or_a_short_name() {
        for emoji in ["👍", "👍🏽", "❤", "❤️", "👩‍👩‍👧", "🇩🇪", "1️⃣", "#️⃣", "🏴󠁧󠁢󠁳󠁣󠁴󠁿", "🧑🏿‍❤️‍💋‍🧑🏻", "🏳️‍🌈", "©️"]
        {
            assert!(reacts(emoji), "{emoji}");
        }
        for name in ["tada", ":tada:", "+1", ":-1:", "party_parrot", "100"] {
            assert!(reacts(name), "{name}");
        }
    }

    #[test]
    fn an_advertisement_is_no_reaction() {
        let long = "a".repeat(33);
        for text in [
            "buy now",
            "Spam",
            "http://a.example",
            "a.example",
            "👍👍",
            "👍!",
            "",
            ":",
            "::",
            ":a",
            "日本",
            "👍\u{301}",
            "\u{200d}",
            "\u{fe0f}",
            "🇩🇪🇫🇷",
            &long,
            "a\u{200b}",
            "<b>",
        ] {
            assert!(!reacts(text), "{text}");
        }
    }

    #[test]
    fn a_rule_may_allow_any_reaction_and_taking_one_back_is_always_allowed() {
        let any = RoomSettings { reactions: Reactions::Any, ..RoomSettings::default() };
        assert!(check(&draft(Kind::Reaction, serde_json::json!({ "reaction": "buy now" })), &any).is_ok());
        let back = draft(Kind::Unreaction, serde_json::json!({ "reaction": "buy now" }));
        assert!(check(&back, &RoomSettings::default()).is_ok());
    }

    #[test]
    fn a_room_may_want_a_text_of_every_body() {
        let wants = RoomSettings { body: BodyShape::Text, ..RoomSettings::default() };
        for kind in [Kind::Message, Kind::Edit] {
            for body in [
                serde_json::json!("spam"),
                serde_json::json!(["spam"]),
                serde_json::json!({ "message": "spam" }),
                serde_json::json!({ "text": 1 }),
            ] {
                assert!(check(&draft(kind, body.clone()), &wants).is_err(), "{body}");
                assert!(check(&draft(kind, body), &RoomSettings::default()).is_ok());
            }
            assert!(check(&draft(kind, serde_json::json!({ "text": "hi", "extra": 1 })), &wants).is_ok());
        }
        assert!(check(&draft(Kind::Delete, serde_json::Value::Null), &wants).is_ok());
    }
}
