//! The totals of a run.

use super::history::{Entry, Told, What};
use super::words;
use std::collections::BTreeSet;
use std::fmt;
use std::ops::AddAssign;

/// What happened how often.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Runs.
    pub runs: u64,
    /// Different keys that were sent.
    pub sent: u64,
    /// Keys with a receipt.
    pub acknowledged: u64,
    /// Of these, edits and deletions.
    pub changed: u64,
    /// Answers "no", for now or for good.
    pub refused: u64,
    /// Answers "unknown", and answers that did not come.
    pub unknown: u64,
    /// Events heard by clients, each time by each.
    pub heard: u64,
    /// Sessions after a client's first.
    pub reconnects: u64,
    /// Joins from a place, of which the hub said that nothing is missing.
    pub recovered: u64,
    /// Joins from a place, of which it said that something is.
    pub not_recovered: u64,
    /// Processes killed, or told to end.
    pub kills: u64,
    /// Processes that stood still.
    pub pauses: u64,
    /// Links cut, delayed or deaf.
    pub cuts: u64,
    /// Reloads that brought a plugin that traps.
    pub traps: u64,
    /// Times the disk was full.
    pub full_disks: u64,
    /// Times a replica took the primary's place.
    pub failovers: u64,
    /// Times Redis began a new generation.
    pub generations: u64,
}

impl Tally {
    /// Counts a history.
    pub fn of(entries: &[Entry]) -> Self {
        let mut tally = Self { runs: 1, ..Self::default() };
        let (mut sent, mut stand) = (BTreeSet::new(), BTreeSet::new());
        for entry in entries {
            tally.count(entry, &mut sent, &mut stand);
        }
        (tally.sent, tally.acknowledged) = (sent.len() as u64, stand.len() as u64);
        tally.changed = stand.iter().filter(|key| words::changes(key)).count() as u64;
        tally
    }

    fn count<'a>(&mut self, entry: &'a Entry, sent: &mut BTreeSet<&'a str>, stand: &mut BTreeSet<&'a str>) {
        let counter = match &entry.what {
            What::Sent { key, .. } => {
                sent.insert(key);
                return;
            }
            What::Answered { key, told: Told::Receipt { .. }, .. } => {
                stand.insert(key);
                return;
            }
            What::Answered { told: Told::Nothing | Told::Refused { code: 202, .. }, .. } => &mut self.unknown,
            What::Answered { told: Told::Refused { .. }, .. } => &mut self.refused,
            What::Heard { .. } => &mut self.heard,
            What::Connected { session, .. } if *session > 1 => &mut self.reconnects,
            What::Joined { since: Some(_), recovered, missed, .. } => {
                self.heard += missed.len() as u64;
                if *recovered { &mut self.recovered } else { &mut self.not_recovered }
            }
            What::Fault { name, begins: true, .. } => match name.rsplit('-').next().unwrap_or_default() {
                "kill" | "drain" | "stale" => &mut self.kills,
                "pause" => &mut self.pauses,
                "outage" => {
                    self.pauses += 1;
                    &mut self.pauses
                }
                "trap" => &mut self.traps,
                "full" => &mut self.full_disks,
                _ => &mut self.cuts,
            },
            _ => return,
        };
        *counter += 1;
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.runs += other.runs;
        self.sent += other.sent;
        self.acknowledged += other.acknowledged;
        self.changed += other.changed;
        self.refused += other.refused;
        self.unknown += other.unknown;
        self.heard += other.heard;
        self.reconnects += other.reconnects;
        self.recovered += other.recovered;
        self.not_recovered += other.not_recovered;
        self.kills += other.kills;
        self.pauses += other.pauses;
        self.cuts += other.cuts;
        self.traps += other.traps;
        self.full_disks += other.full_disks;
        self.failovers += other.failovers;
        self.generations += other.generations;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} sent, {} acknowledged ({} of them edits and deletions), {} refusals, {} unknown; {} heard; {} reconnects, {} recoveries, {} honestly not; \
             {} kills, {} pauses, {} cuts, {} failovers, {} generations, {} trapping plugins, {} full disks",
            self.sent,
            self.acknowledged,
            self.changed,
            self.refused,
            self.unknown,
            self.heard,
            self.reconnects,
            self.recovered,
            self.not_recovered,
            self.kills,
            self.pauses,
            self.cuts,
            self.failovers,
            self.generations,
            self.traps,
            self.full_disks
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::history::Does;
    use super::*;

    #[test]
    fn keys_count_once_and_answers_each_time() {
        let sent = |attempt| What::Sent { room: "r".into(), key: "k".into(), attempt, session: 1, does: Does::Say };
        let told = |told| What::Answered { key: "k".into(), attempt: 1, told };
        let fault = |name: &str| What::Fault { name: name.into(), on: String::new(), begins: true };
        let history: Vec<Entry> = [
            sent(1),
            told(Told::Nothing),
            sent(2),
            told(Told::Refused { code: 202, temporary: true }),
            told(Told::Refused { code: 203, temporary: true }),
            told(Told::Receipt { id: "id".into(), cursor: Default::default(), at: 0 }),
            fault("redis-stale"),
            fault("kafka-outage"),
            fault("front-hole"),
        ]
        .map(|what| Entry { ms: 0, who: "c".into(), what })
        .into();
        let tally = Tally::of(&history);
        assert_eq!((tally.sent, tally.acknowledged, tally.refused, tally.unknown), (1, 1, 1, 2));
        assert_eq!((tally.kills, tally.pauses, tally.cuts), (1, 2, 1));
        let mut twice = tally;
        twice += tally;
        assert_eq!((twice.runs, twice.sent, twice.pauses), (2, 2, 4));
    }
}
