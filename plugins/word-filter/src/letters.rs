//! Characters of a text: which are letters, which cannot be seen, and which letters one is or looks like.

use unicode_normalization::char::{decompose_compatible, is_combining_mark};

/// Whether a character belongs to a word: letters, digits, and marks without which a script cannot be read, such as the vowels
/// of Hindi and Thai.
pub fn is_letter(c: char) -> bool {
    c.is_alphanumeric() || (c >= '\u{300}' && is_combining_mark(c) && !is_decoration(c))
}

/// A character without case, to tell whether two are the same.
pub fn small(c: char) -> char {
    if c.is_ascii() { c.to_ascii_lowercase() } else { c.to_lowercase().next().unwrap_or(c) }
}

/// Whether a character leaves no trace on the screen: soft hyphen, zero-width space, joiners, variation selectors, tags and
/// their like (Unicode's `Default_Ignorable_Code_Point`).
pub fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
        | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{fff0}'..='\u{fff8}'
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Whether a mark only decorates the letter before it: an accent, a stroke, an optional vowel point.
pub fn is_decoration(c: char) -> bool {
    matches!(c,
        '\u{300}'..='\u{36f}' | '\u{483}'..='\u{489}' | '\u{591}'..='\u{5c7}' | '\u{610}'..='\u{61a}' | '\u{64b}'..='\u{65f}'
        | '\u{670}' | '\u{6d6}'..='\u{6ed}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}'
        | '\u{fe20}'..='\u{fe2f}')
}

/// The letters that a character is, without case, width, ligatures and decoration; none for what cannot be seen.
pub fn plain(c: char, mut each: impl FnMut(char)) {
    if c.is_ascii() {
        return each(c.to_ascii_lowercase());
    }
    decompose_compatible(c, |part| fold(part, &mut each));
}

/// A character without case. Upper case comes first: it makes `ß` equal to `ss`, and the final sigma to the other.
fn fold(c: char, each: &mut impl FnMut(char)) {
    for folded in c.to_uppercase().flat_map(char::to_lowercase) {
        if !is_decoration(folded) && !is_invisible(folded) {
            each(folded);
        }
    }
}

/// The characters that a character which is not ASCII looks like, by Unicode's table of confusables (UTS #39). Their case is
/// that of the look: `н` looks like `H`, if a small one, and not like `h`.
pub fn look(c: char, mut each: impl FnMut(char)) {
    decompose_compatible(c, |part| {
        if part.is_ascii() {
            return each(part);
        }
        let mut buffer = [0; 4];
        let mut like = unicode_security::skeleton(part.encode_utf8(&mut buffer)).filter(|c| !is_decoration(*c));
        match (like.next(), like.next(), like.next()) {
            // The table has one entry for `m` and `rn`: what looks like both is, being one character, an `m`.
            (Some('r'), Some('n'), None) => each('m'),
            (first, second, third) => {
                [first, second, third].into_iter().flatten().chain(like).map(capital).for_each(&mut each);
            }
        }
    });
}

/// The capital that a small capital is; other characters are themselves. The table of confusables has `ʍ` for `м`.
fn capital(c: char) -> char {
    const SMALL: &str = "ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘꞯʀꜱᴛᴜᴠᴡʏᴢĸʍ";
    const LARGE: &str = "ABCDEFGHIJKLMNOPQRSTUVWYZKM";
    SMALL.chars().zip(LARGE.chars()).find(|(small, _)| *small == c).map_or(c, |(_, large)| large)
}

/// The ASCII character that another looks like, if it is one.
pub fn ascii_look(c: char) -> Option<char> {
    let mut found = None;
    let mut count = 0;
    look(c, |like| (found, count) = (Some(like), count + 1));
    found.filter(|like| count == 1 && like.is_ascii_alphanumeric())
}

/// The letters that a digit or sign is read as where it stands among letters: `0` and `1` always, and the others in
/// "leetspeak".
pub fn stand_ins(c: char, leetspeak: bool) -> &'static str {
    match c {
        '0' => "o",
        '1' => "li",
        _ if !leetspeak => "",
        '!' | '|' => "il",
        '4' | '@' => "a",
        '3' => "e",
        '5' | '$' => "s",
        '7' | '+' => "t",
        '8' => "b",
        '6' | '9' => "g",
        '2' => "z",
        '(' => "c",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plainly(text: &str) -> String {
        let mut letters = String::new();
        text.chars().for_each(|c| plain(c, |letter| letters.push(letter)));
        letters
    }

    fn looks(text: &str) -> String {
        let mut letters = String::new();
        text.chars().for_each(|c| look(c, |letter| letters.push(letter)));
        letters
    }

    #[test]
    fn case_width_ligatures_and_decoration_make_no_difference() {
        assert_eq!(plainly("ＳｐＡm ﬁ Straße Σς nai\u{308}ve é Ё s\u{336}"), "spam fi strasse σσ naive e е s");
        assert_eq!(plainly("s\u{200b}p\u{e0041}\u{ad}"), "sp");
    }

    #[test]
    fn a_look_alike_is_known_in_its_own_case() {
        assert_eq!(looks("ѕраm"), "spam");
        assert_eq!(looks("𝖘𝓹Ａ𝕞"), "spAm");
        assert_eq!(looks("ꜱᴘᴀᴍ м"), "sPAM M");
        assert_eq!((ascii_look('Н'), ascii_look('н'), ascii_look('ν')), (Some('H'), Some('H'), Some('v')));
        assert_eq!(ascii_look('д'), None);
    }
}
