//! The clock that makes running plugins give way: a thread that advances the engine's tick.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, Thread};
use std::time::Duration;

/// How often a running plugin gives way to others, and looks at its own deadline.
pub const TICK: Duration = Duration::from_millis(1);

/// For how many ticks the clock goes on when no call runs; then it sleeps until one does, so that an idle hub is idle.
const IDLE_TICKS: u32 = 100;

/// How often a sleeping clock looks whether the engine is still there.
const NAP: Duration = Duration::from_millis(500);

/// Wakes the clock while calls run. The thread ends by itself soon after the engine is gone: it holds no strong reference.
#[derive(Clone)]
pub struct Ticker {
    running: Arc<AtomicUsize>,
    thread: Thread,
}

impl Ticker {
    /// Starts the thread.
    pub fn start(engine: &wasmtime::Engine) -> std::io::Result<Self> {
        let running = Arc::new(AtomicUsize::new(0));
        let engine = engine.weak();
        let counted = Arc::clone(&running);
        let handle = thread::Builder::new().name("plugin-ticker".into()).spawn(move || {
            let mut idle = 0;
            while let Some(engine) = engine.upgrade() {
                engine.increment_epoch();
                drop(engine);
                idle = if counted.load(Ordering::SeqCst) > 0 { 0 } else { idle + 1 };
                match idle {
                    0..IDLE_TICKS => thread::sleep(TICK),
                    _ => thread::park_timeout(NAP),
                }
            }
        })?;
        Ok(Self { running, thread: handle.thread().clone() })
    }

    /// Keeps the clock running until the guard is dropped.
    pub fn keep_running(&self) -> Running {
        if self.running.fetch_add(1, Ordering::SeqCst) == 0 {
            // Only a futex call if the thread really sleeps.
            self.thread.unpark();
        }
        Running(Arc::clone(&self.running))
    }
}

/// While one of these lives, the clock runs.
pub struct Running(Arc<AtomicUsize>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
