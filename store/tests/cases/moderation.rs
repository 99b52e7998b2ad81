//! What moderation keeps in the store: who may not speak or be where, and what somebody should look at.

use crate::support::*;
use confab_protocol::{Body, Millis, Room, UserId};
use confab_store::{Change, Flag, Precedence, Revocation, Sanction, SanctionKind, Store, Which};

fn mute(user: &str, until: Millis) -> Sanction {
    let (reason, by, until) = ("enough".to_owned(), "plugin:flood-guard".to_owned(), Some(until));
    let user = UserId::new(user).unwrap();
    Sanction { kind: SanctionKind::Mute, room: Some(room()), user, until, reason, by, at: 1000 }
}

fn ban(user: &str, room: Option<Room>, until: Option<Millis>) -> Sanction {
    Sanction { kind: SanctionKind::Ban, room, until, by: "mia".into(), ..mute(user, 0) }
}

/// The mutes and bans that changed after a version.
async fn sanctions_since(store: &Store, version: u64, limit: usize) -> Vec<(u64, Sanction)> {
    let changes = store.changes_since(version, limit).await.unwrap();
    let sanction = |(version, change)| match change {
        Change::Sanction(sanction) => (version, sanction),
        Change::Revocation(other) => panic!("{other:?}"),
    };
    changes.into_iter().map(sanction).collect()
}

async fn since(store: &Store, version: u64) -> Vec<(u64, String, Option<Millis>)> {
    let changes = sanctions_since(store, version, 100).await;
    changes.into_iter().map(|(version, one)| (version, one.user.to_string(), one.until)).collect()
}

async fn mutes(store: &Store, now: Millis, which: Which<'_>) -> Vec<Sanction> {
    store.sanctions(SanctionKind::Mute, now, which, 10).await.unwrap()
}

async fn bans(store: &Store, now: Millis, which: Which<'_>) -> Vec<Sanction> {
    store.sanctions(SanctionKind::Ban, now, which, 10).await.unwrap()
}

pub async fn a_mute_is_read_by_its_version_and_ends_by_itself(store: Store) {
    assert!(store.sanction(&mute("ada", 5000), Precedence::Extends).await.unwrap());
    assert!(store.sanction(&mute("bob", 4000), Precedence::Extends).await.unwrap());
    assert_eq!(since(&store, 0).await, [(1, "ada".into(), Some(5000)), (2, "bob".into(), Some(4000))]);
    assert_eq!(since(&store, 1).await, [(2, "bob".into(), Some(4000))]);
    assert_eq!(sanctions_since(&store, 0, 1).await, [(1, mute("ada", 5000))]);
    assert_eq!(mutes(&store, 3999, Which::default()).await, [mute("bob", 4000), mute("ada", 5000)]);
    let room = room();
    let here = Which { room: Some(room.as_str()), user: None };
    assert_eq!(mutes(&store, 4000, here).await, [mute("ada", 5000)]);
    assert_eq!(mutes(&store, 4000, Which { room: Some("elsewhere"), user: None }).await, []);
    assert_eq!(mutes(&store, 3999, Which { user: Some("bob"), ..here }).await, [mute("bob", 4000)]);
}

pub async fn a_plugin_lengthens_a_mute_and_only_a_moderator_shortens_it(store: Store) {
    assert!(store.sanction(&mute("ada", 5000), Precedence::Extends).await.unwrap());
    assert!(!store.sanction(&mute("ada", 4000), Precedence::Extends).await.unwrap());
    assert_eq!(since(&store, 0).await, [(1, "ada".into(), Some(5000))], "nothing has changed");
    assert!(store.sanction(&mute("ada", 6000), Precedence::Extends).await.unwrap());
    assert!(store.sanction(&mute("ada", 2000), Precedence::Replaces).await.unwrap());
    assert_eq!(mutes(&store, 0, Which::default()).await, [mute("ada", 2000)]);
}

pub async fn mutes_and_bans_at_once_are_all_seen_in_the_order_of_their_versions(store: Store) {
    let setting = (0..20).map(|n| {
        let store = store.clone();
        let (user, place) = (format!("u{n}"), (n % 3 == 0).then(room));
        let one = if n % 2 == 0 { mute(&user, 5000) } else { ban(&user, place, None) };
        tokio::spawn(async move { store.sanction(&one, Precedence::Extends).await.unwrap() })
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
    let (ada, place) = (UserId::new("ada").unwrap(), room());
    let lift = async |by, now| store.lift_sanction(SanctionKind::Mute, Some(&place), &ada, by, now).await.unwrap();
    assert!(!lift("mia", 2000).await, "there is none");
    store.sanction(&mute("ada", 5000), Precedence::Extends).await.unwrap();
    let (last, ..) = since(&store, 0).await[0];
    assert!(lift("mia", 2000).await);
    assert!(!lift("noor", 2001).await, "it has ended");
    let news = sanctions_since(&store, last, 10).await;
    assert_eq!((news.len(), news[0].1.until, news[0].1.by.as_str()), (1, Some(2000), "mia"));
    assert_eq!(mutes(&store, 2000, Which::default()).await, []);
}

pub async fn each_version_has_a_mark_of_its_own(store: Store) {
    for user in ["ada", "bob"] {
        store.sanction(&mute(user, 5000), Precedence::Extends).await.unwrap();
    }
    let [first, second] = [store.sanctions_mark(1).await.unwrap(), store.sanctions_mark(2).await.unwrap()];
    assert!(first.is_some() && second.is_some() && first != second, "{first:?} {second:?}");
    assert_eq!(store.sanctions_mark(3).await.unwrap(), None, "nobody gave it out");
    store.forget_sanctions(0).await.unwrap();
    assert_eq!(store.sanctions_mark(1).await.unwrap(), first, "only old ones are forgotten");
}

pub async fn a_ban_is_of_one_room_or_of_all_and_lasts_for_good_unless_it_has_an_end(store: Store) {
    let (here, ada) = (Some(room()), UserId::new("ada").unwrap());
    let (of_one, of_all) = (ban("ada", here.clone(), Some(5000)), ban("ada", None, None));
    for one in [&mute("ada", 3000), &of_one, &of_all] {
        assert!(store.sanction(one, Precedence::Replaces).await.unwrap());
    }
    let news: Vec<_> = sanctions_since(&store, 0, 10).await.into_iter().map(|(_, one)| one).collect();
    assert_eq!(news, [mute("ada", 3000), of_one.clone(), of_all.clone()], "mutes and bans, in one order");
    assert_eq!(store.sanctions_version().await.unwrap(), 3);
    assert_eq!(bans(&store, 4999, Which::default()).await, [of_one.clone(), of_all.clone()]);
    assert_eq!(bans(&store, Millis::MAX >> 2, Which::default()).await, std::slice::from_ref(&of_all));
    assert_eq!(mutes(&store, 2000, Which::default()).await, [mute("ada", 3000)], "one does not touch the other");
    assert!(store.lift_sanction(SanctionKind::Ban, None, &ada, "noor", 2000).await.unwrap());
    assert!(!store.lift_sanction(SanctionKind::Ban, None, &ada, "noor", 2000).await.unwrap());
    assert_eq!(bans(&store, 2000, Which { user: Some("ada"), room: None }).await, [of_one]);
    assert!(store.sanction(&of_all, Precedence::Replaces).await.unwrap(), "and once more");
    assert_eq!(store.forget_sanctions(Millis::MAX >> 2).await.unwrap(), 2);
    assert_eq!(bans(&store, 2000, Which::default()).await, [of_all], "what has no end is never forgotten");
}

pub async fn what_was_revoked_stays_so_and_is_news_among_the_others(store: Store) {
    let revocation =
        |user: &str, before| Revocation { user: UserId::new(user).unwrap(), before, by: "mia".into(), at: 9 };
    assert!(store.revoke_tokens(&revocation("ada", 2000)).await.unwrap());
    assert!(store.sanction(&mute("bob", 5000), Precedence::Extends).await.unwrap());
    assert!(!store.revoke_tokens(&revocation("ada", 1000)).await.unwrap(), "an earlier time takes nothing back");
    assert!(store.revoke_tokens(&revocation("ada", 3000)).await.unwrap());
    let news: Vec<_> = store.changes_since(0, 10).await.unwrap().into_iter().map(|(_, change)| change).collect();
    assert_eq!(news, [Change::Sanction(mute("bob", 5000)), Change::Revocation(revocation("ada", 3000))]);
    store.forget_sanctions(Millis::MAX >> 2).await.unwrap();
    assert_eq!(store.changes_since(0, 10).await.unwrap().len(), 1, "a token may be good for ever");
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
        assert!(store.flag(&flag, 100).await.unwrap());
        assert!(!store.flag(&Flag { reason: "again".into(), ..flag }, 100).await.unwrap());
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
    store.sanction(&mute("ada", 5000), Precedence::Extends).await.unwrap();
    store.sanction(&mute("bob", 6000), Precedence::Extends).await.unwrap();
    assert_eq!(store.forget_sanctions(5001).await.unwrap(), 1);
    assert_eq!(since(&store, 0).await, [(2, "bob".into(), Some(6000))]);
    for n in 1..=5 {
        store.flag(&flag(n, 0), 100).await.unwrap();
    }
    store.close_flags(id(1), "mia", None, 3000).await.unwrap();
    assert_eq!(store.forget_flags(3000, 10).await.unwrap(), 0);
    assert_eq!(store.forget_flags(3001, 10).await.unwrap(), 1);
    assert_eq!(store.forget_flags(3001, 3).await.unwrap(), 1, "the newest of whoever has the most");
    assert_eq!(store.flags(true, None, 10).await.unwrap(), [flag(2, 0), flag(3, 0), flag(4, 0)]);
}

pub async fn flags_of_one_sender_make_none_of_anothers_go(store: Store) {
    let of = |who: &str, n: u128| Flag { sender: UserId::new(who).unwrap(), ..flag(n, 0) };
    store.flag(&of("ada", 1), 4).await.unwrap();
    for n in 2..=20 {
        assert_eq!(store.flag(&of("spammer", n), 4).await.unwrap(), n <= 5, "{n}");
    }
    store.flag(&of("bob", 21), 4).await.unwrap();
    let open = async || {
        let flags = store.flags(true, None, 100).await.unwrap();
        flags.into_iter().map(|flag| flag.event).collect::<Vec<_>>()
    };
    assert_eq!(open().await, [1, 2, 3, 4, 5, 21].map(id));
    assert_eq!(store.forget_flags(0, 4).await.unwrap(), 2);
    assert_eq!(open().await, [1, 2, 3, 21].map(id));
    store.close_flags(id(2), "mia", None, 30).await.unwrap();
    assert!(store.flag(&of("spammer", 22), 2).await.unwrap(), "one of them was looked at");
}
