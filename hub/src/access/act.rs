//! What is asked of a room.

use confab_protocol::Kind;

/// What is asked of a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// To listen.
    Join,
    /// To read what was said.
    Read,
    /// To see who listens.
    SeeListeners,
    /// To say something, or change it.
    Speak,
    /// To react.
    React,
    /// To take something of one's own back: who is muted may.
    TakeBack,
    /// To be seen typing.
    Type,
    /// To see who belongs to it.
    SeeMembers,
    /// To add members.
    Invite,
    /// To remove members.
    Remove,
    /// To change what it is called.
    Manage,
    /// To say what its members are.
    SetRoles,
}

impl Act {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Join,
        Self::Read,
        Self::SeeListeners,
        Self::Speak,
        Self::React,
        Self::TakeBack,
        Self::Type,
        Self::SeeMembers,
        Self::Invite,
        Self::Remove,
        Self::Manage,
        Self::SetRoles,
    ];

    /// Its name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Join => "join",
            Self::Read => "read",
            Self::SeeListeners => "see who listens",
            Self::Speak => "send and edit",
            Self::React => "react",
            Self::TakeBack => "delete and unreact",
            Self::Type => "be seen typing",
            Self::SeeMembers => "see the members",
            Self::Invite => "add members",
            Self::Remove => "remove members",
            Self::Manage => "change title and topic",
            Self::SetRoles => "set roles",
        }
    }

    /// What an event of this kind is.
    pub fn of(kind: Kind) -> Self {
        match kind {
            Kind::Delete | Kind::Unreaction => Self::TakeBack,
            Kind::Message | Kind::Edit => Self::Speak,
            Kind::Reaction => Self::React,
        }
    }

    pub(super) fn is_muted(self) -> bool {
        matches!(self, Self::Speak | Self::React | Self::Type)
    }
}
