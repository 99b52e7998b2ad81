//! Capability `random`: throw dice. The plugin must be granted it: `capabilities = { random = true }`.
//!
//! In a native test the dice fall as [`seed`] says, so that a test can be repeated.

#[allow(unsafe_code, reason = "generated code passes values through the component's linear memory")]
#[allow(missing_docs, dead_code, clippy::all, reason = "generated code")]
mod contract {
    wit_bindgen::generate!({ path: "wit", world: "chance" });
}

/// 64 random bits.
pub fn number() -> u64 {
    #[cfg(target_arch = "wasm32")]
    return contract::confab::plugin::host_random::number();
    #[cfg(not(target_arch = "wasm32"))]
    native::next()
}

/// So many random bytes, fit for secrets (in a native test they are not).
///
/// # Panics
/// Past 4096 bytes a call.
pub fn bytes(length: u32) -> Vec<u8> {
    assert!(length <= 4096, "at most 4096 random bytes a call");
    #[cfg(target_arch = "wasm32")]
    return contract::confab::plugin::host_random::bytes(length);
    #[cfg(not(target_arch = "wasm32"))]
    (0..length).map(|_| native::next().to_le_bytes()[0]).collect()
}

/// A number from 1 to `most`, each as likely as the others.
///
/// # Panics
/// Where `most` is 0.
pub fn between_one_and(most: u64) -> u64 {
    assert!(most > 0, "a die has at least one face");
    // What is past the last whole multiple would make small numbers likelier.
    let fair = u64::MAX - u64::MAX % most;
    loop {
        let thrown = number();
        if thrown < fair {
            return 1 + thrown % most;
        }
    }
}

/// Says how the dice of this thread's native tests fall.
#[cfg(not(target_arch = "wasm32"))]
pub fn seed(seed: u64) {
    native::STATE.set(seed);
}

#[cfg(not(target_arch = "wasm32"))]
mod native {
    std::thread_local! {
        pub static STATE: std::cell::Cell<u64> = const { std::cell::Cell::new(1) };
    }

    /// SplitMix64 (Steele, Lea and Flood 2014).
    pub fn next() -> u64 {
        let state = STATE.get().wrapping_add(0x9E37_79B9_7F4A_7C15);
        STATE.set(state);
        let mut mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_die_shows_each_face_and_no_other() {
        super::seed(7);
        let mut seen = [0; 6];
        for _ in 0..600 {
            seen[usize::try_from(super::between_one_and(6) - 1).unwrap()] += 1;
        }
        assert!(seen.iter().all(|times| (60..=140).contains(times)), "{seen:?}");
    }
}
