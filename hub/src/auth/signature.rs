//! Opens a token: three parts of base64, of which the last is a signature over the others.

use super::jwks::KID_BYTES_MAX;
use super::keys::{Key, Keys};
use super::{Algorithm, Invalid, algorithm};
use crate::quoted::quoted;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

/// The longest token that is read.
pub const TOKEN_BYTES_MAX: usize = 64 * 1024;

/// What is read of a header. Keys in it, and addresses of keys, are not.
#[derive(Deserialize)]
struct HeaderIn {
    alg: String,
    kid: Option<Value>,
    crit: Option<IgnoredAny>,
}

/// The claims of a token that one of the keys has signed, as they were written.
pub fn open(token: &str, keys: &Keys) -> Result<Vec<u8>, Invalid> {
    if token.len() > TOKEN_BYTES_MAX {
        return Err(Invalid::TooLong(TOKEN_BYTES_MAX));
    }
    let parts: Vec<&str> = token.splitn(4, '.').collect();
    let [header, claims, signature] = parts[..] else {
        return Err(Invalid::Malformed("it does not have the three parts of a token".into()));
    };
    let HeaderIn { alg, kid, crit } = read_header(header)?;
    let algorithm = algorithm(&alg).ok_or_else(|| Invalid::Algorithm(quoted(&alg).to_string()))?;
    if crit.is_some() {
        return Err(Invalid::Critical);
    }
    let kid = kid.as_ref().and_then(Value::as_str);
    if kid.is_some_and(|kid| kid.len() > KID_BYTES_MAX) {
        return Err(Invalid::Malformed(format!("its header's `kid` has more than {KID_BYTES_MAX} bytes")));
    }
    let message = &token.as_bytes()[..header.len() + 1 + claims.len()];
    let fits = |key: &Key| jsonwebtoken::crypto::verify(signature, message, &key.key, algorithm).unwrap_or(false);
    let published = keys.published.as_ref().map(|published| published.keys()).unwrap_or_default();
    let all = || keys.fixed.iter().chain(published.iter());
    if !all().filter(|key| key.fits(algorithm, kid)).any(fits) {
        return Err(no_key(algorithm, kid, keys, all().any(|key| key.algorithms.contains(&algorithm)), &published));
    }
    decode(claims, "claims")
}

/// Why no key fits. Only where the issuer may have published the key meanwhile is it worth to look again.
fn no_key(algorithm: Algorithm, kid: Option<&str>, keys: &Keys, known: bool, published: &[Key]) -> Invalid {
    let secret = algorithm == Algorithm::HS256;
    let named = |kid: &str| published.iter().any(|key| key.id.as_deref() == Some(kid));
    let may_be_new = keys.published.is_some() && !secret;
    match kid {
        Some(kid) if may_be_new && !named(kid) => Invalid::UnknownKey { kid: quoted(kid).to_string(), algorithm },
        None if may_be_new && published.is_empty() => Invalid::UnknownKey { kid: "(none)".into(), algorithm },
        _ if known => Invalid::Signature,
        _ => Invalid::Algorithm(super::name_of(algorithm)),
    }
}

fn read_header(text: &str) -> Result<HeaderIn, Invalid> {
    let header = decode(text, "header")?;
    serde_json::from_slice(&header).map_err(|error| Invalid::Malformed(format!("its header is no header: {error}")))
}

fn decode(text: &str, part: &str) -> Result<Vec<u8>, Invalid> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| Invalid::Malformed(format!("its {part} is not in base64url")))
}
