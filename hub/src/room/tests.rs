//! A room against a model: whatever comes between a client's reading and its listening, it is given everything once, in
//! order.

use super::*;
use crate::outbox::Drained;
use confab_protocol::{Annotations, Body, Event, EventId, Key, Sender, Trail, UserId};
use proptest::prelude::*;

/// A message at this place in its room.
pub(super) fn record(offset: u64) -> Arc<Record> {
    let event = Event {
        kind: Kind::Message,
        id: EventId::fresh(),
        room: Room::new("lobby").unwrap(),
        sender: Sender { user: UserId::new("ada").unwrap(), client: None, info: None },
        key: Key::new("k1").unwrap(),
        digest: String::new(),
        at: 0,
        body: Body::of(&offset),
        target: None,
        thread: None,
        annotations: Annotations::new(),
    };
    Arc::new(Record { event, cursor: Cursor::new(1, offset), trail: Trail::default() })
}

fn request(session: SessionId, outbox: &Arc<Outbox>) -> JoinRequest {
    let outbox = outbox.clone();
    let dialect = Dialect::NativeJson;
    JoinRequest { session, client: Uuid::nil(), outbox, dialect, join_leave: false, given: false }
}

/// The offsets of the publications that wait in an outbox.
fn offsets(outbox: &Outbox) -> Vec<u64> {
    let mut offsets = Vec::new();
    loop {
        let mut frames = Vec::new();
        assert!(matches!(outbox.drain(&mut frames), Drained::Frames));
        if frames.is_empty() {
            return offsets;
        }
        for frame in frames {
            let Frame::Text(text) = frame else { panic!("JSON is text") };
            let value: serde_json::Value = serde_json::from_str(&text).unwrap();
            offsets.push(value["push"]["pub"]["offset"].as_u64().unwrap());
        }
    }
}

/// What happens next to the room or to one of its joining clients.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// So many events come.
    Come(u64),
    /// A client joins, holding the place so far back.
    Join(u64),
    /// The joining client reads so many events of the timeline, and tries to go live.
    Read(usize, u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (1..400_u64).prop_map(Step::Come),
        (0..50_u64).prop_map(Step::Join),
        (0..4_usize, 1..300_u64).prop_map(|(client, count)| Step::Read(client, count)),
    ]
}

struct Client {
    ticket: Ticket,
    outbox: Arc<Outbox>,
    from: u64,
    at: u64,
    live: bool,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn whatever_comes_meanwhile_a_client_is_given_everything_once_and_in_order(
        steps in prop::collection::vec(step(), 1..20),
    ) {
        let room = Rooms::default().enter(&Room::new("lobby").unwrap());
        let mut top = 0;
        let mut clients = Vec::<Client>::new();
        for step in steps {
            match step {
                Step::Come(count) => {
                    for _ in 0..count {
                        top += 1;
                        prop_assert_eq!(room.hear(&record(top)), Heard::Delivered);
                    }
                }
                Step::Join(back) => {
                    let outbox = Arc::new(Outbox::new(64 * 1024 * 1024));
                    let ticket = room.join(request(clients.len() as u64, &outbox));
                    let from = top.saturating_sub(back);
                    clients.push(Client { ticket, outbox, from, at: from, live: false });
                }
                Step::Read(client, count) => {
                    let Some(one) = clients.get_mut(client) else { continue };
                    if !one.live {
                        read(&room, client, one, count, top);
                    }
                }
            }
        }
        for (session, one) in clients.iter_mut().enumerate() {
            for _ in 0..=top {
                if one.live {
                    break;
                }
                read(&room, session, one, 100, top);
            }
            prop_assert!(one.live, "a client at {} of {} never caught up", one.at, top);
            prop_assert_eq!(offsets(&one.outbox), (one.from + 1..=top).collect::<Vec<_>>());
        }
    }
}

fn read(room: &LocalRoom, session: usize, one: &mut Client, count: u64, top: u64) {
    let to = (one.at + count).min(top);
    let frames: Vec<Frame> = (one.at + 1..=to).map(|offset| Dialect::NativeJson.publication(&record(offset))).collect();
    assert!(room.feed(session as u64, one.ticket, &frames));
    one.at = to;
    let standing = room.go_live(session as u64, one.ticket, Cursor::new(1, to), None);
    assert_ne!(standing, Standing::Gone);
    one.live = standing == Standing::Live;
}

#[test]
fn what_belongs_to_an_earlier_joining_is_not_taken_for_a_later_one() {
    let room = Rooms::default().enter(&Room::new("lobby").unwrap());
    let outbox = Arc::new(Outbox::new(1024));
    let first = room.join(request(1, &outbox));
    room.leave(1);
    let second = room.join(request(1, &outbox));
    let frame = Frame::from("late".to_owned());
    assert!(!room.feed(1, first, std::slice::from_ref(&frame)));
    assert_eq!(room.go_live(1, first, Cursor::new(1, 0), None), Standing::Gone);
    assert_eq!(room.go_live(1, second, Cursor::new(1, 0), None), Standing::Live);
    assert_eq!(outbox.bytes(), 0);
}

#[test]
fn a_room_that_started_over_makes_a_joining_client_read_on() {
    let room = Rooms::default().enter(&Room::new("lobby").unwrap());
    let outbox = Arc::new(Outbox::new(1024 * 1024));
    room.hear(&record(1));
    let ticket = room.join(request(1, &outbox));
    room.start_over(Cursor::new(2, 3));
    assert_eq!(room.go_live(1, ticket, Cursor::new(1, 1), None), Standing::Behind);
    room.give_up(1, ticket);
    assert!(!room.holds(1), "it was told to join again");
    assert!(outbox.bytes() > 0);
}
