//! A WebSocket written out by hand, for tests of what a correct library would never send.

use anyhow::{Context, Result, bail, ensure};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long anything may take to come.
const DEADLINE: Duration = Duration::from_secs(30);
/// The largest frame that is read.
const FRAME_BYTES_MAX: usize = 32 * 1024 * 1024;

/// What a frame carries (RFC 6455 §5.2).
pub mod opcode {
    /// The next part of a message.
    pub const CONTINUATION: u8 = 0x0;
    /// A message of text, or its first part.
    pub const TEXT: u8 = 0x1;
    /// A message of bytes, or its first part.
    pub const BINARY: u8 = 0x2;
    /// The end.
    pub const CLOSE: u8 = 0x8;
    /// Are you there?
    pub const PING: u8 = 0x9;
    /// I am.
    pub const PONG: u8 = 0xA;
}

/// A frame, with everything that a client may get wrong.
#[derive(Clone, Debug)]
pub struct Frame {
    /// The last of its message.
    pub last: bool,
    /// The three reserved bits.
    pub reserved: u8,
    /// What it carries; see [`opcode`].
    pub opcode: u8,
    /// How the payload is masked; a client must.
    pub mask: Option<[u8; 4]>,
    /// The payload, unmasked.
    pub payload: Vec<u8>,
}

impl Frame {
    /// A whole message in one frame, as a client sends it.
    pub fn new(opcode: u8, payload: impl Into<Vec<u8>>) -> Self {
        Self { last: true, reserved: 0, opcode, mask: Some([0x1b, 0x00, 0xff, 0x64]), payload: payload.into() }
    }

    /// The same, with more to come.
    pub fn first(opcode: u8, payload: impl Into<Vec<u8>>) -> Self {
        Self { last: false, ..Self::new(opcode, payload) }
    }

    /// The bytes on the wire.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.head(self.payload.len() as u64);
        let masked = self.payload.iter().enumerate().map(|(n, byte)| byte ^ self.mask.map_or(0, |mask| mask[n % 4]));
        bytes.extend(masked);
        bytes
    }

    /// Only the head, which announces a payload of `length` bytes.
    pub fn head(&self, length: u64) -> Vec<u8> {
        let mut bytes = vec![u8::from(self.last) << 7 | self.reserved << 4 | self.opcode];
        let masked = u8::from(self.mask.is_some()) << 7;
        match length {
            0..=125 => bytes.push(masked | length as u8),
            126..=0xffff => {
                bytes.push(masked | 126);
                bytes.extend((length as u16).to_be_bytes());
            }
            _ => {
                bytes.push(masked | 127);
                bytes.extend(length.to_be_bytes());
            }
        }
        bytes.extend(self.mask.iter().flatten());
        bytes
    }
}

/// A connection to a hub.
pub struct Raw {
    stream: TcpStream,
}

impl Raw {
    /// Opens a connection and says nothing.
    pub async fn open(address: &str) -> Result<Self> {
        Self::over(TcpStream::connect(address).await?)
    }

    /// Takes over a connection on which nothing was said.
    pub fn over(stream: TcpStream) -> Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self { stream })
    }

    /// Reads so many bytes and forgets them.
    pub async fn skip(&mut self, bytes: usize) -> Result<()> {
        self.read(bytes).await.map(drop)
    }

    /// Opens a WebSocket at this path.
    pub async fn connect(address: &str, path: &str) -> Result<Self> {
        let mut raw = Self::open(address).await?;
        raw.write(handshake(address, path, &[]).as_bytes()).await?;
        let head = raw.response().await?;
        ensure!(head.starts_with("HTTP/1.1 101 "), "{head}");
        Ok(raw)
    }

    /// Sends bytes as they are.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.stream.write_all(bytes).await?)
    }

    /// Sends a frame.
    pub async fn send(&mut self, frame: &Frame) -> Result<()> {
        self.write(&frame.bytes()).await
    }

    /// The head of an HTTP response.
    pub async fn response(&mut self) -> Result<String> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            ensure!(head.len() < 16 * 1024, "a head without an end");
            head.extend(self.read(1).await?);
        }
        Ok(String::from_utf8(head)?)
    }

    /// The next frame from the hub, which must be as RFC 6455 wants a server's.
    pub async fn frame(&mut self) -> Result<Frame> {
        let head = self.read(2).await?;
        let (last, reserved, opcode) = (head[0] & 0x80 != 0, head[0] >> 4 & 7, head[0] & 0xf);
        ensure!(head[1] & 0x80 == 0, "a server does not mask");
        ensure!(reserved == 0, "no extension was agreed on");
        let length = match head[1] {
            126 => usize::from(u16::from_be_bytes(self.read(2).await?.try_into().unwrap_or_default())),
            127 => u64::from_be_bytes(self.read(8).await?.try_into().unwrap_or_default()).try_into()?,
            short => usize::from(short),
        };
        ensure!(length <= FRAME_BYTES_MAX, "a frame of {length} bytes");
        ensure!(opcode < 8 || (last && length <= 125), "a control frame that is none");
        Ok(Frame { last, reserved, opcode, mask: None, payload: self.read(length).await? })
    }

    /// The next message of text.
    pub async fn text(&mut self) -> Result<String> {
        let frame = self.frame().await?;
        ensure!(frame.opcode == opcode::TEXT && frame.last, "{frame:?}");
        Ok(String::from_utf8(frame.payload)?)
    }

    /// The code of the hub's close frame (`None`: it has none), behind which nothing comes but the end of the link.
    pub async fn closed(&mut self) -> Result<Option<u16>> {
        let code = self.code().await?;
        self.ended().await.map(|()| code)
    }

    /// The code of the hub's close frame (`None`: it has none); frames before it are passed over.
    pub async fn code(&mut self) -> Result<Option<u16>> {
        let frame = loop {
            let frame = self.frame().await?;
            if frame.opcode == opcode::CLOSE {
                break frame;
            }
        };
        if let [high, low, reason @ ..] = frame.payload.as_slice() {
            ensure!(std::str::from_utf8(reason).is_ok(), "the reason is text");
            return Ok(Some(u16::from_be_bytes([*high, *low])));
        }
        ensure!(frame.payload.is_empty(), "half a code");
        Ok(None)
    }

    /// Waits for the end of the link; anything before it is an error.
    pub async fn ended(&mut self) -> Result<()> {
        let mut byte = [0];
        match tokio::time::timeout(DEADLINE, self.stream.read(&mut byte)).await.context("the link does not end")? {
            Ok(0) => Ok(()),
            Ok(_) => bail!("{byte:?} behind the end"),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    async fn read(&mut self, count: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; count];
        let read = tokio::time::timeout(DEADLINE, self.stream.read_exact(&mut bytes)).await;
        read.context("nothing came in time")??;
        Ok(bytes)
    }
}

/// A handshake's request; lines of `instead` take the place of those with the same name, or leave them out if empty.
pub fn handshake(address: &str, path: &str, instead: &[(&str, &str)]) -> String {
    let usual = [
        ("Host", address),
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let mut request = format!("GET {path} HTTP/1.1\r\n");
    for (name, value) in usual {
        let value = instead.iter().find(|(other, _)| *other == name).map_or(value, |(_, value)| value);
        if !value.is_empty() {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    request + "\r\n"
}
