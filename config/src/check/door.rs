//! Checks of the door: where clients connect, who may, and what one session may do.

use super::{Findings, admin};
use crate::human::{Size, duration};
use crate::path::Path;
use crate::problem::Problem;
use crate::settings::{Auth, Config, Limits};
use std::net::SocketAddr;
use std::time::Duration;

pub(super) fn check(config: &Config, found: &mut Findings) {
    addresses(config, found);
    admin::check(config, found);
    proxies(config, found);
    super::auth::check(&config.auth, config.listen, found);
    origins(&config.auth, found);
    limits(&config.limits, found);
    if config.data.as_os_str().is_empty() {
        found.text("data", "");
    }
    let drain = Path::of("drain_timeout");
    found.duration(&drain, config.drain_timeout, Duration::from_secs(1), Duration::from_secs(3600));
    if config.drain_timeout < config.limits.send_deadline {
        found.add(Problem::warning(&drain, "a drain may end before the sends it waits for").label(format!(
            "shorter than `limits.send_deadline`, \"{}\"",
            duration::show(config.limits.send_deadline)
        )));
    }
}

fn addresses(config: &Config, found: &mut Findings) {
    let listen = config.listen;
    let admin = config.admin;
    if same_place(listen, admin) {
        found.add(
            Problem::error(&Path::of("admin"), "`listen` and `admin` are the same place")
                .label(format!("`listen` has port {} as well", listen.port()))
                .note("clients reach `listen`; what is under `admin` is for operators only")
                .help(format!("write `admin = \"{}:{}\"`", admin.ip(), listen.port().wrapping_add(1000).max(1024))),
        );
    }
    let Some(metrics) = config.metrics else { return };
    for (name, other) in [("listen", listen), ("admin", admin)] {
        if same_place(metrics, other) {
            let why = format!("`{name}` and `metrics` are the same place");
            let taken = format!("`{name}` has port {} as well", other.port());
            found.add(Problem::error(&Path::of("metrics"), why).label(taken));
        }
    }
}

/// Whether both cannot be had on one machine.
fn same_place(one: SocketAddr, other: SocketAddr) -> bool {
    let any = |address: SocketAddr| address.ip().is_unspecified();
    one.port() == other.port() && one.port() != 0 && (one.ip() == other.ip() || any(one) || any(other))
}

/// What stands before the hub.
fn proxies(config: &Config, found: &mut Findings) {
    for (at, text) in config.trusted_proxies.iter().enumerate() {
        if let Err(error) = crate::settings::network(text) {
            let path = Path::of("trusted_proxies").index(at);
            found.add(
                Problem::error(&path, error.to_string())
                    .help("write an address such as \"10.0.0.5\", or a network such as \"10.0.0.0/8\""),
            );
        }
    }
    let path = Path::of("path_prefix");
    let prefix = config.path_prefix.as_str();
    let part = |part: &str| {
        !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || "-._~".contains(c)) && part != ".."
    };
    if !prefix.is_empty() && !prefix.strip_prefix('/').is_some_and(|parts| parts.split('/').all(part)) {
        let parts: Vec<&str> = prefix.split('/').filter(|one| part(one)).collect();
        let problem = Problem::error(&path, format!("`{prefix}` cannot begin a path"))
            .label("a prefix begins with a slash and does not end with one");
        found.add(if parts.is_empty() {
            problem
        } else {
            problem.help(format!("write `path_prefix = \"/{}\"`", parts.join("/")))
        });
    }
}

fn origins(auth: &Auth, found: &mut Findings) {
    for (at, origin) in auth.allowed_origins.iter().enumerate() {
        let path = Path::of("auth.allowed_origins").index(at);
        if let Err((why, advice)) = origin_of_a_page(origin) {
            let problem = Problem::error(&path, format!("`{origin}` is not the origin of a page")).label(why);
            found.add(match advice {
                Some(advice) => problem.help(format!("write `\"{advice}\"`")),
                None => problem.help("write the start of the page's address, such as `\"https://chat.example.com\"`"),
            });
        }
    }
}

/// An origin is compared letter by letter with what browsers send, so it must be written as they write it. The error is
/// why it is not, and what it should be.
fn origin_of_a_page(origin: &str) -> Result<(), (&'static str, Option<String>)> {
    let Some((scheme, rest)) = origin.split_once("://") else {
        let host = !origin.is_empty() && origin.chars().all(|c| c.is_ascii_alphanumeric() || ".-:".contains(c));
        return Err(match origin {
            "*" => ("a star would let every page of the web connect as its visitor", None),
            _ => ("it has no scheme", host.then(|| format!("https://{origin}").to_ascii_lowercase())),
        });
    };
    let host = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let (bare, port) = host.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok()).unwrap_or((host, ""));
    let default = matches!((scheme, port), ("http", "80") | ("https", "443"));
    let exact = format!("{scheme}://{}", if default { bare } else { host }).to_ascii_lowercase();
    let scheme_fits = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    let host_fits = !bare.is_empty() && bare.chars().all(|c| c.is_ascii_alphanumeric() || ".-[]:_".contains(c));
    match () {
        () if !scheme_fits || !host_fits => Err(("it has characters that no origin has", None)),
        () if rest != host => Err(("an origin ends after the host and port", Some(exact))),
        () if default => Err(("browsers leave the scheme's own port out", Some(exact))),
        () if exact != origin => Err(("browsers write it in lower case", Some(exact))),
        () => Ok(()),
    }
}

fn limits(limits: &Limits, found: &mut Findings) {
    let path = |key: &str| Path::of("limits").key(key);
    let second = Duration::from_secs(1);
    let minute = Duration::from_secs(60);
    found.number("limits.sessions", limits.sessions, 1, 10_000_000);
    found.number("limits.user_sessions", limits.user_sessions, 1, 10_000_000);
    found.number("limits.user_held", limits.user_held, 1, 1_000_000);
    for (path, number) in [
        ("limits.user_commands_per_second", limits.user_commands_per_second),
        ("limits.user_commands_burst", limits.user_commands_burst),
        ("limits.user_new_rooms_per_minute", limits.user_new_rooms_per_minute),
        ("limits.user_new_rooms_burst", limits.user_new_rooms_burst),
    ] {
        found.number(path, number, 1, 10_000_000);
    }
    found.number("limits.unconnected", limits.unconnected, 1, 10_000_000);
    found.number("limits.connections_per_address", limits.connections_per_address, 1, 10_000_000);
    found.number("limits.handshakes_per_address", limits.handshakes_per_address, 1, 1_000_000);
    found.duration(&path("keep_alive"), limits.keep_alive, second, 60 * minute);
    found.size(&path("frame"), limits.frame, Size::kib(1), Size::mib(16));
    found.size(&path("post"), limits.post, Size::kib(1), Size::mib(64));
    found.size(&path("body"), limits.body, Size(16), limits.frame.max(Size(16)));
    // serde_json refuses what is nested deeper than 127.
    found.number("limits.json_depth", limits.json_depth, 1, 127);
    found.number("limits.room_name_bytes", limits.room_name_bytes, 1, confab_protocol::ids::ROOM_BYTES_MAX);
    found.number("limits.rooms_per_session", limits.rooms_per_session, 1, 100_000);
    found.number("limits.commands_in_flight", limits.commands_in_flight, 1, 10_000);
    // An outbox that cannot hold one frame would close every session that hears a large one.
    found.size(&path("outbox"), limits.outbox, limits.frame, Size::mib(1024).max(limits.frame));
    found.duration(&path("stale_timeout"), limits.stale_timeout, second, 5 * minute);
    found.duration(&path("ping_interval"), limits.ping_interval, second, 10 * minute);
    found.duration(&path("pong_timeout"), limits.pong_timeout, second / 10, limits.ping_interval.max(second / 10));
    found.duration(&path("send_deadline"), limits.send_deadline, second / 10, 2 * minute);
    found.number("limits.history_page", limits.history_page, 1, 10_000);
    found.number("limits.presence_names", limits.presence_names, 1, 10_000);
    found.number("limits.recover_events", limits.recover_events, 1, 1_000_000);
    found.number("limits.plugin_hops", limits.plugin_hops, 1, 16);
    if limits.dedupe_window < limits.send_deadline {
        found.add(
            Problem::error(&path("dedupe_window"), "a key would be forgotten while its send may still be under way")
                .label(format!("shorter than `limits.send_deadline`, \"{}\"", duration::show(limits.send_deadline)))
                .note("a retry of a forgotten key would be heard a second time")
                .help("write `dedupe_window = \"10m\"`, the default")
                .rests_on(&path("send_deadline")),
        );
    } else {
        found.duration(&path("dedupe_window"), limits.dedupe_window, second, 24 * 60 * minute);
    }
}

/// Both a secret and the file that holds it are given.
pub(super) fn twins(path: &Path) -> Problem {
    Problem::error(path, format!("both `{path}` and `{path}_file` are given"))
        .at_name()
        .label("which of the two holds?")
        .help("keep the one with `_file`, and take this line out")
}

/// What only a process that serves clients needs. Reads the files of secrets and looks for those of plugins.
pub(crate) fn serving(config: &Config) -> Vec<Problem> {
    let mut found = Findings::default();
    super::auth::serving(config, &mut found);
    if let Some(Err(error)) = config.timeline.redis.as_ref().map(|redis| redis.read_url()) {
        found.add(unreadable(&Path::of("timeline.redis.url_file"), &error));
    }
    if let Some(Err(error)) = config.store.postgres.as_ref().map(|postgres| postgres.read_url()) {
        found.add(unreadable(&Path::of("store.postgres.url_file"), &error));
    }
    admin::serving(config, &mut found);
    super::plugins::modules(config, &mut found);
    found.problems
}

pub(super) fn unreadable(path: &Path, error: &crate::secret::Error) -> Problem {
    let problem = Problem::error(path, error.to_string());
    match std::error::Error::source(error) {
        Some(cause) => problem.label(cause.to_string()),
        None => problem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_must_be_written_as_browsers_write_them() {
        for good in ["https://chat.example.com", "http://localhost:5173", "capacitor://localhost", "http://[::1]:8000"]
        {
            assert!(origin_of_a_page(good).is_ok(), "{good}");
        }
        let advice = |bad: &str| origin_of_a_page(bad).unwrap_err().1;
        assert_eq!(advice("https://a.example/"), Some("https://a.example".into()));
        assert_eq!(advice("https://A.example:443"), Some("https://a.example".into()));
        assert_eq!(advice("a.example"), Some("https://a.example".into()));
        for bad in ["*", "", "https://", "https://*.example.com", "null and void"] {
            assert_eq!(advice(bad), None, "{bad}");
        }
    }
}
