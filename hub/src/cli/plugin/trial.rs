//! One plugin alone in a chain of its own: the same sandbox, limits and checks as in a hub.

use super::effects::besides;
use super::events::{AT, Asked};
use crate::cli::run::causes;
use crate::hub::build_trial;
use crate::plugin::{Chain, Error, FakeHost, Fault, Judged, Observer};
use confab_config::{BreakerConfig, ChainRule, ChainStep, Config, JudgedKind, PluginConfig};
use confab_plugin_kit::golden::{Outcome, Recorded};
use confab_protocol::{Annotations, Event, Trail, VerdictName};
use parking_lot::Mutex;
use serde_json::Value;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a call may take here before it counts as lost. The machine that tests run on may be busy: what takes longer
/// than the hub would allow is told, and is no failure.
const PATIENCE: Duration = Duration::from_secs(2);

/// A plugin that can be asked.
pub(super) struct Trial {
    chain: Chain,
    name: String,
    ear: Arc<Ear>,
    fake: Arc<FakeHost>,
}

/// What came of one call.
#[derive(Clone, Debug)]
pub(super) struct Tried {
    /// What it said.
    pub outcome: Outcome,
    /// How long it took, in microseconds.
    pub micros: u64,
    /// What it wrote to the log, and asked of the host in vain.
    pub log: Vec<String>,
    /// The addresses that it asked although nobody said what they answer.
    pub unlisted: Vec<String>,
}

impl Trial {
    /// Loads and configures a plugin; other servers answer this, and nothing else. The error says why it does not start, for
    /// its author.
    pub async fn open(name: &str, table: PluginConfig, answers: &[Recorded]) -> Result<Self, String> {
        let mut config = Config::default();
        // However often it fails, it is asked.
        let breaker = BreakerConfig { faults: 0, ..table.breaker };
        let table = PluginConfig { timeout: table.timeout.max(PATIENCE), breaker, ..table };
        config.plugin.insert(name.to_owned(), table);
        config.chain.push(ChainRule {
            rooms: vec!["**".into()],
            on: JudgedKind::ALL.to_vec(),
            plugins: vec![ChainStep::Name(name.to_owned())],
        });
        let ear = Arc::<Ear>::default();
        let fake = Arc::new(FakeHost::new(answers));
        fake.set_clock(AT);
        let built = build_trial(&config, &fake, Arc::<Ear>::clone(&ear)).await;
        let (chain, _) = built.map_err(|error| match &error {
            // Whose file it is, the author knows.
            Error::Module { source, .. } => causes(source),
            Error::Start { source, .. } => causes(source),
            other => causes(other),
        })?;
        Ok(Self { chain, name: name.to_owned(), ear, fake })
    }

    /// Sets the clock, in milliseconds since 1970; it stands until it is set again. What the plugin remembers expires by it.
    pub fn set_clock(&self, now_ms: u64) {
        self.fake.set_clock(now_ms);
    }

    /// Says how the plugin's dice fall from now on.
    pub fn seed(&self, seed: u64) {
        self.fake.seed(seed);
    }

    /// The most memory that one of its instances had, in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.chain.status().plugins.iter().map(|plugin| plugin.tallied.memory_bytes).max().unwrap_or_default()
    }

    /// Asks it without listening to its log, and says how long the whole of it took: what a hub spends on this plugin for one event.
    pub async fn time(&self, asked: Asked) -> (Duration, Tried) {
        let before = asked.event.clone();
        let begin = Instant::now();
        let (event, context) = asked.apart();
        let judged = self.chain.judge(event, context).await;
        let took = begin.elapsed();
        let (mut outcome, trail) = self.read(judged, &before);
        if outcome.verdict == VerdictName::Fault.as_str() {
            let reason = self.ear.fault.lock().take();
            outcome = Outcome { verdict: outcome.verdict, reason, ..Outcome::default() };
        }
        let micros = trail.steps.first().map_or(0, |step| step.us);
        (took, Tried { outcome, micros, log: Vec::new(), unlisted: Vec::new() })
    }

    /// Asks it.
    pub async fn judge(&self, asked: Asked) -> Tried {
        self.ear.log.lock().clear();
        let (_, tried) = self.time(asked).await;
        let log = std::mem::take(&mut *self.ear.log.lock());
        Tried { log, unlisted: self.fake.take_unlisted(), ..tried }
    }

    fn read(&self, judged: Judged, before: &Event) -> (Outcome, Trail) {
        let own = |annotations: Annotations| {
            let prefix = format!("{}.", self.name);
            let own = annotations.into_iter().filter(|(name, _)| !before.annotations.contains_key(name));
            own.map(|(name, value)| {
                let value = value.read().unwrap_or(Value::Null);
                (name.strip_prefix(&prefix).map_or_else(|| name.clone(), str::to_owned), value)
            })
            .collect()
        };
        let said = |trail: &Trail| trail.steps.first().map_or(VerdictName::Accept, |step| step.verdict);
        match judged {
            Judged::Approved(approved) => {
                let outcome = Outcome {
                    verdict: said(&approved.trail).as_str().into(),
                    body: Some(approved.event.body.as_str().to_owned()),
                    annotations: own(approved.event.annotations),
                    ..besides(approved.requested, before)
                };
                (outcome, approved.trail)
            }
            Judged::Refused(refusal, trail, requested) => {
                let details = match &refusal {
                    confab_protocol::Refusal::Plugin { details, .. } => {
                        details.as_ref().and_then(|body| body.read().ok())
                    }
                    _ => None,
                };
                let outcome = Outcome {
                    verdict: said(&trail).as_str().into(),
                    code: Some(refusal.code()),
                    reason: Some(refusal.message().into_owned()),
                    details,
                    ..besides(requested, before)
                };
                (outcome, trail)
            }
            Judged::Held { reason, trail, requested, .. } => {
                let verdict = said(&trail).as_str().into();
                (Outcome { verdict, reason: Some(reason), ..besides(requested, before) }, trail)
            }
        }
    }
}

/// Runs `work` to its end.
pub(super) fn wait_for<T>(work: impl Future<Output = T>) -> std::io::Result<T> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work))
}

/// Hears what a plugin does beside its answers.
#[derive(Default)]
struct Ear {
    log: Mutex<Vec<String>>,
    fault: Mutex<Option<String>>,
}

impl Ear {
    fn note(&self, line: String) {
        self.log.lock().push(line);
    }
}

impl Observer for Ear {
    fn judged(&self, _plugin: &str, _verdict: VerdictName, _micros: u64, _shadow: bool) {}
    fn fault(&self, _plugin: &str, _fault: &'static str) {}
    fn host_calls(&self, _plugin: &str, _interface: &'static str, _result: &'static str, _calls: u64) {}
    fn host_seconds(&self, _plugin: &str, _interface: &'static str, _took: Duration) {}

    fn failed(&self, _plugin: &str, fault: &Fault) {
        *self.fault.lock() = Some(fault.to_string());
    }

    fn wrote(&self, _plugin: &str, level: &'static str, text: &str) {
        self.note(format!("{level}: {text}"));
    }

    fn log_cut(&self, _plugin: &str, bytes: u64) {
        self.note(format!("warn: it wrote too much to the log, {bytes} bytes were dropped"));
    }

    fn in_vain(&self, _plugin: &str, interface: &'static str, result: &'static str, detail: &str) {
        self.note(format!("warn: it asked for `{interface}` in vain, {result}: {detail}"));
    }
}
