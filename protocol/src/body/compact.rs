//! The compact form of a JSON text: no white space between its parts, and characters as UTF-8 instead of escapes.

/// The compact form of a well-formed JSON text; `None` if it is compact as it is.
///
/// Numbers and the order of members stay as they are written. Only those escapes stay that JSON needs: of `"`, `\` and
/// control characters, and of surrogates that have no partner.
pub(super) fn compact(text: &str) -> Option<String> {
    let mut out = String::new();
    let mut copied = 0;
    let mut rest = Scanner { bytes: text.as_bytes(), at: 0, in_string: false };
    while let Some((range, with)) = rest.next_change() {
        if out.capacity() == 0 {
            out.reserve(text.len());
        }
        out.push_str(&text[copied..range.start]);
        out.extend(with);
        copied = range.end;
    }
    if copied == 0 {
        return None;
    }
    out.push_str(&text[copied..]);
    Some(out)
}

struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    in_string: bool,
}

impl Scanner<'_> {
    /// The next bytes that the compact form leaves out or writes as one character.
    fn next_change(&mut self) -> Option<(std::ops::Range<usize>, Option<char>)> {
        while let Some(byte) = self.bytes.get(self.at) {
            let start = self.at;
            self.at += 1;
            match byte {
                b'"' => self.in_string = !self.in_string,
                b' ' | b'\t' | b'\n' | b'\r' if !self.in_string => return Some((start..self.at, None)),
                b'\\' => {
                    if let Some(character) = self.escape() {
                        return Some((start..self.at, Some(character)));
                    }
                }
                _ => {}
            }
        }
        None
    }

    /// The character of the escape after a backslash, if it needs none; the scanner stands behind the escape then.
    fn escape(&mut self) -> Option<char> {
        let what = self.bytes.get(self.at).copied();
        self.at += 1;
        match what {
            Some(b'/') => Some('/'),
            Some(b'u') => {
                let first = self.hex(self.at)?;
                let (code, length) = match first {
                    0xd800..0xdc00 => (self.pair(first)?, 10),
                    _ => (first, 4),
                };
                self.at += 4;
                let character = char::from_u32(code).filter(|c| !matches!(c, '\0'..='\x1f' | '"' | '\\'))?;
                self.at += length - 4;
                Some(character)
            }
            _ => None,
        }
    }

    /// The code point of two surrogates, the first of which stands here.
    fn pair(&self, first: u32) -> Option<u32> {
        let second = self.bytes.get(self.at + 4..self.at + 6).filter(|escape| *escape == b"\\u");
        let second = second.and_then(|_| self.hex(self.at + 6)).filter(|code| (0xdc00..0xe000).contains(code))?;
        Some(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00))
    }

    fn hex(&self, at: usize) -> Option<u32> {
        let digits = std::str::from_utf8(self.bytes.get(at..at + 4)?).ok()?;
        u32::from_str_radix(digits, 16).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::compact;

    #[test]
    fn white_space_between_parts_goes_and_characters_are_written_out() {
        for (text, expected) in [
            ("{ \"a b\" :\t[ 1.50 , -0e1 ,\r\n null ] }", r#"{"a b":[1.50,-0e1,null]}"#),
            (r#""\u3042\u00e9\u0041\/""#, "\"あéA/\""),
            (r#""\ud83d\ude00 \uD83D\uDE00""#, "\"😀 😀\""),
            (r#"{"\u006b":"\\u0041 \" \n"}"#, r#"{"k":"\\u0041 \" \n"}"#),
            (r#" "\ud800\u0041" "#, r#""\ud800A""#),
            (r#" "\ud800\ud83d\ude00" "#, "\"\\ud800😀\""),
        ] {
            let found = compact(text).unwrap();
            assert_eq!(found, expected, "{text}");
            assert_eq!(compact(&found), None, "{found}");
        }
    }

    #[test]
    fn what_is_compact_or_needs_its_escapes_stays() {
        for text in [
            r#"{"text":"hi  there","n":123456789012345678901234567890}"#,
            r#""\u0000\u001f\u0022\u005c\"\\\b\n""#,
            r#""\udc00\ud800""#,
            "\"あ 😀\"",
            "null",
        ] {
            assert_eq!(compact(text), None, "{text}");
        }
    }

    #[test]
    fn the_value_is_the_same() {
        let text = r#" [ "\u00e4\u2028\uffff\ud834\udd1e\/\u007f", { "a\u0020b" : [ ] } , 1e5 ] "#;
        let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(read(&compact(text).unwrap()), read(text));
    }
}
