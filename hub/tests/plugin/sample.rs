//! Rolling a plugin out: in shadow, and in a part of the rooms.

use crate::support::{message, world};
use confab_config::JudgedKind;
use confab_hub::plugin::{Chain, Judged};

const MASK: &str = "[plugin.mask]\nmodule = 'word-filter.wasm'\ntimeout = '5s'\nsettings = { words = ['spam', 'scam'] }\n\
    [plugin.no]\nmodule = 'word-filter.wasm'\ntimeout = '5s'\n\
    settings = { words = ['eggs'], action = 'reject', code = 477, reason = 'no eggs' }\n";

async fn chain(steps: &str) -> Chain {
    world(&format!("{MASK}[[chain]]\nplugins = [{steps}]")).await.chain
}

/// The rooms of a hundred in which `mask` is asked.
fn sampled(chain: &Chain) -> Vec<usize> {
    (0..1000).filter(|n| chain.explain(&format!("room:{n}"))[0].asked).collect()
}

#[tokio::test]
async fn a_sample_is_the_same_rooms_always_and_a_larger_one_takes_them_in() {
    let few = sampled(&chain("{ use = 'mask', sample = 10 }").await);
    assert!((60..140).contains(&few.len()), "{} of 1000 rooms", few.len());
    assert_eq!(few, sampled(&chain("{ use = 'mask', sample = 10 }, 'no'").await));
    let more = sampled(&chain("{ use = 'mask', sample = 50 }").await);
    assert!((420..580).contains(&more.len()), "{} of 1000 rooms", more.len());
    assert!(few.iter().all(|room| more.contains(room)));
    assert_eq!(sampled(&chain("{ use = 'mask', sample = 100 }").await).len(), 1000);
    assert_eq!(sampled(&chain("{ use = 'mask', sample = 0 }").await).len(), 0);
}

#[tokio::test]
async fn what_is_explained_is_what_happens() {
    let chain = chain("{ use = 'mask', sample = 50 }, 'no'").await;
    for n in 0..20 {
        let room = format!("room:{n}");
        let Judged::Approved(approved) = chain.judge(message(&room, "spam"), JudgedKind::Send).await else { panic!() };
        let who: Vec<_> = approved.trail.steps.iter().map(|step| step.plugin.as_str()).collect();
        let explained = chain.explain(&room);
        assert_eq!(explained[0].sample, Some(50.0));
        let expected: Vec<_> = explained.iter().filter(|step| step.asked).map(|step| step.plugin.as_str()).collect();
        assert_eq!(who, expected, "{room}");
    }
}

#[tokio::test]
async fn a_shadow_says_what_it_would_have_said_in_earnest() {
    let earnest = chain("'mask', 'no'").await;
    // In shadow `no` sees what was said, in earnest what `mask` has left: alone each, they see the same.
    let shadow = [chain("{ use = 'mask', shadow = true }").await, chain("{ use = 'no', shadow = true }").await];
    for text in ["hello", "buy spam", "SCAM and sp.am", "no eggs please", "egg", "spam eggs", "", "ßpam", "🍳"] {
        let steps = |judged| match judged {
            Judged::Approved(approved) => approved.trail.steps,
            Judged::Refused(_, trail, _) => trail.steps,
            Judged::Held { .. } => panic!("nobody holds"),
        };
        let said: Vec<_> = steps(earnest.judge(message("a", text), JudgedKind::Send).await);
        let mut foreseen = Vec::new();
        for chain in &shadow {
            let judged = chain.judge(message("a", text), JudgedKind::Send).await;
            let Judged::Approved(approved) = &judged else { panic!("a shadow refuses nothing") };
            assert_eq!(approved.event.body.text().as_deref(), Some(text), "a shadow changes nothing");
            foreseen.extend(steps(judged));
        }
        let verdicts = |steps: &[confab_protocol::Step]| {
            steps.iter().map(|step| (step.plugin.clone(), step.verdict)).collect::<Vec<_>>()
        };
        assert_eq!(verdicts(&said), verdicts(&foreseen), "{text}");
    }
}
