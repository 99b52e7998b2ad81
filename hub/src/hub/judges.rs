//! Builds the chain of plugins that settings name, with this hub's checks of what plugins say.

use crate::kv::Kv;
use crate::plugin::{Chain, Check, Error, FakeHost, Observer};
use crate::publish::check_json;
use confab_config::{Config, Limits};
use std::path::Path;
use std::sync::Arc;

/// Loads the plugins and chains that the settings name; with warnings for the operator. `kv` is where plugins remember.
///
/// # Errors
/// [`Error`]: what is wrong with them.
pub async fn build_chain(
    config: &Config,
    base_dir: &Path,
    observer: Arc<dyn Observer>,
    kv: &Kv,
) -> Result<(Chain, Vec<String>), Error> {
    Chain::build(config, base_dir, checker(&config.limits), observer, kv).await
}

/// The same for a trial: what its plugins do reaches nothing but the fake host.
///
/// # Errors
/// [`Error`]: what is wrong with them.
pub async fn build_trial(
    config: &Config,
    fake: &Arc<FakeHost>,
    observer: Arc<dyn Observer>,
) -> Result<(Chain, Vec<String>), Error> {
    Chain::build_on(fake, config, Path::new(""), checker(&config.limits), observer).await
}

/// The limits that decide how a chain checks what plugins say.
fn checker(limits: &Limits) -> Arc<Check> {
    let depth = limits.json_depth;
    let bytes_max = limits.body.bytes();
    Arc::new(move |body| {
        if body.as_str().len() > bytes_max {
            return Err(format!("it has more than {bytes_max} bytes"));
        }
        check_json(body, depth)
    })
}
