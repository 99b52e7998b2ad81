//! Why a session ends: the public list of close codes.
//!
//! Numbers and ranges are the Centrifugo client protocol's: 3000–3499 tell the client to come back, 3500–3999 not to.
//! What is wrong with the WebSocket itself, below any dialect, has the codes of RFC 6455 §7.4.

/// The hub ends a session. The number says whether the client should come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Close {
    /// The client closed normally.
    Normal,
    /// The hub is shutting down: come back, to any hub.
    Shutdown,
    /// Something failed in the hub.
    ServerError,
    /// The token ran out and was not refreshed in time.
    Expired,
    /// The session did not read what was queued for it; it recovers when it comes back.
    Slow,
    /// A room's position could not be kept; the client recovers when it comes back.
    InsufficientState,
    /// The hub asks the client to come back.
    ForceReconnect,
    /// No pong came to our ping.
    NoPong,
    /// Too many requests for one session.
    TooManyRequests,
    /// The token is not valid.
    InvalidToken,
    /// The client broke the protocol.
    BadRequest,
    /// No `connect` came in time.
    Stale,
    /// The hub ends the session for good.
    ForceDisconnect,
    /// The hub holds as many sessions as it may.
    ConnectionLimit,
    /// The session would join more rooms than it may.
    RoomLimit,
    /// The frame, or the message, was larger than allowed.
    TooLarge,
    /// The client may not do that.
    PermissionDenied,
    /// A frame does not follow RFC 6455.
    WebSocketProtocol,
    /// A text message is not UTF-8.
    WebSocketText,
    /// More pings and pongs than any client has a use for.
    WebSocketControlFlood,
    /// A WebSocket message is larger than can be read, even to refuse it.
    WebSocketTooLarge,
}

impl Close {
    /// Every close, for documentation and metrics.
    pub const ALL: [Self; 21] = [
        Self::Normal,
        Self::Shutdown,
        Self::ServerError,
        Self::Expired,
        Self::Slow,
        Self::InsufficientState,
        Self::ForceReconnect,
        Self::NoPong,
        Self::TooManyRequests,
        Self::InvalidToken,
        Self::BadRequest,
        Self::Stale,
        Self::ForceDisconnect,
        Self::ConnectionLimit,
        Self::RoomLimit,
        Self::TooLarge,
        Self::PermissionDenied,
        Self::WebSocketProtocol,
        Self::WebSocketText,
        Self::WebSocketControlFlood,
        Self::WebSocketTooLarge,
    ];

    /// The number in the WebSocket close frame.
    pub fn code(self) -> u16 {
        self.entry().0
    }

    /// The text in the WebSocket close frame.
    pub fn reason(self) -> &'static str {
        self.entry().1
    }

    /// Whether the client should come back.
    pub fn reconnect(self) -> bool {
        self.code() < 3500 && self != Self::WebSocketTooLarge // the same message would be too large again
    }

    fn entry(self) -> (u16, &'static str) {
        match self {
            Self::Normal => (3000, "connection closed"),
            Self::Shutdown => (3001, "shutdown"),
            Self::ServerError => (3004, "internal server error"),
            Self::Expired => (3005, "connection expired"),
            Self::Slow => (3008, "slow"),
            Self::InsufficientState => (3010, "insufficient state"),
            Self::ForceReconnect => (3011, "force reconnect"),
            Self::NoPong => (3012, "no pong"),
            Self::TooManyRequests => (3013, "too many requests"),
            Self::InvalidToken => (3500, "invalid token"),
            Self::BadRequest => (3501, "bad request"),
            Self::Stale => (3502, "stale"),
            Self::ForceDisconnect => (3503, "force disconnect"),
            Self::ConnectionLimit => (3504, "connection limit"),
            Self::RoomLimit => (3505, "channel limit"),
            Self::TooLarge => (3506, "message size limit"),
            Self::PermissionDenied => (3507, "permission denied"),
            Self::WebSocketProtocol => (1002, "websocket protocol error"),
            Self::WebSocketText => (1007, "text is not UTF-8"),
            Self::WebSocketControlFlood => (1008, "too many control frames"),
            Self::WebSocketTooLarge => (1009, "message size limit"),
        }
    }
}
