//! A link, taken apart and made safe to show.

use serde::Serialize;
use std::fmt::Write;

/// The longest form to show, in characters.
const DISPLAY_MAX: usize = 80;

/// A link, taken apart.
#[derive(Debug, PartialEq, Serialize)]
pub struct Link {
    /// Where it leads, in lower case, without user name, password and port.
    pub host: String,
    /// What is asked for there: path, query and fragment. Empty if nothing is.
    pub path: String,
    /// The link as a client may show it.
    pub display: String,
}

impl Link {
    /// Takes a link apart; `None` if it has no host.
    pub fn read(url: &str) -> Option<Self> {
        let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
        // Browsers take `\` for `/`: so does a look at where the host ends.
        let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        // What stands before the last `@` is a user name, and often a lie about the host.
        let host_and_port = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let host = match host_and_port.strip_prefix('[') {
            Some(v6) => format!("[{}]", v6.split(']').next()?),
            None => host_and_port.split(':').next()?.to_lowercase(),
        };
        if host.is_empty() {
            return None;
        }
        Some(Self { display: display(&host, path), host, path: path.to_owned() })
    }
}

/// Host and path in plain ASCII, cut at [`DISPLAY_MAX`]; everything else is percent-encoded, which browsers understand in
/// hosts too.
fn display(host: &str, path: &str) -> String {
    let path = if path == "/" { "" } else { path };
    let mut shown = String::new();
    for c in host.chars().chain(path.chars()) {
        if shown.len() >= DISPLAY_MAX {
            shown.push_str("...");
            break;
        }
        if c.is_ascii_graphic() {
            shown.push(c);
        } else {
            for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                write!(shown, "%{byte:02X}").expect("writing to a string");
            }
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(url: &str) -> String {
        Link::read(url).unwrap().display
    }

    #[test]
    fn a_link_is_shown_as_where_it_really_leads() {
        assert_eq!(shown("https://bank.example@evil.example/login"), "evil.example/login");
        assert_eq!(shown("https://bank.example\\@evil.example"), "bank.example\\@evil.example");
        assert_eq!(shown("http://u:p@host.example:8080/"), "host.example");
        assert_eq!(shown("http://аpple.example"), "%D0%B0pple.example");
        assert_eq!(shown("http://a.example/\u{202e}gpj"), "a.example/%E2%80%AEgpj");
        assert_eq!(shown("http://[::1]:80/x"), "[::1]/x");
    }

    #[test]
    fn a_long_link_is_cut() {
        let long = format!("http://a.example/{}", "x".repeat(500));
        assert_eq!(shown(&long).len(), DISPLAY_MAX + 3);
        assert_eq!(Link::read(&long).unwrap().path.len(), 501);
    }

    #[test]
    fn what_has_no_host_is_no_link() {
        assert_eq!(Link::read("http:///x"), None);
        assert_eq!(Link::read(""), None);
    }
}
