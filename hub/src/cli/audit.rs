//! `confab audit`: what operators and moderators did, and what they were refused, through a running hub.

use super::remote::{ask, encoded, when, word};
use super::{AnswerArgs, Exit, Screen, SettingsArgs};
use clap::Args;
use hyper::Method;
use jiff::Timestamp;
use serde_json::Value;
use std::io;
use std::time::Duration;

/// See what operators and moderators did, the newest first.
#[derive(Args, Clone, Debug)]
pub struct Audit {
    /// Only since then: a time such as `2030-01-31T12:00:00Z`, or so long ago, such as `2h` or `7d`.
    #[arg(long, value_name = "TIME", value_parser = since)]
    since: Option<Timestamp>,
    /// Only what was done to this user.
    #[arg(long)]
    user: Option<String>,
    /// Only this: `send`, `history`, `approve`, `deny`, `close_flags`, `mute`, `unmute`, `ban`, `unban`, `disconnect`, `reload`,
    /// `retry_dead_letter`, `drop_dead_letter`, `close_lost`.
    #[arg(long)]
    verb: Option<String>,
    /// Only what this operator or moderator did.
    #[arg(long)]
    by: Option<String>,
    /// Only what was done in this room.
    #[arg(long)]
    room: Option<String>,
    /// Only what came before this act, as an earlier page printed it.
    #[arg(long, value_name = "ID")]
    before: Option<u64>,
    /// The most acts.
    #[arg(long, default_value_t = 50)]
    limit: usize,
    /// Which hub to ask, and how to print its answer.
    #[command(flatten)]
    answer: AnswerArgs,
}

fn since(text: &str) -> Result<Timestamp, String> {
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    let ago: Duration = confab_config::human::duration::parse(text)
        .map_err(|_| "write a time like 2030-01-31T12:00:00Z, or a duration like 2h".to_owned())?;
    let span = jiff::SignedDuration::try_from(ago).map_err(|error| error.to_string())?;
    Timestamp::now().checked_sub(span).map_err(|error| error.to_string())
}

/// `confab audit`.
pub fn audit(settings: &SettingsArgs, audit: &Audit, screen: &mut Screen<'_>) -> io::Result<Exit> {
    let mut path = format!("/api/v1/audit?limit={}", audit.limit);
    let filters = [("user", &audit.user), ("verb", &audit.verb), ("by", &audit.by), ("room", &audit.room)];
    for (name, value) in filters {
        if let Some(value) = value {
            path += &format!("&{name}={}", encoded(value));
        }
    }
    if let Some(since) = audit.since {
        path += &format!("&since={}", since.as_millisecond());
    }
    if let Some(before) = audit.before {
        path += &format!("&before={before}");
    }
    ask(settings, &audit.answer, Method::GET, &path, None, screen, |answer, screen| {
        let acts = answer["acts"].as_array().map(Vec::as_slice).unwrap_or_default();
        if acts.is_empty() {
            writeln!(screen.out, "nothing was done")?;
        }
        acts.iter().try_for_each(|act| line(act, screen))?;
        match answer["next"].as_u64() {
            Some(next) => writeln!(screen.err, "older: --before {next}"),
            None => Ok(()),
        }
    })
}

fn line(act: &Value, screen: &mut Screen<'_>) -> io::Result<()> {
    let [by, via, verb, result] = ["by", "via", "verb", "result"].map(|key| word(&act[key]));
    write!(screen.out, "{}  {by} ({via}) {verb}", when(&act["at"]))?;
    for (key, before) in [("user", ""), ("event", ""), ("room", "in ")] {
        if let Some(value) = act[key].as_str() {
            write!(screen.out, " {before}{value}")?;
        }
    }
    if act["details"].is_object() {
        write!(screen.out, " {}", act["details"])?;
    }
    if let Some(reason) = act["reason"].as_str() {
        write!(screen.out, ": {reason:?}")?;
    }
    if result == "ok" { writeln!(screen.out) } else { writeln!(screen.out, "  REFUSED {result}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_a_time_or_so_long_ago() {
        assert_eq!(since("2030-01-31T12:00:00Z").unwrap().as_second(), 1_896_091_200);
        let hour = Timestamp::now().as_second() - since("1h").unwrap().as_second();
        assert!((3600..3660).contains(&hour), "{hour}");
        assert!(since("yesterday").unwrap_err().contains("2030"));
    }
}
