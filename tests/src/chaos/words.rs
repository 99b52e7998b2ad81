//! What clients say: the key of a send decides its text, so that the checker knows what plugins must have made of it.

use fastrand::Rng;

/// What the first plugin masks.
pub const MASKED: &str = "spam";
/// What the second plugin rejects.
pub const FORBIDDEN: &str = "forbidden";
/// Texts on which the third plugin fails. They are its own names for how.
const POISON: [&str; 4] = ["trap", "panic", "stack", "memory"];

/// A key of the `n`th thing that a client says, with what kind of thing it is in its end.
pub fn key(client: &str, n: u64, dice: &mut Rng) -> String {
    let kind = match dice.u32(0..100) {
        0 => format!("p{}", dice.usize(0..POISON.len())),
        1 | 2 => "f".to_owned(),
        3..=17 => "m".to_owned(),
        _ => "s".to_owned(),
    };
    format!("{client}-{n}-{kind}")
}

/// A key of something that every plugin lets pass as it is.
pub fn plain(client: &str, n: u64) -> String {
    format!("{client}-{n}-s")
}

/// A key of an edit.
pub fn edit(client: &str, n: u64) -> String {
    format!("{client}-{n}-e")
}

/// A key of a deletion.
pub fn deletion(client: &str, n: u64) -> String {
    format!("{client}-{n}-d")
}

/// What is sent under a key.
pub fn sent(key: &str) -> String {
    match kind(key) {
        "m" => format!("{key} says {MASKED} twice: {MASKED}"),
        "f" => format!("{key} says what is {FORBIDDEN}"),
        "s" => format!("{key} says hello"),
        "e" => format!("{key} says something else"),
        "d" => String::new(),
        poison => poison[1..].parse().ok().and_then(|n: usize| POISON.get(n)).copied().unwrap_or("trap").to_owned(),
    }
}

/// What listeners hear of a key; `None` where no plugin lets it through.
pub fn judged(key: &str) -> Option<String> {
    match kind(key) {
        "m" => Some(sent(key).replace(MASKED, &"*".repeat(MASKED.len()))),
        "s" | "e" | "d" => Some(sent(key)),
        _ => None,
    }
}

/// Whether the plugin fails on it: refused for now, and as often as it is tried again.
pub fn is_poison(key: &str) -> bool {
    kind(key).starts_with('p')
}

/// Whether it is an edit or a deletion.
pub fn changes(key: &str) -> bool {
    matches!(kind(key), "e" | "d")
}

fn kind(key: &str) -> &str {
    key.rsplit('-').next().unwrap_or_default()
}

/// The plugins' tables and their chain for hub.toml: `trapping` makes the third one fail on every message.
pub fn chain(trapping: bool) -> anyhow::Result<String> {
    use crate::world::plugin;
    let mode = if trapping { "trap" } else { "by-text" };
    let masks = plugin(
        "masks",
        "word-filter",
        &format!("timeout = \"2s\"\nsettings = {{ words = [\"{MASKED}\"], action = \"mask\" }}"),
    )?;
    let refuses = plugin(
        "refuses",
        "word-filter",
        &format!("timeout = \"2s\"\nsettings = {{ words = [\"{FORBIDDEN}\"], action = \"reject\" }}"),
    )?;
    // Poison is one message in a hundred: only a plugin that traps on everything is to be taken out.
    let fails = plugin("fails", "misbehave", &format!("timeout = \"2s\"\nsettings = {{ mode = \"{mode}\" }}"))?;
    Ok(format!("{masks}{refuses}{fails}[[chain]]\nrooms = [\"**\"]\nplugins = [\"masks\", \"refuses\", \"fails\"]\n"))
}

/// The plugins that a record's trail must name.
pub const CHAIN: [&str; 3] = ["masks", "refuses", "fails"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_says_what_is_sent_and_what_is_heard() {
        let mut dice = Rng::with_seed(1);
        let keys: Vec<String> = (0..2_000).map(|n| key("c1", n, &mut dice)).collect();
        for wanted in ["s", "m", "f", "p0", "p3"] {
            assert!(keys.iter().any(|key| kind(key) == wanted), "{wanted}");
        }
        assert_eq!(judged("c1-5-s"), Some(sent("c1-5-s")));
        assert_eq!(judged("c1-5-m").as_deref(), Some("c1-5-m says **** twice: ****"));
        assert_eq!(judged(&edit("c1", 6)).as_deref(), Some("c1-6-e says something else"));
        assert_eq!(judged(&deletion("c1", 7)).as_deref(), Some(""));
        assert!(changes("c1-6-e") && changes("c1-7-d") && !changes("c1-5-s"));
        assert_eq!((judged("c1-5-f"), judged("c1-5-p1")), (None, None));
        assert!(is_poison("c1-5-p1") && sent("c1-5-p1") == "panic" && !is_poison("c1-5-s"));
    }
}
