//! `confab plugin build`: from a folder to one file.

use super::args::Build;
use super::candidate::Candidate;
use super::{Done, say};
use crate::cli::{Exit, Screen};
use confab_plugin_kit::build::Builder;
use confab_plugin_kit::project::Project;
use serde_json::json;
use std::time::Instant;

pub(super) fn run(build: &Build, screen: &mut Screen<'_>) -> Done {
    let begin = Instant::now();
    let project = Project::open(&build.folder)?;
    say(&format!("building {} ({})", project.name(), project.language));
    let out = build.out.clone().unwrap_or_else(|| project.component());
    let built = Builder::new(&say).build(&project, &out)?;
    let candidate = Candidate::read(&built.file)?;
    if build.json {
        screen.json(&json!({
            "file": built.file,
            "changed": built.changed,
            "bytes": candidate.bytes,
            "blake3": candidate.hash,
            "seconds": begin.elapsed().as_secs_f64(),
        }))?;
        return Ok(Exit::Done);
    }
    let changed = if built.changed { "" } else { ", as it was" };
    writeln!(
        screen.out,
        "{}: {}{changed}, {:.1} s, blake3 {}",
        built.file.display(),
        size(candidate.bytes),
        begin.elapsed().as_secs_f64(),
        &candidate.hash[..12]
    )?;
    Ok(Exit::Done)
}

/// A size for people.
pub(super) fn size(bytes: usize) -> String {
    match bytes {
        0..10_240 => format!("{bytes} bytes"),
        10_240..10_485_760 => format!("{} KiB", bytes.div_ceil(1 << 10)),
        _ => format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20)),
    }
}
