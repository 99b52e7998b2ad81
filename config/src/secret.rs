//! Secrets: where they are read from, and how they are kept out of everything that is printed.

pub use crate::human::Secret;

use crate::human::HIDDEN;
use crate::settings::{Config, PostgresConfig, RedisConfig};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A secret that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file that should hold it could not be read.
    #[error("could not read `{key}` from {}", path.display())]
    Unreadable {
        /// The setting that names the file.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file that should hold it is empty.
    #[error("`{key}` names {}, which is empty", path.display())]
    Empty {
        /// The setting that names the file.
        key: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// Neither the setting nor its `_file` twin is given.
    #[error("neither `{key}` nor `{key}_file` is given")]
    Missing {
        /// The setting without `_file`.
        key: &'static str,
    },
}

impl Config {
    /// The secret of HS256 tokens, given in the settings or read from its file now. `None` if neither is given.
    pub fn hmac_secret(&self) -> Result<Option<Secret>, Error> {
        resolve("auth.hmac_secret_file", self.auth.hmac_secret.as_deref(), self.auth.hmac_secret_file.as_deref())
    }

    /// The secret before, with which HS256 tokens may still be signed. `None` if there is none.
    pub fn hmac_secret_previous(&self) -> Result<Option<Secret>, Error> {
        let auth = &self.auth;
        let file = auth.hmac_secret_previous_file.as_deref();
        resolve("auth.hmac_secret_previous_file", auth.hmac_secret_previous.as_deref(), file)
    }
}

impl RedisConfig {
    /// The url with user and password, given in the settings or read from its file now.
    pub fn read_url(&self) -> Result<Secret, Error> {
        resolve("timeline.redis.url_file", self.url.as_deref(), self.url_file.as_deref())?
            .ok_or(Error::Missing { key: "timeline.redis.url" })
    }
}

impl PostgresConfig {
    /// The url with user and password, given in the settings or read from its file now.
    pub fn read_url(&self) -> Result<Secret, Error> {
        resolve("store.postgres.url_file", self.url.as_deref(), self.url_file.as_deref())?
            .ok_or(Error::Missing { key: "store.postgres.url" })
    }
}

fn resolve(key: &'static str, given: Option<&str>, file: Option<&Path>) -> Result<Option<Secret>, Error> {
    let Some(path) = file else { return Ok(given.map(Secret::new)) };
    let text = std::fs::read_to_string(path).map_err(|source| Error::Unreadable { key, path: path.into(), source })?;
    // Editors and `echo` end a file with a line break, which is no part of the secret.
    match text.trim_end_matches(['\r', '\n']) {
        "" => Err(Error::Empty { key, path: path.into() }),
        secret => Ok(Some(Secret::new(secret))),
    }
}

/// Whether a key's name says that its value is a secret. Keys that name a file or a place are none.
pub(crate) fn is_secret_key(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    let place = key.ends_with("_file") || key.ends_with(".location") || key.ends_with("url");
    !place
        && ["secret", "password", "passwd", "token", "api_key", "apikey", "ssl.key.pem"].iter().any(|w| key.contains(w))
}

/// The url with stars in place of its password.
pub(crate) fn hide_url(url: &str) -> String {
    let mut shown = url.to_owned();
    // From the right, so that earlier places stay where they were found.
    for place in passwords(url).into_iter().rev() {
        shown.replace_range(place, HIDDEN);
    }
    shown
}

/// The options with stars in place of secrets.
pub(crate) fn hide_options(options: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    options
        .iter()
        .map(|(key, value)| (key.clone(), if is_secret_key(key) { HIDDEN.to_owned() } else { hide_url(value) }))
        .collect()
}

/// The table with stars in place of every secret in it, at any depth.
pub(crate) fn hide_table(table: &mut toml::Table) {
    for (key, value) in table.iter_mut() {
        hide_value(is_secret_key(key), value);
    }
}

fn hide_value(secret: bool, value: &mut toml::Value) {
    match value {
        toml::Value::Table(table) => hide_table(table),
        toml::Value::Array(values) => values.iter_mut().for_each(|value| hide_value(secret, value)),
        value if secret => *value = HIDDEN.into(),
        toml::Value::String(text) => *text = hide_url(text),
        _ => {}
    }
}

/// The text of a hub.toml with stars in place of secrets, byte for byte as long, so that spans still fit: error
/// messages show lines of the file, and end in logs. Works on text alone, as a file with a syntax error has no more.
pub(crate) fn mask(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for place in passwords(text) {
        bytes[place].fill(b'*');
    }
    for (equals, _) in text.match_indices('=') {
        let key = text[..equals].trim_end();
        let bare = key.trim_end_matches(['"', '\'']);
        let start = bare.rfind(|c: char| !(c.is_ascii_alphanumeric() || "_-.".contains(c))).map_or(0, |at| at + 1);
        // `rfind` gives the first byte of a character that may be longer; a key after such a character is no key of ours.
        let Some(name) = bare.get(start..) else { continue };
        if is_secret_key(name) {
            bytes[value_after(text, equals + 1)].fill(b'*');
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| "*".repeat(text.len()))
}

/// Where the value lies that begins after an equals sign, without its quotes.
fn value_after(text: &str, from: usize) -> std::ops::Range<usize> {
    let start = from + text[from..].len() - text[from..].trim_start_matches([' ', '\t']).len();
    let rest = &text[start..];
    for quote in ["\"\"\"", "'''", "\"", "'"] {
        let Some(inner) = rest.strip_prefix(quote) else { continue };
        let mut end = 0;
        while let Some(found) = inner[end..].find(quote) {
            let escaped = quote.starts_with('"') && inner[..end + found].ends_with('\\');
            end += found;
            if !escaped {
                return start + quote.len()..start + quote.len() + end;
            }
            end += quote.len();
        }
        break;
    }
    start..start + rest.find(['\n', '\r']).unwrap_or(rest.len())
}

/// Where the secrets of urls lie: `scheme://user:PASSWORD@host`, `https://TOKEN@host`, and `?password=PASSWORD` or any other
/// parameter whose name says that it is one.
fn passwords(text: &str) -> Vec<std::ops::Range<usize>> {
    let mut places = Vec::new();
    for (at, _) in text.match_indices("://") {
        let start = at + 3;
        let end = start + text[start..].find(['"', '\'', ' ', '\n', '\r']).unwrap_or(text.len() - start);
        let url = &text[start..end];
        let host = url.rfind('@').map_or(0, |at| at + 1);
        let user = &url[..host.saturating_sub(1)];
        match user.find(':') {
            Some(colon) => places.push(start + colon + 1..start + user.len()),
            // A database's user is a name; who names one to a web server alone gives it a token.
            None if !user.is_empty() && is_web(&text[..at]) => {
                places.push(start..start + user.len());
            }
            None => {}
        }
        let Some(query) = url[host..].find('?').map(|mark| host + mark + 1) else { continue };
        let mut from = query;
        for pair in url[query..].split(['&', '#']) {
            if let Some((name, value)) = pair.split_once('=')
                && is_secret_parameter(name)
            {
                let value_at = start + from + name.len() + 1;
                places.push(value_at..value_at + value.len());
            }
            from += pair.len() + 1;
        }
    }
    places
}

fn is_web(scheme: &str) -> bool {
    scheme.ends_with("http") || scheme.ends_with("https")
}

fn is_secret_parameter(name: &str) -> bool {
    is_secret_key(name) || ["key", "sig", "signature", "auth"].contains(&name.to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_lose_their_password_and_nothing_else() {
        assert_eq!(hide_url("redis://user:p@ss/word@host:6379/0"), "redis://user:********@host:6379/0");
        assert_eq!(hide_url("redis://:pw@host"), "redis://:********@host");
        assert_eq!(
            hide_url("postgres://h/db?sslmode=require&password=x"),
            "postgres://h/db?sslmode=require&password=********"
        );
        assert_eq!(hide_url("https://t0ken@h/x"), "https://********@h/x");
        assert_eq!(
            hide_url("https://h/x?a=1&api_key=x&b=2&sig=y"),
            "https://h/x?a=1&api_key=********&b=2&sig=********"
        );
        for plain in
            ["redis://host:6379", "https://chat.example.com", "postgres://user@host/db", "https://h/?a=b", "no url"]
        {
            assert_eq!(hide_url(plain), plain);
        }
    }

    #[test]
    fn a_masked_file_is_as_long_as_before_and_holds_no_secret() {
        let text = concat!(
            "auth = { hmac_secret = \"s3cr\\\"et\", insecure = false } # ü\n",
            "hmac_secret_file = \"/run/x\"\n",
            "hmac_secret = '''s3\ncret'''\n",
            "options = { \"sasl.password\" = \"s3cret\", \"ssl.key.location\" = \"/k.pem\" }\n",
            "url = \"redis://me:s3cret@host/\"\n",
            "hmac_secret = \"s3cret\n",
        );
        let masked = mask(text);
        assert_eq!(masked.len(), text.len());
        assert!(!masked.contains("s3"), "{masked}");
        for kept in ["insecure = false } # ü", "\"/run/x\"", "\"/k.pem\"", "redis://me:******@host/"] {
            assert!(masked.contains(kept), "{kept}: {masked}");
        }
    }

    #[test]
    fn a_secret_never_prints_itself() {
        assert_eq!(format!("{:?}", Secret::new("x")), HIDDEN);
        let mut config = Config::default();
        config.auth.hmac_secret = Some("s3cret".into());
        config.admin_token = Some(Secret::new("s3cret"));
        config.timeline.redis = Some(RedisConfig { url: Some("redis://:s3cret@h".into()), ..RedisConfig::default() });
        config.store.postgres =
            Some(PostgresConfig { url: Some("postgres://u:s3cret@h/d".into()), ..Default::default() });
        let options = BTreeMap::from([("sasl.password".to_owned(), "s3cret".to_owned())]);
        config.journal.kafka = Some(crate::KafkaConfig { options, ..Default::default() });
        assert!(!format!("{config:?}").contains("s3cret"));
    }
}
