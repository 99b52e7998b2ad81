//! Where a client is, if proxies stand before the hub.

use axum::http::{HeaderMap, HeaderName, header};
use confab_config::ProxyHeader;
use ipnet::IpNet;
use std::net::IpAddr;

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
        let name = match self.header {
            ProxyHeader::XForwardedFor => HeaderName::from_static("x-forwarded-for"),
            ProxyHeader::Forwarded => header::FORWARDED,
        };
        // Bytes, for what a client puts before the proxy's word need not be text. Quotes are not looked at: no address holds a
        // comma, and a client may leave one open.
        let hops = headers.get_all(name).iter().rev().flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
        for hop in hops.map(<[u8]>::trim_ascii).filter(|hop| !hop.is_empty()) {
            let Some(address) = self.address(hop) else { break }; // unknown: the proxy before it answers for it
            client = address.to_canonical();
            if !self.trusts(client) {
                break;
            }
        }
        client
    }

    /// The address of a hop, if it names one.
    fn address(&self, hop: &[u8]) -> Option<IpAddr> {
        let hop = std::str::from_utf8(hop).ok()?;
        match self.header {
            ProxyHeader::XForwardedFor => address(hop),
            ProxyHeader::Forwarded => address(forwarded_for(hop)?),
        }
    }
}

/// The `for` of one element of `Forwarded` (RFC 7239).
fn forwarded_for(element: &str) -> Option<&str> {
    element.split(';').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then(|| value.trim().trim_matches('"'))
    })
}

/// An address with or without a port, of IPv6 with or without brackets and a zone.
fn address(hop: &str) -> Option<IpAddr> {
    if let Some(rest) = hop.strip_prefix('[') {
        let (bare, port) = rest.split_once(']')?;
        return (port.is_empty() || port.starts_with(':')).then(|| v6(bare))?;
    }
    let v4 = || hop.split(':').next()?.parse().map(IpAddr::V4).ok();
    v6(hop).or_else(v4)
}

/// An address of IPv6. Its zone says by which link another machine reaches it, which is nothing here.
fn v6(text: &str) -> Option<IpAddr> {
    text.split('%').next()?.parse().map(IpAddr::V6).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn client(header: ProxyHeader, peer: &str, lines: &[&str]) -> String {
        client_of_bytes(header, peer, &lines.iter().map(|line| line.as_bytes()).collect::<Vec<_>>())
    }

    fn client_of_bytes(header: ProxyHeader, peer: &str, lines: &[&[u8]]) -> String {
        let trusted = ["10.0.0.0/8", "127.0.0.1/32", "2001:db8::/32"].map(|network| network.parse().unwrap());
        let name = match header {
            ProxyHeader::XForwardedFor => "x-forwarded-for",
            ProxyHeader::Forwarded => "forwarded",
        };
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(name, HeaderValue::from_bytes(line).unwrap());
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

    #[test]
    fn whatever_a_client_writes_before_the_proxys_word_moves_it_nowhere() {
        let long = "10.0.0.1, ".repeat(1500);
        let before: [&[u8]; 12] = [
            b"",
            b",",
            b", ,,",
            b"10.0.0.9",
            b"\xff\xfe not text",
            b"caf\xe9",
            b"\"",
            b"\"10.0.0.1, 10.0.0.2",
            b"for=\"10.0.0.1",
            b"[2001:db8::1",
            b"unknown",
            long.as_bytes(),
        ];
        for before in before {
            for (header, word, second) in [
                (ProxyHeader::XForwardedFor, "192.0.2.1", "10.0.0.7"),
                (ProxyHeader::Forwarded, "for=192.0.2.1", "for=10.0.0.7"),
            ] {
                let word = word.as_bytes();
                let second = second.as_bytes();
                let joined = [before, b", ", word].concat();
                for lines in [&[&joined[..]][..], &[before, word], &[&joined[..], second]] {
                    let client = client_of_bytes(header, "10.0.0.1", lines);
                    assert_eq!(client, "192.0.2.1", "{header:?} behind {:?}", String::from_utf8_lossy(before));
                }
            }
        }
    }

    #[test]
    fn an_address_is_read_however_a_proxy_writes_it_and_nothing_else_is_one() {
        let client = |hop: &str| client(ProxyHeader::XForwardedFor, "10.0.0.1", &[hop]);
        for (hop, is) in [
            ("192.0.2.1:4711", "192.0.2.1"),
            ("fe80::1%eth0", "fe80::1"),
            ("[fe80::1%25eth0]:4711", "fe80::1"),
            ("[2001:db9::1]", "2001:db9::1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("[::ffff:192.0.2.1]:1", "192.0.2.1"),
            ("192.0.2.1,", "192.0.2.1"),
        ] {
            assert_eq!(client(hop), is, "{hop}");
        }
        for none in
            ["192.0.2", "192.0.2.1 192.0.2.2", "[192.0.2.1]", "[2001:db9::1", "[2001:db9::1]x", "0x7f.1", "_hidden"]
        {
            assert_eq!(client(none), "10.0.0.1", "{none}");
        }
        let forwarded = |element: &str| super::tests::client(ProxyHeader::Forwarded, "10.0.0.1", &[element]);
        assert_eq!(forwarded(r#"by=10.0.0.1;FOR="[2001:db9::1%eth0]:_port""#), "2001:db9::1");
        assert_eq!(forwarded(r#"for="192.0.2.1:_x";proto=https"#), "192.0.2.1");
    }
}
