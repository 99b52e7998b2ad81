//! From Kafka into PostgreSQL: our consumer, the same into one table, and Kafka Connect with the Debezium JDBC sink. All
//! have the whole machine, and a PostgreSQL that waits for its disk.

use super::report::report_of;
use super::serving::{Needs, Programs, SECRET, Services, migrate};
use super::subject::Subject;
use anyhow::{Context, Result};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use xtask::services::port::Port;
use xtask::services::{Life, Process};

/// How many records are taken, at full scale.
const RECORDS: f64 = 400_000.0;

/// Fills a topic, starts a consumer, and watches it.
pub fn run(subject: Subject, programs: &Programs, folder: &Path, scale: f64) -> Result<Value> {
    let records = ((RECORDS * scale).round() as u64).max(1000).to_string();
    let services = Services::start(Needs { whole_machine: true, ..subject.needs() }, programs, folder)?;
    let kafka = services.kafka().context("Kafka runs")?;
    let postgres = services.postgres.as_ref().context("PostgreSQL runs")?.address();
    let mut fill = Command::new(&programs.bench);
    let (command, table) = match subject {
        Subject::KafkaConnect => {
            fill.args(["fill", &kafka, "sink", "--records", &records, "--sink", &postgres, "--flat"]);
            (connect(programs, folder, &kafka, &postgres)?, "sink")
        }
        _ => {
            let (config, admin) = (folder.join("hub.toml"), Port::free()?);
            let text = format!("[auth]\nhmac_secret = \"{SECRET}\"\n{}", services.toml());
            let consumer = format!("[consumer]\nadmin = \"127.0.0.1:{}\"\n", admin.number());
            std::fs::write(&config, text + &consumer)?;
            migrate(programs, &config)?;
            fill.args(["fill", &kafka, "confab-events", "--records", &records]);
            if subject == Subject::ConfabOneTable {
                fill.args(["--sink", &postgres]);
                let mut command = Command::new(&programs.one_table);
                command.arg(&config);
                (command, "sink")
            } else {
                let mut command = Command::new(&programs.consumer);
                command.arg("--config").arg(&config).env("CONFAB_LOG", "warn");
                (command, "messages")
            }
        }
    };
    crate::cargo::output_of(&mut fill)?;
    let log = folder.join("log-consumer");
    let consumer = Process::spawn(command, &log, Life::WithUs)?;
    let mut watch = Command::new(&programs.bench);
    watch.args(["watch", &postgres, table, "--records", &records, "--pid", &consumer.pid().to_string()]);
    report_of(&mut watch).with_context(|| {
        let said = std::fs::read_to_string(&log).unwrap_or_default();
        let tail: Vec<&str> = said.lines().rev().take(20).collect();
        format!("the consumer said at last: {}", tail.into_iter().rev().collect::<Vec<_>>().join("\n"))
    })
}

/// A worker by itself, with one sink of one task, which inserts a thousand rows at a time.
fn connect(programs: &Programs, folder: &Path, kafka: &str, postgres: &str) -> Result<Command> {
    let address = postgres.rsplit('@').next().context("an address")?;
    let (plugins, port) = (programs.connect.join("plugins"), Port::free()?);
    let worker = format!(
        "bootstrap.servers={kafka}\nlisteners=http://127.0.0.1:{}\nplugin.path={}\n\
         key.converter=org.apache.kafka.connect.storage.StringConverter\n\
         value.converter=org.apache.kafka.connect.json.JsonConverter\n\
         offset.storage.file.filename={}\noffset.flush.interval.ms=1000\n\
         consumer.max.poll.records=2000\nconsumer.auto.offset.reset=earliest\n",
        port.number(),
        plugins.display(),
        folder.join("offsets").display(),
    );
    let field = |name: &str, kind: &str, of: &str| {
        let of = if of.is_empty() { String::new() } else { format!(r#","name":"{of}""#) };
        format!(r#"{{"field":"{name}","type":"{kind}","optional":false{of}}}"#)
    };
    let fields = [
        field("room", "string", ""),
        field("epoch", "int64", ""),
        field("seq", "int64", ""),
        field("id", "string", "io.debezium.data.Uuid"),
        field("sender", "string", ""),
        field("kind", "int16", ""),
        field("body", "string", "io.debezium.data.Json"),
        field("at", "string", "io.debezium.time.ZonedTimestamp"),
    ];
    let schema = format!(r#"{{"type":"struct","name":"event","optional":false,"fields":[{}]}}"#, fields.join(","));
    let sink = format!(
        "name=sink\nconnector.class=io.debezium.connector.jdbc.JdbcSinkConnector\ntasks.max=1\ntopics=sink\n\
         connection.url=jdbc:postgresql://{address}?reWriteBatchedInserts=true\n\
         connection.username=postgres\nconnection.password=postgres\n\
         insert.mode=insert\nprimary.key.mode=record_value\nprimary.key.fields=room,epoch,seq\n\
         schema.evolution=none\ncollection.name.format=sink\nbatch.size=1000\n\
         value.converter=org.apache.kafka.connect.json.JsonConverter\nvalue.converter.schemas.enable=true\n\
         value.converter.schema.content={schema}\n"
    );
    let write = |name: &str, text: String| -> Result<PathBuf> {
        let path = folder.join(name);
        std::fs::write(&path, text).with_context(|| format!("could not write {}", path.display()))?;
        Ok(path)
    };
    let logging = "rootLogger.level=WARN\nrootLogger.appenderRef.c.ref=C\nappender.c.type=Console\nappender.c.name=C\n\
                   appender.c.layout.type=PatternLayout\nappender.c.layout.pattern=%p %c{1} %m%n\n";
    let mut command = Command::new("java");
    command.args(["-Xmx512m", "-cp", &format!("{}/*", programs.connect.join("worker").display())]);
    command.arg(format!("-Dlog4j2.configurationFile={}", write("log4j2.properties", logging.to_owned())?.display()));
    command.arg("org.apache.kafka.connect.cli.ConnectStandalone");
    command.arg(write("worker.properties", worker)?).arg(write("sink.properties", sink)?);
    Ok(command)
}
