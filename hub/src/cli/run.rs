//! `confab run`: the hub.

use super::{Exit, Run, SettingsArgs, descriptors, log_filter};
use crate::hub::reload::{Cause, Reloader};
use crate::serve::{self, Started};
use crate::{backends, journal, timeline};
use confab_config::{Diagnostics, Loaded, Profile, wants_colour};
use std::io::{self, IsTerminal};
use std::sync::Arc;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Checks the settings, then serves until it is told to stop (SIGTERM, SIGINT).
pub fn run(settings: &SettingsArgs, run: &Run) -> Exit {
    let checked = log_filter("info").and_then(|filter| {
        let loaded = settings.load(run.flags())?;
        let serving = loaded.check_serving();
        if serving.errors() > 0 { Err(serving) } else { Ok((filter, loaded, serving)) }
    });
    let (filter, loaded, findings) = match checked {
        Ok(checked) => checked,
        Err(findings) => {
            say(&findings);
            return Exit::Configuration;
        }
    };
    say(&Diagnostics(loaded.warnings.iter().cloned().chain(findings.0).collect()));
    log(filter);
    descriptors::raise(loaded.config.limits.sessions);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "could not start the runtime");
            return Exit::Failed;
        }
    };
    match runtime.block_on(until_stopped(&loaded)) {
        Ok(()) => Exit::Done,
        Err(error) => {
            let chain = causes(&error);
            tracing::error!("{chain}");
            if let serve::Error::Plugins(error) = &error {
                say(&loaded.place(error.problems()));
            }
            exit_of(&error)
        }
    }
}

fn exit_of(error: &serve::Error) -> Exit {
    use backends::Error as Backend;
    match error {
        serve::Error::Auth(_) | serve::Error::Plugins(_) => Exit::Configuration,
        serve::Error::Listen { .. } => Exit::Failed,
        serve::Error::Backends(error) => match error {
            Backend::Setting(_)
            | Backend::InUse { .. }
            | Backend::Timeline(timeline::Error::Refused(_))
            | Backend::Journal(journal::Error::Settings(_)) => Exit::Configuration,
            Backend::Data { .. } | Backend::Occupied { .. } => Exit::Failed,
            Backend::Store(_) | Backend::Timeline(_) | Backend::Journal(_) => Exit::Unreachable,
        },
    }
}

async fn until_stopped(loaded: &Loaded) -> Result<(), serve::Error> {
    // From the first moment on, so that a signal that comes too early does not end the process.
    let hangup = signal(SignalKind::hangup());
    serve::run(loaded, stop(), |started| {
        let Started { listen, admin, profile, reloader } = started;
        tracing::info!(%listen, %admin, %profile, version = env!("CARGO_PKG_VERSION"), "serving");
        if *profile == Profile::Embedded && io::stderr().is_terminal() {
            say_where(&format!("\n  Open http://{listen}/ in two tabs and talk. Ctrl-C ends the hub.\n"));
        }
        match hangup {
            Ok(hangup) => _ = tokio::spawn(reload_at(hangup, reloader.clone())),
            Err(error) => tracing::error!(%error, "could not listen for SIGHUP: it ends the hub"),
        }
    })
    .await
}

/// Reloads at every SIGHUP; those that come while one is under way are one.
async fn reload_at(mut hangup: Signal, reloader: Arc<Reloader>) {
    while hangup.recv().await.is_some() {
        let _ = reloader.reload(Cause::Signal, false).await; // it has told the log
    }
}

/// Until SIGTERM or SIGINT. A second one ends the process at once.
async fn stop() {
    let (Ok(mut term), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) else {
        tracing::error!("could not listen for signals: the hub will end without a drain");
        return std::future::pending().await;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = interrupt.recv() => {}
    }
    tokio::spawn(async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::warn!("told to stop twice: ending without finishing the drain");
        std::process::exit(i32::from(Exit::Failed as u8));
    });
}

/// An error and its causes in one line, each said once.
pub(super) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// Pretty on a terminal, JSON where a machine reads.
fn log(filter: EnvFilter) {
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    if io::stderr().is_terminal() {
        lines.with_ansi(wants_colour(&io::stderr())).init();
    } else {
        lines.json().flatten_event(true).init();
    }
}

#[allow(clippy::print_stderr, reason = "what a person at a terminal must read before there is a log")]
fn say_where(text: &str) {
    eprintln!("{text}");
}

#[allow(clippy::print_stderr, reason = "findings are read before there is a log")]
fn say(findings: &Diagnostics) {
    if !findings.is_empty() {
        eprint!("{}", findings.render(wants_colour(&io::stderr())));
    }
}
