//! What the server's processes take: CPU time, memory; and what the rest of the machine takes meanwhile.

use anyhow::{Context, Result};
use std::collections::HashMap;
use std::fs::read_to_string;
use std::ops::AddAssign;
use std::time::{Duration, Instant};

/// The processes that are the server.
pub struct Processes {
    pids: Vec<u32>,
    /// The CPU time of each thread when it was last seen: of one that has ended since, this much is known.
    threads: HashMap<(u32, String), u64>,
}

impl Processes {
    /// These.
    pub fn new(pids: Vec<u32>) -> Self {
        Self { pids, threads: HashMap::new() }
    }

    /// The CPU time of all of them since they began. Each thread tells its own to the nanosecond; where the system does
    /// not keep that, the process tells it to a hundredth of a second.
    pub fn cpu(&mut self) -> Result<Duration> {
        let mut coarse = Duration::ZERO;
        for pid in &self.pids {
            let tasks = std::fs::read_dir(format!("/proc/{pid}/task"));
            let tasks = tasks.with_context(|| format!("the server's process {pid} is gone"))?;
            let mut told = false;
            for task in tasks {
                let name = task?.file_name().to_string_lossy().into_owned();
                // A thread may end between being listed and being asked.
                let Ok(text) = read_to_string(format!("/proc/{pid}/task/{name}/schedstat")) else { continue };
                let Some(Ok(nanoseconds)) = text.split_whitespace().next().map(str::parse) else { continue };
                self.threads.insert((*pid, name), nanoseconds);
                told = true;
            }
            if !told {
                coarse += ticks(&read_to_string(format!("/proc/{pid}/stat"))?)?;
            }
        }
        Ok(coarse + Duration::from_nanos(self.threads.values().sum()))
    }

    /// The resident memory of all of them, in KiB. The kernel's own memory for sockets is not in it.
    pub fn resident_kib(&self) -> Result<u64> {
        self.pids.iter().map(|pid| status_kib(*pid, "VmRSS:")).sum()
    }

    /// The most resident memory that each of them ever had, in KiB, summed.
    pub fn peak_kib(&self) -> Result<u64> {
        self.pids.iter().map(|pid| status_kib(*pid, "VmHWM:")).sum()
    }
}

/// What was used between two moments, in seconds of one processor.
#[derive(Clone, Copy, Debug, Default)]
pub struct Used {
    /// How long it was, on the clock.
    pub seconds: f64,
    /// By the server.
    pub server: f64,
    /// By everybody but the server and this process.
    pub others: f64,
}

impl AddAssign for Used {
    fn add_assign(&mut self, more: Self) {
        self.seconds += more.seconds;
        self.server += more.server;
        self.others += more.others;
    }
}

/// Counts from its beginning.
pub struct Meter {
    begun: Instant,
    own: Processes,
    server_before: Duration,
    own_before: Duration,
    machine_before: Duration,
}

impl Meter {
    /// From now on.
    pub fn begin(server: &mut Processes) -> Result<Self> {
        let mut own = Processes::new(vec![std::process::id()]);
        let (server_before, own_before, machine_before) = (server.cpu()?, own.cpu()?, machine()?);
        Ok(Self { begun: Instant::now(), own, server_before, own_before, machine_before })
    }

    /// What was used until now.
    pub fn used(&mut self, server: &mut Processes) -> Result<Used> {
        let seconds = self.begun.elapsed().as_secs_f64();
        let server = (server.cpu()? - self.server_before).as_secs_f64();
        let own = (self.own.cpu()? - self.own_before).as_secs_f64();
        let all = (machine()? - self.machine_before).as_secs_f64();
        Ok(Used { seconds, server, others: all - server - own })
    }
}

/// User and system time of a process, as its `stat` tells it in hundredths of a second.
fn ticks(stat: &str) -> Result<Duration> {
    let fields: Vec<&str> = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
    let field = |n: usize| fields.get(n).and_then(|field| field.parse::<u64>().ok());
    let (user, system) = field(11).zip(field(12)).context("a process's stat has its times")?;
    Ok(Duration::from_millis((user + system) * 10))
}

fn status_kib(pid: u32, name: &str) -> Result<u64> {
    let status = read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)).context("a process has a resident set")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// The memory of this process in KiB, where pages that several places share count once.
pub fn own_kib() -> Result<u64> {
    let rollup = read_to_string("/proc/self/smaps_rollup")?;
    let line =
        rollup.lines().find_map(|line| line.strip_prefix("Pss:")).context("the system tells a process's share")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// The time that all processors of the machine have worked, for anyone.
fn machine() -> Result<Duration> {
    let stat = read_to_string("/proc/stat")?;
    let line = stat.lines().next().context("the system tells its times")?;
    let times: Vec<u64> = line.split_whitespace().skip(1).filter_map(|time| time.parse().ok()).collect();
    // user nice system idle iowait irq softirq steal
    let busy = times.iter().take(8).enumerate().filter(|(n, _)| !matches!(n, 3 | 4)).map(|(_, time)| time).sum::<u64>();
    Ok(Duration::from_millis(busy * 10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_used_some_time_and_memory() {
        let mut own = Processes::new(vec![std::process::id()]);
        let before = own.cpu().unwrap();
        let mut sum = 0_u64;
        while own.cpu().unwrap() == before {
            sum = std::hint::black_box(sum + 1);
        }
        assert!(own.resident_kib().unwrap() > 100 && own_kib().unwrap() > 100);
        assert!(machine().unwrap() > Duration::ZERO);
    }

    #[test]
    fn the_times_of_a_process_are_read_behind_its_name() {
        let stat = "7 (a) b) S 1 1 1 0 -1 0 0 0 0 0 150 50 0 0 20 0 1 0 5 0 0";
        assert_eq!(ticks(stat).unwrap(), Duration::from_secs(2));
    }
}
