//! Capability `clock`: the time.

use super::{Capability, Host};
use crate::plugin::contract::host_clock;
use std::sync::LazyLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Where the monotonic clock begins: some moment in this process's life, so that it says nothing of the machine's.
static BEGINNING: LazyLock<Instant> = LazyLock::new(Instant::now);

impl host_clock::Host for Host {
    fn now(&mut self) -> wasmtime::Result<u64> {
        self.may(Capability::Clock)?;
        self.count(Capability::Clock, "ok", None);
        if let Some(fake) = &self.fake {
            return Ok(fake.now_ms());
        }
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    fn monotonic(&mut self) -> wasmtime::Result<u64> {
        self.may(Capability::Clock)?;
        self.count(Capability::Clock, "ok", None);
        if let Some(fake) = &self.fake {
            return Ok(fake.now_ms().saturating_mul(1_000_000));
        }
        Ok(u64::try_from(BEGINNING.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }
}
