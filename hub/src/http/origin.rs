//! Which pages may connect, and under which names the hub is reached.

use axum::http::{HeaderMap, HeaderValue, header};
use std::net::IpAddr;

/// A page may connect if it is ours or listed, exactly; what is no page sends no `Origin`. The error is the origin.
pub fn origin_allowed<'a>(headers: &'a HeaderMap, allowed: &[String]) -> Result<(), &'a HeaderValue> {
    let Some(value) = headers.get(header::ORIGIN) else { return Ok(()) };
    let origin = value.to_str().map_err(|_| value)?;
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let own =
        origin.split_once("://").is_some_and(|(scheme, rest)| matches!(scheme, "http" | "https") && Some(rest) == host);
    if own || allowed.iter().any(|listed| listed == origin) { Ok(()) } else { Err(value) }
}

/// Whether the name under which a hub is reached is this machine's own. A page of the web can make a name of its own lead
/// here (DNS rebinding), and is then ours by its `Origin`; where nobody needs a token, that must not be enough. The error is
/// the name.
pub fn host_is_loopback(headers: &HeaderMap) -> Result<(), &HeaderValue> {
    let Some(value) = headers.get(header::HOST) else { return Ok(()) };
    let host = value.to_str().map_err(|_| value)?;
    let name = match host.strip_prefix('[') {
        Some(bracketed) => match bracketed.split_once(']') {
            Some((name, rest)) if rest.is_empty() || rest.starts_with(':') => name,
            _ => return Err(value),
        },
        None => host.split(':').next().unwrap_or_default(),
    };
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let own = name == "localhost"
        || name.ends_with(".localhost")
        || name.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback());
    if own { Ok(()) } else { Err(value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(k, v)| (k.parse().unwrap(), HeaderValue::from_static(v))).collect()
    }

    #[test]
    fn only_our_own_pages_and_listed_ones_may_connect() {
        let allowed = vec!["https://chat.example.com".to_owned()];
        let ask = |origin: &'static str| {
            origin_allowed(&headers(&[("origin", origin), ("host", "127.0.0.1:8000")]), &allowed).is_ok()
        };
        assert!(ask("http://127.0.0.1:8000"));
        assert!(ask("https://chat.example.com"));
        assert!(origin_allowed(&headers(&[("host", "127.0.0.1:8000")]), &allowed).is_ok());
        for foreign in [
            "null",
            "",
            "https://chat.example.com.evil.test",
            "https://evil.chat.example.com",
            "http://chat.example.com",
            "https://chat.example.com:444",
            "https://CHAT.example.com",
            "http://127.0.0.1:8001",
            "file://127.0.0.1:8000",
        ] {
            assert!(!ask(foreign), "{foreign}");
        }
    }

    #[test]
    fn a_hub_for_development_is_reached_by_this_machines_names_only() {
        let ask = |host: &'static str| host_is_loopback(&headers(&[("host", host)])).is_ok();
        for own in [
            "localhost",
            "LOCALHOST:8000",
            "localhost.:8000",
            "app.localhost:3000",
            "127.0.0.1",
            "127.0.0.1:8000",
            "127.9.9.9:1",
            "[::1]",
            "[::1]:8000",
            "[::ffff:127.0.0.1]:8000",
        ] {
            assert!(ask(own), "{own}");
        }
        assert!(host_is_loopback(&HeaderMap::new()).is_ok(), "no browser leaves it out");
        for foreign in [
            "evil.example:8000",
            "localhost.evil.example",
            "127.0.0.1.evil.example:8000",
            "evillocalhost",
            "192.168.1.7:8000",
            "[::2]:8000",
            "0.0.0.0:8000",
            "",
            "2130706433",
            "[::1].evil.example",
        ] {
            assert!(!ask(foreign), "{foreign}");
        }
    }
}
