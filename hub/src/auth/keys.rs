//! The keys that check tokens. What a key checks is the key's own to say: a token's header only chooses among them
//! (RFC 8725, 3.1), and a key in a header, or its address, is never looked at.

use super::published::Published;
use confab_config::Config;
use jsonwebtoken::{Algorithm, DecodingKey};
use std::path::Path;
use std::sync::Arc;

/// What a secret checks.
const SECRET: &[Algorithm] = &[Algorithm::HS256];
/// What an RSA key checks that says no more of itself.
pub(super) const RSA: &[Algorithm] =
    &[Algorithm::RS256, Algorithm::RS384, Algorithm::RS512, Algorithm::PS256, Algorithm::PS384, Algorithm::PS512];
pub(super) const P256: &[Algorithm] = &[Algorithm::ES256];
pub(super) const P384: &[Algorithm] = &[Algorithm::ES384];
pub(super) const ED25519: &[Algorithm] = &[Algorithm::EdDSA];

/// The fewest bits of an RSA key that checks anything.
pub(super) const RSA_BITS_MIN: usize = 2048;
/// The most.
pub(super) const RSA_BITS_MAX: usize = 8192;

/// A key.
pub struct Key {
    /// Its `kid`; one without is tried for every token.
    pub id: Option<String>,
    /// What it checks.
    pub algorithms: &'static [Algorithm],
    /// The key itself.
    pub key: DecodingKey,
}

impl Key {
    /// Whether a token with this header may be signed with it.
    pub fn fits(&self, algorithm: Algorithm, kid: Option<&str>) -> bool {
        self.algorithms.contains(&algorithm)
            && match (&self.id, kid) {
                (Some(id), Some(kid)) => id == kid,
                _ => true,
            }
    }
}

/// All keys of a hub.
#[derive(Default)]
pub struct Keys {
    /// Those of the settings.
    pub fixed: Vec<Key>,
    /// Those that the issuer publishes.
    pub published: Option<Arc<Published>>,
}

/// Keys that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A secret cannot be read.
    #[error(transparent)]
    Secret(#[from] confab_config::secret::Error),
    /// A file cannot be read.
    #[error("could not read a public key from {}", .path.display())]
    Unreadable {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file holds nothing that can be used.
    #[error("could not use the public key in {}: {why}", .path.display())]
    Unusable {
        /// The file.
        path: std::path::PathBuf,
        /// Why not.
        why: String,
    },
    /// The issuer cannot be asked.
    #[error("could not prepare to read keys from `auth.jwks_url`: {0}")]
    Published(String),
}

impl Keys {
    /// The keys of the settings; their files are read now, what the issuer publishes later.
    pub fn of(config: &Config) -> Result<Self, Error> {
        let secrets = [config.hmac_secret()?, config.hmac_secret_previous()?];
        let secrets = secrets.iter().flatten().map(|secret| Self::secret(secret.expose().as_bytes()));
        let mut fixed: Vec<Key> = secrets.collect();
        for path in &config.auth.public_key_files {
            fixed.push(read_file(path)?);
        }
        let auth = &config.auth;
        let published = match &auth.jwks_url {
            Some(url) => {
                let published = Published::new(url, auth.jwks_ca_file.as_deref(), auth.jwks_refresh);
                Some(Arc::new(published.map_err(Error::Published)?))
            }
            None => None,
        };
        Ok(Self { fixed, published })
    }

    /// A secret as a key.
    pub fn secret(secret: &[u8]) -> Key {
        Key { id: None, algorithms: SECRET, key: DecodingKey::from_secret(secret) }
    }
}

fn read_file(path: &Path) -> Result<Key, Error> {
    let pem = std::fs::read(path).map_err(|source| Error::Unreadable { path: path.into(), source })?;
    let (algorithms, key) = public_key(&pem).map_err(|why| Error::Unusable { path: path.into(), why: why.into() })?;
    Ok(Key { id: None, algorithms, key })
}

/// Reads a public key in PEM, and finds what it checks.
fn public_key(pem: &[u8]) -> Result<(&'static [Algorithm], DecodingKey), &'static str> {
    let text = std::str::from_utf8(pem).map_err(|_| "it is no PEM")?;
    if text.contains("PRIVATE KEY-----") {
        return Err("it is a private key");
    }
    if let Ok(key) = DecodingKey::from_ec_pem(pem) {
        // An uncompressed point: its length tells the curve.
        return match key.try_get_as_bytes().map(<[u8]>::len) {
            Ok(65) => Ok((P256, key)),
            Ok(97) => Ok((P384, key)),
            _ => Err("of elliptic curves only P-256 and P-384 are read, as uncompressed points"),
        };
    }
    if let Ok(key) = DecodingKey::from_ed_pem(pem) {
        return Ok((ED25519, key));
    }
    let key = DecodingKey::from_rsa_pem(pem).map_err(|_| "it is neither RSA, P-256, P-384 nor Ed25519 in PEM")?;
    match rsa_bits(&key) {
        Some(RSA_BITS_MIN..=RSA_BITS_MAX) => Ok((RSA, key)),
        _ => Err("an RSA key has 2048 to 8192 bits"),
    }
}

/// How many bits the modulus of an RSA key has.
fn rsa_bits(key: &DecodingKey) -> Option<usize> {
    let jwk = jsonwebtoken::jwk::Jwk::from_decoding_key(key, None).ok()?;
    match jwk.algorithm {
        jsonwebtoken::jwk::AlgorithmParameters::RSA(parameters) => super::jwks::modulus_bits(&parameters.n),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_in_pem_says_by_itself_what_it_checks() {
        let read = |pem: &str| public_key(pem.as_bytes()).map(|(algorithms, _)| algorithms);
        assert_eq!(read(include_str!("../../tests/keys/rsa.pub.pem")), Ok(RSA));
        assert_eq!(read(include_str!("../../tests/keys/p256.pub.pem")), Ok(P256));
        assert_eq!(read(include_str!("../../tests/keys/p384.pub.pem")), Ok(P384));
        assert_eq!(read(include_str!("../../tests/keys/ed25519.pub.pem")), Ok(ED25519));
        assert!(read(include_str!("../../tests/keys/rsa.pem")).is_err_and(|why| why.contains("private")));
        assert!(read(include_str!("../../tests/keys/rsa1024.pub.pem")).is_err_and(|why| why.contains("2048")));
        assert!(read("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n").is_err());
        assert!(read("").is_err());
    }
}
