//! As much of Redis's protocol as it takes to set servers up: one command at a time, bytes in and bytes out.

use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

/// How long an answer may take. Moving a slot's keys takes longer than most questions.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// What a server answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Text, a number as text, or bytes.
    Bytes(Vec<u8>),
    /// Nothing.
    Nil,
    /// Several answers.
    List(Vec<Reply>),
}

impl Reply {
    /// The answer as text; what is no text is empty.
    pub fn text(&self) -> &str {
        match self {
            Self::Bytes(bytes) => std::str::from_utf8(bytes).unwrap_or_default(),
            _ => "",
        }
    }
}

/// A connection.
pub struct Resp(BufReader<TcpStream>);

impl Resp {
    /// Connects to a server on loopback.
    pub fn connect(port: u16) -> Result<Self> {
        let stream = TcpStream::connect_timeout(&(Ipv4Addr::LOCALHOST, port).into(), ANSWER_TIMEOUT)?;
        stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Runs a command; an error that the server answers is an error.
    pub fn run<A: AsRef<[u8]>>(&mut self, command: &[A]) -> Result<Reply> {
        let mut bytes = format!("*{}\r\n", command.len()).into_bytes();
        for word in command.iter().map(AsRef::as_ref) {
            bytes.extend(format!("${}\r\n", word.len()).into_bytes());
            bytes.extend(word);
            bytes.extend(b"\r\n");
        }
        self.0.get_mut().write_all(&bytes)?;
        self.reply()
    }

    fn reply(&mut self) -> Result<Reply> {
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        let line = line.trim_end();
        let (kind, rest) = line.split_at_checked(1).context("the server hung up")?;
        match kind {
            "+" | ":" => Ok(Reply::Bytes(rest.as_bytes().to_vec())),
            "-" => bail!("redis answers: {rest}"),
            "$" | "*" if rest == "-1" => Ok(Reply::Nil),
            "$" => {
                let mut bytes = vec![0; rest.parse::<usize>()? + 2];
                self.0.read_exact(&mut bytes)?;
                bytes.truncate(bytes.len() - 2);
                Ok(Reply::Bytes(bytes))
            }
            "*" => (0..rest.parse::<usize>()?).map(|_| self.reply()).collect::<Result<_>>().map(Reply::List),
            other => bail!("`{other}` begins no answer of Redis"),
        }
    }
}
