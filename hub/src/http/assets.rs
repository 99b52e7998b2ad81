//! The stock Socket.IO client, as every Socket.IO server serves it: the files of the npm package `socket.io-client`, unchanged.

use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

const SCRIPT: &str = "application/javascript; charset=utf-8";
const MAP: &str = "application/json; charset=utf-8";

/// The version of the package.
pub const VERSION: &str = "4.8.4";

/// Each file's name, type and content.
pub static FILES: [(&str, &str, &[u8]); 7] = [
    ("socket.io.js", SCRIPT, include_bytes!("../../assets/socket.io/socket.io.js")),
    ("socket.io.js.map", MAP, include_bytes!("../../assets/socket.io/socket.io.js.map")),
    ("socket.io.min.js", SCRIPT, include_bytes!("../../assets/socket.io/socket.io.min.js")),
    ("socket.io.min.js.map", MAP, include_bytes!("../../assets/socket.io/socket.io.min.js.map")),
    ("socket.io.esm.min.js", SCRIPT, include_bytes!("../../assets/socket.io/socket.io.esm.min.js")),
    ("socket.io.esm.min.js.map", MAP, include_bytes!("../../assets/socket.io/socket.io.esm.min.js.map")),
    ("LICENSE", "text/plain; charset=utf-8", include_bytes!("../../assets/socket.io/LICENSE")),
];

/// Answers with a file. Any page may load it, as from any other place where it is published.
pub async fn file(Path(name): Path<String>, headers: HeaderMap) -> Response {
    let Some((_, kind, content)) = FILES.iter().find(|(file, ..)| *file == name) else {
        return (StatusCode::NOT_FOUND, "there is no such file\n").into_response();
    };
    let tag = format!("\"{VERSION}\"");
    let about = [
        (header::CACHE_CONTROL, "public, max-age=0"),
        (header::ETAG, tag.as_str()),
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    let known = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut known = known.flat_map(|line| line.split(',')).map(|one| one.trim().trim_start_matches("W/"));
    if known.any(|one| one == tag || one == "*") {
        return (StatusCode::NOT_MODIFIED, about).into_response();
    }
    (about, [(header::CONTENT_TYPE, *kind)], *content).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scripts_say_their_version_and_licence() {
        for (name, kind, content) in FILES.iter().filter(|(_, kind, _)| *kind == SCRIPT) {
            let text = std::str::from_utf8(content).unwrap();
            assert!(text.contains(&format!("Socket.IO v{VERSION}")), "{name} {kind}");
            assert!(text.contains("MIT License"), "{name}");
            let map = text.rsplit("sourceMappingURL=").next().unwrap().trim();
            assert!(FILES.iter().any(|(file, ..)| *file == map), "{name} names {map}");
        }
    }
}
