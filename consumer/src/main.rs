//! `confab-consumer`: from the journal into the store.

use anyhow::Context;
use clap::Parser;
use confab_config::Config;
use confab_consumer::{Consumer, Error, Metrics, admin};
use confab_store::{PostgresOptions, Store};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

/// Stores what Kafka keeps: reads the topic of events and writes it to PostgreSQL, where history and search read it.
///
/// Start as many as the topic has partitions; they share the work. Stopping one with SIGTERM, or killing it, loses and
/// doubles nothing: its position stands in the database, in the same transaction as the rows. An empty database is
/// filled again from the journal's beginning.
///
/// It reads the same hub.toml as the hub: `[journal.kafka]`, `[store.postgres]` and `[consumer]`. Create topics and tables
/// first, with `confab migrate`.
#[derive(Parser)]
#[command(version, name = "confab-consumer", after_help = AFTER_HELP)]
struct Arguments {
    /// The configuration file.
    #[arg(long, value_name = "FILE", default_value = "hub.toml", env = "CONFAB_CONFIG")]
    config: PathBuf,
}

const AFTER_HELP: &str = "\
Look at it while it runs (the address is `consumer.admin`):
  curl http://127.0.0.1:9001/readyz     ready, or what it waits for
  curl http://127.0.0.1:9001/metrics    lag, batches, dead letters …

Exit codes: 0 stopped as asked, 1 failed, 78 the configuration is wrong.
The log's detail is set by RUST_LOG, as in RUST_LOG=debug.";

/// `EX_CONFIG` of sysexits.
const WRONG_CONFIGURATION: u8 = 78;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let config = match read(&arguments.config) {
        Ok(config) => config,
        Err(error) => {
            error!("{error:#}");
            return ExitCode::from(WRONG_CONFIGURATION);
        }
    };
    match tokio::runtime::Runtime::new().context("could not start the runtime").and_then(|it| it.block_on(run(&config)))
    {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error!("{error:#}");
            let settings = matches!(error.downcast_ref(), Some(Error::Settings(_)));
            ExitCode::from(if settings { WRONG_CONFIGURATION } else { 1 })
        }
    }
}

fn read(path: &Path) -> anyhow::Result<Config> {
    let text = std::fs::read_to_string(path).with_context(|| format!("could not read {}", path.display()))?;
    toml::from_str(&text).with_context(|| format!("{} is not understood", path.display()))
}

async fn run(config: &Config) -> anyhow::Result<()> {
    let cluster = "confab-consumer belongs to the cluster profile; an embedded hub stores by itself";
    let missing = |table: &str| Error::Settings(format!("`[{table}]` is missing: {cluster}"));
    let kafka = config.journal.kafka.as_ref().ok_or_else(|| missing("journal.kafka"))?;
    let postgres = config.store.postgres.as_ref().ok_or_else(|| missing("store.postgres"))?;
    let store = Store::postgres(&postgres_options(postgres)?).map_err(|error| {
        let error = anyhow::Error::new(error);
        Error::Settings(format!("`store.postgres` cannot be used: {error:#}"))
    })?;

    let stop = CancellationToken::new();
    let admin = TcpListener::bind(config.consumer.admin)
        .await
        .with_context(|| format!("could not listen on {} (`consumer.admin`)", config.consumer.admin))?;
    let metrics = Arc::new(Metrics::default());
    let consumer = Consumer::start(kafka, &config.consumer, store.clone(), Arc::clone(&metrics), stop.clone())?;
    let served = tokio::spawn(admin::serve(admin, metrics, consumer.readiness(), stop.clone()));
    info!(topic = kafka.events_topic(), group = config.consumer.group, admin = %config.consumer.admin, "running");

    tokio::spawn(stop_on_signal(stop.clone()));
    let ended = consumer.run().await;
    stop.cancel();
    served.await.context("the admin port's task failed")?.context("the admin port failed")?;
    store.close().await;
    ended.map_err(Into::into)
}

fn postgres_options(postgres: &confab_config::PostgresConfig) -> anyhow::Result<PostgresOptions> {
    let url = match (&postgres.url, &postgres.url_file) {
        (Some(url), _) => url.clone(),
        (None, Some(file)) => std::fs::read_to_string(file).map(|url| url.trim().to_owned()).map_err(|error| {
            Error::Settings(format!("could not read {} (`store.postgres.url_file`): {error}", file.display()))
        })?,
        (None, None) => {
            return Err(Error::Settings("`[store.postgres]` has no `url` and no `url_file`".into()).into());
        }
    };
    Ok(PostgresOptions {
        url,
        ca_file: postgres.ca_file.clone(),
        connections: postgres.connections,
        timeout: postgres.timeout,
    })
}

async fn stop_on_signal(stop: CancellationToken) {
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        error!("could not listen for signals: this process can only be killed");
        return;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    info!("asked to stop");
    stop.cancel();
}
