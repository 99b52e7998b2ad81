//! The schedule: which fault befalls what, when and for how long. A pure function of the seed.

use super::fault::{Fault, Part, Profile};
use anyhow::{Result, ensure};
use fastrand::Rng;
use std::collections::BTreeMap;
use std::time::Duration;

/// The most faults of one run, however long it is.
pub const FAULTS_MAX: usize = 5_000;
/// How long people talk before the first fault.
const CALM: u64 = 2_000;
/// How far apart faults begin, in milliseconds. They last longer than that: several are there at once.
const APART: std::ops::Range<u64> = 400..3_500;

/// The most hubs of a run.
pub const HUBS_MAX: usize = 3;

/// What a hub calls itself towards services, so that a wire knows its connections.
pub fn hub_name(n: usize) -> String {
    format!("hub-{n}")
}

/// A fault with its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planned {
    /// When it begins, from the beginning of the run.
    pub at: Duration,
    /// What happens.
    pub fault: Fault,
    /// To what.
    pub part: Part,
    /// For how long.
    pub lasts: Duration,
    /// Chooses among what is alike, such as brokers.
    pub choice: u64,
}

/// What a run is made of, besides its faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// How many hubs.
    pub hubs: usize,
    /// How many consumers.
    pub consumers: usize,
    /// Whether Redis keeps an append-only file, and comes back with most of what it had.
    pub redis_keeps: bool,
    /// Whether hubs buffer while Kafka takes nothing, instead of refusing.
    pub buffer: bool,
}

/// The whole plan of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// What the world is made of.
    pub shape: Shape,
    /// What happens to it, in order.
    pub faults: Vec<Planned>,
}

impl Schedule {
    /// The plan of a seed. `allowed` names the faults; none means all that can happen in such a world.
    pub fn of(seed: u64, profile: Profile, length: Duration, allowed: &[Fault]) -> Result<Self> {
        let mut dice = Rng::with_seed(seed);
        let shape = match profile {
            Profile::Cluster => {
                Shape { hubs: dice.usize(2..=HUBS_MAX), consumers: 2, redis_keeps: dice.bool(), buffer: dice.bool() }
            }
            Profile::Embedded => Shape { hubs: 1, consumers: 0, redis_keeps: false, buffer: false },
        };
        let kinds: Vec<Fault> = Fault::ALL
            .into_iter()
            .filter(|fault| fault.is_of(profile) && (allowed.is_empty() || allowed.contains(fault)))
            .collect();
        ensure!(!kinds.is_empty(), "none of these faults can happen in a run of this kind");
        let mut faults = Vec::new();
        let mut busy: BTreeMap<Part, u64> = BTreeMap::new();
        let (mut now, end) = (CALM, u64::try_from(length.as_millis())?);
        while now < end && faults.len() < FAULTS_MAX {
            let fault = drawn(&mut dice, &kinds);
            let part = part_of(fault, &shape, &mut dice);
            let (lasts, choice) = (dice.u64(fault.span()), dice.u64(..));
            let over = now + lasts;
            // Everything has begun and ended before the run does.
            if busy.get(&part).is_none_or(|until| *until <= now) && over <= end {
                busy.insert(part, over + fault.rest());
                let (at, lasts) = (Duration::from_millis(now), Duration::from_millis(lasts));
                faults.push(Planned { at, fault, part, lasts, choice });
            }
            now += dice.u64(APART);
        }
        Ok(Self { shape, faults })
    }
}

fn drawn(dice: &mut Rng, kinds: &[Fault]) -> Fault {
    let mut left = dice.u32(0..kinds.iter().map(|fault| fault.weight()).sum());
    for fault in kinds {
        match left.checked_sub(fault.weight()) {
            Some(rest) => left = rest,
            None => return *fault,
        }
    }
    kinds[0]
}

fn part_of(fault: Fault, shape: &Shape, dice: &mut Rng) -> Part {
    use Fault::*;
    match fault {
        HubKill | HubPause | HubDrain | HubParted => Part::Hub(dice.usize(0..shape.hubs)),
        ConsumerKill | ConsumerPause => Part::Consumer(dice.usize(0..shape.consumers)),
        KafkaKill | KafkaPause | KafkaOutage | KafkaCut => Part::Kafka,
        RedisKill | RedisPause | RedisStale | ReplicaKill | RedisCut | RedisRefuses | RedisFlap | RelayDeaf
        | SentinelKill => Part::Redis,
        PostgresKill | PostgresPause | PostgresCut => Part::Postgres,
        FrontCut | FrontDelay | FrontHole => Part::Front(dice.usize(0..shape.hubs)),
        PluginTrap => Part::Plugins,
        DiskFull => Part::Disk,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTH: Duration = Duration::from_secs(600);

    fn plan(seed: u64, profile: Profile) -> Schedule {
        Schedule::of(seed, profile, LENGTH, &[]).unwrap()
    }

    #[test]
    fn the_same_seed_gives_the_same_schedule_and_another_seed_another() {
        for profile in [Profile::Cluster, Profile::Embedded] {
            assert_eq!(plan(7, profile), plan(7, profile));
            assert_ne!(plan(7, profile).faults, plan(8, profile).faults);
        }
    }

    #[test]
    fn faults_overlap_but_never_on_one_part_and_all_are_over_at_the_end() {
        for seed in 0..50 {
            let faults = plan(seed, Profile::Cluster).faults;
            let mut overlap = false;
            for (n, one) in faults.iter().enumerate() {
                assert!(one.at + one.lasts <= LENGTH);
                for other in faults[n + 1..].iter().filter(|other| other.at < one.at + one.lasts) {
                    assert_ne!(one.part, other.part, "seed {seed}: {one:?} and {other:?}");
                    overlap = true;
                }
            }
            assert!(overlap && faults.len() > 100, "seed {seed}: {} faults", faults.len());
        }
    }

    #[test]
    fn every_fault_comes_in_some_seed_and_only_those_that_were_named() {
        for profile in [Profile::Cluster, Profile::Embedded] {
            let met: std::collections::BTreeSet<Fault> =
                (0..20).flat_map(|seed| plan(seed, profile).faults).map(|planned| planned.fault).collect();
            let all = Fault::ALL.into_iter().filter(|fault| fault.is_of(profile)).collect();
            assert_eq!(met, all);
        }
        let only = [Fault::RedisStale, Fault::HubKill];
        let some = Schedule::of(3, Profile::Cluster, LENGTH, &only).unwrap().faults;
        assert!(some.iter().all(|planned| only.contains(&planned.fault)));
        assert!(Schedule::of(3, Profile::Cluster, LENGTH, &[Fault::DiskFull]).is_err());
    }
}
