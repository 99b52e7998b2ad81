//! `confab backup` and `confab restore`: the embedded hub's database, in a file and back.

use super::run::causes;
use super::{Backup, Exit, Restore, Screen, SettingsArgs};
use crate::backends::{self, DataFolder, Restored};
use crate::private_file;
use confab_config::{Config, Profile};
use confab_store::{Contents, Store};
use jiff::Timestamp;
use serde_json::json;
use std::fs;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::time::Duration;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// How often a person at a terminal is told how far the copy is.
const PROGRESS: Duration = Duration::from_millis(500);

/// Copies the database into a file, while a hub runs or not.
pub fn backup(settings: &SettingsArgs, backup: &Backup, screen: &mut Screen<'_>) -> io::Result<Exit> {
    let Some(config) = embedded(settings, screen)? else { return Ok(Exit::Configuration) };
    if backup.file.exists() && !backup.force {
        writeln!(screen.err, "error: {} is there already: `--force` replaces it", backup.file.display())?;
        return Ok(Exit::Failed);
    }
    let done = run(copy(&config, &backup.file))?;
    let (contents, bytes) = match done {
        Ok(done) => done,
        Err(error) => return failed(error.as_ref(), screen),
    };
    let file = backup.file.display();
    if backup.json {
        screen.json(
            &json!({ "file": file.to_string(), "bytes": bytes, "events": contents.events, "newest": contents.newest }),
        )?;
    } else {
        writeln!(screen.out, "{file}: {}, {}", says(&contents), mib(bytes))?;
    }
    Ok(Exit::Done)
}

/// Puts such a copy in the place of the database.
pub fn restore(settings: &SettingsArgs, restore: &Restore, screen: &mut Screen<'_>) -> io::Result<Exit> {
    let Some(config) = embedded(settings, screen)? else { return Ok(Exit::Configuration) };
    if !restore.file.is_file() {
        writeln!(screen.err, "error: there is no file {}", restore.file.display())?;
        return Ok(Exit::Failed);
    }
    let done = run(async { Ok(DataFolder::restore(&config.data, &restore.file, restore.force).await?) })?;
    let Restored { contents, generation, moved } = match done {
        Ok(done) => done,
        Err(error) => return failed(error.as_ref(), screen),
    };
    if restore.json {
        screen.json(&json!({
            "events": contents.events, "newest": contents.newest, "generation": generation, "moved": moved,
        }))?;
        return Ok(Exit::Done);
    }
    if let Some(moved) = moved {
        writeln!(screen.out, "the database that was there is {} now", moved.display())?;
    }
    writeln!(screen.out, "restored {}", says(&contents))?;
    writeln!(screen.out, "generation {generation} begins: clients that come back are told to read the history anew")?;
    Ok(Exit::Done)
}

/// The settings, if they are those of an embedded hub.
fn embedded(settings: &SettingsArgs, screen: &mut Screen<'_>) -> io::Result<Option<Config>> {
    match settings.load(Vec::new()) {
        Err(errors) => screen.findings(&errors).map(|()| None),
        Ok(loaded) if loaded.config.profile() == Profile::Cluster => {
            writeln!(
                screen.err,
                "error: these settings are a cluster's, whose store is PostgreSQL: back it up with its own tools \
                 (docs/guide/operators.md says how)"
            )?;
            Ok(None)
        }
        Ok(loaded) => Ok(Some(loaded.config)),
    }
}

fn run<T>(work: impl Future<Output = Result<T, BoxError>>) -> io::Result<Result<T, BoxError>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    Ok(runtime.block_on(work))
}

fn failed(error: &(dyn std::error::Error + Send + Sync + 'static), screen: &mut Screen<'_>) -> io::Result<Exit> {
    writeln!(screen.err, "error: {}", causes(error))?;
    let in_use = matches!(error.downcast_ref(), Some(backends::Error::InUse { .. }));
    Ok(if in_use { Exit::Configuration } else { Exit::Failed })
}

/// Copies into a file beside the one that is asked for, which takes its name only when it is whole and sound.
async fn copy(config: &Config, file: &Path) -> Result<(Contents, u64), BoxError> {
    let database = config.data.join("confab.db");
    if !database.is_file() {
        return Err(format!("there is no database in {} (`data`)", config.data.display()).into());
    }
    let part = PathBuf::from(format!("{}.part", file.display()));
    let made = async {
        let made = fs::File::create(&part).map_err(|error| format!("could not write {}: {error}", part.display()))?;
        drop(made);
        private_file::tighten(&part);
        // Where no hub runs, the next one is to find the folder as it was left.
        match DataFolder::open(&config.data).await {
            Ok((folder, store)) => {
                let copied = watched(store.copy_into(&part), &database, &part).await;
                folder.close(&store).await;
                copied?;
            }
            Err(backends::Error::InUse { .. }) => {
                let store = Store::sqlite(&database).await?;
                let copied = watched(store.copy_into(&part), &database, &part).await;
                store.close().await;
                copied?;
            }
            Err(error) => return Err(error.into()),
        }
        fs::File::open(&part)?.sync_all()?;
        let copied = Store::sqlite(&part).await?;
        let sound = async {
            copied.check_file().await?;
            copied.contents().await
        };
        let sound = sound.await;
        copied.close().await;
        let contents = sound?;
        let bytes = fs::metadata(&part)?.len();
        fs::rename(&part, file).map_err(|error| format!("could not write {}: {error}", file.display()))?;
        Ok((contents, bytes))
    };
    let made: Result<_, BoxError> = made.await;
    if made.is_err() {
        let _ = fs::remove_file(&part); // there may be none
    }
    made
}

/// Tells a person at a terminal how far the copy is.
#[expect(clippy::print_stderr, reason = "progress is for the person at the terminal, beside the answer")]
async fn watched<T>(copy: impl Future<Output = T>, database: &Path, part: &Path) -> T {
    let size = |path: &Path| mib(fs::metadata(path).map_or(0, |found| found.len()));
    let shown = io::stderr().is_terminal();
    tokio::pin!(copy);
    let mut begun = false;
    loop {
        tokio::select! {
            done = &mut copy => {
                if begun {
                    eprintln!();
                }
                return done;
            }
            () = tokio::time::sleep(PROGRESS), if shown => {
                begun = true;
                eprint!("\rcopied {} of about {}  ", size(part), size(database));
            }
        }
    }
}

fn says(contents: &Contents) -> String {
    let newest = contents.newest.and_then(|at| Timestamp::from_millisecond(i64::try_from(at).ok()?).ok());
    match newest {
        Some(newest) => format!("{} events, the newest of {newest}", contents.events),
        None => format!("{} events", contents.events),
    }
}

fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}
