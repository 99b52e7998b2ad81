//! Putting a backup into a data folder: what was there is moved aside, and a new generation begins.

use super::{DataFolder, lock};
use crate::backends::Error;
use crate::private_file;
use confab_store::{Contents, Store};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The database's file and those that SQLite keeps beside it.
const FILES: [&str; 4] = ["confab.db", "confab.db-wal", "confab.db-shm", "confab.db-journal"];
/// The copy, until it is known to be sound.
const INCOMING: &str = "confab.db.incoming";

/// What came of it.
#[derive(Debug)]
pub struct Restored {
    /// What the backup holds.
    pub contents: Contents,
    /// The generation that begins.
    pub generation: u64,
    /// Where the database went that was there before.
    pub moved: Option<PathBuf>,
}

impl DataFolder {
    /// Puts a copy of `backup` into the folder. A database that is there already is moved aside if `replace` says so; else it
    /// stays, and nothing is done.
    ///
    /// # Errors
    /// [`Error::InUse`] while a hub uses the folder; [`Error::Occupied`]; [`Error::Store`] where the backup is damaged, is no
    /// database of ours, or was made by a newer program; [`Error::Data`].
    pub async fn restore(data: &Path, backup: &Path, replace: bool) -> Result<Restored, Error> {
        let locked = lock(data)?;
        let failed = |source| Error::Data { path: data.to_owned(), source };
        let occupied = data.join(FILES[0]).exists();
        if occupied && !replace {
            return Err(Error::Occupied { path: data.to_owned() });
        }
        let incoming = data.join(INCOMING);
        let contents = match take_in(backup, &incoming).await {
            Ok(contents) => contents,
            Err(error) => {
                remove(&incoming);
                return Err(error);
            }
        };
        let moved = if occupied { Some(move_aside(data).map_err(failed)?) } else { None };
        fs::rename(&incoming, data.join(FILES[0])).map_err(failed)?;
        let (folder, store) = Self::open_locked(data, locked).await?;
        let generation = store.generation().await?;
        folder.close(&store).await;
        Ok(Restored { contents, generation, moved })
    }
}

/// Copies the backup beside the database, and looks whether it is sound.
async fn take_in(backup: &Path, incoming: &Path) -> Result<Contents, Error> {
    let unreadable = |source| Error::Data { path: backup.to_owned(), source };
    remove(incoming);
    let mut into = private_file::open(incoming).map_err(unreadable)?;
    let mut from = fs::File::open(backup).map_err(unreadable)?;
    io::copy(&mut from, &mut into).and_then(|_| into.sync_all()).map_err(unreadable)?;
    let store = Store::sqlite(incoming).await?;
    let sound = async {
        store.check_file().await?;
        store.newest_epoch().await?; // it is a database of ours
        store.pending_migrations().await?; // and of no newer program
        store.contents().await
    };
    let sound = sound.await;
    store.close().await;
    Ok(sound?)
}

/// Moves the database away, with what belongs to it; says where.
fn move_aside(data: &Path) -> io::Result<PathBuf> {
    let stamp = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%S%.3fZ").to_string();
    let aside = |file: &str| data.join(format!("{file}.before-restore-{stamp}"));
    for file in FILES.iter().filter(|file| data.join(file).exists()) {
        fs::rename(data.join(file), aside(file))?;
    }
    Ok(aside(FILES[0]))
}

/// Removes a copy that is of no use, with what SQLite made beside it.
fn remove(incoming: &Path) {
    for beside in ["", "-wal", "-shm", "-journal"] {
        let mut name = incoming.as_os_str().to_owned();
        name.push(beside);
        let _ = fs::remove_file(Path::new(&name)); // it is not there, or the next restore meets it again
    }
}
