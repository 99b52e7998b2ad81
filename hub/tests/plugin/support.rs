//! A hub.toml in a line, an event in a word, and an observer that remembers.

use confab_config::{Config, JudgedKind};
use confab_hub::plugin::{BreakerState, Chain, Error, Judged, Observer};
use confab_protocol::{Annotations, Body, Event, EventId, Key, Kind, Refusal, Room, Sender, UserId, VerdictName};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

/// The folder of built plugins: that of `CONFAB_TEST_PLUGINS`, or one that is filled here.
pub fn plugins() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| match std::env::var_os("CONFAB_TEST_PLUGINS") {
        Some(folder) => folder.into(),
        None => {
            let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("plugins");
            let names = [xtask::wasm::PLUGINS, xtask::wasm::FIXTURES].concat();
            xtask::wasm::build(&names, &folder).expect("the plugins build");
            folder
        }
    })
}

/// What plugins did.
#[derive(Debug, Default)]
pub struct Seen {
    pub judged: Mutex<Vec<(String, VerdictName, bool)>>,
    pub faults: Mutex<Vec<&'static str>>,
    pub log_cut: Mutex<u64>,
    pub breaker: Mutex<Vec<BreakerState>>,
}

impl Observer for Seen {
    fn judged(&self, plugin: &str, verdict: VerdictName, _micros: u64, shadow: bool) {
        self.judged.lock().unwrap().push((plugin.into(), verdict, shadow));
    }

    fn fault(&self, _plugin: &str, fault: &'static str) {
        self.faults.lock().unwrap().push(fault);
    }

    fn log_cut(&self, _plugin: &str, bytes: u64) {
        *self.log_cut.lock().unwrap() += bytes;
    }

    fn breaker(&self, _plugin: &str, state: BreakerState) {
        self.breaker.lock().unwrap().push(state);
    }
}

impl Seen {
    /// The faults so far, in order.
    pub fn faults(&self) -> Vec<&'static str> {
        self.faults.lock().unwrap().clone()
    }
}

/// A chain under test.
pub struct World {
    pub chain: Chain,
    pub warnings: Vec<String>,
    pub seen: Arc<Seen>,
}

/// Builds a chain from the text of a hub.toml. Bodies may be nested eight deep.
pub async fn try_world(toml: &str) -> Result<World, Error> {
    let mut config: Config = toml::from_str(toml).expect("the test's hub.toml is well-formed");
    config.plugin_cache = Some(Path::new(env!("CARGO_TARGET_TMPDIR")).join("plugin-cache"));
    let seen = Arc::new(Seen::default());
    let check = Arc::new(|body: &Body| if depth(body) > 8 { Err("too deep".to_owned()) } else { Ok(()) });
    let (chain, warnings) = Chain::build(&config, plugins(), check, seen.clone()).await?;
    Ok(World { chain, warnings, seen })
}

fn depth(body: &Body) -> usize {
    body.as_str().chars().take_while(|c| *c == '[').count()
}

/// Builds a chain that must be possible.
pub async fn world(toml: &str) -> World {
    try_world(toml).await.unwrap_or_else(|error| panic!("{}", whole(&error)))
}

/// An error with all its causes.
pub fn whole(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// A misbehaving plugin named `it`, in every room; `more` are further lines of its table. Without a word on the breaker
/// there, it may fail as often as it likes.
pub fn misbehave(mode: &str, more: &str) -> String {
    format!(
        "[plugin.it]\nmodule = 'misbehave.wasm'\ntimeout = '5s'\ncapabilities = {{ log = true }}\n{}{more}\n\
         [plugin.it.settings]\nmode = '{mode}'\nn = 10000\n[[chain]]\nplugins = ['it']",
        if more.contains("breaker") { "" } else { "breaker = { faults = 0 }\n" }
    )
}

/// A message in a room.
pub fn message(room: &str, text: &str) -> Event {
    Event {
        kind: Kind::Message,
        id: EventId::fresh(),
        room: Room::new(room).unwrap(),
        sender: Sender { user: UserId::new("ada").unwrap(), client: None, info: None },
        key: Key::fresh(),
        digest: String::new(),
        at: 1_700_000_000_000,
        body: Body::of(&serde_json::json!({ "text": text })),
        target: None,
        thread: None,
        annotations: Annotations::new(),
    }
}

impl World {
    /// Judges a message.
    pub async fn send(&self, room: &str, text: &str) -> Judged {
        self.chain.judge(message(room, text), JudgedKind::Send).await
    }

    /// Judges a message that must be approved, and returns its event.
    pub async fn approved(&self, room: &str, text: &str) -> Event {
        match self.send(room, text).await {
            Judged::Approved(approved) => approved.event,
            other => panic!("not approved: {other:?}, faults: {:?}", self.seen.faults()),
        }
    }

    /// Judges a message that must be refused.
    pub async fn refused(&self, room: &str, text: &str) -> Refusal {
        match self.send(room, text).await {
            Judged::Refused(refusal, _) => refusal,
            other => panic!("not refused: {other:?}"),
        }
    }

    /// Judges a message and returns the number that the plugin `it` counted.
    pub async fn count(&self, text: &str) -> u64 {
        self.approved("a", text).await.annotations["it.calls"].read().unwrap()
    }
}
