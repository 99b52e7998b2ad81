//! Whether Kafka takes records at the moment: measured, not guessed.
//!
//! Three things are watched. A probe asks the brokers for the events topic twice a second, so that silence shows even
//! when nobody writes. librdkafka says when its last connection is lost, which is quicker where a broker dies loudly.
//! And a record that waits too long for its delivery report shows a broker that answers but does not write. All three
//! recover by themselves: with the next answer, and with the delivery or the end of the record that waited.

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How often the brokers are asked.
pub const PROBE_INTERVAL: Duration = Duration::from_millis(500);
/// How long silence, or an undelivered record, is no reason to worry.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is known of Kafka's health.
#[derive(Default)]
pub struct Health {
    seen: Mutex<Seen>,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Seen {
    /// When the brokers last answered that the topic can be written.
    good_at: Option<Instant>,
    /// What has been wrong since then.
    trouble: Option<String>,
    /// Why a connection failed since then. It is no verdict: other brokers may be well.
    hint: Option<String>,
}

#[derive(Default)]
struct Waiting {
    next: u64,
    since: BTreeMap<u64, Instant>,
}

impl Health {
    /// The brokers answered, and every partition can be written. True if that is news.
    pub fn good(&self) -> bool {
        let mut seen = self.seen.lock();
        let news = seen.trouble.is_some() || seen.good_at.is_none();
        *seen = Seen { good_at: Some(Instant::now()), trouble: None, hint: None };
        news
    }

    /// Something is wrong. True if that is news.
    pub fn bad(&self, trouble: String) -> bool {
        self.seen.lock().trouble.replace(trouble).is_none()
    }

    /// Remembers why a connection fails, for whoever asks why there is no answer.
    pub fn hint(&self, hint: &str) {
        self.seen.lock().hint = Some(hint.to_owned());
    }

    /// A record is on its way; the number is for [`Self::arrived`].
    pub fn sent(&self) -> u64 {
        let mut waiting = self.waiting.lock();
        let number = waiting.next;
        waiting.next += 1;
        waiting.since.insert(number, Instant::now());
        number
    }

    /// The record with this number has its answer.
    pub fn arrived(&self, number: u64) {
        self.waiting.lock().since.remove(&number);
    }

    /// What is wrong, if anything is.
    pub fn trouble(&self) -> Option<String> {
        let silent = {
            let seen = self.seen.lock();
            let silent = match (&seen.trouble, seen.good_at) {
                (Some(trouble), _) => Some(trouble.clone()),
                (None, None) => Some("no broker has answered yet".into()),
                (None, Some(at)) if at.elapsed() > PATIENCE => {
                    Some(format!("no broker has answered for {} ms", at.elapsed().as_millis()))
                }
                (None, Some(_)) => None,
            };
            silent.map(|trouble| match &seen.hint {
                Some(hint) if *hint != trouble => format!("{trouble}: {hint}"),
                _ => trouble,
            })
        };
        silent.or_else(|| {
            let oldest = self.waiting.lock().since.first_key_value().map(|(_, since)| since.elapsed())?;
            (oldest > PATIENCE).then(|| format!("a record has waited {} ms for its delivery", oldest.as_millis()))
        })
    }
}
