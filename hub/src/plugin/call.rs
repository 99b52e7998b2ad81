//! One instance of a plugin, and one call of it.
//!
//! A call gives way to others at every tick, and ends at its deadline. An instance is handed back only by a call that went
//! well, so one that failed in any way cannot be asked again.

use super::budget::Budget;
use super::contract;
use super::guest::{Guest, store};
use super::linked::Exports;
use super::module::Module;
use super::tally::Tally;
use super::{Check, EventContext, Fault, Observer, Verdict};
use confab_plugin_kit::plain;
use confab_protocol::Event;
use std::sync::Arc;

/// After how many calls an instance that lives on is replaced.
const CALLS_MAX: u32 = 10_000;

/// A configured instance.
pub struct Instance {
    store: wasmtime::Store<Guest>,
    exports: Exports,
    calls: u32,
    /// Told how much memory there was after each call.
    tally: Arc<Tally>,
}

impl Instance {
    /// Starts an instance, and configures it unless the module is a snapshot of one that was.
    pub async fn start(module: &Module, observer: &Arc<dyn Observer>, budget: &Budget) -> Result<Self, Fault> {
        let name = &module.name;
        let bounds = module.bounds;
        let grants = &module.grants;
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
        context: &EventContext,
        check: &Check,
        budget: &Budget,
    ) -> Result<(Self, Verdict), Fault> {
        let guest = self.store.data_mut();
        guest.host.begin(event, context, budget.clone());
        self.calls += 1;
        self.store.set_epoch_deadline(1);
        let asked = contract::Asked::of(event, context);
        let said = budget.cover(self.exports.judge(&mut self.store, &asked)).await;
        let guest = self.store.data_mut();
        guest.host.end();
        self.tally.memory(guest.memory_size());
        let said = said.map_err(|failed| guest.fault(failed, Fault::Nonsense))?;
        let mut verdict = guest.read(said, check)?;
        guest.host.take_said(&mut verdict);
        Ok((self, verdict))
    }

    /// Whether a fresh instance should take its place: it is old, or it may be leaking memory.
    pub fn is_worn(&self) -> bool {
        self.calls >= CALLS_MAX || self.store.data().is_mostly_full()
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
