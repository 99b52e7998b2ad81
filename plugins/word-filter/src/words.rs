//! Words of a text, folded so that every way of writing one gives the same.

use std::ops::Range;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::canonical_combining_class;

/// A word of a text.
pub struct Word {
    /// The word as it is compared.
    pub folded: String,
    /// Where it stands in the text, in bytes.
    pub place: Range<usize>,
}

/// The text as it is compared: without case, width, ligatures and invisible characters.
pub fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    // Upper case first: it is what makes `ß` equal to `ss`, and the final sigma to the other.
    text.nfkc().filter(|c| !invisible(*c)).flat_map(char::to_uppercase).flat_map(char::to_lowercase).nfkc().collect()
}

/// The words of a text, in order: runs of letters and digits, with the marks and invisible characters among them.
pub fn words(text: &str) -> impl Iterator<Item = Word> {
    let mut rest = text.char_indices().peekable();
    std::iter::from_fn(move || {
        let (start, first) = rest.find(|(_, c)| c.is_alphanumeric())?;
        let mut end = start + first.len_utf8();
        while let Some((at, c)) = rest.next_if(|(_, c)| c.is_alphanumeric() || mark(*c) || invisible(*c)) {
            // What is invisible belongs to a word only if the word goes on after it.
            if !invisible(c) {
                end = at + c.len_utf8();
            }
        }
        Some(Word { folded: fold(&text[start..end]), place: start..end })
    })
}

/// An accent or the like, which belongs to the character before it.
fn mark(c: char) -> bool {
    canonical_combining_class(c) != 0
}

/// Characters that leave no trace on the screen: soft hyphen, zero-width space, joiners, and their like.
fn invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{feff}')
}
