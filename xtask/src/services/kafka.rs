//! Kafka: one node that is broker and controller, set for a quick start.

use super::port::Port;
use super::process::{Life, Scratch, Signal};
use super::server::{Program, Server};
use crate::progress::Progress;
use crate::{install, workspace};
use anyhow::{Context, Result, bail};
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// How long an answer may take while we wait for it to serve.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(1000);
/// The id that every cluster made here has.
const CLUSTER: &str = "4L6g3nShT-eMCtK--X86sw";
/// The simplest collector and compiler: a broker for tests lives too briefly for the better ones to pay.
const QUICK_START: [&str; 4] = ["-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"];
/// One line for a normal start, and every warning.
const LOGGING: &str = "rootLogger.level=WARN
rootLogger.appenderRef.c.ref=C
appender.c.type=Console
appender.c.name=C
appender.c.target=SYSTEM_ERR
appender.c.layout.type=PatternLayout
appender.c.layout.pattern=%d{HH:mm:ss.SSS} %p %c{1} %m%n
";

/// What the caller may choose.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Settings of server.properties; they win over ours.
    pub properties: Vec<(String, String)>,
    /// More listeners, each on a port of its own: a name, which is also its security protocol, such as `"SSL"`. Keys
    /// and certificates go into `properties`.
    pub listeners: Vec<String>,
    /// More arguments of `java`, such as `-Xmx1g`; they win over ours.
    pub java: Vec<String>,
    /// The port of the plain listener; the controller's is the one above. `None` takes free ones.
    pub port: Option<u16>,
    /// The folder of Kafka's jars; `None` takes `CONFAB_TEST_KAFKA_LIB`, else installs them where needed.
    pub jars: Option<PathBuf>,
    /// Whether it goes on after us.
    pub life: Life,
}

/// What is special about Kafka.
#[derive(Debug)]
pub struct Broker {
    folder: PathBuf,
    jars: PathBuf,
    port: Port,
    controller: Port,
    listeners: Vec<(String, Port)>,
    properties: Vec<(String, String)>,
    java: Vec<String>,
}

impl Server<Broker> {
    /// Where clients find one of the additional listeners: `127.0.0.1:PORT`.
    pub fn listener(&self, name: &str) -> Option<String> {
        let (_, port) = self.program.listeners.iter().find(|(listener, _)| listener == name)?;
        Some(format!("127.0.0.1:{}", port.number()))
    }
}

impl Program for Broker {
    type Options = Options;
    const NAME: &'static str = "Kafka";
    const STOP: Signal = Signal::Term;

    fn new(folder: &Path, options: &Options) -> Result<Self> {
        let (port, controller) = match options.port {
            Some(port) => (Port::fixed(port), Port::fixed(port + 1)),
            None => (Port::free()?, Port::free()?),
        };
        let listeners = options.listeners.iter().map(|name| Ok((name.clone(), Port::free()?)));
        Ok(Self {
            folder: folder.to_owned(),
            jars: options.jars.clone().map_or_else(jars, Ok)?,
            port,
            controller,
            listeners: listeners.collect::<Result<_>>()?,
            properties: options.properties.clone(),
            java: options.java.clone(),
        })
    }

    fn life(options: &Options) -> Life {
        options.life
    }

    fn command(&self) -> Result<Command> {
        std::fs::write(self.logging(), LOGGING)?;
        let properties = self.folder.join("server.properties");
        std::fs::write(&properties, self.server_properties())?;
        if !self.data().join("meta.properties").exists() {
            self.format(&properties)?;
        }
        let mut command = self.java("kafka.Kafka")?;
        command.arg(properties);
        Ok(command)
    }

    fn serves(&self, _pid: u32) -> bool {
        knows_itself(self.port()).unwrap_or(false)
    }

    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port())
    }

    fn port(&self) -> u16 {
        self.port.number()
    }

    fn may_move(&self) -> bool {
        !self.port.is_fixed()
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }
}

impl Broker {
    fn logging(&self) -> PathBuf {
        self.folder.join("log4j2.properties")
    }

    /// A Java program out of Kafka's jars.
    fn java(&self, class: &str) -> Result<Command> {
        let java = java()?;
        let archive = class_archive(&self.jars, &java)?;
        let mut command = Command::new(java);
        command
            .args(QUICK_START)
            .args(archive.exists().then(|| format!("-XX:SharedArchiveFile={}", archive.display())));
        command.args(&self.java).arg(format!("-Dlog4j2.configurationFile={}", self.logging().display()));
        command.arg("-cp").arg(self.jars.join("*")).arg(class).current_dir(&self.folder);
        Ok(command)
    }

    /// Makes the data folder ready, as Kafka wants it before its first start.
    fn format(&self, properties: &Path) -> Result<()> {
        let mut command = self.java("kafka.tools.StorageTool")?;
        let output = command.args(["format", "-t", CLUSTER, "-c"]).arg(properties).output()?;
        if !output.status.success() {
            let said = [output.stdout, output.stderr].concat();
            bail!("Kafka's storage tool ended with {}: {}", output.status, String::from_utf8_lossy(&said).trim());
        }
        Ok(())
    }

    /// Few partitions for the groups' offsets, no wait for a group's first members: both cost seconds in each test.
    fn server_properties(&self) -> String {
        let (port, controller) = (self.port.number(), self.controller.number());
        let mut listeners = format!("PLAINTEXT://127.0.0.1:{port}");
        let mut protocols = "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT".to_owned();
        for (name, port) in &self.listeners {
            let _ = write!(listeners, ",{name}://127.0.0.1:{}", port.number());
            let _ = write!(protocols, ",{name}:{name}");
        }
        let mut text = format!(
            "process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners={listeners},CONTROLLER://127.0.0.1:{controller}
advertised.listeners={listeners}
listener.security.protocol.map={protocols}
controller.listener.names=CONTROLLER
log.dirs={}
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
",
            self.data().display()
        );
        for (key, value) in &self.properties {
            let _ = writeln!(text, "{key}={value}");
        }
        text
    }
}

/// Keeps the classes that a broker loads in an archive beside the jars: every later start then takes half the time. Does
/// nothing if that is done already.
pub fn archive_classes(jars: &Path) -> Result<()> {
    let archive = class_archive(jars, &java()?)?;
    if archive.exists() {
        return Ok(());
    }
    let progress = Progress::start("Kafka's class archive");
    let scratch = Scratch::new("kafka-classes")?;
    let fresh = archive.with_extension(std::process::id().to_string());
    let java = vec![format!("-XX:ArchiveClassesAtExit={}", fresh.display())];
    let mut broker =
        Server::<Broker>::start(scratch.path(), Options { jars: Some(jars.into()), java, ..Default::default() })?;
    broker.stop()?;
    match std::fs::rename(&fresh, &archive) {
        Ok(()) => progress.done("made"),
        // It only saves time, and a Java that cannot write one still runs Kafka.
        Err(error) => progress.done(&format!("not made, so brokers start more slowly: {error}")),
    }
    Ok(())
}

/// Where the archive of this Java lies; another Java, or a newer one at the same place, could not read it.
fn class_archive(jars: &Path, java: &Path) -> Result<PathBuf> {
    let java = java.canonicalize()?;
    let mut hasher = DefaultHasher::new();
    (&java, java.metadata()?.modified()?).hash(&mut hasher);
    Ok(jars.with_file_name(format!("classes-{:016x}.jsa", hasher.finish())))
}

fn java() -> Result<PathBuf> {
    workspace::on_path("java").context("there is no `java` on PATH")
}

/// Kafka's jars: where `CONFAB_TEST_KAFKA_LIB` says, else where they are installed.
fn jars() -> Result<PathBuf> {
    match std::env::var_os("CONFAB_TEST_KAFKA_LIB") {
        Some(folder) => Ok(folder.into()),
        None => install::kafka_jars(),
    }
}

/// Asks for the cluster's metadata, of no topic. A broker that lists itself has joined its controller and takes records.
fn knows_itself(port: u16) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect_timeout(&(Ipv4Addr::LOCALHOST, port).into(), ANSWER_TIMEOUT)?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    // Metadata (3) version 1, correlation 1, no client id, an empty list of topics.
    let request: [u8; 14] = [0, 3, 0, 1, 0, 0, 0, 1, 0xff, 0xff, 0, 0, 0, 0];
    stream.write_all(&(request.len() as u32).to_be_bytes())?;
    stream.write_all(&request)?;
    // Length, correlation, then the number of brokers.
    let mut answer = [0; 12];
    stream.read_exact(&mut answer)?;
    Ok(u32::from_be_bytes([answer[8], answer[9], answer[10], answer[11]]) > 0)
}
