//! What the checker finds, and how it says so.

use confab_protocol::Cursor;
use std::fmt;

/// A broken promise.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Violation {
    /// A receipt whose event is nowhere to be found in `place`.
    Lost {
        /// Where it is missing.
        place: String,
        /// The event.
        id: String,
    },
    /// An event that is found more than once in `place`.
    Doubled {
        /// Where.
        place: String,
        /// The event.
        id: String,
    },
    /// The same (room, sender, key) gave two events.
    SaidTwice {
        /// Where.
        place: String,
        /// The key.
        key: String,
    },
    /// Offsets that do not rise in `place`.
    Reordered {
        /// Where.
        place: String,
        /// The room.
        room: String,
        /// What came after what it should have come before.
        cursor: Cursor,
    },
    /// An offset that is missing in `place`.
    Gap {
        /// Where.
        place: String,
        /// The room.
        room: String,
        /// The place that is missing.
        cursor: Cursor,
    },
    /// One sender's events stand in another order than they were sent.
    SenderReordered {
        /// The sender.
        sender: String,
        /// The room.
        room: String,
        /// The first that stands wrong.
        cursor: Cursor,
    },
    /// Two observers disagree on what stands at a place.
    Disagree {
        /// The second observer.
        place: String,
        /// The room.
        room: String,
        /// The place.
        cursor: Cursor,
    },
    /// Plugins would have made something else of it, or did not all see it.
    Unjudged {
        /// Where it can be seen.
        place: String,
        /// The event.
        id: String,
    },
    /// What was deleted can still be read.
    Undeleted {
        /// Where.
        place: String,
        /// The event.
        id: String,
    },
    /// A message is not what its events add up to.
    Unfolded {
        /// Who gives it so.
        place: String,
        /// The message.
        id: String,
    },
    /// Two receipts for one key say different things.
    ReceiptsDiffer {
        /// The key.
        key: String,
        /// The events that they name.
        ids: [String; 2],
    },
    /// A receipt names a place at which the journal does not have the event.
    FalseReceipt {
        /// The event.
        id: String,
        /// The place.
        cursor: Cursor,
    },
    /// A send was refused for good, and stands.
    RefusedStands {
        /// Its key.
        key: String,
        /// The refusal's code.
        code: u64,
    },
    /// A send that was asked after until everything was well again never got an answer.
    Unanswered {
        /// Its key.
        key: String,
    },
    /// A hub said that nothing was missing, and something was.
    Dishonest {
        /// Who was told so.
        client: String,
        /// The room.
        room: String,
        /// What is missing, or the place that was claimed.
        cursor: Cursor,
    },
    /// A client that listens has not heard everything.
    Behind {
        /// Who.
        client: String,
        /// The room.
        room: String,
        /// The last that it heard.
        cursor: Cursor,
    },
    /// An event is still not in the journal when everything has been well for long.
    Pending {
        /// The event.
        id: String,
    },
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost { place, id } => write!(f, "{id} was acknowledged and is not in {place}"),
            Self::Doubled { place, id } => write!(f, "{id} is twice in {place}"),
            Self::SaidTwice { place, key } => write!(f, "key {key} gave two events in {place}"),
            Self::Reordered { place, room, cursor } => write!(f, "{room} {cursor} is out of order in {place}"),
            Self::Gap { place, room, cursor } => write!(f, "{room} {cursor} is missing in {place}"),
            Self::SenderReordered { sender, room, cursor } => {
                write!(f, "{sender}'s event at {room} {cursor} was sent later than one that stands behind it")
            }
            Self::Disagree { place, room, cursor } => write!(f, "{place} has another event at {room} {cursor}"),
            Self::Unjudged { place, id } => write!(f, "{id} is seen in {place} as no plugin left it"),
            Self::Undeleted { place, id } => write!(f, "{id} was deleted and can be read in {place}"),
            Self::Unfolded { place, id } => write!(f, "{place} gives message {id} as its events do not make it"),
            Self::ReceiptsDiffer { key, ids: [first, other] } => {
                write!(f, "two receipts for key {key} differ: {first}, then {other}")
            }
            Self::FalseReceipt { id, cursor } => {
                write!(f, "a receipt says that {id} stands at {cursor}, and the journal does not have it there")
            }
            Self::RefusedStands { key, code } => write!(f, "key {key} was refused for good ({code}) and stands"),
            Self::Unanswered { key } => write!(f, "key {key} got neither a receipt nor a refusal in the end"),
            Self::Dishonest { client, room, cursor } => {
                write!(f, "{client} was told that it has all of {room}, and {cursor} was not given to it")
            }
            Self::Behind { client, room, cursor } => {
                write!(f, "{client} listens to {room} and has heard nothing after {cursor}")
            }
            Self::Pending { id } => write!(f, "{id} is still pending in the timeline, and in no journal"),
        }
    }
}
