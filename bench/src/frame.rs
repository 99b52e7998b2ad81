//! WebSocket frames as a client writes and reads them; only what a generator meets: whole, short, unfragmented.

use anyhow::{Result, bail};

/// What masks a client's frames. Any key is as dear to the server as another.
pub(crate) const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A message.
    Text,
    /// The server asks whether we are there.
    Ping,
    /// The server ends the connection.
    Close,
}

/// A frame in a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What it is.
    pub kind: Kind,
    /// Where its payload begins.
    pub from: usize,
    /// Where it ends, and the frame with it.
    pub to: usize,
}

/// Appends a masked text frame.
pub fn write(out: &mut Vec<u8>, payload: &[u8]) {
    write_as(out, 0x81, payload);
}

/// Appends the answer to a ping.
pub fn pong(out: &mut Vec<u8>, payload: &[u8]) {
    write_as(out, 0x8a, payload);
}

fn write_as(out: &mut Vec<u8>, head: u8, payload: &[u8]) {
    out.push(head);
    match payload.len() {
        short @ 0..126 => out.push(0x80 | short as u8),
        long => {
            let length = u16::try_from(long).expect("a generator's message is short");
            out.push(0x80 | 126);
            out.extend_from_slice(&length.to_be_bytes());
        }
    }
    out.extend_from_slice(&KEY);
    out.extend(payload.iter().enumerate().map(|(n, byte)| byte ^ KEY[n % 4]));
}

/// The frame that begins at `at`. `None`: it is not all there yet.
pub fn read(buffer: &[u8], at: usize) -> Result<Option<Frame>> {
    let Some(&[head, length]) = buffer.get(at..at + 2) else { return Ok(None) };
    let (length, header) = match length {
        0..=125 => (usize::from(length), 2),
        126 => match buffer.get(at + 2..at + 4) {
            Some(&[high, low]) => (usize::from(u16::from_be_bytes([high, low])), 4),
            _ => return Ok(None),
        },
        127 => match buffer.get(at + 2..at + 10).map(<[u8; 8]>::try_from) {
            Some(Ok(bytes)) => (usize::try_from(u64::from_be_bytes(bytes))?, 10),
            _ => return Ok(None),
        },
        _ => bail!("the server masks its frames"),
    };
    let kind = match head {
        0x81 => Kind::Text,
        0x89 => Kind::Ping,
        0x88 => Kind::Close,
        other => bail!("a frame that begins with {other:#x} is not expected here"),
    };
    let (from, to) = (at + header, at + header + length);
    Ok((buffer.len() >= to).then_some(Frame { kind, from, to }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_read_only_when_it_is_all_there() {
        for length in [0_usize, 5, 125, 126, 300, 65_535, 70_000] {
            let mut bytes = vec![0x81];
            match length {
                0..126 => bytes.push(length as u8),
                126..=65_535 => bytes.extend([&[126][..], &(length as u16).to_be_bytes()].concat()),
                _ => bytes.extend([&[127][..], &(length as u64).to_be_bytes()].concat()),
            }
            let from = bytes.len();
            bytes.resize(from + length, b'x');
            for cut in 0..bytes.len().min(20) {
                assert_eq!(read(&bytes[..cut], 0).unwrap(), None);
            }
            let whole = Frame { kind: Kind::Text, from, to: from + length };
            assert_eq!(read(&bytes, 0).unwrap(), Some(whole));
        }
    }

    #[test]
    fn what_is_written_is_masked() {
        let mut out = Vec::new();
        write(&mut out, b"hello");
        assert_eq!(out[..2], [0x81, 0x85]);
        let unmasked: Vec<u8> = out[6..].iter().enumerate().map(|(n, byte)| byte ^ out[2 + n % 4]).collect();
        assert_eq!(unmasked, b"hello");
    }
}
