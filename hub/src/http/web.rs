//! The web client: its page at the root, and what the page loads. Built from `web/` and part of the program.

use super::Http;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use std::sync::Arc;

/// A file of the built web client.
struct File {
    /// Its path below the root.
    name: &'static str,
    content: &'static [u8],
    gzip: Option<&'static [u8]>,
    brotli: Option<&'static [u8]>,
}

include!(concat!(env!("OUT_DIR"), "/web.rs"));

/// What the page may load and do: from this hub alone, no text is run as a script, and nobody puts it into a frame unasked.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; \
                      connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'; \
                      require-trusted-types-for 'script'; trusted-types 'none'";
const OPENER: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
/// How the page is told that whoever comes may say who they are; see `web/index.html`.
const BY_TOKEN: &str = "data-signin=\"token\"";
const BY_NAME: &str = "data-signin=\"name\"";

const MISSING: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Confab</title>\
<meta name=\"viewport\" content=\"width=device-width\"><h1>Confab runs</h1>\
<p>This hub was built without its web client. To have it here: install Node.js 20.19 or later, type \
<code>cargo xtask web</code>, and build the hub again. <code>cargo xtask run</code> does both.</p>\
<p>Clients connect at <code>connection/websocket</code> and <code>socket.io/</code> all the same.</p></html>";

/// Answers with the page.
pub async fn page(State(http): State<Arc<Http>>) -> Response {
    let page = find("index.html").and_then(|file| std::str::from_utf8(file.content).ok());
    let about = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-cache"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (OPENER, "same-origin"),
    ];
    match page {
        Some(page) if http.gate.loopback_only => (about, Html(page.replacen(BY_TOKEN, BY_NAME, 1))).into_response(),
        Some(page) => (about, Html(page)).into_response(),
        None => (about, Html(MISSING)).into_response(),
    }
}

/// Answers with what the page loads. A name has a hash of the content in it, so what has been loaded once stays good.
pub async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Response {
    let Some(file) = find(&format!("assets/{name}")) else {
        return (StatusCode::NOT_FOUND, "there is no such file\n").into_response();
    };
    let about = [
        (header::CONTENT_TYPE, content_type(file.name)),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (header::VARY, "accept-encoding"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    let (encoding, content) = encoded(file, &headers);
    let encoding = encoding.map(|encoding| [(header::CONTENT_ENCODING, encoding)]);
    (about, encoding, content).into_response()
}

fn find(name: &str) -> Option<&'static File> {
    FILES.iter().find(|file| file.name == name)
}

/// The smallest form that the client takes.
fn encoded(file: &File, headers: &HeaderMap) -> (Option<&'static str>, &'static [u8]) {
    let forms = [("br", file.brotli), ("gzip", file.gzip)];
    let found = forms.into_iter().find_map(|(name, content)| takes(headers, name).then_some((Some(name), content?)));
    found.unwrap_or((None, file.content))
}

/// Whether the client says that it takes this encoding; `q=0` says that it does not.
fn takes(headers: &HeaderMap, encoding: &str) -> bool {
    let lines = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|one| {
        let mut parts = one.split(';').map(str::trim);
        let named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(encoding));
        let weight = parts.find_map(|part| part.strip_prefix("q=")?.parse::<f32>().ok());
        named && weight.is_none_or(|weight| weight > 0.0)
    })
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("woff2") => "font/woff2",
        Some("json") => "application/json",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asking(encodings: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::ACCEPT_ENCODING, header::HeaderValue::from_static(encodings))])
    }

    #[test]
    fn a_client_is_given_the_smallest_form_that_it_takes() {
        let file = File { name: "assets/a.js", content: b"plain", gzip: Some(b"gz"), brotli: Some(b"br") };
        assert_eq!(encoded(&file, &asking("gzip, deflate, br, zstd")), (Some("br"), &b"br"[..]));
        assert_eq!(encoded(&file, &asking("gzip;q=0.8, br;q=0")), (Some("gzip"), &b"gz"[..]));
        assert_eq!(encoded(&file, &HeaderMap::new()), (None, &b"plain"[..]));
        let small = File { gzip: None, brotli: None, ..file };
        assert_eq!(encoded(&small, &asking("br")), (None, &b"plain"[..]));
    }
}
