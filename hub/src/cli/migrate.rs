//! `confab migrate`: tables and topics.

use super::run::causes;
use super::{Exit, Migrate, Screen, SettingsArgs};
use crate::backends::{self, DataFolder};
use crate::journal::topics;
use confab_config::{Config, Profile};
use serde_json::json;
use std::io;

/// Does it.
pub fn run(settings: &SettingsArgs, migrate: &Migrate, screen: &mut Screen<'_>) -> io::Result<Exit> {
    let loaded = match settings.load(Vec::new()) {
        Ok(loaded) => loaded,
        Err(errors) => {
            screen.findings(&errors)?;
            return Ok(Exit::Configuration);
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    match runtime.block_on(work(&loaded.config, migrate.check)) {
        Ok(done) => done.tell(migrate, screen),
        Err(error) => {
            writeln!(screen.err, "error: {}", causes(error.as_ref()))?;
            let in_use = matches!(error.downcast_ref(), Some(backends::Error::InUse { .. }));
            Ok(if in_use { Exit::Configuration } else { Exit::Unreachable })
        }
    }
}

struct Done {
    migrations: Vec<String>,
    topics: Vec<topics::Topic>,
    warnings: Vec<String>,
}

async fn work(config: &Config, check: bool) -> Result<Done, Box<dyn std::error::Error + Send + Sync>> {
    let mut done = Done { migrations: Vec::new(), topics: Vec::new(), warnings: Vec::new() };
    if config.profile() == Profile::Embedded && !check {
        // No hub may use it meanwhile, and the next one is to find it as it was left.
        let (folder, store) = DataFolder::open(&config.data).await?;
        done.migrations = folder.migrated().to_vec();
        folder.close(&store).await;
        return Ok(done);
    }
    let store = backends::store(config).await?;
    done.migrations = store.pending_migrations().await?;
    if !check {
        store.migrate().await?;
    }
    if let (Profile::Cluster, Some(kafka), false) = (config.profile(), config.kafka(), check) {
        let report = topics::migrate(&kafka).await?;
        (done.topics, done.warnings) = (report.topics, report.warnings);
    }
    store.close().await;
    Ok(done)
}

impl Done {
    fn tell(self, migrate: &Migrate, screen: &mut Screen<'_>) -> io::Result<Exit> {
        let exit = if migrate.check && !self.migrations.is_empty() { Exit::Failed } else { Exit::Done };
        let topics = self.topics.iter();
        if migrate.json {
            let topics: Vec<_> = topics
                .map(|t| json!({ "name": t.name, "created": t.created, "partitions": t.partitions, "replicas": t.replicas }))
                .collect();
            screen.json(&json!({ "migrations": self.migrations, "topics": topics, "warnings": self.warnings }))?;
            return Ok(exit);
        }
        let verb = if migrate.check { "would apply" } else { "applied" };
        for name in &self.migrations {
            writeln!(screen.out, "{verb} {name}")?;
        }
        if self.migrations.is_empty() {
            writeln!(screen.out, "the tables are up to date")?;
        }
        for topic in topics {
            let verb = if topic.created { "created" } else { "found" };
            writeln!(
                screen.out,
                "{verb} topic {} ({} partitions, {} replicas)",
                topic.name, topic.partitions, topic.replicas
            )?;
        }
        for warning in &self.warnings {
            writeln!(screen.err, "warning: {warning}")?;
        }
        Ok(exit)
    }
}
