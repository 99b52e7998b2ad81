//! Kafka's jars, as Maven resolves them from one small pom.

use crate::progress::Progress;
use crate::workspace;
use anyhow::{Context, Result};
use std::path::PathBuf;
use std::process::Command;

/// The version of Kafka that is tested against.
pub const VERSION: &str = "4.3.1";

/// The broker, and a logger of the version that its log4j-core has: without one, errors are silent.
fn pom() -> String {
    format!(
        r#"<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>confab</groupId><artifactId>kafka-jars</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>{VERSION}</version></dependency>
    <dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId><version>2.25.4</version></dependency>
  </dependencies>
</project>
"#
    )
}

/// The folder that holds them, filled first if it is not there.
pub fn jars() -> Result<PathBuf> {
    let home = workspace::cache()?.join(format!("kafka-{VERSION}"));
    let jars = home.join("lib");
    if jars.is_dir() {
        return Ok(jars);
    }
    let progress = Progress::start(format!("Kafka {VERSION}"));
    // Filled beside its place and then moved, so that a folder with the right name is always whole.
    let fresh = home.join(format!("fresh-{}", std::process::id()));
    std::fs::create_dir_all(&fresh).with_context(|| format!("could not make {}", fresh.display()))?;
    std::fs::write(fresh.join("pom.xml"), pom())?;
    let mut maven = Command::new("mvn");
    maven.args(["-q", "-B", "-f"]).arg(fresh.join("pom.xml"));
    maven.args(["dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory=lib"]);
    progress.run(&mut maven)?;
    let count = std::fs::read_dir(fresh.join("lib"))?.count();
    if let Err(error) = std::fs::rename(fresh.join("lib"), &jars)
        && !jars.is_dir()
    {
        return Err(error).with_context(|| format!("could not move Kafka's jars to {}", jars.display()));
    }
    std::fs::remove_dir_all(&fresh)?;
    progress.done(&format!("{count} jars in {}", jars.display()));
    Ok(jars)
}
