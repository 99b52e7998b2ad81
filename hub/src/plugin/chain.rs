//! The chain: which plugins an event meets, in which order, and what follows from what they say.

use super::breaker::{Breaker, BreakerState, Change, Outcome, Skip};
use super::pool::{Answer, Pool};
use super::{Approved, Check, Decision, EventContext, Fault, Judged, Observer, RequestedEffect, Verdict};
use crate::kv::Kv;
use crate::log_limit::LogLimit;
use confab_config::{JudgedKind, OnFault, Patterns, PluginConfig};
use confab_protocol::{Annotations, Event, Kind, Refusal, Step, Trail, VerdictName};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;
use tracing::{Instrument, info, trace_span, warn};

/// How many bytes all annotations of one event may take together.
const ANNOTATIONS_BYTES_MAX: usize = 64 << 10;

/// The plugins of a chain, by name.
pub(super) type Members = BTreeMap<String, Arc<Member>>;

/// A plugin in a chain. A reload hands it on, with its instances, where nothing about it has changed.
pub(super) struct Member {
    pub(super) name: String,
    pub(super) pool: Pool,
    pub(super) on_fault: OnFault,
    /// All that decides how it judges: its table of hub.toml, with the module's hash in place of its file.
    pub(super) terms: PluginConfig,
    pub(super) breaker: Breaker,
    pub(super) log_limit: LogLimit,
}

/// A plugin's step in a rule.
pub(super) struct ChainStep {
    pub(super) member: Arc<Member>,
    /// It only watches.
    pub(super) shadow: bool,
    /// In how many percent of the rooms it is asked, if not in all.
    pub(super) sample: Option<f64>,
}

impl ChainStep {
    /// Whether the plugin is asked in this room. The same rooms always are, and a larger share takes in those of a smaller.
    fn is_asked_in(&self, room: &str) -> bool {
        let Some(percent) = self.sample else { return true };
        let mut hash = blake3::Hasher::new();
        hash.update(self.member.name.as_bytes()).update(&[0]).update(room.as_bytes());
        let mut first = [0; 4];
        hash.finalize_xof().fill(&mut first);
        f64::from(u32::from_le_bytes(first)) < percent / 100.0 * (f64::from(u32::MAX) + 1.0)
    }
}

/// One `[[chain]]` of hub.toml.
pub(super) struct Rule {
    pub(super) patterns: Patterns,
    pub(super) rooms: Vec<String>,
    pub(super) on: Vec<JudgedKind>,
    /// The plugins, in order.
    pub(super) steps: Vec<ChainStep>,
}

/// All plugins and rules of one hub.toml. A message is judged by exactly one chain; a reload makes another and swaps it in.
pub struct Chain {
    version: String,
    pub(super) members: Members,
    rules: Vec<Rule>,
    pub(super) check: Arc<Check>,
    pub(super) observer: Arc<dyn Observer>,
    /// Where its plugins remember: the same for the chain that takes its place.
    pub(super) kv: Kv,
}

/// A plugin that judges in a room, and why: for `confab chain explain`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Applies {
    /// Which `[[chain]]` of the file says so, counted from 1.
    pub chain: usize,
    /// That chain's patterns.
    pub rooms: Vec<String>,
    /// What it judges.
    pub on: Vec<JudgedKind>,
    /// The plugin.
    pub plugin: String,
    /// The hash of its module.
    pub hash: String,
    /// It only watches.
    pub shadow: bool,
    /// In how many percent of the rooms it is asked, if not in all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sample: Option<f64>,
    /// Whether this room is one of those.
    pub asked: bool,
}

/// What chains call an event of this kind.
pub fn judged_kind(kind: Kind) -> JudgedKind {
    match kind {
        Kind::Message => JudgedKind::Send,
        Kind::Edit => JudgedKind::Edit,
        Kind::Delete => JudgedKind::Delete,
        Kind::Reaction | Kind::Unreaction => JudgedKind::React,
    }
}

/// What the chain has come to so far.
struct SoFar {
    trail: Trail,
    /// What was asked for besides.
    asked: Vec<RequestedEffect>,
}

/// What follows from a step.
enum Next {
    Ask(Event),
    End(Judged),
}

impl Chain {
    pub(super) fn new(
        version: String,
        members: Members,
        rules: Vec<Rule>,
        check: Arc<Check>,
        observer: Arc<dyn Observer>,
        kv: Kv,
    ) -> Self {
        Self { version, members, rules, check, observer, kv }
    }

    /// A digest of the plugins, their settings and their order: what a record's trail is marked with.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Whether any rule judges this kind, in whatever room.
    pub fn judges(&self, kind: JudgedKind) -> bool {
        self.rules.iter().any(|rule| rule.on.contains(&kind))
    }

    /// Whether a plugin that is asked about this kind in this room keeps something, asks others or speaks: judging a retry once
    /// more would count it twice.
    pub fn leaves_traces(&self, room: &str, kind: JudgedKind) -> bool {
        self.steps(room, kind).iter().any(|(member, _)| member.pool.module().grants.leave_traces())
    }

    /// The plugins that judge in a room, in order, whatever the kind of event; and those whose sample leaves it out.
    pub fn explain(&self, room: &str) -> Vec<Applies> {
        let rules = self.rules.iter().enumerate().filter(|(_, rule)| rule.patterns.matches(room));
        rules
            .flat_map(|(index, rule)| {
                rule.steps.iter().map(move |step| Applies {
                    chain: index + 1,
                    rooms: rule.rooms.clone(),
                    on: rule.on.clone(),
                    plugin: step.member.name.clone(),
                    hash: step.member.pool.module().hash.clone(),
                    shadow: step.shadow,
                    sample: step.sample,
                    asked: step.is_asked_in(room),
                })
            })
            .collect()
    }

    /// Asks the plugins about an event, in order: those of all matching rules. A rewrite goes on down the chain, so that
    /// every later plugin sees what listeners would see; a rejection or a hold ends it.
    ///
    /// Dropping the future is safe: the call that was running is thrown away with its instance.
    pub async fn judge(&self, event: Event, context: impl Into<EventContext>) -> Judged {
        self.ask(event, &context.into(), true).await
    }

    /// The same for an event that nobody will hear: nothing is counted.
    pub async fn dry_run(&self, event: Event, context: impl Into<EventContext>) -> Judged {
        self.ask(event, &context.into(), false).await
    }

    async fn ask(&self, mut event: Event, context: &EventContext, live: bool) -> Judged {
        let mut so_far = SoFar { trail: Trail { chain: self.version.clone(), steps: Vec::new() }, asked: Vec::new() };
        for (member, shadow) in self.steps(event.room.as_str(), context.kind) {
            if context.origin.plugin.as_deref() == Some(&*member.name) {
                continue; // nobody judges their own
            }
            let answer = match live {
                true => self.answer(member, &event, context).await,
                false => self.call(member, &event, context, Instant::now()).await,
            };
            let Answer { said, micros, .. } = answer;
            if live {
                self.tell(member, shadow, &said, micros, &event);
            }
            let verdict = said.as_ref().map_or(VerdictName::Fault, Verdict::name);
            let hash = member.pool.module().hash.clone();
            so_far.trail.steps.push(Step { plugin: member.name.clone(), hash, verdict, us: micros, shadow });
            if shadow {
                continue;
            }
            event = match apply_verdict(member, said, event, &mut so_far) {
                Next::Ask(event) => event,
                Next::End(judged) => return judged,
            };
        }
        Judged::Approved(Approved { event, trail: so_far.trail, requested: so_far.asked })
    }

    /// What the plugin says, or that its breaker is open.
    async fn answer(&self, member: &Member, event: &Event, context: &EventContext) -> Answer {
        let now = Instant::now();
        let sender = context.answers_for(event).as_str();
        let (pass, change) = member.breaker.enter(sender, now);
        self.changed(member, sender, change);
        let pass = match pass {
            Ok(pass) => pass,
            Err(skip) => {
                let fault = if skip == Skip::Open { Fault::Open } else { Fault::Paused };
                return Answer { said: Err(fault), micros: 0, waited: 0, at: now };
            }
        };
        let answer = self.call(member, event, context, now).await;
        self.observer.waited(&member.name, answer.waited);
        let outcome = match &answer.said {
            Ok(_) => Outcome::Answered,
            // It was not asked.
            Err(Fault::Input { .. } | Fault::Busy(_)) => Outcome::Nothing,
            Err(Fault::Configure(_) | Fault::Unavailable(_)) => Outcome::Unavailable,
            Err(_) => Outcome::Failed,
        };
        member.pool.module().tally.asked(answer.micros, answer.said.is_err());
        self.changed(member, sender, pass.end(outcome, answer.at));
        answer
    }

    async fn call(&self, member: &Member, event: &Event, context: &EventContext, now: Instant) -> Answer {
        let span = trace_span!("plugin", plugin = %member.name, room = %event.room, id = %event.id);
        let answer = member.pool.judge(event, context, &*self.check, now).instrument(span).await;
        Answer { said: answer.said.and_then(|verdict| fits(event, context.kind, verdict)), ..answer }
    }

    /// The plugins to ask, in file order, and whether each only watches.
    fn steps(&self, room: &str, kind: JudgedKind) -> Vec<(&Member, bool)> {
        let rules = self.rules.iter().filter(|rule| rule.on.contains(&kind) && rule.patterns.matches(room));
        let steps = rules.flat_map(|rule| &rule.steps).filter(|step| step.is_asked_in(room));
        steps.map(|step| (&*step.member, step.shadow)).collect()
    }

    /// Puts a step into the metrics and, where somebody might look, the log.
    fn tell(&self, member: &Member, shadow: bool, said: &Result<Verdict, Fault>, micros: u64, event: &Event) {
        let plugin = member.name.as_str();
        let room = &event.room;
        let id = event.id;
        if let Err(Fault::Open | Fault::Paused) = said {
            member.pool.module().tally.skipped();
            return self.observer.skipped(plugin);
        }
        let verdict = said.as_ref().map_or(VerdictName::Fault, Verdict::name);
        self.observer.judged(plugin, verdict, micros, shadow);
        match said {
            Err(fault) => {
                self.observer.fault(plugin, fault.name());
                self.observer.failed(plugin, fault);
                if let Some(left_out) = member.log_limit.may_write() {
                    let fault_name = fault.name();
                    warn!(plugin, %room, event = %id, fault = fault_name, shadow, left_out, "plugin failed: {fault}");
                }
            }
            Ok(verdict) if shadow => {
                info!(plugin, %room, event = %id, verdict = verdict.name().as_str(), "shadow verdict")
            }
            Ok(_) => {}
        }
    }

    /// One log line for each change of a breaker, and the metric.
    fn changed(&self, member: &Member, sender: &str, change: Option<Change>) {
        let Some(change) = change else { return };
        let plugin = member.name.as_str();
        let on_fault = member.on_fault;
        if let Change::SenderPaused { pause } = change {
            self.observer.sender_paused(plugin);
            if let Some(left_out) = member.log_limit.may_write() {
                let why = "plugin skips a sender: their messages keep making it fail";
                warn!(plugin, sender, ?pause, ?on_fault, left_out, "{why}");
            }
            return;
        }
        let left_out = member.log_limit.left_out();
        match change {
            Change::SenderPaused { .. } => {}
            Change::Opened { senders, pause } => {
                warn!(plugin, senders, ?pause, ?on_fault, left_out, "plugin taken out: it keeps failing")
            }
            Change::Trying => info!(plugin, "plugin is tried again, one event at a time"),
            Change::StaysOpen { pause } => {
                warn!(plugin, ?pause, ?on_fault, left_out, "plugin failed again, it stays out")
            }
            Change::Closed => info!(plugin, left_out, "plugin is back"),
        }
        let state = match change {
            Change::Opened { .. } | Change::StaysOpen { .. } => BreakerState::Open,
            Change::Trying => BreakerState::HalfOpen,
            Change::Closed | Change::SenderPaused { .. } => BreakerState::Closed,
        };
        self.observer.breaker(plugin, state);
    }
}

/// Sees to it that the annotations of all plugins together stay within bounds, and that only what has a body is replaced or
/// held.
fn fits(event: &Event, kind: JudgedKind, verdict: Verdict) -> Result<Verdict, Fault> {
    let bytes = |annotations: &Annotations| {
        annotations.iter().map(|(name, value)| name.len() + value.as_str().len()).sum::<usize>()
    };
    match &verdict.decision {
        Decision::Accept(new) | Decision::Replace(_, new)
            if bytes(&event.annotations) + bytes(new) > ANNOTATIONS_BYTES_MAX =>
        {
            Err(Fault::Output(ANNOTATIONS_BYTES_MAX))
        }
        Decision::Replace(..) | Decision::Hold { .. } if !kind.has_body() => {
            Err(Fault::Nonsense(format!("it would {} a {}", verdict.name().as_str(), kind.as_str())))
        }
        _ => Ok(verdict),
    }
}

/// Does to the event what the plugin said, or what its `on_fault` says where it failed.
fn apply_verdict(member: &Member, said: Result<Verdict, Fault>, mut event: Event, so_far: &mut SoFar) -> Next {
    let plugin = member.name.clone();
    let said = said.map(|Verdict { decision, effects }| {
        so_far.asked.extend(effects.into_iter().map(|effect| RequestedEffect { plugin: plugin.clone(), effect }));
        decision
    });
    let mut so_far = || (std::mem::take(&mut so_far.trail), std::mem::take(&mut so_far.asked));
    Next::End(match (said, member.on_fault) {
        (Ok(Decision::Accept(annotations)), _) => {
            annotate(&mut event, &plugin, annotations);
            return Next::Ask(event);
        }
        (Ok(Decision::Replace(body, annotations)), _) => {
            event.body = body;
            annotate(&mut event, &plugin, annotations);
            return Next::Ask(event);
        }
        (Err(_), OnFault::Pass) => return Next::Ask(event),
        (Ok(Decision::Reject { code, reason, details }), _) => {
            let (trail, requested) = so_far();
            Judged::Refused(Refusal::Plugin { code, reason, details }, trail, requested)
        }
        (Ok(Decision::Hold { reason }), _) => {
            let (trail, requested) = so_far();
            Judged::Held { event, plugin, told: reason.clone(), reason, trail, requested }
        }
        (Err(_), OnFault::Reject) => {
            let (trail, requested) = so_far();
            Judged::Refused(Refusal::PluginFault { plugin }, trail, requested)
        }
        (Err(fault), OnFault::Hold) => {
            let ((trail, requested), reason) = (so_far(), format!("the plugin failed: {fault}"));
            Judged::Held { event, plugin, told: String::new(), reason, trail, requested }
        }
    })
}

/// Adds a plugin's annotations under its name.
fn annotate(event: &mut Event, plugin: &str, annotations: Annotations) {
    event.annotations.extend(annotations.into_iter().map(|(name, value)| (format!("{plugin}.{name}"), value)));
}
