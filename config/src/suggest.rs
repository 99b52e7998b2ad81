//! "Did you mean": the nearest of the words that would have been right.

/// The candidate that is nearest to what was written, if it is near enough to be what was meant.
pub(crate) fn nearest<'c>(written: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let far = (written.chars().count() / 3).clamp(1, 3);
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&plain(written), &plain(candidate)), candidate))
        .filter(|(distance, _)| *distance <= far)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Case, `-` against `_` and doubled `_` are not worth a difference.
fn plain(word: &str) -> String {
    word.to_ascii_lowercase().replace('-', "_").replace("__", "_")
}

/// A list for a sentence: `a`, `b` and `c`; the word before the last is given.
pub(crate) fn listed<'w>(words: impl IntoIterator<Item = &'w str>, before_last: &str) -> String {
    let words: Vec<String> = words.into_iter().map(|word| format!("`{word}`")).collect();
    match words.as_slice() {
        [] => "nothing".into(),
        [one] => one.clone(),
        [all @ .., last] => format!("{} {before_last} {last}", all.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_suggested_only_when_it_is_near() {
        assert_eq!(nearest("fraem", ["listen", "frame", "body"]), Some("frame"));
        assert_eq!(nearest("word_filter", ["word-filter"]), Some("word-filter"));
        assert_eq!(nearest("banana", ["listen", "frame"]), None);
        assert_eq!(listed(["a", "b", "c"], "and"), "`a`, `b` and `c`");
    }
}
