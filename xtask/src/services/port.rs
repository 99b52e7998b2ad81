//! Ports that stay ours, also while the server behind them is down.
//!
//! They are taken from below the range in which the system picks ports for outgoing connections. In that range a client
//! that tries again and again to reach a stopped server can be given the server's own port, connect to itself, and keep
//! the server from coming back.

use crate::workspace;
use anyhow::{Context, Result, bail};
use std::collections::hash_map::RandomState;
use std::fs::{File, TryLockError};
use std::hash::{BuildHasher, Hasher};
use std::net::TcpListener;
use std::path::PathBuf;

/// The lowest port given out.
const LOWEST: u16 = 10_000;
/// How many ports are tried before giving up.
const TRIES: u32 = 200;

/// A port of 127.0.0.1 reserved for one server for as long as this value lives.
#[derive(Debug)]
pub struct Port {
    number: u16,
    /// An advisory lock that other processes of ours respect; the system lets go of it when this process ends.
    _reserved: Option<File>,
}

impl Port {
    /// Reserves a port that nobody listens on.
    pub fn free() -> Result<Self> {
        let folder = reservations()?;
        let highest = lowest_outgoing();
        for attempt in 0..TRIES {
            let number = LOWEST + (random(attempt) % u64::from(highest - LOWEST)) as u16;
            let file = File::create(folder.join(number.to_string()))
                .with_context(|| format!("could not reserve port {number} in {}", folder.display()))?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => continue,
                Err(TryLockError::Error(error)) => return Err(error).context("could not lock a port's file"),
            }
            if is_free(number) {
                return Ok(Self { number, _reserved: Some(file) });
            }
        }
        bail!("no free port found between {LOWEST} and {highest} in {TRIES} tries")
    }

    /// A port that the caller chose, for servers at a well-known address.
    pub fn fixed(number: u16) -> Self {
        Self { number, _reserved: None }
    }

    /// Its number.
    pub fn number(&self) -> u16 {
        self.number
    }

    /// Whether the caller chose it, so that another one will not do.
    pub fn is_fixed(&self) -> bool {
        self._reserved.is_none()
    }
}

/// Whether nobody listens on this port of 127.0.0.1.
pub fn is_free(number: u16) -> bool {
    TcpListener::bind(("127.0.0.1", number)).is_ok()
}

/// Where this user's reservations lie: one empty file a port.
fn reservations() -> Result<PathBuf> {
    let user = workspace::user().context("the system does not say who we are")?;
    let folder = std::env::temp_dir().join(format!("confab-ports-{user}"));
    std::fs::create_dir_all(&folder).with_context(|| format!("could not make {}", folder.display()))?;
    Ok(folder)
}

/// The first port that the system may pick for outgoing connections (32768 on Linux, 49152 elsewhere).
fn lowest_outgoing() -> u16 {
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let lowest = range.split_whitespace().next().and_then(|word| word.parse().ok());
    lowest.filter(|lowest| *lowest > LOWEST + 1000).unwrap_or(32_768)
}

fn random(attempt: u32) -> u64 {
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u32(attempt);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserved_port_is_free_below_the_outgoing_range_and_given_out_once() {
        let ports: Vec<Port> = (0..20).map(|_| Port::free().unwrap()).collect();
        let mut numbers: Vec<u16> = ports.iter().map(Port::number).collect();
        assert!(numbers.iter().all(|number| (LOWEST..lowest_outgoing()).contains(number) && is_free(*number)));
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), 20);
    }
}
