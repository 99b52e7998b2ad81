//! `confab reload`: a running hub reads hub.toml and its plugins again.

use super::remote::{Target, fetch, unreachable};
use super::{Exit, Reload, Screen, SettingsArgs};
use hyper::{Method, StatusCode};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use std::io;
use std::time::Duration;

/// How long a reload may take: plugins in scripting languages take seconds to compile.
const TIMEOUT: Duration = Duration::from_secs(180);

/// Does it. What the hub refuses as wrong ends with the exit code of wrong settings.
pub fn run(settings: &SettingsArgs, reload: &Reload, screen: &mut Screen<'_>) -> io::Result<Exit> {
    let target = match Target::of(settings, &reload.answer.hub) {
        Ok(target) => target,
        Err(why) => return why.tell(screen),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let body = json!({ "dry_run": reload.dry_run });
    let asked = fetch(&target, "/api/v1/reload", Method::POST, Some(body), TIMEOUT);
    match runtime.block_on(patiently(asked)) {
        Ok((status, answer)) if status.is_success() => {
            if reload.answer.json {
                screen.json(&answer)?;
            } else {
                tell(&answer, screen)?;
            }
            Ok(Exit::Done)
        }
        Ok((status, answer)) => {
            if reload.answer.json {
                screen.json(&answer)?;
            }
            match answer["rendered"].as_str() {
                Some(findings) => write!(screen.err, "{findings}")?,
                None => writeln!(screen.err, "error: {}", answer["error"].as_str().unwrap_or("no reason given"))?,
            }
            writeln!(screen.err, "nothing has changed: the hub goes on with what it had")?;
            Ok(if status == StatusCode::UNPROCESSABLE_ENTITY { Exit::Configuration } else { Exit::Failed })
        }
        Err(why) => unreachable(&target, &why, screen),
    }
}

/// Shows, on a terminal, that it goes on.
async fn patiently<T>(work: impl Future<Output = T>) -> T {
    tokio::pin!(work);
    if let Ok(done) = tokio::time::timeout(Duration::from_secs(1), &mut work).await {
        return done;
    }
    let bar = ProgressBar::new_spinner().with_message("the hub builds the new chain");
    bar.set_style(ProgressStyle::default_spinner());
    bar.enable_steady_tick(Duration::from_millis(100));
    let done = work.await;
    bar.finish_and_clear();
    done
}

fn tell(answer: &Value, screen: &mut Screen<'_>) -> io::Result<()> {
    let word = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
    let from = word("from");
    let to = word("to");
    let took = &answer["took_ms"];
    let what = match (answer["dry_run"] == true, from == to) {
        (true, true) => format!("would change nothing about the chain {from}"),
        (true, false) => format!("would replace the chain {from} by {to}"),
        (false, true) => format!("nothing has changed about the chain {from}"),
        (false, false) => format!("reloaded: chain {from} is now {to}"),
    };
    writeln!(screen.out, "{what} ({took} ms)")?;
    for kind in ["added", "changed", "removed", "kept"] {
        let names = list(&answer["plugins"][kind]);
        if !names.is_empty() {
            writeln!(screen.out, "  {kind:<8} {}", names.join(", "))?;
        }
    }
    if answer["rooms_changed"] == true {
        writeln!(screen.out, "  rooms    have other rules")?;
    }
    let tests = answer["tests"].as_array().map_or(0, Vec::len);
    writeln!(screen.out, "  tests    {tests} passed")?;
    for warning in list(&answer["warnings"]) {
        writeln!(screen.err, "warning: {warning}")?;
    }
    for setting in list(&answer["restart"]) {
        writeln!(screen.err, "warning: `{setting}` has changed: it holds after a restart of the hub")?;
    }
    Ok(())
}

fn list(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}
