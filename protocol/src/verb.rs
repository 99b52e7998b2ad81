//! The names of what clients call: the one list that the hub, its dialects and the check of settings read.

/// A verb: what a client calls in any dialect, and gets a result of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VerbName {
    /// Say something.
    Send,
    /// Give a message another body.
    Edit,
    /// Take a message back.
    Delete,
    /// React to a message.
    React,
    /// Take a reaction back.
    Unreact,
    /// Read what was said.
    History,
    /// Read what messages are now.
    Messages,
    /// Tell others that somebody is typing.
    Typing,
    /// Moderate.
    Review,
    /// Make a room that has members.
    CreateRoom,
    /// List one's rooms.
    Rooms,
    /// See what a room is called, and what one is in it.
    GetRoom,
    /// Call a room something else.
    UpdateRoom,
    /// List who belongs to a room.
    Members,
    /// Make somebody a member.
    AddMember,
    /// Make somebody a member no more, or leave.
    RemoveMember,
    /// Give a member another role.
    SetRole,
    /// Begin a room of two, or find it.
    Direct,
}

impl VerbName {
    /// All of them.
    pub const ALL: [Self; 18] = [
        Self::Send,
        Self::Edit,
        Self::Delete,
        Self::React,
        Self::Unreact,
        Self::History,
        Self::Messages,
        Self::Typing,
        Self::Review,
        Self::CreateRoom,
        Self::Rooms,
        Self::GetRoom,
        Self::UpdateRoom,
        Self::Members,
        Self::AddMember,
        Self::RemoveMember,
        Self::SetRole,
        Self::Direct,
    ];

    /// As clients write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Edit => "edit",
            Self::Delete => "delete",
            Self::React => "react",
            Self::Unreact => "unreact",
            Self::History => "history",
            Self::Messages => "messages",
            Self::Typing => "typing",
            Self::Review => "review",
            Self::CreateRoom => "room.create",
            Self::Rooms => "rooms",
            Self::GetRoom => "room",
            Self::UpdateRoom => "room.update",
            Self::Members => "members",
            Self::AddMember => "member.add",
            Self::RemoveMember => "member.remove",
            Self::SetRole => "member.role",
            Self::Direct => "direct",
        }
    }

    /// The verb of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verb| verb.as_str() == name)
    }
}

/// What Socket.IO clients emit besides verbs: the commands that the native protocol has of its own.
pub const SOCKET_IO_COMMANDS: [&str; 5] = ["join", "leave", "presence", "presence_stats", "refresh"];
