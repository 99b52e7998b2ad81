//! Places where a test may end the process, to prove that another hub finishes what this one began.

use std::sync::LazyLock;

/// The variable that names the failpoint. Unset in every hub that serves people.
const VARIABLE: &str = "CONFAB_FAILPOINT";

static ABORT_AFTER_APPEND: LazyLock<bool> =
    LazyLock::new(|| std::env::var(VARIABLE).is_ok_and(|name| name == "abort-after-append"));

/// The event has its place and is not in the journal: with `abort-after-append` the process ends here, as by kill -9.
pub fn after_append() {
    if *ABORT_AFTER_APPEND {
        tracing::error!("{VARIABLE}: aborting between timeline and journal");
        std::process::abort();
    }
}
