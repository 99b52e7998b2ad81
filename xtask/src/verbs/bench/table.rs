//! The tables: for each scenario who took what, and how Confab stands beside each.

use super::matrix::{Figure, Scenario};
use super::measure::Run;
use super::subject::Subject;
use std::fmt::Write as _;

/// How wide a bar is at most.
const BAR: usize = 24;

/// A subject in a scenario: medians over the rounds.
pub struct Row<'a> {
    pub subject: Subject,
    pub figure: f64,
    runs: Vec<&'a Run>,
}

/// The rows of a scenario, in the matrix' order; without those that were not measured.
pub fn rows<'a>(scenario: &Scenario, runs: &'a [Run]) -> Vec<Row<'a>> {
    scenario.subjects.iter().filter_map(|subject| Row::of(scenario, *subject, runs)).collect()
}

/// All tables, as a page in Markdown.
pub fn page(scenarios: &[&Scenario], runs: &[Run]) -> String {
    let mut page = String::new();
    for scenario in scenarios {
        let rows = rows(scenario, runs);
        if !rows.is_empty() {
            let _ = write!(page, "### {}: {}\n\n{}\n", scenario.name, scenario.title, table(scenario.figure, &rows));
        }
    }
    page + "`figure` is the median of the rounds. `confab to it`: how many times better Confab is, as like it as there is one \
            (the same dialect, through Redis beside those through Redis); for memory and times, Confab's share of it. \
            Latencies in µs. `cpu`: processors that the server took, Redis included, and behind a plus what Kafka took; \
            `others`: that everybody else took, besides server and generator: the more, the less the figures say.\n"
}

fn table(figure: Figure, rows: &[Row<'_>]) -> String {
    let head = match figure {
        Figure::Comeback => {
            "| server | figure | confab to it | complete p50 / p99, ms | memory, at most | made up for | window reads | \
             pages shared | store reads | others |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n"
        }
        Figure::Rows => {
            "| consumer | figure | confab to it | CPU, µs a row | memory, at most, MiB | others | |\n|---|--:|--:|--:|--:|--:|---|\n"
        }
        _ => {
            "| server | figure | confab to it | acknowledged p50 / p99 | heard p50 / p99 | cpu | others | |\n\
             |---|--:|--:|--:|--:|--:|--:|---|\n"
        }
    };
    let longest = rows.iter().map(|row| row.figure).fold(f64::MIN_POSITIVE, f64::max);
    let line = |row: &Row<'_>| {
        let (name, value, ratio, others) =
            (row.subject.name(), shown(figure, row.figure), row.ratio(rows), row.median("/others"));
        let bar = "█".repeat((row.figure / longest * BAR as f64).round() as usize);
        match figure {
            Figure::Comeback => format!("| {name} | {value} | {ratio} | {} | {others:.2} |\n", row.comeback()),
            Figure::Rows => {
                let cpu = row.median("/cpu_seconds") * 1e6 / row.median("/sent").max(1.0);
                let memory = row.median("/resident_kib") / 1024.0;
                format!("| {name} | {value} | {ratio} | {cpu:.1} | {memory:.0} | {others:.2} | {bar} |\n")
            }
            _ => {
                let (acknowledged, heard, cpu) = (row.pair("acknowledged"), row.pair("heard"), row.cpu());
                let less = if figure.less_is_better() { " (less is better)" } else { "" };
                format!(
                    "| {name} | {value} | {ratio} | {acknowledged} | {heard} | {cpu} | {others:.2} | {bar}{less} |\n"
                )
            }
        }
    };
    head.to_owned() + &rows.iter().map(line).collect::<String>()
}

/// A figure, with the digits that it deserves.
pub fn shown(figure: Figure, value: f64) -> String {
    match figure {
        Figure::Connections | Figure::Latency | Figure::Receipt | Figure::Comeback => format!("{value:.0}"),
        _ => format!("{value:.1}"),
    }
}

impl<'a> Row<'a> {
    fn of(scenario: &Scenario, subject: Subject, runs: &'a [Run]) -> Option<Self> {
        let runs: Vec<&Run> =
            runs.iter().filter(|run| run.scenario == scenario.name && run.subject == subject).collect();
        let figure = median(runs.iter().map(|run| run.figure(scenario.figure)))?;
        Some(Self { subject, figure, runs })
    }

    /// A number of the report.
    pub fn median(&self, pointer: &str) -> f64 {
        median(self.runs.iter().map(|run| run.number(pointer))).unwrap_or_default()
    }

    /// How ours stands beside it.
    fn ratio(&self, rows: &[Row<'_>]) -> String {
        let own = rows.iter().find(|row| row.subject == self.subject.counterpart());
        match own {
            Some(own) if self.figure > 0.0 && !self.subject.is_confab() => format!("{:.2}", own.figure / self.figure),
            _ => String::new(),
        }
    }

    fn pair(&self, name: &str) -> String {
        let (p50, p99) = (self.median(&format!("/{name}/p50")), self.median(&format!("/{name}/p99")));
        if p50 > 0.0 { format!("{p50:.0} / {p99:.0}") } else { String::new() }
    }

    fn cpu(&self) -> String {
        let seconds = self.median("/seconds").max(1e-9);
        let beside = match self.median("/beside_cpu_seconds") {
            0.0 => String::new(),
            apart => format!(" + {:.2}", apart / seconds),
        };
        format!("{:.2}{beside}", self.median("/cpu_seconds") / seconds)
    }

    fn comeback(&self) -> String {
        let ms = |name: &str| self.median(&format!("/storm/complete/{name}")) / 1000.0;
        let memory = self.memory_ratio();
        let reads = |name: &str| match self.runs[0].report.pointer(&format!("/storm/reads/{name}")) {
            Some(_) => format!("{:.0}", self.median(&format!("/storm/reads/{name}"))),
            None => String::new(),
        };
        let (recovered, window, shared, store) =
            (self.median("/storm/recovered"), reads("window"), reads("shared_pages"), reads("store"));
        let (p50, p99) = (ms("p50"), ms("p99"));
        format!("{p50:.0} / {p99:.0} | {memory:.2} × | {recovered:.0} | {window} | {shared} | {store}")
    }

    /// The most memory during the storms, as a multiple of the most before.
    pub fn memory_ratio(&self) -> f64 {
        median(self.runs.iter().map(|run| run.number("/storm/peak_kib") / run.number("/storm/steady_kib").max(1.0)))
            .unwrap_or_default()
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
    use crate::verbs::bench::matrix::SCENARIOS;
    use serde_json::json;

    #[test]
    fn the_median_is_the_one_in_the_middle() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), Some(2.0));
        assert_eq!(median(std::iter::empty()), None);
    }

    #[test]
    fn a_table_says_how_confab_stands_beside_each() {
        let run = |subject, delivered: u64| Run {
            scenario: "steady",
            subject,
            report: json!({"delivered": delivered, "cpu_seconds": 1.0, "seconds": 2.0}),
        };
        let runs = [run(Subject::Confab, 300_000), run(Subject::Floor, 400_000)];
        let page = page(&SCENARIOS.iter().collect::<Vec<_>>(), &runs);
        assert!(page.starts_with("### steady: "), "{page}");
        assert!(page.contains("| confab | 300.0 |  |") && page.contains("| floor | 400.0 | 0.75 |"), "{page}");
        assert!(!page.contains("### idle"), "{page}");
    }
}
