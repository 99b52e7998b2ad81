//! `cargo xtask fuzz`: feeds a decoder what libFuzzer finds.

use crate::{cargo, cli};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use xtask::progress::{say, shown};
use xtask::workspace;

/// What tells libFuzzer which paths an input took. No flag of it needs a nightly compiler.
const INSTRUMENTED: [&str; 6] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Clink-arg=-Wl,-z,nostart-stop-gc",
];

/// The longest input, in bytes: what decoders do with more of the same they do with this.
const LONGEST: usize = 4096;
/// How long one input may take, in seconds, and how much memory, in MiB.
const PATIENCE: u32 = 10;
const MEMORY: u32 = 2048;

/// Runs the targets one after another; the exit code says whether all of them bore it.
pub fn fuzz(arguments: &cli::Fuzz) -> Result<ExitCode> {
    let known = targets()?;
    let chosen: Vec<&str> = match arguments.targets.as_slice() {
        [] => known.iter().map(String::as_str).collect(),
        named => named.iter().map(String::as_str).collect(),
    };
    if let Some(unknown) = chosen.iter().find(|name| !known.iter().any(|known| known == *name)) {
        bail!("there is no target `{unknown}`; there are {}", known.join(", "));
    }
    let built = build(&chosen)?;
    if arguments.build_only {
        return Ok(ExitCode::SUCCESS);
    }
    let mut failed = Vec::new();
    for target in chosen {
        if !run(target, &built.join(target), arguments.seconds)? {
            failed.push(target);
        }
    }
    if failed.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    say(&format!(
        "✗ found something: {}. What it takes lies in fuzz/artifacts/; mend it, then keep the input in fuzz/corpus/",
        failed.join(", ")
    ));
    Ok(ExitCode::FAILURE)
}

/// The names of the targets.
fn targets() -> Result<Vec<String>> {
    let folder = workspace::root().join("fuzz/fuzz_targets");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&folder).with_context(|| format!("could not read {}", folder.display()))? {
        let path = entry?.path();
        names.extend(path.file_stem().map(|name| name.to_string_lossy().into_owned()));
    }
    names.sort();
    Ok(names)
}

/// Builds them, and says in which folder they are.
fn build(targets: &[&str]) -> Result<PathBuf> {
    let folder = cargo::target_folder()?.join("fuzz");
    // Named, so that only what is fuzzed is instrumented and not the programs that build it.
    let host = host()?;
    let mut command = cargo::cargo();
    command
        .args(["build", "--release", "--manifest-path", "fuzz/Cargo.toml", "--target", &host, "--target-dir"])
        .arg(&folder)
        .args(targets.iter().flat_map(|target| ["--bin", target]))
        .env("RUSTFLAGS", INSTRUMENTED.join(" "));
    cargo::run(&mut command)?;
    Ok(folder.join(host).join("release"))
}

fn host() -> Result<String> {
    let said = cargo::output_of(Command::new("rustc").arg("-vV"))?;
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("rustc does not say what it builds for")
}

/// Feeds one target. What libFuzzer learns is kept beside the build, the seeds stay as they are.
fn run(target: &str, program: &Path, seconds: u64) -> Result<bool> {
    let fuzz = workspace::root().join("fuzz");
    let learned = program.with_file_name("corpus").join(target);
    let artifacts = fuzz.join("artifacts").join(target);
    for folder in [&learned, &artifacts] {
        std::fs::create_dir_all(folder).with_context(|| format!("could not make {}", folder.display()))?;
    }
    let mut command = Command::new(program);
    command
        .arg(&learned)
        .arg(fuzz.join("corpus").join(target))
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-max_len={LONGEST}"))
        .arg(format!("-timeout={PATIENCE}"))
        .arg(format!("-rss_limit_mb={MEMORY}"))
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        .args(["-print_final_stats=1", "-verbosity=1"]);
    say(&format!("$ {}", shown(&command)));
    let status = command.status().with_context(|| format!("could not start {}", program.display()))?;
    Ok(status.success())
}
