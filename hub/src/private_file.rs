//! Files and folders that hold people's words or secrets: only the user who runs the hub may read them.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use tracing::{info, warn};

const FOLDER: u32 = 0o700;
const FILE: u32 = 0o600;
/// What the owner's group and everybody else may do.
const OTHERS: u32 = 0o077;

/// Makes the folder where it is missing, and takes from others what they may do there.
///
/// # Errors
/// The folder cannot be made.
pub fn folder(path: &Path) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    DirBuilder::new().recursive(true).mode(FOLDER).create(path)?;
    tighten(path);
    Ok(())
}

/// Opens the file to be read and written, and makes it where it is missing; what is in it stays. Takes from others what
/// they may do with it.
///
/// # Errors
/// The file cannot be opened or made.
pub fn open(path: &Path) -> io::Result<File> {
    let file = File::options().read(true).write(true).create(true).truncate(false).mode(FILE).open(path)?;
    tighten(path);
    Ok(file)
}

/// Takes from others what they may do with a file or folder, if it is there. A volume may belong to somebody else, who alone
/// can change that: then it stays as it is, and the log says so.
pub fn tighten(path: &Path) {
    let Ok(metadata) = fs::metadata(path) else { return };
    let was = metadata.permissions().mode() & 0o777;
    if was & OTHERS == 0 {
        return;
    }
    let now = was & !OTHERS;
    match fs::set_permissions(path, Permissions::from_mode(now)) {
        Ok(()) => {
            info!(path = %path.display(), was = format!("{was:o}"), now = format!("{now:o}"), "permissions tightened")
        }
        Err(error) => warn!(path = %path.display(), mode = format!("{was:o}"), %error, "other users may read this"),
    }
}

/// Writes the file, whole or not at all; one that is there keeps its permissions, a new one is the owner's alone.
///
/// # Errors
/// The file cannot be written.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let unfinished = path.with_file_name(name);
    let written = write_new(&unfinished, path, content).and_then(|()| fs::rename(&unfinished, path));
    if written.is_err() {
        // What went wrong is said by the error; a file that is left over does no harm.
        let _ = fs::remove_file(&unfinished);
    }
    written
}

fn write_new(unfinished: &Path, like: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = File::options().write(true).create(true).truncate(true).mode(FILE).open(unfinished)?;
    file.write_all(content)?;
    if let Ok(before) = fs::metadata(like) {
        file.set_permissions(before.permissions())?;
    }
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn what_is_made_is_the_owners_alone_and_what_others_could_read_they_cannot_any_more() {
        let place = tempfile::tempdir().unwrap();
        let made = place.path().join("a/made");
        let wide = place.path().join("wide");
        fs::create_dir(&wide).unwrap();
        fs::set_permissions(&wide, Permissions::from_mode(0o755)).unwrap();
        for path in [&made, &wide] {
            folder(path).unwrap();
            assert_eq!(mode(path), 0o700, "{}", path.display());
        }
        let file = made.join("token");
        fs::write(&file, "secret").unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
        for path in [&file, &made.join("new")] {
            open(path).unwrap();
            assert_eq!(mode(path), 0o600, "{}", path.display());
        }
        assert_eq!(fs::read_to_string(file).unwrap(), "secret");
    }

    #[test]
    fn a_file_that_is_replaced_keeps_its_permissions() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("hub.toml");
        replace(&file, b"one").unwrap();
        assert_eq!(mode(&file), 0o600);
        fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
        replace(&file, b"two").unwrap();
        assert_eq!((mode(&file), fs::read_to_string(&file).unwrap().as_str()), (0o640, "two"));
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1, "nothing unfinished is left");
    }
}
