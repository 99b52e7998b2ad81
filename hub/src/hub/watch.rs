//! The watch: reloads when hub.toml or a plugin's module has changed.
//!
//! The system says that something happened in a folder; whether a watched file is another now is looked up, after a moment
//! of quiet, since editors and deployments write in several steps, and swap links. What the system does not tell (network
//! file systems) is found by looking from time to time.

use super::reload::{Cause, Reloader};
use notify::{RecursiveMode, Watcher};
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// How long nothing may happen before the files are looked at.
const QUIET: Duration = Duration::from_millis(200);
/// How long a folder that is never quiet can put that off.
const RESTLESS: Duration = Duration::from_secs(2);
/// How often the files are looked at without being told.
const LOOK: Duration = Duration::from_secs(10);

/// What tells one state of a file from another: inode, length, time of change. `None` where there is no file.
type State = Option<(u64, u64, i64, i64)>;

/// The states of all files that are watched.
pub type States = BTreeMap<PathBuf, State>;

/// Watches until `stop`; `seen` is how the files were before they were read for the first time.
pub async fn run(reloader: Arc<Reloader>, seen: States, stop: CancellationToken) {
    let _ = stop.run_until_cancelled(watch(reloader, seen)).await;
}

async fn watch(reloader: Arc<Reloader>, mut seen: States) {
    // One notice that something happened is enough: more are dropped.
    let (happened, mut notices) = mpsc::channel(1);
    let told = move |event: notify::Result<notify::Event>| match event {
        Ok(event) if event.kind.is_access() => {}
        _ => drop(happened.try_send(())),
    };
    let mut watcher = notify::recommended_watcher(told)
        .inspect_err(|error| tracing::warn!(%error, "cannot watch folders: looking every {LOOK:?} instead"))
        .ok();
    let mut folders = BTreeSet::new();
    let mut files = reloader.files().await;
    loop {
        if let Some(watcher) = &mut watcher {
            follow(watcher, &mut folders, &files);
        }
        let now = states(&files);
        if now == seen {
            let _ = tokio::time::timeout(LOOK, heard(&mut notices)).await;
            continue;
        }
        let _ = reloader.reload(Cause::Watch, false).await; // it has told the log
        // A file that is watched only from now on may have changed since it was read: looking again costs little.
        files = reloader.files().await;
        seen = now;
    }
}

/// Waits until something has happened and it is quiet again.
async fn heard(notices: &mut mpsc::Receiver<()>) {
    if notices.recv().await.is_none() {
        return std::future::pending().await; // there is no watcher
    }
    let first = Instant::now();
    while first.elapsed() < RESTLESS && matches!(tokio::time::timeout(QUIET, notices.recv()).await, Ok(Some(()))) {}
}

/// How the files are now.
pub fn states(files: &[PathBuf]) -> States {
    let state = |file: &Path| {
        let found = std::fs::metadata(file).ok()?;
        Some((found.ino(), found.len(), found.mtime(), found.mtime_nsec()))
    };
    files.iter().map(|file| (file.clone(), state(file))).collect()
}

/// Watches the folders of the files, not the files: what is put in a file's place is another file.
fn follow(watcher: &mut notify::RecommendedWatcher, folders: &mut BTreeSet<PathBuf>, files: &[PathBuf]) {
    let wanted: BTreeSet<PathBuf> = files.iter().filter_map(|file| Some(file.parent()?.to_owned())).collect();
    for gone in folders.difference(&wanted) {
        let _ = watcher.unwatch(gone); // a folder that is gone is not watched any more
    }
    // Again and again, also those that are watched: a folder may have been made anew.
    folders.clear();
    for folder in wanted {
        match watcher.watch(&folder, RecursiveMode::NonRecursive) {
            Ok(()) => _ = folders.insert(folder),
            Err(error) => tracing::debug!(%error, folder = %folder.display(), "cannot watch a folder"),
        }
    }
}
