//! A short chaos of each kind, by fixed seeds. `cargo xtask chaos` makes longer ones.
#![allow(clippy::print_stdout, reason = "the totals say what a run was worth")]

use anyhow::Result;
use confab_tests::chaos::fault::Profile;
use confab_tests::chaos::{Options, run};
use std::time::Duration;
use tempfile::TempDir;

/// One run at a time: both in one test.
#[tokio::test(flavor = "multi_thread")]
async fn half_a_minute_of_faults_breaks_no_promise_in_a_cluster_or_embedded() -> Result<()> {
    for (profile, seconds) in [(Profile::Embedded, 20), (Profile::Cluster, 35)] {
        let length = Duration::from_secs(seconds);
        let options = Options { seed: 6, length, profile, faults: Vec::new(), rate: 120 };
        let folder = TempDir::with_prefix("confab-chaos-")?;
        let outcome = run(&options, folder.path()).await;
        let broken = outcome.as_ref().map_or(true, |outcome| !outcome.violations.is_empty());
        if broken {
            let kept = folder.keep();
            let told = std::fs::read_to_string(kept.join("violations.txt")).unwrap_or_default();
            panic!("{profile:?}: the evidence is in {}\n{outcome:?}\n{told}", kept.display());
        }
        println!("{profile:?}: {}", outcome?.tally);
    }
    Ok(())
}
