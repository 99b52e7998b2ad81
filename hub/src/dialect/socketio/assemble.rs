//! Puts packets and the attachments that follow them together.

use super::packet::{Malformed, Packet};
use crate::outbox::Frame;
use serde_json::Value;

/// How much may follow a packet.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The most attachments.
    pub attachments: usize,
    /// The most bytes of all attachments together.
    pub bytes: usize,
}

/// Reads frames and gives whole packets.
#[derive(Debug)]
pub struct Assembler {
    bounds: Bounds,
    pending: Option<Pending>,
}

#[derive(Debug)]
struct Pending {
    packet: Packet,
    missing: usize,
    bytes: usize,
}

impl Assembler {
    /// An assembler between two packets.
    pub fn new(bounds: Bounds) -> Self {
        Self { bounds, pending: None }
    }

    /// Takes an Engine.IO message; a packet, if it is whole now. What follows a packet past the bounds is read and left out.
    pub fn take(&mut self, frame: &Frame) -> Result<Option<Packet>, Malformed> {
        match (frame, self.pending.take()) {
            (Frame::Text(text), None) => {
                let text = text.as_str().strip_prefix('4').ok_or(Malformed::Type)?;
                let (mut packet, missing) = Packet::parse(text)?;
                packet.cut = missing > self.bounds.attachments;
                if missing == 0 {
                    return Ok(Some(packet));
                }
                self.pending = Some(Pending { packet, missing, bytes: 0 });
                Ok(None)
            }
            (Frame::Binary(bytes), Some(mut pending)) => {
                let Pending { packet, missing, bytes: held } = &mut pending;
                *held += bytes.len();
                *missing -= 1;
                packet.cut |= *held > self.bounds.bytes;
                if packet.cut {
                    packet.attachments.clear();
                } else {
                    packet.attachments.push(bytes.clone());
                }
                if pending.missing > 0 {
                    self.pending = Some(pending);
                    return Ok(None);
                }
                if !pending.packet.cut {
                    placeholders(&pending.packet)?;
                }
                Ok(Some(pending.packet))
            }
            (Frame::Text(_), Some(_)) | (Frame::Binary(_), None) => Err(Malformed::Order),
        }
    }
}

/// Every placeholder must stand for an attachment that there is.
fn placeholders(packet: &Packet) -> Result<(), Malformed> {
    let data: Value = serde_json::from_str(&packet.data).map_err(|_| Malformed::Data)?;
    let mut left = vec![&data];
    while let Some(value) = left.pop() {
        match value {
            Value::Array(values) => left.extend(values),
            Value::Object(fields) if fields.get("_placeholder") == Some(&Value::Bool(true)) => {
                let number = fields.get("num").and_then(Value::as_u64).ok_or(Malformed::Attachments)?;
                if number >= packet.attachments.len() as u64 {
                    return Err(Malformed::Attachments);
                }
            }
            Value::Object(fields) => left.extend(fields.values()),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Frame {
        text.to_owned().into()
    }

    fn binary(len: usize) -> Frame {
        Frame::Binary(vec![7; len].into())
    }

    fn assembler() -> Assembler {
        Assembler::new(Bounds { attachments: 2, bytes: 10 })
    }

    #[test]
    fn attachments_follow_their_packet_in_order() {
        let mut assembler = assembler();
        let head = text(r#"452-["m",{"_placeholder":true,"num":1},{"a":[{"_placeholder":true,"num":0}]}]"#);
        assert_eq!(assembler.take(&head), Ok(None));
        assert_eq!(assembler.take(&binary(1)), Ok(None));
        let packet = assembler.take(&binary(2)).unwrap().unwrap();
        assert_eq!(packet.attachments.iter().map(|a| a.len()).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(packet.frames()[0], head);
        assert!(assembler.take(&text(r#"42["n"]"#)).unwrap().is_some());
    }

    #[test]
    fn attachments_are_bounded_and_must_be_announced() {
        assert_eq!(assembler().take(&binary(1)), Err(Malformed::Order));
        let mut large = assembler();
        large.take(&text(r#"452-["m"]"#)).unwrap();
        large.take(&binary(6)).unwrap();
        let packet = large.take(&binary(6)).unwrap().unwrap();
        assert!(packet.cut && packet.attachments.is_empty());
        let mut many = assembler();
        many.take(&text(r#"453-["m"]"#)).unwrap();
        assert_eq!((many.take(&binary(1)), many.take(&binary(1))), (Ok(None), Ok(None)));
        assert!(many.take(&binary(1)).unwrap().unwrap().cut);
        assert!(many.take(&text(r#"42["n"]"#)).unwrap().is_some(), "it goes on behind them");
        let mut interrupted = assembler();
        interrupted.take(&text(r#"451-["m"]"#)).unwrap();
        assert_eq!(interrupted.take(&text(r#"42["n"]"#)), Err(Malformed::Order));
        let mut dangling = assembler();
        dangling.take(&text(r#"451-["m",{"_placeholder":true,"num":1}]"#)).unwrap();
        assert_eq!(dangling.take(&binary(1)), Err(Malformed::Attachments));
    }
}
