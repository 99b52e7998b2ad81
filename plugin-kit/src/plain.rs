//! Plain text: what may stand in a line of hub.toml, of a log or of a terminal, and cannot end it, colour it or turn it around.

use serde_json::Value;
use std::borrow::Cow;

/// The longest text of a manifest, in bytes.
pub const TEXT_MAX: usize = 1024;

/// What is wrong with a text that a plugin's file brings along; nothing, where it is plain.
pub fn check(text: &str) -> Result<(), String> {
    if text.len() > TEXT_MAX {
        return Err(format!("it has {} bytes, at most {TEXT_MAX} are allowed", text.len()));
    }
    match text.chars().find(|c| !is_plain(*c)) {
        Some(c) => Err(format!("it contains {:?}, a control character", c)),
        None => Ok(()),
    }
}

/// Whether a character neither steers a terminal, nor ends a line, nor changes in which order others are shown.
fn is_plain(c: char) -> bool {
    !c.is_control()
        && !matches!(c,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// The same for every text of a settings' schema, names included. Descriptions may have several lines.
pub fn check_schema(schema: &Value) -> Result<(), String> {
    let line = |text: &str| match text.chars().find(|c| !is_plain(*c) && *c != '\n') {
        Some(c) => Err(format!("it contains {:?}, a control character", c)),
        None => Ok(()),
    };
    match schema {
        Value::String(text) => line(text),
        Value::Array(list) => list.iter().try_for_each(check_schema),
        Value::Object(table) => table.iter().try_for_each(|(name, value)| {
            check(name)?;
            check_schema(value)
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
    }
}

/// A text in one line: what is not plain, and every run of spaces, is one space.
pub fn line(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || !is_plain(c)).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ")
}

/// A text for a log or a terminal: what is not plain is written as Rust would write it.
pub fn escaped(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_plain) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match is_plain(c) {
            true => escaped.push(c),
            false => escaped.extend(c.escape_default()),
        }
    }
    Cow::Owned(escaped)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_could_end_a_line_steer_a_terminal_or_turn_text_around_is_not_plain() {
        for text in ["Slows people down", "Größe, 日本語, مرحبا, 👩‍👩‍👧", "a # [b] = \"c\" 'd' \\"]
        {
            assert_eq!(check(text), Ok(()), "{text}");
        }
        for c in [
            '\n', '\r', '\u{1b}', '\0', '\u{7f}', '\u{85}', '\u{9b}', '\u{2028}', '\u{2029}', '\u{202e}', '\u{2066}',
            '\u{feff}',
        ] {
            assert!(check(&format!("a{c}b")).is_err(), "{c:?}");
        }
        assert!(check(&"x".repeat(TEXT_MAX + 1)).is_err());
    }

    #[test]
    fn a_schema_is_plain_in_names_and_values_alike() {
        assert_eq!(check_schema(&json!({ "properties": { "a": { "description": "one\ntwo" } } })), Ok(()));
        assert!(check_schema(&json!({ "properties": { "a\nb": {} } })).is_err());
        assert!(check_schema(&json!({ "enum": ["\u{1b}[2J"] })).is_err());
    }

    #[test]
    fn what_is_not_plain_is_escaped() {
        assert_eq!(escaped("a\u{1b}[2J\nb\u{202e}"), "a\\u{1b}[2J\\nb\\u{202e}");
        assert_eq!(escaped("Größe 日本"), "Größe 日本");
    }

    #[test]
    fn a_text_is_brought_into_one_line() {
        assert_eq!(line(" one\n[[room]]\u{1b} \u{2028}two "), "one [[room]] two");
    }
}
