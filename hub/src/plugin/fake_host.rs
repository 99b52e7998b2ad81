//! What stands for the world outside where a plugin is only tried. Servers answer what was recorded, time goes by when
//! it is told to, dice fall alike each time, and what plugins remember is forgotten with it.

use crate::kv::Kv;
use confab_plugin_kit::golden::{Failing, Recorded};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What stands for the world outside.
pub struct FakeHost {
    /// What the clock shows, in milliseconds since 1970; what plugins remember expires by it.
    now_ms: Arc<AtomicU64>,
    kv: Kv,
    dice: AtomicU64,
    answers: HashMap<String, Recorded>,
    unlisted: Mutex<Vec<String>>,
}

impl FakeHost {
    /// A fake host where servers answer this, and nothing else.
    pub fn new(answers: &[Recorded]) -> Self {
        let now_ms = Arc::<AtomicU64>::default();
        Self {
            kv: Kv::by_clock(Arc::clone(&now_ms)),
            now_ms,
            dice: AtomicU64::new(1),
            answers: answers.iter().map(|answer| (answer.url.clone(), answer.clone())).collect(),
            unlisted: Mutex::default(),
        }
    }

    /// Sets the clock.
    pub fn set_clock(&self, now_ms: u64) {
        self.now_ms.store(now_ms, Ordering::Relaxed);
    }

    /// What the clock shows, in milliseconds since 1970.
    pub fn now_ms(&self) -> u64 {
        self.now_ms.load(Ordering::Relaxed)
    }

    /// Says how the dice fall from now on.
    pub fn seed(&self, seed: u64) {
        self.dice.store(seed, Ordering::Relaxed);
    }

    /// Throws a die of 64 bits; those of the SDK's native tests fall in the same order.
    pub fn throw(&self) -> u64 {
        // SplitMix64 (Steele, Lea and Flood 2014).
        const STEP: u64 = 0x9E37_79B9_7F4A_7C15;
        let state = self.dice.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        let mut mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// What is answered at an address. One that nobody recorded is remembered, and the server is away.
    pub fn answer(&self, url: &str) -> Result<&Recorded, Failing> {
        match self.answers.get(url) {
            Some(Recorded { error: Some(error), .. }) => Err(*error),
            Some(answer) => Ok(answer),
            None => {
                self.unlisted.lock().push(url.to_owned());
                Err(Failing::Unavailable)
            }
        }
    }

    /// The addresses that were asked although nobody recorded what they answer, since this was last asked; each once.
    pub fn take_unlisted(&self) -> Vec<String> {
        let mut urls = std::mem::take(&mut *self.unlisted.lock());
        urls.sort();
        urls.dedup();
        urls
    }

    /// Where plugins remember.
    pub fn kv(&self) -> &Kv {
        &self.kv
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kv::{Owner, Space};

    #[tokio::test]
    async fn what_is_remembered_is_forgotten_when_the_clock_says_so_and_not_before() {
        let fake = FakeHost::new(&[]);
        let space = Space { name: "it".into(), keys: 10, bytes: 1000, owner: Owner::default() };
        fake.set_clock(1_000_000);
        fake.kv().increment(&space, "n", 1, Some(100)).await.unwrap();
        fake.set_clock(1_000_099);
        assert_eq!(fake.kv().increment(&space, "n", 1, Some(100)).await.unwrap(), 2);
        fake.set_clock(1_000_100);
        assert_eq!(fake.kv().increment(&space, "n", 1, Some(100)).await.unwrap(), 1);
    }

    #[test]
    fn what_nobody_recorded_is_told_once() {
        let answer = Recorded { url: "https://a.example/".into(), status: 404, ..Recorded::default() };
        let fake = FakeHost::new(&[answer]);
        assert_eq!(fake.answer("https://a.example/").unwrap().status, 404);
        for _ in 0..2 {
            assert_eq!(fake.answer("https://b.example/").unwrap_err(), Failing::Unavailable);
        }
        assert_eq!(fake.take_unlisted(), ["https://b.example/"]);
        assert!(fake.take_unlisted().is_empty());
    }
}
