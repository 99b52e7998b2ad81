//! The page `docs/reference/codes.md` is what the code says: every refusal and close, with number, name and whether it may
//! work later.

use confab_protocol::{Close, EventId, Refusal};
use std::collections::BTreeSet;
use std::path::Path;

/// Number, name, and whether to try again or come back: the first three columns of both tables.
type Row = (u32, String, bool);

/// One of each refusal that has a code of its own. The match fails to compile when a refusal is added, so that whoever
/// adds one comes here.
fn refusals() -> Vec<Refusal> {
    match Refusal::Unauthorized {
        Refusal::Internal { .. }
        | Refusal::Unauthorized
        | Refusal::UnknownRoom
        | Refusal::PermissionDenied(_)
        | Refusal::MethodNotFound
        | Refusal::AlreadyJoined
        | Refusal::LimitExceeded(_)
        | Refusal::BadRequest(_)
        | Refusal::NotAvailable
        | Refusal::TokenExpired
        | Refusal::Expired
        | Refusal::TooManyRequests { .. }
        | Refusal::UnrecoverablePosition
        | Refusal::HistoryBehind
        | Refusal::KeyConflict
        | Refusal::Unknown
        | Refusal::JournalUnavailable
        | Refusal::TimelineUnavailable
        | Refusal::StoreUnavailable
        | Refusal::Held { .. }
        | Refusal::PluginFault { .. }
        | Refusal::Draining
        | Refusal::UnknownTarget { .. }
        | Refusal::Muted { .. }
        | Refusal::Banned { .. }
        | Refusal::KeysUnavailable
        | Refusal::Plugin { .. } => {}
    }
    vec![
        Refusal::Internal { incident: String::new() },
        Refusal::Unauthorized,
        Refusal::UnknownRoom,
        Refusal::PermissionDenied("".into()),
        Refusal::MethodNotFound,
        Refusal::AlreadyJoined,
        Refusal::LimitExceeded("".into()),
        Refusal::BadRequest("".into()),
        Refusal::NotAvailable,
        Refusal::TokenExpired,
        Refusal::Expired,
        Refusal::TooManyRequests { retry_after_ms: 1 },
        Refusal::UnrecoverablePosition,
        Refusal::HistoryBehind,
        Refusal::KeyConflict,
        Refusal::Unknown,
        Refusal::JournalUnavailable,
        Refusal::TimelineUnavailable,
        Refusal::StoreUnavailable,
        Refusal::Held { id: EventId::fresh(), reason: String::new() },
        Refusal::PluginFault { plugin: String::new() },
        Refusal::Draining,
        Refusal::UnknownTarget { deleted: false },
        Refusal::Muted { seconds: 1, reason: String::new() },
        Refusal::Banned { seconds: None, reason: String::new() },
        Refusal::KeysUnavailable,
    ]
}

/// The rows of a section's table whose first column is a number, and whose third is yes or no.
fn rows(page: &str, section: &str) -> Vec<Row> {
    let start = page.find(&format!("\n## {section}\n")).unwrap_or_else(|| panic!("the page has no section {section}"));
    let text = &page[start + 1..];
    let text = &text[..text[3..].find("\n## ").map_or(text.len(), |end| end + 3)];
    text.lines()
        .filter_map(|line| {
            let mut cells = line.strip_prefix('|')?.split('|').map(str::trim);
            let code = cells.next()?.parse().ok()?;
            let name = cells.next()?.trim_matches('`').to_owned();
            let again = match cells.next()? {
                "yes" => true,
                "no" => false,
                other => panic!("{code}: {other:?} is neither yes nor no"),
            };
            assert!(cells.next().is_some_and(|meaning| !meaning.is_empty()), "{code} has no meaning");
            Some((code, name, again))
        })
        .collect()
}

fn compare(section: &str, code: Vec<Row>, page: Vec<Row>) {
    let numbers: BTreeSet<u32> = page.iter().map(|row| row.0).collect();
    assert_eq!(numbers.len(), page.len(), "{section}: a number stands twice in the page");
    let (code, page): (BTreeSet<Row>, BTreeSet<Row>) = (code.into_iter().collect(), page.into_iter().collect());
    let missing: Vec<_> = code.difference(&page).collect();
    let surplus: Vec<_> = page.difference(&code).collect();
    assert!(
        missing.is_empty() && surplus.is_empty(),
        "docs/reference/codes.md, {section}: the code has {missing:?}, the page has {surplus:?}"
    );
}

#[test]
fn the_page_of_codes_says_what_the_code_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/codes.md");
    let page = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("could not read {path:?}: {error}"));
    let refusals = refusals().iter().map(|r| (r.code(), r.name().to_owned(), r.temporary())).collect();
    compare("Refusals", refusals, rows(&page, "Refusals"));
    let closes = Close::ALL.iter().map(|c| (u32::from(c.code()), c.reason().to_owned(), c.reconnect())).collect();
    compare("Closes", closes, rows(&page, "Closes"));
}
