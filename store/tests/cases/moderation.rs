//! What moderation keeps in the store: who may not speak, and what somebody should look at.

use crate::support::*;
use confab_protocol::{Body, Millis, Room, UserId};
use confab_store::{Flag, Mute, Store, Weight};

fn mute(user: &str, until: Millis) -> Mute {
    let (reason, by) = ("enough".to_owned(), "plugin:flood-guard".to_owned());
    Mute { room: room(), user: UserId::new(user).unwrap(), until, reason, by, at: 1000 }
}

async fn since(store: &Store, version: u64) -> Vec<(u64, String, Millis)> {
    let changes = store.mutes_since(version, 100).await.unwrap();
    changes.into_iter().map(|(version, mute)| (version, mute.user.to_string(), mute.until)).collect()
}

pub async fn a_mute_is_read_by_its_version_and_ends_by_itself(store: Store) {
    assert!(store.mute(&mute("ada", 5000), Weight::Extends).await.unwrap());
    assert!(store.mute(&mute("bob", 4000), Weight::Extends).await.unwrap());
    assert_eq!(since(&store, 0).await, [(1, "ada".into(), 5000), (2, "bob".into(), 4000)]);
    assert_eq!(since(&store, 1).await, [(2, "bob".into(), 4000)]);
    assert_eq!(store.mutes_since(0, 1).await.unwrap(), [(1, mute("ada", 5000))]);
    assert_eq!(store.mutes(3999, None, 10).await.unwrap(), [mute("bob", 4000), mute("ada", 5000)]);
    assert_eq!(store.mutes(4000, Some(room().as_str()), 10).await.unwrap(), [mute("ada", 5000)]);
    assert_eq!(store.mutes(4000, Some("elsewhere"), 10).await.unwrap(), []);
}

pub async fn a_plugin_lengthens_a_mute_and_only_a_moderator_shortens_it(store: Store) {
    assert!(store.mute(&mute("ada", 5000), Weight::Extends).await.unwrap());
    assert!(!store.mute(&mute("ada", 4000), Weight::Extends).await.unwrap());
    assert_eq!(since(&store, 0).await, [(1, "ada".into(), 5000)], "nothing has changed");
    assert!(store.mute(&mute("ada", 6000), Weight::Extends).await.unwrap());
    assert!(store.mute(&mute("ada", 2000), Weight::Replaces).await.unwrap());
    assert_eq!(store.mutes(0, None, 10).await.unwrap(), [mute("ada", 2000)]);
}

pub async fn mutes_at_once_are_all_seen_in_the_order_of_their_versions(store: Store) {
    let setting = (0..20).map(|n| {
        let store = store.clone();
        tokio::spawn(async move { store.mute(&mute(&format!("u{n}"), 5000), Weight::Extends).await.unwrap() })
    });
    let setting: Vec<_> = setting.collect();
    // Whoever reads on from the last version that they saw misses nobody.
    let (mut seen, mut last) = (std::collections::BTreeSet::new(), 0);
    while seen.len() < 20 {
        for (version, user, _) in since(&store, last).await {
            assert!(version > last);
            last = version;
            seen.insert(user);
        }
        tokio::task::yield_now().await;
    }
    for one in setting {
        assert!(one.await.unwrap());
    }
}

pub async fn a_lifted_mute_is_news(store: Store) {
    let ada = UserId::new("ada").unwrap();
    assert!(!store.lift_mute(&room(), &ada, "mia", 2000).await.unwrap(), "there is none");
    store.mute(&mute("ada", 5000), Weight::Extends).await.unwrap();
    let (last, ..) = since(&store, 0).await[0];
    assert!(store.lift_mute(&room(), &ada, "mia", 2000).await.unwrap());
    assert!(!store.lift_mute(&room(), &ada, "noor", 2001).await.unwrap(), "it has ended");
    let news = store.mutes_since(last, 10).await.unwrap();
    assert_eq!((news.len(), news[0].1.until, news[0].1.by.as_str()), (1, 2000, "mia"));
    assert_eq!(store.mutes(2000, None, 10).await.unwrap(), []);
}

fn flag(n: u128, which: u32) -> Flag {
    Flag {
        event: id(n),
        n: which,
        room: room(),
        sender: UserId::new("ada").unwrap(),
        plugin: "word-filter".into(),
        reason: format!("look at {n}"),
        at: 1000 + n as u64,
        said: (which == 0).then(|| Body::parse(r#"{"body":{"n":1.00}}"#).unwrap()),
        closed: None,
    }
}

pub async fn flags_are_listed_until_they_are_closed(store: Store) {
    for flag in [flag(2, 0), flag(1, 0), flag(1, 1)] {
        store.flag(&flag).await.unwrap();
        store.flag(&Flag { reason: "again".into(), ..flag }).await.unwrap();
    }
    assert_eq!(store.flags(true, None, 10).await.unwrap(), [flag(1, 0), flag(1, 1), flag(2, 0)]);
    assert_eq!(store.flags(true, None, 1).await.unwrap(), [flag(1, 0)]);
    assert_eq!(store.flags(true, Some(Room::new("elsewhere").unwrap().as_str()), 9).await.unwrap(), []);
    assert_eq!(store.close_flags(id(1), "mia", Some("all is well"), 3000).await.unwrap(), 2);
    assert_eq!(store.close_flags(id(1), "noor", None, 4000).await.unwrap(), 0);
    assert_eq!(store.flags(true, None, 10).await.unwrap(), [flag(2, 0)]);
    let closed = store.flags(false, None, 10).await.unwrap();
    let by = closed[0].closed.as_ref().unwrap();
    assert_eq!((closed.len(), by.by.as_str(), by.why.as_deref(), by.at), (2, "mia", Some("all is well"), 3000));
}

pub async fn what_is_old_is_forgotten(store: Store) {
    store.mute(&mute("ada", 5000), Weight::Extends).await.unwrap();
    store.mute(&mute("bob", 6000), Weight::Extends).await.unwrap();
    assert_eq!(store.forget_mutes(5001).await.unwrap(), 1);
    assert_eq!(since(&store, 0).await, [(2, "bob".into(), 6000)]);
    for n in 1..=5 {
        store.flag(&flag(n, 0)).await.unwrap();
    }
    store.close_flags(id(1), "mia", None, 3000).await.unwrap();
    assert_eq!(store.forget_flags(3000, 10).await.unwrap(), 0);
    assert_eq!(store.forget_flags(3001, 10).await.unwrap(), 1);
    assert_eq!(store.forget_flags(3001, 3).await.unwrap(), 1, "the oldest open one");
    assert_eq!(store.flags(true, None, 10).await.unwrap(), [flag(3, 0), flag(4, 0), flag(5, 0)]);
}
