//! The cluster that `cargo xtask up` starts: who is in it, at which addresses, with which configuration.

use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use toml::{Table, Value};
use xtask::workspace;

/// Ports of the services; the controller of Kafka takes the one above. `deploy/compose.yaml` has the same.
pub const REDIS: u16 = 16379;
pub const KAFKA: u16 = 19092;
pub const POSTGRES: u16 = 15432;

/// One of our own processes.
pub struct Member {
    pub name: &'static str,
    pub program: &'static str,
    /// Where clients connect, if they do.
    pub listen: Option<u16>,
    /// Where operators connect.
    pub admin: u16,
    /// Where its metrics are, for whoever looks.
    pub metrics: u16,
}

/// In the order in which they start; they end in the opposite one.
pub const MEMBERS: [Member; 3] = [
    Member { name: "consumer", program: "confab-consumer", listen: None, admin: 9100, metrics: 9100 },
    Member { name: "hub-1", program: "confab", listen: Some(8000), admin: 9000, metrics: 9101 },
    Member { name: "hub-2", program: "confab", listen: Some(8001), admin: 9001, metrics: 9102 },
];

impl Member {
    /// Where it says whether it is ready, and a hub's operators connect.
    pub fn admin_address(&self) -> String {
        format!("127.0.0.1:{}", self.admin)
    }

    /// Where it serves its metrics.
    pub fn metrics_address(&self) -> String {
        format!("127.0.0.1:{}", self.metrics)
    }

    /// Its configuration file.
    pub fn config(&self, folder: &Path) -> PathBuf {
        folder.join(format!("{}.toml", self.name))
    }
}

/// Writes everyone's hub.toml into `folder`: the services of this cluster, and rooms, plugins and chains as in the
/// clone's own hub.toml.
pub fn write_configs(folder: &Path) -> Result<()> {
    let shared = shared(&workspace::root().join("hub.toml"))?;
    for member in &MEMBERS {
        let mut config = shared.clone();
        match member.listen {
            Some(listen) => {
                config.insert("listen".into(), format!("127.0.0.1:{listen}").into());
                config.insert("admin".into(), member.admin_address().into());
                config.insert("metrics".into(), member.metrics_address().into());
            }
            None => {
                config.insert("consumer".into(), table([("admin", member.admin_address().into())]));
            }
        }
        let path = member.config(folder);
        let text = format!("# Written by `cargo xtask up`; the next one writes it again.\n{config}");
        std::fs::write(&path, text).with_context(|| format!("could not write {}", path.display()))?;
    }
    Ok(())
}

/// What all members have in common.
fn shared(top: &Path) -> Result<Table> {
    let text = std::fs::read_to_string(top).with_context(|| format!("could not read {}", top.display()))?;
    let top: Table = text.parse().with_context(|| format!("{} is not TOML", top.display()))?;
    let mut shared: Table =
        top.into_iter().filter(|(key, _)| ["room", "plugin", "chain", "test"].contains(&key.as_str())).collect();
    if let Some(plugins) = shared.get_mut("plugin").and_then(Value::as_table_mut) {
        for (_, plugin) in plugins.iter_mut() {
            anchor(plugin);
        }
    }
    let redis = table([("url", format!("redis://127.0.0.1:{REDIS}").into())]);
    let kafka = table([("brokers", vec![Value::from(format!("127.0.0.1:{KAFKA}"))].into())]);
    let postgres = table([("url", format!("postgres://postgres@127.0.0.1:{POSTGRES}/postgres").into())]);
    shared.insert("auth".into(), table([("insecure", true.into())]));
    shared.insert("timeline".into(), table([("redis", redis)]));
    shared.insert("journal".into(), table([("kafka", kafka)]));
    shared.insert("store".into(), table([("postgres", postgres)]));
    Ok(shared)
}

/// A module's path is relative to its hub.toml, and these files lie in another folder.
fn anchor(plugin: &mut Value) {
    if let Some(module) = plugin.get_mut("module")
        && let Some(path) = module.as_str()
    {
        *module = workspace::root().join(path).display().to_string().into();
    }
}

fn table<const N: usize>(entries: [(&str, Value); N]) -> Value {
    Value::Table(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}
