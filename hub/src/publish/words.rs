//! What plugins make of words that stand somewhere else than in a message: a room's title and topic.

use super::{Publisher, stamp};
use crate::actor::Actor;
use crate::plugin::{EventContext, Judged, Origin};
use confab_protocol::{Body, Draft, Key, Kind, Refusal, Room};
use serde::Deserialize;

/// A body of people's words.
#[derive(Deserialize)]
struct Words {
    text: String,
}

impl Publisher {
    /// The words as the chain lets them pass, judged as a message of their author in the room. What plugins ask for besides is
    /// not done: nothing was said.
    ///
    /// # Errors
    /// The refusal of a plugin; [`Refusal::PermissionDenied`] where a moderator would have to look first.
    pub async fn judge_words(&self, actor: &Actor, room: &Room, words: &str) -> Result<String, Refusal> {
        let body = Body::of(&serde_json::json!({ "text": words }));
        let draft =
            Draft { kind: Kind::Message, room: room.clone(), key: Key::fresh(), body, target: None, thread: None };
        let event = stamp(actor.sender(), draft);
        let context = EventContext::of(Kind::Message, Origin::from(actor));
        match self.chain.load_full().judge(event, context).await {
            Judged::Approved(approved) => {
                let words = approved.event.body.read::<Words>();
                words
                    .map(|words| words.text)
                    .map_err(|_| Refusal::PermissionDenied("a plugin left no words of it".into()))
            }
            Judged::Refused(refusal, ..) => Err(refusal),
            Judged::Held { .. } => {
                Err(Refusal::PermissionDenied("a moderator would have to look at these words: choose others".into()))
            }
        }
    }
}
