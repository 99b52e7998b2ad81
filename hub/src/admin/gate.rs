//! Who comes in at the admin port: whoever has a token, and no web page.
//!
//! A page of the web that is looked at on this machine can send requests to a loopback address. It says so itself (`Origin`,
//! `Sec-Fetch-Site`), unless its own name was pointed at this machine; then the `Host` is a foreign name. Neither is let in, whatever it
//! asks for; and it has no token.

use super::problem;
use super::tokens::Tokens;
use crate::actor::Actor;
use crate::log_limit::LogLimit;
use crate::telemetry::Telemetry;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use confab_protocol::{Refusal, UserId};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

/// What anybody may ask for: probes have no token.
const OPEN: [&str; 2] = ["/healthz", "/readyz"];
/// The longest body of a request.
const BODY_BYTES_MAX: usize = 1024 * 1024;
/// How long a body may take to come.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// The operator whose token a request brought.
#[derive(Clone, Debug)]
pub(super) struct Operator(pub Arc<str>);

impl Operator {
    /// Whoever acts: the operator, by their own name.
    ///
    /// # Errors
    /// [`Refusal::BadRequest`]: the token's name is none that a user could have.
    pub(super) fn actor(&self) -> Result<Arc<Actor>, Refusal> {
        let user = UserId::new(&*self.0).map_err(|error| Refusal::BadRequest(error.to_string().into()))?;
        Ok(self.speaking_as(user))
    }

    /// The operator, in the name of a user.
    pub(super) fn speaking_as(&self, user: UserId) -> Arc<Actor> {
        Arc::new(Actor::operator(self.0.clone(), user))
    }
}

/// Decides who comes in.
pub(super) struct Gate {
    tokens: Tokens,
    hosts: Hosts,
    telemetry: Arc<Telemetry>,
    refused_log: LogLimit,
}

/// Why somebody does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refused {
    Host,
    Page,
    NoToken,
    WrongToken,
    Closed,
    ContentType,
    Body,
}

impl Refused {
    /// The reason as metrics and log name it.
    fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Page => "page",
            Self::NoToken => "no_token",
            Self::WrongToken => "wrong_token",
            Self::Closed => "closed",
            Self::ContentType => "content_type",
            Self::Body => "body",
        }
    }

    fn response(self) -> Response {
        let (status, why) = match self {
            Self::Host => (StatusCode::FORBIDDEN, "this host name is not in `admin_hosts`"),
            Self::Page => (StatusCode::FORBIDDEN, "no web page may use the admin API"),
            Self::NoToken => (StatusCode::UNAUTHORIZED, "an admin token is needed: `Authorization: Bearer <token>`"),
            Self::WrongToken => (StatusCode::UNAUTHORIZED, "this admin token is not known here"),
            Self::Closed => (StatusCode::FORBIDDEN, "this hub has no admin token: see its log"),
            Self::ContentType => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "a body must be JSON: `Content-Type: application/json`")
            }
            Self::Body => (StatusCode::PAYLOAD_TOO_LARGE, "the body is too large, or did not come in time"),
        };
        let mut response = problem(status, why);
        if status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Bearer realm=\"confab admin\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

impl Gate {
    pub fn new(tokens: Tokens, bound: IpAddr, names: Vec<String>, telemetry: Arc<Telemetry>) -> Self {
        Self { tokens, hosts: Hosts { bound, names }, telemetry, refused_log: LogLimit::default() }
    }

    fn admit(&self, request: &Request) -> Result<Option<Operator>, Refused> {
        let headers = request.headers();
        // HTTP/1.1 has the host in its header; a request line with a whole address has it there.
        let host = request.uri().host().or_else(|| text(headers, header::HOST));
        if !host.is_some_and(|host| self.hosts.allow(host)) {
            return Err(Refused::Host);
        }
        if is_foreign_page(headers) {
            return Err(Refused::Page);
        }
        if OPEN.contains(&request.uri().path()) {
            return Ok(None);
        }
        let tokens = self.tokens.now().ok_or(Refused::Closed)?;
        let token = bearer(headers).ok_or(Refused::NoToken)?;
        let name = tokens.name_of(token).ok_or(Refused::WrongToken)?;
        Ok(Some(Operator(name.into())))
    }
}

/// Lets a request through, or answers it.
pub(super) async fn gate(State(gate): State<Arc<Gate>>, mut request: Request, next: Next) -> Response {
    let admitted = gate.admit(&request).and_then(|operator| {
        if operator.is_some() && has_body(&request) && !is_json(request.headers()) {
            return Err(Refused::ContentType);
        }
        Ok(operator)
    });
    let refused = match admitted {
        Ok(operator) => {
            if let Some(operator) = operator {
                request.extensions_mut().insert(operator);
            }
            match whole(request).await {
                Ok(request) => return next.run(request).await,
                Err(refused) => refused,
            }
        }
        Err(refused) => refused,
    };
    gate.telemetry.admin_refused(refused.name());
    if let Some(left_out) = gate.refused_log.may_write() {
        tracing::warn!(reason = refused.name(), left_out, "admin request refused");
    }
    refused.response()
}

/// Reads the body to its end before anybody waits for it.
async fn whole(request: Request) -> Result<Request, Refused> {
    let (head, body) = request.into_parts();
    let read = tokio::time::timeout(BODY_TIMEOUT, axum::body::to_bytes(body, BODY_BYTES_MAX)).await;
    let bytes = read.ok().and_then(Result::ok).ok_or(Refused::Body)?;
    Ok(Request::from_parts(head, Body::from(bytes)))
}

/// Whether a request changes something by what it says. One without a word needs no content type: it brought a token, which no page
/// can send unasked.
fn has_body(request: &Request) -> bool {
    let headers = request.headers();
    let says_so = headers.contains_key(header::CONTENT_TYPE) || headers.contains_key(header::TRANSFER_ENCODING);
    let is_long = text(headers, header::CONTENT_LENGTH).is_some_and(|length| length != "0");
    request.method() != Method::GET && (says_so || is_long)
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = text(headers, header::CONTENT_TYPE).unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
}

/// The token of `Authorization: Bearer`, whose scheme is written in any case.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = text(headers, header::AUTHORIZATION)?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Whether a browser says that a page of elsewhere asks. None of ours is served here.
fn is_foreign_page(headers: &HeaderMap) -> bool {
    if let Some(site) = headers.get("sec-fetch-site")
        && site != "same-origin"
        && site != "none"
    {
        return true;
    }
    let Some(origin) = headers.get(header::ORIGIN) else { return false };
    let host = text(headers, header::HOST);
    let own = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
    !own.is_some_and(|(scheme, rest)| matches!(scheme, "http" | "https") && Some(rest) == host)
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// The names under which this port may be asked.
struct Hosts {
    bound: IpAddr,
    names: Vec<String>,
}

impl Hosts {
    fn allow(&self, host: &str) -> bool {
        let name = without_port(host);
        match name.trim_matches(['[', ']']).parse::<IpAddr>() {
            // An address cannot have been pointed elsewhere. Where the port is on all of the machine's, any may be one of them.
            Ok(address) => address.is_loopback() || address == self.bound || self.bound.is_unspecified(),
            Err(_) => {
                let name = name.trim_end_matches('.').to_ascii_lowercase();
                name == "localhost" || self.names.contains(&name)
            }
        }
    }
}

/// A host without its port; an address of version 6 stands in brackets.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && is_whole(name) => name,
        _ => host,
    }
}

fn is_whole(name: &str) -> bool {
    (name.starts_with('[') && name.ends_with(']')) || name.parse::<Ipv6Addr>().is_err() && !name.contains(':')
}

#[cfg(test)]
mod tests {
    use super::*;
    use confab_config::admin_tokens::AdminTokens;

    const TOKEN: &str = "a-token-of-the-tests";

    fn gate(bound: &str) -> Gate {
        let tokens = Tokens::fixed(AdminTokens::given(TOKEN));
        Gate::new(tokens, bound.parse().unwrap(), vec!["hub-1.example.com".into()], Arc::default())
    }

    fn asked(gate: &Gate, path: &str, headers: &[(&str, &str)]) -> Result<Option<String>, Refused> {
        let host = [("host", "127.0.0.1:9000")].into_iter().filter(|_| headers.iter().all(|(name, _)| *name != "host"));
        let all = host.chain(headers.iter().copied());
        let request = all.fold(axum::http::Request::get(path), |request, (name, value)| request.header(name, value));
        let admitted = gate.admit(&request.body(Body::empty()).unwrap());
        admitted.map(|operator| operator.map(|Operator(name)| name.to_string()))
    }

    #[test]
    fn nothing_but_health_is_answered_without_a_token() {
        let gate = gate("127.0.0.1");
        for path in
            ["/metrics", "/api/v1/history?room=lobby", "/nothing", "/healthz/", "//healthz", "/api/v1/../healthz"]
        {
            assert_eq!(asked(&gate, path, &[]), Err(Refused::NoToken), "{path}");
        }
        for path in OPEN {
            assert_eq!(asked(&gate, path, &[]), Ok(None));
        }
        for right in [format!("Bearer {TOKEN}"), format!("bearer  {TOKEN}")] {
            assert_eq!(asked(&gate, "/metrics", &[("authorization", &right)]), Ok(Some("admin".into())));
        }
        for wrong in [format!("Bearer {TOKEN}x"), "Bearer ".into(), "Bearer x".into()] {
            assert_eq!(asked(&gate, "/metrics", &[("authorization", &wrong)]), Err(Refused::WrongToken), "{wrong}");
        }
        for none in [TOKEN.to_owned(), format!("Basic {TOKEN}"), String::new()] {
            assert_eq!(asked(&gate, "/metrics", &[("authorization", &none)]), Err(Refused::NoToken), "{none}");
        }
    }

    #[test]
    fn no_foreign_name_is_answered_and_no_page_even_with_a_token() {
        let token = format!("Bearer {TOKEN}");
        let ask = |gate: &Gate, headers: &[(&str, &str)]| {
            let with: Vec<(&str, &str)> = headers.iter().copied().chain([("authorization", token.as_str())]).collect();
            asked(gate, "/healthz", &with).map(drop)
        };
        let local = gate("127.0.0.1");
        for good in [
            "127.0.0.1",
            "127.0.0.1:9000",
            "localhost:9000",
            "LOCALHOST.",
            "[::1]:9000",
            "[::1]",
            "::1",
            "hub-1.example.com:9000",
            "127.9.9.9",
        ] {
            assert_eq!(ask(&local, &[("host", good)]), Ok(()), "{good}");
        }
        for bad in [
            "rebind.test",
            "rebind.test:9000",
            "localhost.evil.test",
            "127.0.0.1.evil.test:9000",
            "10.0.0.7:9000",
            "",
            "evil.hub-1.example.com",
            "[::1].evil.test",
            "127.0.0.1@evil.test",
            "0.0.0.0:9000",
        ] {
            assert_eq!(ask(&local, &[("host", bad)]), Err(Refused::Host), "{bad}");
        }
        assert_eq!(ask(&gate("0.0.0.0"), &[("host", "10.0.0.7:9000")]), Ok(()));
        assert_eq!(ask(&gate("10.0.0.7"), &[("host", "10.0.0.7:9000")]), Ok(()));
        assert_eq!(ask(&gate("0.0.0.0"), &[("host", "rebind.test:9000")]), Err(Refused::Host));
        for page in [
            ("origin", "https://evil.test"),
            ("origin", "null"),
            ("origin", "http://127.0.0.1:8000"),
            ("origin", "http://localhost:9000"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
        ] {
            assert_eq!(ask(&local, &[page]), Err(Refused::Page), "{page:?}");
        }
        for own in [("origin", "http://127.0.0.1:9000"), ("sec-fetch-site", "none"), ("sec-fetch-site", "same-origin")]
        {
            assert_eq!(ask(&local, &[own]), Ok(()), "{own:?}");
        }
    }

    #[test]
    fn a_body_is_json_and_nothing_needs_no_name() {
        let post = |headers: &[(&str, &str)]| {
            let request = axum::http::Request::post("/api/v1/reload");
            let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
            let request = request.body(Body::empty()).unwrap();
            !has_body(&request) || is_json(request.headers())
        };
        assert!(post(&[]) && post(&[("content-length", "0")]));
        assert!(post(&[("content-type", "application/json; charset=utf-8"), ("content-length", "2")]));
        for bad in [
            [("content-type", "text/plain"), ("content-length", "2")],
            [("content-type", "text/plain"), ("content-length", "0")],
            [("content-type", "application/x-www-form-urlencoded"), ("transfer-encoding", "chunked")],
            [("accept", "application/json"), ("content-length", "2")],
            [("content-type", "application/json-patch"), ("content-length", "2")],
        ] {
            assert!(!post(&bad), "{bad:?}");
        }
    }
}
