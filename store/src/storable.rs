//! What no column can hold. The hub refuses such drafts in `admit`; should one get through, it is named here, so that
//! its neighbours in the batch can be stored without it.

use crate::Error;
use confab_protocol::{Body, Cursor, Event, EventId, Held, Record};

/// Checks that a record can be written to either database and read again as JSON there.
pub(crate) fn check(record: &Record) -> Result<(), Error> {
    let id = record.event.id;
    check_place(id, record.cursor)?;
    let trail = std::iter::once(&record.trail.chain)
        .chain(record.trail.steps.iter().flat_map(|step| [&step.plugin, &step.hash]))
        .map(String::as_str);
    texts(id, trail)?;
    event(&record.event)
}

/// Checks that a place fits its columns. Offset 0 is the place before the first event, so nothing can be there.
pub(crate) fn check_place(id: EventId, cursor: Cursor) -> Result<(), Error> {
    if cursor.offset == 0 || i64::try_from(cursor.epoch.0).is_err() || i64::try_from(cursor.offset).is_err() {
        return Err(Error::Unstorable { id, what: "its place is out of range" });
    }
    Ok(())
}

/// Checks the same of an event that waits for a moderator.
pub(crate) fn check_held(held: &Held) -> Result<(), Error> {
    texts(held.id(), [held.plugin.as_str(), held.reason.as_str()])?;
    if i64::try_from(held.held_at).is_err() {
        return Err(Error::Unstorable { id: held.id(), what: "its time is past the range of a column" });
    }
    texts(held.id(), held.says.iter().map(|words| words.plugin.as_str()))?;
    jsons(held.id(), held.says.iter().map(|words| &words.body))?;
    event(&held.event)
}

fn event(event: &Event) -> Result<(), Error> {
    let id = event.id;
    if i64::try_from(event.at).is_err() {
        return Err(Error::Unstorable { id, what: "its time is past the range of a column" });
    }
    let names = event.annotations.keys().map(String::as_str);
    texts(id, names.chain(event.sender.client.as_deref()).chain([event.digest.as_str()]))?;
    let bodies = event.annotations.values().chain(&event.sender.info).chain([&event.body]);
    jsons(id, bodies)
}

fn jsons<'a>(id: EventId, mut bodies: impl Iterator<Item = &'a Body>) -> Result<(), Error> {
    match bodies.find_map(|body| json(body.as_str()).err()) {
        Some(what) => Err(Error::Unstorable { id, what }),
        None => Ok(()),
    }
}

fn texts<'a>(id: EventId, texts: impl IntoIterator<Item = &'a str>) -> Result<(), Error> {
    if texts.into_iter().any(|text| text.contains('\0')) {
        return Err(Error::Unstorable { id, what: "a text holds the character NUL" });
    }
    Ok(())
}

/// Looks for escapes that stand for no character of a PostgreSQL text: NUL, and half a surrogate pair. `text` is known to
/// be well-formed JSON, where a backslash occurs only in strings and is always followed by what it escapes.
fn json(text: &str) -> Result<(), &'static str> {
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        rest = &rest[at..];
        match unit(rest) {
            None => rest = &rest[2..],
            Some(0) => return Err("a JSON string holds the character NUL"),
            Some(0xD800..=0xDBFF) if matches!(unit(&rest[6..]), Some(0xDC00..=0xDFFF)) => rest = &rest[12..],
            Some(0xD800..=0xDFFF) => return Err("a JSON string holds half a surrogate pair"),
            Some(_) => rest = &rest[6..],
        }
    }
    Ok(())
}

/// The UTF-16 unit that an escape `\uXXXX` at the start of `text` stands for.
fn unit(text: &str) -> Option<u16> {
    u16::from_str_radix(text.strip_prefix("\\u")?.get(..4)?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::json;

    #[test]
    fn escapes_that_are_no_characters_are_found() {
        for text in
            [r#""\u0000""#, r#"{"a":["x\\\u0000"]}"#, r#""\ud800""#, r#""\ud800x""#, r#""\udc00""#, r#""\uD83D\n""#]
        {
            assert!(json(text).is_err(), "{text}");
        }
    }

    #[test]
    fn escapes_that_are_characters_pass() {
        for text in [r#""\\u0000""#, r#""\ud83d\udc4d""#, r#""\u00e9\n\"é👍""#, "1e999", r#""\\""#] {
            assert!(json(text).is_ok(), "{text}");
        }
    }
}
