//! The other way: a server that judges, with the same filter and without WebAssembly, and whoever asks it over HTTP as a
//! hub would.

use super::cost::quantile;
use super::setting::words;
use crate::usage::Processes;
use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use confab_plugin_sdk::{Decision, Plugin, testing};
use confab_protocol::{Body, Event};
use futures_util::future::try_join_all;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use word_filter::WordFilter;

/// How many questions are asked at once where many are.
const AT_ONCE: usize = 16;
/// How many questions come before those that are measured.
const WARM_UP: usize = 200;

/// What the hook is asked.
#[derive(Serialize, Deserialize)]
struct Question {
    id: String,
    room: String,
    sender: String,
    kind: String,
    key: String,
    at: u64,
    body: Body,
}

/// What it says.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Accept,
    Replace(Body),
    Reject { code: u16, reason: String },
    Hold(String),
}

/// Ends this process when whoever started it is gone, or closes our input.
pub fn end_with_our_input() {
    std::thread::spawn(|| {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        std::process::exit(0);
    });
}

/// Serves at a port of its own, which is given to `listens`, on one thread.
pub fn serve(listens: impl FnOnce(SocketAddr)) -> Result<()> {
    let filter = testing::configure::<WordFilter>(&serde_json::json!({ "words": words() }));
    let filter = Rc::new(filter.map_err(|why| anyhow::anyhow!("the filter refuses its settings: {why}"))?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let serving = tokio::task::LocalSet::new();
    serving.block_on(&runtime, async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        listens(listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let filter = Rc::clone(&filter);
            let service = service_fn(move |request| respond(Rc::clone(&filter), request));
            tokio::task::spawn_local(
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
            );
        }
    })
}

async fn respond(filter: Rc<WordFilter>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let answered = async {
        let bytes = request.into_body().collect().await?.to_bytes();
        let question: Question = serde_json::from_slice(&bytes)?;
        Ok::<_, anyhow::Error>(serde_json::to_vec(&judge(&filter, question)?)?)
    };
    Ok(match answered.await {
        Ok(answer) => Response::new(Full::from(answer)),
        Err(error) => {
            let mut response = Response::new(Full::from(error.to_string()));
            *response.status_mut() = hyper::StatusCode::BAD_REQUEST;
            response
        }
    })
}

fn judge(filter: &WordFilter, question: Question) -> Result<Answer> {
    let event = confab_plugin_sdk::Event {
        text: question.body.text(),
        body: question.body.as_str().to_owned(),
        id: question.id,
        room: question.room,
        sender: question.sender,
        key: question.key,
        at: question.at,
        ..testing::event("")
    };
    Ok(match filter.judge(&event, &testing::context()).decision {
        Decision::Accept(_) => Answer::Accept,
        Decision::Replace(new) => Answer::Replace(Body::parse(new.body)?),
        Decision::Reject(no) => Answer::Reject { code: no.code, reason: no.reason },
        Decision::Hold(why) => Answer::Hold(why),
    })
}

/// Whoever asks.
pub struct Asker {
    client: Client<HttpConnector, Full<Bytes>>,
    url: String,
    /// This process, and the hook's.
    processes: Processes,
}

/// What asking takes, in microseconds.
pub struct Asked {
    /// CPU of both sides for each question, one at a time.
    pub cpu_alone: f64,
    /// The same with many at once.
    pub cpu_many: f64,
    /// How long an answer takes, one at a time: half are shorter.
    pub p50: f64,
    /// One in a hundred is longer.
    pub p99: f64,
}

impl Asker {
    /// Asks the hook that listens there.
    pub fn new(address: SocketAddr, hook: u32) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Self {
            client,
            url: format!("http://{address}/judge"),
            processes: Processes::new(vec![std::process::id(), hook]),
        }
    }

    /// Asks for about so long: first one question at a time, then many.
    pub async fn measure(&mut self, event: &Event, span: Duration) -> Result<Asked> {
        for _ in 0..WARM_UP {
            self.ask(event).await?;
        }
        let (before, begun, mut took) = (self.processes.cpu()?, Instant::now(), Vec::new());
        while begun.elapsed() < span / 2 {
            let asked = Instant::now();
            self.ask(event).await?;
            took.push(asked.elapsed());
        }
        let cpu_alone = micros(self.processes.cpu()? - before) / took.len() as f64;
        took.sort_unstable();

        let (before, begun) = (self.processes.cpu()?, Instant::now());
        let asking = (0..AT_ONCE).map(|_| async {
            let mut count = 0_u64;
            while begun.elapsed() < span / 2 {
                self.ask(event).await?;
                count += 1;
            }
            Ok::<_, anyhow::Error>(count)
        });
        let count: u64 = try_join_all(asking).await?.iter().sum();
        let cpu_many = micros(self.processes.cpu()? - before) / count as f64;
        let [p50, p99] = [0.5, 0.99].map(|share| quantile(&took, share).map(micros));
        Ok(Asked { cpu_alone, cpu_many, p50: p50?, p99: p99? })
    }

    async fn ask(&self, event: &Event) -> Result<()> {
        let question = Question {
            id: event.id.to_string(),
            room: event.room.to_string(),
            sender: event.sender.user.to_string(),
            kind: event.kind.as_str().to_owned(),
            key: event.key.to_string(),
            at: event.at,
            body: event.body.clone(),
        };
        let request = Request::post(&self.url).header("content-type", "application/json");
        let response = self.client.request(request.body(serde_json::to_vec(&question)?.into())?).await?;
        let status = response.status();
        let bytes = response.into_body().collect().await?.to_bytes();
        ensure!(status.is_success(), "the hook answers {status}: {}", String::from_utf8_lossy(&bytes));
        match serde_json::from_slice(&bytes).context("the hook's answer is no verdict")? {
            Answer::Accept => Ok(()),
            _ => bail!("the hook lets a good message through no more"),
        }
    }
}

fn micros(span: Duration) -> f64 {
    span.as_secs_f64() * 1e6
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugins::setting::event;

    #[test]
    fn the_hook_answers_what_the_filter_says() {
        let (told, address) = std::sync::mpsc::channel();
        std::thread::spawn(move || serve(|address| told.send(address).unwrap()));
        let mut asker = Asker::new(address.recv().unwrap(), std::process::id());
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let asked = runtime.block_on(asker.measure(&event(), Duration::from_millis(100))).unwrap();
        assert!(asked.p50 > 0.0 && asked.p99 >= asked.p50 && asked.cpu_many > 0.0);
        let bad = Event { body: Body::of(&serde_json::json!({ "text": words()[0] })), ..event() };
        assert!(runtime.block_on(asker.ask(&bad)).is_err());
    }
}
