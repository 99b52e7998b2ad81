//! `confab-consumer`: from the journal into the store.

use anyhow::Context;
use clap::Parser;
use confab_config::{Config, Diagnostics, wants_colour};
use confab_consumer::{Consumer, Error, Metrics, admin};
use confab_store::{PostgresOptions, Store};
use std::io::IsTerminal;
use std::path::PathBuf;
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
    /// The file of settings [default: ./hub.toml, if it exists].
    #[arg(short, long, value_name = "FILE", env = "CONFAB_CONFIG")]
    config: Option<PathBuf>,
}

const AFTER_HELP: &str = "\
Look at it while it runs (the address is `consumer.admin`):
  curl http://127.0.0.1:9001/readyz     ready, or what it waits for
  curl http://127.0.0.1:9001/metrics    lag, batches, dead letters …

Exit codes: 0 stopped as asked, 1 failed, 78 the configuration is wrong.
CONFAB_LOG says which log lines are written, such as `info` or `debug`.";

/// `EX_CONFIG` of sysexits.
const WRONG_CONFIGURATION: u8 = 78;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let filter = std::env::var("CONFAB_LOG").unwrap_or_else(|_| "info".to_owned());
    let filter = tracing_subscriber::EnvFilter::try_new(&filter).unwrap_or_else(|_| "info".into());
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() {
        lines.init();
    } else {
        lines.json().flatten_event(true).init();
    }
    let loaded = confab_config::load(arguments.config.as_deref(), confab_config::process_environment(), Vec::new());
    let config = match loaded {
        Ok(loaded) => loaded.config,
        Err(errors) => {
            say(&errors);
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

#[allow(clippy::print_stderr, reason = "findings are read before anything is logged")]
fn say(findings: &Diagnostics) {
    eprint!("{}", findings.render(wants_colour(&std::io::stderr())));
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
    let url = postgres.read_url().map_err(|error| Error::Settings(format!("`store.postgres` cannot be used: {error}")))?;
    let url = url.expose().to_owned();
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
