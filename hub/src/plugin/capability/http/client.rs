//! Asks servers for one plugin: within its grant, in its time, and nobody else's connections.
//!
//! There are no proxies, no cookies and no redirections, and nothing is read from the environment.

use super::request;
use super::resolve::{self, Lookup, Resolver};
use crate::plugin::contract::host_http::{Error, Request, Response};
use crate::tls;
use bytes::Bytes;
use confab_config::HttpGrant;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::header::HeaderValue;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{self, connect::HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::RootCertStore;
use std::error::Error as StdError;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio::time::timeout_at;

/// The most bytes of an answer's status line and header fields.
const ANSWER_HEAD_MAX: usize = 32 << 10;

/// How long a connection that nobody uses stays open.
const IDLE: Duration = Duration::from_secs(30);

/// One plugin's client.
pub struct Client {
    grant: HttpGrant,
    agent: HeaderValue,
    permits: Semaphore,
    http: legacy::Client<HttpsConnector<HttpConnector<Resolver>>, Full<Bytes>>,
}

impl Client {
    /// A client that trusts the well-known authorities, and asks the system where servers are.
    pub fn new(plugin: &str, grant: HttpGrant) -> Self {
        Self::with(plugin, grant, tls::well_known(), Arc::new(resolve::system))
    }

    fn with(plugin: &str, grant: HttpGrant, roots: RootCertStore, lookup: Arc<Lookup>) -> Self {
        let mut tcp = HttpConnector::new_with_resolver(Resolver::new(lookup, grant.private));
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        let https = HttpsConnectorBuilder::new().with_tls_config(tls::client(roots)).https_or_http();
        let connector = https.enable_http1().wrap_connector(tcp);
        let concurrency = usize::try_from(grant.concurrency).unwrap_or(Semaphore::MAX_PERMITS);
        let http = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(concurrency)
            .http1_max_buf_size(ANSWER_HEAD_MAX)
            .build(connector);
        let agent = format!("confab/{} (plugin {plugin})", env!("CARGO_PKG_VERSION"));
        let agent = HeaderValue::from_str(&agent).unwrap_or(HeaderValue::from_static("confab"));
        Self { grant, agent, permits: Semaphore::new(concurrency), http }
    }

    /// What the plugin is granted.
    pub fn grant(&self) -> &HttpGrant {
        &self.grant
    }

    /// Asks, for as long as the grant says, and no longer than until `patience`.
    pub async fn fetch(&self, asked: Request, patience: Instant) -> Result<Response, Error> {
        let request = request::read(asked, &self.grant, &self.agent)?;
        let deadline = patience.min(Instant::now() + self.grant.timeout).into();
        let _permit = match timeout_at(deadline, self.permits.acquire()).await {
            Ok(permit) => permit.map_err(|_| Error::Unavailable("the hub is ending".into()))?,
            Err(_) => return Err(Error::Unavailable("too many requests of this plugin are under way".into())),
        };
        timeout_at(deadline, self.ask(request)).await.unwrap_or(Err(Error::Timeout))
    }

    async fn ask(&self, request: hyper::Request<Full<Bytes>>) -> Result<Response, Error> {
        let answer = self.http.request(request).await.map_err(|error| failed(&error))?;
        let (head, body) = answer.into_parts();
        let field = |(name, value): (&hyper::header::HeaderName, &HeaderValue)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        let headers = head.headers.iter().map(field).collect();
        // Ends at the limit: what comes after it is never read, and the connection is closed.
        let body = Limited::new(body, self.grant.bytes.bytes()).collect().await.map_err(|error| match error
            .downcast_ref::<LengthLimitError>(
        ) {
            Some(_) => Error::TooLarge,
            None => Error::Unavailable(format!("the answer broke off: {}", whole(&*error))),
        })?;
        Ok(Response { status: head.status.as_u16(), headers, body: body.to_bytes().into() })
    }
}

/// What a plugin is told of a failure.
fn failed(error: &legacy::Error) -> Error {
    if let Some(why @ resolve::Error::Forbidden(_)) = causes(error).find_map(|cause| cause.downcast_ref()) {
        return Error::Forbidden(why.to_string());
    }
    let too_large = |cause: &(dyn StdError + 'static)| {
        cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse_too_large)
    };
    match causes(error).any(too_large) {
        true => Error::TooLarge,
        false => Error::Unavailable(whole(error)),
    }
}

/// An error and all its causes.
fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn StdError + 'static)| (*error).source())
}

/// An error with all its causes, each said once.
fn whole(error: &(dyn StdError + 'static)) -> String {
    let mut told: Vec<String> = Vec::new();
    for cause in causes(error) {
        let words = cause.to_string();
        if !told.iter().any(|before| before.contains(&words)) {
            told.push(words);
        }
    }
    told.join(": ")
}

#[cfg(test)]
mod tests;
