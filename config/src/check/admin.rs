//! Checks of the operators' door: who may come in, under which names, and how long it is known what they did.

use super::Findings;
use super::door::twins;
use crate::admin_tokens::{AdminTokens, TOKEN_BYTES_MIN};
use crate::path::Path;
use crate::problem::Problem;
use crate::settings::Config;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 3600);

pub(super) fn check(config: &Config, found: &mut Findings) {
    let token = Path::of("admin_token");
    if config.admin_token.is_some() && config.admin_token_file.is_some() {
        found.add(twins(&token));
    }
    if config.admin_token.as_ref().is_some_and(|token| token.expose().trim().len() < TOKEN_BYTES_MIN) {
        found.add(
            Problem::error(&token, format!("`admin_token` is shorter than {TOKEN_BYTES_MIN} bytes"))
                .label("it could be guessed")
                .help("`openssl rand -hex 32` prints a good one"),
        );
    }
    let given = config.admin_token.is_some() || config.admin_token_file.is_some();
    if !config.admin.ip().is_loopback() && !given {
        found.add(
            Problem::error(&Path::of("admin"), "`admin` can be reached from other machines, and no token is given")
                .label("neither `admin_token_file` nor `admin_token` is set")
                .note("whoever reaches the admin API may speak as anybody, read every room, ban and reload")
                .help("`openssl rand -hex 32 > admin.token`, and set `admin_token_file = \"admin.token\"`")
                .help(
                    "for Prometheus and probes alone, keep `admin` on 127.0.0.1 and set `metrics = \"0.0.0.0:9100\"`",
                ),
        );
    }
    for (at, host) in config.admin_hosts.iter().enumerate() {
        let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-._".contains(c);
        if host.is_empty() || !host.chars().all(is_name) {
            let path = Path::of("admin_hosts").index(at);
            found.add(
                Problem::error(&path, format!("`{host}` is not a host's name"))
                    .label("a name in lower case, without scheme and port")
                    .help("write it like \"hub-1.example.com\""),
            );
        }
    }
    found.duration(&Path::of("audit_retention"), config.audit_retention, DAY, 3650 * DAY);
}

/// A file that is named must be there and hold tokens.
pub(super) fn serving(config: &Config, found: &mut Findings) {
    let Some(file) = &config.admin_token_file else { return };
    if let Err(error) = AdminTokens::read(file) {
        let problem = Problem::error(&Path::of("admin_token_file"), error.to_string());
        let problem = match std::error::Error::source(&error) {
            Some(cause) => problem.label(cause.to_string()),
            None => problem,
        };
        found.add(problem.help(format!("`confab admin-token create NAME` writes one into {}", file.display())));
    }
}
