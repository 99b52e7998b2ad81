//! What is to be reached, and what was.

use super::matrix::{Figure, SCENARIOS};
use super::measure::Run;
use super::subject::Subject;
use super::table::{self, Row, shown};
use Subject::{
    Centrifuge, CentrifugeHook, CentrifugeRedis, Confab, ConfabCluster, ConfabClusterJudged, ConfabConsumer,
    ConfabJudged, ConfabOneTable, ConfabUnjournaled, Floor, KafkaAlone, KafkaConnect, RedisScript, Rows, Socketio,
    SocketioKafka, SocketioRedis,
};

/// What is to be reached.
struct Goal {
    scenario: &'static str,
    subject: Subject,
    bound: Bound,
}

/// How it is judged.
enum Bound {
    /// The figure is at least so many times that of the best of these.
    Times(f64, &'static [Subject]),
    /// It is at most so many times what these have together.
    Share(f64, &'static [Subject]),
    /// It is at least that.
    AtLeast(f64),
    /// It is at most that.
    AtMost(f64),
    /// Something else that is measured is at most that.
    Other(&'static str, fn(&Row<'_>) -> f64, f64),
    /// Nobody said what it should be: it is only told.
    Told(&'static [Subject]),
}

use Bound::{AtLeast, AtMost, Other, Share, Times, Told};

const fn goal(scenario: &'static str, subject: Subject, bound: Bound) -> Goal {
    Goal { scenario, subject, bound }
}

const GOALS: [Goal; 28] = [
    goal("connect", Confab, AtLeast(15_000.0)),
    goal("connect", Confab, Times(4.0, &[Socketio])),
    goal("idle", Confab, AtMost(10.0)),
    goal("steady", Confab, Times(0.85, &[Floor])),
    goal("steady", Confab, Times(1.5, &[Centrifuge, Socketio])),
    goal("flat-out", Confab, Times(0.5, &[Floor])),
    goal("flat-out", Confab, Times(1.75, &[Centrifuge])),
    goal("flat-out", ConfabCluster, Times(5.0, &[CentrifugeRedis, SocketioRedis])),
    goal("rooms", Confab, Times(0.75, &[Floor])),
    goal("publish", ConfabJudged, Times(0.7, &[Rows])),
    goal("publish", ConfabJudged, Told(&[Centrifuge])),
    goal("publish", Rows, Told(&[Centrifuge])),
    goal("publish", ConfabClusterJudged, Times(1.0, &[CentrifugeRedis])),
    goal("publish", ConfabClusterJudged, Times(3.0, &[SocketioKafka])),
    goal("paced", ConfabCluster, Share(1.3, &[RedisScript, KafkaAlone])),
    goal("recover-storm", Confab, Other("memory, times steady", memory_ratio, 1.5)),
    goal("recover-storm", Confab, Other("reads of the store", store_reads, 0.0)),
    goal("recover-storm", ConfabCluster, Other("memory, times steady", memory_ratio, 1.5)),
    goal("recover-storm", ConfabCluster, Other("reads of the store", store_reads, 0.0)),
    goal("recover-storm", Confab, Told(&[Centrifuge])),
    goal("recover-storm", ConfabCluster, Told(&[CentrifugeRedis])),
    goal("consumer", ConfabOneTable, Times(2.0, &[KafkaConnect])),
    goal("consumer", ConfabConsumer, Told(&[KafkaConnect])),
    goal("consumer", ConfabConsumer, Other("memory, MiB", memory, 100.0)),
    goal("single", ConfabUnjournaled, AtMost(32.0)),
    goal("single", ConfabUnjournaled, Other("p99, µs", heard_p99, 60.0)),
    goal("single", ConfabUnjournaled, Told(&[Floor])),
    goal("single", ConfabUnjournaled, Told(&[CentrifugeHook])),
];

fn memory_ratio(row: &Row<'_>) -> f64 {
    row.memory_ratio()
}

fn store_reads(row: &Row<'_>) -> f64 {
    row.median("/storm/reads/store")
}

fn heard_p99(row: &Row<'_>) -> f64 {
    row.median("/heard/p99")
}

fn memory(row: &Row<'_>) -> f64 {
    row.median("/resident_kib") / 1024.0
}

/// The table of goals, as far as they were measured; empty if none was.
pub fn page(runs: &[Run]) -> String {
    let lines: String = GOALS.iter().filter_map(|goal| goal.line(runs)).collect();
    if lines.is_empty() {
        return lines;
    }
    format!("| scenario | who | figure | beside | to reach | reached | |\n|---|---|--:|---|--:|--:|---|\n{lines}\n")
}

impl Goal {
    fn line(&self, runs: &[Run]) -> Option<String> {
        let scenario = SCENARIOS.iter().find(|scenario| scenario.name == self.scenario)?;
        let rows = table::rows(scenario, runs);
        let find = |subject: Subject| rows.iter().find(|row| row.subject == subject);
        let row = find(self.subject)?;
        let all = |subjects: &[Subject]| subjects.iter().map(|one| find(*one)).collect::<Option<Vec<_>>>();
        let value = |value: f64| shown(scenario.figure, value);
        let (figure, beside, wanted, reached, well) = match &self.bound {
            Times(times, subjects) => {
                let best = best(scenario.figure, &all(subjects)?)?;
                let ratio = row.figure / best.figure;
                (value(row.figure), beside(best, &value), format!("≥ {times} ×"), ratio, Some(ratio >= *times))
            }
            Share(times, subjects) => {
                let rows = all(subjects)?;
                let ratio = row.figure / rows.iter().map(|row| row.figure).sum::<f64>();
                let names: Vec<String> = rows.iter().map(|row| beside(row, &value)).collect();
                (value(row.figure), names.join(" + "), format!("≤ {times} ×"), ratio, Some(ratio <= *times))
            }
            AtLeast(least) => {
                (value(row.figure), String::new(), format!("≥ {least}"), row.figure, Some(row.figure >= *least))
            }
            AtMost(most) => {
                (value(row.figure), String::new(), format!("≤ {most}"), row.figure, Some(row.figure <= *most))
            }
            Other(what, of, most) => {
                let found = of(row);
                (format!("{what}: {}", number(found)), String::new(), format!("≤ {most}"), found, Some(found <= *most))
            }
            Told(subjects) => {
                let best = best(scenario.figure, &all(subjects)?)?;
                (value(row.figure), beside(best, &value), String::new(), row.figure / best.figure, None)
            }
        };
        let times = if matches!(self.bound, Times(..) | Share(..) | Told(..)) { " ×" } else { "" };
        let (name, reached) = (self.subject.name(), number(reached));
        let word = well.map_or("", |well| if well { "yes" } else { "no" });
        Some(format!("| `{}` | {name} | {figure} | {beside} | {wanted} | {reached}{times} | {word} |\n", self.scenario))
    }
}

fn beside(row: &Row<'_>, value: &impl Fn(f64) -> String) -> String {
    format!("{} {}", row.subject.name(), value(row.figure))
}

fn best<'r, 'a>(figure: Figure, rows: &[&'r Row<'a>]) -> Option<&'r Row<'a>> {
    let order = |one: &&&Row<'_>, other: &&&Row<'_>| one.figure.total_cmp(&other.figure);
    if figure.less_is_better() { rows.iter().min_by(order).copied() } else { rows.iter().max_by(order).copied() }
}

fn number(value: f64) -> String {
    if value >= 100.0 || value == value.trunc() { format!("{value:.0}") } else { format!("{value:.2}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn run(scenario: &'static str, subject: Subject, report: serde_json::Value) -> Run {
        Run { scenario, subject, report }
    }

    #[test]
    fn a_goal_is_judged_beside_the_best_of_those_it_names() {
        let steady =
            |subject, delivered: u64| run("steady", subject, json!({"delivered": delivered, "cpu_seconds": 1}));
        let runs = [steady(Confab, 300_000), steady(Centrifuge, 150_000), steady(Socketio, 250_000)];
        let line = "| `steady` | confab | 300.0 | socketio 250.0 | ≥ 1.5 × | 1.20 × | no |";
        assert!(page(&runs).contains(line), "{}", page(&runs));
        assert!(!page(&runs).contains("floor"), "who was not measured is not judged");
        assert_eq!(page(&[]), "");
    }

    #[test]
    fn times_are_compared_with_a_sum_and_bounds_with_themselves() {
        let paced = |subject, p50: f64| run("paced", subject, json!({"acknowledged": {"p50": p50}}));
        let runs = [paced(ConfabCluster, 2400.0), paced(RedisScript, 400.0), paced(KafkaAlone, 1600.0)];
        let line = "| 2400 | redis-script 400 + kafka-alone 1600 | ≤ 1.3 × | 1.20 × | yes |";
        assert!(page(&runs).contains(line), "{}", page(&runs));
        let storm = json!({"storm": {"steady_kib": 100, "peak_kib": 160, "reads": {"store": 0}}});
        let told = page(&[run("recover-storm", Confab, storm)]);
        assert!(told.contains("memory, times steady: 1.60 |  | ≤ 1.5 | 1.60 | no"), "{told}");
        assert!(told.contains("reads of the store: 0 |  | ≤ 0 | 0 | yes"), "{told}");
    }
}
