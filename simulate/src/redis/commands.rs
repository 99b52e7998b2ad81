//! The commands that our scripts use.

use super::streams::{Fields, Stream, StreamId};
use super::{Data, Held, Value};
use std::collections::BTreeMap;

/// What a command answers.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// Nothing.
    Nil,
    /// A number.
    Int(i64),
    /// Bytes.
    Bulk(Vec<u8>),
    /// A word such as `OK`.
    Status(&'static str),
    /// A list.
    Array(Vec<Reply>),
}

impl Reply {
    fn text(text: impl ToString) -> Self {
        Self::Bulk(text.to_string().into_bytes())
    }

    fn maybe(found: Option<Vec<u8>>) -> Self {
        found.map_or(Self::Nil, Self::Bulk)
    }
}

/// A command that changed something, as a replica gets it.
#[derive(Clone, Debug, PartialEq)]
pub struct Effect {
    /// The command, its ids settled.
    pub command: Vec<Vec<u8>>,
    /// When it was given.
    pub now: u64,
}

const WRONG_TYPE: &str = "WRONGTYPE Operation against a key holding the wrong kind of value";

/// Whether a command changes anything.
pub fn writes(name: &[u8]) -> bool {
    !matches!(
        name,
        b"HMGET"
            | b"HGET"
            | b"EXISTS"
            | b"GET"
            | b"PTTL"
            | b"XLEN"
            | b"XRANGE"
            | b"XREVRANGE"
            | b"ZSCORE"
            | b"TIME"
            | b"SPUBLISH"
    )
}

/// Whether a server whose memory is full refuses it.
pub fn needs_memory(name: &[u8]) -> bool {
    matches!(name, b"HSET" | b"HSETNX" | b"HINCRBY" | b"SET" | b"XADD" | b"ZADD")
}

impl Data {
    /// Runs one command.
    ///
    /// # Errors
    /// What Redis would say.
    pub fn apply(&mut self, command: &[Vec<u8>], now: u64) -> Result<Reply, String> {
        let (name, args) = command.split_first().ok_or("no command")?;
        match &name[..] {
            b"TIME" => Ok(Reply::Array(vec![Reply::text(now / 1000), Reply::text(now % 1000 * 1000)])),
            b"SPUBLISH" => Ok(Reply::Int(0)),
            b"DEL" | b"EXISTS" | b"PEXPIRE" | b"PTTL" => self.name(name, args, now),
            b"GET" | b"SET" => self.string(name, args, now),
            [b'H', ..] => self.hash(name, args, now),
            [b'X', ..] => self.stream(name, args, now),
            [b'Z', ..] => self.sorted(name, args, now),
            _ => Err(format!("ERR unknown command '{}'", String::from_utf8_lossy(name))),
        }
    }

    fn name(&mut self, command: &[u8], args: &[Vec<u8>], now: u64) -> Result<Reply, String> {
        if command == b"DEL" || command == b"EXISTS" {
            let mut count = 0;
            for name in args {
                count += i64::from(self.live(name, now).is_some());
                if command == b"DEL" {
                    self.names.remove(name);
                }
            }
            return Ok(Reply::Int(count));
        }
        let time = args.get(1).map(|time| number(time)).transpose()?;
        match (self.live(arg(args, 0)?, now), time) {
            (Some(held), Some(time)) => {
                held.expires = Some(now.saturating_add_signed(time));
                Ok(Reply::Int(1))
            }
            (None, Some(_)) => Ok(Reply::Int(0)),
            (Some(held), None) => Ok(Reply::Int(held.expires.map_or(-1, |end| end.saturating_sub(now).cast_signed()))),
            (None, None) => Ok(Reply::Int(-2)),
        }
    }

    fn string(&mut self, command: &[u8], args: &[Vec<u8>], now: u64) -> Result<Reply, String> {
        let name = arg(args, 0)?;
        if command == b"GET" {
            return match self.live(name, now) {
                None => Ok(Reply::Nil),
                Some(Held { value: Value::Text(text), .. }) => Ok(Reply::Bulk(text.clone())),
                Some(_) => Err(WRONG_TYPE.into()),
            };
        }
        let expires = match args.get(2).map(Vec::as_slice) {
            Some(b"PX") => Some(now.saturating_add_signed(number(arg(args, 3)?)?)),
            Some(b"NX") if self.live(name, now).is_some() => return Ok(Reply::Nil),
            Some(b"NX") | None => None,
            Some(_) => return Err("ERR syntax error".into()),
        };
        self.names.insert(name.to_vec(), Held { value: Value::Text(arg(args, 1)?.to_vec()), expires });
        Ok(Reply::Status("OK"))
    }

    fn hash(&mut self, command: &[u8], args: &[Vec<u8>], now: u64) -> Result<Reply, String> {
        let (name, rest) = args.split_first().ok_or("ERR wrong number of arguments")?;
        let is_written = matches!(command, b"HSET" | b"HSETNX" | b"HINCRBY");
        let empty = Value::Hash(BTreeMap::new());
        let mut none = BTreeMap::new();
        let hash = match self.value(name, now, is_written.then_some(empty)) {
            Some(Value::Hash(hash)) => hash,
            None => &mut none,
            Some(_) => return Err(WRONG_TYPE.into()),
        };
        let reply = match command {
            b"HMGET" => Reply::Array(rest.iter().map(|field| Reply::maybe(hash.get(field).cloned())).collect()),
            b"HGET" => Reply::maybe(hash.get(arg(rest, 0)?).cloned()),
            b"HSET" => {
                let pairs = rest.chunks_exact(2);
                Reply::Int(pairs.map(|pair| i64::from(hash.insert(pair[0].clone(), pair[1].clone()).is_none())).sum())
            }
            b"HSETNX" if hash.contains_key(arg(rest, 0)?) => Reply::Int(0),
            b"HSETNX" => {
                hash.insert(arg(rest, 0)?.to_vec(), arg(rest, 1)?.to_vec());
                Reply::Int(1)
            }
            b"HDEL" => Reply::Int(rest.iter().map(|field| i64::from(hash.remove(field).is_some())).sum()),
            b"HINCRBY" => {
                let before = hash.get(arg(rest, 0)?).map(|text| number(text)).transpose()?.unwrap_or(0);
                let after = before + number(arg(rest, 1)?)?;
                hash.insert(arg(rest, 0)?.to_vec(), after.to_string().into_bytes());
                Reply::Int(after)
            }
            _ => return Err("ERR unknown command".into()),
        };
        if hash.is_empty() {
            self.names.remove(name);
        }
        Ok(reply)
    }

    fn stream(&mut self, command: &[u8], args: &[Vec<u8>], now: u64) -> Result<Reply, String> {
        let (name, rest) = args.split_first().ok_or("ERR wrong number of arguments")?;
        let empty = Value::Stream(Stream::default());
        let mut none = Stream::default();
        let stream = match self.value(name, now, (command == b"XADD").then_some(empty)) {
            Some(Value::Stream(stream)) => stream,
            None => &mut none,
            Some(_) => return Err(WRONG_TYPE.into()),
        };
        match command {
            b"XADD" => {
                let (keep, rest) = match rest {
                    [word, _, keep, rest @ ..] if word == b"MAXLEN" => (Some(number(keep)?), rest),
                    rest => (None, rest),
                };
                let (id, fields) = rest.split_first().ok_or("ERR wrong number of arguments")?;
                let given = if id == b"*" { None } else { Some(StreamId::read(id, 0).ok_or("ERR Invalid stream ID")?) };
                let added = stream.add(given, fields.to_vec(), now);
                let added =
                    added.ok_or("ERR The ID specified in XADD is equal or smaller than the target stream top item")?;
                if let Some(keep) = keep {
                    stream.trim(keep.max(0).unsigned_abs() as usize);
                }
                Ok(Reply::text(added))
            }
            b"XLEN" => Ok(Reply::Int(stream.len() as i64)),
            b"XTRIM" => Ok(Reply::Int(stream.trim(number(arg(rest, 2)?)?.max(0).unsigned_abs() as usize) as i64)),
            b"XDEL" => {
                let ids = rest.iter().map(|id| StreamId::read(id, 0).ok_or("ERR Invalid stream ID"));
                let mut gone = 0;
                for id in ids {
                    gone += i64::from(stream.remove(id?));
                }
                Ok(Reply::Int(gone))
            }
            b"XRANGE" | b"XREVRANGE" => {
                let reverse = command == b"XREVRANGE";
                let (from, to) = if reverse { (1, 0) } else { (0, 1) };
                let most = match rest.get(3) {
                    Some(count) => number(count)?.max(0).unsigned_abs() as usize,
                    None => usize::MAX,
                };
                let found = stream.range(arg(rest, from)?, arg(rest, to)?, reverse, most);
                Ok(Reply::Array(found.ok_or("ERR Invalid stream ID")?.into_iter().map(entry).collect()))
            }
            _ => Err("ERR unknown command".into()),
        }
    }

    fn sorted(&mut self, command: &[u8], args: &[Vec<u8>], now: u64) -> Result<Reply, String> {
        let (name, rest) = args.split_first().ok_or("ERR wrong number of arguments")?;
        let empty = Value::Sorted(BTreeMap::new());
        let mut none = BTreeMap::new();
        let members = match self.value(name, now, (command == b"ZADD").then_some(empty)) {
            Some(Value::Sorted(members)) => members,
            None => &mut none,
            Some(_) => return Err(WRONG_TYPE.into()),
        };
        let reply = match command {
            b"ZADD" => Reply::Int(i64::from(members.insert(arg(rest, 1)?.to_vec(), score(arg(rest, 0)?)?).is_none())),
            b"ZSCORE" => members.get(arg(rest, 0)?).map_or(Reply::Nil, Reply::text),
            b"ZREMRANGEBYSCORE" => {
                let (from, to) = (score(arg(rest, 0)?)?, score(arg(rest, 1)?)?);
                let before = members.len();
                members.retain(|_, score| *score < from || *score > to);
                Reply::Int((before - members.len()) as i64)
            }
            b"ZREMRANGEBYRANK" => {
                let mut order: Vec<(f64, Vec<u8>)> = members.iter().map(|(who, score)| (*score, who.clone())).collect();
                order.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.cmp(&b.1)));
                let length = order.len() as i64;
                let place = |at: i64| if at < 0 { length + at } else { at };
                let (from, to) = (place(number(arg(rest, 0)?)?).max(0), place(number(arg(rest, 1)?)?).min(length - 1));
                let gone = (from..=to).filter_map(|at| order.get(at as usize));
                Reply::Int(gone.map(|(_, who)| i64::from(members.remove(who).is_some())).sum())
            }
            _ => return Err("ERR unknown command".into()),
        };
        if members.is_empty() {
            self.names.remove(name);
        }
        Ok(reply)
    }

    /// The value under a name; where there is none, this one from now on.
    fn value(&mut self, name: &[u8], now: u64, otherwise: Option<Value>) -> Option<&mut Value> {
        if self.live(name, now).is_none() {
            self.names.insert(name.to_vec(), Held { value: otherwise?, expires: None });
        }
        self.names.get_mut(name).map(|held| &mut held.value)
    }
}

fn entry((id, fields): (StreamId, &Fields)) -> Reply {
    Reply::Array(vec![Reply::text(id), Reply::Array(fields.iter().cloned().map(Reply::Bulk).collect())])
}

fn arg(args: &[Vec<u8>], at: usize) -> Result<&[u8], String> {
    args.get(at).map(Vec::as_slice).ok_or_else(|| "ERR wrong number of arguments".into())
}

fn number(text: &[u8]) -> Result<i64, String> {
    let read = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    read.ok_or_else(|| "ERR value is not an integer or out of range".into())
}

fn score(text: &[u8]) -> Result<f64, String> {
    match text {
        b"-inf" => Ok(f64::NEG_INFINITY),
        b"+inf" => Ok(f64::INFINITY),
        _ => Ok(number(text)? as f64),
    }
}
