//! Capability `random`: bytes from the system's source.

use super::{Capability, Misuse};
use crate::plugin::Stage;
use crate::plugin::call::Guest;
use crate::plugin::contract::host_random;

/// The most bytes of one call.
pub const BYTES_MAX: u32 = 4096;

impl Guest {
    /// Fills a buffer, on a stage with `staged`. The system's source does not fail once a system is up; if it does, that is
    /// the host's failure.
    fn throw(&mut self, bytes: &mut [u8], staged: impl FnOnce(&Stage, &mut [u8])) -> wasmtime::Result<()> {
        self.host.may(Capability::Random)?;
        let filled = match &self.host.stage {
            Some(stage) => {
                staged(stage, bytes);
                Ok(())
            }
            None => getrandom::fill(bytes),
        };
        let result = if filled.is_ok() { "ok" } else { "unavailable" };
        self.host.count(Capability::Random, result, None);
        filled.map_err(|error| wasmtime::format_err!("no randomness could be had: {error}"))
    }
}

impl host_random::Host for Guest {
    fn bytes(&mut self, length: u32) -> wasmtime::Result<Vec<u8>> {
        self.host.may(Capability::Random)?;
        if length > BYTES_MAX {
            return Err(self.host.misuse(Capability::Random, Misuse::Random(length)).into());
        }
        let mut bytes = vec![0; length as usize];
        self.throw(&mut bytes, |stage, bytes| bytes.fill_with(|| stage.throw().to_le_bytes()[0]))?;
        Ok(bytes)
    }

    fn number(&mut self) -> wasmtime::Result<u64> {
        let mut bytes = [0; 8];
        self.throw(&mut bytes, |stage, bytes| bytes.copy_from_slice(&stage.throw().to_le_bytes()))?;
        Ok(u64::from_le_bytes(bytes))
    }
}
