//! What can go wrong with a server before anything was done there.

use redis::{ErrorKind, RedisError};
use std::error::Error as _;
use std::sync::Arc;

/// Why a server cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It may be tried again.
    #[error("{0}")]
    Unavailable(String),
    /// It cannot be used as it is configured: trying again does not help.
    #[error("{0}")]
    Refused(String),
}

/// What went wrong before anything was asked: at the door, or in a question that changes nothing.
pub fn failed(error: &RedisError) -> Error {
    // rustls wraps what it finds wrong with the other side as invalid data: it will be wrong next time too.
    if io_kind(error) == Some(std::io::ErrorKind::InvalidData) {
        return Error::Refused(format!("redis and this hub cannot agree on TLS: {error}"));
    }
    match (error.kind(), error.code()) {
        (ErrorKind::RESP3NotSupported, _) => Error::Refused("redis 7 or later is needed (RESP3)".into()),
        (ErrorKind::AuthenticationFailed | ErrorKind::InvalidClientConfig, _) => Error::Refused(error.to_string()),
        (_, Some("NOAUTH" | "WRONGPASS" | "NOPERM")) => Error::Refused(error.to_string()),
        _ => Error::Unavailable(error.to_string()),
    }
}

fn io_kind(error: &RedisError) -> Option<std::io::ErrorKind> {
    // The client hands its source out inside the `Arc` that it keeps it in.
    let shared = error.source()?.downcast_ref::<Arc<dyn std::error::Error + Send + Sync>>()?;
    shared.downcast_ref::<std::io::Error>().map(std::io::Error::kind)
}
