//! A figure beside the one to reach.

use serde::Serialize;

/// Something measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figure {
    /// What it is of.
    pub what: String,
    /// How much.
    pub value: f64,
    /// Of what: `µs`, `ms`, `MiB`, `×`.
    pub unit: &'static str,
    /// What is to be reached, if anything is.
    pub goal: Option<f64>,
    /// Whether more is better; else less is.
    pub more_is_better: bool,
    /// What else was found, in a few words.
    pub besides: String,
}

impl Figure {
    /// A figure without a goal.
    pub fn new(what: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self { what: what.into(), value, unit, goal: None, more_is_better: false, besides: String::new() }
    }

    /// It should be so much at most.
    #[must_use]
    pub fn at_most(self, goal: f64) -> Self {
        Self { goal: Some(goal), more_is_better: false, ..self }
    }

    /// It should be so much at least.
    #[must_use]
    pub fn at_least(self, goal: f64) -> Self {
        Self { goal: Some(goal), more_is_better: true, ..self }
    }

    /// With more beside it.
    #[must_use]
    pub fn besides(self, besides: impl Into<String>) -> Self {
        Self { besides: besides.into(), ..self }
    }
}

/// All of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figures {
    /// What was measured.
    pub figures: Vec<Figure>,
    /// What could not be measured here, and what to do about it.
    pub skipped: Vec<String>,
    /// What everybody else on this machine took meanwhile, in processors: the more, the less the figures say.
    pub others: f64,
}
