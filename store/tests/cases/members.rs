//! Rooms that people made, and who belongs to them.

use crate::support::{room, user};
use confab_protocol::Room;
use confab_store::{Created, Member, MemberChange, Membership, NewRoom, Outcome, Role, Store, VERSION_COUNTERS};

const PLENTY: u64 = 1000;

async fn created(store: &Store, room: &Room, owner: Option<&str>) -> Created {
    let new = NewRoom {
        room: room.clone(),
        owner: owner.map(user),
        members: Vec::new(),
        title: "A title".into(),
        topic: String::new(),
        by: "ada".into(),
        at: 1,
    };
    store.create_room(&new).await.unwrap()
}

async fn changed(store: &Store, whom: &str, change: Membership) -> Outcome {
    changed_in(store, &room(), whom, change).await
}

async fn changed_in(store: &Store, room: &Room, whom: &str, change: Membership) -> Outcome {
    let by = "ada".to_owned();
    let asked = MemberChange { room: room.clone(), user: user(whom), change, asker: None, below: None, by, at: 2 };
    store.change_member(&asked).await.unwrap()
}

fn add(role: Role) -> Membership {
    Membership::Add { role, max_members: PLENTY }
}

fn done(outcome: Outcome) -> u64 {
    match outcome {
        Outcome::Changed(version) => version,
        other => panic!("it was not done: {other:?}"),
    }
}

async fn roles(store: &Store) -> Vec<(String, Role)> {
    let members = store.members(&room(), None, 100).await.unwrap();
    members.into_iter().map(|member| (member.user.as_str().to_owned(), member.role.expect("a role"))).collect()
}

fn pairs(expected: &[(&str, Role)]) -> Vec<(String, Role)> {
    expected.iter().map(|(user, role)| ((*user).to_owned(), *role)).collect()
}

/// All that changed in the rooms of all counters.
async fn all_changes(store: &Store) -> Vec<Member> {
    let mut all = Vec::new();
    for counter in 0..VERSION_COUNTERS {
        all.extend(store.member_changes(counter, 0, 1000).await.unwrap());
    }
    all
}

pub async fn a_room_is_made_once_and_its_first_member_owns_it(store: Store) {
    assert_eq!(created(&store, &room(), Some("ada")).await, Created::New);
    assert_eq!(created(&store, &room(), Some("eve")).await, Created::Exists);
    assert_eq!(roles(&store).await, pairs(&[("ada", Role::Owner)]));
}

pub async fn a_member_added_again_keeps_their_role_and_changes_nothing(store: Store) {
    created(&store, &room(), Some("ada")).await;
    done(changed(&store, "bob", add(Role::Moderator)).await);
    let before = store.member_versions().await.unwrap();
    assert_eq!(changed(&store, "bob", add(Role::Member)).await, Outcome::Unchanged);
    assert_eq!(changed(&store, "cem", Membership::Remove).await, Outcome::Unchanged);
    assert_eq!(changed(&store, "cem", Membership::Role(Role::Member)).await, Outcome::NoMember);
    assert_eq!(store.member_versions().await.unwrap(), before, "what changes nothing takes no version");
    assert_eq!(roles(&store).await, pairs(&[("ada", Role::Owner), ("bob", Role::Moderator)]));
    done(changed(&store, "bob", Membership::Role(Role::Member)).await);
    assert_eq!(store.role(&room(), &user("bob")).await.unwrap(), Some(Role::Member));
}

pub async fn nobody_is_added_to_a_room_that_is_not_there(store: Store) {
    for change in [add(Role::Owner), Membership::Remove, Membership::Role(Role::Owner)] {
        assert_eq!(changed(&store, "ada", change).await, Outcome::NoRoom);
    }
    assert_eq!(store.role(&room(), &user("ada")).await.unwrap(), None);
    assert_eq!(all_changes(&store).await, []);
}

pub async fn a_full_room_takes_somebody_when_somebody_left(store: Store) {
    created(&store, &room(), Some("ada")).await;
    let two = Membership::Add { role: Role::Member, max_members: 2 };
    done(changed(&store, "bob", two).await);
    assert_eq!(changed(&store, "cem", two).await, Outcome::Full);
    done(changed(&store, "bob", Membership::Remove).await);
    done(changed(&store, "cem", two).await);
    assert_eq!(roles(&store).await, pairs(&[("ada", Role::Owner), ("cem", Role::Member)]));
}

pub async fn of_many_who_are_added_at_once_no_more_than_fit_are(store: Store) {
    created(&store, &room(), Some("ada")).await;
    let adding = (0..12).map(|n| {
        let store = store.clone();
        tokio::spawn(async move {
            let change = Membership::Add { role: Role::Member, max_members: 5 };
            changed(&store, &format!("u{n}"), change).await
        })
    });
    let mut full = 0;
    for adding in adding.collect::<Vec<_>>() {
        full += usize::from(adding.await.unwrap() == Outcome::Full);
    }
    assert_eq!((roles(&store).await.len(), full), (5, 8));
}

pub async fn the_last_owner_neither_leaves_nor_becomes_less(store: Store) {
    created(&store, &room(), Some("ada")).await;
    assert_eq!(changed(&store, "ada", Membership::Remove).await, Outcome::LastOwner);
    assert_eq!(changed(&store, "ada", Membership::Role(Role::Member)).await, Outcome::LastOwner);
    done(changed(&store, "bob", add(Role::Owner)).await);
    done(changed(&store, "ada", Membership::Remove).await);
    assert_eq!(roles(&store).await, pairs(&[("bob", Role::Owner)]));
    let other = Room::new("made:by-the-api").unwrap();
    created(&store, &other, None).await;
    done(changed_in(&store, &other, "ada", add(Role::Owner)).await);
    done(changed_in(&store, &other, "ada", Membership::Remove).await);
}

pub async fn of_two_last_owners_who_leave_at_once_one_remains(store: Store) {
    for n in 0..20 {
        let room = Room::new(format!("owned:{n}")).unwrap();
        created(&store, &room, Some("ada")).await;
        done(changed_in(&store, &room, "bob", add(Role::Owner)).await);
        let leaving = ["ada", "bob"].map(|whom| {
            let (store, room) = (store.clone(), room.clone());
            tokio::spawn(async move { changed_in(&store, &room, whom, Membership::Remove).await })
        });
        let mut outcomes = Vec::new();
        for leaving in leaving {
            outcomes.push(leaving.await.unwrap());
        }
        let refused = outcomes.iter().filter(|outcome| **outcome == Outcome::LastOwner).count();
        assert_eq!(refused, 1, "{outcomes:?}");
        assert_eq!(store.members(&room, None, 10).await.unwrap().len(), 1);
    }
}

pub async fn a_removal_is_news_and_gives_no_right(store: Store) {
    created(&store, &room(), Some("ada")).await;
    let added = done(changed(&store, "bob", add(Role::Member)).await);
    let removed = done(changed(&store, "bob", Membership::Remove).await);
    assert!(removed > added);
    assert_eq!(store.role(&room(), &user("bob")).await.unwrap(), None);
    assert_eq!(store.rooms_of(&user("bob"), None, 10).await.unwrap(), []);
    let gone = Member { room: room(), user: user("bob"), role: None, version: removed };
    assert!(all_changes(&store).await.contains(&gone));
    let versions = store.member_versions().await.unwrap();
    assert_eq!(versions.len(), usize::from(VERSION_COUNTERS));
    assert_eq!(versions.iter().map(|of| of.version).sum::<u64>(), removed, "only the room's counter has moved");
    let again = done(changed(&store, "bob", add(Role::Member)).await);
    let back = Member { room: room(), user: user("bob"), role: Some(Role::Member), version: again };
    let counter = versions.iter().position(|of| of.version == removed).expect("the room's counter");
    assert_eq!(store.member_changes(counter as u8, removed, 10).await.unwrap(), [back]);
}

pub async fn a_room_is_made_with_its_members_and_called_what_people_call_it(store: Store) {
    let direct = Room::new("direct:ab").unwrap();
    let new = NewRoom {
        room: direct.clone(),
        owner: None,
        members: vec![user("ada"), user("bob")],
        title: String::new(),
        topic: String::new(),
        by: "ada".into(),
        at: 7,
    };
    assert_eq!(store.create_room(&new).await.unwrap(), Created::New);
    assert_eq!(store.create_room(&new).await.unwrap(), Created::Exists);
    created(&store, &room(), Some("ada")).await;
    let row = store.room_row(&direct, &user("bob")).await.unwrap().expect("there is one");
    assert_eq!((row.members, row.role, row.at, row.by.as_str()), (2, Some(Role::Member), 7, "ada"));
    assert_eq!(store.room_row(&direct, &user("eve")).await.unwrap().expect("for operators").role, None);
    assert_eq!(store.room_row(&Room::new("nowhere").unwrap(), &user("ada")).await.unwrap(), None);
    assert!(store.describe_room(&room(), None, Some("What it is about")).await.unwrap());
    assert!(!store.describe_room(&Room::new("nowhere").unwrap(), Some("x"), None).await.unwrap());
    let mine = store.room_rows_of(&user("ada"), "", 10).await.unwrap();
    let of_mine: Vec<_> = mine.iter().map(|row| (row.room.as_str(), row.title.as_str(), row.role)).collect();
    assert_eq!(of_mine, [("direct:ab", "", Some(Role::Member)), (room().as_str(), "A title", Some(Role::Owner))]);
    assert_eq!(mine[1].topic, "What it is about");
    assert_eq!(store.room_rows_of(&user("ada"), "direct:ab", 10).await.unwrap(), mine[1..]);
    let all = store.room_rows("", 1).await.unwrap();
    assert_eq!((all[0].room.as_str(), all[0].role), ("direct:ab", None));
}

pub async fn members_and_rooms_are_listed_page_by_page(store: Store) {
    for n in 0..5 {
        let room = Room::new(format!("mine:{n}")).unwrap();
        created(&store, &room, Some("ada")).await;
    }
    created(&store, &room(), Some("eve")).await;
    let mut found: Vec<Room> = Vec::new();
    loop {
        let page = store.rooms_of(&user("ada"), found.last(), 2).await.unwrap();
        assert!(page.len() <= 2);
        if page.is_empty() {
            break;
        }
        found.extend(page.into_iter().map(|member| member.room));
    }
    let expected: Vec<_> = (0..5).map(|n| Room::new(format!("mine:{n}")).unwrap()).collect();
    assert_eq!(found, expected);
    for whom in ["bob", "cem"] {
        done(changed(&store, whom, add(Role::Member)).await);
    }
    let first = store.members(&room(), None, 2).await.unwrap();
    let second = store.members(&room(), first.last().map(|member| &member.user), 2).await.unwrap();
    let users: Vec<_> = first.iter().chain(&second).map(|member| member.user.as_str()).collect();
    assert_eq!((users, first.len()), (vec!["bob", "cem", "eve"], 2));
}

pub async fn each_version_of_members_has_a_mark_of_its_own_until_it_is_forgotten(store: Store) {
    created(&store, &room(), Some("ada")).await;
    let last = done(changed(&store, "bob", add(Role::Member)).await);
    let versions = store.member_versions().await.unwrap();
    let counter = versions.iter().position(|of| of.version == last).expect("the room's counter") as u8;
    let first = store.member_mark(counter, 1).await.unwrap().expect("the owner's");
    let second = store.member_mark(counter, last).await.unwrap().expect("the member's");
    assert_ne!(first, second);
    assert_eq!(versions[usize::from(counter)].mark.as_ref(), Some(&second), "the last version comes with its mark");
    assert_eq!(changed(&store, "bob", add(Role::Member)).await, Outcome::Unchanged);
    assert_eq!(store.member_mark(counter, last).await.unwrap(), Some(second.clone()));
    assert_eq!(store.member_mark(counter, last + 1).await.unwrap(), None);
    assert_eq!(store.member_mark((counter + 1) % VERSION_COUNTERS, last).await.unwrap(), None);
    assert_eq!(store.forget_member_marks(1).await.unwrap(), 1);
    assert_eq!(store.member_mark(counter, 1).await.unwrap(), None);
    assert_eq!(store.member_mark(counter, last).await.unwrap(), Some(second));
}

pub async fn whoever_asks_needs_their_role_while_it_is_done_and_touches_nobody_above(store: Store) {
    created(&store, &room(), Some("ada")).await;
    done(changed(&store, "mia", add(Role::Moderator)).await);
    done(changed(&store, "bob", add(Role::Member)).await);
    let asked = |asker: &str, whom: &str, change| MemberChange {
        room: room(),
        user: user(whom),
        change,
        asker: Some((user(asker), Role::Moderator)),
        below: Some(Role::Moderator),
        by: asker.to_owned(),
        at: 3,
    };
    for (change, outcome) in [
        (asked("bob", "eve", add(Role::Member)), Outcome::NotAllowed),
        (asked("eve", "eve", add(Role::Member)), Outcome::NotAllowed),
        (asked("mia", "ada", Membership::Remove), Outcome::TooHigh),
        (asked("mia", "mia", Membership::Remove), Outcome::TooHigh),
    ] {
        assert_eq!(store.change_member(&change).await.unwrap(), outcome, "{change:?}");
    }
    done(store.change_member(&asked("mia", "bob", Membership::Remove)).await.unwrap());
    // Her hub may not have heard yet that she moderates no more.
    done(changed(&store, "mia", Membership::Role(Role::Member)).await);
    let late = asked("mia", "bob", add(Role::Member));
    assert_eq!(store.change_member(&late).await.unwrap(), Outcome::NotAllowed);
}
