//! WebSocket handshakes: what they ask for, and the answer (RFC 6455 §4.2).

use crate::dialect::{Dialect, SUBPROTOCOL_JSON, SUBPROTOCOL_PROTOBUF};
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Version, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// Which encoding of the native dialect a client asks for, and the subprotocol to answer: the subprotocol decides, or
/// `format=protobuf` or `cf_protocol=protobuf` in the address, for clients that cannot name one.
pub fn native_dialect(headers: &HeaderMap, query: &str) -> (Dialect, Option<&'static str>) {
    let named = |subprotocol| has(headers, header::SEC_WEBSOCKET_PROTOCOL, subprotocol);
    let asked = || query.split('&').any(|pair| matches!(pair, "format=protobuf" | "cf_protocol=protobuf"));
    if named(SUBPROTOCOL_JSON) {
        (Dialect::NativeJson, Some(SUBPROTOCOL_JSON))
    } else if named(SUBPROTOCOL_PROTOBUF) {
        (Dialect::NativeProtobuf, Some(SUBPROTOCOL_PROTOBUF))
    } else if asked() {
        (Dialect::NativeProtobuf, None)
    } else {
        (Dialect::NativeJson, None)
    }
}

/// Whether a header that is a list holds `token`.
fn has(headers: &HeaderMap, name: header::HeaderName, token: &str) -> bool {
    let lines = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|part| part.trim().eq_ignore_ascii_case(token))
}

/// Why a request is no WebSocket handshake that can be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoHandshake {
    /// It is about something else.
    #[error("this is a WebSocket address: connect with a WebSocket client")]
    Other,
    /// Only a GET can be one.
    #[error("a WebSocket begins with a GET")]
    Method,
    /// It is of another version than ours, the only one of the RFC.
    #[error("only WebSocket version 13 is spoken here")]
    Version,
    /// Its key is not there, or is not 16 bytes in base64.
    #[error("the Sec-WebSocket-Key header must be 16 bytes in base64")]
    Key,
}

impl IntoResponse for NoHandshake {
    fn into_response(self) -> Response {
        let text = format!("{self}\n");
        match self {
            Self::Other | Self::Key => (StatusCode::BAD_REQUEST, text).into_response(),
            Self::Method => (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET")], text).into_response(),
            Self::Version => {
                (StatusCode::UPGRADE_REQUIRED, [(header::SEC_WEBSOCKET_VERSION, "13")], text).into_response()
            }
        }
    }
}

/// Answers a WebSocket handshake (RFC 6455 §4.2).
///
/// # Errors
/// What is wrong with it.
pub fn upgrade(request: &Request, subprotocol: Option<&'static str>) -> Result<Response, NoHandshake> {
    let headers = request.headers();
    let has = |name, token| has(headers, name, token);
    let asked = has(header::CONNECTION, "upgrade") && has(header::UPGRADE, "websocket");
    if !asked || request.version() < Version::HTTP_11 {
        return Err(NoHandshake::Other);
    }
    if request.method() != Method::GET {
        return Err(NoHandshake::Method);
    }
    if !has(header::SEC_WEBSOCKET_VERSION, "13") {
        return Err(NoHandshake::Version);
    }
    let key = headers.get(header::SEC_WEBSOCKET_KEY).ok_or(NoHandshake::Key)?;
    if !BASE64.decode(key).is_ok_and(|nonce| nonce.len() == 16) {
        return Err(NoHandshake::Key);
    }
    let mut response = Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_ACCEPT, derive_accept_key(key.as_bytes()));
    if let Some(subprotocol) = subprotocol {
        response = response.header(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(subprotocol));
    }
    Ok(response.body(Body::empty()).expect("each of these headers is one"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(k, v)| (k.parse().unwrap(), HeaderValue::from_static(v))).collect()
    }

    #[test]
    fn a_handshake_is_answered_as_the_rfc_has_it() {
        let good = [
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("sec-websocket-protocol", "centrifuge-json"),
        ];
        let request = |pairs: &[(&'static str, &'static str)]| {
            let mut request = Request::new(Body::empty());
            *request.headers_mut() = headers(pairs);
            request
        };
        let response = upgrade(&request(&good), Some(SUBPROTOCOL_JSON)).unwrap();
        assert_eq!(response.headers()["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(response.headers()["sec-websocket-protocol"], "centrifuge-json");
        for missing in 0..4 {
            let mut pairs = good.to_vec();
            pairs.remove(missing);
            assert!(upgrade(&request(&pairs), None).is_err());
        }
    }

    #[test]
    fn a_client_chooses_its_encoding_by_subprotocol_or_address() {
        let chosen = |subprotocols: &'static str, query| {
            native_dialect(&headers(&[("sec-websocket-protocol", subprotocols)]), query)
        };
        let json = (Dialect::NativeJson, Some("centrifuge-json"));
        let protobuf = (Dialect::NativeProtobuf, Some("centrifuge-protobuf"));
        assert_eq!(chosen("centrifuge-json", ""), json);
        assert_eq!(chosen("chat, centrifuge-protobuf", ""), protobuf);
        assert_eq!(chosen("centrifuge-protobuf, centrifuge-json", "format=protobuf"), json);
        for query in ["format=protobuf", "a=b&cf_protocol=protobuf"] {
            assert_eq!(native_dialect(&HeaderMap::new(), query), (Dialect::NativeProtobuf, None));
        }
        for query in ["", "format=json", "xformat=protobuf"] {
            assert_eq!(native_dialect(&HeaderMap::new(), query), (Dialect::NativeJson, None));
        }
    }
}
