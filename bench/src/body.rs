//! The body of a measured message: 200 bytes that say which room's which message this is, and when it was sent.

use memchr::memmem::Finder;
use std::io::Write;

/// The length of a body, in bytes.
pub const BYTES: usize = 200;
/// What stands before the numbers. Nothing else in what servers send looks like it.
const MARK: &[u8] = b"@#@";
const ROOM: usize = 5;
const NUMBER: usize = 10;
const SENT: usize = 15;
/// How long the numbers are, with what divides them.
const STAMP: usize = MARK.len() + ROOM + 1 + NUMBER + 1 + SENT;

/// Which message it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The room's number.
    pub room: u32,
    /// The message's number in its room: 0, 1, 2 …
    pub number: u64,
    /// When it was sent, in nanoseconds since the generator's start.
    pub sent: u64,
}

/// Appends a body: a JSON object with one text.
pub fn write(out: &mut Vec<u8>, stamp: Stamp) {
    let Stamp { room, number, sent } = stamp;
    let start = out.len();
    let written = write!(out, "{{\"text\":\"@#@{room:05}:{number:010}:{sent:015}");
    written.expect("a vector takes all that is written");
    out.resize(start + BYTES - 2, b'~');
    out.extend_from_slice(b"\"}");
}

/// Finds stamps in messages. In the messages of one connection they are mostly at one place, which is tried first.
pub struct Reader {
    finder: Finder<'static>,
}

impl Default for Reader {
    fn default() -> Self {
        Self { finder: Finder::new(MARK) }
    }
}

impl Reader {
    /// The stamp of the message that begins in `text`; `place` remembers where it was last. `None`: there is none.
    pub fn read(&self, text: &[u8], place: &mut usize) -> Option<Stamp> {
        if text.get(*place..*place + MARK.len()) != Some(MARK) {
            *place = self.finder.find(text)?;
        }
        stamp_at(text, *place)
    }

    /// All stamps in `text`, in order.
    pub fn all<'a>(&'a self, text: &'a [u8]) -> impl Iterator<Item = Stamp> + 'a {
        self.finder.find_iter(text).filter_map(move |place| stamp_at(text, place))
    }
}

fn stamp_at(text: &[u8], place: usize) -> Option<Stamp> {
    let stamp = text.get(place..place + STAMP)?;
    let field = |from: usize, length: usize| number(&stamp[from..from + length]);
    let (room, from) = (field(MARK.len(), ROOM)?, MARK.len() + ROOM + 1);
    let (message, sent) = (field(from, NUMBER)?, field(from + NUMBER + 1, SENT)?);
    Some(Stamp { room: u32::try_from(room).ok()?, number: message, sent })
}

/// A number in decimal digits.
pub fn number(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0_u64, |sum, digit| match digit {
        b'0'..=b'9' => Some(sum * 10 + u64::from(digit - b'0')),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_has_its_length_and_is_known_again_inside_any_message() {
        let reader = Reader::default();
        let mut place = 0;
        for (before, stamp) in [
            ("{\"push\":", Stamp { room: 7, number: 123, sent: 456_789 }),
            ("{\"push\":", Stamp { room: 99_999, number: 9_999_999_999, sent: 999_999_999_999_999 }),
            ("42[\"event\",", Stamp { room: 0, number: 0, sent: 0 }),
        ] {
            let mut text = before.as_bytes().to_vec();
            write(&mut text, stamp);
            assert_eq!(text.len(), before.len() + BYTES);
            assert!(serde_json::from_slice::<serde_json::Value>(&text[before.len()..]).is_ok());
            assert_eq!(reader.read(&text, &mut place), Some(stamp));
        }
        assert_eq!(reader.read(b"{\"id\":1}", &mut place), None);
    }
}
