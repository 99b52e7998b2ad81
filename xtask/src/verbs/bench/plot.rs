//! The bars of all scenarios in one picture, as SVG.

use super::matrix::Scenario;
use super::measure::Run;
use super::table::{self, shown};
use std::fmt::Write as _;

/// Widths and heights, in pixels.
const WIDTH: f64 = 860.0;
const NAMES: f64 = 190.0;
const LINE: f64 = 20.0;
const TITLE: f64 = 34.0;
const MARGIN: f64 = 16.0;
/// The colours of ours and of others.
const OURS: &str = "#1f6feb";
const OTHERS: &str = "#8b949e";

/// The picture; it says for each scenario whether more or less is better.
pub fn picture(scenarios: &[&Scenario], runs: &[Run]) -> String {
    let (mut body, mut y) = (String::new(), MARGIN);
    for scenario in scenarios {
        let rows = table::rows(scenario, runs);
        let Some(longest) = rows.iter().map(|row| row.figure).max_by(f64::total_cmp) else { continue };
        let better = if scenario.figure.less_is_better() { " (less is better)" } else { "" };
        let title = escaped(&format!("{}: {}{better}", scenario.name, scenario.title));
        y += TITLE;
        let _ = writeln!(body, r#"<text x="{MARGIN}" y="{:.0}" class="t">{title}</text>"#, y - 10.0);
        for row in rows {
            let width = row.figure / longest.max(f64::MIN_POSITIVE) * (WIDTH - NAMES - 110.0);
            let (middle, colour) = (y + LINE / 2.0 + 4.0, if row.subject.is_confab() { OURS } else { OTHERS });
            let (name, value) = (row.subject.name(), shown(scenario.figure, row.figure));
            let _ = writeln!(
                body,
                r#"<text x="{:.0}" y="{middle:.0}" class="n">{name}</text><rect x="{NAMES}" y="{:.0}" width="{width:.1}" height="{:.0}" fill="{colour}"/><text x="{:.1}" y="{middle:.0}">{value}</text>"#,
                NAMES - 8.0,
                y + 3.0,
                LINE - 6.0,
                NAMES + width + 6.0
            );
            y += LINE;
        }
    }
    let height = y + MARGIN;
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height:.0}" viewBox="0 0 {WIDTH} {height:.0}" font-family="sans-serif" font-size="12" fill="#24292f">
<style>.t{{font-weight:bold}}.n{{text-anchor:end}}</style>
<rect width="100%" height="100%" fill="#ffffff"/>
{body}</svg>
"##
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verbs::bench::matrix::SCENARIOS;
    use crate::verbs::bench::subject::Subject;
    use serde_json::json;

    #[test]
    fn the_longest_bar_is_the_largest_figure() {
        let run = |subject, kib: f64| Run { scenario: "idle", subject, report: json!({"kib_per_connection": kib}) };
        let svg =
            picture(&SCENARIOS.iter().collect::<Vec<_>>(), &[run(Subject::Confab, 9.0), run(Subject::Floor, 4.5)]);
        assert!(svg.contains(r#"width="560.0""#) && svg.contains(r#"width="280.0""#), "{svg}");
        assert!(svg.contains(">9.0</text>") && svg.contains("(less is better)"), "{svg}");
        assert_eq!(svg.matches("class=\"t\"").count(), 1, "only what was measured: {svg}");
    }
}
