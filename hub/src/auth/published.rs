//! The keys that an issuer publishes (JWKS): read in the background, and at once, within a pace, where a token names a key that
//! is not known. The last good keys hold while the issuer cannot be asked.

use super::jwks;
use super::keys::Key;
use arc_swap::ArcSwap;
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::{Request, StatusCode, Uri, header};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

/// The largest set that is read, in bytes.
const SET_BYTES_MAX: usize = 256 << 10;
/// How long an answer may take, from the name's look-up to its last byte.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How soon after a try the next one may begin, whatever tokens name.
const PACE: Duration = Duration::from_secs(5);
/// How long a client that shows a token of an unknown key waits for the keys.
const PATIENCE: Duration = Duration::from_secs(5);
/// The first pause after a try that failed; each further one doubles it, up to the last.
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_LAST: Duration = Duration::from_secs(60);

/// The keys that an issuer publishes.
pub struct Published {
    uri: Uri,
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
    refresh: Duration,
    pace: Duration,
    keys: ArcSwap<Vec<Key>>,
    /// The set as it was read the last time, to tell whether it has changed.
    text: ArcSwap<Bytes>,
    wanted: Notify,
    tried: watch::Sender<Tried>,
}

/// How often the issuer was asked, and what came of the last time.
#[derive(Clone, Copy, Default)]
struct Tried {
    times: u64,
    at: Option<Instant>,
    done: bool,
}

impl Published {
    /// Keys at this address, of which none is known before [`Self::read`]. `ca_file` vouches for the host, in place of the
    /// well-known authorities.
    ///
    /// # Errors
    /// The address is none, or the authorities cannot be read.
    pub fn new(url: &str, ca_file: Option<&Path>, refresh: Duration) -> Result<Self, String> {
        let uri: Uri = url.parse().map_err(|error| format!("{url} is no address: {error}"))?;
        let roots = ca_file.map_or_else(|| Ok(crate::tls::well_known()), crate::tls::of_file)?;
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        // The settings let `http` through for this machine only.
        let https = HttpsConnectorBuilder::new().with_tls_config(crate::tls::client(roots)).https_or_http();
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .build(https.enable_http1().wrap_connector(tcp));
        Ok(Self {
            uri,
            client,
            refresh,
            pace: PACE,
            keys: ArcSwap::default(),
            text: ArcSwap::default(),
            wanted: Notify::new(),
            tried: watch::Sender::default(),
        })
    }

    /// The last good keys; none before the first.
    pub fn keys(&self) -> Arc<Vec<Key>> {
        self.keys.load_full()
    }

    /// Whether the keys were read anew, because of a token of a key that is not known.
    pub async fn read_anew(&self) -> bool {
        let mut tried = self.tried.subscribe();
        let Tried { times, at, .. } = *tried.borrow_and_update();
        if at.is_some_and(|at| at.elapsed() < self.pace) {
            return false; // whoever shows it comes again, and by then another look may be taken
        }
        self.wanted.notify_one();
        match timeout(PATIENCE, tried.wait_for(|now| now.times > times)).await {
            Ok(Ok(now)) => now.done,
            _ => false,
        }
    }

    /// Keeps the keys fresh until `stop`.
    pub async fn follow(&self, stop: CancellationToken) {
        let mut failures = 0;
        let mut told = String::new();
        loop {
            let done = match stop.run_until_cancelled(self.read()).await {
                None => return,
                Some(done) => done,
            };
            match &done {
                Ok(()) if failures > 0 => tracing::info!(url = %self.uri, failures, "token keys can be read again"),
                Ok(()) => {}
                // Once for each reason, and not at every try.
                Err(why) if *why != told => {
                    told.clone_from(why);
                    let known = self.keys.load().len();
                    tracing::warn!(url = %self.uri, why, known, "could not read token keys: those known so far hold");
                }
                Err(why) => tracing::debug!(url = %self.uri, why, failures, "could not read token keys"),
            }
            failures = if done.is_ok() { 0 } else { failures + 1 };
            if done.is_ok() {
                told.clear();
            }
            let begun = Instant::now();
            self.tried.send_modify(|tried| {
                *tried = Tried { times: tried.times + 1, at: Some(begun), done: done.is_ok() };
            });
            let pause = match failures {
                0 => self.refresh,
                n => RETRY_FIRST.saturating_mul(1 << (n - 1).min(16)).min(RETRY_LAST),
            };
            let asked_for = async {
                self.wanted.notified().await;
                sleep_until(begun + self.pace).await;
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(pause) => {}
                () = asked_for => {}
            }
        }
    }

    /// Reads the keys now.
    ///
    /// # Errors
    /// Why they could not be read; those known so far stay.
    pub async fn read(&self) -> Result<(), String> {
        let answer = timeout(TIMEOUT, self.fetch()).await;
        let text = answer.unwrap_or_else(|_| Err(format!("no answer within {} s", TIMEOUT.as_secs())))?;
        if *self.text.load_full() == text {
            return Ok(());
        }
        let jwks::Read { keys, passed_over } = jwks::read(&text)?;
        for why in &passed_over {
            tracing::warn!(url = %self.uri, why, "passed over a token key");
        }
        tracing::info!(url = %self.uri, keys = keys.len(), passed_over = passed_over.len(), "token keys read");
        self.keys.store(Arc::new(keys));
        self.text.store(Arc::new(text));
        Ok(())
    }

    async fn fetch(&self) -> Result<Bytes, String> {
        let agent = concat!("confab/", env!("CARGO_PKG_VERSION"));
        let request = Request::get(&self.uri).header(header::ACCEPT, "application/json, application/jwk-set+json");
        let request =
            request.header(header::USER_AGENT, agent).body(Empty::new()).map_err(|error| error.to_string())?;
        let answer = self.client.request(request).await.map_err(|error| causes(&error))?;
        match answer.status() {
            StatusCode::OK => {}
            status if status.is_redirection() => {
                return Err(format!("answered {status}, and is not followed elsewhere"));
            }
            status => return Err(format!("answered {status}")),
        }
        // Ends at the limit: what comes after it is never read, and the connection is closed.
        match Limited::new(answer.into_body(), SET_BYTES_MAX).collect().await {
            Ok(body) => Ok(body.to_bytes()),
            Err(error) if error.is::<LengthLimitError>() => Err(format!("answered more than {SET_BYTES_MAX} bytes")),
            Err(error) => Err(format!("the answer broke off: {error}")),
        }
    }
}

/// An error with its causes.
fn causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |said, cause| format!("{said}: {cause}"))
}

#[cfg(test)]
mod tests;
