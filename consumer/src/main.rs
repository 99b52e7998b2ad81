//! `confab-consumer`: from the journal into the store.

use anyhow::Context;
use clap::Parser;
use confab_config::{Config, PostgresConfig};
use confab_consumer::{Consumer, Error, Metrics, admin, retention, stopped};
use confab_store::{PostgresOptions, Store};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

/// Stores what Kafka keeps: reads the topic of events and writes it to PostgreSQL, where history and search read it.
///
/// Start as many as the topic has partitions; they share the work. Stopping one with SIGTERM, or killing it, loses and
/// doubles nothing: its position stands in the database, in the same transaction as the rows. An empty database is
/// filled again from the journal's beginning.
///
/// It reads the same hub.toml as the hub: `[journal.kafka]`, `[store.postgres]` and `[consumer]`. Create topics and tables
/// first, with `confab migrate`.
#[derive(Parser)]
#[command(name = "confab-consumer", version, after_long_help = AFTER_HELP)]
struct Arguments {
    /// The file of settings [default: ./hub.toml, if it exists].
    #[arg(short, long, value_name = "FILE", env = "CONFAB_CONFIG", hide_env_values = true)]
    config: Option<PathBuf>,
    /// Set one setting over file and environment, such as `consumer.batch_records=500`. May be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = confab_config::assignment)]
    set: Vec<(String, toml::Value)>,
}

const AFTER_HELP: &str = "\
Settings come from hub.toml, from variables that begin with CONFAB_, and from --set; the later wins.
CONFAB_LOG says which log lines are written, such as `info` or `info,confab_consumer=debug`.

Look at it while it runs (the address is `consumer.admin`):
  curl http://127.0.0.1:9001/readyz     ready, or what it waits for
  curl http://127.0.0.1:9001/metrics    lag, batches, dead letters …

Exit codes: 0 stopped as asked, 1 failed, 78 wrong configuration.";

/// `EX_CONFIG` of sysexits.
const WRONG_CONFIGURATION: u8 = 78;

fn main() -> ExitCode {
    let Arguments { config, set } = Arguments::parse();
    let loaded = match confab_config::load(config.as_deref(), confab_config::process_environment(), set) {
        Ok(loaded) => loaded,
        Err(wrong) => {
            let text = wrong.render(confab_config::wants_colour(&std::io::stderr()));
            // Where nobody can read it the exit code still says it.
            let _ = std::io::stderr().write_all(text.as_bytes());
            return ExitCode::from(WRONG_CONFIGURATION);
        }
    };
    let wanted = std::env::var("CONFAB_LOG").unwrap_or_default();
    let filter = if wanted.is_empty() { "info".into() } else { wanted };
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::new(filter))
        .with_ansi(confab_config::wants_colour(&std::io::stderr()))
        .with_writer(std::io::stderr)
        .init();
    for warning in &loaded.warnings {
        warn!("{}", warning.render(false).trim_end());
    }
    let runtime = tokio::runtime::Runtime::new().context("could not start the runtime");
    match runtime.and_then(|runtime| runtime.block_on(run(&loaded.config))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error!("{error:#}");
            let settings = matches!(error.downcast_ref(), Some(Error::Settings(_)));
            ExitCode::from(if settings { WRONG_CONFIGURATION } else { 1 })
        }
    }
}

async fn run(config: &Config) -> anyhow::Result<()> {
    let cluster = "confab-consumer belongs to the cluster profile; an embedded hub stores by itself";
    let missing = |table: &str| Error::Settings(format!("`[{table}]` is missing: {cluster}"));
    let kafka = &config.kafka().ok_or_else(|| missing("journal.kafka"))?;
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
    let served = tokio::spawn(admin::serve(admin, Arc::clone(&metrics), consumer.readiness(), stop.clone()));
    info!(topic = kafka.events_topic(), group = config.consumer.group, admin = %config.consumer.admin, "running");

    tokio::spawn(stopped::watch(store.clone(), Arc::clone(&metrics), stop.clone()));
    let keeping = config.clone();
    let (removing, ending) = (store.clone(), stop.clone());
    tokio::spawn(async move { retention::keep(removing, &keeping, metrics, ending).await });
    tokio::spawn(stop_on_signal(stop.clone()));
    let ended = consumer.run().await;
    stop.cancel();
    served.await.context("the admin port's task failed")?;
    store.close().await;
    ended.map_err(Into::into)
}

fn postgres_options(postgres: &PostgresConfig) -> Result<PostgresOptions, Error> {
    let url = postgres.read_url().map_err(|error| Error::Settings(format!("{:#}", anyhow::Error::new(error))))?;
    Ok(PostgresOptions {
        url: url.expose().to_owned(),
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
