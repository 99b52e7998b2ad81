//! The words of the settings, as a tree of letters that is built once and only read while judging.

use crate::letters::{ascii_look, is_invisible, is_letter, look, plain, stand_ins};
use std::collections::BTreeMap;

/// What stands in a tree for the gap between two words of a phrase.
pub const GAP: char = ' ';

/// The longest word or phrase, in letters: it bounds how deep a search goes.
const LONGEST: usize = 100;

/// The end of the characters that the quick look knows: those of Latin, Greek and Cyrillic come before it.
const QUICK_END: char = '\u{530}';

/// A node of a [`Tree`], by its number; 0 is the root.
pub type Node = u32;

/// Words that begin alike share their beginning.
#[derive(Debug)]
pub struct Tree {
    /// Where each node's edges begin in `edges`, and one more.
    first: Vec<u32>,
    /// Letter and node, sorted by letter within a node.
    edges: Vec<(char, Node)>,
    /// What ends at each node.
    ends: Vec<End>,
    /// Whether a word begins with a character or something it may stand for: the quick look at a text. It knows the characters of
    /// Latin, Greek and Cyrillic, by their numbers.
    begins: Vec<bool>,
}

/// What ends at a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct End {
    /// A word that ends here is a whole word.
    pub whole: bool,
    /// Here begins what a `*` stands for: the word may go on.
    pub open: bool,
}

impl Tree {
    /// The node that a letter leads to.
    pub fn step(&self, node: Node, letter: char) -> Option<Node> {
        let node = node as usize;
        let edges = &self.edges[*self.first.get(node)? as usize..*self.first.get(node + 1)? as usize];
        edges.iter().find(|(known, _)| *known == letter).map(|(_, next)| *next)
    }

    /// What ends at a node.
    pub fn end(&self, node: Node) -> End {
        self.ends.get(node as usize).copied().unwrap_or_default()
    }

    /// Whether there is no word in it.
    pub fn is_empty(&self) -> bool {
        self.edges.is_empty()
    }

    /// Whether a word may begin with a character, by a quick look.
    pub fn may_begin(&self, c: char) -> bool {
        !self.edges.is_empty() && self.begins.get(c as usize).is_none_or(|begins| *begins)
    }
}

/// Words of the settings, and how texts are read when they are looked for.
#[derive(Debug)]
pub struct Lexicon {
    /// Words that begin where a word of the text begins.
    pub words: Tree,
    /// Words that begin anywhere: `*word`.
    pub parts: Tree,
    /// What an ASCII letter may stand for besides itself, because a word has a letter of another script that looks like it.
    foreign: Vec<(char, char)>,
}

impl Lexicon {
    /// Reads the words of a setting; an error names one that would never be found.
    pub fn read(setting: &str, words: &[String], leetspeak: bool) -> Result<Self, String> {
        let (mut whole, mut parts) = (Growing::default(), Growing::default());
        for word in words {
            let entry = Entry::read(word).map_err(|wrong| format!("`{setting}`: {word:?} {wrong}"))?;
            let tree = if entry.anywhere { &mut parts } else { &mut whole };
            tree.add(&entry);
        }
        let mut foreign = Vec::new();
        for letter in whole.letters().chain(parts.letters()).filter(|letter| !letter.is_ascii()) {
            let cases = std::iter::once(letter).chain(letter.to_uppercase());
            foreign.extend(cases.filter_map(|c| Some((ascii_look(c)?, letter))));
        }
        foreign.sort_unstable();
        foreign.dedup();
        let mut lexicon = Self { words: whole.finish(), parts: parts.finish(), foreign };
        lexicon.words.begins = lexicon.beginnings(&lexicon.words, leetspeak);
        lexicon.parts.begins = lexicon.beginnings(&lexicon.parts, leetspeak);
        Ok(lexicon)
    }

    /// Whether an ASCII letter is only itself, as most are.
    pub fn is_itself(&self, c: char) -> bool {
        !matches!(c, 'I' | 'l') && self.is_itself_openly(c)
    }

    /// The same where an `I` or `l` is not taken for the other.
    pub fn is_itself_openly(&self, c: char) -> bool {
        c.is_ascii_alphabetic() && self.foreign.is_empty()
    }

    /// The letters of other scripts that an ASCII letter may stand for.
    pub fn foreign(&self, c: char) -> impl Iterator<Item = char> {
        self.foreign.iter().filter(move |(ascii, _)| *ascii == c).map(|(_, letter)| *letter)
    }

    fn beginnings(&self, tree: &Tree, leetspeak: bool) -> Vec<bool> {
        if tree.edges.is_empty() {
            return Vec::new();
        }
        let begins = |c: char| {
            let mut readings = Vec::new();
            plain(c, |letter| readings.push(letter));
            look(c, |like| {
                readings.push(like.to_ascii_lowercase());
                readings.extend(stand_ins(like, leetspeak).chars().chain(self.foreign(like)).chain(twin(like)));
                plain(like, |letter| readings.push(letter));
            });
            readings.into_iter().any(|letter| tree.step(0, letter).is_some())
        };
        ('\0'..QUICK_END).map(begins).collect()
    }
}

/// The letter that `I` and `l` are taken for in many typefaces.
pub fn twin(c: char) -> Option<char> {
    match c {
        'I' => Some('l'),
        'l' => Some('i'),
        _ => None,
    }
}

/// A word or phrase of the settings.
struct Entry {
    letters: Vec<char>,
    /// It begins with a `*`.
    anywhere: bool,
    /// It ends with a `*`.
    open: bool,
}

impl Entry {
    fn read(written: &str) -> Result<Self, String> {
        let (anywhere, rest) = written.trim().strip_prefix('*').map_or((false, written.trim()), |rest| (true, rest));
        let (open, rest) = rest.strip_suffix('*').map_or((false, rest), |rest| (true, rest));
        let mut letters = Vec::new();
        for c in rest.chars().filter(|c| !is_invisible(*c)) {
            let before = letters.len();
            plain(c, |letter| letters.push(letter));
            let sign = letters[before..].iter().any(|letter| !is_letter(*letter));
            if sign {
                letters.truncate(before);
                if letters.last().is_some_and(|last| *last != GAP) {
                    letters.push(GAP);
                }
            }
        }
        if letters.last() == Some(&GAP) {
            letters.pop();
        }
        match letters.len() {
            0 => Err("has no letter, it would never be found".into()),
            1..=LONGEST => Ok(Self { letters, anywhere, open }),
            _ => Err(format!("is longer than {LONGEST} letters")),
        }
    }
}

/// A tree that words are still added to.
#[derive(Default)]
struct Growing {
    nodes: Vec<(BTreeMap<char, Node>, End)>,
}

impl Growing {
    fn add(&mut self, entry: &Entry) {
        let mut at = self.node(0);
        for letter in &entry.letters {
            let next = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
            at = *self.nodes[at].0.entry(*letter).or_insert(next) as usize;
            at = self.node(at);
        }
        let end = &mut self.nodes[at].1;
        end.whole |= !entry.open;
        end.open |= entry.open;
    }

    /// Makes sure that the node, at most one past the last, is there.
    fn node(&mut self, at: usize) -> usize {
        if at == self.nodes.len() {
            self.nodes.push(Default::default());
        }
        at
    }

    fn letters(&self) -> impl Iterator<Item = char> {
        self.nodes.iter().flat_map(|(edges, _)| edges.keys().copied())
    }

    fn finish(self) -> Tree {
        let mut tree = Tree { begins: Vec::new(), first: vec![0], edges: Vec::new(), ends: Vec::new() };
        for (edges, end) in self.nodes {
            tree.edges.extend(edges);
            tree.first.push(u32::try_from(tree.edges.len()).unwrap_or(u32::MAX));
            tree.ends.push(end);
        }
        tree
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letters(written: &str) -> String {
        Entry::read(written).unwrap().letters.into_iter().collect()
    }

    #[test]
    fn an_entry_is_read_as_letters_with_single_gaps() {
        assert_eq!(letters("  Buy -- NOW! "), "buy now");
        assert_eq!(letters("*Straße*"), "strasse");
        assert!(Entry::read("**").is_err());
        assert!(Entry::read(&"x".repeat(101)).is_err());
    }

    #[test]
    fn words_that_begin_alike_share_their_beginning() {
        let words = ["spam".into(), "spit*".into(), "*cunt*".into()];
        let lexicon = Lexicon::read("words", &words, false).unwrap();
        let walk = |word: &str| word.chars().try_fold(0, |node, letter| lexicon.words.step(node, letter));
        assert_eq!(lexicon.words.end(walk("spam").unwrap()), End { whole: true, open: false });
        assert_eq!(lexicon.words.end(walk("spit").unwrap()), End { whole: false, open: true });
        assert_eq!(walk("cunt"), None);
        assert!(lexicon.words.may_begin('S') && lexicon.words.may_begin('ѕ') && !lexicon.words.may_begin('c'));
        assert!(lexicon.parts.may_begin('C') && lexicon.parts.may_begin('С') && !lexicon.parts.may_begin('ж'));
    }
}
