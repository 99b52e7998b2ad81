//! Records of the journal.

use crate::{damaged, json};
use confab_protocol::{Annotations, Body, Cursor, Event, EventId, Key, Kind, Record, Room, Sender, Trail, UserId};
use confab_protocol::{Step, VerdictName};
use proptest::prelude::*;

fn body() -> impl Strategy<Value = Body> {
    json().prop_map(|value| Body::of(&value))
}

fn sender() -> impl Strategy<Value = Sender> {
    let user = "[a-zé文]{1,12}".prop_map(|name| UserId::new(name).expect("letters are a name"));
    let info = body().prop_filter("null is as good as none, and read so", |body| !body.is_null());
    (user, prop::option::of(".{0,12}"), prop::option::of(info)).prop_map(|(user, client, info)| Sender {
        user,
        client,
        info,
    })
}

fn trail() -> impl Strategy<Value = Trail> {
    use VerdictName::{Accept, Fault, Hold, Reject, Replace};
    let verdict = prop::sample::select(vec![Accept, Replace, Reject, Hold, Fault]);
    let step = (".{0,8}", ".{0,8}", verdict, any::<u64>(), any::<bool>())
        .prop_map(|(plugin, hash, verdict, us, shadow)| Step { plugin, hash, verdict, us, shadow });
    (".{0,8}", prop::collection::vec(step, 0..3)).prop_map(|(chain, steps)| Trail { chain, steps })
}

fn records() -> impl Strategy<Value = Record> {
    let kind = prop::sample::select(vec![Kind::Message, Kind::Edit, Kind::Delete, Kind::Reaction, Kind::Unreaction]);
    let names = ("[a-z:#,文]{1,20}", "[!-~]{1,30}");
    let annotations = prop::collection::btree_map(".{1,8}", body(), 0..3);
    let place = (any::<u64>(), any::<u64>(), any::<u64>());
    let others = any::<(bool, bool)>();
    (kind, names, sender(), body(), annotations, place, others, trail()).prop_map(
        |(kind, (room, key), sender, body, annotations, (epoch, offset, at), (target, thread), trail)| {
            let event = Event {
                kind,
                id: EventId::fresh(),
                room: Room::new(room).expect("these letters are a room"),
                sender,
                key: Key::new(key).expect("these letters are a key"),
                digest: "d".into(),
                at,
                body,
                target: target.then(EventId::fresh),
                thread: thread.then(EventId::fresh),
                annotations: annotations.into_iter().collect::<Annotations>(),
            };
            Record { event, cursor: Cursor::new(epoch, offset), trail }
        },
    )
}

proptest! {
    #[test]
    fn a_record_that_is_written_is_read_as_the_same(record in records()) {
        prop_assert_eq!(Record::from_json(record.to_json().as_bytes()).unwrap(), record.clone());
        let without = Record::json_without_place(&record.event, &record.trail);
        prop_assert_eq!(Record::placed(without.as_bytes(), record.cursor).unwrap(), record.clone());
        prop_assert!(Record::from_json(without.as_bytes()).is_err(), "a record without a place is none");
    }

    #[test]
    fn a_damaged_record_is_refused_or_written_back_as_it_is_read(
        bytes in prop_oneof![damaged(records().prop_map(|record| record.to_json())), prop::collection::vec(any::<u8>(), 0..200)],
    ) {
        if let Ok(record) = Record::from_json(&bytes) {
            prop_assert_eq!(Record::from_json(record.to_json().as_bytes()).unwrap(), record);
        }
    }
}
