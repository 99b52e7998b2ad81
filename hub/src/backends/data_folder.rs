//! The folder of an embedded hub: one process uses it at a time, and the next finds out whether it is as it was left.
//!
//! A database that was restored from a copy, or copied without what SQLite keeps beside it, lacks events that people have
//! heard. Going on from where it ends would give their places to other events, so a new generation begins instead. What
//! tells: the file itself (its inode and when it was made), a random mark that each process writes into the database and
//! beside it, and, after a process that was killed, SQLite's log, which must still be there.

mod restore;

pub use restore::Restored;

use super::{Error, database};
use crate::private_file;
use confab_store::Store;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use uuid::Uuid;

/// The file that is locked while a process uses the folder. It is empty.
const LOCK: &str = "confab.lock";
/// What the last process that used the folder noted of it.
const NOTE: &str = "confab.mark";

/// A folder that this process uses alone, until this is dropped.
#[derive(Debug)]
pub struct DataFolder {
    path: PathBuf,
    note: Note,
    migrated: Vec<String>,
    /// Locked. The system unlocks it when the process ends, however it ends.
    _lock: File,
}

/// What a process notes of the database, beside it.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Note {
    /// Any of these is in the database: the one before, until the new one is written there.
    marks: Vec<String>,
    database: Identity,
    generation: u64,
    /// A process uses it, or was killed while it did.
    open: bool,
}

/// Tells a file from a copy of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Identity {
    inode: u64,
    /// Milliseconds since 1970; 0 where the file system does not say.
    made: u64,
}

/// How the folder was found.
struct Found {
    note: Option<Note>,
    database: Option<Identity>,
    has_log: bool,
}

impl DataFolder {
    /// Takes the folder, which is made if there is none, and opens and migrates the store in it. The store's generation is a
    /// new one if it is not as the last process left it.
    ///
    /// # Errors
    /// [`Error::InUse`] while another process uses it; [`Error::Data`], [`Error::Store`].
    pub async fn open(data: &Path) -> Result<(Self, Store), Error> {
        Self::open_locked(data, lock(data)?).await
    }

    async fn open_locked(data: &Path, lock: File) -> Result<(Self, Store), Error> {
        let failed = |source| Error::Data { path: data.to_owned(), source };
        let found = Found::look(data).map_err(failed)?;
        let store = Store::sqlite(&database(data)?).await?;
        let migrated = store.pending_migrations().await?;
        store.migrate().await?;
        let before = store.mark().await?;
        let generation = found.generation(&store, before.as_deref()).await?;
        let mark = fresh_mark();
        let identity = identity(&data.join("confab.db")).map_err(failed)?;
        let marks = before.into_iter().chain([mark.clone()]).collect();
        let note = Note { marks, database: identity, generation, open: true };
        // A disk that is full must not keep a hub from serving what is there; the mark before goes on to be good.
        let noted = match note.write(data) {
            Ok(()) => store.set_mark(&mark).await.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(error) = noted {
            tracing::warn!(folder = %data.display(), error, "could not note that the database is in use");
        }
        Ok((Self { path: data.to_owned(), note, migrated, _lock: lock }, store))
    }

    /// The migrations that were applied when it was opened.
    pub fn migrated(&self) -> &[String] {
        &self.migrated
    }

    /// Closes the store, and notes how it was left. Where that fails the next process begins a generation, which is no harm.
    pub async fn close(mut self, store: &Store) {
        let mark = fresh_mark();
        self.note.marks.push(mark.clone());
        let marked = match self.note.write(&self.path) {
            Ok(()) => store.set_mark(&mark).await.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        store.close().await;
        let closed = marked.and_then(|()| {
            let note = Note { marks: vec![mark], open: false, ..self.note };
            note.write(&self.path).map_err(|error| error.to_string())
        });
        if let Err(error) = closed {
            tracing::warn!(folder = %self.path.display(), error, "could not note how the database was left");
        }
    }
}

impl Found {
    fn look(data: &Path) -> io::Result<Self> {
        let database = match identity(&data.join("confab.db")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            found => Some(found?),
        };
        let note = match fs::read(data.join(NOTE)) {
            Ok(text) => serde_json::from_slice(&text).inspect_err(|error| {
                tracing::warn!(file = NOTE, %error, "could not read what the last process noted of the database");
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Self { note: None, database, has_log: false });
            }
            Err(error) => return Err(error),
        };
        Ok(Self { note: note.ok(), database, has_log: data.join("confab.db-wal").exists() })
    }

    /// The generation to go on with: the store's, or a new one if the store is not what the last process left here.
    async fn generation(&self, store: &Store, mark: Option<&str>) -> Result<u64, Error> {
        let newest = store.newest_epoch().await?;
        let is_new = self.note.is_none() && newest.is_none();
        let Some(why) = self.differs(mark).filter(|_| !is_new) else { return Ok(store.generation().await?) };
        let noted = self.note.as_ref().map_or(0, |note| note.generation + 1);
        // The time, so that a second process that starts from the same copy does not begin the same generation.
        let least = noted.max(seconds_since_1970()).max(newest.map_or(0, |epoch| epoch + 1));
        let generation = store.next_generation(least).await?;
        tracing::warn!(generation, why, "the database is not as it was left: a new generation begins");
        Ok(generation)
    }

    /// How the database differs from what was left here.
    fn differs(&self, mark: Option<&str>) -> Option<&'static str> {
        let Some(note) = &self.note else { return Some("nobody noted how it was left") };
        if self.database != Some(note.database) {
            return Some("it is another file");
        }
        if !note.marks.iter().any(|noted| Some(noted.as_str()) == mark) {
            return Some("it has another mark");
        }
        (note.open && !self.has_log).then_some("the log beside it is gone")
    }
}

impl Note {
    fn write(&self, data: &Path) -> io::Result<()> {
        let text = serde_json::to_vec(self).map_err(io::Error::other)?;
        private_file::replace(&data.join(NOTE), &text)
    }
}

fn lock(data: &Path) -> Result<File, Error> {
    let failed = |source| Error::Data { path: data.to_owned(), source };
    private_file::folder(data).map_err(failed)?;
    let file = private_file::open(&data.join(LOCK)).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::InUse { path: data.to_owned() }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

fn identity(file: &Path) -> io::Result<Identity> {
    let metadata = fs::metadata(file)?;
    let made = metadata.created().ok().and_then(|made| made.duration_since(SystemTime::UNIX_EPOCH).ok());
    let made = made.and_then(|since| u64::try_from(since.as_millis()).ok()).unwrap_or_default();
    Ok(Identity { inode: metadata.ino(), made })
}

fn fresh_mark() -> String {
    Uuid::now_v7().to_string()
}

fn seconds_since_1970() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs())
}

#[cfg(test)]
#[path = "data_folder/tests.rs"]
mod tests;
