//! What a plugin asked for besides its decision, as golden cases write it.

use crate::plugin::{Effect, Emitted, RequestedEffect};
use confab_plugin_kit::golden::Outcome;
use confab_protocol::Event;
use serde_json::{Value, json};

/// Its effects and its own messages, in an outcome that says nothing else.
pub(super) fn besides(requested: Vec<RequestedEffect>, before: &Event) -> Outcome {
    let mut outcome = Outcome::default();
    for RequestedEffect { effect, .. } in requested {
        match effect {
            Effect::Notice(text) => outcome.effects.push(json!({ "notice": text })),
            Effect::Mute { seconds, reason } => {
                outcome.effects.push(json!({ "mute": { "seconds": seconds, "reason": reason } }));
            }
            Effect::Flag(why) => outcome.effects.push(json!({ "flag": why })),
            Effect::Say(Emitted { room, body, thread, .. }) => {
                let mut message = json!({ "body": body.read().unwrap_or(Value::Null) });
                if room != before.room {
                    message["room"] = json!(room);
                }
                if let Some(thread) = thread {
                    message["thread"] = json!(thread);
                }
                outcome.emits.push(message);
            }
        }
    }
    outcome
}
