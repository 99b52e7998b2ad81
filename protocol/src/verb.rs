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
}

impl VerbName {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Send,
        Self::Edit,
        Self::Delete,
        Self::React,
        Self::Unreact,
        Self::History,
        Self::Messages,
        Self::Typing,
        Self::Review,
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
        }
    }

    /// The verb of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verb| verb.as_str() == name)
    }
}

/// What Socket.IO clients emit besides verbs: the commands that the native protocol has of its own.
pub const SOCKET_IO_COMMANDS: [&str; 5] = ["join", "leave", "presence", "presence_stats", "refresh"];
