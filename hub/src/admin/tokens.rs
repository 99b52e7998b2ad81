//! The operators' tokens as they are now: the file is read again when it has changed, so that one that was taken out is refused at
//! once.

use confab_config::Config;
use confab_config::admin_tokens::{AdminTokens, is_readable_by_others};
use parking_lot::Mutex;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What tells one state of a file from another: inode, length, when its text was changed, and when it or its owner and mode was.
type FileState = (u64, u64, [i64; 4]);

/// The tokens that are taken.
pub struct Tokens {
    /// The file they are read from, if they are.
    file: Option<PathBuf>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// As it was when it was read.
    read: Option<FileState>,
    /// As it was when it was told that it cannot be read; `Some(None)`: it was not there.
    told: Option<Option<FileState>>,
    tokens: Option<Arc<AdminTokens>>,
}

impl Tokens {
    /// Reads the tokens of the settings, or makes the first one. Where neither can be done there is none, and nobody comes in: the
    /// hub's clients must not suffer from it.
    pub fn open(config: &Config) -> Self {
        let path = config.admin_tokens_path();
        let file = config.admin_token.is_none().then(|| path.clone());
        let seen = file.as_deref().and_then(state_of);
        let tokens = match config.open_admin_tokens() {
            Ok((tokens, made)) => {
                if made {
                    tracing::info!(file = %path.display(), "made an admin token, with which `confab` on this machine comes in");
                }
                Some(Arc::new(tokens))
            }
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::error!(%error, cause, "there is no admin token: the admin API refuses everybody; set `admin_token_file`");
                None
            }
        };
        if file.as_deref().is_some_and(is_readable_by_others) {
            tracing::warn!(file = %path.display(), "other users of this machine can read the admin tokens");
        }
        let read = seen.filter(|_| tokens.is_some());
        Self { file, state: Mutex::new(State { read, told: None, tokens }) }
    }

    /// Always these.
    #[cfg(test)]
    pub fn fixed(tokens: AdminTokens) -> Self {
        Self { file: None, state: Mutex::new(State { tokens: Some(Arc::new(tokens)), ..State::default() }) }
    }

    /// The tokens as they are now. A file that is not there any more, or that cannot be read, changes nothing, and is told once;
    /// it is looked for again each time.
    pub fn now(&self) -> Option<Arc<AdminTokens>> {
        let mut state = self.state.lock();
        if let Some(file) = &self.file {
            let found = state_of(file);
            if found.is_none() || found != state.read {
                state.read_again(file, found);
            }
        }
        state.tokens.clone()
    }
}

impl State {
    fn read_again(&mut self, file: &Path, found: Option<FileState>) {
        match AdminTokens::read(file) {
            Ok(tokens) => {
                tracing::info!(file = %file.display(), tokens = tokens.iter().count(), "read the admin tokens again");
                if is_readable_by_others(file) {
                    tracing::warn!(file = %file.display(), "other users of this machine can read the admin tokens");
                }
                *self = Self { read: found, told: None, tokens: Some(Arc::new(tokens)) };
            }
            Err(_) if self.told == Some(found) => {}
            Err(error) => {
                self.told = Some(found);
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::error!(%error, cause, "the admin tokens cannot be read, keeping those there were");
            }
        }
    }
}

fn state_of(file: &Path) -> Option<FileState> {
    let metadata = std::fs::metadata(file).ok()?;
    let times = [metadata.mtime(), metadata.mtime_nsec(), metadata.ctime(), metadata.ctime_nsec()];
    Some((metadata.ino(), metadata.len(), times))
}

#[cfg(test)]
mod tests {
    use super::*;
    use confab_config::admin_tokens;

    #[test]
    fn a_token_is_taken_as_soon_as_it_stands_in_the_file_and_refused_as_soon_as_it_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let config = Config { data: folder.path().join("data"), ..Config::default() };
        let tokens = Tokens::open(&config);
        let file = config.admin_tokens_path();
        let own = config.admin_tokens().unwrap().usable().unwrap().clone();
        let name = |token: &str| tokens.now().unwrap().name_of(token).map(str::to_owned);
        assert_eq!(name(own.expose()).as_deref(), Some("admin"));
        let ada = admin_tokens::add(&file, "ada").unwrap();
        assert_eq!(name(ada.expose()).as_deref(), Some("ada"));
        admin_tokens::remove(&file, "ada").unwrap();
        assert_eq!(name(ada.expose()), None);
        std::fs::write(&file, "ada:x\n").unwrap();
        assert_eq!(name(own.expose()).as_deref(), Some("admin"), "what cannot be read changes nothing");
    }

    #[test]
    fn a_file_that_goes_or_is_none_any_more_shuts_nobody_out_and_the_next_one_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tokens");
        let ada = admin_tokens::add(&file, "ada").unwrap();
        let config = Config { admin_token_file: Some(file.clone()), ..Config::default() };
        let tokens = Tokens::open(&config);
        let taken = |token: &str| tokens.now().unwrap().name_of(token).is_some();
        let elsewhere = folder.path().join("elsewhere");
        let aside = || std::fs::rename(&file, &elsewhere).unwrap();

        aside();
        assert!(taken(ada.expose()), "it is gone");
        std::fs::create_dir(&file).unwrap();
        assert!(taken(ada.expose()), "it is a folder");
        std::fs::remove_dir(&file).unwrap();
        for odd in ["/dev/zero", "/nowhere/at/all"] {
            std::os::unix::fs::symlink(odd, &file).unwrap();
            assert!(taken(ada.expose()), "it leads to {odd}");
            std::fs::remove_file(&file).unwrap();
        }
        assert!(std::process::Command::new("mkfifo").arg(&file).status().unwrap().success());
        assert!(taken(ada.expose()), "it is a pipe, into which nobody writes");
        std::fs::remove_file(&file).unwrap();
        std::fs::write(&file, "x".repeat(2 << 20)).unwrap();
        assert!(taken(ada.expose()), "it is longer than such a file is");
        std::fs::remove_file(&file).unwrap();

        // As Kubernetes mounts a secret: a link, which leads elsewhere when the secret changes.
        std::fs::write(folder.path().join("one"), "bob:the-token-of-bob-is-this\n").unwrap();
        std::fs::write(folder.path().join("two"), "eve:the-token-of-eve-is-this\n").unwrap();
        std::os::unix::fs::symlink("one", &file).unwrap();
        assert!(taken("the-token-of-bob-is-this") && !taken(ada.expose()));
        std::os::unix::fs::symlink("two", folder.path().join("next")).unwrap();
        std::fs::rename(folder.path().join("next"), &file).unwrap();
        assert!(taken("the-token-of-eve-is-this") && !taken("the-token-of-bob-is-this"));
    }

    #[test]
    fn a_change_of_mode_or_owner_is_a_change_of_the_file() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tokens");
        std::fs::write(&file, "ada:the-token-of-ada-is-this\n").unwrap();
        let before = state_of(&file);
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_ne!(state_of(&file), before, "whoever may read it is part of its state");
    }

    #[test]
    fn where_no_token_can_be_had_nobody_comes_in_and_the_hub_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("data"), "a file is in the way").unwrap();
        let config = Config { data: folder.path().join("data"), ..Config::default() };
        assert!(Tokens::open(&config).now().is_none());
    }
}
