//! Patterns of room names: `*` is one segment, `**` any depth, a leading `!` excludes. Segments are divided by `:`.

use std::collections::HashSet;

/// A list of patterns: a name matches when some pattern includes it and none excludes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patterns {
    include: Vec<Vec<Segment>>,
    exclude: Vec<Vec<Segment>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Is(String),
    One,
    Any,
}

impl Segment {
    /// A word that fits; none for `**`, which has already taken what it needs.
    fn word(&self) -> Option<&str> {
        match self {
            Self::Is(word) => Some(word),
            Self::One => Some(WORD),
            Self::Any => None,
        }
    }
}

impl Patterns {
    /// Reads a list of patterns. Empty segments and stars inside a word are errors, as they would never match what
    /// was meant.
    pub fn new<S: AsRef<str>>(patterns: &[S]) -> Result<Self, String> {
        let mut read = Self { include: Vec::new(), exclude: Vec::new() };
        for pattern in patterns {
            let pattern = pattern.as_ref();
            match pattern.strip_prefix('!') {
                Some(rest) => read.exclude.push(segments(rest)?),
                None => read.include.push(segments(pattern)?),
            }
        }
        Ok(read)
    }

    /// Whether the name is meant.
    pub fn matches(&self, name: &str) -> bool {
        self.include.iter().any(|p| fits(p, name)) && !self.exclude.iter().any(|p| fits(p, name))
    }

    /// Whether some pattern includes names; without one, nothing ever matches.
    pub fn includes_any(&self) -> bool {
        !self.include.is_empty()
    }

    /// A name that both lists match, if one is found. It is looked for among the shortest names that fit a pattern of
    /// each; where those are excluded, a longer one may still exist.
    pub fn in_both(&self, other: &Self) -> Option<String> {
        let pairs = self.include.iter().flat_map(|mine| other.include.iter().map(move |theirs| (mine, theirs)));
        pairs
            .filter_map(|(mine, theirs)| shortest(mine, theirs, &mut HashSet::new()))
            .map(|words| if words.is_empty() { WORD.to_owned() } else { words.join(":") })
            .find(|name| self.matches(name) && other.matches(name))
    }
}

/// What stands for a segment that may be any word.
const WORD: &str = "1";

fn segments(pattern: &str) -> Result<Vec<Segment>, String> {
    if pattern.is_empty() {
        return Err("a pattern is empty: write `**` for every room".into());
    }
    pattern
        .split(':')
        .map(|segment| match segment {
            "" => Err(format!("`{pattern}` has an empty segment")),
            "*" => Ok(Segment::One),
            "**" => Ok(Segment::Any),
            word if word.contains('*') => {
                Err(format!("in `{word}`, a star stands for a part of a segment: write `*` or `**` as a whole segment"))
            }
            word => Ok(Segment::Is(word.to_owned())),
        })
        .collect()
}

/// Walks both at once. Where a later part does not fit, the last `**` takes one segment more: earlier ones need no
/// second try, as all they could change is what that last one has to take. So the time is at most the product of the
/// two lengths, whatever operators and clients write.
fn fits(pattern: &[Segment], name: &str) -> bool {
    let mut at = 0;
    let mut rest = Some(name);
    let mut retry: Option<(usize, Option<&str>)> = None;
    loop {
        match (pattern.get(at), rest) {
            (None, None) => return true,
            (Some(Segment::Any), _) => {
                at += 1;
                retry = Some((at, rest));
                continue;
            }
            (Some(segment), Some(name)) => {
                let (word, after) = first(name);
                if matches!(segment, Segment::One) || matches!(segment, Segment::Is(is) if is == word) {
                    at += 1;
                    rest = after;
                    continue;
                }
            }
            _ => {}
        }
        let Some((next, Some(name))) = retry else { return false };
        rest = first(name).1;
        at = next;
        retry = Some((next, rest));
    }
}

/// The first segment, and what follows it.
fn first(name: &str) -> (&str, Option<&str>) {
    name.split_once(':').map_or((name, None), |(word, rest)| (word, Some(rest)))
}

/// The shortest name that fits both patterns. `dead` remembers pairs of ends that have none.
fn shortest(one: &[Segment], two: &[Segment], dead: &mut HashSet<(usize, usize)>) -> Option<Vec<String>> {
    let here = (one.len(), two.len());
    if dead.contains(&here) {
        return None;
    }
    let found = match (one, two) {
        ([], []) => Some(Vec::new()),
        // `**` takes nothing, or the other's next segment.
        ([Segment::Any, after @ ..], _) => shortest(after, two, dead).or_else(|| match two {
            [next, two @ ..] => before(next.word()?, shortest(one, two, dead)),
            [] => None,
        }),
        (_, [Segment::Any, after @ ..]) => shortest(one, after, dead).or_else(|| match one {
            [next, one @ ..] => before(next.word()?, shortest(one, two, dead)),
            [] => None,
        }),
        ([Segment::Is(a), ..], [Segment::Is(b), ..]) if a != b => None,
        ([Segment::Is(word), one @ ..], [_, two @ ..]) | ([_, one @ ..], [Segment::Is(word), two @ ..]) => {
            before(word, shortest(one, two, dead))
        }
        ([Segment::One, one @ ..], [Segment::One, two @ ..]) => before(WORD, shortest(one, two, dead)),
        ([], [_, ..]) | ([_, ..], []) => None,
    };
    if found.is_none() {
        dead.insert(here);
    }
    found
}

fn before(word: &str, rest: Option<Vec<String>>) -> Option<Vec<String>> {
    rest.map(|mut words| {
        words.insert(0, word.to_owned());
        words
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_one_segment_two_are_any_depth_and_a_bang_excludes() {
        let patterns = Patterns::new(&["team:**", "lobby", "dm:*", "!team:staff:*"]).unwrap();
        for yes in ["team:1", "team:a:b", "team", "lobby", "dm:x", "team:staff"] {
            assert!(patterns.matches(yes), "{yes}");
        }
        for no in ["lobby:1", "dm", "dm:x:y", "team:staff:1", "other"] {
            assert!(!patterns.matches(no), "{no}");
        }
        assert!(Patterns::new(&["te*m"]).unwrap_err().contains("whole segment"));
        assert!(Patterns::new(&["a::b"]).is_err());
    }

    #[test]
    fn many_stars_cost_no_more_than_a_walk() {
        let pattern = Patterns::new(&[vec!["**"; 60].join(":a:") + ":b"]).unwrap();
        let name = vec!["a"; 120].join(":");
        assert!(!pattern.matches(&name));
        assert!(pattern.matches(&(name + ":b")));
    }

    #[test]
    fn a_name_in_both_lists_is_found() {
        let both = |one: &[&str], two: &[&str]| Patterns::new(one).unwrap().in_both(&Patterns::new(two).unwrap());
        assert_eq!(both(&["**"], &["**"]).as_deref(), Some("1"));
        assert_eq!(both(&["team:*"], &["*:a"]).as_deref(), Some("team:a"));
        assert_eq!(both(&["team:**", "!team:a"], &["**:a"]).as_deref(), None);
        assert_eq!(both(&["a:**:b"], &["a:c:**"]).as_deref(), Some("a:c:b"));
        assert_eq!(both(&["a:**"], &["b:**"]), None);
        assert_eq!(both(&["team"], &["team:*"]), None);
    }
}
