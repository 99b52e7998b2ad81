//! A chain of five plugins under a steady load.

use super::cost::{approved, judge};
use super::figure::Figure;
use super::setting::{self, Surroundings, event_of};
use crate::histogram::Histogram;
use anyhow::Result;
use std::time::{Duration, Instant};

/// Messages a second.
const RATE: u32 = 10_000;
/// How many people speak in turn.
const PEOPLE: usize = 1000;
/// How long is not measured, at first.
const WARM_UP: Duration = Duration::from_millis(500);

/// The plugins, in their order: what a careful operator would have.
const CHAIN: &str = "
[plugin.links]
module = 'link-notes.wasm'
isolation = 'worker'
timeout = '1s'
[plugin.secrets]
module = 'secrets-guard.wasm'
isolation = 'worker'
timeout = '1s'
[plugin.noise]
module = 'caps-and-noise.wasm'
isolation = 'worker'
timeout = '1s'
[plugin.floods]
module = 'flood-guard.wasm'
isolation = 'worker'
timeout = '1s'
capabilities = { kv = true }
[plugin.floods.settings]
rate = { messages = 1000000, per = '1h' }
repeats = { messages = 1000000, per = '1h' }
[[chain]]
plugins = ['filter', 'links', 'secrets', 'noise', 'floods']
";

/// Judges messages at their pace, for so long. A message that is late because the one before it took long is late.
pub async fn five(with: &Surroundings, span: Duration) -> Result<Figure> {
    let filter = setting::filter("word-filter.wasm", "isolation = 'worker'");
    let filter = filter.split("[[chain]]").next().unwrap_or_default();
    let chain = with.chain(&format!("{filter}{CHAIN}")).await?;
    let events: Vec<_> = (0..PEOPLE).map(event_of).collect();
    let (mut since_due, mut took) = (Histogram::default(), Histogram::default());
    let (begun, gap) = (Instant::now(), Duration::from_secs(1) / RATE);
    for (n, event) in (0..).zip(events.iter().cycle()) {
        let due = gap * n;
        if due > WARM_UP + span {
            break;
        }
        while begun.elapsed() < due {
            std::hint::spin_loop();
        }
        let before = begun.elapsed();
        approved(judge(&chain, event).await)?;
        if due > WARM_UP {
            since_due.add((begun.elapsed() - due).as_nanos() as u64);
            took.add((begun.elapsed() - before).as_nanos() as u64);
        }
    }
    let at = |histogram: &Histogram, share| histogram.quantile(share) as f64 / 1000.0;
    let [late, call] = [&since_due, &took].map(|one| [0.5, 0.99, 0.999].map(|share| at(one, share)));
    let what = format!("five plugins, {RATE} messages a second: p99 of judging");
    Ok(Figure::new(what, call[1], "µs").at_most(50.0).besides(format!(
        "p50 {:.1}, p99.9 {:.1}; since each was due p50 {:.1}, p99 {:.1}, p99.9 {:.1} µs",
        call[0], call[2], late[0], late[1], late[2]
    )))
}
