//! Capability `random`: bytes from the system's source.

use super::{Capability, Host, Misuse};
use crate::plugin::FakeHost;
use crate::plugin::contract::host_random;

/// The most bytes of one call.
pub const BYTES_MAX: u32 = 4096;

impl Host {
    /// Fills a buffer, on a fake host with `faked`. The system's source does not fail once a system is up; if it does, that is
    /// the host's failure.
    fn throw(&mut self, bytes: &mut [u8], faked: impl FnOnce(&FakeHost, &mut [u8])) -> wasmtime::Result<()> {
        self.may(Capability::Random)?;
        let filled = match &self.fake {
            Some(fake) => {
                faked(fake, bytes);
                Ok(())
            }
            None => getrandom::fill(bytes),
        };
        let result = if filled.is_ok() { "ok" } else { "unavailable" };
        self.count(Capability::Random, result, None);
        filled.map_err(|error| wasmtime::format_err!("no randomness could be had: {error}"))
    }
}

impl host_random::Host for Host {
    fn bytes(&mut self, length: u32) -> wasmtime::Result<Vec<u8>> {
        self.may(Capability::Random)?;
        if length > BYTES_MAX {
            return Err(self.misuse(Capability::Random, Misuse::Random(length)).into());
        }
        let mut bytes = vec![0; length as usize];
        self.throw(&mut bytes, |fake, bytes| bytes.fill_with(|| fake.throw().to_le_bytes()[0]))?;
        Ok(bytes)
    }

    fn number(&mut self) -> wasmtime::Result<u64> {
        let mut bytes = [0; 8];
        self.throw(&mut bytes, |fake, bytes| bytes.copy_from_slice(&fake.throw().to_le_bytes()))?;
        Ok(u64::from_le_bytes(bytes))
    }
}
