//! How many files and sockets the process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What a hub opens besides its clients' sockets: stores, services, plugins, the log.
const BESIDES: u64 = 512;

/// Lets the process open as many as the system lets it, and warns where that is not enough for so many sessions.
pub(super) fn raise(sessions: usize) {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
    {
        tracing::warn!(%error, "could not raise the limit on open files");
    }
    let may = getrlimit(Resource::Nofile).current;
    if let Some(open_files) = may.filter(|may| *may < sessions as u64 + BESIDES) {
        tracing::warn!(
            open_files,
            sessions,
            "the limit on open files is lower than `limits.sessions`: raise it (`ulimit -n`, `LimitNOFILE`) or lower that"
        );
    }
}
