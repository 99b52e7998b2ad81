//! Operators' tokens: the file that holds them, the one that a hub makes for its own machine, and how one is compared.
//!
//! A line is `name:token`, `name:blake3:<hash of the token>`, or a token alone, whose name is [`DEFAULT_NAME`]. What others
//! hold is kept as a hash; the hub's own machine needs the token itself.

use crate::secret::Secret;
use crate::settings::Config;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions, Permissions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The name of the file in `data`, where no other is given.
pub const FILE: &str = "admin-tokens";
/// Who has the token that a hub makes at its first start, and one without a name.
pub const DEFAULT_NAME: &str = "admin";
/// The shortest token.
pub const TOKEN_BYTES_MIN: usize = 16;
/// The longest file: some thousand operators.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// The longest name of a token.
const NAME_BYTES_MAX: usize = 64;
const HASHED: &str = "blake3:";

/// Why tokens cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file could not be read.
    #[error("could not read the admin tokens in {}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file could not be written.
    #[error("could not write the admin tokens into {}", .path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A line of the file is no token.
    #[error("line {line} of {} {why}", .path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Which, from 1.
        line: usize,
        /// What is wrong with it. Says nothing of what stands there.
        why: String,
    },
    /// The file names nobody.
    #[error("no admin token stands in {}", .path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// No random bytes.
    #[error("could not make a token: the system gives no random bytes")]
    Random,
    /// A name cannot be used.
    #[error("a token's name has 1 to {NAME_BYTES_MAX} of the characters a-z A-Z 0-9 . _ @ -")]
    Name,
}

/// One operator's token.
#[derive(Clone, Debug)]
pub struct AdminToken {
    /// Whose it is, as audit and moderation name them.
    pub name: String,
    hash: blake3::Hash,
    /// The token itself, where it is known.
    pub token: Option<Secret>,
}

/// The tokens that a hub takes.
#[derive(Clone, Debug, Default)]
pub struct AdminTokens(Vec<AdminToken>);

impl AdminTokens {
    /// A token that the settings give.
    pub fn given(token: &str) -> Self {
        Self(vec![AdminToken::new(DEFAULT_NAME, token.trim())])
    }

    /// Reads a file.
    ///
    /// # Errors
    /// It cannot be read, or a line is no token, or there is none.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let read = read_file(path);
        Self::parse(path, &read.map_err(|source| Error::Unreadable { path: path.into(), source })?)
    }

    fn parse(path: &Path, text: &str) -> Result<Self, Error> {
        let mut tokens = Vec::new();
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let token = AdminToken::parse(line);
            tokens.push(token.map_err(|why| Error::Line { path: path.into(), line: at + 1, why })?);
        }
        if tokens.is_empty() {
            return Err(Error::Empty { path: path.into() });
        }
        Ok(Self(tokens))
    }

    /// Whose token this is. Takes as long for a wrong one as for a right one: hashes are compared, in constant time, and all of them.
    pub fn name_of(&self, token: &str) -> Option<&str> {
        let hash = blake3::hash(token.as_bytes());
        let mut name = None;
        for known in &self.0 {
            // `blake3::Hash` compares in constant time.
            if known.hash == hash {
                name = Some(known.name.as_str());
            }
        }
        name
    }

    /// A token that this machine's own tools may use.
    pub fn usable(&self) -> Option<&Secret> {
        self.0.iter().find_map(|known| known.token.as_ref())
    }

    /// Whose tokens they are, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &AdminToken> {
        self.0.iter()
    }
}

impl AdminToken {
    fn new(name: &str, token: &str) -> Self {
        Self { name: name.to_owned(), hash: blake3::hash(token.as_bytes()), token: Some(Secret::new(token)) }
    }

    fn parse(line: &str) -> Result<Self, String> {
        let (name, token) = line.split_once(':').unwrap_or((DEFAULT_NAME, line));
        if !is_name(name) {
            return Err(format!("is not written like `name:token`: {}", Error::Name));
        }
        if let Some(hash) = token.strip_prefix(HASHED) {
            let hash = blake3::Hash::from_hex(hash).map_err(|_| "has no hash of 64 hexadecimal digits".to_owned())?;
            return Ok(Self { name: name.to_owned(), hash, token: None });
        }
        if token.len() < TOKEN_BYTES_MIN {
            return Err(format!("has a token that is shorter than {TOKEN_BYTES_MIN} bytes"));
        }
        if token.contains(char::is_whitespace) {
            return Err("has a token with a space in it".to_owned());
        }
        Ok(Self::new(name, token))
    }
}

/// The text of a file that is one: what has no end, or waits for whoever writes into it, would hold up the hub.
fn read_file(path: &Path) -> std::io::Result<String> {
    let metadata = std::fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(std::io::Error::new(ErrorKind::InvalidInput, "it is no file"));
    }
    if metadata.len() > FILE_BYTES_MAX {
        return Err(std::io::Error::new(ErrorKind::FileTooLarge, format!("it has more than {FILE_BYTES_MAX} bytes")));
    }
    let mut text = String::new();
    File::open(path)?.take(FILE_BYTES_MAX).read_to_string(&mut text)?;
    Ok(text)
}

fn is_name(name: &str) -> bool {
    let known = |c: char| c.is_ascii_alphanumeric() || "._@-".contains(c);
    (1..=NAME_BYTES_MAX).contains(&name.len()) && name.chars().all(known)
}

impl Config {
    /// The file of operators' tokens: the one that is named, or the hub's own.
    pub fn admin_tokens_path(&self) -> PathBuf {
        self.admin_token_file.clone().unwrap_or_else(|| self.data.join(FILE))
    }

    /// The tokens of operators, as they are now.
    ///
    /// # Errors
    /// [`Error`].
    pub fn admin_tokens(&self) -> Result<AdminTokens, Error> {
        match &self.admin_token {
            Some(token) => Ok(AdminTokens::given(token.expose())),
            None => AdminTokens::read(&self.admin_tokens_path()),
        }
    }

    /// The same at the start of a hub: where no token is given and none was made before, one is made. True if so.
    ///
    /// # Errors
    /// [`Error`].
    pub fn open_admin_tokens(&self) -> Result<(AdminTokens, bool), Error> {
        match self.admin_tokens() {
            Err(Error::Unreadable { source, path })
                if source.kind() == ErrorKind::NotFound && self.admin_token_file.is_none() =>
            {
                let made = create(&path, DEFAULT_NAME)?;
                Ok((AdminTokens::read(&path)?, made))
            }
            tokens => tokens.map(|tokens| (tokens, false)),
        }
    }
}

/// Makes the file with a token for this machine's own tools. False if another process was faster.
fn create(path: &Path, name: &str) -> Result<bool, Error> {
    let unwritable = |source| Error::Unwritable { path: path.into(), source };
    if let Some(folder) = path.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(unwritable)?;
    }
    // Written beside and linked into its place, so that nobody reads half of it and nobody's is overwritten.
    let beside = path.with_extension(format!("new-{}", std::process::id()));
    let _ = std::fs::remove_file(&beside); // of a process that died, with our number
    let text = format!(
        "# Operators' tokens. The first is for `confab` on this machine; `confab admin-token create NAME` adds others.\n{name}:{}\n",
        fresh()?
    );
    write_private(&beside, &text).map_err(unwritable)?;
    let linked = std::fs::hard_link(&beside, path);
    let _ = std::fs::remove_file(&beside);
    match linked {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(unwritable(error)),
    }
}

/// Adds a token for this name to the file, which holds its hash only, and returns it.
///
/// # Errors
/// [`Error`]; the file is as it was.
pub fn add(path: &Path, name: &str) -> Result<Secret, Error> {
    if !is_name(name) {
        return Err(Error::Name);
    }
    let mut text = match read_file(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            create(path, DEFAULT_NAME)?;
            read_file(path).map_err(|source| Error::Unreadable { path: path.into(), source })?
        }
        Err(source) => return Err(Error::Unreadable { path: path.into(), source }),
    };
    if !text.is_empty() {
        AdminTokens::parse(path, &text)?;
    }
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    let token = fresh()?;
    let _ = writeln!(text, "{name}:{HASHED}{}", blake3::hash(token.as_bytes())); // into a string: it cannot fail
    replace(path, &text)?;
    Ok(Secret::new(token))
}

/// Takes all tokens of this name out of the file; returns how many there were. One that is left alone there cannot be taken out:
/// nobody could come in any more.
///
/// # Errors
/// [`Error`]; the file is as it was.
pub fn remove(path: &Path, name: &str) -> Result<usize, Error> {
    let text = read_file(path).map_err(|source| Error::Unreadable { path: path.into(), source })?;
    let before = AdminTokens::parse(path, &text)?.0.len();
    let of_name = |line: &&str| AdminToken::parse(line.trim()).is_ok_and(|token| token.name == name);
    let kept: String = text.lines().filter(|line| !of_name(line)).map(|line| format!("{line}\n")).collect();
    let after = AdminTokens::parse(path, &kept)?.0.len();
    if after < before {
        replace(path, &kept)?;
    }
    Ok(before - after)
}

/// 256 random bits in hexadecimal, with a beginning by which scanners of secrets know what they have found.
fn fresh() -> Result<String, Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|_| Error::Random)?;
    Ok(bytes.iter().fold("confab_admin_".to_owned(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // into a string: it cannot fail
        text
    }))
}

fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file: File = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Puts another text into the place of the file's: whoever reads meanwhile reads all of one or all of the other. A link stays one.
fn replace(path: &Path, text: &str) -> Result<(), Error> {
    let unwritable = |source| Error::Unwritable { path: path.into(), source };
    let path = &std::fs::canonicalize(path).map_err(unwritable)?;
    let beside = path.with_extension(format!("new-{}", std::process::id()));
    let _ = std::fs::remove_file(&beside); // of a process that died, with our number
    write_private(&beside, text).and_then(|()| std::fs::rename(&beside, path)).map_err(unwritable)
}

/// Whether others than its owner may read a file.
pub fn is_readable_by_others(path: &Path) -> bool {
    let mode = |permissions: Permissions| permissions.mode() & 0o077 != 0;
    std::fs::metadata(path).is_ok_and(|metadata| mode(metadata.permissions()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<AdminTokens, Error> {
        AdminTokens::parse(Path::new("tokens"), text)
    }

    #[test]
    fn every_token_has_a_name_and_a_hash_is_as_good_as_the_token() {
        let hash = blake3::hash(b"the-token-of-bob-is-this");
        let text = format!("# ours\n\nada:the-token-of-ada-is-this\nbob:blake3:{hash}\n  a-token-without-a-name \n");
        let tokens = read(&text).unwrap();
        assert_eq!(tokens.name_of("the-token-of-ada-is-this"), Some("ada"));
        assert_eq!(tokens.name_of("the-token-of-bob-is-this"), Some("bob"));
        assert_eq!(tokens.name_of("a-token-without-a-name"), Some("admin"));
        for wrong in ["", "ada", "the-token-of-ada-is-thi", &hash.to_string(), &format!("blake3:{hash}")] {
            assert_eq!(tokens.name_of(wrong), None, "{wrong}");
        }
        assert_eq!(tokens.usable().unwrap().expose(), "the-token-of-ada-is-this");
    }

    #[test]
    fn what_is_no_token_is_named_by_its_line_and_never_shown() {
        for bad in [
            "ada:short",
            "a name:with-a-space-in-front",
            "ada:blake3:0123",
            ":a-token-without-a-name",
            "a-token with a space",
        ] {
            let error = read(&format!("ada:the-token-of-ada-is-this\n{bad}\n")).unwrap_err().to_string();
            assert!(error.starts_with("line 2 of tokens ") && !error.contains(bad), "{error}");
        }
        assert!(matches!(read("# nobody\n"), Err(Error::Empty { .. })));
    }

    #[test]
    fn the_first_start_makes_a_token_that_only_its_owner_reads_and_the_next_finds_it() {
        let folder = tempfile::tempdir().unwrap();
        let config = Config { data: folder.path().join("data"), ..Config::default() };
        let (first, made) = config.open_admin_tokens().unwrap();
        assert!(made && first.usable().unwrap().expose().len() > 64);
        let path = config.admin_tokens_path();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        assert!(!is_readable_by_others(&path));
        let (again, made) = config.open_admin_tokens().unwrap();
        assert!(!made);
        assert_eq!(again.usable(), first.usable());
    }

    #[test]
    fn tokens_come_and_go_by_name_and_the_last_one_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens");
        let ada = add(&path, "ada").unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains(ada.expose()), "only its hash stands there: {text}");
        let tokens = AdminTokens::read(&path).unwrap();
        assert_eq!(tokens.name_of(ada.expose()), Some("ada"));
        assert_eq!(tokens.iter().map(|token| token.name.as_str()).collect::<Vec<_>>(), ["admin", "ada"]);
        assert!(matches!(add(&path, "a b"), Err(Error::Name)));
        assert_eq!((remove(&path, "nobody").unwrap(), remove(&path, "ada").unwrap()), (0, 1));
        assert_eq!(AdminTokens::read(&path).unwrap().name_of(ada.expose()), None);
        assert!(matches!(remove(&path, "admin"), Err(Error::Empty { .. })));
        assert!(AdminTokens::read(&path).unwrap().usable().is_some());
    }

    #[test]
    fn a_link_stays_one_and_the_file_that_it_leads_to_has_what_was_added_and_not_what_was_removed() {
        let folder = tempfile::tempdir().unwrap();
        let [file, link] = ["elsewhere/tokens", "tokens"].map(|name| folder.path().join(name));
        std::fs::create_dir(folder.path().join("elsewhere")).unwrap();
        add(&file, "ada").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let bob = add(&link, "bob").unwrap();
        assert!(link.is_symlink());
        assert_eq!(AdminTokens::read(&file).unwrap().name_of(bob.expose()), Some("bob"));
        assert_eq!(remove(&link, "bob").unwrap(), 1);
        assert!(link.is_symlink());
        assert_eq!(AdminTokens::read(&file).unwrap().name_of(bob.expose()), None);
    }

    #[test]
    fn what_is_no_file_is_said_to_be_none_and_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens");
        std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
        let why = |error: Error| std::error::Error::source(&error).unwrap().to_string();
        assert_eq!(why(AdminTokens::read(&path).unwrap_err()), "it is no file");
        assert_eq!(why(add(&path, "ada").unwrap_err()), "it is no file");
        assert_eq!(why(remove(&path, "ada").unwrap_err()), "it is no file");
        assert!(path.is_symlink());
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert_eq!(why(AdminTokens::read(&path).unwrap_err()), "it is no file");
    }

    #[test]
    fn a_file_that_is_named_is_not_made() {
        let folder = tempfile::tempdir().unwrap();
        let config = Config { admin_token_file: Some(folder.path().join("none")), ..Config::default() };
        assert!(matches!(config.open_admin_tokens(), Err(Error::Unreadable { .. })));
    }
}
