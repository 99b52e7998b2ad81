//! Whatever stands in hub.toml, reading it ends in settings or in messages.

use crate::load;
use proptest::prelude::*;

const GOOD: &str = include_str!("../../src/reference.toml");

fn values() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("true".to_owned()),
        any::<i64>().prop_map(|n| n.to_string()),
        any::<f64>().prop_map(|n| format!("{n:?}").to_lowercase().replace("inf", "1e999").replace("nan", "0.0")),
        "[^\"\\\\\u{0}-\u{1f}\u{7f}]{0,12}".prop_map(|text| format!("\"{text}\"")),
        "[0-9]{1,22} ?(ms|s|m|h|KiB|MiB|GiB|TiB)".prop_map(|text| format!("\"{text}\"")),
        Just("[\"**\", 1]".to_owned()),
        Just("{ events = -1, age = \"\" }".to_owned()),
    ]
}

/// The reference's lines, some of their values replaced, some cut, some doubled.
fn changed() -> impl Strategy<Value = String> {
    let change = (any::<prop::sample::Index>(), 0..4u8, values());
    prop::collection::vec(change, 1..6).prop_map(|changes| {
        let mut lines: Vec<String> = GOOD.lines().map(str::to_owned).collect();
        for (at, how, value) in changes {
            let at = at.index(lines.len());
            let line = lines[at].trim_start_matches("# ").to_owned();
            lines[at] = match (how, line.split_once(" = ")) {
                (0, _) => line.chars().take(line.chars().count() / 2).collect(),
                (1, _) => format!("{line}\n{line}"),
                (_, Some((key, _))) => format!("{key} = {value}"),
                (_, None) => line,
            };
        }
        lines.join("\n")
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_text_becomes_settings_or_messages(text in prop_oneof![".{0,200}", changed()]) {
        match load(&text) {
            Ok(loaded) => prop_assert!(loaded.config.limits.frame.bytes() > 0),
            Err(messages) => prop_assert!(!messages.to_string().trim().is_empty()),
        }
    }
}
