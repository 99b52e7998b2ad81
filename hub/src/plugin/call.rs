//! One instance of a plugin, and one call of it. The only file that makes a `wasmtime::Store`.
//!
//! A call gives way to others at every tick, and ends at its deadline. An instance is handed back only by a call that went
//! well, so one that failed in any way cannot be asked again.

use super::budget::{Budget, Failed};
use super::capability::{Grants, Host, Misuse};
use super::contract::{self, types};
use super::engine::Engine;
use super::engine::{CORE_INSTANCES_MAX, TABLE_ELEMENTS_MAX, TABLES_MAX};
use super::linked::Exports;
use super::module::{Bounds, Module};
use super::tally::Tally;
use super::{Check, Circumstances, Fault, Observer, Verdict};
use confab_plugin_kit::plain;
use confab_protocol::Event;
use std::sync::Arc;
use wasmtime::{ResourceLimiter, StoreContextMut, Trap, UpdateDeadline};

/// After how many calls an instance that lives on is replaced.
const CALLS_MAX: u32 = 10_000;

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

/// A configured instance.
pub struct Instance {
    store: wasmtime::Store<Guest>,
    exports: Exports,
    calls: u32,
    /// Told how much memory there was after each call.
    tally: Arc<Tally>,
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

impl Instance {
    /// Starts an instance, and configures it unless the module is a picture of one that was.
    pub async fn start(module: &Module, observer: &Arc<dyn Observer>, budget: &Budget) -> Result<Self, Fault> {
        let (name, bounds, grants) = (&module.name, module.bounds, &module.grants);
        let mut store = store(&module.engine, name, bounds, grants, observer, budget);
        let started = budget.cover(module.linked.begin(&mut store)).await;
        let (_, exports) = started.map_err(|failed| store.data().fault(failed, Fault::Unavailable))?;
        if !module.configured {
            configure(&mut store, &exports, &module.settings).await?;
        }
        Ok(Self { store, exports, calls: 0, tally: Arc::clone(&module.tally) })
    }

    /// Asks what should become of an event.
    pub async fn judge(
        mut self,
        event: &Event,
        circumstances: &Circumstances,
        check: &Check,
        budget: &Budget,
    ) -> Result<(Self, Verdict), Fault> {
        let guest = self.store.data_mut();
        guest.host.begin(event, circumstances, budget.clone());
        self.calls += 1;
        self.store.set_epoch_deadline(1);
        let asked = contract::Asked::of(event, circumstances);
        let said = budget.cover(self.exports.judge(&mut self.store, &asked)).await;
        let guest = self.store.data_mut();
        guest.host.end();
        self.tally.memory(guest.memory.size);
        let said = said.map_err(|failed| guest.fault(failed, Fault::Nonsense))?;
        let mut verdict = guest.read(said, check)?;
        guest.host.take_said(&mut verdict);
        Ok((self, verdict))
    }

    /// Whether a fresh instance should take its place: it is old, or it may be hoarding.
    pub fn is_worn(&self) -> bool {
        let memory = &self.store.data().memory;
        self.calls >= CALLS_MAX || memory.size > memory.limit / 2
    }
}

/// Hands an instance its settings.
pub async fn configure(store: &mut wasmtime::Store<Guest>, exports: &Exports, settings: &str) -> Result<(), Fault> {
    let budget = store.data().host.budget.clone();
    let configured = budget.cover(exports.configure(store, settings)).await;
    store.data_mut().host.end();
    let configured = configured.map_err(|failed| store.data().fault(failed, Fault::Nonsense))?;
    configured.map_err(|why| Fault::Configure(plain::escaped(&why).into_owned()))
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

impl Guest {
    fn read(&self, said: types::Verdict, check: &Check) -> Result<Verdict, Fault> {
        if contract::spoken(&said) > self.output {
            return Err(Fault::Output(self.output));
        }
        contract::read(said, check)
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
