//! Bodies: reading them, and changing what was said without touching anything else.

use crate::Event;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::ops::Range;

/// A string somewhere in a body. The names of members are none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BodyString<'e> {
    /// What it says.
    pub value: Cow<'e, str>,
    /// Whether it is the event's `text`.
    pub is_text: bool,
    /// Where its literal stands in the body.
    place: Range<usize>,
}

impl Event {
    /// Reads the body into `T`.
    pub fn read<'a, T: Deserialize<'a>>(&'a self) -> Result<T, serde_json::Error> {
        serde_json::from_str(&self.body)
    }

    /// Every string of the body, at whatever depth: the `text` first, if there is one, then the others as they stand. Whoever
    /// shows a body may show any of them, so a plugin that looks for what must not be said looks here.
    pub fn strings(&self) -> Vec<BodyString<'_>> {
        let mut strings = self.in_order();
        if let Some(text) = strings.iter().position(|string| string.is_text) {
            strings[..=text].rotate_right(1);
        }
        strings
    }

    /// The body with other strings: `change` is asked about each of them, in the order of the body, and `None` leaves one as it
    /// is. Every other byte stays. `None` if no string is changed.
    pub fn with_strings(&self, mut change: impl FnMut(&BodyString<'_>) -> Option<String>) -> Option<String> {
        let mut body = String::with_capacity(self.body.len());
        let mut end = 0;
        for string in self.in_order() {
            let Some(new) = change(&string) else { continue };
            body.push_str(&self.body[end..string.place.start]);
            body.push_str(&serde_json::to_string(&new).ok()?);
            end = string.place.end;
        }
        body.push_str(&self.body[end..]);
        (end > 0).then_some(body)
    }

    /// The body with another `text`; every other byte stays as it is. `None` if the body has no `text` to replace.
    pub fn with_text(&self, text: &str) -> Option<String> {
        #[derive(Deserialize)]
        struct Said<'a> {
            #[serde(borrow)]
            text: &'a RawValue,
        }
        self.text.as_ref()?;
        let old = self.read::<Said<'_>>().ok()?.text.get();
        // `old` is a part of the body, so its place is the distance between the two.
        let start = old.as_ptr().addr() - self.body.as_ptr().addr();
        let new = serde_json::to_string(text).ok()?;
        Some([&self.body[..start], &new, &self.body[start + old.len()..]].concat())
    }

    fn in_order(&self) -> Vec<BodyString<'_>> {
        let body = self.body.as_str();
        let mut strings = Vec::new();
        let mut depth = 0_usize;
        // Whether what comes next is the value of the outermost object's member `text`.
        let mut is_text = false;
        let mut at = 0;
        while let Some(byte) = body.as_bytes().get(at) {
            match byte {
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth = depth.saturating_sub(1),
                b',' if depth == 1 => is_text = false,
                b'"' => {
                    let place = at..end_of_literal(body, at);
                    let is_name = body[place.end..].trim_start().starts_with(':');
                    if is_name && depth == 1 {
                        is_text = unescaped(&body[place.clone()]) == "text";
                    } else if !is_name {
                        let is_text = is_text && depth == 1;
                        // The hub has read it already.
                        let read = self.text.as_deref().filter(|_| is_text).map(Cow::Borrowed);
                        let value = read.unwrap_or_else(|| unescaped(&body[place.clone()]));
                        strings.push(BodyString { value, is_text, place: place.clone() });
                    }
                    at = place.end;
                    continue;
                }
                _ => {}
            }
            at += 1;
        }
        strings
    }
}

/// The place after a string's literal that begins here.
fn end_of_literal(body: &str, start: usize) -> usize {
    let mut escaped = false;
    let inside = body.as_bytes()[start + 1..].iter().position(|byte| match byte {
        _ if escaped => {
            escaped = false;
            false
        }
        b'\\' => {
            escaped = true;
            false
        }
        byte => *byte == b'"',
    });
    inside.map_or(body.len(), |size| start + 1 + size + 1)
}

/// What a string's literal says. A literal that is none, which no body of the hub's has, says what stands there.
fn unescaped(literal: &str) -> Cow<'_, str> {
    match literal.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(plain) if !plain.contains('\\') => Cow::Borrowed(plain),
        _ => serde_json::from_str(literal).map_or(Cow::Borrowed(literal), Cow::Owned),
    }
}

#[cfg(test)]
mod tests {
    use crate::testing;

    #[test]
    fn another_text_leaves_every_other_byte_alone() {
        let mut event = testing::event("hi");
        event.body = r#" {"n": 1.0000000000000000001, "text" : "h\u0069","x":{"text":"hi"}} "#.into();
        let body = event.with_text("a \"word\"").unwrap();
        assert_eq!(body, r#" {"n": 1.0000000000000000001, "text" : "a \"word\"","x":{"text":"hi"}} "#);
    }

    #[test]
    fn a_body_without_a_text_has_none_to_replace() {
        let mut event = testing::event("hi");
        event.text = None;
        event.body = r#"{"poll":["a","b"]}"#.into();
        assert_eq!(event.with_text("x"), None);
    }

    fn strings(body: &str) -> Vec<(String, bool)> {
        let mut event = testing::event("");
        event.text = None;
        event.body = body.into();
        event.strings().into_iter().map(|string| (string.value.into_owned(), string.is_text)).collect()
    }

    #[test]
    fn every_string_of_a_body_is_read_the_text_first() {
        let said = |value: &str, is_text| (value.to_owned(), is_text);
        assert_eq!(strings(r#""spam""#), [said("spam", false)]);
        assert_eq!(strings(r#"["a", ["b"], 1, null]"#), [said("a", false), said("b", false)]);
        let body =
            r#" {"a\"": "x\"\\", "n": 1e5, "in": {"text": "deep"}, "te\u0078t" : "h\u0069", "list": ["{", "text"]} "#;
        let all = [said("hi", true), said("x\"\\", false), said("deep", false), said("{", false), said("text", false)];
        assert_eq!(strings(body), all);
        assert_eq!(strings(r#"["text", "a"]"#), [said("text", false), said("a", false)]);
        assert_eq!(strings(r#"{"text": ["a"], "b": {"text": 1}}"#), [said("a", false)]);
        assert_eq!(strings("null"), []);
    }

    #[test]
    fn strings_are_changed_where_they_stand() {
        let mut event = testing::event("spam");
        event.body = r#"{ "n": 1.00, "text": "sp\u0061m", "extra": {"spam": ["spam", "h\u0061m"]} }"#.into();
        let masked = event.with_strings(|string| (string.value == "spam").then(|| "\"**\"".into())).unwrap();
        assert_eq!(masked, r#"{ "n": 1.00, "text": "\"**\"", "extra": {"spam": ["\"**\"", "h\u0061m"]} }"#);
        assert_eq!(event.with_strings(|_| None), None);
    }
}
