//! Kafka Connect with the Debezium JDBC sink, which the consumer is measured beside.

use super::{kafka, lock, system};
use crate::progress::Progress;
use crate::workspace;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The version of the sink.
const SINK: &str = "3.3.1.Final";

/// What the sink brings and the worker has too, which would not fit together; and drivers of other databases.
const UNWANTED: [&str; 8] = [
    "jackson-core-",
    "jackson-databind-",
    "jackson-annotations-",
    "slf4j-api-",
    "ojdbc",
    "mssql-jdbc-",
    "mysql-connector-",
    "mariadb-java-client-",
];

/// The folder that holds the jars of the worker in `worker`, and its plugins in `plugins`; filled first if it is not there.
pub fn jars() -> Result<PathBuf> {
    let _one_at_a_time = lock()?;
    system::ensure(&system::services())?;
    let home = workspace::cache()?.join(format!("connect-{}-{SINK}", kafka::VERSION));
    if home.is_dir() {
        return Ok(home);
    }
    let progress = Progress::start(format!("Kafka Connect {} with the Debezium JDBC sink {SINK}", kafka::VERSION));
    // Filled beside its place and then moved, so that a folder with the right name is always whole.
    let fresh = home.with_extension(format!("fresh-{}", std::process::id()));
    let (worker, sink) = (fresh.join("worker"), fresh.join("plugins/debezium-jdbc"));
    let logger = ("org.apache.logging.log4j", "log4j-slf4j-impl", "2.25.4");
    let runtime = ("org.apache.kafka", "connect-runtime", kafka::VERSION);
    copy(&progress, &worker, &[runtime, ("org.apache.kafka", "connect-json", kafka::VERSION), logger])?;
    copy(&progress, &sink, &[("io.debezium", "debezium-connector-jdbc", SINK)])?;
    for jar in std::fs::read_dir(&sink)? {
        let jar = jar?;
        if UNWANTED.iter().any(|name| jar.file_name().to_string_lossy().starts_with(name)) {
            std::fs::remove_file(jar.path())?;
        }
    }
    std::fs::rename(&fresh, &home)?;
    progress.done(&format!("{}", home.display()));
    Ok(home)
}

/// Lets Maven copy these, and all that they need, into a folder.
fn copy(progress: &Progress, folder: &Path, artifacts: &[(&str, &str, &str)]) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("could not make {}", folder.display()))?;
    let dependencies: String = artifacts
        .iter()
        .map(|(group, artifact, version)| {
            format!(
                "    <dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId>\
                 <version>{version}</version></dependency>\n"
            )
        })
        .collect();
    let pom = folder.join("pom.xml");
    std::fs::write(
        &pom,
        format!(
            "<project xmlns=\"http://maven.apache.org/POM/4.0.0\">\n  <modelVersion>4.0.0</modelVersion>\n  \
             <groupId>confab</groupId><artifactId>bench</artifactId><version>1</version><packaging>pom</packaging>\n  \
             <dependencies>\n{dependencies}  </dependencies>\n</project>\n"
        ),
    )?;
    let mut maven = Command::new("mvn");
    maven.args(["-q", "-B", "-f"]).arg(&pom).args(["dependency:copy-dependencies", "-DincludeScope=runtime"]);
    progress.run(maven.arg(format!("-DoutputDirectory={}", folder.display())))?;
    Ok(std::fs::remove_file(&pom)?)
}
