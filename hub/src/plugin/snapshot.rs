//! A snapshot of a configured instance's memory, made a module of its own: its instances start configured.
//!
//! The plugin runs once, with nothing to ask the host for and within its bounds; then wizer writes what its memory holds into
//! the component. Whatever is random in that memory (the seeds of hash tables) is the same in every later instance.

use super::budget::{Bounds, Budget, START_TIMEOUT};
use super::call;
use super::capability::{self, Grants};
use super::guest::{self, Guest};
use super::linked::Linked;
use super::module;
use super::{Fault, engine::Engine};
use confab_config::PluginConfig;
use std::sync::Arc;
use wasmtime::Store;
use wasmtime::component::{Component, ComponentNamedList, Instance, Lift, Linker, WasmList};
use wasmtime_wizer::{ComponentInstanceState, Wizer};

/// Why there is no snapshot.
pub enum Error {
    /// It can only be started the long way; why.
    Unsuitable(String),
    /// The component is none that this hub runs.
    Module(module::Error),
    /// It does not start, or does not accept its settings.
    Fault(Fault),
}

/// Configures the component once, on this engine, and returns one whose instances start where this one ended.
pub async fn take(
    bytes: &[u8],
    name: &Arc<str>,
    settings: &str,
    config: &PluginConfig,
    engine: &Engine,
) -> Result<Vec<u8>, Error> {
    let unsuitable = |error: wasmtime::Error| Error::Unsuitable(format!("{error:#}"));
    let wizer = Wizer::new();
    let (context, instrumented) = wizer.instrument_component(bytes).map_err(unsuitable)?;
    let component = Component::new(engine.wasmtime(), &instrumented).map_err(unsuitable)?;
    module::check_imports(&component, engine.wasmtime(), name, config).map_err(Error::Module)?;
    let mut linker = Linker::new(engine.wasmtime());
    // What it is granted is there, and says that a plugin that is being configured may not have it.
    capability::link(&mut linker, &config.capabilities, Guest::host).map_err(unsuitable)?;
    linker.define_unknown_imports_as_traps(&component).map_err(unsuitable)?;
    let pre = linker.instantiate_pre(&component).map_err(unsuitable)?;
    // What lacks the contract's exports is told so when it is linked in earnest.
    let linked = Linked::new(pre).map_err(unsuitable)?;

    let bounds = module::bounds(config);
    let budget = Budget::from_now(START_TIMEOUT);
    let observer: Arc<dyn super::Observer> = Arc::new(());
    let bounds = Bounds { handed: usize::MAX >> 1, ..bounds };
    let mut store = guest::store(engine, name, bounds, &Grants::default(), &observer, &budget);
    let _ticking = engine.keep_ticking();
    let started = budget.cover(linked.begin(&mut store)).await;
    let started = started.map_err(|failed| Error::Fault(store.data().fault(failed, Fault::Unavailable)));
    let (instance, exports) = started?;
    call::configure(&mut store, &exports, settings).await.map_err(Error::Fault)?;
    // Reading is ours, not the plugin's: it may take its time.
    store.epoch_deadline_callback(|_| Ok(wasmtime::UpdateDeadline::Yield(1)));
    wizer.snapshot_component(&context, &mut Reader { store: &mut store, instance }).await.map_err(unsuitable)
}

/// Reads an instance's state through the functions that wizer put into it.
struct Reader<'a> {
    store: &'a mut Store<Guest>,
    instance: Instance,
}

impl Reader<'_> {
    async fn call<R>(&mut self, instance: &str, function: &str) -> R
    where
        R: Lift + Send + Sync + 'static,
        (R,): ComponentNamedList + Lift,
    {
        let of = |export: Option<(_, _)>| export.map(|(_, index)| index).expect("wizer exports what it asks for");
        let outer = of(self.instance.get_export(&mut *self.store, None, instance));
        let inner = of(self.instance.get_export(&mut *self.store, Some(&outer), function));
        let function = self.instance.get_typed_func::<(), (R,)>(&mut *self.store, inner);
        let function = function.expect("wizer's functions have the types it asks for");
        function.call_async(&mut *self.store, ()).await.expect("reading a value does not fail").0
    }
}

impl ComponentInstanceState for Reader<'_> {
    async fn call_func_ret_list_u8(&mut self, instance: &str, func: &str, contents: impl FnOnce(&[u8]) + Send) {
        let list: WasmList<u8> = self.call(instance, func).await;
        contents(list.as_le_slice(&*self.store));
    }

    async fn call_func_ret_s32(&mut self, instance: &str, func: &str) -> i32 {
        self.call(instance, func).await
    }

    async fn call_func_ret_s64(&mut self, instance: &str, func: &str) -> i64 {
        self.call(instance, func).await
    }

    async fn call_func_ret_f32(&mut self, instance: &str, func: &str) -> u32 {
        self.call::<f32>(instance, func).await.to_bits()
    }

    async fn call_func_ret_f64(&mut self, instance: &str, func: &str) -> u64 {
        self.call::<f64>(instance, func).await.to_bits()
    }
}
