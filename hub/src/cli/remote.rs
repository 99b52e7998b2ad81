//! The verbs that ask a running hub, through its admin API: `chain status`, `send`, `history`.

use super::{AnswerArgs, Exit, History, HubArgs, Screen, Send, SettingsArgs};
use confab_config::admin_tokens::AdminTokens;
use confab_config::{Diagnostics, Secret};
use confab_plugin_kit::plain;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode, header};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// How long a hub may take to answer; a send that waits for the journal takes up to its deadline.
const TIMEOUT: Duration = Duration::from_secs(20);

/// `confab chain status`.
pub fn chain_status(settings: &SettingsArgs, how: &AnswerArgs, screen: &mut Screen<'_>) -> io::Result<Exit> {
    ask(settings, how, Method::GET, "/api/v1/chain", None, screen, |answer, screen| {
        let plugins = answer["plugins"].as_array().map(Vec::as_slice).unwrap_or_default();
        writeln!(screen.out, "chain {}, contract {}", word(&answer["version"]), word(&answer["contract"]))?;
        let numbers = ["calls", "faults", "skipped", "paused", "p50 µs", "p99 µs", "memory KiB"];
        write!(screen.out, "{:<24} {:<12} {:<9}", "plugin", "module", "breaker")?;
        numbers.iter().try_for_each(|head| write!(screen.out, " {head:>10}"))?;
        writeln!(screen.out)?;
        for plugin in plugins {
            let hash: String = word(&plugin["hash"]).chars().take(12).collect();
            write!(screen.out, "{:<24} {hash:<12} {:<9}", word(&plugin["plugin"]), word(&plugin["breaker"]))?;
            for number in ["calls", "faults", "skipped", "senders_paused", "p50_us", "p99_us"] {
                write!(screen.out, " {:>10}", plugin[number])?;
            }
            writeln!(screen.out, " {:>10}", plugin["memory_bytes"].as_u64().unwrap_or_default() >> 10)?;
        }
        Ok(())
    })
}

/// `confab send`.
pub fn send(settings: &SettingsArgs, send: &Send, screen: &mut Screen<'_>) -> io::Result<Exit> {
    let body = json!({ "room": send.room, "user": send.user, "key": send.key, "body": { "text": send.text } });
    ask(settings, &send.answer, Method::POST, "/api/v1/send", Some(body), screen, |receipt, screen| {
        writeln!(screen.out, "sent: {} stands at offset {}", word(&receipt["id"]), receipt["offset"])
    })
}

/// `confab history`.
pub fn history(settings: &SettingsArgs, history: &History, screen: &mut Screen<'_>) -> io::Result<Exit> {
    let before = match history.before.as_deref().map(cursor) {
        None => String::new(),
        Some(Some((epoch, offset))) => format!("&epoch={epoch}&offset={offset}"),
        Some(None) => {
            writeln!(screen.err, "error: `--before` takes a cursor, written EPOCH/OFFSET as a page prints it")?;
            return Ok(Exit::Usage);
        }
    };
    let path = format!("/api/v1/history?room={}&limit={}{before}", encoded(&history.room), history.limit);
    ask(settings, &history.answer, Method::GET, &path, None, screen, |page, screen| {
        let events = page["events"].as_array().map(Vec::as_slice).unwrap_or_default();
        for event in events.iter().rev() {
            let text = text_of(&event["body"]);
            let text = plain::escaped(&text);
            let user = plain::escaped(word(&event["sender"]["user"]));
            let kind = word(&event["type"]);
            let kind = if kind == "message" { String::new() } else { format!(" [{kind}]") };
            writeln!(screen.out, "{:>6}  {}  {user}{kind}: {text}", event["offset"], when(&event["at"]))?;
        }
        if let (Some(epoch), Some(offset)) = (page["next"]["epoch"].as_str(), page["next"]["offset"].as_u64()) {
            writeln!(screen.err, "older: --before {epoch}/{offset}")?;
        }
        Ok(())
    })
}

/// The text of a body, or its reaction. What is neither must not pass for a text.
fn text_of(body: &Value) -> String {
    let said = body["text"].as_str().or_else(|| body["reaction"].as_str());
    match said {
        Some(text) => text.to_owned(),
        None if body.is_null() => String::new(),
        None => format!("({} bytes of JSON without a text, see --json)", body.to_string().len()),
    }
}

fn cursor(text: &str) -> Option<(&str, u64)> {
    let (epoch, offset) = text.split_once('/')?;
    epoch.bytes().all(|byte| byte.is_ascii_digit()).then_some(())?;
    Some((epoch, offset.parse().ok()?))
}

pub(super) fn when(ms: &Value) -> String {
    let time = ms.as_i64().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    time.map_or_else(String::new, |time| time.strftime("%Y-%m-%d %H:%M:%SZ").to_string())
}

pub(super) fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// Asks a running hub and prints what it answers: as JSON, or as `tell` does.
pub(super) fn ask(
    settings: &SettingsArgs,
    how: &AnswerArgs,
    method: Method,
    path: &str,
    body: Option<Value>,
    screen: &mut Screen<'_>,
    tell: impl FnOnce(&Value, &mut Screen<'_>) -> io::Result<()>,
) -> io::Result<Exit> {
    let target = match Target::of(settings, &how.hub) {
        Ok(target) => target,
        Err(why) => return why.tell(screen),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match runtime.block_on(fetch(&target, path, method, body, TIMEOUT)) {
        Ok((status, answer)) if status.is_success() => {
            if how.json { screen.json(&answer) } else { tell(&answer, screen) }.map(|()| Exit::Done)
        }
        Ok((_, answer)) => {
            let why = answer["error"].as_str().map_or_else(|| answer.to_string(), str::to_owned);
            writeln!(screen.err, "error: {why}")?;
            Ok(Exit::Failed)
        }
        Err(why) => unreachable(&target, &why, screen),
    }
}

/// A running hub, and the token to bring.
pub(super) struct Target {
    base: String,
    token: Secret,
}

/// Why no hub can be asked.
pub(super) enum NoTarget {
    /// The settings are wrong.
    Settings(Diagnostics),
    /// There is no token, in words for people.
    Token(String),
}

impl NoTarget {
    /// Says so.
    pub fn tell(self, screen: &mut Screen<'_>) -> io::Result<Exit> {
        match self {
            Self::Settings(errors) => screen.findings(&errors)?,
            Self::Token(why) => {
                writeln!(screen.err, "error: {why}")?;
                writeln!(
                    screen.err,
                    "help: a hub makes a token for its own machine and user when it starts; another is brought with \
                     `--admin-token-file`, or in CONFAB_ADMIN_TOKEN"
                )?;
            }
        }
        Ok(Exit::Configuration)
    }
}

impl Target {
    /// The hub of the settings, or the one that is named. The token that a hub made for itself is shown to no other.
    pub fn of(settings: &SettingsArgs, hub: &HubArgs) -> Result<Self, NoTarget> {
        let access = settings.admin_access(hub.admin_url.is_some()).map_err(NoTarget::Settings)?;
        let base = hub.admin_url.as_ref().map(|url| url.trim_end_matches('/').to_owned());
        let told = |error: &dyn std::error::Error| NoTarget::Token(super::run::causes(error));
        let token = match &hub.admin_token_file {
            Some(file) => {
                let tokens = AdminTokens::read(file).map_err(|error| told(&error))?;
                let none = || NoTarget::Token(format!("{} holds hashes only, and no token to bring", file.display()));
                tokens.usable().cloned().ok_or_else(none)?
            }
            None if !access.given && base.as_deref().is_some_and(|base| !is_here(base, access.admin)) => {
                return Err(NoTarget::Token("the token of this machine's hub is not shown to another".to_owned()));
            }
            None => access.token.map_err(|error| told(&error))?,
        };
        Ok(Self { base: base.unwrap_or_else(|| format!("http://{}", access.admin)), token })
    }
}

/// Whether an address is this machine's, or that of the hub of the settings.
fn is_here(base: &str, admin: SocketAddr) -> bool {
    let Ok(uri) = base.parse::<hyper::Uri>() else { return false };
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback() || address == admin.ip())
}

/// Says that there is no hub.
pub(super) fn unreachable(target: &Target, why: &str, screen: &mut Screen<'_>) -> io::Result<Exit> {
    writeln!(screen.err, "error: could not reach the hub at {}: {why}", target.base)?;
    writeln!(screen.err, "help: start it with `confab run`, or name its admin port with `--admin-url`")?;
    Ok(Exit::Unreachable)
}

/// Asks the hub, and waits at most `patience` for the answer.
pub(super) async fn fetch(
    target: &Target,
    path: &str,
    method: Method,
    body: Option<Value>,
    patience: Duration,
) -> Result<(StatusCode, Value), String> {
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let body = body.map(|body| body.to_string()).unwrap_or_default();
    let request = Request::builder().method(method).uri(format!("{}{path}", target.base));
    let request = request.header(header::CONTENT_TYPE, "application/json");
    let request = request.header(header::AUTHORIZATION, format!("Bearer {}", target.token.expose()));
    let request = request.body(Full::new(Bytes::from(body))).map_err(|error| error.to_string())?;
    let work = async {
        let response = client.request(request).await.map_err(|error| super::run::causes(&error))?;
        let status = response.status();
        let bytes = response.into_body().collect().await.map_err(|error| error.to_string())?.to_bytes();
        let answer = serde_json::from_slice(&bytes).unwrap_or_else(|_| Value::from(String::from_utf8_lossy(&bytes)));
        Ok((status, answer))
    };
    tokio::time::timeout(patience, work).await.unwrap_or_else(|_| Err(format!("no answer in {patience:?}")))
}

/// What a body says: its text, or all of it.
pub(super) fn said(body: &Value) -> String {
    body["text"].as_str().map_or_else(|| body.to_string(), str::to_owned)
}

/// A text, or nothing.
pub(super) fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
