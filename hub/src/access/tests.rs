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
