//! A hub.toml in a line, an event in a word, and an observer that remembers.

use confab_config::{Config, JudgedKind};
use confab_hub::kv::Kv;
use confab_hub::plugin::{BreakerState, Chain, Error, Judged, Observer};
use confab_protocol::{Annotations, Body, Event, EventId, Key, Kind, Refusal, Room, Sender, UserId, VerdictName};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

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

/// The file of a plugin that is written in another language than Rust. Where `cargo xtask test` did not build it, it is built
/// here, by the language's own tools.
pub fn component(name: &str) -> PathBuf {
    static LOCK: Mutex<()> = Mutex::new(());
    let file = plugins().join(format!("{name}.wasm"));
    if std::env::var_os("CONFAB_TEST_PLUGINS").is_none() {
        let _one_at_a_time = LOCK.lock();
        xtask::wasm::build(&[name], plugins()).expect("the plugin builds");
    }
    file
}

/// What plugins did.
#[derive(Debug, Default)]
pub struct Seen {
    pub judged: Mutex<Vec<(String, VerdictName, bool)>>,
    pub faults: Mutex<Vec<&'static str>>,
    pub log_cut: Mutex<u64>,
    pub host: Mutex<BTreeMap<(&'static str, &'static str), u64>>,
    pub waits: Mutex<BTreeMap<&'static str, u64>>,
    pub breaker: Mutex<Vec<BreakerState>>,
}

impl Observer for Seen {
    fn judged(&self, plugin: &str, verdict: VerdictName, _micros: u64, shadow: bool) {
        self.judged.lock().unwrap().push((plugin.into(), verdict, shadow));
    }

    fn fault(&self, _plugin: &str, fault: &'static str) {
        self.faults.lock().unwrap().push(fault);
    }

    fn host_calls(&self, _plugin: &str, interface: &'static str, result: &'static str, calls: u64) {
        *self.host.lock().unwrap().entry((interface, result)).or_default() += calls;
    }

    fn host_seconds(&self, _plugin: &str, interface: &'static str, _took: Duration) {
        *self.waits.lock().unwrap().entry(interface).or_default() += 1;
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

    /// How often the host was asked for this, and answered so.
    pub fn host(&self, interface: &'static str, result: &'static str) -> u64 {
        self.host.lock().unwrap().get(&(interface, result)).copied().unwrap_or_default()
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
    try_world_with(toml, &Kv::default()).await
}

/// The same, with a memory for its plugins.
pub async fn try_world_with(toml: &str, kv: &Kv) -> Result<World, Error> {
    let mut config: Config = toml::from_str(toml).expect("the test's hub.toml is well-formed");
    config.plugin_cache = Some(Path::new(env!("CARGO_TARGET_TMPDIR")).join("plugin-cache"));
    let seen = Arc::new(Seen::default());
    let check = Arc::new(|body: &Body| if depth(body) > 8 { Err("too deep".to_owned()) } else { Ok(()) });
    let (chain, warnings) = Chain::build(&config, plugins(), check, seen.clone(), kv).await?;
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

/// Every capability, and with it the fixture that asks for whatever the message says; `more` are further lines of its table.
pub fn reach(capabilities: &str, more: &str) -> String {
    let all = "log = true, clock = true, random = true";
    format!(
        "[plugin.it]\nmodule = 'reach.wasm'\ntimeout = '5s'\ncapabilities = {{ {all}, {capabilities} }}\n{more}\n\
         [[chain]]\nplugins = ['it']"
    )
}

/// What grants `kv` and `http` where nothing of it matters.
pub const BOTH: &str = "kv = true, http = ['https://a.example']";

/// A message in a room.
pub fn message(room: &str, text: &str) -> Event {
    message_of("ada", room, text)
}

/// The same by somebody.
pub fn message_of(user: &str, room: &str, text: &str) -> Event {
    Event {
        kind: Kind::Message,
        id: EventId::fresh(),
        room: Room::new(room).unwrap(),
        sender: Sender { user: UserId::new(user).unwrap(), client: None, info: None },
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

    /// Judges somebody's message.
    pub async fn send_as(&self, user: &str, room: &str, text: &str) -> Judged {
        self.chain.judge(message_of(user, room, text), JudgedKind::Send).await
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
            Judged::Refused(refusal, ..) => refusal,
            other => panic!("not refused: {other:?}"),
        }
    }

    /// What the fixture says came of what a message told it to ask for.
    pub async fn said(&self, text: &str) -> String {
        self.approved("a", text).await.annotations["it.said"].read().unwrap()
    }

    /// Judges a message and returns the number that the plugin `it` counted.
    pub async fn count(&self, text: &str) -> u64 {
        self.approved("a", text).await.annotations["it.calls"].read().unwrap()
    }
}
