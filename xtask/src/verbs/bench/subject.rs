//! Who is measured, and how each is started.

use super::serving::{Needs, Programs, SECRET, SERVER, Services, Serving, UNLIMITED, alone, launch, pinned, token};
use anyhow::Result;
use std::path::Path;
use std::process::Command;
use xtask::services::port::Port;

/// Somebody who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The embedded hub: every message is committed to SQLite. The native dialect in JSON.
    Confab,
    /// The same, with each message judged by a plugin.
    ConfabJudged,
    /// The same, which keeps nothing: `hub/examples/unjournaled.rs`.
    ConfabUnjournaled,
    /// The embedded hub, in the Socket.IO dialect.
    ConfabSocketio,
    /// A hub of the cluster profile, on Redis and Kafka.
    ConfabCluster,
    /// The same, with each message judged by a plugin.
    ConfabClusterJudged,
    /// Bare tokio-tungstenite, used well.
    Floor,
    /// The same, which commits each message's rows to SQLite before anyone hears it.
    Rows,
    /// A server on the `centrifuge` library, memory engine with history and positions.
    Centrifuge,
    /// The same, which asks another process over HTTP about each message.
    CentrifugeHook,
    /// The same without that, on Redis.
    CentrifugeRedis,
    /// Socket.IO 4 on Node.js.
    Socketio,
    /// Two nodes of the same, joined by the Redis adapter.
    SocketioRedis,
    /// The same, where each message is acknowledged by Kafka before it is relayed.
    SocketioKafka,
    /// Redis and the script that the hub appends with, asked by nobody but a bare client.
    RedisScript,
    /// Kafka, told the hub's records by nobody but a bare client.
    KafkaAlone,
    /// Our consumer: from Kafka into all of the hub's tables.
    ConfabConsumer,
    /// The consumer with another end, which fills one table: `consumer/examples/one_table.rs`.
    ConfabOneTable,
    /// Kafka Connect with the Debezium JDBC sink: from Kafka into one table.
    KafkaConnect,
}

impl Subject {
    /// Everybody.
    pub const ALL: [Self; 19] = [
        Self::Confab,
        Self::ConfabJudged,
        Self::ConfabUnjournaled,
        Self::ConfabSocketio,
        Self::ConfabCluster,
        Self::ConfabClusterJudged,
        Self::Floor,
        Self::Rows,
        Self::Centrifuge,
        Self::CentrifugeHook,
        Self::CentrifugeRedis,
        Self::Socketio,
        Self::SocketioRedis,
        Self::SocketioKafka,
        Self::RedisScript,
        Self::KafkaAlone,
        Self::ConfabConsumer,
        Self::ConfabOneTable,
        Self::KafkaConnect,
    ];

    /// What it is called on the command line and in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Confab => "confab",
            Self::ConfabJudged => "confab-judged",
            Self::ConfabUnjournaled => "confab-unjournaled",
            Self::ConfabSocketio => "confab-socketio",
            Self::ConfabCluster => "confab-cluster",
            Self::ConfabClusterJudged => "confab-cluster-judged",
            Self::Floor => "floor",
            Self::Rows => "rows",
            Self::Centrifuge => "centrifuge",
            Self::CentrifugeHook => "centrifuge-hook",
            Self::CentrifugeRedis => "centrifuge-redis",
            Self::Socketio => "socketio",
            Self::SocketioRedis => "socketio-redis",
            Self::SocketioKafka => "socketio-kafka",
            Self::RedisScript => "redis-script",
            Self::KafkaAlone => "kafka-alone",
            Self::ConfabConsumer => "confab-consumer",
            Self::ConfabOneTable => "confab-one-table",
            Self::KafkaConnect => "kafka-connect",
        }
    }

    /// Whether it is ours.
    pub fn is_confab(self) -> bool {
        self.is_embedded() || self.is_cluster() || matches!(self, Self::ConfabConsumer | Self::ConfabOneTable)
    }

    /// Whether it is a hub that needs no services.
    pub fn is_embedded(self) -> bool {
        matches!(self, Self::Confab | Self::ConfabJudged | Self::ConfabUnjournaled | Self::ConfabSocketio)
    }

    /// Whether it is a hub of the cluster profile.
    pub fn is_cluster(self) -> bool {
        matches!(self, Self::ConfabCluster | Self::ConfabClusterJudged)
    }

    /// Whether its messages are judged.
    fn is_judged(self) -> bool {
        matches!(self, Self::ConfabJudged | Self::ConfabUnjournaled | Self::ConfabClusterJudged)
    }

    /// What it is compared with: ours, as like it as there is one.
    pub fn counterpart(self) -> Self {
        match self {
            Self::Socketio => Self::ConfabSocketio,
            Self::Rows | Self::CentrifugeHook => Self::ConfabJudged,
            Self::CentrifugeRedis | Self::SocketioRedis => Self::ConfabCluster,
            Self::SocketioKafka => Self::ConfabClusterJudged,
            Self::KafkaConnect => Self::ConfabOneTable,
            _ => Self::Confab,
        }
    }

    /// What it stands on. The hub of the cluster profile wants to know PostgreSQL, and asks it nothing here.
    pub fn needs(self) -> Needs {
        match self {
            Self::ConfabCluster | Self::ConfabClusterJudged | Self::ConfabConsumer | Self::ConfabOneTable => {
                Needs { redis: true, kafka: true, postgres: true, ..Needs::default() }
            }
            Self::KafkaConnect => Needs { kafka: true, postgres: true, ..Needs::default() },
            Self::CentrifugeRedis | Self::SocketioRedis | Self::RedisScript => {
                Needs { redis: true, ..Needs::default() }
            }
            Self::SocketioKafka => Needs { redis: true, kafka: true, ..Needs::default() },
            Self::CentrifugeHook => Needs { hook: true, ..Needs::default() },
            Self::KafkaAlone => Needs { kafka: true, ..Needs::default() },
            _ => Needs::default(),
        }
    }

    /// What the generator calls the way it speaks; `None` if it is measured by a bare client.
    pub fn dialect(self) -> Option<&'static str> {
        match self {
            Self::Floor | Self::Rows => Some("floor"),
            Self::Confab | Self::ConfabJudged | Self::ConfabUnjournaled => Some("native"),
            Self::ConfabCluster | Self::ConfabClusterJudged => Some("native"),
            Self::Centrifuge | Self::CentrifugeHook | Self::CentrifugeRedis => Some("native"),
            Self::ConfabSocketio | Self::Socketio | Self::SocketioRedis | Self::SocketioKafka => Some("socketio"),
            Self::RedisScript | Self::KafkaAlone | Self::ConfabConsumer | Self::ConfabOneTable | Self::KafkaConnect => {
                None
            }
        }
    }

    /// How many processes it has, besides its services.
    fn nodes(self) -> usize {
        match self {
            Self::SocketioRedis | Self::SocketioKafka => 2,
            Self::RedisScript | Self::KafkaAlone | Self::ConfabConsumer | Self::ConfabOneTable | Self::KafkaConnect => {
                0
            }
            _ => 1,
        }
    }

    /// Starts it in an empty folder, and waits until it serves.
    pub fn start(self, programs: &Programs, folder: &Path) -> Result<Serving> {
        let services = Services::start(self.needs(), programs, folder)?;
        let config = folder.join("hub.toml");
        let mut serving = Serving::new(services);
        for node in 0..self.nodes() {
            let port = Port::free()?;
            let address = format!("127.0.0.1:{}", port.number());
            if self.is_embedded() || self.is_cluster() {
                let metrics = Port::free()?;
                serving.metrics = Some(format!("127.0.0.1:{}", metrics.number()));
                let text = self.hub_toml(&address, metrics.number(), folder, programs, &serving.services);
                std::fs::write(&config, text)?;
                serving.ports.push(metrics);
            }
            if self.is_cluster() {
                super::serving::migrate(programs, &config)?;
            }
            let command = self.command(programs, &port, &config, &serving.services);
            serving.processes.push(launch(command, &address, &folder.join(format!("log-{node}")))?);
            serving.targets.push(address);
            serving.ports.push(port);
        }
        if matches!(self.dialect(), Some("native" | "socketio")) {
            serving.token = token(programs, &config)?;
        }
        Ok(serving)
    }

    fn command(self, programs: &Programs, port: &Port, config: &Path, services: &Services) -> Command {
        let number = port.number().to_string();
        let program = match self {
            Self::Floor | Self::Rows => &programs.bench,
            Self::Centrifuge | Self::CentrifugeHook | Self::CentrifugeRedis => &programs.centrifuge,
            Self::Socketio | Self::SocketioRedis | Self::SocketioKafka => Path::new("node"),
            Self::ConfabUnjournaled => &programs.unjournaled,
            _ => &programs.confab,
        };
        let mut command = pinned(program, SERVER, programs.pins);
        match self {
            Self::Floor => _ = command.args(["floor", &number]),
            Self::Rows => {
                command.args(["floor", &number, "--rows"]).arg(config.with_file_name("rows.db"));
            }
            Self::Centrifuge | Self::CentrifugeHook | Self::CentrifugeRedis => {
                let listen = format!("127.0.0.1:{number}");
                command.args(["-listen", &listen, "-secret", SECRET, "-history", "1000"]);
                command.args(services.hook().iter().flat_map(|hook| ["-hook", hook]));
                if let Some(redis) = services.redis() {
                    command.arg("-redis").arg(redis.replace("redis://", ""));
                }
            }
            Self::Socketio | Self::SocketioRedis | Self::SocketioKafka => {
                command.arg(programs.socketio.join("server.mjs")).arg(&number);
                command.args(services.redis()).args(services.kafka()).env("NODE_ENV", "production");
            }
            _ => {
                let arguments: &[&str] = if self == Self::ConfabUnjournaled { &[] } else { &["run", "--config"] };
                alone(&mut command).env("CONFAB_LOG", "warn").args(arguments).arg(config);
            }
        }
        command
    }

    fn hub_toml(self, address: &str, metrics: u16, folder: &Path, programs: &Programs, services: &Services) -> String {
        let data = folder.join("data");
        let mut text = format!(
            "listen = \"{address}\"\nadmin = \"127.0.0.1:0\"\nmetrics = \"127.0.0.1:{metrics}\"\ndata = {data:?}\n\
             {UNLIMITED}[auth]\nhmac_secret = \"{SECRET}\"\n{}",
            services.toml()
        );
        if self.is_judged() {
            text += &format!(
                "[plugin.word-filter]\nmodule = {:?}\n[plugin.word-filter.settings]\n\
                 words = [\"spam\", \"scam\"]\naction = \"mask\"\n\
                 [[chain]]\nrooms = [\"**\"]\non = [\"send\"]\nplugins = [\"word-filter\"]\n",
                programs.plugin
            );
        }
        text
    }
}
