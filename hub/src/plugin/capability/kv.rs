//! Capability `kv`: what a plugin remembers, over messages and over hubs.

use super::{Capability, Host, Misuse};
use crate::kv::{self, Kv, Owner, Space};
use crate::plugin::contract::host_kv;
use std::time::Instant;
use tokio::time::timeout_at;

/// How many calls of one plugin may wait for Redis at once, beside those that work.
pub const WAITING: usize = 16;

/// What a plugin is granted.
pub struct Grant {
    /// Where plugins remember.
    pub kv: Kv,
    /// The plugin's own part of it.
    pub space: Space,
    /// How often one call may ask.
    pub calls: u32,
}

/// One instance's way to it.
pub struct Access {
    kv: Kv,
    space: Space,
    calls: u32,
    /// How often this call may still ask.
    left: u32,
}

impl Access {
    /// For an instance of the plugin.
    pub fn new(grant: &Grant) -> Self {
        Self { kv: grant.kv.clone(), space: grant.space.clone(), calls: grant.calls, left: 0 }
    }

    /// Begins a call about an event of this sender's.
    pub fn begin(&mut self, sender: &str) {
        self.left = self.calls;
        self.space.owner = Owner::of(sender);
    }
}

impl Host {
    /// Lets a plugin ask, if it may ask once more, and for as long as it can wait.
    async fn remember<T, F: Future<Output = Result<T, kv::Error>>>(
        &mut self,
        asking: impl FnOnce(Kv, Space) -> F,
    ) -> Result<Result<T, host_kv::Error>, Misuse> {
        self.may(Capability::Kv)?;
        let patience = self.patience();
        let Some(access) = &mut self.kv else { unreachable!("linked only where it is granted") };
        if access.left == 0 {
            self.count(Capability::Kv, "full", Some("the call asked too often".into()));
            return Ok(Err(host_kv::Error::Full));
        }
        access.left -= 1;
        let begin = Instant::now();
        let asked = timeout_at(patience.into(), asking(access.kv.clone(), access.space.clone())).await;
        let answer = asked.unwrap_or_else(|_| Err(kv::Error::Unavailable("no answer in the time of the call".into())));
        self.took(Capability::Kv, begin);
        let result = answer.as_ref().err().map_or("ok", result);
        self.count(Capability::Kv, result, answer.as_ref().err().map(ToString::to_string));
        Ok(answer.map_err(told))
    }
}

fn result(error: &kv::Error) -> &'static str {
    match error {
        kv::Error::TooLarge => "too_large",
        kv::Error::Full => "full",
        kv::Error::NotANumber => "not_a_number",
        kv::Error::Unavailable(_) => "unavailable",
    }
}

/// What the plugin is told. The cause is for the operator: it may name servers.
fn told(error: kv::Error) -> host_kv::Error {
    match error {
        kv::Error::TooLarge => host_kv::Error::TooLarge,
        kv::Error::Full => host_kv::Error::Full,
        kv::Error::NotANumber => host_kv::Error::NotANumber,
        kv::Error::Unavailable(_) => host_kv::Error::Unavailable("what is remembered cannot be reached now".into()),
    }
}

impl host_kv::Host for Host {
    async fn get(&mut self, key: String) -> wasmtime::Result<Result<Option<Vec<u8>>, host_kv::Error>> {
        Ok(self.remember(|kv, space| async move { kv.get(&space, &key).await }).await?)
    }

    async fn set(
        &mut self,
        key: String,
        value: Vec<u8>,
        ttl: Option<u64>,
    ) -> wasmtime::Result<Result<(), host_kv::Error>> {
        Ok(self.remember(|kv, space| async move { kv.set(&space, &key, value, ttl).await }).await?)
    }

    async fn delete(&mut self, key: String) -> wasmtime::Result<Result<(), host_kv::Error>> {
        Ok(self.remember(|kv, space| async move { kv.delete(&space, &key).await }).await?)
    }

    async fn increment(
        &mut self,
        key: String,
        by: i64,
        ttl: Option<u64>,
    ) -> wasmtime::Result<Result<i64, host_kv::Error>> {
        Ok(self.remember(|kv, space| async move { kv.increment(&space, &key, by, ttl).await }).await?)
    }
}
