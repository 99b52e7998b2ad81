//! Checks of what plugins are granted.

use super::Findings;
use crate::human::{Size, duration};
use crate::path::Path;
use crate::problem::Problem;
use crate::settings::{HttpGrant, KvGrant, PluginConfig};
use std::time::Duration;

/// Below this no plugin that asks other servers will get an answer in time.
const ASKING_TIMEOUT_MIN: Duration = Duration::from_millis(50);

pub(super) fn check(plugin_path: &Path, name: &str, plugin: &PluginConfig, found: &mut Findings) {
    let here = plugin_path.key("capabilities");
    if let Some(kv) = &plugin.capabilities.kv {
        kept(&here.key("kv"), kv, found);
    }
    if let Some(emit) = &plugin.capabilities.emit
        && !emit.rooms.is_empty()
    {
        super::rooms::patterns(&here, "emit", &emit.rooms, found);
    }
    if let Some(http) = &plugin.capabilities.http {
        asked(&here.key("http"), http, found);
        if plugin.timeout < ASKING_TIMEOUT_MIN && !plugin.timeout.is_zero() {
            found.add(
                Problem::warning(&here.key("http"), format!("plugin `{name}` may ask servers, but has no time for it"))
                    .label(format!("its `timeout` is \"{}\"", duration::show(plugin.timeout)))
                    .note("the time that servers take is part of the plugin's own")
                    .help("write `timeout = \"1s\"`")
                    .rests_on(&plugin_path.key("timeout")),
            );
        }
    }
}

fn kept(here: &Path, kv: &KvGrant, found: &mut Findings) {
    found.count(&here.key("keys"), kv.keys, 1, 1_000_000);
    found.size(&here.key("bytes"), kv.bytes, Size::kib(1), Size::mib(1024));
    found.count(&here.key("calls"), kv.calls, 1, 10_000);
}

fn asked(here: &Path, http: &HttpGrant, found: &mut Findings) {
    let allow = here.key("allow");
    if http.allow.is_empty() {
        found.add(
            Problem::error(&allow, "no origin is granted")
                .label("nobody could be asked")
                .help("write `allow = [\"https://host.example\"]`, or take `http` out"),
        );
    }
    // In the short form the list stands where the table would.
    let short = *http == HttpGrant { allow: http.allow.clone(), ..HttpGrant::default() };
    let list = if short { here } else { &allow };
    for (at, origin) in http.allow.iter().enumerate() {
        let Some(host) = origin.private_host().filter(|_| !http.private) else { continue };
        found.add(
            Problem::error(&list.index(at), format!("`{origin}` can never be asked"))
                .label(format!("`{host}` is no public address"))
                .help(format!("write `http = {{ allow = [\"{origin}\"], private = true }}` if it is meant")),
        );
    }
    found.size(&here.key("bytes"), http.bytes, Size(1), Size::mib(16));
    found.duration(&here.key("timeout"), http.timeout, Duration::from_millis(1), Duration::from_secs(60));
    found.count(&here.key("calls"), http.calls, 1, 100);
    found.count(&here.key("concurrency"), http.concurrency, 1, 1000);
}
