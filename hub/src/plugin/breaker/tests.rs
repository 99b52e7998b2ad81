//! What opens a breaker, for whom, and what brings it back.

use super::senders::SENDERS_MAX;
use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn settings() -> BreakerConfig {
    BreakerConfig { faults: 3, share: 0.5, within: 8 * SECOND, pause: SECOND, pause_max: 3 * SECOND }
}

fn breaker() -> Breaker {
    Breaker::new(settings(), true)
}

fn outcome(failed: bool) -> Outcome {
    if failed { Outcome::Failed } else { Outcome::Answered }
}

fn call(breaker: &Breaker, sender: &str, failed: bool, now: Instant) -> Option<Change> {
    breaker.enter(sender, now).0.expect("it is asked").end(outcome(failed), now)
}

fn skips(breaker: &Breaker, sender: &str, now: Instant) -> Option<Skip> {
    breaker.enter(sender, now).0.err()
}

/// Fails for one sender after the other, until it is taken out.
fn opened(breaker: &Breaker, now: Instant) -> Option<Change> {
    assert_eq!((call(breaker, "a", true, now), call(breaker, "b", true, now)), (None, None));
    call(breaker, "c", true, now)
}

/// Somebody for whom it has not failed asks until it is back.
fn back(breaker: &Breaker, now: Instant) -> Option<Change> {
    (0..3).filter_map(|_| call(breaker, "well", false, now)).last()
}

#[test]
fn one_sender_who_makes_it_fail_is_not_asked_about_and_nobody_else_notices() {
    let breaker = breaker();
    let now = Instant::now();
    assert_eq!((call(&breaker, "mallory", true, now), call(&breaker, "mallory", true, now)), (None, None));
    assert_eq!(call(&breaker, "mallory", true, now), Some(Change::SenderPaused { pause: SECOND }));
    assert_eq!((breaker.state(), breaker.senders_paused()), (BreakerState::Closed, 1));
    for n in 0..100 {
        let now = now + n * SECOND / 200;
        assert_eq!(skips(&breaker, "mallory", now), Some(Skip::Sender));
        assert_eq!(call(&breaker, "ada", false, now), None);
    }
}

#[test]
fn a_sender_comes_back_by_good_probes_and_pauses_grow_to_their_limit() {
    let breaker = breaker();
    let mut now = Instant::now();
    for _ in 0..3 {
        call(&breaker, "mallory", true, now);
    }
    now += SECOND;
    for pause in [2, 3, 3] {
        assert_eq!(call(&breaker, "mallory", true, now), Some(Change::SenderPaused { pause: pause * SECOND }));
        assert_eq!(skips(&breaker, "mallory", now + pause * SECOND - SECOND / 10), Some(Skip::Sender));
        now += pause * SECOND;
    }
    for _ in 0..3 {
        assert_eq!(call(&breaker, "mallory", false, now), None);
    }
    assert_eq!(breaker.senders_paused(), 0);
    assert_eq!(call(&breaker, "mallory", true, now), None, "one more failure pauses nobody");
}

#[test]
fn a_few_faults_of_a_sender_among_many_good_calls_pause_nobody() {
    let breaker = breaker();
    let now = Instant::now();
    for n in 0..100 {
        assert_eq!(call(&breaker, "ada", n % 4 == 0, now), None, "call {n}");
    }
}

#[test]
fn faults_that_are_long_ago_do_not_count() {
    let breaker = breaker();
    let now = Instant::now();
    for n in 0..20 {
        assert_eq!(call(&breaker, "ada", true, now + n * 5 * SECOND), None, "call {n}");
    }
    let breaker = self::breaker();
    for n in 0..20 {
        assert_eq!(call(&breaker, &n.to_string(), true, now + n * 5 * SECOND), None, "call {n}");
    }
}

#[test]
fn failing_for_one_after_the_other_and_answering_nobody_takes_it_out_for_all() {
    let breaker = breaker();
    let now = Instant::now();
    assert_eq!(opened(&breaker, now), Some(Change::Opened { senders: 3, pause: SECOND }));
    assert_eq!((breaker.state(), skips(&breaker, "well", now)), (BreakerState::Open, Some(Skip::Open)));
}

#[test]
fn many_who_make_it_fail_take_it_out_for_nobody_whom_it_answers_well() {
    let breaker = breaker();
    let now = Instant::now();
    for n in 0..1000 {
        assert!(!matches!(call(&breaker, &n.to_string(), true, now), Some(Change::Opened { .. })), "call {n}");
        if n % 2 == 1 {
            assert_eq!(call(&breaker, "ada", false, now), None);
        }
    }
    assert_eq!(breaker.state(), BreakerState::Closed);
}

#[test]
fn zero_faults_turn_it_off() {
    let breaker = Breaker::new(BreakerConfig { faults: 0, ..BreakerConfig::default() }, true);
    assert!((0..100).all(|_| call(&breaker, "ada", true, Instant::now()).is_none()));
    assert!((0..100).all(|n| call(&breaker, &n.to_string(), true, Instant::now()).is_none()));
}

#[test]
fn after_the_pause_one_at_a_time_is_tried_and_good_ones_close_it() {
    let breaker = breaker();
    let now = Instant::now();
    opened(&breaker, now);
    let later = now + SECOND;
    let (probe, change) = breaker.enter("well", later);
    assert_eq!(change, Some(Change::Trying));
    assert_eq!(skips(&breaker, "another", later), Some(Skip::Open), "one at a time");
    drop(probe);
    for _ in 0..2 {
        assert_eq!(call(&breaker, "well", false, later), None);
    }
    assert_eq!(breaker.state(), BreakerState::HalfOpen);
    assert_eq!(call(&breaker, "well", false, later), Some(Change::Closed));
    assert_eq!(breaker.state(), BreakerState::Closed);
}

#[test]
fn who_made_it_fail_cannot_keep_it_out_by_being_the_probe() {
    let breaker = breaker();
    let now = Instant::now();
    opened(&breaker, now);
    let later = now + SECOND;
    for sender in ["a", "b", "c"] {
        assert_eq!(skips(&breaker, sender, later), Some(Skip::Open));
    }
    assert_eq!(back(&breaker, later), Some(Change::Closed));
}

#[test]
fn bad_probes_make_the_pauses_grow_to_their_limit() {
    let breaker = breaker();
    let mut now = Instant::now();
    opened(&breaker, now);
    now += SECOND;
    for pause in [2, 3, 3] {
        let sender = format!("fresh-{pause}-{now:?}");
        assert_eq!(call(&breaker, &sender, true, now), Some(Change::StaysOpen { pause: pause * SECOND }));
        assert_eq!(skips(&breaker, "well", now + pause * SECOND - SECOND / 10), Some(Skip::Open));
        now += pause * SECOND;
    }
}

#[test]
fn a_relapse_goes_on_where_it_was_and_news_begin_small() {
    let breaker = breaker();
    let now = Instant::now();
    opened(&breaker, now);
    assert_eq!(back(&breaker, now + SECOND), Some(Change::Closed));
    assert!(matches!(opened(&breaker, now + SECOND), Some(Change::Opened { pause, .. }) if pause == 2 * SECOND));
    assert_eq!(back(&breaker, now + 3 * SECOND), Some(Change::Closed));
    let news = now + 60 * SECOND;
    assert!(matches!(opened(&breaker, news), Some(Change::Opened { pause, .. }) if pause == SECOND));
}

#[test]
fn what_began_before_it_opened_says_nothing() {
    let breaker = breaker();
    let now = Instant::now();
    let late = breaker.enter("late", now).0.expect("it is closed");
    opened(&breaker, now);
    assert_eq!(late.end(Outcome::Answered, now), None);
    assert_eq!(breaker.state(), BreakerState::Open);
}

#[test]
fn an_instance_that_does_not_start_is_no_senders_fault_and_a_message_that_was_not_asked_about_nobodys() {
    let breaker = breaker();
    let now = Instant::now();
    let ends = |sender: &str, outcome| breaker.enter(sender, now).0.expect("it is asked").end(outcome, now);
    for _ in 0..10 {
        assert_eq!((ends("ada", Outcome::Unavailable), ends("ada", Outcome::Nothing)), (None, None));
    }
    assert_eq!(ends("bob", Outcome::Unavailable), None);
    assert_eq!(ends("eve", Outcome::Unavailable), Some(Change::Opened { senders: 3, pause: SECOND }));
}

#[test]
fn where_a_failure_lets_pass_nobody_has_a_pause_to_speak_unjudged_in() {
    let breaker = Breaker::new(settings(), false);
    let now = Instant::now();
    for _ in 0..100 {
        assert_eq!(call(&breaker, "mallory", true, now), None);
    }
    assert_eq!(breaker.senders_paused(), 0);
    assert_eq!(call(&breaker, "a", true, now), None);
    assert!(matches!(call(&breaker, "b", true, now), Some(Change::Opened { senders: 3, .. })));
    assert_eq!(breaker.state(), BreakerState::Open);
}

#[test]
fn so_many_senders_are_known_and_no_more() {
    let breaker = breaker();
    let now = Instant::now();
    for n in 0..3 * SENDERS_MAX {
        call(&breaker, &n.to_string(), true, now);
        call(&breaker, "ada", false, now);
    }
    let known = (0..3 * SENDERS_MAX)
        .filter(|n| breaker.inner.lock().senders.knows(breaker.names.hash_one(n.to_string().as_str())))
        .count();
    assert_eq!(known, SENDERS_MAX);
    let later = now + 60 * SECOND;
    for _ in 0..3 {
        call(&breaker, "mallory", true, later);
    }
    assert_eq!(breaker.senders_paused(), 1, "those of long ago make room");
}
