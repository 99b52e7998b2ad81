//! The table: for each scenario who took what, and how Confab stands beside each.
#![expect(clippy::print_stdout, reason = "the table is what the command is for")]

use super::matrix::{Figure, Scenario};
use super::measure::Run;
use super::subject::Subject;

/// How wide a bar is at most.
const BAR: usize = 24;

/// Prints all of it, as a page in Markdown.
pub fn print(scenarios: &[&Scenario], runs: &[Run]) {
    for scenario in scenarios {
        let rows: Vec<Row<'_>> =
            scenario.subjects.iter().filter_map(|subject| Row::of(scenario, *subject, runs)).collect();
        if rows.is_empty() {
            continue;
        }
        println!("\n### {}: {}\n", scenario.name, scenario.title);
        println!("| server | figure | confab to it | acknowledged p50 / p99 | heard p50 / p99 | cpu | others | |");
        println!("|---|--:|--:|--:|--:|--:|--:|---|");
        let longest = rows.iter().map(|row| row.figure).fold(f64::MIN_POSITIVE, f64::max);
        for row in &rows {
            println!("{}", row.line(scenario.figure, &rows, longest));
        }
    }
    println!(
        "\n`figure` is the median of the rounds. `confab to it`: how many times better Confab is, in the same dialect; for \
         memory and latency, Confab's share of it. Latencies in µs. `cpu`: processors that the server took; `others`: that \
         everybody else took, besides server and generator: the more, the less the figures say."
    );
}

/// A subject in a scenario: medians.
struct Row<'a> {
    subject: Subject,
    figure: f64,
    runs: Vec<&'a Run>,
}

impl<'a> Row<'a> {
    fn of(scenario: &Scenario, subject: Subject, runs: &'a [Run]) -> Option<Self> {
        let runs: Vec<&Run> =
            runs.iter().filter(|run| run.scenario == scenario.name && run.subject == subject).collect();
        let figure = median(runs.iter().map(|run| run.figure(scenario.figure)))?;
        Some(Self { subject, figure, runs })
    }

    fn median(&self, pointer: &str) -> f64 {
        median(self.runs.iter().map(|run| run.number(pointer))).unwrap_or_default()
    }

    fn line(&self, figure: Figure, rows: &[Row<'_>], longest: f64) -> String {
        let own = rows.iter().find(|row| row.subject == self.subject.counterpart());
        let ratio = match own {
            Some(own) if self.figure > 0.0 && !self.subject.is_confab() => format!("{:.2}", own.figure / self.figure),
            _ => String::new(),
        };
        let pair = |name: &str| {
            let (p50, p99) = (self.median(&format!("/{name}/p50")), self.median(&format!("/{name}/p99")));
            if p50 > 0.0 { format!("{p50:.0} / {p99:.0}") } else { String::new() }
        };
        let value = match figure {
            Figure::Connections => format!("{:.0}", self.figure),
            _ => format!("{:.1}", self.figure),
        };
        let cpu = self.median("/cpu_seconds") / self.median("/seconds").max(1e-9);
        let bar = "█".repeat((self.figure / longest * BAR as f64).round() as usize);
        let less = if figure.less_is_better() { " (less is better)" } else { "" };
        let (name, acknowledged, heard) = (self.subject.name(), pair("acknowledged"), pair("heard"));
        let others = self.median("/others");
        format!("| {name} | {value} | {ratio} | {acknowledged} | {heard} | {cpu:.2} | {others:.2} | {bar}{less} |")
    }
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_one_in_the_middle() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), Some(2.0));
        assert_eq!(median(std::iter::empty()), None);
    }
}
