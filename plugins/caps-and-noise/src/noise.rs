//! Kinds of noise, each as a function from a text to the text without it: `None` where there is none.
//!
//! A character is what a reader takes for one (a grapheme cluster): a letter with its marks, or a family of emoji.

use unicode_normalization::char::canonical_combining_class;
use unicode_properties::{EmojiStatus, UnicodeEmoji};
use unicode_segmentation::UnicodeSegmentation;

/// Writes shouting in small letters; links keep theirs, for many lead elsewhere without.
pub fn lower(text: &str, share: f64, least: usize) -> Option<String> {
    let said = text.split_inclusive(char::is_whitespace).filter(|word| !is_link(word));
    let (mut capitals, mut cased) = (0_u32, 0_u32);
    for c in said.flat_map(str::chars) {
        capitals += u32::from(c.is_uppercase());
        cased += u32::from(c.is_uppercase() || c.is_lowercase());
    }
    if (cased as usize) < least || f64::from(capitals) < share * f64::from(cased) {
        return None;
    }
    let word = |word: &str| if is_link(word) { word.to_owned() } else { word.to_lowercase() };
    Some(text.split_inclusive(char::is_whitespace).map(word).collect())
}

/// Leaves each letter at most so many marks.
pub fn fewer_marks(text: &str, most: usize) -> Option<String> {
    if text.is_ascii() {
        return None;
    }
    let mut marks = 0;
    let fewer: String = text
        .chars()
        .filter(|c| {
            // What is invisible must not let a tower begin anew.
            if !matches!(c, '\u{34f}' | '\u{200b}'..='\u{200f}' | '\u{2060}') {
                marks = if canonical_combining_class(*c) == 0 { 0 } else { marks + 1 };
            }
            marks <= most
        })
        .collect();
    (fewer.len() < text.len()).then_some(fewer)
}

/// Leaves so many emoji.
pub fn fewer_emoji(text: &str, most: usize) -> Option<String> {
    if text.is_ascii() {
        return None;
    }
    let mut seen = 0;
    let fewer: String = text
        .graphemes(true)
        .filter(|grapheme| {
            let emoji = is_emoji(grapheme);
            seen += usize::from(emoji);
            !emoji || seen <= most
        })
        .collect();
    (seen > most).then_some(fewer)
}

/// Leaves each character at most so many times in a row. Links are left alone.
pub fn fewer_repeats(text: &str, most: usize) -> Option<String> {
    let mut fewer = String::with_capacity(text.len());
    for word in text.split_inclusive(char::is_whitespace) {
        if is_link(word) {
            fewer.push_str(word);
            continue;
        }
        let (mut last, mut times) = ("", 0);
        for grapheme in word.graphemes(true) {
            times = if grapheme == last { times + 1 } else { 1 };
            last = grapheme;
            if times <= most || !is_noise(grapheme) {
                fewer.push_str(grapheme);
            }
        }
    }
    (fewer.len() < text.len()).then_some(fewer)
}

/// Whether a character is noise where it goes on and on. Digits may be a number, and of signs people make lines, and masks.
fn is_noise(grapheme: &str) -> bool {
    match grapheme.as_bytes() {
        [byte] => byte.is_ascii_alphabetic() || b"!?.,".contains(byte),
        _ => true,
    }
}

fn is_link(word: &str) -> bool {
    word.contains("://")
}

/// Whether a reader sees a picture: by itself, or because a selector asks for it. `1`, `#` and `©` may be part of one, and
/// are none.
fn is_emoji(grapheme: &str) -> bool {
    let Some(first) = grapheme.chars().next().filter(|c| !c.is_ascii()) else { return grapheme.ends_with('\u{20e3}') };
    match first.emoji_status() {
        EmojiStatus::EmojiPresentation
        | EmojiStatus::EmojiPresentationAndModifierBase
        | EmojiStatus::EmojiPresentationAndEmojiComponent
        | EmojiStatus::EmojiPresentationAndModifierAndEmojiComponent => !grapheme.contains('\u{fe0e}'),
        EmojiStatus::EmojiModifierBase | EmojiStatus::EmojiOther | EmojiStatus::EmojiOtherAndEmojiComponent => {
            grapheme.contains('\u{fe0f}')
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shouting_is_a_share_of_the_letters_that_have_capitals() {
        assert_eq!(lower("WHY IS NOBODY HERE", 0.7, 12).as_deref(), Some("why is nobody here"));
        assert_eq!(lower("ПОЧЕМУ ВЫ МОЛЧИТЕ, ada", 0.7, 12).as_deref(), Some("почему вы молчите, ada"));
        assert_eq!(
            lower("LOOK HERE NOW https://a.example/X", 0.7, 10).as_deref(),
            Some("look here now https://a.example/X")
        );
        for calm in ["Why is Nobody Here", "NATO and WHO", "LOL", "なぜ誰もいないのですか、ここに", ""] {
            assert_eq!(lower(calm, 0.7, 12), None, "{calm}");
        }
    }

    #[test]
    fn a_letter_keeps_the_marks_that_writing_needs() {
        let tower = format!("z{}o", "\u{30d}\u{200d}".repeat(30));
        assert_eq!(fewer_marks(&tower, 4).map(|text| text.chars().filter(|c| *c == '\u{30d}').count()), Some(4));
        for written in ["ệ", "שָׁלוֹם", "مُحَمَّدٌ", "ก็ที่นี่", "किताबें", "a\u{301}\u{302}"]
        {
            assert_eq!(fewer_marks(written, 4), None, "{written}");
        }
    }

    #[test]
    fn an_emoji_is_what_a_reader_takes_for_one() {
        assert_eq!(fewer_emoji("👩‍👩‍👧🇩🇪 👍🏽 1️⃣ ❤️", 5), None);
        assert_eq!(fewer_emoji("👩‍👩‍👧🇩🇪 👍🏽 1️⃣ ❤️", 2).as_deref(), Some("👩‍👩‍👧🇩🇪   "));
        assert_eq!(fewer_emoji("© 2026 #1 ™ ❤\u{fe0e}", 0), None);
    }

    #[test]
    fn what_goes_on_and_on_is_cut() {
        assert_eq!(fewer_repeats("noooooooooo!!!!!!!!!!!", 5).as_deref(), Some("nooooo!!!!!"));
        assert_eq!(fewer_repeats("e\u{301}e\u{301}e\u{301}e\u{301}", 2).as_deref(), Some("e\u{301}e\u{301}"));
        for fine in ["10000000000", "https://a.example/--------", "......", "aaaaaa b", "--------", "********"] {
            assert_eq!(fewer_repeats(fine, 6), None, "{fine}");
        }
    }
}
