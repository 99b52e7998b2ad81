//! Patterns of room names: `*` is one segment, `**` any depth, a leading `!` excludes. Segments are divided by `:`.

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
        let name: Vec<&str> = name.split(':').collect();
        self.include.iter().any(|p| fits(p, &name)) && !self.exclude.iter().any(|p| fits(p, &name))
    }
}

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
                Err(format!("`{word}` in `{pattern}`: a star stands for a whole segment, write `*` or `**` alone"))
            }
            word => Ok(Segment::Is(word.to_owned())),
        })
        .collect()
}

fn fits(pattern: &[Segment], name: &[&str]) -> bool {
    match (pattern, name) {
        ([], []) => true,
        ([Segment::Any, rest @ ..], _) => (0..=name.len()).any(|n| fits(rest, &name[n..])),
        ([Segment::One, rest @ ..], [_, names @ ..]) => fits(rest, names),
        ([Segment::Is(word), rest @ ..], [first, names @ ..]) => word == first && fits(rest, names),
        _ => false,
    }
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
}
