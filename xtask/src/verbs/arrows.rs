//! The arrows between crates: what must never be reached from where.

use crate::cargo::{self, cargo};
use anyhow::{Context, Result, bail};
use serde_json::Value;

/// The crate on the left reaches none of those on the right, however far down.
const MUST_NOT_REACH: [(&str, &[&str]); 7] = [
    // Words and small tools: plain data, no I/O.
    ("confab-protocol", &["tokio", "confab-config", "confab-store", "confab-hub"]),
    ("confab-config", &["tokio", "confab-store", "confab-hub", "confab-consumer"]),
    ("confab-store", &["redis", "rdkafka", "wasmtime", "confab-hub", "confab-consumer"]),
    ("confab-consumer", &["redis", "wasmtime", "confab-hub"]),
    ("confab-hub", &["confab-consumer"]),
    // In memory: no service, and none of their clients.
    ("confab-simulate", &["redis", "rdkafka", "sqlx", "wasmtime", "confab-hub", "confab-store", "confab-consumer"]),
    // What a plugin's author sees knows nothing of the hub.
    ("confab-plugin-sdk", &["tokio", "wasmtime", "confab-hub", "confab-store", "confab-config"]),
];

/// The library on the left is used directly by nobody but the crates on the right. The tests from the outside look into
/// the services themselves, so as not to believe ours; the bench measures them bare.
const USED_ONLY_BY: [(&str, &[&str]); 4] = [
    ("wasmtime", &["confab-hub"]),
    ("redis", &["confab-hub", "confab-tests", "confab-bench"]),
    ("rdkafka", &["confab-hub", "confab-consumer", "confab-tests", "confab-bench"]),
    ("sqlx", &["confab-store", "confab-tests", "confab-bench"]),
];

/// Looks at both lists.
pub fn check() -> Result<()> {
    let mut wrong = Vec::new();
    for (from, forbidden) in MUST_NOT_REACH {
        let reached = reached_from(from)?;
        let hits = forbidden.iter().filter(|name| reached.iter().any(|reached| reached == *name));
        wrong.extend(hits.map(|name| format!("{from} reaches {name} (`cargo tree -p {from} -e normal -i {name}`)")));
    }
    for package in packages()? {
        let name = package["name"].as_str().context("a package has no name")?;
        for (library, users) in USED_ONLY_BY {
            if uses(&package, library) && !users.contains(&name) {
                wrong.push(format!("{name} uses {library}, which is for {} alone", users.join(", ")));
            }
        }
    }
    if !wrong.is_empty() {
        bail!("{}", wrong.join("; "));
    }
    Ok(())
}

/// The workspace's own crates, as cargo describes them.
pub fn packages() -> Result<Vec<Value>> {
    let mut metadata = cargo::metadata()?;
    serde_json::from_value(metadata["packages"].take()).context("cargo's metadata has no packages")
}

/// Everything that is compiled into it; not what only its tests or build scripts use.
fn reached_from(package: &str) -> Result<Vec<String>> {
    let mut tree = cargo();
    tree.args(["tree", "--package", package, "--edges", "normal", "--prefix", "none", "--format", "{p}"]);
    let lines = cargo::output_of(&mut tree)?;
    Ok(lines.lines().skip(1).filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect())
}

fn uses(package: &Value, library: &str) -> bool {
    let dependencies = package["dependencies"].as_array().into_iter().flatten();
    // Kind is null for normal dependencies; tests may use what they like.
    dependencies.filter(|dependency| dependency["kind"].is_null()).any(|dependency| dependency["name"] == library)
}
