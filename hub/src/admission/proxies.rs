//! Where a client is, if proxies stand before the hub.

use axum::http::{HeaderMap, HeaderName, header};
use confab_config::ProxyHeader;
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};

/// The proxies whose word is taken for where a client is.
#[derive(Clone, Debug)]
pub struct Proxies {
    trusted: Vec<IpNet>,
    header: ProxyHeader,
}

impl Proxies {
    /// Those in these networks, which write this header.
    pub fn new(trusted: Vec<IpNet>, header: ProxyHeader) -> Self {
        Self { trusted, header }
    }

    /// Whether this is a proxy whose word is taken.
    pub fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(&address.to_canonical()))
    }

    /// Where the client is whose request came from `peer`: the last hop that no trusted proxy stands at. What a client
    /// writes into the header itself stands before that, and is not looked at.
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.to_canonical();
        if !self.trusts(client) {
            return client;
        }
        for hop in self.hops(headers).iter().rev() {
            let Some(address) = hop.as_deref().and_then(address) else { break }; // unknown: the proxy before it answers for it
            client = address.to_canonical();
            if !self.trusts(client) {
                break;
            }
        }
        client
    }

    /// The hops that the header names, the nearest last; `None` for one that has no name.
    fn hops(&self, headers: &HeaderMap) -> Vec<Option<String>> {
        let name = match self.header {
            ProxyHeader::XForwardedFor => HeaderName::from_static("x-forwarded-for"),
            ProxyHeader::Forwarded => header::FORWARDED,
        };
        let lines = headers.get_all(name).iter().map(|value| value.to_str().unwrap_or_default());
        let parts = lines.flat_map(|line| line.split(','));
        match self.header {
            ProxyHeader::XForwardedFor => parts.map(|part| Some(part.trim().to_owned())).collect(),
            ProxyHeader::Forwarded => parts.map(forwarded_for).collect(),
        }
    }
}

/// The `for` of one element of `Forwarded` (RFC 7239). An address holds neither a comma nor a semicolon, so what is quoted
/// otherwise is none.
fn forwarded_for(element: &str) -> Option<String> {
    element.split(';').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then(|| value.trim().trim_matches('"').to_owned())
    })
}

/// An address with or without a port, of IPv6 with or without brackets.
fn address(hop: &str) -> Option<IpAddr> {
    let bare = || hop.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    hop.parse().ok().or_else(|| hop.parse::<SocketAddr>().ok().map(|address| address.ip())).or_else(bare)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(header: ProxyHeader, peer: &str, lines: &[&str]) -> String {
        let trusted = ["10.0.0.0/8", "127.0.0.1/32", "2001:db8::/32"].map(|network| network.parse().unwrap());
        let name = match header {
            ProxyHeader::XForwardedFor => "x-forwarded-for",
            ProxyHeader::Forwarded => "forwarded",
        };
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(name, line.parse().unwrap());
        }
        Proxies::new(trusted.into(), header).client(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn a_client_is_at_the_last_hop_that_is_no_trusted_proxy() {
        let client = |peer, lines: &[&str]| client(ProxyHeader::XForwardedFor, peer, lines);
        assert_eq!(
            client("203.0.113.9", &["192.0.2.1"]),
            "203.0.113.9",
            "whoever is no proxy may write what they like"
        );
        assert_eq!(client("10.0.0.1", &["192.0.2.1"]), "192.0.2.1");
        assert_eq!(client("::ffff:10.0.0.1", &["192.0.2.1"]), "192.0.2.1");
        assert_eq!(
            client("10.0.0.1", &["1.1.1.1, 192.0.2.1, 10.0.0.2"]),
            "192.0.2.1",
            "the first is the client's word"
        );
        assert_eq!(client("10.0.0.1", &["1.1.1.1", "192.0.2.1", "10.0.0.2"]), "192.0.2.1");
        assert_eq!(client("10.0.0.1", &["10.0.0.3,10.0.0.2"]), "10.0.0.3", "all are proxies");
        assert_eq!(client("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(client("10.0.0.1", &["192.0.2.1, unknown"]), "10.0.0.1");
        assert_eq!(client("10.0.0.1", &["192.0.2.1:4711"]), "192.0.2.1");
        assert_eq!(client("10.0.0.1", &["[2001:db9::1]:4711"]), "2001:db9::1");
        assert_eq!(client("2001:db8::1", &["2001:db9::1"]), "2001:db9::1");
    }

    #[test]
    fn forwarded_is_read_as_rfc_7239_has_it() {
        let client = |lines: &[&str]| client(ProxyHeader::Forwarded, "10.0.0.1", lines);
        assert_eq!(client(&["for=192.0.2.43, for=10.0.0.7"]), "192.0.2.43");
        assert_eq!(client(&[r#"For="[2001:db9:cafe::17]:4711";proto=https;by=10.0.0.1"#]), "2001:db9:cafe::17");
        assert_eq!(client(&["for=1.1.1.1", "for=192.0.2.60;proto=http"]), "192.0.2.60");
        assert_eq!(client(&["for=192.0.2.43, for=_hidden"]), "10.0.0.1");
        assert_eq!(client(&["proto=http"]), "10.0.0.1");
    }
}
