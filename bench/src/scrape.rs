//! What a hub says of itself at `/metrics`.

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long the answer may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How often the hub read for those who joined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Reads {
    /// Reads of the hot window.
    pub window: u64,
    /// Reads of the store.
    pub store: u64,
    /// Pages that somebody was given from what had been read for another.
    pub shared_pages: u64,
}

impl Reads {
    /// What was read since then.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        Self {
            window: self.window - before.window,
            store: self.store - before.store,
            shared_pages: self.shared_pages - before.shared_pages,
        }
    }
}

/// Asks a hub for its reads, at its `metrics` address.
pub fn reads(address: SocketAddr) -> Result<Reads> {
    let page = get(address).with_context(|| format!("could not read the metrics at {address}"))?;
    Ok(Reads {
        window: sum(&page, "confab_window_reads_total")?,
        store: sum(&page, "confab_store_reads_total")?,
        shared_pages: sum(&page, "confab_shared_pages_total")?,
    })
}

fn get(address: SocketAddr) -> Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    write!(stream, "GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut page = String::new();
    stream.read_to_string(&mut page)?;
    ensure!(page.starts_with("HTTP/1.1 200"), "it answered {}", page.lines().next().unwrap_or_default());
    Ok(page)
}

/// A counter, over all its labels.
fn sum(page: &str, name: &str) -> Result<u64> {
    let mut values = page
        .lines()
        .filter_map(|line| line.strip_prefix(name))
        .filter(|rest| rest.starts_with([' ', '{']))
        .filter_map(|rest| rest.rsplit(' ').next()?.parse::<u64>().ok())
        .peekable();
    ensure!(values.peek().is_some(), "there is no {name}");
    Ok(values.sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_summed_over_its_labels_and_missed_where_it_is_missing() {
        let page = "HTTP/1.1 200 OK\r\n\r\n# TYPE a counter\na_total{b=\"c\"} 2\na_total{b=\"d e\"} 40\na_total_more 5\nz_total 1\n";
        assert_eq!(sum(page, "a_total").unwrap(), 42);
        assert_eq!(sum(page, "z_total").unwrap(), 1);
        assert!(sum(page, "y_total").is_err());
    }
}
