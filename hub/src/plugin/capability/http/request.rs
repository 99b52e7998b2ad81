//! What plugins may ask of a server: the request, read and checked.

use crate::plugin::contract::host_http::{Error, Request};
use bytes::Bytes;
use confab_config::{HttpGrant, HttpOrigin, address::is_public};
use http_body_util::Full;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Method, Uri};
use std::net::IpAddr;
use url::{Host, Url};

/// The most bytes of an address and header fields together.
pub const HEAD_MAX: usize = 16 << 10;

/// Header fields that steer the connection, or say how the body is carried: the hub's own.
const REFUSED: [HeaderName; 10] = [
    header::HOST,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::TE,
    header::TRAILER,
    header::UPGRADE,
    header::EXPECT,
    header::PROXY_AUTHORIZATION,
    header::PROXY_AUTHENTICATE,
];

/// The same, for names that the library has no constant for.
const REFUSED_BY_NAME: [&str; 3] = ["keep-alive", "proxy-connection", "http2-settings"];

/// Reads a request. `agent` is what the hub says of itself where the plugin says nothing.
pub fn read(asked: Request, grant: &HttpGrant, agent: &HeaderValue) -> Result<hyper::Request<Full<Bytes>>, Error> {
    let invalid = |why: String| Error::Invalid(why);
    let url = Url::parse(&asked.url).map_err(|error| invalid(format!("the address cannot be read: {error}")))?;
    may_be_asked(&url, grant)?;
    let fields = asked.headers.iter().map(|(name, value)| name.len() + value.len());
    if asked.url.len() + fields.sum::<usize>() > HEAD_MAX {
        return Err(invalid(format!("address and header fields have more than {HEAD_MAX} bytes")));
    }
    let body = asked.body.unwrap_or_default();
    if body.len() > grant.bytes.bytes() {
        return Err(invalid(format!("the body has more than {} bytes", grant.bytes.bytes())));
    }
    // From the address as it was read, so that what is checked and what is asked cannot differ.
    let uri: Uri = url.as_str().parse().map_err(|error| invalid(format!("the address cannot be asked: {error}")))?;
    let mut request = hyper::Request::new(Full::new(Bytes::from(body)));
    *request.uri_mut() = uri;
    *request.method_mut() = method(&asked.method)?;
    request.headers_mut().insert(header::USER_AGENT, agent.clone());
    let mut has_agent = false;
    for (name, value) in asked.headers {
        let (name, value) = field(&name, &value)?;
        if name == header::USER_AGENT && !std::mem::replace(&mut has_agent, true) {
            request.headers_mut().insert(name, value);
        } else {
            request.headers_mut().append(name, value);
        }
    }
    Ok(request)
}

/// Whether the origin is granted, and a literal address is one that may be asked.
fn may_be_asked(url: &Url, grant: &HttpGrant) -> Result<(), Error> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Error::Invalid("only http and https can be asked".into()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Error::Invalid("the address has a user or a password: send a header field".into()));
    }
    let origin = HttpOrigin::of(url);
    if !grant.allow.contains(&origin) {
        return Err(Error::Forbidden(format!("{origin} is not granted")));
    }
    let literal = match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::from(address),
        Some(Host::Ipv6(address)) => IpAddr::from(address),
        Some(Host::Domain(_)) | None => return Ok(()),
    };
    match may_be_reached(literal, grant.private) {
        true => Ok(()),
        false => Err(Error::Forbidden(format!("{origin} is no public address"))),
    }
}

/// Whether an address may be connected to: a public one, or where it is granted, any that belongs to one machine.
pub fn may_be_reached(address: IpAddr, private: bool) -> bool {
    let address = address.to_canonical();
    let one = !address.is_unspecified() && !address.is_multicast() && address != IpAddr::from([255; 4]);
    is_public(address) || private && one
}

fn method(name: &str) -> Result<Method, Error> {
    match name {
        "GET" => Ok(Method::GET),
        "POST" => Ok(Method::POST),
        "HEAD" => Ok(Method::HEAD),
        "PUT" => Ok(Method::PUT),
        "PATCH" => Ok(Method::PATCH),
        "DELETE" => Ok(Method::DELETE),
        other => Err(Error::Invalid(format!("{other:?} is not one of GET, POST, HEAD, PUT, PATCH and DELETE"))),
    }
}

fn field(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), Error> {
    let read: HeaderName = name.parse().map_err(|_| Error::Invalid(format!("{name:?} cannot name a header field")))?;
    if REFUSED.contains(&read) || REFUSED_BY_NAME.contains(&read.as_str()) {
        return Err(Error::Invalid(format!("the header field `{read}` is the hub's own")));
    }
    let value = HeaderValue::from_str(value)
        .map_err(|_| Error::Invalid(format!("the header field `{read}` cannot have this value")))?;
    Ok((read, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant() -> HttpGrant {
        let allow = ["https://a.example", "http://10.0.0.1:8080", "https://[fd00::1]"];
        let allow = allow.map(|origin| HttpOrigin::parse(origin).unwrap()).to_vec();
        HttpGrant { allow, bytes: confab_config::Size(8), ..HttpGrant::default() }
    }

    fn ask(url: &str) -> Request {
        Request { method: "GET".into(), url: url.into(), headers: Vec::new(), body: None }
    }

    fn read_with(asked: Request, grant: &HttpGrant) -> Result<hyper::Request<Full<Bytes>>, Error> {
        read(asked, grant, &HeaderValue::from_static("confab"))
    }

    #[test]
    fn only_the_very_origin_that_is_granted_is_asked() {
        for url in ["https://a.example", "https://a.example:443/x?y#z", "HTTPS://A.EXAMPLE/", "https:\\\\a.example\\x"]
        {
            let read = read_with(ask(url), &grant()).unwrap();
            assert_eq!(read.uri().authority().unwrap().as_str(), "a.example", "{url}");
        }
        for url in [
            "http://a.example",
            "https://a.example:444",
            "https://b.example",
            "https://a.example.b.example",
            "https://b.a.example",
            "https://a.example./",
            "https://10.0.0.1:8080",
        ] {
            assert!(
                matches!(read_with(ask(url), &grant()), Err(Error::Forbidden(why)) if why.contains("not granted")),
                "{url}"
            );
        }
        for url in [
            "a.example",
            "//a.example",
            "ftp://a.example",
            "file:///etc/passwd",
            "https://u:p@a.example",
            "https://u@a.example",
        ] {
            assert!(matches!(read_with(ask(url), &grant()), Err(Error::Invalid(_))), "{url}");
        }
    }

    #[test]
    fn a_literal_private_address_is_asked_only_where_that_is_granted() {
        let private = HttpGrant { private: true, ..grant() };
        for url in ["http://10.0.0.1:8080/", "http://0x0a.1:8080/", "https://[fd00::1]/"] {
            assert!(matches!(read_with(ask(url), &grant()), Err(Error::Forbidden(_))), "{url}");
            assert!(read_with(ask(url), &private).is_ok(), "{url}");
        }
        for address in ["0.0.0.0", "255.255.255.255", "224.0.0.1", "::", "ff02::1", "::ffff:224.0.0.1"] {
            assert!(!may_be_reached(address.parse().unwrap(), true), "{address}");
        }
        assert!(!may_be_reached("::ffff:127.0.0.1".parse().unwrap(), false));
    }

    #[test]
    fn what_steers_the_connection_is_the_hub_s() {
        let with = |name: &str, value: &str| {
            let mut asked = ask("https://a.example");
            asked.headers = vec![(name.into(), value.into())];
            read_with(asked, &grant())
        };
        for name in [
            "Host",
            "connection",
            "Content-Length",
            "Transfer-Encoding",
            "TE",
            "Upgrade",
            "Keep-Alive",
            "Proxy-Connection",
        ] {
            assert!(matches!(with(name, "x"), Err(Error::Invalid(why)) if why.contains("hub's own")), "{name}");
        }
        for (name, value) in [("a b", "x"), ("", "x"), ("x", "a\r\nHost: b"), ("x", "\0")] {
            assert!(matches!(with(name, value), Err(Error::Invalid(_))), "{name:?}");
        }
        assert_eq!(with("X-Key", "1").unwrap().headers()["x-key"], "1");
        let own = with("User-Agent", "mine").unwrap();
        assert_eq!(own.headers().get_all("user-agent").iter().collect::<Vec<_>>(), ["mine"]);
    }

    #[test]
    fn methods_and_sizes_are_bounded() {
        let with = |method: &str, body: usize| {
            read_with(
                Request { method: method.into(), body: Some(vec![0; body]), ..ask("https://a.example") },
                &grant(),
            )
        };
        assert!(with("POST", 8).is_ok());
        assert!(matches!(with("POST", 9), Err(Error::Invalid(_))));
        for method in ["CONNECT", "TRACE", "get", "", "G ET"] {
            assert!(matches!(with(method, 0), Err(Error::Invalid(_))), "{method}");
        }
        let long = format!("https://a.example/{}", "x".repeat(HEAD_MAX));
        assert!(matches!(read_with(ask(&long), &grant()), Err(Error::Invalid(_))));
    }
}
