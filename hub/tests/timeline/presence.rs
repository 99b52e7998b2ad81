//! Who listens to a room: what both back-ends promise, and what only Redis has to.

use crate::contract::contract;
use crate::hubs::pair;
use crate::server::connection;
use crate::signals::heard;
use crate::world::{World, entry, redis_options, room, user};
use confab_hub::timeline::{PresenceUpdate, Timeline};
use confab_protocol::signal::PresenceChange;
use confab_protocol::{Body, Present, Signal};

contract!(
    whoever_came_is_listed_in_that_room_until_it_goes,
    what_was_said_last_of_a_listener_is_shown_and_saying_it_again_is_harmless,
    many_who_come_and_go_at_once_are_each_taken_in_their_order,
    what_is_announced_is_heard_where_the_room_is_heard_and_takes_no_place,
    what_is_announced_need_not_be_listed_nor_the_other_way_round,
);

pub fn present(name: &str, client: &str) -> Present {
    Present { user: user(name), client: client.to_owned(), info: None }
}

/// `who` came to a room, or went from it: noted, and told to nobody.
fn noted(name: &str, who: &Present, here: bool) -> PresenceUpdate {
    PresenceUpdate { room: room(name), who: who.clone(), here, listed: true, announced: false }
}

/// The same, told and not noted.
fn announced(name: &str, who: &Present, here: bool) -> PresenceUpdate {
    PresenceUpdate { listed: false, announced: true, ..noted(name, who, here) }
}

/// Everybody who listens, in the order of the sessions' names.
async fn listeners(timeline: &Timeline, name: &str) -> Vec<Present> {
    let listeners = timeline.listeners(&room(name), 1000).await.unwrap();
    assert_eq!(listeners.some.len(), listeners.total);
    let mut all: Vec<Present> = listeners.some.into_values().collect();
    all.sort_by(|a, b| a.client.cmp(&b.client));
    all
}

async fn whoever_came_is_listed_in_that_room_until_it_goes(world: World) {
    let (ada, bob) = (present("ada", "a"), present("bob", "b"));
    assert_eq!(listeners(&world.timeline, "team").await, []);
    world.timeline.attend(&[noted("team", &ada, true)]).await.unwrap();
    world.timeline.attend(&[noted("team", &bob, true), noted("other", &ada, true)]).await.unwrap();
    assert_eq!(listeners(&world.timeline, "team").await, [ada.clone(), bob.clone()]);
    assert_eq!(listeners(&world.timeline, "other").await, std::slice::from_ref(&ada));
    world.timeline.attend(&[noted("team", &ada, false)]).await.unwrap();
    assert_eq!(listeners(&world.timeline, "team").await, std::slice::from_ref(&bob));
    assert_eq!(listeners(&world.timeline, "other").await, [ada]);
    world.timeline.attend(&[noted("team", &bob, false)]).await.unwrap();
    assert_eq!(listeners(&world.timeline, "team").await, []);
}

async fn what_was_said_last_of_a_listener_is_shown_and_saying_it_again_is_harmless(world: World) {
    let ada = present("ada", "a");
    let informed =
        Present { info: Some(Body::of(&serde_json::json!({"name": "Ada: \"L\" \u{1f600}"}))), ..ada.clone() };
    for who in [&ada, &informed, &informed] {
        world.timeline.attend(&[noted("team", who, true)]).await.unwrap();
    }
    assert_eq!(listeners(&world.timeline, "team").await, [informed]);
    for _ in 0..2 {
        world.timeline.attend(&[noted("team", &ada, false)]).await.unwrap();
    }
    assert_eq!(listeners(&world.timeline, "team").await, []);
}

async fn many_who_come_and_go_at_once_are_each_taken_in_their_order(world: World) {
    let sessions: Vec<_> = (0..200).map(|n| present("ada", &format!("{n:03}"))).collect();
    let mut changes: Vec<_> = sessions.iter().map(|who| noted("team", who, true)).collect();
    changes.extend(sessions.iter().skip(1).map(|who| noted("team", who, false)));
    changes.extend(sessions.iter().skip(100).map(|who| noted("team", who, true)));
    world.timeline.attend(&changes).await.unwrap();
    let mut expected = vec![sessions[0].clone()];
    expected.extend(sessions[100..].iter().cloned());
    assert_eq!(listeners(&world.timeline, "team").await, expected);
}

async fn what_is_announced_is_heard_where_the_room_is_heard_and_takes_no_place(mut world: World) {
    let ada = present("ada", "a");
    world.timeline.subscribe(&room("team")).await.unwrap();
    for here in [true, false] {
        world.timeline.attend(&[announced("unheard", &ada, here), announced("team", &ada, here)]).await.unwrap();
        let change = PresenceChange { who: ada.clone(), here };
        assert_eq!(heard(&mut world).await, Signal::to_room(room("team"), change));
    }
    let said = world.publish(&entry("team", "k", "hi")).await;
    assert_eq!((world.hears().await.event.id, said.cursor.offset), (said.event.id, 1));
}

async fn what_is_announced_need_not_be_listed_nor_the_other_way_round(mut world: World) {
    let (ada, bob) = (present("ada", "a"), present("bob", "b"));
    world.timeline.subscribe(&room("team")).await.unwrap();
    world.timeline.attend(&[noted("team", &ada, true), announced("team", &bob, true)]).await.unwrap();
    assert_eq!(listeners(&world.timeline, "team").await, [ada]);
    assert_eq!(heard(&mut world).await, Signal::to_room(room("team"), PresenceChange { who: bob, here: true }));
    world.publish(&entry("team", "k", "the next that is heard")).await;
    world.hears().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hubs_list_each_others_listeners_and_those_of_a_hub_that_died_end_by_themselves() {
    let options = redis_options();
    let (url, prefix) = (options.url.clone(), options.prefix.clone());
    let (one, other) = pair(options).await;
    let (ada, bob) = (present("ada", "a"), present("bob", "b"));
    one.timeline.attend(&[noted("team", &ada, true)]).await.unwrap();
    other.timeline.attend(&[noted("team", &bob, true)]).await.unwrap();
    for hub in [&one, &other] {
        assert_eq!(listeners(&hub.timeline, "team").await, [ada.clone(), bob.clone()]);
    }
    // As if the first hub had said nothing since 1970.
    let mut connection = connection(&url).await;
    let keys: Vec<String> =
        ::redis::cmd("KEYS").arg(format!("{prefix}*listeners*")).query_async(&mut connection).await.unwrap();
    let [key] = keys.as_slice() else { panic!("one room has listeners, and these are the keys: {keys:?}") };
    let till: i64 = ::redis::cmd("PTTL").arg(key).query_async(&mut connection).await.unwrap();
    assert!(till > 0, "a room's listeners end by themselves when no hub is left to say who listens");
    let shown = format!("1:{}", serde_json::to_string(&ada).unwrap());
    let () = ::redis::cmd("HSET").arg(key).arg("a").arg(shown).query_async(&mut connection).await.unwrap();
    assert_eq!(listeners(&other.timeline, "team").await, [bob]);
    let left: u64 = ::redis::cmd("HLEN").arg(key).query_async(&mut connection).await.unwrap();
    assert_eq!(left, 1, "who asks also tidies up");
}
