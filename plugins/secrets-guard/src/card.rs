//! Payment cards: digits of the right number, from a range that an issuer has, whose last digit checks.

use std::ops::Range;

/// The places of card numbers, written together or in groups with single spaces, dashes or dots between them.
pub fn find(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(start) = text[at..].find(|c: char| c.is_ascii_digit()).map(|size| at + size) {
        let run = Run::read(text, start);
        at = run.end;
        // A number that stands in a longer word or number is no card: `x4111…`, `1.4111…`.
        if text[..start].chars().next_back().is_none_or(|c| !c.is_alphanumeric())
            && text[run.end..].chars().next().is_none_or(|c| !c.is_alphanumeric())
            && is_card(&run.digits)
        {
            found.push(start..run.end);
        }
    }
    found
}

/// Digits with at most one sign between two of them.
struct Run {
    digits: Vec<u32>,
    end: usize,
}

impl Run {
    fn read(text: &str, start: usize) -> Self {
        let mut run = Self { digits: Vec::new(), end: start };
        let mut sign = false;
        for (size, c) in text[start..].char_indices() {
            if let Some(digit) = c.to_digit(10) {
                run.digits.push(digit);
                run.end = start + size + 1;
                sign = false;
            } else if sign || !matches!(c, ' ' | '-' | '.' | '\u{a0}') {
                break;
            } else {
                sign = true;
            }
        }
        run
    }
}

/// Whether the digits are those of a card.
fn is_card(digits: &[u32]) -> bool {
    (13..=19).contains(&digits.len()) && has_issuer(digits) && luhn(digits)
}

/// Whether an issuer has numbers that begin so and are so long.
fn has_issuer(digits: &[u32]) -> bool {
    let first = |n: usize| digits[..n].iter().fold(0, |number, digit| number * 10 + digit);
    match digits.len() {
        // American Express.
        15 if matches!(first(2), 34 | 37) => true,
        // Diners Club.
        14..=19 if matches!(first(2), 36 | 38 | 39) || matches!(first(3), 300..=305 | 309) => true,
        // Visa.
        13 | 16 | 19 if first(1) == 4 => true,
        // Mastercard.
        16 if matches!(first(2), 51..=55) || matches!(first(4), 2221..=2720) => true,
        // JCB, Discover, UnionPay, RuPay, Mir and Verve.
        16..=19 => {
            matches!(first(4), 3528..=3589 | 6011 | 2200..=2204)
                || matches!(first(3), 644..=649)
                || matches!(first(2), 60 | 62 | 65 | 81 | 82)
                || matches!(first(6), 506_099..=506_198 | 650_002..=650_027)
        }
        // Maestro, where it is shorter than the others.
        13..=15 => matches!(first(2), 50 | 56..=58 | 67) || matches!(first(4), 6304),
        _ => false,
    }
}

/// The check of Luhn: every second digit from the right doubled, the sum of all digits a multiple of ten.
fn luhn(digits: &[u32]) -> bool {
    let sum = digits.iter().rev().enumerate().map(|(n, digit)| match (n % 2, digit * 2) {
        (0, _) => *digit,
        (_, doubled) if doubled > 9 => doubled - 9,
        (_, doubled) => doubled,
    });
    sum.sum::<u32>() % 10 == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(text: &str) -> Vec<&str> {
        find(text).into_iter().map(|place| &text[place]).collect()
    }

    #[test]
    fn a_card_of_each_large_issuer_is_known() {
        let cards = ["4111111111111111", "5555555555554444", "2223003122003222", "378282246310005", "6011111111111117"];
        for card in cards.into_iter().chain(["3530111333300000", "30569309025904", "6200000000000005", "4222222222222"])
        {
            assert_eq!(numbers(card), [card]);
        }
    }

    #[test]
    fn groups_belong_together_and_lists_do_not() {
        assert_eq!(numbers("card 4111 1111-1111.1111, ok"), ["4111 1111-1111.1111"]);
        assert_eq!(numbers("4111  1111 1111 1111"), Vec::<&str>::new());
    }

    #[test]
    fn what_only_looks_like_a_card_is_none() {
        for other in
            ["4111111111111112", "1234567812345670", "x4111111111111111", "41111111111111110000", "0000000000000000"]
        {
            assert_eq!(numbers(other), Vec::<&str>::new(), "{other}");
        }
    }
}
