//! Signals: what both back-ends promise, and what only Redis has to.

use crate::contract::contract;
use crate::hubs::pair;
use crate::presence::present;
use crate::server::connection;
use crate::world::{World, entry, redis_options, room, user};
use confab_hub::timeline::{Error, Relay};
use confab_protocol::Signal;
use confab_protocol::signal::{Ban, SIGNAL_BYTES_MAX, SanctionsChanged, Typing};
use std::sync::atomic::Ordering;

contract!(
    what_is_told_to_a_room_is_heard_where_the_room_is_heard,
    what_is_told_to_a_user_or_to_the_hubs_is_heard_whatever_the_hub_listens_to,
);

/// The next that is relayed, which is a signal.
pub async fn heard(world: &mut World) -> Signal {
    let Relay::Signal(signal) = world.relayed().await else { panic!("no signal was heard") };
    (*signal).clone()
}

fn ban(reason: &str) -> Signal {
    Signal::to_user(user("ada"), Ban { room: None, until: None, reason: reason.to_owned() })
}

async fn what_is_told_to_a_room_is_heard_where_the_room_is_heard(mut world: World) {
    let typing = |name: &str| Signal::to_room(room(name), Typing { who: present("ada", "a") });
    world.timeline.subscribe(&room("team")).await.unwrap();
    world.timeline.tell(&typing("unheard")).await.unwrap();
    world.timeline.tell(&typing("team")).await.unwrap();
    assert_eq!(heard(&mut world).await, typing("team"));
    world.publish(&entry("team", "k", "it takes no place")).await;
    assert_eq!(world.hears().await.cursor.offset, 1);
}

async fn what_is_told_to_a_user_or_to_the_hubs_is_heard_whatever_the_hub_listens_to(mut world: World) {
    for signal in [ban("enough"), Signal::to_hubs(SanctionsChanged {})] {
        world.timeline.tell(&signal).await.unwrap();
        assert_eq!(heard(&mut world).await, signal);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_reaches_every_hub_and_one_that_is_too_large_none() {
    let (mut one, mut other) = pair(redis_options()).await;
    let large = one.timeline.tell(&ban(&"x".repeat(SIGNAL_BYTES_MAX))).await;
    assert!(matches!(large, Err(Error::Refused(_))), "{large:?}");
    one.timeline.tell(&ban("enough")).await.unwrap();
    for hub in [&mut one, &mut other] {
        assert_eq!(heard(hub).await, ban("enough"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_of_another_version_tells_a_kind_that_is_passed_over_and_no_room_is_compared() {
    let options = redis_options();
    let (url, prefix) = (options.url.clone(), options.prefix.clone());
    let (mut one, _other) = pair(options).await;
    let mut connection = connection(&url).await;
    let channels: Vec<String> = ::redis::cmd("PUBSUB")
        .arg("SHARDCHANNELS")
        .arg(format!("{prefix}*hubs"))
        .query_async(&mut connection)
        .await
        .unwrap();
    let [channel] = channels.as_slice() else { panic!("one channel is every hub's: {channels:?}") };
    for said in [r#"~{"to":{"user":"ada"},"kind":"marker","data":{"up_to":7}}"#, r#"~{"room":"team","here":true}"#] {
        let () = ::redis::cmd("SPUBLISH").arg(channel).arg(said).query_async(&mut connection).await.unwrap();
    }
    one.timeline.tell(&ban("the next that is heard")).await.unwrap();
    assert_eq!(heard(&mut one).await, ban("the next that is heard"));
    let counters = one.timeline.counters();
    let [unknown, unreadable] = [&counters.unknown_signals, &counters.unreadable_signals];
    assert_eq!((unknown.load(Ordering::Relaxed), unreadable.load(Ordering::Relaxed)), (1, 1));
}
