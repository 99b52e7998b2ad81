//! The Redis of the simulation answers as Redis does: the same scripts, called in the same order on both, give the same
//! answers.

use confab_simulate::redis::{Call, Lua, Reply, Script, Server};
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{SystemTime, UNIX_EPOCH};

/// How many sequences of calls are tried, and how long each is.
const SEQUENCES: u64 = 200;
const CALLS: usize = 150;

/// Both servers, and what each calls what the other calls otherwise: the ids that time gives.
struct Pair {
    real: Connection,
    model: Server,
    lua: Lua,
    prefix: String,
    /// The pending entries that were given: what the real one and the model call them.
    entries: Vec<(String, String)>,
    random: fastrand::Rng,
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

impl Pair {
    fn name(&self, rest: &str) -> String {
        format!("{}{{b0}}:{rest}", self.prefix)
    }

    fn call(&mut self, script: Script, keys: &[&str], args: &[&str]) {
        let keys: Vec<String> = keys.iter().map(|key| self.name(key)).collect();
        let source = Script::ALL.iter().find(|(name, _)| *name == script).unwrap().1;
        let mut command = vec!["EVAL".to_owned(), source.to_owned(), keys.len().to_string()];
        command.extend_from_slice(&keys);
        let mut theirs: Vec<Vec<u8>> = Vec::new();
        for arg in args {
            // An entry is called by each as it called it itself.
            let (before, name) = arg.strip_prefix('(').map_or(("", *arg), |name| ("(", name));
            let entry = name.strip_prefix('#').and_then(|at| at.parse::<usize>().ok());
            let (real, model) = match entry.map(|at| self.entries.get(at)) {
                Some(Some((real, model))) => (format!("{before}{real}"), format!("{before}{model}")),
                Some(None) => (format!("{before}1-1"), format!("{before}1-1")), // nobody has it
                None => ((*arg).to_owned(), (*arg).to_owned()),
            };
            command.push(real);
            theirs.push(model.into_bytes());
        }
        let real = self.real.ask(&command);
        let call = Call { script, keys: &keys, args: &theirs };
        let model = self.model.run(&self.lua, &call, now()).answer;
        let (real, model) = match (real, model) {
            (Ok(real), Ok(model)) => (real, model),
            (real, model) => panic!("{script:?} {keys:?} {args:?}: redis says {real:?}, the model says {model:?}"),
        };
        if let (Script::Append, Reply::Array(a), Reply::Array(b)) = (script, &real, &model)
            && let ([.., Reply::Bulk(a)], [Reply::Bulk(word), .., Reply::Bulk(b)]) = (&a[..], &b[..])
            && word == b"placed"
        {
            let both = [a, b].map(|entry| String::from_utf8(entry.clone()).unwrap());
            if !self.entries.iter().any(|(known, _)| *known == both[0]) {
                let [real, model] = both;
                self.entries.push((real, model));
            }
        }
        let number = |of: fn(&(String, String)) -> &String| {
            let names = self.entries.iter().enumerate();
            names.map(|(at, both)| (of(both).clone().into_bytes(), at)).collect::<HashMap<_, _>>()
        };
        let (real, model) = (numbered(real, &number(|both| &both.0)), numbered(model, &number(|both| &both.1)));
        assert_eq!(real, model, "{script:?} {keys:?} {args:?}");
    }
}

impl Pair {
    /// One command, asked of both.
    fn command(&mut self, name: &str, key: &str, rest: &[&str]) {
        let key = self.name(key);
        let command: Vec<&str> = [name, &key].into_iter().chain(rest.iter().copied()).collect();
        let real = self.real.ask(&command.iter().map(|part| (*part).to_owned()).collect::<Vec<_>>());
        assert_eq!(real, self.model.command(&command, now()), "{command:?}");
    }
}

/// A connection to Redis that asks one thing at a time.
struct Connection(BufReader<TcpStream>);

impl Connection {
    fn to(url: &str) -> Self {
        let address = url.trim_start_matches("redis://").trim_end_matches('/');
        Self(BufReader::new(TcpStream::connect(address).unwrap()))
    }

    fn ask(&mut self, command: &[String]) -> Result<Reply, String> {
        let mut text = format!("*{}\r\n", command.len());
        for part in command {
            text += &format!("${}\r\n{part}\r\n", part.len());
        }
        self.0.get_mut().write_all(text.as_bytes()).unwrap();
        self.answer()
    }

    fn answer(&mut self) -> Result<Reply, String> {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        let (kind, rest) = line.trim_end().split_at(1);
        let length = || rest.parse::<i64>().unwrap();
        Ok(match kind {
            "-" => return Err(rest.to_owned()),
            ":" => Reply::Int(length()),
            "$" if length() < 0 => Reply::Nil,
            "$" => {
                let mut bytes = vec![0; length() as usize + 2];
                self.0.read_exact(&mut bytes).unwrap();
                bytes.truncate(bytes.len() - 2);
                Reply::Bulk(bytes)
            }
            "*" => Reply::Array((0..length()).map(|_| self.answer()).collect::<Result<_, _>>()?),
            _ => panic!("no script answers {line:?}"),
        })
    }
}

/// The same answer with entries called by their number, also behind a `(`.
fn numbered(reply: Reply, names: &HashMap<Vec<u8>, usize>) -> Reply {
    match reply {
        Reply::Bulk(text) => {
            let (before, name) = match text.strip_prefix(b"(") {
                Some(name) => ("(", name),
                None => ("", &text[..]),
            };
            match names.get(name) {
                Some(at) => Reply::Bulk(format!("{before}#{at}").into_bytes()),
                None => Reply::Bulk(text),
            }
        }
        Reply::Array(list) => Reply::Array(list.into_iter().map(|reply| numbered(reply, names)).collect()),
        other => other,
    }
}

/// One call with arguments that are drawn: few of each, so that they meet.
fn any_call(pair: &mut Pair, few: u64) {
    let random = &mut pair.random;
    let draw = |random: &mut fastrand::Rng, from: &[&str]| from[random.usize(..from.len())].to_owned();
    let number = |random: &mut fastrand::Rng, most: u64| random.u64(0..most).to_string();
    let generation = draw(random, &["1", "1", "1", "2", "2", "3"]);
    // Sometimes few keys and ids, that meet again and again, and sometimes enough for a window to go over its bounds.
    let (room, key, id) = (draw(random, &["a", "b"]), number(random, few), number(random, few + 2));
    let [id, key] = [format!("id{id}"), format!("key:{key}")];
    let entry = format!("#{}", random.usize(..=pair.entries.len()));
    let [meta, window, index, deleted, relay] =
        ["room", "window", "index", "deleted", "relay"].map(|what| format!("{what}:{room}"));
    match random.u32(..100) {
        0..40 => {
            let [digest, born, again] =
                [draw(random, &["d", "d", "e"]), draw(random, &["0", "5000"]), draw(random, &["0", "0", "1"])];
            let record = "x".repeat(random.usize(1..40));
            let [keep, bytes] = [draw(random, &["3", "1000"]), draw(random, &["60", "100000"])];
            let [deletes, edits] = [draw(random, &["", "", "id1", "id2"]), draw(random, &["", "id1"])];
            let keys = ["generation", &meta, &window, &index, &deleted, &key, "pending", &relay];
            let args = [
                &generation,
                &id,
                &digest,
                &born,
                "h1",
                &record,
                &keep,
                "90000",
                "60000",
                &deletes,
                &edits,
                &room,
                &again,
                &bytes,
            ];
            pair.call(Script::Append, &keys, &args);
        }
        40..55 => pair.call(Script::Settle, &["generation", "pending", &key], &[&generation, &entry, &generation]),
        55..60 => pair.call(Script::Remember, &["generation", &key], &[&generation, "d", "{}", "60000", "0"]),
        60..66 => pair.call(Script::Lookup, &["generation", &key], &[&generation, "0"]),
        66..74 => {
            let [first, last, way] = [
                draw(random, &["-", "1-0", "3-0"]),
                draw(random, &["+", "4-0"]),
                draw(random, &["forward", "reverse"]),
            ];
            let [count, bytes] = [draw(random, &["0", "2", "100"]), draw(random, &["10", "1000"])];
            pair.call(
                Script::Read,
                &["generation", &meta, &window, &deleted],
                &[&generation, &first, &last, &way, &count, &bytes],
            );
        }
        74..78 => pair.call(Script::Find, &["generation", &meta, &window, &index, &deleted], &[&generation, &id]),
        78..80 => pair.call(Script::Deleted, &["generation", &deleted], &[&generation, "id1", "id2", "id3"]),
        80..88 => {
            let [from, count, dead] =
                [draw(random, &["-", &format!("({entry}")]), draw(random, &["2", "200"]), draw(random, &["h1", "h2"])];
            pair.call(
                Script::Sweep,
                &["generation", "sweeper", "pending"],
                &[&generation, "h2", "60000", "600000", &from, &count, &dead],
            );
        }
        88..93 => {
            let state = draw(random, &["refilling", "open"]);
            let end = draw(random, &["", "7"]);
            pair.call(Script::Open, &["generation"], &[&generation, "server", "4000", &state, &end]);
        }
        93..96 => pair.call(Script::Refill, &["generation", &key], &[&generation, &id, "1", "3", "d", "60000"]),
        96..98 => {
            let [who, time] = [draw(random, &["h1", "h2"]), draw(random, &["60000", "0"])];
            pair.call(Script::Lease, &["opening"], &[&who, &time]);
        }
        98 => pair.call(Script::Forget, &["generation", &meta], &[&generation]),
        // As where a slot's move lost the room's position.
        _ => pair.command("DEL", &meta, &[]),
    }
}

#[test]
fn the_redis_of_the_simulation_answers_every_script_as_redis_does() {
    let Ok(url) = std::env::var("CONFAB_TEST_REDIS") else {
        panic!("CONFAB_TEST_REDIS is not set: run this with `cargo xtask test -p confab-simulate`");
    };
    for seed in 0..SEQUENCES {
        let mut pair = Pair {
            real: Connection::to(&url),
            model: Server::empty("model".into()),
            lua: Lua::new(|_, source| source.to_owned()).unwrap(),
            prefix: format!("simulate-{}-{seed}-", std::process::id()),
            entries: Vec::new(),
            random: fastrand::Rng::with_seed(seed),
        };
        pair.call(Script::Open, &["generation"], &["1", "server", "4000", "open", ""]);
        for _ in 0..CALLS {
            any_call(&mut pair, if seed % 2 == 0 { 6 } else { 60 });
        }
        for room in ["a", "b"] {
            pair.command("XLEN", &format!("window:{room}"), &[]);
            pair.command("HMGET", &format!("room:{room}"), &["epoch", "offset", "large", "bytes"]);
            for id in 0..62 {
                pair.command("ZSCORE", &format!("index:{room}"), &[&format!("id{id}")]);
            }
        }
        pair.command("XLEN", "pending", &[]);
        assert!(!pair.entries.is_empty(), "seed {seed} placed nothing");
    }
}
