//! A verdict out of any bytes, as if a plugin had said it: for fuzzing what a plugin may say.

use super::super::{Check, Decision};
use super::{read, types};

/// Makes a verdict of these bytes (what is decided, how many effects, then texts between bytes of 255), reads it as the
/// host does, and looks whether what came through is what may.
///
/// # Panics
/// If something came through that may not.
pub fn hear(bytes: &[u8], check: &Check) {
    let Ok(verdict) = read(said(bytes), check) else { return };
    let annotations = match &verdict.decision {
        Decision::Accept(annotations) => annotations,
        Decision::Replace(body, annotations) => {
            assert!(check(body).is_ok(), "a body came through that no client may send");
            annotations
        }
        Decision::Reject { code, .. } => return assert!((400..2000).contains(code), "code {code} is not a plugin's"),
        Decision::Hold { .. } => return,
    };
    for (name, value) in annotations {
        assert!(!name.is_empty() && !name.contains(char::is_control), "{name:?} names an annotation");
        assert!(check(value).is_ok(), "an annotation came through that no client may send");
    }
}

fn said(bytes: &[u8]) -> types::Verdict {
    let (head, rest) = bytes.split_at(bytes.len().min(2));
    let [decision, effects] = [head.first(), head.get(1)].map(|byte| byte.copied().unwrap_or_default());
    let code = u16::from_be_bytes([rest.first(), rest.get(1)].map(|byte| byte.copied().unwrap_or_default()));
    let rest = if decision % 4 == 2 { rest.get(2..).unwrap_or_default() } else { rest };
    let mut texts = rest.split(|byte| *byte == 255).map(|text| String::from_utf8_lossy(text).into_owned());
    let mut text = || texts.next().unwrap_or_default();
    let effects = (0..effects % 16).map(|n| match n % 3 {
        0 => types::Effect::Notice(text()),
        1 => types::Effect::Mute(types::Mute { seconds: u32::from(code), reason: text() }),
        _ => types::Effect::Flag(text()),
    });
    let effects = effects.collect();
    let first = text();
    let mut pairs = || {
        let names: Vec<String> = texts.by_ref().collect();
        names.chunks(2).map(|pair| (pair[0].clone(), pair.get(1).cloned().unwrap_or_default())).collect()
    };
    let decision = match decision % 4 {
        0 => types::Decision::Accept(pairs()),
        1 => types::Decision::Replace(types::Replacement { body: first, annotations: pairs() }),
        2 => types::Decision::Reject(types::Rejection { code, reason: first, details: texts.next() }),
        _ => types::Decision::Hold(first),
    };
    types::Verdict { decision, effects }
}
