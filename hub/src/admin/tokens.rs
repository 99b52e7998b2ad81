//! The operators' tokens as they are now: the file is read again when it has changed, so that one that was taken out is refused at
//! once.

use confab_config::Config;
use confab_config::admin_tokens::{AdminTokens, is_readable_by_others};
use parking_lot::Mutex;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What tells one state of a file from another: inode, length, time of change.
type FileState = (u64, u64, i64, i64);

/// The tokens that are taken.
pub struct Tokens {
    /// The file they are read from, if they are.
    file: Option<PathBuf>,
    state: Mutex<(Option<FileState>, Option<Arc<AdminTokens>>)>,
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
        let seen = seen.filter(|_| tokens.is_some());
        Self { file, state: Mutex::new((seen, tokens)) }
    }

    /// Always these.
    #[cfg(test)]
    pub fn fixed(tokens: AdminTokens) -> Self {
        Self { file: None, state: Mutex::new((None, Some(Arc::new(tokens)))) }
    }

    /// The tokens as they are now. A file that is not there any more, or that cannot be read, changes nothing.
    pub fn now(&self) -> Option<Arc<AdminTokens>> {
        let mut state = self.state.lock();
        if let Some(file) = &self.file {
            let found = state_of(file);
            if found.is_some() && found != state.0 {
                state.0 = found;
                match AdminTokens::read(file) {
                    Ok(tokens) => {
                        tracing::info!(file = %file.display(), tokens = tokens.iter().count(), "read the admin tokens again");
                        state.1 = Some(Arc::new(tokens));
                    }
                    Err(error) => tracing::error!(%error, "the admin tokens cannot be read, keeping those there were"),
                }
            }
        }
        state.1.clone()
    }
}

fn state_of(file: &Path) -> Option<FileState> {
    let metadata = std::fs::metadata(file).ok()?;
    Some((metadata.ino(), metadata.len(), metadata.mtime(), metadata.mtime_nsec()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use confab_config::admin_tokens;

    #[test]
    fn a_token_is_taken_as_soon_as_it_stands_in_the_file_and_refused_as_soon_as_it_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let config = Config { data: folder.path().join("data"), ..Config::default() };
        let (tokens, file) = (Tokens::open(&config), config.admin_tokens_path());
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
    fn where_no_token_can_be_had_nobody_comes_in_and_the_hub_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("data"), "a file is in the way").unwrap();
        let config = Config { data: folder.path().join("data"), ..Config::default() };
        assert!(Tokens::open(&config).now().is_none());
    }
}
