//! One connection of the generator: a socket that is never waited for, and what is on its way in and out.

use crate::dialect::Dialect;
use crate::frame::{self, Kind};
use anyhow::{Context, Result, bail, ensure};
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use socket2::SockRef;
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;

/// How much is read at once, from whichever connection.
pub const SCRATCH: usize = 256 * 1024;
/// Any key will do: nobody looks for another's answer in it.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// A connection.
pub struct Link {
    stream: TcpStream,
    dialect: Dialect,
    upgraded: bool,
    /// The beginning of a frame whose end has not come yet.
    input: Vec<u8>,
    /// What is to be sent, and how much of it has been.
    output: Vec<u8>,
    written: usize,
    /// Where the stamp stood in the last message.
    pub place: usize,
}

impl Link {
    /// Begins to connect; the handshake leaves as soon as the socket takes it.
    pub fn open(registry: &Registry, token: Token, address: SocketAddr, dialect: Dialect) -> Result<Self> {
        let mut stream = TcpStream::connect(address).with_context(|| format!("could not connect to {address}"))?;
        stream.set_nodelay(true)?;
        registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        let path = dialect.path();
        let mut output = Vec::new();
        write!(
            output,
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n"
        )?;
        Ok(Self { stream, dialect, upgraded: false, input: Vec::new(), output, written: 0, place: 0 })
    }

    /// Where a frame to be sent is written.
    pub fn output(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }

    /// Sends as much as the socket takes now.
    pub fn flush(&mut self) -> Result<()> {
        while self.written < self.output.len() {
            match self.stream.write(&self.output[self.written..]) {
                Ok(0) => bail!("the server closed a connection"),
                Ok(count) => self.written += count,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error).context("could not send"),
            }
        }
        self.output.clear();
        self.written = 0;
        Ok(())
    }

    /// Reads what has come, and gives each message to `each` with this link's place of stamps. `opened` is called when
    /// the handshake is done.
    pub fn read(&mut self, scratch: &mut [u8], mut each: impl FnMut(Said<'_>) -> Result<()>) -> Result<()> {
        loop {
            let count = match self.stream.read(scratch) {
                Ok(0) => bail!("the server closed a connection"),
                Ok(count) => count,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error).context("could not receive"),
            };
            if self.input.is_empty() {
                let used = self.take(&scratch[..count], &mut each)?;
                self.input.extend_from_slice(&scratch[used..count]);
            } else {
                let mut input = std::mem::take(&mut self.input);
                input.extend_from_slice(&scratch[..count]);
                let used = self.take(&input, &mut each)?;
                input.drain(..used);
                // A thousand idle buffers are better not kept.
                self.input = if input.is_empty() { Vec::new() } else { input };
            }
            if count < scratch.len() {
                return Ok(()); // the socket is empty; what comes next wakes us again
            }
        }
    }

    /// Takes whole frames from the beginning of `bytes`; returns how many bytes they were.
    fn take(&mut self, bytes: &[u8], each: &mut impl FnMut(Said<'_>) -> Result<()>) -> Result<usize> {
        let mut at = 0;
        if !self.upgraded {
            let Some(end) = memchr::memmem::find(bytes, b"\r\n\r\n") else { return Ok(0) };
            let head = String::from_utf8_lossy(&bytes[..end]);
            ensure!(head.starts_with("HTTP/1.1 101"), "the handshake was answered with {head}");
            self.upgraded = true;
            at = end + 4;
            each(Said::Upgraded(&mut self.output))?;
        }
        while let Some(frame) = frame::read(bytes, at)? {
            let payload = &bytes[frame.from..frame.to];
            at = frame.to;
            match frame.kind {
                Kind::Text => each(Said::Text { text: payload, place: &mut self.place, output: &mut self.output })?,
                Kind::Ping => frame::pong(&mut self.output, payload),
                Kind::Close => {
                    let (code, reason) = payload.split_at(payload.len().min(2));
                    let code = code.iter().fold(0_u32, |sum, byte| sum * 256 + u32::from(*byte));
                    bail!("the server closed a connection: {code} {}", String::from_utf8_lossy(reason));
                }
            }
        }
        Ok(at)
    }

    /// Whether something waits to be sent.
    pub fn waits(&self) -> bool {
        !self.output.is_empty()
    }

    /// How it speaks.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Ends the connection at once, so that its port can be used again at once.
    pub fn cut(self) {
        // Where that cannot be set, the port rests for a minute; nothing else changes.
        let _ = SockRef::from(&self.stream).set_linger(Some(std::time::Duration::ZERO));
    }
}

/// What a link hears.
pub enum Said<'a> {
    /// The handshake is done; what is to be said goes here.
    Upgraded(&'a mut Vec<u8>),
    /// A message.
    Text {
        /// It.
        text: &'a [u8],
        /// Where the stamp stood in the last one.
        place: &'a mut usize,
        /// Where an answer goes.
        output: &'a mut Vec<u8>,
    },
}
