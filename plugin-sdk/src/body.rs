//! Bodies: reading them, and changing what was said without touching anything else.

use crate::Event;
use serde::Deserialize;
use serde_json::value::RawValue;

impl Event {
    /// Reads the body into `T`.
    pub fn read<'a, T: Deserialize<'a>>(&'a self) -> Result<T, serde_json::Error> {
        serde_json::from_str(&self.body)
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
}
