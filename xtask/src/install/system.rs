//! Programs and libraries of the system.

use crate::progress::{Progress, say};
use crate::services::postgres;
use crate::workspace;
use anyhow::{Result, bail};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Something that must be there.
#[derive(Clone)]
pub struct Need {
    what: &'static str,
    debian: &'static str,
    is_there: fn() -> bool,
}

/// What `cargo build` needs besides Rust: a C compiler, make, and OpenSSL's headers for Kafka's client.
pub fn build() -> Vec<Need> {
    vec![
        Need { what: "a C compiler (cc)", debian: "gcc libc6-dev", is_there: || has("cc") },
        Need { what: "a C++ compiler (c++)", debian: "g++", is_there: || has("c++") },
        Need { what: "make", debian: "make", is_there: || has("make") },
        Need { what: "pkg-config", debian: "pkg-config", is_there: || has("pkg-config") },
        Need { what: "OpenSSL with its headers", debian: "libssl-dev", is_there: has_openssl },
    ]
}

/// What the services need.
pub fn services() -> Vec<Need> {
    vec![
        Need { what: "Redis 7 (redis-server)", debian: "redis-server", is_there: || has("redis-server") },
        Need {
            what: "PostgreSQL (initdb, postgres)",
            debian: "postgresql",
            is_there: || postgres::programs().is_some(),
        },
        Need { what: "Java 17 or later (java)", debian: "default-jre-headless", is_there: || has("java") },
        Need { what: "Maven (mvn)", debian: "maven", is_there: || has("mvn") },
    ]
}

/// What the stock clients of the end-to-end tests need.
pub fn clients() -> Vec<Need> {
    vec![
        Need { what: "Node.js 20.19 or later (node)", debian: "nodejs", is_there: || has("node") },
        Need { what: "npm", debian: "npm", is_there: || has("npm") },
        Need { what: "Python 3 with venv", debian: "python3-venv", is_there: has_venv },
        Need { what: "Java's compiler (javac)", debian: "default-jdk-headless", is_there: || has("javac") },
        Need { what: "Go 1.26 or later (go)", debian: "golang-go", is_there: || has("go") },
    ]
}

/// A browser for tests of the page. Only a test that drives one asks for it.
pub fn browser() -> Result<PathBuf> {
    let find = || ["chromium", "chromium-browser", "google-chrome"].into_iter().find_map(workspace::on_path);
    if let Some(browser) = find() {
        return Ok(browser);
    }
    let _one_at_a_time = super::lock()?;
    ensure(&[Need { what: "Chromium", debian: "chromium", is_there: || has("chromium") }])?;
    match find() {
        Some(browser) => Ok(browser),
        None => bail!("Chromium was installed, and there is still no `chromium` on PATH"),
    }
}

/// Installs those that are missing, or says what to install.
pub fn ensure(needs: &[Need]) -> Result<()> {
    let missing: Vec<&Need> = needs.iter().filter(|need| !(need.is_there)()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<&str> = missing.iter().flat_map(|need| need.debian.split_whitespace()).collect();
    if !has("apt-get") || !workspace::is_root() {
        for need in &missing {
            say(&format!("✗ missing: {}", need.what));
        }
        let how = match has("apt-get") {
            true => format!("type `sudo apt-get install -y --no-install-recommends {}`", packages.join(" ")),
            false => format!("install it (Debian's packages for it are: {})", packages.join(", ")),
        };
        bail!("something is missing that cannot be installed from here: {how}, then try again");
    }
    let progress = Progress::start(format!("system packages {}", packages.join(", ")));
    let mut update = apt_get();
    progress.run(update.arg("update"))?;
    let mut install = apt_get();
    progress.run(install.args(["install", "-y", "--no-install-recommends"]).args(&packages))?;
    if let Some(need) = missing.iter().find(|need| !(need.is_there)()) {
        bail!("{} was installed, and {} is still not found", need.debian, need.what);
    }
    progress.done("installed");
    Ok(())
}

fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive").args(["-q", "-o", "Acquire::Retries=3"]);
    command
}

fn has(program: &str) -> bool {
    workspace::on_path(program).is_some()
}

fn has_openssl() -> bool {
    std::env::var_os("OPENSSL_DIR").is_some() || succeeds("pkg-config", &["--exists", "openssl"])
}

fn has_venv() -> bool {
    succeeds("python3", &["-c", "import venv, ensurepip"])
}

fn succeeds(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
