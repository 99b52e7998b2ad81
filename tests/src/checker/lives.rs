//! What became of each send and of each stretch of listening, read out of a history.

use crate::chaos::fault::{Fault, Part};
use crate::chaos::history::{Does, Entry, Heard, Told, What};
use confab_protocol::Cursor;
use std::collections::{BTreeMap, BTreeSet};

/// Everything that a client was told of one key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Who sent it.
    pub client: String,
    /// Where.
    pub room: String,
    /// What it does.
    pub does: Does,
    /// The tries: in which session, and what came of it.
    pub tries: Vec<(u32, Option<Told>)>,
}

impl Sent {
    /// The receipts, in the order in which they came.
    pub fn receipts(&self) -> impl Iterator<Item = (&str, Cursor)> {
        self.tries.iter().filter_map(|(_, told)| match told {
            Some(Told::Receipt { id, cursor, .. }) => Some((id.as_str(), *cursor)),
            _ => None,
        })
    }

    /// The code of the refusal that was final, if one was.
    pub fn refused_for_good(&self) -> Option<u64> {
        self.tries.iter().find_map(|(_, told)| match told {
            Some(Told::Refused { code, temporary: false }) => Some(*code),
            _ => None,
        })
    }
}

/// How a client came to the place from which a part of a stretch goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joint {
    /// It heard it in the session before.
    Live,
    /// The hub said that it gives everything after the place before.
    Recovered,
}

/// What a client heard of a room without having been told that something is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// Who listened.
    pub client: String,
    /// To what.
    pub room: String,
    /// The place after which it begins.
    pub start: Cursor,
    /// What was heard, in the order in which it was, and whether it was the first after a recovery.
    pub heard: Vec<(Heard, Joint)>,
    /// Places that a reply claimed to have brought the client to, and how much had been heard by then.
    pub claims: Vec<(Cursor, usize)>,
    /// Whether it is the client's last in this room.
    pub last: bool,
}

impl Stretch {
    /// Where the client stands at its end.
    pub fn end(&self) -> Cursor {
        self.heard.last().map_or(self.start, |(event, _)| event.cursor)
    }
}

/// Sends by key, and stretches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lives {
    /// Every key that was sent, in the order in which each was first sent.
    pub sent: Vec<(String, Sent)>,
    /// Every stretch, in the order in which they began.
    pub stretches: Vec<Stretch>,
    /// Keys that were sent to a hub which was killed afterwards: what it alone knew of them is gone.
    pub sent_to_the_killed: BTreeSet<String>,
}

/// Reads a history.
pub fn of(entries: &[Entry]) -> Lives {
    let mut lives = Lives::default();
    let mut keys: BTreeMap<String, usize> = BTreeMap::new();
    let mut open: BTreeMap<(String, String), (usize, Joint)> = BTreeMap::new();
    for Entry { who, what, .. } in entries {
        match what {
            What::Sent { room, key, session, does, .. } => {
                let place = *keys.entry(key.clone()).or_insert_with(|| {
                    let sent = Sent { client: who.clone(), room: room.clone(), does: does.clone(), tries: Vec::new() };
                    lives.sent.push((key.clone(), sent));
                    lives.sent.len() - 1
                });
                lives.sent[place].1.tries.push((*session, None));
            }
            What::Answered { key, attempt, told } => {
                let found = keys.get(key).map(|place| &mut lives.sent[*place].1.tries);
                if let Some((_, answer)) = found.and_then(|tries| tries.get_mut(*attempt as usize - 1)) {
                    *answer = Some(told.clone());
                }
            }
            What::Joined { room, since, recovered, cursor, missed } => {
                let at = (who.clone(), room.clone());
                let goes_on = open.get(&at).filter(|_| since.is_some() && *recovered).copied();
                let place = match goes_on {
                    Some((place, _)) => place,
                    None => {
                        let start = if *recovered { since.unwrap_or_default() } else { *cursor };
                        if let Some((before, _)) = open.get(&at) {
                            lives.stretches[*before].last = false;
                        }
                        lives.stretches.push(Stretch {
                            client: who.clone(),
                            room: room.clone(),
                            start,
                            heard: Vec::new(),
                            claims: Vec::new(),
                            last: true,
                        });
                        lives.stretches.len() - 1
                    }
                };
                let stretch = &mut lives.stretches[place];
                let mut joint = if *recovered { Joint::Recovered } else { Joint::Live };
                for event in missed {
                    stretch.heard.push((event.clone(), std::mem::replace(&mut joint, Joint::Live)));
                }
                stretch.claims.push((*cursor, stretch.heard.len()));
                open.insert(at, (place, joint));
            }
            What::Heard { room, event } => {
                let Some((place, joint)) = open.get_mut(&(who.clone(), room.clone())) else { continue };
                lives.stretches[*place].heard.push((event.clone(), std::mem::replace(joint, Joint::Live)));
            }
            _ => {}
        }
    }
    lives.sent_to_the_killed = sent_to_the_killed(entries);
    lives
}

/// Keys of which a try went to a hub that was killed after it.
fn sent_to_the_killed(entries: &[Entry]) -> BTreeSet<String> {
    let (mut keys, mut hubs) = (BTreeSet::new(), BTreeMap::new());
    let mut with: BTreeMap<usize, BTreeSet<&str>> = BTreeMap::new();
    for Entry { who, what, .. } in entries {
        match what {
            What::Connected { hub, .. } => drop(hubs.insert(who, *hub)),
            What::Sent { key, .. } => {
                if let Some(hub) = hubs.get(who) {
                    with.entry(*hub).or_default().insert(key);
                }
            }
            What::Fault { name, on, begins: true } if name == Fault::HubKill.name() => {
                let killed = with.iter_mut().find(|(hub, _)| *on == format!("{:?}", Part::Hub(**hub)));
                keys.extend(killed.map(|(_, sent)| std::mem::take(sent)).into_iter().flatten().map(str::to_owned));
            }
            _ => {}
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(n: u64) -> Heard {
        let key = format!("k{n}");
        Heard { id: format!("id{n}"), cursor: Cursor::new(1, n), sender: "a".into(), key, text: String::new() }
    }

    fn by(who: &str, what: What) -> Entry {
        Entry { ms: 0, who: who.into(), what }
    }

    fn joined(since: Option<u64>, recovered: bool, at: u64, missed: &[u64]) -> What {
        What::Joined {
            room: "r".into(),
            since: since.map(|offset| Cursor::new(1, offset)),
            recovered,
            cursor: Cursor::new(1, at),
            missed: missed.iter().map(|n| heard(*n)).collect(),
        }
    }

    #[test]
    fn a_recovery_goes_on_with_a_stretch_and_an_honest_refusal_begins_another() {
        let hears = |n| What::Heard { room: "r".into(), event: heard(n) };
        let history = [
            joined(None, false, 4, &[]),
            hears(5),
            joined(Some(5), true, 7, &[6, 7]),
            hears(8),
            joined(Some(8), false, 20, &[]),
            hears(21),
        ]
        .map(|what| by("c1", what));
        let lives = of(&history);
        let offsets = |stretch: &Stretch| stretch.heard.iter().map(|(e, _)| e.cursor.offset).collect::<Vec<_>>();
        assert_eq!(lives.stretches.iter().map(offsets).collect::<Vec<_>>(), [vec![5, 6, 7, 8], vec![21]]);
        assert_eq!(lives.stretches[0].heard[1].1, Joint::Recovered);
        assert_eq!(lives.stretches[0].claims, [(Cursor::new(1, 4), 0), (Cursor::new(1, 7), 3)]);
        assert_eq!((lives.stretches[0].last, lives.stretches[1].last), (false, true));
        assert_eq!(lives.stretches[1].end(), Cursor::new(1, 21));
    }

    #[test]
    fn what_was_sent_to_a_hub_before_it_was_killed_may_have_died_with_it() {
        let connected = |session, hub| What::Connected { session, hub };
        let sent =
            |key: &str| What::Sent { room: "r".into(), key: key.into(), attempt: 1, session: 1, does: Does::Say };
        let fault = |name: &str, on: &str| What::Fault { name: name.into(), on: on.into(), begins: true };
        let history = [
            by("c1", connected(1, 0)),
            by("c2", connected(1, 1)),
            by("c1", sent("before")),
            by("c2", sent("elsewhere")),
            by("chaos", fault("hub-pause", "Hub(1)")),
            by("chaos", fault("hub-kill", "Hub(0)")),
            by("c1", connected(2, 0)),
            by("c1", sent("after")),
        ];
        assert_eq!(of(&history).sent_to_the_killed, ["before".to_owned()].into());
    }

    #[test]
    fn all_that_was_told_of_a_key_is_kept_with_its_try() {
        let sent =
            |attempt| What::Sent { room: "r".into(), key: "k".into(), attempt, session: attempt, does: Does::Say };
        let told = |attempt, told| What::Answered { key: "k".into(), attempt, told };
        let receipt = Told::Receipt { id: "id".into(), cursor: Cursor::new(1, 1), at: 5 };
        let history =
            [sent(1), sent(2), told(2, receipt.clone()), told(1, Told::Nothing), sent(3)].map(|what| by("c1", what));
        let lives = of(&history);
        let (key, sent) = &lives.sent[0];
        assert_eq!((key.as_str(), sent.client.as_str()), ("k", "c1"));
        assert_eq!(sent.tries, [(1, Some(Told::Nothing)), (2, Some(receipt)), (3, None)]);
        assert_eq!(sent.receipts().collect::<Vec<_>>(), [("id", Cursor::new(1, 1))]);
    }
}
