//! The form in which a refusal is remembered in Redis.

use confab_protocol::{Body, EventId, Refusal};
use serde::{Deserialize, Serialize};

/// The refusals that are remembered: what was said of a draft, nothing about the moment.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kept {
    Plugin { code: u32, reason: String, details: Option<Body> },
    Held { id: EventId, reason: String },
    PluginFault { plugin: String },
}

/// The refusal as JSON, if it is one that is remembered.
pub(super) fn to_json(refusal: &Refusal) -> Option<String> {
    let kept = match refusal.clone() {
        Refusal::Plugin { code, reason, details } => Kept::Plugin { code, reason, details },
        Refusal::Held { id, reason } => Kept::Held { id, reason },
        Refusal::PluginFault { plugin } => Kept::PluginFault { plugin },
        _ => return None,
    };
    serde_json::to_string(&kept).ok()
}

/// Reads what [`to_json`] wrote.
pub(super) fn from_json(text: &str) -> Result<Refusal, serde_json::Error> {
    Ok(match serde_json::from_str(text)? {
        Kept::Plugin { code, reason, details } => Refusal::Plugin { code, reason, details },
        Kept::Held { id, reason } => Refusal::Held { id, reason },
        Kept::PluginFault { plugin } => Refusal::PluginFault { plugin },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembered_refusals_come_back_as_they_were() {
        let details = Some(Body::parse(r#"{"n":1.00}"#).unwrap());
        for refusal in [
            Refusal::Plugin { code: 451, reason: "no spam".into(), details },
            Refusal::Plugin { code: 451, reason: "no spam".into(), details: None },
            Refusal::Held { id: EventId::fresh(), reason: "look".into() },
            Refusal::PluginFault { plugin: "p".into() },
        ] {
            assert_eq!(from_json(&to_json(&refusal).unwrap()).unwrap(), refusal);
        }
        assert!(to_json(&Refusal::Draining).is_none());
    }
}
