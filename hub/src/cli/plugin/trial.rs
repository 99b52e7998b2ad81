//! One plugin alone in a chain of its own: the same sandbox, limits and checks as in a hub.

use super::besides::besides;
use super::events::Asked;
use crate::cli::run::causes;
use crate::hub::build_chain;
use crate::kv::Kv;
use crate::plugin::{Chain, Error, Judged};
use confab_config::{ChainRule, ChainStep, Config, JudgedKind, OnFault, PluginConfig};
use confab_plugin_kit::golden::Outcome;
use confab_protocol::{Annotations, Event, Trail, VerdictName};
use parking_lot::Mutex;
use serde_json::Value;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::field::{Field, Visit};
use tracing::{Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

/// How long a call may take here before it counts as lost. The machine that tests run on may be busy: what takes longer
/// than the hub would allow is told, and is no failure.
const PATIENCE: Duration = Duration::from_secs(2);

/// A plugin that can be asked.
pub(super) struct Trial {
    chain: Chain,
    name: String,
    heard: Arc<Mutex<Vec<String>>>,
}

/// What came of one call.
#[derive(Clone, Debug)]
pub(super) struct Tried {
    /// What it said.
    pub outcome: Outcome,
    /// How long it took, in microseconds.
    pub micros: u64,
    /// What it wrote to the log.
    pub log: Vec<String>,
}

impl Trial {
    /// Loads and configures a plugin. The error says why it does not start, for its author.
    pub async fn open(name: &str, table: PluginConfig, heard: &Heard) -> Result<Self, String> {
        let mut config = Config::default();
        // A failure is held, because a hold tells why.
        let table = PluginConfig { timeout: table.timeout.max(PATIENCE), on_fault: OnFault::Hold, ..table };
        config.plugin.insert(name.to_owned(), table);
        config.chain.push(ChainRule {
            rooms: vec!["**".into()],
            on: JudgedKind::ALL.to_vec(),
            plugins: vec![ChainStep::Name(name.to_owned())],
        });
        let built = build_chain(&config, Path::new(""), Arc::new(()), &Kv::default()).await;
        let (chain, _) = built.map_err(|error| match &error {
            // Whose file it is, the author knows.
            Error::Module { source, .. } => causes(source),
            Error::Start { source, .. } => causes(source),
            other => causes(other),
        })?;
        Ok(Self { chain, name: name.to_owned(), heard: Arc::clone(&heard.0) })
    }

    /// Asks it without listening to its log, and says how long the whole of it took: what a hub spends on this plugin for one event.
    pub async fn time(&self, asked: Asked) -> (Duration, Tried) {
        let before = asked.event.clone();
        let begin = Instant::now();
        let (event, circumstances) = asked.apart();
        let judged = self.chain.judge(event, circumstances).await;
        let took = begin.elapsed();
        let (outcome, trail) = self.read(judged, &before);
        (took, Tried { outcome, micros: trail.steps.first().map_or(0, |step| step.us), log: Vec::new() })
    }

    /// Asks it.
    pub async fn judge(&self, asked: Asked) -> Tried {
        self.heard.lock().clear();
        let (_, tried) = self.time(asked).await;
        Tried { log: std::mem::take(&mut *self.heard.lock()), ..tried }
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
                    ..besides(approved.consequences, before)
                };
                (outcome, approved.trail)
            }
            Judged::Refused(refusal, trail, consequences) => {
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
                    ..besides(consequences, before)
                };
                (outcome, trail)
            }
            Judged::Held { reason, trail, consequences, .. } => {
                let reason = reason.strip_prefix("the plugin failed: ").map_or(reason.clone(), str::to_owned);
                let verdict = said(&trail).as_str().into();
                (Outcome { verdict, reason: Some(reason), ..besides(consequences, before) }, trail)
            }
        }
    }
}

/// What plugins write to the log, kept apart from the log of this process.
#[derive(Clone, Default)]
pub(super) struct Heard(Arc<Mutex<Vec<String>>>);

impl Heard {
    /// Runs `work` to its end while listening.
    pub fn during<T>(&self, work: impl Future<Output = T>) -> std::io::Result<T> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listening = tracing_subscriber::registry().with(self.clone());
        Ok(tracing::subscriber::with_default(listening, || runtime.block_on(work)))
    }
}

impl<S: Subscriber> Layer<S> for Heard {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let mut line = Line::default();
        event.record(&mut line);
        let level = match *event.metadata().level() {
            Level::ERROR | Level::WARN => "warn",
            Level::INFO => "info",
            _ => "debug",
        };
        match line {
            Line { message, text: Some(text), .. } if message == "plugin says" => {
                self.0.lock().push(format!("{level}: {text}"));
            }
            Line { message, detail, .. }
                if message.starts_with("plugin wrote") || message.starts_with("plugin asked") =>
            {
                self.0
                    .lock()
                    .push(format!("{level}: {message}{}", detail.map(|d| format!(": {d}")).unwrap_or_default()));
            }
            Line { .. } => {}
        }
    }
}

#[derive(Default)]
struct Line {
    message: String,
    text: Option<String>,
    detail: Option<String>,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            "text" => self.text = Some(unquoted(&format!("{value:?}"))),
            "detail" => self.detail = Some(format!("{value:?}")),
            _ => {}
        }
    }
}

/// The hub writes a plugin's line in quotes, so that it can pass for nothing else; to its author it is shown as it is.
fn unquoted(text: &str) -> String {
    let inner = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    inner.replace("\\\"", "\"").replace("\\n", "\n").replace("\\\\", "\\")
}
