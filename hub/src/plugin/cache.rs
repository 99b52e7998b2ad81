//! Compiled plugins on disk, so that a start or a reload does not compile what was compiled before.
//!
//! An entry is named by all that it was made from, and ends with a digest of itself. What lies here is run as native code, so
//! the folder must be the hub's own: one that others may write to is not used.

use super::engine::Engine;
use std::fs::{self, DirBuilder, File};
use std::hash::{Hash, Hasher};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use tracing::warn;
use wasmtime::component::Component;

/// How many bytes all entries may take together; the oldest go first.
const BYTES_MAX: u64 = 1 << 30;

/// The length of the digest at an entry's end.
const DIGEST: usize = blake3::OUT_LEN;

/// A folder of compiled plugins, or none.
#[derive(Clone, Debug, Default)]
pub struct Cache(Option<PathBuf>);

/// A compiled plugin.
pub struct Entry {
    /// The component.
    pub component: Component,
    /// Its instances start configured.
    pub configured: bool,
}

/// What an entry is made from.
pub struct Key(String);

impl Key {
    /// The key of a component with this hash; where it is a snapshot of a configured instance, its settings and memory are part
    /// of what it is made from.
    pub fn new(hash: &str, configured: Option<(&str, usize)>, engine: &Engine) -> Self {
        let mut hasher = Blake(blake3::Hasher::new());
        ("confab plugin", 1_u32, hash, configured).hash(&mut hasher);
        engine.compatibility().hash(&mut hasher);
        Self(hasher.0.finalize().to_hex().to_string())
    }
}

/// Blake3 behind the standard library's face for hashers.
struct Blake(blake3::Hasher);

impl Hasher for Blake {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let digest = self.0.finalize();
        u64::from_le_bytes(std::array::from_fn(|n| digest.as_bytes()[n]))
    }
}

impl Cache {
    /// A cache in this folder, which is made if it is missing. Where it cannot be used, there is none: plugins are compiled at
    /// each start, and the log says why.
    pub fn open(folder: Option<&Path>) -> Self {
        let Some(folder) = folder else { return Self::default() };
        match own(folder) {
            Ok(()) => Self(Some(folder.to_owned())),
            Err(error) => {
                warn!(folder = %folder.display(), %error, "no cache of compiled plugins: every start compiles them");
                Self::default()
            }
        }
    }

    /// The entry under a key, if there is one that is whole.
    pub fn get(&self, key: &Key, engine: &Engine) -> Option<Entry> {
        let file = self.file(key)?;
        let bytes = fs::read(&file).ok()?;
        let (content, digest) = bytes.split_at_checked(bytes.len().checked_sub(DIGEST)?)?;
        if blake3::hash(content).as_bytes() != digest {
            warn!(file = %file.display(), "a compiled plugin is damaged, it is compiled anew");
            return None;
        }
        let (&configured, compiled) = content.split_first()?;
        // SAFETY: the bytes are, by their digest, what `put` wrote from `Component::serialize`, in a folder that `open` found
        // to be writable by this user alone; wasmtime itself checks its version and settings.
        #[allow(unsafe_code, reason = "wasmtime cannot check compiled code; see SAFETY")]
        let component = unsafe { Component::deserialize(engine.wasmtime(), compiled) };
        match component {
            Ok(component) => Some(Entry { component, configured: configured != 0 }),
            Err(error) => {
                warn!(file = %file.display(), %error, "a compiled plugin does not fit, it is compiled anew");
                None
            }
        }
    }

    /// Keeps an entry. That it cannot is logged, and no more: the plugin runs without.
    pub fn put(&self, key: &Key, entry: &Entry) {
        let Some(file) = self.file(key) else { return };
        if let Err(error) = self.write(&file, entry) {
            warn!(file = %file.display(), %error, "could not keep a compiled plugin");
        }
    }

    fn write(&self, file: &Path, entry: &Entry) -> io::Result<()> {
        let compiled = entry.component.serialize().map_err(io::Error::other)?;
        let content = [&[u8::from(entry.configured)], compiled.as_slice()].concat();
        let unfinished = file.with_extension(format!("{}.new", std::process::id()));
        let mut out = File::options().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
        out.write_all(&content)?;
        out.write_all(blake3::hash(&content).as_bytes())?;
        drop(out);
        fs::rename(&unfinished, file)?;
        self.prune()
    }

    /// Removes the oldest entries while all together take too much.
    fn prune(&self) -> io::Result<()> {
        let Some(folder) = &self.0 else { return Ok(()) };
        let mut entries: Vec<(SystemTime, u64, PathBuf)> = fs::read_dir(folder)?
            .flatten()
            .filter_map(|entry| {
                let metadata = entry.metadata().ok()?;
                Some((metadata.modified().ok()?, metadata.len(), entry.path()))
            })
            .collect();
        entries.sort();
        let mut total: u64 = entries.iter().map(|(_, bytes, _)| bytes).sum();
        for (_, bytes, path) in entries {
            if total <= BYTES_MAX {
                break;
            }
            fs::remove_file(path)?;
            total -= bytes;
        }
        Ok(())
    }

    fn file(&self, key: &Key) -> Option<PathBuf> {
        Some(self.0.as_ref()?.join(format!("{}.cwasm", key.0)))
    }
}

/// Makes the folder where it is missing, and sees to it that nobody else can write to it.
fn own(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let metadata = fs::metadata(folder)?;
    // A file of our own tells who we are, without asking the system for it.
    let probe = folder.join(format!(".probe-{}-{:?}", std::process::id(), std::thread::current().id()));
    let us = File::options().write(true).create(true).truncate(true).mode(0o600).open(&probe)?.metadata()?.uid();
    fs::remove_file(&probe)?;
    if metadata.uid() != us {
        return Err(io::Error::other("the folder belongs to another user"));
    }
    if metadata.mode() & 0o022 != 0 {
        return Err(io::Error::other("others may write to the folder: take that right away (chmod go-w)"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    const EMPTY: &str = "(component)";

    fn entry(engine: &Engine) -> Entry {
        Entry { component: Component::new(engine.wasmtime(), EMPTY).unwrap(), configured: true }
    }

    #[test]
    fn what_is_kept_is_found_again_and_only_under_its_own_key() {
        let engine = Engine::new(1).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(Some(&folder.path().join("new")));
        let key = |settings| Key::new("hash", Some((settings, 1)), &engine);
        cache.put(&key("{}"), &entry(&engine));
        assert!(cache.get(&key("{}"), &engine).unwrap().configured);
        assert!(cache.get(&key("{\"a\":1}"), &engine).is_none());
        assert!(cache.get(&Key::new("hash", None, &engine), &engine).is_none());
    }

    #[test]
    fn a_damaged_entry_is_not_run() {
        let engine = Engine::new(1).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(Some(folder.path()));
        let key = Key::new("hash", None, &engine);
        cache.put(&key, &entry(&engine));
        let file = cache.file(&key).unwrap();
        let whole = fs::read(&file).unwrap();
        for damaged in [&whole[..whole.len() - 1], &whole[..10], &[][..], &[&whole[..], b"x"].concat()] {
            fs::write(&file, damaged).unwrap();
            assert!(cache.get(&key, &engine).is_none());
        }
        fs::write(&file, &whole).unwrap();
        assert!(cache.get(&key, &engine).is_some());
    }

    #[test]
    fn a_folder_that_others_may_write_to_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        assert!(Cache::open(Some(folder.path())).0.is_none());
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        assert!(Cache::open(Some(folder.path())).0.is_some());
    }
}
