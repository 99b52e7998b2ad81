//! Answers that fit: none is larger than a quarter of the outbox, so that it leaves beside what else comes.

use crate::dialect::Dialect;
use crate::dialect::command::Reply;
use crate::outbox::{Frame, Outbox};
use confab_protocol::Refusal;

/// What a dialect may write around the content of an answer: names, a number, braces.
const AROUND: usize = 256;

/// The most bytes of what an answer holds.
pub fn content_max(outbox: &Outbox) -> usize {
    outbox.answer_max().saturating_sub(AROUND)
}

/// The answer to command `number` as a frame. A page that would be too large ends earlier; what cannot be shortened is
/// refused. A single event may take all of the outbox: it could not be read otherwise.
pub fn frame(dialect: &Dialect, outbox: &Outbox, number: u32, reply: &Reply) -> Frame {
    let frame = dialect.reply(number, reply);
    if frame.len() <= outbox.answer_max() { frame } else { shortened(frame, dialect, outbox, number, reply.clone()) }
}

fn shortened(mut frame: Frame, dialect: &Dialect, outbox: &Outbox, number: u32, mut reply: Reply) -> Frame {
    let most = outbox.answer_max();
    while frame.len() > most {
        let bytes = frame.len();
        match &mut reply {
            Reply::History { records, .. } if records.len() > 1 => {
                let keep = records.len() * most / bytes;
                records.truncate(keep.clamp(1, records.len() - 1));
            }
            Reply::History { .. } | Reply::Rpc(_) if bytes <= outbox.bytes_max() => break,
            Reply::Refused(_) | Reply::NotConnected(_) => break, // a sentence
            _ => {
                let what = format!("the answer has {bytes} bytes, a quarter of `limits.outbox` is {most}");
                tracing::debug!(bytes, most, "an answer is too large, refusing the command");
                reply = Reply::Refused(Refusal::LimitExceeded(what.into()));
            }
        }
        frame = dialect.reply(number, &reply);
    }
    frame
}

#[cfg(test)]
mod tests {
    use super::*;
    use confab_protocol::{
        Annotations, Body, Cursor, Epoch, Event, EventId, Key, Kind, Present, Record, Room, Sender, Trail, UserId,
    };
    use std::sync::Arc;

    fn record(offset: u64, bytes: usize) -> Arc<Record> {
        let sender = Sender { user: UserId::new("ada").unwrap(), client: None, info: None };
        let event = Event {
            kind: Kind::Message,
            id: EventId::fresh(),
            room: Room::new("lobby").unwrap(),
            sender,
            key: Key::fresh(),
            digest: String::new(),
            at: 1,
            body: Body::of(&"x".repeat(bytes)),
            target: None,
            thread: None,
            annotations: Annotations::new(),
        };
        Arc::new(Record { cursor: Cursor { epoch: Epoch(1), offset }, event, trail: Trail::default() })
    }

    fn page(count: u64, bytes: usize) -> Reply {
        let records = (1..=count).map(|offset| record(offset, bytes)).collect();
        Reply::History { records, top: Cursor { epoch: Epoch(1), offset: count } }
    }

    #[test]
    fn a_page_ends_before_it_is_larger_than_a_quarter_of_the_outbox() {
        let outbox = Outbox::new(64 * 1024);
        for dialect in [Dialect::NativeJson, Dialect::NativeProtobuf, Dialect::SocketIo] {
            let frame = frame(&dialect, &outbox, 1, &page(100, 1000));
            assert!(frame.len() <= 16 * 1024, "{dialect:?}: {} bytes", frame.len());
            assert!(frame.len() > 12 * 1024, "{dialect:?}: it holds what fits, {} bytes", frame.len());
        }
    }

    #[test]
    fn a_single_event_may_be_larger_and_what_cannot_be_shortened_is_refused() {
        let outbox = Outbox::new(64 * 1024);
        let large = frame(&Dialect::NativeJson, &outbox, 1, &page(3, 30_000));
        assert!((30_000..40_000).contains(&large.len()), "one event: {} bytes", large.len());
        let refused = |reply| match frame(&Dialect::NativeJson, &outbox, 7, &reply) {
            Frame::Text(text) => assert!(text.starts_with(r#"{"id":7,"error":{"code":106"#), "{text}"),
            Frame::Binary(_) => panic!("this dialect is text"),
        };
        refused(page(1, 100_000));
        let present = |n| Present { user: UserId::new("ada").unwrap(), client: format!("client-{n}"), info: None };
        refused(Reply::Presence { some: (0..1000).map(present).collect(), clients: 1000 });
    }
}
