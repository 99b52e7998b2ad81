//! Capability `http`: asking the servers whose origins are granted.

mod client;
mod request;
mod resolve;

pub use client::Client;
pub use request::HEAD_MAX;

use super::{Capability, Host, Misuse};
use crate::plugin::contract::host_http::{self, Error, Request, Response};
use confab_plugin_kit::golden::{Failing, Recorded};
use std::sync::Arc;
use std::time::Instant;

/// One instance's way to the servers.
pub struct Access {
    client: Arc<Client>,
    /// How often this call may still ask.
    left: u32,
}

impl Access {
    /// For an instance of the plugin.
    pub fn new(client: &Arc<Client>) -> Self {
        Self { client: Arc::clone(client), left: 0 }
    }

    /// Begins a call.
    pub fn begin(&mut self) {
        self.left = self.client.grant().calls;
    }
}

impl Host {
    async fn ask(&mut self, request: Request) -> Result<Result<Response, Error>, Misuse> {
        self.may(Capability::Http)?;
        let patience = self.patience();
        let Some(access) = &mut self.http else { unreachable!("linked only where it is granted") };
        if access.left == 0 {
            self.count(Capability::Http, "too_many", Some("the call asked too often".into()));
            return Ok(Err(Error::TooMany));
        }
        access.left -= 1;
        let client = Arc::clone(&access.client);
        let begin = Instant::now();
        let url = request.url.clone();
        let answer = match &self.fake {
            Some(fake) => recorded(fake.answer(&request.url), &client),
            None => client.fetch(request, patience).await,
        };
        self.took(Capability::Http, begin);
        match &answer {
            Ok(_) => self.count(Capability::Http, "ok", None),
            Err(error) => self.count(Capability::Http, result(error), Some(detail(&url, error))),
        }
        Ok(answer)
    }
}

/// A recorded answer, within the same bounds as a real one.
fn recorded(answer: Result<&Recorded, Failing>, client: &Client) -> Result<Response, Error> {
    let answer = answer.map_err(|failing| match failing {
        Failing::Unavailable => Error::Unavailable("the server is away".into()),
        Failing::Timeout => Error::Timeout,
        Failing::Forbidden => Error::Forbidden("the address is not granted".into()),
        Failing::TooLarge => Error::TooLarge,
    })?;
    if answer.body.len() > client.grant().bytes.bytes() {
        return Err(Error::TooLarge);
    }
    let headers = answer.headers.iter().map(|(name, value)| (name.to_lowercase(), value.clone())).collect();
    Ok(Response { status: answer.status, headers, body: answer.body.clone().into_bytes() })
}

fn result(error: &Error) -> &'static str {
    match error {
        Error::Invalid(_) => "invalid",
        Error::Forbidden(_) => "forbidden",
        Error::TooLarge => "too_large",
        Error::TooMany => "too_many",
        Error::Unavailable(_) => "unavailable",
        Error::Timeout => "timeout",
    }
}

/// What the operator is told: where to and why, but not what else stands in the address, which may be secret.
fn detail(url: &str, error: &Error) -> String {
    let origin = url::Url::parse(url).map(|url| url.origin().ascii_serialization());
    let origin = origin.as_deref().unwrap_or("no address");
    match error {
        Error::Invalid(why) | Error::Forbidden(why) | Error::Unavailable(why) => format!("{origin}: {why}"),
        Error::TooLarge | Error::TooMany | Error::Timeout => origin.to_owned(),
    }
}

impl host_http::Host for Host {
    async fn fetch(&mut self, request: Request) -> wasmtime::Result<Result<Response, Error>> {
        Ok(self.ask(request).await?)
    }
}
