//! Reads a set of public keys (JWKS, RFC 7517). A key that cannot be used is passed over, and said; the others stand.

use super::keys::{ED25519, Key, P256, P384, RSA, RSA_BITS_MAX, RSA_BITS_MIN};
use crate::quoted::quoted;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// The most keys of a set that are used.
pub const KEYS_MAX: usize = 32;
/// The longest name of a key, in bytes.
pub const KID_BYTES_MAX: usize = 256;
/// The most keys that are passed over with a line for each.
const TOLD_MAX: usize = 8;

/// What a set came to.
pub struct Read {
    /// What can be used.
    pub keys: Vec<Key>,
    /// Why each of the others cannot.
    pub passed_over: Vec<String>,
}

#[derive(Deserialize)]
struct SetIn<'a> {
    #[serde(borrow)]
    keys: Vec<&'a RawValue>,
}

/// What is read of a key; whatever else it says is passed over.
#[derive(Deserialize)]
struct KeyIn {
    kty: String,
    r#use: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    kid: Option<String>,
    crv: Option<String>,
    #[serde(default)]
    n: String,
    #[serde(default)]
    e: String,
    #[serde(default)]
    x: String,
    #[serde(default)]
    y: String,
    /// A private key's secret part.
    d: Option<Value>,
}

/// Reads a set.
///
/// # Errors
/// It is no JWKS, or holds no key that can be used.
pub fn read(text: &[u8]) -> Result<Read, String> {
    let set: SetIn<'_> = serde_json::from_slice(text).map_err(|error| format!("it is no JWKS: {error}"))?;
    let mut keys = Vec::new();
    let mut passed_over = Vec::new();
    for (at, key) in set.keys.iter().enumerate() {
        if keys.len() == KEYS_MAX {
            passed_over.push(format!("only the first {KEYS_MAX} keys are used"));
            break;
        }
        match one(key) {
            Ok(Some(key)) => keys.push(key),
            Ok(None) => {}
            Err(why) => passed_over.push(format!("key {at}: {why}")),
        }
    }
    passed_over.truncate(TOLD_MAX);
    match keys.is_empty() {
        true => Err(format!("it holds no key that can be used ({})", passed_over.join("; "))),
        false => Ok(Read { keys, passed_over }),
    }
}

/// One key; `None` where it is meant for something else than signatures.
fn one(key: &RawValue) -> Result<Option<Key>, String> {
    let key: KeyIn = serde_json::from_str(key.get()).map_err(|error| error.to_string())?;
    let signs = key.r#use.as_deref().is_none_or(|used| used == "sig")
        && key.key_ops.as_ref().is_none_or(|ops| ops.iter().any(|op| op == "verify"));
    if !signs {
        return Ok(None);
    }
    if key.kty == "oct" {
        return Err("it is a secret, which no public set should hold, and is not used".into());
    }
    if key.d.is_some() {
        return Err("it is a private key, which everybody can read there, and is not used".into());
    }
    if key.kid.as_ref().is_some_and(|kid| kid.len() > KID_BYTES_MAX) {
        return Err(format!("its `kid` has more than {KID_BYTES_MAX} bytes"));
    }
    let (possible, read) = material(&key)?;
    let algorithms = pinned(possible, key.alg.as_deref())?;
    Ok(Some(Key { id: key.kid, algorithms, key: read }))
}

/// What a key of this type can check, and the key.
fn material(key: &KeyIn) -> Result<(&'static [Algorithm], DecodingKey), String> {
    let read = |key: jsonwebtoken::errors::Result<DecodingKey>| key.map_err(|error| error.to_string());
    let long = |text: &str, bytes: usize| URL_SAFE_NO_PAD.decode(text).is_ok_and(|read| read.len() == bytes);
    match (key.kty.as_str(), key.crv.as_deref()) {
        ("RSA", _) => match modulus_bits(&key.n) {
            Some(RSA_BITS_MIN..=RSA_BITS_MAX) => Ok((RSA, read(DecodingKey::from_rsa_components(&key.n, &key.e))?)),
            _ => Err(format!("an RSA key has {RSA_BITS_MIN} to {RSA_BITS_MAX} bits")),
        },
        ("EC", Some("P-256")) if long(&key.x, 32) && long(&key.y, 32) => {
            Ok((P256, read(DecodingKey::from_ec_components(&key.x, &key.y))?))
        }
        ("EC", Some("P-384")) if long(&key.x, 48) && long(&key.y, 48) => {
            Ok((P384, read(DecodingKey::from_ec_components(&key.x, &key.y))?))
        }
        ("OKP", Some("Ed25519")) if long(&key.x, 32) => Ok((ED25519, read(DecodingKey::from_ed_components(&key.x))?)),
        ("EC" | "OKP", Some("P-256" | "P-384" | "Ed25519")) => {
            Err("its point has another length than its curve".into())
        }
        (kty, crv) => Err(format!(
            "type {} {} is not read",
            quoted(kty),
            crv.map(|crv| quoted(crv).to_string()).unwrap_or_default()
        )),
    }
}

/// A key that names its algorithm checks that one only.
fn pinned(possible: &'static [Algorithm], named: Option<&str>) -> Result<&'static [Algorithm], String> {
    let Some(named) = named else { return Ok(possible) };
    let at = super::algorithm(named).and_then(|algorithm| possible.iter().position(|one| *one == algorithm));
    match at {
        Some(at) => Ok(&possible[at..=at]),
        None => Err(format!("a key of its type does not check {}", quoted(named))),
    }
}

/// How many bits a modulus has, written in base64.
pub fn modulus_bits(n: &str) -> Option<usize> {
    let bytes = URL_SAFE_NO_PAD.decode(n).ok()?;
    let first = bytes.iter().position(|byte| *byte != 0)?;
    Some((bytes.len() - first) * 8 - bytes[first].leading_zeros() as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const N: &str = "sXchDaQebHnPiGvyDOAT4saGEUetSyo9MKLOoWFsueri23bOdgWp4Dy1WlUzewbgBHod5pcM9H95GQRV3JDXboIRROSBigeC5yjU1hGzHHyXss8UDprecbAYxknTcQkhslANGRUZmdTOQ5qTRsLAt6BTYuyvVRdhS8exSZEy_c4gs_7svlJJQ4H9_NxsiIoLwAEk7-Q3UXERGYw_75IDrGA84-lA_-Ct4eTlXHBIY2EaV7t7LjJaynVJCpkv4LKjTTAumiGUIuQhrNhZLuF_RJLqHpM2kgWFLU7-VTdL1VbC2tejvcI2BlMkEpk1BzBZI0KQB0GaDWFLN-aEAw3vRw";
    const POINT: &str = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";

    fn read_of(keys: Value) -> Result<Read, String> {
        read(json!({ "keys": keys }).to_string().as_bytes())
    }

    fn why(key: Value) -> String {
        read_of(json!([key])).map(|read| read.keys.len()).unwrap_err()
    }

    #[test]
    fn a_key_that_names_its_algorithm_checks_that_one_only() {
        let rsa = |alg: Value| json!({"kty": "RSA", "kid": "a", "n": N, "e": "AQAB", "alg": alg, "x5c": ["?"]});
        let read = read_of(json!([rsa(json!("RS384")), rsa(Value::Null)])).unwrap();
        assert_eq!(read.keys[0].algorithms, [Algorithm::RS384]);
        assert_eq!(read.keys[1].algorithms, RSA);
        assert!(read.keys[0].fits(Algorithm::RS384, Some("a")) && read.keys[0].fits(Algorithm::RS384, None));
        assert!(!read.keys[0].fits(Algorithm::RS384, Some("b")) && !read.keys[0].fits(Algorithm::RS256, Some("a")));
        for alg in ["HS256", "none", "ES256", "RSA-OAEP"] {
            assert!(why(rsa(json!(alg))).contains("does not check"), "{alg}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_passed_over_and_said_and_the_others_stand() {
        let good = json!({"kty": "OKP", "crv": "Ed25519", "x": POINT, "kid": "good"});
        let read = read_of(json!([
            {"kty": "oct", "k": "c2VjcmV0"}, 5, {"kty": "EC", "crv": "P-521", "x": "", "y": ""}, good,
            {"kty": "RSA", "use": "enc", "n": N, "e": "AQAB"},
        ]))
        .unwrap();
        assert_eq!(read.keys.iter().map(|key| key.id.as_deref()).collect::<Vec<_>>(), [Some("good")]);
        assert_eq!(read.passed_over.len(), 3, "{:?}", read.passed_over);
        assert!(read.passed_over[0].contains("secret"), "{:?}", read.passed_over);
        assert!(why(json!({"kty": "EC", "crv": "P-256", "x": POINT, "y": POINT, "d": "x"})).contains("private"));
        assert!(why(json!({"kty": "EC", "crv": "P-256", "x": POINT, "y": "AA"})).contains("another length"));
        assert!(why(json!({"kty": "RSA", "n": "AQAB", "e": "AQAB"})).contains("2048"));
        assert!(why(json!({"kty": "OKP", "crv": "Ed25519", "x": POINT, "kid": "k".repeat(300)})).contains("256 bytes"));
    }

    #[test]
    fn a_set_without_a_key_is_none() {
        for bad in ["", "{}", "[]", r#"{"keys":[]}"#, r#"{"keys":{}}"#, "<html>", r#"{"keys":[{"kty":"oct"}]}"#] {
            assert!(read(bad.as_bytes()).is_err(), "{bad}");
        }
        let many: Vec<Value> = (0..100).map(|_| json!({"kty": "OKP", "crv": "Ed25519", "x": POINT})).collect();
        assert_eq!(read_of(many.into()).unwrap().keys.len(), KEYS_MAX);
    }
}
