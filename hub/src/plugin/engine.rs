//! The one wasmtime engine of a chain: how guests are compiled, and where their memories lie.

use super::ticker::{Running, Ticker};
use std::sync::Arc;
use tracing::warn;
use wasmtime::{Config, Enabled, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig, RegallocAlgorithm};

/// The stack that guest code may use.
const STACK_BYTES_MAX: usize = 512 << 10;

/// How much of a used memory stays resident for the next instance; the rest is given back to the system.
const KEEP_RESIDENT: usize = 256 << 10;

/// The most core modules inside one component. A Rust plugin has one to three; Python, which is linked when it starts, 38. A
/// pool keeps nothing in advance for them, it only counts: what each takes is asked of the system when it starts, and all of
/// one component's together may take a mebibyte (wasmtime's `component_instance_size`).
pub const CORE_INSTANCES_MAX: usize = 64;

/// The most tables inside one component.
pub const TABLES_MAX: usize = 8;

/// The most elements of one table.
pub const TABLE_ELEMENTS_MAX: usize = 30_000;

/// The address space of one memory. What a plugin may really have is bounded by its own limit; this is only how much is kept
/// free for it, so that guest code needs no bounds checks.
const MEMORY_SPACE: usize = 4 << 30;

/// The engine. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    wasmtime: wasmtime::Engine,
    ticker: Arc<Ticker>,
}

impl Engine {
    /// Makes an engine for so many instances at once, and starts its clock. Where their address space cannot be had in
    /// advance, every instance asks the system for its own: slower, but it works.
    pub fn new(instances: usize) -> Result<Self, wasmtime::Error> {
        let mut config = config();
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(instances)));
        let wasmtime = wasmtime::Engine::new(&config).or_else(|error| {
            warn!(%error, instances, "no room for the plugins' memories in advance, instances will start slowly");
            config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
            wasmtime::Engine::new(&config)
        })?;
        let ticker = Arc::new(Ticker::start(&wasmtime)?);
        Ok(Self { wasmtime, ticker })
    }

    /// Makes an engine for what runs once and is thrown away: it compiles quickly, to code that is slower and takes more stack.
    pub fn for_drafts() -> Result<Self, wasmtime::Error> {
        let mut config = config();
        config
            .cranelift_opt_level(OptLevel::None)
            .cranelift_regalloc_algorithm(RegallocAlgorithm::SinglePass)
            .max_wasm_stack(8 * STACK_BYTES_MAX)
            .async_stack_size(16 * STACK_BYTES_MAX);
        let wasmtime = wasmtime::Engine::new(&config)?;
        let ticker = Arc::new(Ticker::start(&wasmtime)?);
        Ok(Self { wasmtime, ticker })
    }

    /// Wasmtime's own.
    pub fn wasmtime(&self) -> &wasmtime::Engine {
        &self.wasmtime
    }

    /// What a compiled form must agree with to run here: wasmtime's version and settings, the processor's features.
    pub fn compatibility(&self) -> impl std::hash::Hash + '_ {
        self.wasmtime.precompile_compatibility_hash()
    }

    /// Keeps the tick going while a call runs.
    pub fn keep_ticking(&self) -> Running {
        self.ticker.keep_running()
    }
}

fn config() -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .concurrency_support(false) // components that run concurrently inside: nobody needs it, and it costs every call
        .epoch_interruption(true)
        .max_wasm_stack(STACK_BYTES_MAX)
        .memory_init_cow(true)
        .gc_support(false)
        .shared_memory(false)
        .wasm_backtrace_max_frames(None);
    config
}

fn pool(instances: usize) -> PoolingAllocationConfig {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let instances = number(instances);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_memories(instances)
        .total_stacks(instances)
        .total_core_instances(instances.saturating_mul(number(CORE_INSTANCES_MAX)))
        .total_tables(instances.saturating_mul(number(TABLES_MAX)))
        .max_memories_per_component(1)
        .max_core_instances_per_component(number(CORE_INSTANCES_MAX))
        .max_tables_per_component(number(TABLES_MAX))
        .table_elements(TABLE_ELEMENTS_MAX)
        .max_memory_size(MEMORY_SPACE)
        .linear_memory_keep_resident(KEEP_RESIDENT)
        .table_keep_resident(KEEP_RESIDENT)
        .pagemap_scan(Enabled::Auto);
    pool
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    #[test]
    fn the_clock_ticks_while_a_call_runs_and_holds_no_engine_alive() {
        let engine = Engine::new(1).unwrap();
        let running = engine.keep_ticking();
        let weak = engine.wasmtime().weak();
        drop(running);
        drop(engine);
        let deadline = Instant::now() + Duration::from_secs(5);
        while weak.upgrade().is_some() {
            assert!(Instant::now() < deadline, "the clock keeps the engine alive");
            std::thread::yield_now();
        }
    }

    #[test]
    fn what_cannot_be_had_in_advance_is_asked_for_on_demand() {
        let too_many = 1 << 20;
        let mut pooled = config();
        pooled.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(too_many)));
        assert!(wasmtime::Engine::new(&pooled).is_err(), "four petabytes were to be had");
        assert!(Engine::new(too_many).is_ok());
    }
}
