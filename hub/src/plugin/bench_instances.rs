//! Many instances of one plugin at once, for whoever measures what they take.

use super::budget::{Budget, START_TIMEOUT};
use super::call::Instance;
use super::chain::{Chain, judged_kind};
use super::{EventContext, Fault};
use confab_protocol::Event;

/// Instances that have judged once, and live until this is dropped.
pub struct BenchInstances {
    /// Only kept.
    _instances: Vec<Instance>,
}

impl Chain {
    /// Starts so many instances of a plugin beside those that judge, and puts the event to each once.
    ///
    /// # Errors
    /// A fault of one of them; [`Fault::Unavailable`] where the plugin is not there, or the engine has no room for so many.
    pub async fn bench_instances(&self, plugin: &str, count: usize, event: &Event) -> Result<BenchInstances, Fault> {
        let member = self.members.get(plugin).ok_or_else(|| Fault::Unavailable(format!("no plugin `{plugin}`")))?;
        let module = member.pool.module();
        let _ticking = module.engine.keep_ticking();
        let context = EventContext::from(judged_kind(event.kind));
        let mut instances = Vec::with_capacity(count);
        for _ in 0..count {
            let budget = Budget::from_now(START_TIMEOUT);
            let instance = Instance::start(module, &self.observer, &budget).await?;
            instances.push(instance.judge(event, &context, &*self.check, &budget).await?.0);
        }
        Ok(BenchInstances { _instances: instances })
    }
}
