//! What it means that Redis did not answer as it should.

use super::super::Error;
use redis::{ErrorKind, RedisError, ServerErrorKind};

/// Where nothing can have happened: a connection was not made, or a question changes nothing.
pub(super) fn failed(error: &RedisError) -> Error {
    crate::redis::failed(error).into()
}

/// Whether the server answers, and refuses to write: its memory is full, its disk fails, or too few of its replicas are there. It
/// can be read, and still knows everything. A server that refuses because it is a replica is another matter: it is not
/// the one that writes any more, and may lag behind the one that does.
pub(super) fn refuses_writes(error: &RedisError) -> bool {
    matches!(error.code(), Some("OOM" | "NOREPLICAS" | "MISCONF"))
}

/// What became of a script that was not answered as it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// Another server answered, and did nothing.
    Elsewhere,
    /// The server did nothing, and cannot at the moment.
    Untouched,
    /// The cluster did nothing, because it is rearranging itself: it can in a moment.
    Moving,
    /// The connection broke: it may have happened or not.
    Broken,
    /// No answer came in time: it may have happened or not, or happen yet.
    Late,
    /// The server began and failed.
    Failed,
}

impl Failure {
    pub(super) fn of(error: &RedisError) -> Self {
        if error.is_timeout() {
            return Self::Late;
        }
        match (error.kind(), error.code()) {
            (ErrorKind::Server(ServerErrorKind::NoScript | ServerErrorKind::ReadOnly | ServerErrorKind::Moved), _) => {
                Self::Elsewhere
            }
            (ErrorKind::Server(ServerErrorKind::Ask | ServerErrorKind::TryAgain | ServerErrorKind::ClusterDown), _) => {
                Self::Moving
            }
            (ErrorKind::Server(ServerErrorKind::BusyLoading | ServerErrorKind::MasterDown), _) | (_, Some("BUSY")) => {
                Self::Untouched
            }
            _ if refuses_writes(error) => Self::Untouched,
            (ErrorKind::Io, _) => Self::Broken,
            _ if error.is_unrecoverable_error() => Self::Broken,
            _ => Self::Failed,
        }
    }
}
