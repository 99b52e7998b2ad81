//! Says what is being done: a spinner on a terminal, plain lines elsewhere.
#![expect(clippy::print_stderr, reason = "saying what happens is this module's purpose")]

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::process::Command;
use std::time::{Duration, Instant};

/// One thing that takes a while. It goes to stderr, so that stdout stays free for results.
pub struct Progress {
    what: String,
    spinner: Option<ProgressBar>,
    since: Instant,
}

impl Progress {
    /// Says that `what` begins.
    pub fn start(what: impl Into<String>) -> Self {
        let what = what.into();
        let spinner = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{spinner} {msg} ({elapsed})");
            let spinner =
                ProgressBar::new_spinner().with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            spinner.set_message(what.clone());
            spinner.enable_steady_tick(Duration::from_millis(100));
            spinner
        });
        if spinner.is_none() {
            eprintln!("… {what}");
        }
        Self { what, spinner, since: Instant::now() }
    }

    /// Says that `what` begins, of which others write lines meanwhile, such as cargo: a spinner would be in their way.
    pub fn beside_output(what: impl Into<String>) -> Self {
        let what = what.into();
        eprintln!("… {what}");
        Self { what, spinner: None, since: Instant::now() }
    }

    /// Says what it is at now.
    pub fn note(&self, note: &str) {
        match &self.spinner {
            Some(spinner) => spinner.set_message(format!("{}: {note}", self.what)),
            None => eprintln!("… {}: {note}", self.what),
        }
    }

    /// Says that it is done, with its result and how long it took.
    pub fn done(self, result: &str) {
        if let Some(spinner) = &self.spinner {
            spinner.finish_and_clear();
        }
        eprintln!("✓ {}: {result} ({})", self.what, seconds(self.since.elapsed()));
    }

    /// Runs a command to its end. Its output is shown only if it fails.
    pub fn run(&self, command: &mut Command) -> Result<()> {
        self.note(&shown(command));
        let output = command
            .stdin(std::process::Stdio::null())
            .output()
            .with_context(|| format!("could not start `{}`", shown(command)))?;
        if output.status.success() {
            return Ok(());
        }
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        let lines: Vec<&str> = said.lines().collect();
        let last = lines[lines.len().saturating_sub(40)..].join("\n");
        bail!("`{}` ended with {}; it said:\n{last}", shown(command), output.status)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(spinner) = &self.spinner {
            spinner.finish_and_clear();
        }
    }
}

/// Says one line that stays.
pub fn say(line: &str) {
    eprintln!("{line}");
}

/// A span in seconds, with one decimal while that tells something.
pub fn seconds(span: Duration) -> String {
    match span.as_secs() {
        0..100 => format!("{:.1} s", span.as_secs_f64()),
        whole => format!("{} min {:02} s", whole / 60, whole % 60),
    }
}

/// A command as one would type it.
pub fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
