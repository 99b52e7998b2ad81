//! Capability `clock`: know the time. The plugin must be granted it: `capabilities = { clock = true }`.
//!
//! In a native test the clock stands still where [`set`] put it.

#[allow(unsafe_code, reason = "generated code passes values through the component's linear memory")]
#[allow(missing_docs, dead_code, clippy::all, reason = "generated code")]
mod contract {
    wit_bindgen::generate!({ path: "wit", world: "timing" });
}

/// Milliseconds since 1970-01-01T00:00:00Z. It may jump when the system's clock is set.
pub fn now() -> u64 {
    #[cfg(target_arch = "wasm32")]
    return contract::confab::plugin::host_clock::now();
    #[cfg(not(target_arch = "wasm32"))]
    native::NOW.get()
}

/// Nanoseconds since some moment in the past; never goes back.
pub fn monotonic() -> u64 {
    #[cfg(target_arch = "wasm32")]
    return contract::confab::plugin::host_clock::monotonic();
    #[cfg(not(target_arch = "wasm32"))]
    native::NOW.get().saturating_mul(1_000_000)
}

/// Sets the clock of this thread's native tests, in milliseconds since 1970-01-01T00:00:00Z.
#[cfg(not(target_arch = "wasm32"))]
pub fn set(now: u64) {
    native::NOW.set(now);
}

#[cfg(not(target_arch = "wasm32"))]
mod native {
    std::thread_local! {
        pub static NOW: std::cell::Cell<u64> = const { std::cell::Cell::new(1_700_000_000_000) };
    }
}
