//! Capability `kv`: remember, over messages and over hubs. The plugin must be granted it: `capabilities = { kv = true }`.
//!
//! What is kept here is for moderation, not the truth: it may be forgotten. In a native test it lies in this thread's memory,
//! [`pass`] lets time go by, and [`fail_with`] has it fail.

#[allow(unsafe_code, reason = "generated code passes values through the component's linear memory")]
#[allow(missing_docs, dead_code, clippy::all, reason = "generated code")]
mod contract {
    wit_bindgen::generate!({ path: "wit", world: "memory", additional_derives: [PartialEq, Eq, Clone] });
}

pub use contract::confab::plugin::host_kv::Error;

#[cfg(target_arch = "wasm32")]
use contract::confab::plugin::host_kv as host;
#[cfg(not(target_arch = "wasm32"))]
use native as host;
#[cfg(not(target_arch = "wasm32"))]
pub use native::{fail_with, pass};

/// The value under a key.
pub fn get(key: &str) -> Result<Option<Vec<u8>>, Error> {
    host::get(key)
}

/// Puts a value under a key, for so many milliseconds where given, else for a day.
pub fn set(key: &str, value: &[u8], ttl: Option<u64>) -> Result<(), Error> {
    host::set(key, value, ttl)
}

/// Forgets a key.
pub fn delete(key: &str) -> Result<(), Error> {
    host::delete(key)
}

/// Adds to a counter and returns what it is then. `ttl`, in milliseconds, counts from the first addition.
pub fn increment(key: &str, by: i64, ttl: Option<u64>) -> Result<i64, Error> {
    host::increment(key, by, ttl)
}

#[cfg(not(target_arch = "wasm32"))]
mod native {
    use super::Error;
    use std::cell::{Cell, RefCell};
    use std::collections::HashMap;

    const DAY_MS: u64 = 86_400_000;
    const KEY_MAX: usize = 256;
    const VALUE_MAX: usize = 64 << 10;

    struct Kept {
        value: Vec<u8>,
        until: u64,
    }

    std::thread_local! {
        static NOW: Cell<u64> = const { Cell::new(0) };
        static SPACE: RefCell<HashMap<String, Kept>> = RefCell::default();
        static FAILING: RefCell<Option<Error>> = const { RefCell::new(None) };
    }

    /// Has whatever would write answer this error from now on, in this thread's native tests; `None`: no more.
    pub fn fail_with(error: Option<Error>) {
        FAILING.set(error);
    }

    fn may_write() -> Result<(), Error> {
        FAILING.with_borrow(|failing| failing.clone().map_or(Ok(()), Err))
    }

    /// Lets so many milliseconds go by, for this thread's native tests.
    pub fn pass(milliseconds: u64) {
        NOW.set(NOW.get() + milliseconds);
        SPACE.with_borrow_mut(|space| space.retain(|_, kept| kept.until > NOW.get()));
    }

    fn fits(key: &str, value: &[u8]) -> Result<(), Error> {
        if key.is_empty() || key.len() > KEY_MAX || value.len() > VALUE_MAX { Err(Error::TooLarge) } else { Ok(()) }
    }

    pub fn get(key: &str) -> Result<Option<Vec<u8>>, Error> {
        fits(key, &[])?;
        Ok(SPACE.with_borrow(|space| space.get(key).map(|kept| kept.value.clone())))
    }

    pub fn set(key: &str, value: &[u8], ttl: Option<u64>) -> Result<(), Error> {
        fits(key, value)?;
        may_write()?;
        let until = NOW.get() + ttl.unwrap_or(DAY_MS);
        SPACE.with_borrow_mut(|space| space.insert(key.to_owned(), Kept { value: value.to_vec(), until }));
        Ok(())
    }

    pub fn delete(key: &str) -> Result<(), Error> {
        fits(key, &[])?;
        SPACE.with_borrow_mut(|space| space.remove(key));
        Ok(())
    }

    pub fn increment(key: &str, by: i64, ttl: Option<u64>) -> Result<i64, Error> {
        fits(key, &[])?;
        may_write()?;
        SPACE.with_borrow_mut(|space| {
            let until = NOW.get() + ttl.unwrap_or(DAY_MS);
            let kept = space.entry(key.to_owned()).or_insert(Kept { value: b"0".to_vec(), until });
            let text = std::str::from_utf8(&kept.value).map_err(|_| Error::NotANumber)?;
            let sum = text.parse::<i64>().ok().and_then(|old| old.checked_add(by)).ok_or(Error::NotANumber)?;
            kept.value = sum.to_string().into_bytes();
            Ok(sum)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_expires_counted_from_its_first_addition() {
        assert_eq!(increment("n", 2, Some(100)).unwrap(), 2);
        pass(60);
        assert_eq!(increment("n", 1, Some(100)).unwrap(), 3);
        pass(60);
        assert_eq!(increment("n", 1, Some(100)).unwrap(), 1);
    }

    #[test]
    fn what_is_no_counter_is_not_counted() {
        set("word", b"spam", None).unwrap();
        assert_eq!(increment("word", 1, None), Err(Error::NotANumber));
        assert_eq!(get("word").unwrap().as_deref(), Some(&b"spam"[..]));
        assert_eq!(get(""), Err(Error::TooLarge));
    }
}
