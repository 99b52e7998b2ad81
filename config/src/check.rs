//! What the settings must be to make sense together. Every check adds to one list, so that all mistakes are named at once.

mod admin;
mod auth;
mod capabilities;
mod door;
mod plugins;
mod rooms;
mod services;
mod socketio;

use crate::human::{Size, duration};
use crate::path::Path;
use crate::problem::Problem;
use crate::settings::Config;
use std::fmt::Display;
use std::time::Duration;

pub(crate) use door::serving;

impl Config {
    /// Checks the settings against one another, without looking at anything else: no file is read, no name looked up.
    /// All problems are returned, errors and warnings.
    pub fn validate(&self) -> Vec<Problem> {
        let mut found = Findings::default();
        door::check(self, &mut found);
        services::check(self, &mut found);
        rooms::check(self, &mut found);
        plugins::check(self, &mut found);
        socketio::check(self, &mut found);
        found.problems
    }
}

/// The list that every check adds to.
#[derive(Default)]
struct Findings {
    problems: Vec<Problem>,
}

impl Findings {
    fn add(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// A number has to lie in a range.
    fn number<N: PartialOrd + Display>(&mut self, path: &str, value: N, least: N, most: N) {
        self.range(&Path::of(path), value, least, most, |number| number.to_string());
    }

    /// A number at a path that has more than plain keys has to lie in a range.
    fn count(&mut self, path: &Path, value: u32, least: u32, most: u32) {
        self.range(path, value, least, most, |number| number.to_string());
    }

    /// A size has to lie in a range.
    fn size(&mut self, path: &Path, value: Size, least: Size, most: Size) {
        self.range(path, value, least, most, |size| format!("\"{size}\""));
    }

    /// A duration has to lie in a range.
    fn duration(&mut self, path: &Path, value: Duration, least: Duration, most: Duration) {
        self.range(path, value, least, most, |value| format!("\"{}\"", duration::show(*value)));
    }

    fn range<V: PartialOrd>(&mut self, path: &Path, value: V, least: V, most: V, show: fn(&V) -> String) {
        let (bound, advice) = if value < least {
            ("small", &least)
        } else if value > most {
            ("large", &most)
        } else {
            return;
        };
        self.add(
            Problem::error(path, format!("`{path}` is too {bound}"))
                .label(format!("must be from {} to {}", show(&least), show(&most)))
                .help(format!("the nearest value that works is `{}`", show(advice))),
        );
    }

    /// Text has to say something.
    fn text(&mut self, path: &str, value: &str) {
        if value.trim().is_empty() {
            self.add(Problem::error(&Path::of(path), format!("`{path}` is empty")));
        }
    }
}
