//! Reload: hub.toml is read again, the whole new chain is built beside the old one and swapped in; or the old one stays, and
//! the answer says why.

use crate::members::Members;
use crate::plugin::{Changes, TestResult, run_tests};
use crate::publish::Publisher;
use crate::telemetry::Telemetry;
use confab_config::{Config, Diagnostic, Diagnostics, Loaded, Problem, Recipe, Rooms};
use serde::Serialize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, MutexGuard};

/// How long a reload waits for one that is under way.
const TURN_WAIT: Duration = Duration::from_secs(60);

/// Who asked for a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Somebody, through the admin API.
    Asked,
    /// The signal SIGHUP.
    Signal,
    /// A file that is watched has changed.
    Watch,
}

impl Cause {
    fn as_str(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Signal => "signal",
            Self::Watch => "watch",
        }
    }
}

/// What came of a reload that was not refused.
#[derive(Clone, Debug, Serialize)]
pub struct Reloaded {
    /// Everything was done but the swap.
    pub dry_run: bool,
    /// The version of the chain that judged until now.
    pub from: String,
    /// The version of the new chain; the same if nothing that decides how messages are judged has changed.
    pub to: String,
    /// Which plugins are others now.
    pub plugins: Changes,
    /// Whether the rules of rooms have changed.
    pub rooms_changed: bool,
    /// Settings that have changed since the hub started and hold only after a restart.
    pub restart: Vec<String>,
    /// What works, and is hardly what was meant.
    pub warnings: Vec<String>,
    /// The tests of hub.toml; all of them passed.
    pub tests: Vec<TestResult>,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

impl Reloaded {
    /// Whether there was nothing to swap.
    pub fn unchanged(&self) -> bool {
        self.from == self.to && !self.rooms_changed
    }
}

/// Why everything stays as it was.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The new settings, plugins or tests are wrong.
    #[error("{0}")]
    Wrong(Diagnostics),
    /// Another reload takes too long.
    #[error("another reload is under way, and was not done within {TURN_WAIT:?}")]
    Busy,
}

/// Reloads this hub: one at a time.
pub struct Reloader {
    recipe: Recipe,
    /// The settings that the hub started with: what a reload does not take in stays like this.
    started: Config,
    publisher: Arc<Publisher>,
    rules: Rooms,
    members: Arc<Members>,
    telemetry: Arc<Telemetry>,
    /// What the last settings that could be read were; and the turn of whoever reloads.
    last: Mutex<Last>,
}

struct Last {
    room: Vec<confab_config::RoomRule>,
    files: Vec<PathBuf>,
}

impl Reloader {
    /// A reloader for a hub that was started with these settings.
    pub fn new(
        loaded: &Loaded,
        publisher: Arc<Publisher>,
        rules: Rooms,
        members: Arc<Members>,
        telemetry: Arc<Telemetry>,
    ) -> Self {
        let last = Last { room: loaded.config.room.clone(), files: files(loaded) };
        telemetry.chain_is(publisher.chain.load().version());
        Self {
            recipe: loaded.recipe.clone(),
            started: loaded.config.clone(),
            publisher,
            rules,
            members,
            telemetry,
            last: Mutex::new(last),
        }
    }

    /// The files that a reload reads: hub.toml and the plugins' modules, as the last settings named them.
    pub async fn files(&self) -> Vec<PathBuf> {
        self.last.lock().await.files.clone()
    }

    /// Reads everything again, builds the new chain and runs its tests; then, unless `dry_run`, swaps it in. Messages that
    /// are being judged meanwhile are judged to their end by the chain that began.
    ///
    /// # Errors
    /// [`Refused`]; nothing has changed then.
    pub async fn reload(&self, cause: Cause, dry_run: bool) -> Result<Reloaded, Refused> {
        let begun = Instant::now();
        let turn = tokio::time::timeout(TURN_WAIT, self.last.lock()).await.map_err(|_| Refused::Busy);
        let done = match turn {
            Ok(last) => self.replace(last, dry_run, begun).await,
            Err(busy) => Err(busy),
        };
        self.tell(cause, dry_run, &done);
        done
    }

    async fn replace(
        &self,
        mut last: MutexGuard<'_, Last>,
        dry_run: bool,
        begun: Instant,
    ) -> Result<Reloaded, Refused> {
        let recipe = self.recipe.clone();
        let read = tokio::task::spawn_blocking(move || {
            let loaded = recipe.load()?;
            let serving = loaded.check_serving();
            if serving.errors() > 0 { Err(serving) } else { Ok((loaded, serving)) }
        });
        let (loaded, serving) = read.await.expect("reading the settings does not panic").map_err(Refused::Wrong)?;
        last.files = files(&loaded);
        let config = &loaded.config;
        let wrong = |problems: Vec<Problem>| Refused::Wrong(loaded.place(problems));

        let old = self.publisher.chain.load_full();
        let built = old.rebuild(config, &loaded.base_dir).await;
        let (chain, more) = built.map_err(|error| wrong(error.problems()))?;
        let tests = run_tests(&chain, &config.test).await;
        let failed: Vec<_> = tests.iter().enumerate().filter_map(|(index, test)| test.problem(index)).collect();
        if !failed.is_empty() {
            return Err(wrong(failed));
        }

        let warnings = loaded.warnings.iter().chain(serving.iter()).map(|found| found.message().to_owned());
        let restart: Vec<String> = self.started.needs_restart(config).iter().map(ToString::to_string).collect();
        let reloaded = Reloaded {
            dry_run,
            from: old.version().to_owned(),
            to: chain.version().to_owned(),
            plugins: chain.changes_since(&old),
            rooms_changed: last.room != config.room,
            restart,
            warnings: warnings.chain(more).collect(),
            tests,
            took_ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
        };
        if !dry_run {
            self.telemetry.chain_is(chain.version());
            self.publisher.chain.store(Arc::new(chain));
            self.rules.replace(config);
            self.members.rules_changed();
            last.room.clone_from(&config.room);
        }
        Ok(reloaded)
    }

    /// One log line, and the metric.
    fn tell(&self, cause: Cause, dry_run: bool, done: &Result<Reloaded, Refused>) {
        let cause = cause.as_str();
        let result = match done {
            _ if dry_run => "dry_run",
            Ok(reloaded) if reloaded.unchanged() => "unchanged",
            Ok(_) => "reloaded",
            Err(_) => "refused",
        };
        self.telemetry.reloaded(result);
        match done {
            Ok(Reloaded { from, to, plugins, rooms_changed, restart, warnings, tests, took_ms, .. }) => {
                let Changes { added, changed, removed, kept } = plugins;
                let kept = kept.len();
                let tests = tests.len();
                tracing::info!(
                    cause,
                    result,
                    from,
                    to,
                    ?added,
                    ?changed,
                    ?removed,
                    kept,
                    rooms_changed,
                    tests,
                    took_ms,
                    "reloaded"
                );
                for warning in warnings {
                    tracing::warn!("{warning}");
                }
                if !restart.is_empty() {
                    tracing::warn!(settings = restart.join(", "), "settings have changed that need a restart");
                }
            }
            Err(refused) => {
                tracing::error!(cause, result, why = first_line(refused), "reload refused, nothing changed")
            }
        }
    }
}

fn first_line(refused: &Refused) -> String {
    let Refused::Wrong(found) = refused else { return refused.to_string() };
    let errors = found.iter().filter(|found| found.severity() == confab_config::Severity::Error);
    let line = |found: &Diagnostic| {
        let place = found.place().map(|(file, line, _)| format!(" ({file}:{line})")).unwrap_or_default();
        format!("{}{place}", found.summary())
    };
    errors.map(line).collect::<Vec<_>>().join("; ")
}

/// The files that settings are read from, and those that they name.
pub fn files(loaded: &Loaded) -> Vec<PathBuf> {
    let modules = loaded.config.plugin.values().map(|plugin| loaded.base_dir.join(&plugin.module));
    loaded.file.iter().map(|file| std::path::absolute(file).unwrap_or_else(|_| file.clone())).chain(modules).collect()
}
