//! Answers to those who are not let in: each says why, and counts and names it; where waiting helps, it says how long.

use crate::admission::{Full, Refused};
use crate::quoted::BYTES_MAX;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::net::IpAddr;

/// Why a request is not served.
#[derive(Clone, Copy, Debug)]
pub enum Turned<'a> {
    /// There is no room.
    Full(Full),
    /// The hub has as many connections as it may.
    Connections,
    /// The hub is draining.
    Draining,
    /// The page may not connect: its origin.
    Origin(&'a HeaderValue),
    /// The hub is for development, and was reached under a name that is not this machine's.
    Host(&'a HeaderValue),
}

impl Turned<'_> {
    /// For the metric and the log line.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Full(Full::Sessions) => "session limit",
            Self::Full(Full::Unconnected) => "limit of clients without connect",
            Self::Full(Full::Address) => "connection limit of an address",
            Self::Full(Full::Rate(_)) => "handshake rate of an address",
            Self::Connections => "connection limit",
            Self::Draining => "draining",
            Self::Origin(_) => "origin",
            Self::Host(_) => "host",
        }
    }

    /// The sentence that the client is told.
    pub fn sentence(&self) -> &'static str {
        match self {
            Self::Full(Full::Sessions) => "this hub holds as many sessions as it may",
            Self::Full(Full::Unconnected) => "as many clients as may have not said who they are",
            Self::Full(Full::Address) => "this address has as many connections as it may",
            Self::Full(Full::Rate(_)) => "this address connects too often",
            Self::Connections => "this hub has as many connections as it may",
            Self::Draining => "this hub is draining",
            Self::Origin(_) => "this page may not connect: its origin is not in auth.allowed_origins",
            Self::Host(_) => {
                "auth.insecure is on: this hub is reached under names of this machine only, such as localhost"
            }
        }
    }

    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Full(full) if full.own_fault() => StatusCode::TOO_MANY_REQUESTS,
            Self::Full(_) | Self::Connections | Self::Draining => StatusCode::SERVICE_UNAVAILABLE,
            Self::Origin(_) | Self::Host(_) => StatusCode::FORBIDDEN,
        }
    }

    fn retry_after_s(&self) -> Option<u64> {
        match self {
            Self::Full(full) => Some(full.retry_after_s()),
            Self::Connections | Self::Draining => Some(2),
            Self::Origin(_) | Self::Host(_) => None,
        }
    }

    fn detail(&self) -> String {
        match self {
            // More of it is not looked at: it has up to 16 KiB.
            Self::Origin(value) | Self::Host(value) => {
                let bytes = value.as_bytes();
                String::from_utf8_lossy(bytes.get(..4 * BYTES_MAX).unwrap_or(bytes)).into_owned()
            }
            _ => String::new(),
        }
    }

    /// Counts it, and writes a line about it.
    pub fn note(&self, refused: &Refused, from: IpAddr) {
        refused.note(self.reason(), from, &self.detail());
    }

    /// Adds to an answer how long to wait.
    pub fn wait(&self, mut answer: Response) -> Response {
        if let Some(seconds) = self.retry_after_s() {
            answer.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        answer
    }
}

impl IntoResponse for Turned<'_> {
    fn into_response(self) -> Response {
        self.wait((self.status(), format!("{}\n", self.sentence())).into_response())
    }
}
