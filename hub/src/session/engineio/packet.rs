//! Packets, and the payloads that polling carries them in.

use crate::outbox::Frame;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

/// Divides the packets of a payload.
const SEPARATOR: char = '\x1e';
/// The most packets of one payload: far more than a client gathers between two requests.
const PACKETS_MAX: usize = 4096;

/// What a client sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet {
    /// What only a server says at the beginning.
    Open,
    /// Goodbye.
    Close,
    /// Asks whether a new transport works.
    Ping,
    /// The answer to our ping.
    Pong,
    /// A message: text with its leading `4`, or bytes.
    Message(Frame),
    /// From now on over the new transport.
    Upgrade,
    /// Nothing.
    Noop,
}

/// It does not follow the protocol.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The first character is no packet type that a client may send.
    #[error("packet has an unknown type")]
    Type,
    /// Base64 is expected.
    #[error("packet is no base64")]
    Base64,
    /// There are too many.
    #[error("payload has more than {PACKETS_MAX} packets")]
    Packets,
}

impl Packet {
    /// Reads a packet as a WebSocket carries it.
    pub fn read(frame: Frame) -> Result<Self, Malformed> {
        let Frame::Text(text) = &frame else { return Ok(Self::Message(frame)) };
        match text.as_bytes().first() {
            Some(b'0') => Ok(Self::Open),
            Some(b'1') => Ok(Self::Close),
            Some(b'2') => Ok(Self::Ping),
            Some(b'3') => Ok(Self::Pong),
            Some(b'4') => Ok(Self::Message(frame)),
            Some(b'5') => Ok(Self::Upgrade),
            Some(b'6') => Ok(Self::Noop),
            _ => Err(Malformed::Type),
        }
    }
}

/// Reads the packets of a POST, in order.
pub fn decode_payload(text: &str) -> Result<Vec<Packet>, Malformed> {
    let mut packets = Vec::new();
    for part in text.split(SEPARATOR) {
        if packets.len() == PACKETS_MAX {
            return Err(Malformed::Packets);
        }
        packets.push(match part.strip_prefix('b') {
            Some(encoded) => {
                let bytes = BASE64.decode(encoded).map_err(|_| Malformed::Base64)?;
                Packet::Message(Frame::Binary(bytes.into()))
            }
            None => Packet::read(part.to_owned().into())?,
        });
    }
    Ok(packets)
}

/// Writes packets as the answer to a GET.
pub fn encode_payload(frames: &[Frame]) -> String {
    let mut payload = String::with_capacity(frames.iter().map(|frame| frame.len() + 1).sum());
    for frame in frames {
        if !payload.is_empty() {
            payload.push(SEPARATOR);
        }
        match frame {
            Frame::Text(text) => payload.push_str(text),
            Frame::Binary(bytes) => {
                payload.push('b');
                BASE64.encode_string(bytes, &mut payload);
            }
        }
    }
    payload
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> Packet {
        Packet::Message(text.to_owned().into())
    }

    #[test]
    fn a_payload_is_read_in_order_and_written_back_the_same() {
        let text = "4hello\x1ebAQIDBA==\x1e4\x1e4 \u{1f600}";
        let packets = decode_payload(text).unwrap();
        let bytes = Packet::Message(Frame::Binary(vec![1, 2, 3, 4].into()));
        assert_eq!(packets, [message("4hello"), bytes, message("4"), message("4 \u{1f600}")]);
        let frames: Vec<Frame> = packets
            .into_iter()
            .map(|packet| match packet {
                Packet::Message(frame) => frame,
                other => panic!("{other:?} is no message"),
            })
            .collect();
        assert_eq!(encode_payload(&frames), text);
    }

    #[test]
    fn what_is_no_packet_is_refused() {
        for bad in ["", "abc", "4a\x1e", "7", "bAQI", "b*", "4a\x1exyz"] {
            assert!(decode_payload(bad).is_err(), "{bad:?}");
        }
        assert_eq!(decode_payload(&vec!["6"; PACKETS_MAX + 1].join("\x1e")), Err(Malformed::Packets));
    }
}
