//! Engine.IO v4: one link to one client over HTTP long-polling, a WebSocket, or the first and then the second.
//!
//! A frame of this link is one Engine.IO message packet exactly as a WebSocket carries it: text with its leading `4`, or
//! bare bytes. So an event that is encoded once is shared by every listener, and nothing is copied on its way out.

mod link;
mod packet;
mod polling;

pub use link::EngineLink;
pub use packet::{Malformed, Packet, decode_payload, encode_payload};
pub use polling::{Polling, Refused};

use crate::outbox::Frame;
use parking_lot::Mutex;
use serde::Serialize;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// The numbers that the handshake tells a client.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How often the hub pings.
    pub ping_interval: Duration,
    /// How long after a ping the pong may take.
    pub ping_timeout: Duration,
    /// The largest packet, in bytes: what a client is told to gather for one POST, and the largest frame of a WebSocket.
    pub max_payload: usize,
    /// The largest POST, in bytes: not every client heeds what it is told.
    pub post_max: usize,
}

/// The clients of one address that began by polling, by session id.
pub struct Engine {
    /// Its numbers.
    pub settings: Settings,
    clients: Mutex<HashMap<String, Arc<Polling>>>,
}

impl Engine {
    /// One without clients.
    pub fn new(settings: Settings) -> Arc<Self> {
        Arc::new(Self { settings, clients: Mutex::default() })
    }

    /// Begins a polling client's session.
    pub fn open(self: &Arc<Self>) -> EngineLink {
        let (polling, inbound) = Polling::new(fresh_sid());
        self.clients.lock().insert(polling.sid.clone(), polling.clone());
        EngineLink::polling(self.clone(), polling, inbound)
    }

    /// The client with this session id.
    pub fn find(&self, sid: &str) -> Option<Arc<Polling>> {
        self.clients.lock().get(sid).cloned()
    }

    /// From now on nobody can poll with this session id.
    pub fn forget(&self, sid: &str) {
        self.clients.lock().remove(sid);
    }

    /// How many clients there are.
    pub fn len(&self) -> usize {
        self.clients.lock().len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The first packet that a client is sent.
    pub fn handshake(&self, sid: &str, upgrades: &[&str]) -> Frame {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Open<'a> {
            sid: &'a str,
            upgrades: &'a [&'a str],
            ping_interval: u128,
            ping_timeout: u128,
            max_payload: usize,
        }
        let Settings { ping_interval, ping_timeout, max_payload, .. } = self.settings;
        let open = Open {
            sid,
            upgrades,
            ping_interval: ping_interval.as_millis(),
            ping_timeout: ping_timeout.as_millis(),
            max_payload,
        };
        format!("0{}", serde_json::to_string(&open).expect("a handshake has a JSON form")).into()
    }
}

/// Whoever knows a session id speaks for the session, so it is 144 bits that cannot be guessed.
pub fn fresh_sid() -> String {
    use base64::Engine as _;
    let mut bits = [0; 18];
    let random = rustls::crypto::aws_lc_rs::default_provider().secure_random;
    random.fill(&mut bits).expect("the system gives random bytes");
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bits)
}
