use super::*;
use confab_protocol::EventId;
use serde_json::{Map, Value, json};

/// Arguments of a verb, as a client could give them.
fn example(verb: &Verb) -> Map<String, Value> {
    let id = EventId::fresh().to_string();
    let all = json!({
        "room": "lobby", "key": "k", "body": {"text": "hi"}, "target": id, "reaction": "tada", "op": "list", "since": null,
        "user": "bob", "role": "member", "prefix": "team:",
    });
    let given = all.as_object().unwrap().clone();
    given.into_iter().filter(|(name, _)| verb.arguments.names().contains(&name.as_str())).collect()
}

#[test]
fn every_verb_has_a_row_with_arguments_a_result_and_what_it_asks_of_whom() {
    assert_eq!(TABLE.each_ref().map(|verb| verb.name), VerbName::ALL);
    for verb in &TABLE {
        let name = verb.name.as_str();
        assert!(named(name).is_ok_and(|found| std::ptr::eq(found, verb)), "{name}");
        let names_room = verb.arguments.names().contains(&"room");
        assert_eq!(names_room, verb.needs != Needs::Anybody, "{name}: {:?}", verb.arguments.names());
        assert!(!verb.result.is_empty(), "{name}");
        let mut arguments = example(verb);
        verb.arguments.check(&Body::of(&arguments)).unwrap();
        arguments.insert("rom".into(), "lobby".into());
        let unknown = verb.arguments.check(&Body::of(&arguments)).unwrap_err().to_string();
        assert!(unknown.contains("unknown field `rom`"), "{name}: {unknown}");
    }
    assert_eq!(named("votes").err(), Some(Refusal::NotAvailable));
}

#[test]
fn a_draft_asks_for_what_the_table_says_and_is_under_the_key_that_its_sender_gave() {
    let limits = Limits::default();
    let mut drafts = 0;
    for verb in &TABLE {
        let How::Draft(read) = verb.how else { continue };
        drafts += 1;
        let mut arguments = example(verb);
        let drafted = read(verb.name, Some(&Body::of(&arguments)), &limits).unwrap();
        assert_eq!(verb.needs, Needs::Room(Act::of(drafted.draft.kind)), "{:?}", verb.name);
        assert!(drafted.keyed && drafted.draft.key.as_str() == "k");
        arguments.remove("key");
        assert!(!read(verb.name, Some(&Body::of(&arguments)), &limits).unwrap().keyed);
        let refused = read(verb.name, None, &limits).unwrap_err();
        assert!(refused.message().contains(verb.name.as_str()), "{}", refused.message());
        arguments.insert("room".into(), "x".repeat(limits.room_name_bytes + 1).into());
        assert!(matches!(read(verb.name, Some(&Body::of(&arguments)), &limits), Err(Refusal::BadRequest(_))));
    }
    assert_eq!(drafts, 5);
}

#[test]
fn what_came_of_it_has_one_number_for_every_door() {
    let errors = [
        Error::Refused(Refusal::Draining),
        Error::Review(crate::review::Error::Missing(EventId::fresh())),
        Error::Review(crate::review::Error::Senseless("no".into())),
        Error::Review(crate::review::Error::Refused(Refusal::Unknown)),
        Error::Untold { here: 1, error: timeline::Error::Unavailable("away".into()) },
    ];
    for error in errors {
        let code = error.code();
        assert_eq!(error.refusal().code(), code);
    }
}
