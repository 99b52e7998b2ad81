//! What the characters of one text are read as, each looked up once in Unicode's tables: that is the larger part of a search.

use crate::letters::{ascii_look, is_letter, look, plain, small};
use std::cell::RefCell;

/// For how many characters there is room; a power of two. Two that fall together are looked up again and again.
const SLOTS: usize = 1024;

/// What the characters seen so far are read as.
#[derive(Debug, Default)]
pub struct Looks {
    seen: RefCell<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    /// For each slot the index in `known`, and one: 0 is a slot without a character. Empty until there is one.
    slots: Vec<u16>,
    known: Vec<Known>,
}

/// What a character is read as.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    c: char,
    plain: Letters,
    look: Letters,
    ascii: Option<char>,
    /// Without case, to tell whether two are the same.
    pub small: char,
    /// Whether it belongs to a word.
    pub is_letter: bool,
}

impl Looks {
    /// What a character that is not ASCII is read as; `None` where it must be looked up and `pay` says that it may not.
    pub fn of(&self, c: char, pay: impl FnOnce() -> Option<()>) -> Option<Known> {
        let mut seen = self.seen.borrow_mut();
        if seen.slots.is_empty() {
            seen.slots = vec![0; SLOTS];
        }
        let slot = (c as usize).wrapping_mul(0x9E37) % SLOTS;
        let index = usize::from(seen.slots[slot]);
        if index > 0 && seen.known[index - 1].c == c {
            return Some(seen.known[index - 1]);
        }
        pay()?;
        let known = Known::look_up(c);
        if index > 0 {
            seen.known[index - 1] = known;
        } else {
            seen.known.push(known);
            seen.slots[slot] = u16::try_from(seen.known.len()).unwrap_or(0);
        }
        Some(known)
    }
}

impl Known {
    fn look_up(c: char) -> Self {
        let mut known = Self {
            c,
            plain: Letters::default(),
            look: Letters::default(),
            ascii: ascii_look(c),
            small: small(c),
            is_letter: is_letter(c),
        };
        plain(c, |letter| known.plain.push(letter));
        if known.ascii.is_none() {
            look(c, |like| plain(like, |letter| known.look.push(letter)));
        }
        known
    }

    /// The letters that it is.
    pub fn plain(&self) -> &[char] {
        self.plain.get()
    }

    /// The letters that it looks like, where that is not one of ASCII.
    pub fn look(&self) -> &[char] {
        self.look.get()
    }

    /// The letter or digit of ASCII that it looks like.
    pub fn ascii(&self) -> Option<char> {
        self.ascii
    }
}

/// The few letters that one character is read as.
#[derive(Clone, Copy, Debug, Default)]
struct Letters {
    letters: [char; Self::MOST],
    count: usize,
}

impl Letters {
    /// The longest decomposition in Unicode has 18; what is past 8 is no word's disguise.
    const MOST: usize = 8;

    fn push(&mut self, letter: char) {
        if let Some(free) = self.letters.get_mut(self.count) {
            *free = letter;
            self.count += 1;
        }
    }

    fn get(&self) -> &[char] {
        &self.letters[..self.count]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_is_looked_up_once_and_is_what_it_is_read_as() {
        let looks = Looks::default();
        for c in ['ѕ', 'ﬁ', '日', 'ѕ'] {
            assert!(looks.of(c, || Some(())).is_some());
        }
        let known = looks.of('ѕ', || panic!("it was looked up already")).unwrap();
        assert_eq!((known.plain(), known.ascii()), (&['ѕ'][..], Some('s')));
        assert_eq!(looks.of('ﬁ', || None).unwrap().plain(), ['f', 'i']);
        assert!(looks.of('ρ', || None).is_none());
    }

    #[test]
    fn characters_that_fall_together_are_not_taken_for_one_another() {
        let looks = Looks::default();
        let all: Vec<char> = ('\u{370}'..'\u{3000}').collect();
        for c in all.iter().chain(&all) {
            assert_eq!(looks.of(*c, || Some(())).unwrap().c, *c);
        }
        assert!(looks.seen.borrow().known.len() <= SLOTS);
    }
}
