//! Every metric of the consumer, declared and described.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

/// A partition, as a label.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Partition {
    /// Its number.
    pub partition: i32,
}

/// A table of the store, as a label.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Table {
    /// Its name.
    pub table: &'static str,
}

/// The consumer's metrics.
#[derive(Debug)]
pub struct Metrics {
    /// Records that were stored or found to be stored.
    pub records: Counter,
    /// Transactions that were committed.
    pub batches: Counter,
    /// Records of a transaction.
    pub batch_records: Histogram,
    /// How long a transaction took, in seconds.
    pub apply_seconds: Histogram,
    /// Events whose id or key was known.
    pub duplicates: Counter,
    /// Records that were here already.
    pub copies: Counter,
    /// Records that could not be read or stored.
    pub unreadable: Counter,
    /// Dead letters that were written. Alarm when it rises.
    pub dead_letters: Counter,
    /// How often another consumer was found to have taken over.
    pub fenced: Counter,
    /// How often the store could not be reached, and the batch was tried again.
    pub store_retries: Counter,
    /// Batches that were dropped because their partitions were taken away; another consumer reads them.
    pub abandoned: Counter,
    /// Records that the journal's retention removed before they were stored. Alarm on any.
    pub lost: Counter,
    /// How often a partition was found to be another one than the store had read, and was read from its beginning. Alarm on any.
    pub replaced: Counter,
    /// Rooms whose history has stopped for minutes at a place that has no record. Alarm on any.
    pub stopped_rooms: Gauge,
    /// Rows that were removed because they were past their retention.
    pub removed: Family<Table, Counter>,
    /// When the oldest event was said that is kept in a room of which any may be removed, in seconds since 1970.
    pub oldest_kept: Gauge,
    /// How many partitions are read.
    pub partitions: Gauge,
    /// The offset of the next record to store.
    pub position: Family<Partition, Gauge>,
    /// Records that wait in the journal.
    pub lag: Family<Partition, Gauge>,
    registry: Registry,
}

impl Default for Metrics {
    fn default() -> Self {
        let seconds = Histogram::new(exponential_buckets(0.001, 2.0, 14));
        let sizes = Histogram::new(exponential_buckets(1.0, 2.0, 14));
        let mut metrics = Self {
            records: Counter::default(),
            batches: Counter::default(),
            batch_records: sizes,
            apply_seconds: seconds,
            duplicates: Counter::default(),
            copies: Counter::default(),
            unreadable: Counter::default(),
            dead_letters: Counter::default(),
            fenced: Counter::default(),
            store_retries: Counter::default(),
            abandoned: Counter::default(),
            lost: Counter::default(),
            replaced: Counter::default(),
            stopped_rooms: Gauge::default(),
            removed: Family::default(),
            oldest_kept: Gauge::default(),
            partitions: Gauge::default(),
            position: Family::default(),
            lag: Family::default(),
            registry: Registry::with_prefix("confab_consumer"),
        };
        metrics.register();
        metrics
    }
}

impl Metrics {
    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register("records", "Records stored, or found to be stored", self.records.clone());
        registry.register("batches", "Transactions committed", self.batches.clone());
        registry.register("batch_records", "Records of a transaction", self.batch_records.clone());
        registry.register("apply_seconds", "How long a transaction took", self.apply_seconds.clone());
        registry.register("duplicates", "Events whose id or key was known", self.duplicates.clone());
        registry.register("copies", "Records that were here already", self.copies.clone());
        registry.register("unreadable", "Records that could not be read or stored", self.unreadable.clone());
        registry.register("dead_letters", "Dead letters written; alarm when it rises", self.dead_letters.clone());
        registry.register("fenced", "Batches refused because another consumer has taken over", self.fenced.clone());
        registry.register("store_retries", "Tries that found the store away", self.store_retries.clone());
        registry.register(
            "abandoned",
            "Batches dropped because their partitions were taken away",
            self.abandoned.clone(),
        );
        registry.register("lost_records", "Records gone by retention before they were stored", self.lost.clone());
        registry.register(
            "replaced_partitions",
            "Partitions that were made anew or copied, and are read from their beginning; alarm on any",
            self.replaced.clone(),
        );
        registry.register(
            "stopped_rooms",
            "Rooms whose history has stopped for minutes at a place that has no record; alarm on any",
            self.stopped_rooms.clone(),
        );
        registry.register("removed_rows", "Rows past their retention that were removed", self.removed.clone());
        registry.register(
            "oldest_timestamp_seconds",
            "When the oldest event was said that is kept where retention removes any",
            self.oldest_kept.clone(),
        );
        registry.register("partitions", "Partitions being read", self.partitions.clone());
        registry.register("position", "Offset of the next record to store", self.position.clone());
        registry.register("lag_records", "Records waiting in the journal", self.lag.clone());
    }

    /// Counts rows of a table that were removed.
    pub fn removed(&self, table: &'static str, rows: u64) {
        self.removed.get_or_create(&Table { table }).inc_by(rows);
    }

    /// Sets a partition's lag, in records.
    pub fn lag(&self, partition: i32, records: i64) {
        self.lag.get_or_create(&Partition { partition }).set(records.max(0));
    }

    /// Sets a partition's position.
    pub fn position(&self, partition: i32, next: i64) {
        self.position.get_or_create(&Partition { partition }).set(next);
    }

    /// All metrics in the OpenMetrics text format.
    pub fn text(&self) -> String {
        let mut text = String::new();
        match prometheus_client::encoding::text::encode(&mut text, &self.registry) {
            Ok(()) => text,
            Err(error) => format!("# could not write the metrics: {error}\n"),
        }
    }
}
