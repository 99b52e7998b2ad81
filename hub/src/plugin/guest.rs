//! What the host keeps for one instance: what it may ask for, its bounds, and what its failures mean. The only file that makes a
//! `wasmtime::Store`.

use super::budget::{Bounds, Budget, Failed};
use super::capability::{Grants, Host, Misuse};
use super::contract::{self, types};
use super::engine::Engine;
use super::engine::{CORE_INSTANCES_MAX, TABLE_ELEMENTS_MAX, TABLES_MAX};
use super::{Check, Fault, Observer, Verdict};
use confab_plugin_kit::plain;
use std::sync::Arc;
use wasmtime::{ResourceLimiter, StoreContextMut, Trap, UpdateDeadline};

/// A store for one instance, with its bounds and what it is granted.
pub fn store(
    engine: &Engine,
    name: &Arc<str>,
    bounds: Bounds,
    grants: &Grants,
    observer: &Arc<dyn Observer>,
    budget: &Budget,
) -> wasmtime::Store<Guest> {
    let guest = Guest {
        host: Host::new(Arc::clone(name), Arc::clone(observer), grants, budget.clone()),
        memory: Memory { limit: bounds.memory, size: 0, refused: false },
        output: bounds.output,
        handed: bounds.handed,
    };
    let mut store = wasmtime::Store::new(engine.wasmtime(), guest);
    store.limiter(|guest| &mut guest.memory);
    store.set_hostcall_fuel(bounds.handed.saturating_add(1024));
    store.epoch_deadline_callback(|store| give_way(&store));
    store.set_epoch_deadline(1);
    store
}

/// What the host keeps for an instance.
pub struct Guest {
    /// What it may ask for besides judging.
    pub host: Host,
    memory: Memory,
    /// The largest answer, in bytes.
    output: usize,
    /// The most that it may hand over at once, in bytes: as an answer, or to the host.
    handed: usize,
}

impl Guest {
    /// What the instance may ask for besides judging.
    pub fn host(&mut self) -> &mut Host {
        &mut self.host
    }

    /// What it answered, checked.
    pub fn read(&self, said: types::Verdict, check: &Check) -> Result<Verdict, Fault> {
        if contract::spoken(&said) > self.output {
            return Err(Fault::Output(self.output));
        }
        contract::read(said, check)
    }

    /// How much memory the instance has, in bytes.
    pub fn memory_size(&self) -> usize {
        self.memory.size
    }

    /// Whether the instance has taken most of its memory: it may be leaking.
    pub fn is_mostly_full(&self) -> bool {
        self.memory.size > self.memory.limit / 2
    }

    /// What the failure of a call means; `other` is for what is neither a limit nor a trap.
    pub fn fault(&self, failed: Failed, other: impl FnOnce(String) -> Fault) -> Fault {
        let Failed::Error(error) = failed else { return Fault::Timeout(self.host.budget.whole()) };
        if self.memory.refused {
            return Fault::Memory(self.memory.limit);
        }
        if let Some(misuse) = error.downcast_ref::<Misuse>() {
            return Fault::Misuse(misuse.to_string());
        }
        match error.downcast_ref::<Trap>() {
            Some(Trap::Interrupt) => Fault::Timeout(self.host.budget.whole()),
            Some(Trap::StackOverflow) => Fault::Stack,
            Some(trap) => Fault::Trap(trap.to_string()),
            // Wasmtime's error for this has no public type; a test sees to it that we notice when its words change.
            None if error.to_string().contains("hostcalls has been exhausted") => Fault::Output(self.handed),
            // It names functions as the plugin does.
            None => other(plain::escaped(&format!("{error:#}")).into_owned()),
        }
    }
}

/// What an instance's memory may be, and is.
struct Memory {
    limit: usize,
    size: usize,
    /// It asked for more: whatever it does then, it failed for want of memory.
    refused: bool,
}

impl ResourceLimiter for Memory {
    fn memory_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        if desired > self.limit {
            self.refused = true;
            return Err(wasmtime::format_err!("memory of {desired} bytes, {} are allowed", self.limit));
        }
        self.size = desired;
        Ok(true)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        if desired > TABLE_ELEMENTS_MAX {
            self.refused = true;
            return Err(wasmtime::format_err!("table of {desired} elements, {TABLE_ELEMENTS_MAX} are allowed"));
        }
        Ok(true)
    }

    fn instances(&self) -> usize {
        CORE_INSTANCES_MAX
    }

    fn tables(&self) -> usize {
        TABLES_MAX
    }

    fn memories(&self) -> usize {
        1
    }
}

/// Called at every tick while guest code runs: past the deadline it is interrupted, else everyone else goes first.
fn give_way(store: &StoreContextMut<'_, Guest>) -> wasmtime::Result<UpdateDeadline> {
    let budget = &store.data().host.budget;
    if !budget.tick() {
        return Ok(UpdateDeadline::Interrupt);
    }
    let budget = budget.clone();
    Ok(UpdateDeadline::YieldCustom(
        1,
        Box::pin(async move {
            tokio::task::yield_now().await;
            budget.resumed();
        }),
    ))
}
