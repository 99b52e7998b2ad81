use super::*;
use crate::actor::Via;
use crate::timeline::{Memory, MemoryOptions, Timeline};
use confab_config::{Config, RoomRule};
use confab_protocol::Millis;
use confab_store::{Sanction, SanctionKind, Store};

/// What a part's public functions may be called with instead of a permit, and why.
const WITHOUT: [(&str, &str); 19] = [
    ("publish.rs", "turns"),            // a queue, in which nothing is done
    ("publish.rs", "publish"),          // a `Sending` holds a permit
    ("publish.rs", "publish_and_tell"), // as well
    ("publish.rs", "refuse"),           // says no, or what stands already
    ("publish/ephemeral.rs", "judges"),
    ("publish/ephemeral.rs", "joined"), // `Entered` came of a permit
    ("publish/ephemeral.rs", "left"),   // it has happened
    ("recover.rs", "leave"),
    ("recover.rs", "shorten"), // of a page that was given
    ("recover.rs", "shorten_to_bytes"),
    ("recover/catch_up.rs", "finish"), // `Joining` came of a permit
    ("presence.rs", "new"),
    ("presence.rs", "came"), // of whoever was let in
    ("presence.rs", "went"),
    ("presence.rs", "run"),
    ("review.rs", "refusal"),
    ("review.rs", "code"),
    ("review.rs", "new"),
    ("review/tell.rs", "look_again"), // tells whose events they are
];

const PARTS: [(&str, &str); 9] = [
    ("publish.rs", include_str!("../publish.rs")),
    ("publish/ephemeral.rs", include_str!("../publish/ephemeral.rs")),
    ("recover.rs", include_str!("../recover.rs")),
    ("recover/catch_up.rs", include_str!("../recover/catch_up.rs")),
    ("recover/pages.rs", include_str!("../recover/pages.rs")),
    ("presence.rs", include_str!("../presence.rs")),
    ("review.rs", include_str!("../review.rs")),
    ("review/moderate.rs", include_str!("../review/moderate.rs")),
    ("review/tell.rs", include_str!("../review/tell.rs")),
];

/// The public functions of a file, each with its arguments.
fn functions(text: &str) -> Vec<(&str, &str)> {
    let public = ["    pub fn ", "    pub async fn "];
    let begins = public.iter().flat_map(|begin| text.match_indices(begin).map(|(at, begin)| at + begin.len()));
    let read = |at: usize| {
        let (head, _) = text[at..].split_once(" {\n").unwrap();
        head.split_once(['(', '<']).unwrap()
    };
    begins.map(read).collect()
}

#[test]
fn every_door_to_a_room_takes_a_permit() {
    let mut doors = Vec::new();
    for (file, text) in PARTS {
        for (name, arguments) in functions(text) {
            if arguments.contains("Permit") || arguments.contains("Moderator") {
                doors.push(name);
            } else {
                assert!(WITHOUT.contains(&(file, name)), "`{name}` in {file} takes no permit");
            }
        }
    }
    doors.sort_unstable();
    let expected = [
        "approve",
        "approve",
        "close_flags",
        "deny",
        "flags",
        "history",
        "join",
        "lift",
        "list",
        "may_join",
        "of",
        "revoke_tokens",
        "sanction",
        "sanctioned",
        "stream",
        "typing",
    ];
    assert_eq!(doors, expected);
}

/// Nobody is connected.
struct Nobody;

impl crate::members::Audience for Nobody {
    fn is_here(&self, _: &UserId) -> bool {
        false
    }
    fn everybody(&self) -> Vec<UserId> {
        Vec::new()
    }
    fn read_anew(&self, _: &UserId) {}
    fn changed(&self, _: &UserId, _: &Room, _: Option<confab_store::Role>) {}
}

/// Everybody is connected, and nobody listens.
struct Everybody;

impl crate::members::Audience for Everybody {
    fn is_here(&self, _: &UserId) -> bool {
        true
    }
    fn everybody(&self) -> Vec<UserId> {
        Vec::new()
    }
    fn read_anew(&self, _: &UserId) {}
    fn changed(&self, _: &UserId, _: &Room, _: Option<confab_store::Role>) {}
}

struct World {
    access: Access,
    sanctions: Arc<Sanctions>,
    _folder: tempfile::TempDir,
}

/// Rooms that begin with `open:` are open to everybody, others want a token.
async fn world() -> World {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::sqlite(&folder.path().join("store.db")).await.unwrap();
    store.migrate().await.unwrap();
    let (memory, _relay): (Timeline, _) = Memory::empty(MemoryOptions::default());
    let sanctions = Arc::new(Sanctions::new(store.clone(), memory.clone(), Box::new(|_| ())));
    let open = RoomRule { r#match: vec!["open:**".into()], join: Some(JoinRule::Anyone), ..RoomRule::default() };
    let closed = RoomRule { r#match: vec!["**".into()], join: Some(JoinRule::Token), ..RoomRule::default() };
    let rules = RoomRules::new(&Config { room: vec![closed, open], ..Config::default() });
    let members = Arc::new(Members::new(store, memory, Box::new(Nobody)));
    members.look().await.unwrap();
    World { access: Access::new(sanctions.clone(), members, rules), sanctions, _folder: folder }
}

fn actor(user: &str, via: Via) -> Arc<Actor> {
    Arc::new(Actor { via, client: Some("c".into()), ..Actor::operator("admin", UserId::new(user).unwrap()) })
}

fn room(name: &str) -> Room {
    Room::new(name).unwrap()
}

#[tokio::test]
async fn what_a_room_is_and_what_somebody_has_to_show_decide() {
    let World { access, .. } = &world().await;
    let ada = actor("ada", Via::Rpc);
    let may = |actor: &Arc<Actor>, name: &str, claim| access.may(actor, Act::Speak, &room(name), claim).is_ok();
    assert!(may(&ada, "open:1", Claim::None));
    assert!(!may(&ada, "team", Claim::None));
    assert!(may(&ada, "team", Claim::Token) && may(&ada, "team", Claim::Listens));
    assert!(may(&ada, "private#ada,bob", Claim::None) && !may(&ada, "private#bob,eve", Claim::None));
    let guest = Arc::new(Actor { guest: true, ..Actor::clone(&ada) });
    assert!(!may(&guest, "private#ada,bob", Claim::None), "a guest is nobody whom a name could mean");
    assert!(may(&actor("ops", Via::Operator { name: "admin".into() }), "team", Claim::None));
    let moderator = Arc::new(Actor { roles: [MODERATOR.to_owned()].into(), ..Actor::clone(&ada) });
    assert!(access.may_moderate(&moderator).is_ok() && access.may_moderate(&ada).is_err());
}

#[tokio::test]
async fn a_permit_holds_until_something_is_decided_against_its_bearer() {
    let World { access, sanctions, .. } = &world().await;
    let ada = actor("ada", Via::Rpc);
    let open = room("open:1");
    let permit = |act| access.may(&ada, act, &open, Claim::None);
    let speak = permit(Act::Speak).unwrap();
    let take_back = permit(Act::TakeBack).unwrap();
    assert_eq!(access.still_holds(&speak), Ok(()));

    let mute = Sanction {
        kind: SanctionKind::Mute,
        room: Some(open.clone()),
        user: ada.user.clone(),
        until: Some(Millis::MAX / 2),
        reason: "enough".into(),
        by: "mia".into(),
        at: 0,
    };
    sanctions.mute_locally(&mute);
    assert!(matches!(access.still_holds(&speak), Err(Refusal::Muted { .. })), "it was given before");
    assert_eq!(access.still_holds(&take_back), Ok(()), "taking something back is not speaking");
    assert!(permit(Act::Speak).is_err() && permit(Act::Read).is_ok());

    sanctions.set(&Sanction { kind: SanctionKind::Ban, until: None, ..mute }).await.unwrap();
    assert!(matches!(access.still_holds(&take_back), Err(Refusal::Banned { .. })));
    assert!(matches!(permit(Act::Read), Err(Refusal::Banned { .. })));
    let listens = access.may(&ada, Act::Read, &open, Claim::Listens);
    assert!(matches!(listens, Err(Refusal::Banned { .. })), "a ban comes before every right");
}

/// The rooms of two people: one that was begun, one that was not.
const OF_TWO: &str = "direct:00112233445566778899aabbccddeeff";
const ABSENT_OF_TWO: &str = "direct:ffeeddccbbaa99887766554433221100";

/// The rank that each act needs, as the reference for users has it.
fn needs() -> Vec<(Act, Rank)> {
    let reference = include_str!("../../../docs/reference/permissions.md");
    let (_, acts) = reference.split_once("## Acts\n").unwrap();
    let rows = acts.lines().filter(|line| line.starts_with("| ") && line.contains("| `"));
    let ranks = [
        ("`anyone`", Rank::Anyone),
        ("`member`", Rank::Member),
        ("`moderator`", Rank::Moderator),
        ("`owner`", Rank::Owner),
    ];
    let mut found = Vec::new();
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let Some((_, rank)) = ranks.iter().find(|(name, _)| cells[2] == *name) else { continue };
        let names = cells[0].replace(" of a lower rank", "").replace(", of one's own", "");
        let meant = |act: &Act| match *act {
            Act::Join | Act::Read | Act::SeeListeners | Act::Type => names.starts_with("join, read"),
            Act::SetRoles => names.starts_with("set roles"),
            act => names == act.name(),
        };
        found.extend(Act::ALL.into_iter().filter(meant).map(|act| (act, *rank)));
    }
    assert_eq!(found.len(), Act::ALL.len(), "the reference has every act once: {found:?}");
    found
}

#[tokio::test]
async fn every_rank_may_in_every_kind_of_room_by_every_door_what_the_reference_says() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::sqlite(&folder.path().join("store.db")).await.unwrap();
    store.migrate().await.unwrap();
    let (memory, _relay): (Timeline, _) = Memory::empty(MemoryOptions::default());
    let sanctions = Arc::new(Sanctions::new(store.clone(), memory.clone(), Box::new(|_| ())));
    let rule = |name: &str, join| RoomRule { r#match: vec![name.into()], join: Some(join), ..RoomRule::default() };
    let rules = vec![rule("team:**", JoinRule::Members), rule("token:**", JoinRule::Token)];
    let rules = RoomRules::new(&Config { room: rules, ..Config::default() });
    let user = |name: &str| UserId::new(name).unwrap();
    let new = confab_store::NewRoom {
        room: room("team:1"),
        owner: Some(user("owner")),
        members: vec![user("member"), user("moderator"), user("bearer")],
        title: String::new(),
        topic: String::new(),
        by: "test".into(),
        at: 1,
    };
    store.create_room(&new).await.unwrap();
    let direct =
        confab_store::NewRoom { room: room(OF_TWO), owner: None, members: vec![user("member"), user("owner")], ..new };
    store.create_room(&direct).await.unwrap();
    let change = confab_store::MemberChange {
        room: room("team:1"),
        user: user("moderator"),
        change: confab_store::Membership::Role(Role::Moderator),
        asker: None,
        below: None,
        by: "test".into(),
        at: 2,
    };
    store.change_member(&change).await.unwrap();
    let members = Arc::new(Members::new(store, memory, Box::new(Everybody)));
    members.look().await.unwrap();
    let mut here = Vec::new();
    for name in ["member", "moderator", "owner", "bearer", "stranger"] {
        here.push(crate::members::Connecting::begin(members.clone(), user(name)).await);
    }
    let access = Access::new(sanctions, members, rules);

    // Who, where, with which role of a token: the rank that they have, if they may enter.
    let cases = [
        ("stranger", "open:1", None, Some(Rank::Anyone)),
        ("stranger", "open:1", Some(MODERATOR), Some(Rank::Moderator)),
        ("stranger", "token:1", None, None),
        ("stranger", "team:1", None, None),
        ("stranger", "team:1", Some("admin"), None),
        ("member", "team:absent", None, None),
        ("member", "team:1", None, Some(Rank::Member)),
        ("bearer", "team:1", Some(MODERATOR), Some(Rank::Moderator)),
        ("moderator", "team:1", None, Some(Rank::Moderator)),
        ("owner", "team:1", None, Some(Rank::Owner)),
        ("bearer", "team:1", Some("admin"), Some(Rank::Owner)),
        ("member", OF_TWO, None, Some(Rank::Member)),
        ("stranger", OF_TWO, None, None),
        ("stranger", ABSENT_OF_TWO, None, None),
    ];
    for (who, place, role, rank) in cases {
        for (act, needed) in needs() {
            let alone = place == OF_TWO && matches!(act, Act::Invite | Act::Remove);
            let expected = rank.is_some_and(|has| has >= needed) && !alone;
            for via in [Via::Rpc, Via::SocketIo] {
                let roles: Arc<[String]> = role.iter().map(|role| (*role).to_owned()).collect();
                let asks = Arc::new(Actor { roles, ..Actor::clone(&actor(who, via.clone())) });
                let may = access.may(&asks, act, &room(place), Claim::None);
                assert_eq!(may.is_ok(), expected, "{who} ({role:?}) {act:?} in {place} via {via:?}: {may:?}");
                if rank.is_none() {
                    assert_eq!(may.unwrap_err().code(), 103);
                }
            }
        }
    }
}
