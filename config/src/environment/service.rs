//! Variables that Kubernetes (and Docker's links) set in every container for each Service whose name begins with ours. They are
//! no settings, and their values are looked at as well as their names, so that a setting that is misspelt is still an error.

use super::PREFIX;
use crate::diagnostic::Diagnostic;
use std::net::{IpAddr, SocketAddr};

/// Whether a variable is one of them: `NAME_SERVICE_HOST`, `NAME_SERVICE_PORT`, `NAME_SERVICE_PORT_<port's name>`, `NAME_PORT`,
/// and `NAME_PORT_<number>_<TCP|UDP|SCTP>`, alone or with `_PROTO`, `_PORT` or `_ADDR`. NAME is `CONFAB`, or `CONFAB_HUB` of a
/// Service called `confab-hub`.
pub(super) fn sets(name: &str, text: &str) -> bool {
    // With an underscore before it, what is left of `CONFAB_PORT` ends as what is left of `CONFAB_HUB_PORT` does.
    let Some(rest) = name.strip_prefix(PREFIX.trim_end_matches('_')) else { return false };
    if rest.ends_with("_SERVICE_HOST") {
        return text.parse::<IpAddr>().is_ok();
    }
    if rest.contains("_SERVICE_PORT") {
        return is_port(text);
    }
    match rest.rsplit_once("_PORT_").filter(|(_, tail)| tail.starts_with(|c: char| c.is_ascii_digit())) {
        Some((_, tail)) => is_of_a_port(tail, text),
        None => rest.ends_with("_PORT") && is_url(text),
    }
}

/// Whether this is what stands after `NAME_PORT_`, and its value.
fn is_of_a_port(tail: &str, text: &str) -> bool {
    let mut parts = tail.split('_');
    let is_number = parts.next().is_some_and(is_port);
    let has_protocol = parts.next().is_some_and(|protocol| ["TCP", "UDP", "SCTP"].contains(&protocol));
    let fits = match parts.next() {
        None => is_url(text),
        Some("PROTO") => ["tcp", "udp", "sctp"].contains(&text),
        Some("PORT") => is_port(text),
        Some("ADDR") => text.parse::<IpAddr>().is_ok(),
        Some(_) => false,
    };
    is_number && has_protocol && fits && parts.next().is_none()
}

fn is_port(text: &str) -> bool {
    text.parse::<u16>().is_ok()
}

fn is_url(text: &str) -> bool {
    let address = ["tcp://", "udp://", "sctp://"].iter().find_map(|scheme| text.strip_prefix(scheme));
    address.is_some_and(|address| address.parse::<SocketAddr>().is_ok())
}

/// One line about all of them.
pub(super) fn passed_over(services: &[(String, String)]) -> Option<Diagnostic> {
    let (first, _) = services.first()?;
    let more = match services.len() {
        1 => String::new(),
        count => format!(" and {} more", count - 1),
    };
    let what = format!("passed over the environment variable `{first}`{more}: Kubernetes sets it for a Service");
    Some(Diagnostic::warning(what).help("`enableServiceLinks: false` in the pod's spec keeps such variables away"))
}
