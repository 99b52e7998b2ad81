//! The audit log.

use confab_store::{Act, Store, WhichActs};

fn act(at: u64, by: &str, verb: &str, user: Option<&str>) -> Act {
    Act {
        at,
        by: by.into(),
        via: "admin-api".into(),
        verb: verb.into(),
        user: user.map(Into::into),
        result: "ok".into(),
        ..Act::default()
    }
}

async fn listed(store: &Store, which: WhichActs<'_>, limit: usize) -> Vec<Act> {
    store.audited(which, limit).await.unwrap().into_iter().map(|(_, act)| act).collect()
}

pub async fn an_act_is_kept_as_it_was_with_all_that_is_known_of_it(store: Store) {
    let whole = Act {
        room: Some("lobby".into()),
        event: Some("0197".into()),
        reason: Some("enough 'of' \"that\"\u{1f600}".into()),
        result: "205: the store is unavailable".into(),
        details: Some("{\"seconds\":60}".into()),
        ..act(7, "ada", "ban", Some("bob"))
    };
    let bare = act(7, "ada", "reload", None);
    store.audit(&[whole.clone(), bare.clone()]).await.unwrap();
    assert_eq!(listed(&store, WhichActs::default(), 10).await, [bare, whole], "the newest first");
}

pub async fn acts_are_found_by_whom_what_where_and_since_when_page_by_page(store: Store) {
    let mut acts = vec![act(1, "ada", "ban", Some("bob")), act(2, "eve", "ban", Some("cid"))];
    acts.push(Act { room: Some("lobby".into()), ..act(3, "ada", "mute", Some("bob")) });
    acts.push(act(4, "ada", "reload", None));
    store.audit(&acts).await.unwrap();
    let all = WhichActs::default();
    for (which, expected) in [
        (WhichActs { user: Some("bob"), ..all }, vec![3, 1]),
        (WhichActs { verb: Some("ban"), ..all }, vec![2, 1]),
        (WhichActs { by: Some("ada"), ..all }, vec![4, 3, 1]),
        (WhichActs { room: Some("lobby"), ..all }, vec![3]),
        (WhichActs { since: 3, ..all }, vec![4, 3]),
        (WhichActs { since: 2, user: Some("bob"), verb: Some("ban"), ..all }, vec![]),
    ] {
        let found: Vec<u64> = listed(&store, which, 10).await.iter().map(|act| act.at).collect();
        assert_eq!(found, expected, "{which:?}");
    }
    let first = store.audited(all, 3).await.unwrap();
    let next = store.audited(WhichActs { before: first.last().map(|(id, _)| *id), ..all }, 3).await.unwrap();
    let times = |page: &[(u64, Act)]| page.iter().map(|(_, act)| act.at).collect::<Vec<_>>();
    assert_eq!((times(&first), times(&next)), (vec![4, 3, 2], vec![1]));
}

pub async fn what_is_old_or_too_much_of_the_audit_log_goes(store: Store) {
    let acts: Vec<Act> = (1..=9).map(|at| act(at, "ada", "ban", None)).collect();
    store.audit(&acts).await.unwrap();
    assert_eq!(store.forget_acts(3, 100).await.unwrap(), 2);
    assert_eq!(store.forget_acts(3, 4).await.unwrap(), 3);
    assert_eq!(store.forget_acts(3, 4).await.unwrap(), 0);
    let left: Vec<u64> = listed(&store, WhichActs::default(), 10).await.iter().map(|act| act.at).collect();
    assert_eq!(left, [9, 8, 7, 6]);
}
