//! What a tool on the same machine needs to ask a running hub: where it is, and a token. Read as leniently as can be, since operators
//! come when something is wrong, with hub.toml perhaps.

use crate::admin_tokens::{AdminTokens, Error};
use crate::diagnostic::Diagnostics;
use crate::load::{load, load_only};
use crate::secret::Secret;
use crate::settings::Config;
use std::net::SocketAddr;
use std::path::Path;

/// The settings that say where a hub is and who may come in.
const NEEDED: [&str; 5] = ["listen", "admin", "admin_token", "admin_token_file", "data"];

/// How to ask a hub.
#[derive(Debug)]
pub struct AdminAccess {
    /// Where it listens.
    pub admin: SocketAddr,
    /// A token that it takes, or why there is none.
    pub token: Result<Secret, Error>,
    /// Whether somebody said which token: then it is meant for any hub. The one that a hub made itself is for that hub.
    pub given: bool,
}

impl AdminAccess {
    fn of(config: &Config) -> Self {
        let given = config.admin_token.is_some() || config.admin_token_file.is_some();
        // A hub that listens everywhere is reached over loopback.
        let mut admin = config.admin;
        if admin.ip().is_unspecified() {
            admin.set_ip(if admin.is_ipv4() { [127, 0, 0, 1].into() } else { std::net::Ipv6Addr::LOCALHOST.into() });
        }
        let path = config.admin_tokens_path();
        let token =
            config.admin_tokens().and_then(|tokens| AdminTokens::usable(&tokens).cloned().ok_or(Error::Empty { path }));
        Self { admin, token, given }
    }
}

/// Reads the settings as [`load`] does. Where they are wrong, only what is needed is read; where that cannot be either (no TOML) and
/// `address_known`, defaults must do.
///
/// # Errors
/// All that is wrong with the settings.
pub fn admin_access(
    path: Option<&Path>,
    env: impl Iterator<Item = (String, String)>,
    flags: Vec<(String, toml::Value)>,
    address_known: bool,
) -> Result<AdminAccess, Diagnostics> {
    let env: Vec<(String, String)> = env.collect();
    let wrong = match load(path, env.iter().cloned(), flags.clone()) {
        Ok(loaded) => return Ok(AdminAccess::of(&loaded.config)),
        Err(wrong) => wrong,
    };
    match load_only(&NEEDED, path, env, flags, address_known) {
        Some(loaded) => Ok(AdminAccess::of(&loaded.config)),
        None => Err(wrong),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    const TOKEN: &str = "a-token-of-the-tests";

    fn access(folder: &Path, text: &str, address_known: bool) -> Result<AdminAccess, Diagnostics> {
        let file: PathBuf = folder.join("hub.toml");
        std::fs::write(&file, text).unwrap();
        admin_access(Some(&file), std::iter::empty(), Vec::new(), address_known)
    }

    #[test]
    fn a_tool_finds_hub_and_token_by_the_file_alone_also_where_other_settings_are_wrong() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("files");
        std::fs::create_dir(&data).unwrap();
        std::fs::write(data.join("admin-tokens"), format!("ada:blake3:{}\nadmin:{TOKEN}\n", "0".repeat(64))).unwrap();
        let good = "admin = \"127.0.0.1:9123\"\ndata = \"files\"\n";
        for more in [
            "",
            "[limits]\nframe = \"a lot\"\n",
            "nonsense = 1\n[plugin.gone]\nmodule = 5\n[[chain]]\nplugins = [\"x\"]\n",
        ] {
            let found = access(folder.path(), &format!("{good}{more}"), false).unwrap();
            assert_eq!(
                (found.admin.port(), found.token.unwrap().expose(), found.given),
                (9123, TOKEN, false),
                "{more}"
            );
        }
        assert!(access(folder.path(), &format!("{good}[[["), false).is_err());
        assert!(access(folder.path(), "admin = \"nowhere\"\n", false).is_err());
        let default = folder.path().join("confab-data");
        std::fs::rename(&data, &default).unwrap();
        assert_eq!(access(folder.path(), "[[[", true).unwrap().token.unwrap().expose(), TOKEN);
        let everywhere = format!("admin = \"0.0.0.0:9000\"\nadmin_token = \"{TOKEN}\"\n");
        let found = access(folder.path(), &everywhere, false).unwrap();
        assert_eq!((found.admin.to_string().as_str(), found.given), ("127.0.0.1:9000", true));
    }

    #[test]
    fn where_no_hub_has_started_yet_it_says_which_file_it_looked_for() {
        let folder = tempfile::tempdir().unwrap();
        let error = access(folder.path(), "", false).unwrap().token.unwrap_err().to_string();
        assert!(error.contains("confab-data/admin-tokens"), "{error}");
    }
}
