//! Words from outside as they may stand in a log line: quoted, escaped, and cut.

use std::fmt::{self, Write};

/// The most bytes of them in one line, escapes included.
pub const BYTES_MAX: usize = 200;

/// Words from outside, for a log line: `field = %quoted(words)`. What is no plain text is escaped, so that it can neither
/// end the line nor command a terminal; past [`BYTES_MAX`] it is cut, and its length stands behind it.
pub fn quoted(words: &str) -> Quoted<'_> {
    Quoted(words)
}

/// See [`quoted`].
#[derive(Clone, Copy, Debug)]
pub struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = BYTES_MAX;
        f.write_char('"')?;
        for c in self.0.chars() {
            let escaped = match c {
                '"' | '\\' => c.escape_default().to_string(),
                '\'' => c.to_string(), // Rust would escape it, and nothing else needs that
                _ => c.escape_debug().to_string(),
            };
            let Some(rest) = left.checked_sub(escaped.len()) else {
                return write!(f, "\"… ({} bytes)", self.0.len());
            };
            left = rest;
            f.write_str(&escaped)?;
        }
        f.write_char('"')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_from_outside_stay_in_one_line_and_are_cut() {
        let shown = |words: &str| quoted(words).to_string();
        assert_eq!(shown("https://chat.example.com"), r#""https://chat.example.com""#);
        assert_eq!(shown("it's \"so\""), r#""it's \"so\"""#);
        let evil = shown("a\nWARN forged\r\u{1b}[31m\u{202e}\u{0}\u{85}");
        assert_eq!(evil, r#""a\nWARN forged\r\u{1b}[31m\u{202e}\0\u{85}""#);
        assert_eq!(shown(&"x".repeat(200)).len(), 202);
        assert_eq!(shown(&"x".repeat(15_000)), format!("\"{}\"… (15000 bytes)", "x".repeat(200)));
        for long in ["文".repeat(5000), "\n".repeat(5000), "\u{1}".repeat(5000)] {
            let shown = shown(&long);
            assert!(shown.len() < 240 && !shown.contains('\n'), "{} bytes", shown.len());
        }
    }
}
