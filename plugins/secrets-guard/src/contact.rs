//! E-mail addresses and phone numbers.

use linkify::{LinkFinder, LinkKind};
use std::ops::Range;

/// The places of e-mail addresses' names: what stands before the `@`. Where the mail goes may be seen.
pub fn emails(text: &str) -> Vec<Range<usize>> {
    let mut finder = LinkFinder::new();
    finder.kinds(&[LinkKind::Email]);
    let name = |link: linkify::Link<'_>| link.as_str().find('@').map(|size| link.start()..link.start() + size);
    finder.links(text).filter_map(name).collect()
}

/// The places of phone numbers: international ones (`+49 30 901820`) with 8 to 15 digits, and national ones (`030 901820`, `(555)
/// 010-9999`) with 9 to 13 that begin with a zero or an area code in brackets.
pub fn phones(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(start) = text[at..].find(|c: char| c.is_ascii_digit() || c == '+' || c == '(').map(|size| at + size)
    {
        let end = end(text, start);
        let number = &text[start..end];
        let before = text[..start].chars().next_back();
        let apart = before.is_none_or(|c| !c.is_alphanumeric() && !matches!(c, '.' | '-' | ':' | '/'))
            && text[end..].chars().next().is_none_or(|c| !c.is_alphanumeric() && c != ':');
        if apart && is_phone(number) {
            found.push(start..end);
        }
        at = end.max(start + 1);
    }
    found
}

/// The end of the digits, with what is written between them.
fn end(text: &str, start: usize) -> usize {
    let mut end = start;
    let mut signs = 0;
    for (size, c) in text[start..].char_indices() {
        match c {
            '0'..='9' => (end, signs) = (start + size + 1, 0),
            '+' if size == 0 => {}
            ' ' | '-' | '.' | '/' | '(' | ')' | '\u{a0}' if signs < 3 => signs += 1,
            _ => break,
        }
    }
    end
}

fn is_phone(number: &str) -> bool {
    let digits = number.bytes().filter(u8::is_ascii_digit).count();
    // A date or an address of a machine has digits and signs too.
    let groups = number.split(|c: char| !c.is_ascii_digit()).filter(|group| !group.is_empty());
    let is_address = number.matches('.').count() == 3 && groups.clone().all(|group| group.len() <= 3);
    match number.chars().next() {
        Some('+') => (8..=15).contains(&digits),
        Some('(') => (9..=13).contains(&digits) && number.contains(')'),
        Some('0') => (9..=13).contains(&digits) && !is_address && groups.count() <= 5 && !number.starts_with("0."),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(text: &str) -> Vec<&str> {
        phones(text).into_iter().map(|place| &text[place]).collect()
    }

    #[test]
    fn a_phone_number_is_known_in_the_ways_people_write_it() {
        let ways = [
            "+49 30 901820",
            "+1 (555) 010-9999",
            "(555) 010-9999",
            "030 901 820 11",
            "0151/23456789",
            "+441632960961",
        ];
        for way in ways {
            assert_eq!(numbers(&format!("call {way}, please")), [way]);
        }
    }

    #[test]
    fn other_numbers_are_no_phone_numbers() {
        for other in
            ["2026-11-24 18:00", "10.0.0.1", "3.14159265358", "0.123456789", "v1.2.3", "order 1234567890", "+1", "(2)"]
        {
            assert_eq!(numbers(other), Vec::<&str>::new(), "{other}");
        }
    }

    #[test]
    fn of_an_address_the_name_is_the_secret() {
        let text = "write to ada.lovelace@example.com!";
        assert_eq!(emails(text).into_iter().map(|place| &text[place]).collect::<Vec<_>>(), ["ada.lovelace"]);
    }
}
