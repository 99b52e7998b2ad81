//! Finding the words of a [`Lexicon`] in a text, however they are written.

use crate::letters::{is_decoration, is_invisible, is_letter, small, stand_ins};
use crate::lexicon::{End, GAP, Lexicon, Node, Tree, twin};
use crate::looks::{Known, Looks};
use std::cell::Cell;
use std::ops::Range;

/// How many signs may stand between two letters of a word that is taken apart, or between two words of a phrase.
const GAP_MAX: usize = 8;
/// How many of one letter make it a letter that is drawn out.
const DRAWN_OUT: usize = 3;

/// How many steps the searches of one message may take, whatever its length: about 2 ms. A step is one character looked at in one
/// way. The largest body of natural language, in any script, takes a third of it; a text that takes more was made to leave very
/// many ways to read it.
const STEPS_MAX: u32 = 30_000;

/// How many steps it costs to look a character up in Unicode's tables.
const LOOK_UP: u32 = 20;

/// The text leaves more ways to read it than are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable;

/// What the searches of one message have taken so far, and have found out.
pub struct Effort {
    /// How many steps are left.
    steps: Cell<u32>,
    looks: Looks,
}

impl Default for Effort {
    fn default() -> Self {
        Self { steps: Cell::new(STEPS_MAX), looks: Looks::default() }
    }
}

/// How texts are read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reading {
    /// Letters that only look like others are read as those.
    pub look_alikes: bool,
    /// Digits and signs are read as letters.
    pub leetspeak: bool,
    /// A letter that is drawn out is read as one or as many as the word has.
    pub repeats: bool,
    /// Words that are taken apart by signs or spaces are put together.
    pub split: bool,
}

/// The places of all words of the lexicon, in order and apart.
pub fn find(lexicon: &Lexicon, reading: Reading, text: &str, effort: &Effort) -> Result<Vec<Range<usize>>, Unreadable> {
    let search = Search { lexicon, reading, text, effort };
    let mut found = Vec::new();
    let mut at = 0;
    let mut in_word = false;
    let whole_only = lexicon.parts.is_empty();
    while let Some(byte) = text.as_bytes().get(at) {
        if in_word && whole_only && byte.is_ascii_alphanumeric() {
            at += 1; // no word begins inside another
            continue;
        }
        let (c, letter) = if byte.is_ascii() {
            (char::from(*byte), byte.is_ascii_alphanumeric())
        } else {
            let c = search.char_at(at).unwrap_or_default();
            // Marks and what is invisible neither begin a word nor end it.
            (c, is_letter(c) || (in_word && !is_visible(c)))
        };
        let size = c.len_utf8();
        match search.begin(at, c, in_word) {
            Some(place) => {
                at = place.end.max(at + size);
                in_word = search.goes_on(at);
                found.push(place);
            }
            None => (at, in_word) = (at + size, letter),
        }
        if effort.steps.get() == 0 {
            return Err(Unreadable);
        }
    }
    Ok(found)
}

struct Search<'a> {
    lexicon: &'a Lexicon,
    reading: Reading,
    text: &'a str,
    effort: &'a Effort,
}

/// How far one way of reading has come.
#[derive(Clone, Copy)]
struct Trail<'a> {
    tree: &'a Tree,
    node: Node,
    /// The place after what was read.
    at: usize,
    /// Whether a character was read as the letter that it is or looks like, and not only digits and signs.
    genuine: bool,
    /// The last character, without case.
    last: char,
    /// How many letters were read since the last gap.
    piece: usize,
}

impl<'a> Search<'a> {
    /// The word that begins at a place, if one does.
    fn begin(&self, at: usize, c: char, in_word: bool) -> Option<Range<usize>> {
        let from = |tree: &'a Tree| self.walk(Trail { tree, node: 0, at, genuine: false, last: GAP, piece: 0 });
        let mut end = None;
        if !in_word && self.lexicon.words.may_begin(c) && self.may_be_word(at) {
            end = from(&self.lexicon.words);
        }
        if end.is_none() && self.lexicon.parts.may_begin(c) {
            let end = from(&self.lexicon.parts)?;
            // What the `*` before the word stands for belongs to it.
            return Some(self.word_start(at)..end);
        }
        end.map(|end| at..end)
    }

    /// Whether a word of the list may begin here, by a look at letters that can only be read as themselves: the tree is
    /// followed as far as there is one way. Most words of a text end here.
    fn may_be_word(&self, at: usize) -> bool {
        let tree = &self.lexicon.words;
        let mut node = 0;
        let mut last = 0;
        for (byte, at) in self.text.as_bytes()[at..].iter().zip(at..) {
            let c = char::from(*byte);
            let open = self.lexicon.is_itself(c) || (self.lexicon.is_itself_openly(c) && !self.is_disguised(at, c));
            // The same letter twice may be one that is drawn out.
            if !open || byte.eq_ignore_ascii_case(&last) {
                return true;
            }
            match tree.step(node, c.to_ascii_lowercase()) {
                None => return false,
                Some(next) if tree.end(next) != End::default() => return true,
                Some(next) => (node, last) = (next, *byte),
            }
        }
        true
    }

    /// The end of the longest word that can be read from here.
    fn walk(&self, mut trail: Trail<'a>) -> Option<usize> {
        self.spend(1)?;
        let mut end = self.ends(&trail);
        if trail.piece > 0 {
            trail.at = self.pass_over(trail.at, |c| !is_visible(c));
        }
        let Some(c) = self.char_at(trail.at) else { return end };
        let after = trail.at + c.len_utf8();
        let known = if c.is_ascii() { None } else { Some(self.effort.looks.of(c, || self.spend(LOOK_UP))?) };
        let last = known.as_ref().map_or(c.to_ascii_lowercase(), |known| known.small);
        let is_letter = known.as_ref().map_or(c.is_ascii_alphanumeric(), |known| known.is_letter);
        self.readings(c, known.as_ref(), trail.at, |letters, genuine| {
            let Some(node) = letters.iter().try_fold(trail.node, |node, letter| trail.tree.step(node, *letter)) else {
                return;
            };
            let genuine = trail.genuine || genuine;
            end = end.max(self.walk(Trail { node, at: after, genuine, last, piece: trail.piece + 1, ..trail }));
        });
        if self.reading.repeats && trail.piece > 0 && last == trail.last {
            let rest = self.drawn_out(&trail);
            end = end.max(rest.and_then(|at| self.walk(Trail { at, ..trail })));
        }
        if trail.piece > 0 && !is_letter {
            end = end.max(self.cross(&trail));
        }
        end
    }

    /// Goes on after signs or spaces: to the next word of a phrase, or to the rest of a word that is taken apart.
    fn cross(&self, trail: &Trail<'a>) -> Option<usize> {
        self.spend(1)?;
        let gap = self.text[trail.at..].char_indices().take(GAP_MAX + 1);
        let next = gap.skip_while(|(_, c)| !is_letter(*c)).map(|(size, _)| trail.at + size).next()?;
        let over = Trail { at: next, last: GAP, piece: 0, ..*trail };
        let phrase = trail.tree.step(trail.node, GAP).and_then(|node| self.walk(Trail { node, ..over }));
        let spaced = self.text[trail.at..next].contains(char::is_whitespace);
        let together = self.reading.split && (!spaced || (trail.piece == 1 && self.is_single(next)));
        phrase.max(if together { self.walk(over) } else { None })
    }

    /// Each way to read a character: letters, and whether it is or looks like them.
    fn readings(&self, c: char, known: Option<&Known>, at: usize, mut each: impl FnMut(&[char], bool)) {
        if self.lexicon.is_itself(c) {
            return each(&[c.to_ascii_lowercase()], true);
        }
        match known {
            Some(known) => each(known.plain(), known.is_letter),
            None => each(&[c.to_ascii_lowercase()], c.is_ascii_alphanumeric()),
        }
        if !self.reading.look_alikes {
            return;
        }
        let like = match known {
            None => c,
            Some(known) => match known.ascii() {
                Some(like) => like,
                None => return each(known.look(), true),
            },
        };
        if !c.is_ascii() {
            each(&[like.to_ascii_lowercase()], true);
        }
        self.lexicon.foreign(like).for_each(|letter| each(&[letter], true));
        if let Some(twin) = twin(like).filter(|_| !c.is_ascii() || self.is_disguised(at, c)) {
            each(&[twin], true);
        }
        for letter in stand_ins(like, self.reading.leetspeak).chars() {
            each(&[letter], false);
        }
    }

    /// Whether an `I` stands where a small letter would, or an `l` where a capital would.
    fn is_disguised(&self, at: usize, c: char) -> bool {
        let (before, after) = (self.text[..at].chars().next_back(), self.text[at + 1..].chars().next());
        match c {
            'I' => before.is_some_and(char::is_lowercase),
            _ => before.is_some_and(char::is_uppercase) || after.is_some_and(char::is_uppercase),
        }
    }

    /// Where the characters end that only draw the last one out, if it is drawn out.
    fn drawn_out(&self, trail: &Trail<'a>) -> Option<usize> {
        let mut end = trail.at;
        let mut more = 0;
        for (size, c) in self.text[trail.at..].char_indices() {
            self.spend(1)?;
            if !is_visible(c) {
                continue;
            }
            if small(c) != trail.last {
                break;
            }
            end = trail.at + size + c.len_utf8();
            more += 1;
        }
        let mut before = 0;
        for c in self.text[..trail.at].chars().rev() {
            if before + more >= DRAWN_OUT {
                break;
            }
            self.spend(1)?;
            match is_visible(c) {
                true if small(c) == trail.last => before += 1,
                true => break,
                false => {}
            }
        }
        (more > 0 && before + more >= DRAWN_OUT).then_some(end)
    }

    /// Where a word of the lexicon that was read up to here ends, if one does.
    fn ends(&self, trail: &Trail<'a>) -> Option<usize> {
        let end = trail.tree.end(trail.node);
        if end == End::default() || !trail.genuine || trail.piece == 0 {
            return None;
        }
        let at = self.pass_over(trail.at, is_decoration);
        if end.open {
            return Some(self.word_end(at));
        }
        (end.whole && !self.goes_on(at)).then_some(at)
    }

    /// Whether a word goes on at a place, past what cannot be seen.
    fn goes_on(&self, at: usize) -> bool {
        self.char_at(self.pass_over(at, |c| !is_visible(c))).is_some_and(is_letter)
    }

    /// Whether the word at a place has only one letter.
    fn is_single(&self, at: usize) -> bool {
        self.char_at(at).is_some_and(|c| !self.goes_on(at + c.len_utf8()))
    }

    fn word_start(&self, at: usize) -> usize {
        let mut start = at;
        for (before, c) in self.text[..at].char_indices().rev() {
            if self.spend(1).is_none() || !belongs_to_word(c) {
                break;
            }
            if is_letter(c) {
                start = before;
            }
        }
        start
    }

    fn word_end(&self, at: usize) -> usize {
        let mut end = at;
        for (size, c) in self.text[at..].char_indices() {
            if self.spend(1).is_none() || !belongs_to_word(c) {
                break;
            }
            if !is_invisible(c) {
                end = at + size + c.len_utf8();
            }
        }
        end
    }

    /// The place of the next character that is not of a kind; nothing in ASCII is.
    fn pass_over(&self, at: usize, what: impl Fn(char) -> bool) -> usize {
        if self.text.as_bytes().get(at).is_some_and(u8::is_ascii) {
            return at;
        }
        let mut chars = self.text[at..].char_indices();
        let next = chars.find(|(_, c)| !what(*c) || self.spend(1).is_none());
        next.map_or(self.text.len(), |(size, _)| at + size)
    }

    /// Takes so many steps, if there are so many left.
    fn spend(&self, steps: u32) -> Option<()> {
        let left = self.effort.steps.get().checked_sub(steps);
        self.effort.steps.set(left.unwrap_or(0));
        left.map(|_| ())
    }

    fn char_at(&self, at: usize) -> Option<char> {
        // Nearly always it is ASCII, and this is asked for each letter.
        match self.text.as_bytes().get(at) {
            Some(byte) if byte.is_ascii() => Some(char::from(*byte)),
            Some(_) => self.text[at..].chars().next(),
            None => None,
        }
    }
}

fn is_visible(c: char) -> bool {
    !is_decoration(c) && !is_invisible(c)
}

/// Whether a character neither ends a word nor begins another.
fn belongs_to_word(c: char) -> bool {
    is_letter(c) || is_decoration(c) || is_invisible(c)
}
